//! How hosts are set up: what ESXi 8.0.3 says, as far as rules ask.

use crate::props::value::Value;
use crate::world::entity::Host;
use crate::world::{Entity, World};

use super::{Of, host_hardware, host_options};

pub(super) const PATHS: &[&str] = &[
    "capability",
    "capability.tpmSupported",
    "capability.tpmVersion",
    "capability.txtEnabled",
    "capability.cryptoSupported",
    "capability.encryptedVMotionSupported",
    "capability.uefiSecureBoot",
    "config",
    "config.product",
    "config.product.name",
    "config.product.fullName",
    "config.product.vendor",
    "config.product.apiVersion",
    "config.product.version",
    "config.product.build",
    "config.product.patchLevel",
    "config.hyperThread",
    "config.hyperThread.available",
    "config.hyperThread.active",
    "config.hyperThread.config",
    "config.storageDevice",
    "config.storageDevice.hostBusAdapter",
    "config.storageDevice.softwareInternetScsiEnabled",
    "config.network",
    "config.network.vswitch",
    "config.network.portgroup",
    "config.network.ipV6Enabled",
    "config.network.atBootIpV6Enabled",
    "config.service",
    "config.service.service",
    "config.firewall",
    "config.firewall.defaultPolicy",
    "config.firewall.defaultPolicy.incomingBlocked",
    "config.firewall.defaultPolicy.outgoingBlocked",
    "config.firewall.ruleset",
    "config.option",
    "config.dateTimeInfo",
    "config.dateTimeInfo.timeZone",
    "config.dateTimeInfo.systemClockProtocol",
    "config.dateTimeInfo.ntpConfig",
    "config.dateTimeInfo.ntpConfig.server",
    "config.dateTimeInfo.ntpConfig.configFile",
    "config.dateTimeInfo.enabled",
    "config.dateTimeInfo.disableEvents",
    "config.dateTimeInfo.disableFallback",
    "config.dateTimeInfo.inFallbackState",
    "config.dateTimeInfo.serviceSync",
    "config.adminDisabled",
    "config.lockdownMode",
    "config.authenticationManagerInfo",
    "config.authenticationManagerInfo.authConfig",
    "hardware.biosInfo",
    "hardware.biosInfo.biosVersion",
    "hardware.biosInfo.releaseDate",
    "hardware.biosInfo.firmwareType",
    "runtime",
    "runtime.standbyMode",
    "runtime.inQuarantineMode",
    "runtime.cryptoState",
    "runtime.stateEncryption",
    "runtime.stateEncryption.protectionMode",
    "runtime.stateEncryption.requireSecureBoot",
    "runtime.stateEncryption.requireExecInstalledOnly",
    "summary.tpmAttestation",
    "summary.tpmAttestation.status",
    "summary.tpmAttestation.time",
    "summary.config",
    "summary.config.name",
    "summary.config.port",
    "summary.config.vmotionEnabled",
    "summary.config.faultToleranceEnabled",
    "summary.rebootRequired",
];

/// A service of a host.
pub(super) struct Service {
    pub(super) key: &'static str,
    label: &'static str,
    runs: bool,
    /// When it starts where nobody has taken care; and with care, nothing: the same.
    policy: &'static str,
    /// Whether it ought to be the other way round.
    is_risky: bool,
}

const fn service(
    key: &'static str,
    label: &'static str,
    runs: bool,
    policy: &'static str,
    is_risky: bool,
) -> Service {
    Service { key, label, runs, policy, is_risky }
}

pub(super) const SERVICES: &[Service] = &[
    service("DCUI", "Direct Console UI", true, "on", false),
    service("TSM", "ESXi Shell", false, "off", true),
    service("TSM-SSH", "SSH", false, "off", true),
    service("attestd", "attestd", false, "off", false),
    service("lbtd", "Load-Based Teaming Daemon", true, "on", false),
    service("lwsmd", "Active Directory Service", false, "off", false),
    service("ntpd", "NTP Daemon", true, "on", false),
    service("pcscd", "PC/SC Smart Card Daemon", false, "off", false),
    service("ptpd", "PTP Daemon", false, "off", false),
    service("sfcbd-watchdog", "CIM Server", false, "off", true),
    service("slpd", "slpd", false, "off", true),
    service("snmpd", "SNMP Server", false, "off", true),
    service("usbarbitrator", "USB Arbitrator", false, "off", true),
    service("vmsyslogd", "Syslog Server", true, "on", false),
    service("vpxa", "VMware vCenter Agent", true, "on", false),
];

