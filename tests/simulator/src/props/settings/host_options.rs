//! The advanced settings of a host. A real one has 1,300 of them; here are those that rules ask, and as many without a meaning
//! that a reader notices if it keeps what it does not need.

use crate::props::value::Value;

use super::Of;

struct Advanced {
    key: &'static str,
    of: &'static str,
    good: &'static str,
    bad: &'static str,
}

const fn advanced(of: &'static str, key: &'static str, good: &'static str, bad: &'static str) -> Advanced {
    Advanced { key, of, good, bad }
}

const fn text(key: &'static str, good: &'static str, bad: &'static str) -> Advanced {
    advanced("xsd:string", key, good, bad)
}

const fn int(key: &'static str, good: &'static str, bad: &'static str) -> Advanced {
    advanced("xsd:int", key, good, bad)
}

const fn long(key: &'static str, good: &'static str, bad: &'static str) -> Advanced {
    advanced("xsd:long", key, good, bad)
}

const fn flag(key: &'static str, good: &'static str, bad: &'static str) -> Advanced {
    advanced("xsd:boolean", key, good, bad)
}

const BANNER: &str = "Authorized users only. Activity is monitored and may be reported.";

const ADVANCED: &[Advanced] = &[
    text("Annotations.WelcomeMessage", BANNER, ""),
    text("Config.Etc.issue", BANNER, ""),
    text("Config.HostAgent.log.level", "info", "trivia"),
    flag("Config.HostAgent.plugins.solo.enableMob", "false", "true"),
    text("Config.HostAgent.plugins.hostsvc.esxAdminsGroup", "vSphere Operators", "ESX Admins"),
    flag("Config.HostAgent.plugins.hostsvc.esxAdminsGroupAutoAdd", "false", "true"),
    int("Config.HostAgent.vmacore.soap.sessionTimeout", "10", "60"),
    text("DCUI.Access", "root", "root,operator"),
    long("Mem.MemEagerZero", "1", "0"),
    long("Mem.ShareForceSalting", "2", "0"),
    long("Net.BMCNetworkEnable", "0", "1"),
    long("Net.BlockGuestBPDU", "1", "0"),
    text("Net.DVFilterBindIpAddress", "", "192.0.2.1"),
    text("ScratchConfig.ConfiguredScratchLocation", "/vmfs/volumes/scratch/.locker", "/tmp/scratch"),
    text("ScratchConfig.CurrentScratchLocation", "/vmfs/volumes/scratch/.locker", "/tmp/scratch"),
    int("Security.AccountLockFailures", "5", "0"),
    int("Security.AccountUnlockTime", "900", "120"),
    int("Security.PasswordHistory", "5", "0"),
    int("Security.PasswordMaxDays", "90", "99999"),
    text(
        "Security.PasswordQualityControl",
        "similar=deny retry=3 min=disabled,disabled,disabled,disabled,15",
        "retry=3 min=disabled,disabled,disabled,7,7",
    ),
    int("Security.SshSessionLimit", "10", "50"),
    flag("Syslog.global.auditRecord.remoteEnable", "true", "false"),
    int("Syslog.global.auditRecord.storageCapacity", "100", "4"),
    text(
        "Syslog.global.auditRecord.storageDirectory",
        "[] /vmfs/volumes/scratch/auditLog",
        "[] /scratch/auditLog",
    ),
    flag("Syslog.global.auditRecord.storageEnable", "true", "false"),
    flag("Syslog.global.certificate.checkCRL", "true", "false"),
    flag("Syslog.global.certificate.checkSSLCerts", "true", "false"),
    flag("Syslog.global.certificate.strictX509Compliance", "true", "false"),
    text("Syslog.global.logDir", "[] /scratch/log", "[] /tmp/log"),
    flag("Syslog.global.logFiltersEnable", "false", "true"),
    text("Syslog.global.logHost", "ssl://syslog.example.net:6514", ""),
    text("Syslog.global.logLevel", "info", "error"),
    long("UserVars.DcuiTimeOut", "600", "0"),
    long("UserVars.ESXiShellInteractiveTimeOut", "900", "0"),
    long("UserVars.ESXiShellTimeOut", "600", "0"),
    text("UserVars.ESXiVPsAllowedCiphers", "ECDHE+AESGCM:ECDHE+AES", "ALL"),
    text("UserVars.ESXiVPsDisabledProtocols", "sslv3,tlsv1,tlsv1.1", "sslv3"),
    long("UserVars.HostClientSessionTimeout", "900", "0"),
    text("UserVars.HostClientWelcomeMessage", "Welcome to {{hostname}}", "Welcome to {{hostname}}"),
    long("UserVars.SuppressHyperthreadWarning", "0", "1"),
    long("UserVars.SuppressShellWarning", "0", "1"),
    flag("VMkernel.Boot.disableHwrng", "false", "true"),
    long("VMkernel.Boot.entropySources", "0", "1"),
    flag("VMkernel.Boot.execInstalledOnly", "true", "false"),
    flag("VMkernel.Boot.hyperthreadingMitigation", "true", "false"),
    flag("VMkernel.Boot.hyperthreadingMitigationIntraVM", "true", "false"),
    text("Vpx.Vpxa.config.log.level", "info", "trivia"),
];

/// Settings without a meaning.
const OTHERS: u32 = 60;

/// The type of a setting, where somebody has set one.
fn type_of(key: &str) -> &'static str {
    ADVANCED.iter().find(|known| known.key.eq_ignore_ascii_case(key)).map_or("xsd:string", |known| known.of)
}

/// All settings, by key.
pub(super) fn all(of: Of<'_>) -> Value {
    let hardening = &of.world.hardening;
    let untouched = ADVANCED.iter().filter(|known| hardening.option(of.id, known.key).is_none());
    let mut all: Vec<(String, Value)> = untouched
        .map(|known| {
            let value = of.either(known.key, known.good, known.bad);
            (known.key.to_owned(), Value::leaf(known.of, value))
        })
        .collect();
    let changed = hardening.options(of.id).filter_map(|(key, value)| Some((key, value?)));
    all.extend(changed.map(|(key, value)| (key.to_owned(), Value::leaf(type_of(key), value))));
    all.extend((0..OTHERS).map(|at| (format!("Disk.Other{at:02}"), Value::leaf("xsd:long", at))));
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Value::list("OptionValue", all.into_iter().map(|(key, value)| Value::option(&key, value)))
}