fn services(of: Of<'_>) -> Value {
    let one = |service: &Service| {
        let weak = of.weak(service.key);
        let (runs, policy) = match (service.key, service.is_risky) {
            (_, true) if weak => (true, "on"),
            ("ntpd", _) if weak => (false, "off"),
            _ => (service.runs, service.policy),
        };
        let changed = of.world.hardening.service(of.id, service.key);
        let package = Value::record(
            "HostServiceSourcePackage",
            vec![
                ("sourcePackageName", Value::string("esx-base")),
                (
                    "description",
                    Value::string("This VIB contains all of the base functionality of vSphere ESXi."),
                ),
            ],
        );
        Value::record(
            "HostService",
            vec![
                ("key", Value::string(service.key)),
                ("label", Value::string(service.label)),
                ("required", Value::bool(false)),
                ("uninstallable", Value::bool(false)),
                ("running", Value::bool(changed.running.unwrap_or(runs))),
                ("policy", Value::string(changed.policy.as_deref().unwrap_or(policy))),
                ("sourcePackage", package),
            ],
        )
    };
    Value::record("HostServiceInfo", vec![("service", Value::list("HostService", SERVICES.iter().map(one)))])
}

fn firewall(of: Of<'_>) -> Value {
    let blocks = of.either("firewall", true, false);
    let rule = |key: &str, label: &str, port: i64, enabled: bool| {
        let rule = Value::record(
            "HostFirewallRule",
            vec![
                ("port", Value::int(port)),
                ("direction", Value::leaf("HostFirewallRuleDirection", "inbound")),
                ("portType", Value::leaf("HostFirewallRulePortType", "dst")),
                ("protocol", Value::string("tcp")),
            ],
        );
        let hosts = Value::record(
            "HostFirewallRulesetIpList",
            vec![("allIp", Value::bool(of.weak("allowed addresses")))],
        );
        Value::record(
            "HostFirewallRuleset",
            vec![
                ("key", Value::string(key)),
                ("label", Value::string(label)),
                ("required", Value::bool(false)),
                ("rule", Value::list("HostFirewallRule", [rule])),
                ("enabled", Value::bool(enabled)),
                ("allowedHosts", hosts),
                ("userControllable", Value::bool(true)),
                ("ipListUserConfigurable", Value::bool(true)),
            ],
        )
    };
    let rules = [
        rule("CIMHttpServer", "CIM Server", 5988, of.weak("sfcbd-watchdog")),
        rule("CIMHttpsServer", "CIM Secure Server", 5989, of.weak("sfcbd-watchdog")),
        rule("sshServer", "SSH Server", 22, of.weak("TSM-SSH")),
        rule("vSphereClient", "vSphere Web Client", 443, true),
        rule("webAccess", "vSphere Web Access", 80, true),
    ];
    let default = vec![("incomingBlocked", Value::bool(blocks)), ("outgoingBlocked", Value::bool(blocks))];
    Value::record(
        "HostFirewallInfo",
        vec![
            ("defaultPolicy", Value::record("HostFirewallDefaultPolicy", default)),
            ("ruleset", Value::list("HostFirewallRuleset", rules)),
        ],
    )
}

fn time(of: Of<'_>) -> Value {
    let zone = vec![
        ("key", Value::string("UTC")),
        ("name", Value::string("UTC")),
        ("description", Value::string("UTC")),
        ("gmtOffset", Value::int(0)),
    ];
    let servers: &[&str] = of.either("ntp", &["0.time.example.net", "1.time.example.net"], &[]);
    let restrictions = ["restrict default nomodify notrap nopeer noquery", "restrict 127.0.0.1"];
    let ntp = vec![
        ("server", Value::list("xsd:string", servers.iter().map(Value::string))),
        ("configFile", Value::list("xsd:string", restrictions.iter().map(Value::string))),
    ];
    Value::record(
        "HostDateTimeInfo",
        vec![
            ("timeZone", Value::record("HostDateTimeSystemTimeZone", zone)),
            ("systemClockProtocol", Value::string("ntp")),
            ("ntpConfig", Value::record("HostNtpConfig", ntp)),
            ("enabled", Value::bool(true)),
            ("disableEvents", Value::bool(false)),
            ("disableFallback", Value::bool(true)),
            ("inFallbackState", Value::bool(false)),
            ("serviceSync", Value::bool(false)),
        ],
    )
}

fn security(of: Of<'_>) -> Value {
    let permits = |setting: &str| Value::bool(of.weak(setting));
    Value::record(
        "HostNetworkSecurityPolicy",
        vec![
            ("allowPromiscuous", permits("vswitch promiscuous")),
            ("macChanges", permits("vswitch mac changes")),
            ("forgedTransmits", permits("vswitch forged transmits")),
        ],
    )
}

fn network(of: Of<'_>) -> Value {
    let policy = || Value::record("HostNetworkPolicy", vec![("security", security(of))]);
    let switch = Value::record(
        "HostVirtualSwitch",
        vec![
            ("name", Value::string("vSwitch0")),
            ("key", Value::string("key-vim.host.VirtualSwitch-vSwitch0")),
            ("numPorts", Value::int(2560)),
            ("numPortsAvailable", Value::int(2544)),
            ("mtu", Value::int(1500)),
            (
                "portgroup",
                Value::list("xsd:string", [Value::string("key-vim.host.PortGroup-Management Network")]),
            ),
            (
                "spec",
                Value::record(
                    "HostVirtualSwitchSpec",
                    vec![("numPorts", Value::int(128)), ("policy", policy())],
                ),
            ),
        ],
    );
    let group = Value::record(
        "HostPortGroup",
        vec![
            ("key", Value::string("key-vim.host.PortGroup-Management Network")),
            ("vswitch", Value::string("key-vim.host.VirtualSwitch-vSwitch0")),
            ("computedPolicy", policy()),
            (
                "spec",
                Value::record(
                    "HostPortGroupSpec",
                    vec![
                        ("name", Value::string("Management Network")),
                        ("vlanId", Value::int(of.either("management vlan", 10, 0))),
                        ("vswitchName", Value::string("vSwitch0")),
                        ("policy", Value::record("HostNetworkPolicy", Vec::new())),
                    ],
                ),
            ),
        ],
    );
    Value::record(
        "HostNetworkInfo",
        vec![
            ("vswitch", Value::list("HostVirtualSwitch", [switch])),
            ("portgroup", Value::list("HostPortGroup", [group])),
            ("ipV6Enabled", Value::bool(of.weak("ipv6"))),
            ("atBootIpV6Enabled", Value::bool(of.weak("ipv6"))),
        ],
    )
}

fn product(host: &Host) -> Value {
    Value::record(
        "AboutInfo",
        vec![
            ("name", Value::string("VMware ESXi")),
            ("fullName", Value::string(format_args!("VMware ESXi {} build-{}", host.version, host.build))),
            ("vendor", Value::string("VMware, Inc.")),
            ("version", Value::string(host.version)),
            ("patchLevel", Value::string("3.0")),
            ("build", Value::string(host.build)),
            ("localeVersion", Value::string("INTL")),
            ("localeBuild", Value::string("000")),
            ("osType", Value::string("vmnix-x86")),
            ("productLineId", Value::string("embeddedEsx")),
            ("apiType", Value::string("HostAgent")),
            ("apiVersion", Value::string(host.version)),
        ],
    )
}

fn config(of: Of<'_>, host: &Host, member: &str) -> Option<Value> {
    Some(match member {
        "product" => product(host),
        "hyperThread" => Value::record(
            "HostHyperThreadScheduleInfo",
            ["available", "active", "config"].map(|name| (name, Value::bool(true))).into(),
        ),
        "storageDevice" => host_hardware::storage(of),
        "network" => network(of),
        "service" => services(of),
        "firewall" => firewall(of),
        "option" => host_options::all(of),
        "dateTimeInfo" => time(of),
        "adminDisabled" => Value::bool(!of.weak("lockdown")),
        "lockdownMode" => {
            Value::leaf("HostLockdownMode", of.either("lockdown", "lockdownNormal", "lockdownDisabled"))
        }
        "authenticationManagerInfo" => {
            let joined = of.either("active directory", true, false);
            let mut directory = vec![("enabled", Value::bool(joined))];
            if joined {
                directory.push(("joinedDomain", Value::string("example.net")));
                directory.push(("domainMembershipStatus", Value::string("ok")));
            }
            directory.push(("smartCardAuthenticationEnabled", Value::bool(false)));
            let local = Value::record("HostLocalAuthenticationInfo", vec![("enabled", Value::bool(true))]);
            let ways = [local, Value::record("HostActiveDirectoryInfo", directory)].map(Value::named);
            Value::record(
                "HostAuthenticationManagerInfo",
                vec![("authConfig", Value::list("HostAuthenticationStoreInfo", ways))],
            )
        }
        _ => return None,
    })
}

/// The members of `HostConfigInfo` that are told, in the order of the WSDL.
const CONFIG: &[&str] = &[
    "product",
    "hyperThread",
    "storageDevice",
    "network",
    "service",
    "firewall",
    "option",
    "dateTimeInfo",
    "adminDisabled",
    "lockdownMode",
    "authenticationManagerInfo",
];

fn runtime(of: Of<'_>, host: &Host) -> Value {
    let tpm = !of.weak("tpm");
    let mut members = vec![
        ("connectionState", Value::leaf("HostSystemConnectionState", host.connection)),
        ("powerState", Value::leaf("HostSystemPowerState", host.power)),
        ("standbyMode", Value::string("none")),
        ("inMaintenanceMode", Value::bool(host.maintenance)),
        ("inQuarantineMode", Value::bool(false)),
    ];
    members.extend(host.boot_time.map(|time| ("bootTime", Value::leaf("xsd:dateTime", time))));
    members.push(("cryptoState", Value::string(of.either("crypto", "safe", "incapable"))));
    let encryption = vec![
        ("protectionMode", Value::string(if tpm { "tpm" } else { "none" })),
        ("requireSecureBoot", Value::bool(!of.weak("secure boot"))),
        ("requireExecInstalledOnly", Value::bool(!of.weak("installed only"))),
    ];
    members.push(("stateEncryption", Value::record("HostRuntimeInfoStateEncryptionInfo", encryption)));
    Value::record("HostRuntimeInfo", members)
}

fn capability(of: Of<'_>) -> Value {
    let tpm = !of.weak("tpm");
    let mut members = vec![("tpmSupported", Value::bool(tpm))];
    if tpm {
        members.push(("tpmVersion", Value::string("2.0")));
    }
    members.push(("txtEnabled", Value::bool(tpm)));
    members.push(("cryptoSupported", Value::bool(true)));
    members.push(("encryptedVMotionSupported", Value::bool(true)));
    members.push(("uefiSecureBoot", Value::bool(!of.weak("secure boot"))));
    Value::record("HostCapability", members)
}

fn attestation(of: Of<'_>, host: &Host) -> Option<Value> {
    let time = host.boot_time.filter(|_| !of.weak("tpm"))?;
    let status = of.either("attestation", "accepted", "notAccepted");
    let members = vec![
        ("time", Value::leaf("xsd:dateTime", time)),
        ("status", Value::leaf("HostTpmAttestationInfoAcceptanceStatus", status)),
    ];
    Some(Value::record("HostTpmAttestationInfo", members))
}

fn summary(entity: &Entity, host: &Host) -> Value {
    Value::record(
        "HostConfigSummary",
        vec![
            ("name", Value::string(&entity.name)),
            ("port", Value::int(443)),
            ("product", product(host)),
            ("vmotionEnabled", Value::bool(true)),
            ("faultToleranceEnabled", Value::bool(false)),
        ],
    )
}

/// The setting at a path of a host.
pub(super) fn value(world: &World, entity: &Entity, host: &Host, path: &str) -> Option<Value> {
    let of = Of { world, id: entity.id };
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if first == "runtime" {
        return runtime(of, host).at(rest).cloned();
    }
    // A host that was never reached has told nothing.
    if host.connection == "notResponding" && host.power == "unknown" {
        return None;
    }
    match first {
        "capability" => capability(of).at(rest).cloned(),
        "hardware" => host_hardware::hardware(of).at(rest).cloned(),
        "summary" => {
            let (second, rest) = rest.split_once('.').unwrap_or((rest, ""));
            match second {
                "tpmAttestation" => attestation(of, host)?.at(rest).cloned(),
                "config" => summary(entity, host).at(rest).cloned(),
                "rebootRequired" => Some(Value::bool(false)),
                _ => None,
            }
        }
        "config" if rest.is_empty() => {
            let member = |name: &&'static str| Some((*name, config(of, host, name)?));
            Some(Value::record("HostConfigInfo", CONFIG.iter().filter_map(member).collect()))
        }
        "config" => {
            let (member, rest) = rest.split_once('.').unwrap_or((rest, ""));
            config(of, host, member)?.at(rest).cloned()
        }
        _ => None,
    }
}
