//! How virtual machines are set up.

use crate::props::value::Value;
use crate::world::vm::Config;
use crate::world::{Entity, World};

use super::Of;

pub(super) const PATHS: &[&str] = &[
    "config.bootOptions",
    "config.bootOptions.bootDelay",
    "config.bootOptions.enterBIOSSetup",
    "config.bootOptions.efiSecureBootEnabled",
    "config.bootOptions.bootRetryEnabled",
    "config.bootOptions.bootRetryDelay",
    "config.bootOptions.networkBootProtocol",
    "config.flags",
    "config.flags.disableAcceleration",
    "config.flags.enableLogging",
    "config.flags.useToe",
    "config.flags.runWithDebugInfo",
    "config.flags.monitorType",
    "config.flags.htSharing",
    "config.flags.snapshotDisabled",
    "config.flags.snapshotLocked",
    "config.flags.diskUuidEnabled",
    "config.flags.snapshotPowerOffBehavior",
    "config.flags.recordReplayEnabled",
    "config.flags.faultToleranceType",
    "config.flags.cbrcCacheEnabled",
    "config.flags.vvtdEnabled",
    "config.flags.vbsEnabled",
    "config.tools",
    "config.tools.toolsVersion",
    "config.tools.toolsInstallType",
    "config.tools.afterPowerOn",
    "config.tools.afterResume",
    "config.tools.beforeGuestStandby",
    "config.tools.beforeGuestShutdown",
    "config.tools.toolsUpgradePolicy",
    "config.tools.syncTimeWithHostAllowed",
    "config.tools.syncTimeWithHost",
    "config.latencySensitivity",
    "config.latencySensitivity.level",
    "config.rebootPowerOff",
    "config.memoryHotAddEnabled",
    "config.cpuHotAddEnabled",
    "config.cpuHotRemoveEnabled",
    "config.swapPlacement",
    "config.changeTrackingEnabled",
    "config.maxMksConnections",
    "config.guestAutoLockEnabled",
    "config.memoryReservationLockedToMax",
    "config.nestedHVEnabled",
    "config.vPMCEnabled",
    "config.messageBusTunnelEnabled",
    "config.migrateEncryption",
    "config.ftEncryptionMode",
    "config.sevEnabled",
    "config.pmemFailoverEnabled",
    "config.vmxStatsCollectionEnabled",
    "config.vmOpNotificationToAppEnabled",
    // Only what is encrypted has a key.
    "config.keyId",
];

/// An advanced setting: what it is where somebody has taken care, and where nobody has. Nothing: it is not there.
struct Advanced {
    key: &'static str,
    good: Option<&'static str>,
    bad: Option<&'static str>,
}

const fn set(key: &'static str, good: &'static str, bad: Option<&'static str>) -> Advanced {
    Advanced { key, good: Some(good), bad }
}

/// What nobody who takes care would set.
const fn unset(key: &'static str, bad: &'static str) -> Advanced {
    Advanced { key, good: None, bad: Some(bad) }
}

const ADVANCED: &[Advanced] = &[
    set("svga.present", "TRUE", Some("TRUE")),
    set("hpet0.present", "TRUE", Some("TRUE")),
    set("isolation.tools.copy.disable", "TRUE", Some("FALSE")),
    set("isolation.tools.paste.disable", "TRUE", Some("FALSE")),
    set("isolation.tools.dnd.disable", "TRUE", Some("FALSE")),
    set("isolation.tools.setGUIOptions.enable", "FALSE", Some("TRUE")),
    set("isolation.tools.diskShrink.disable", "TRUE", None),
    set("isolation.tools.diskWiper.disable", "TRUE", None),
    set("isolation.tools.hgfsServerSet.disable", "TRUE", None),
    set("isolation.tools.ghi.autologon.disable", "TRUE", None),
    set("isolation.tools.ghi.launchmenu.change", "TRUE", None),
    set("isolation.tools.memSchedFakeSampleStats.disable", "TRUE", None),
    set("isolation.tools.unity.disable", "TRUE", None),
    set("isolation.tools.vmxDnDVersionGet.disable", "TRUE", None),
    set("isolation.device.connectable.disable", "TRUE", Some("FALSE")),
    set("isolation.device.edit.disable", "TRUE", Some("FALSE")),
    set("RemoteDisplay.maxConnections", "1", Some("40")),
    set("RemoteDisplay.vnc.enabled", "FALSE", Some("TRUE")),
    set("tools.setInfo.sizeLimit", "1048576", Some("0")),
    set("tools.guestlib.enableHostInfo", "FALSE", Some("TRUE")),
    set("tools.guest.desktop.autolock", "TRUE", Some("FALSE")),
    set("log.keepOld", "10", None),
    set("log.rotateSize", "2048000", Some("0")),
    set("mks.enable3d", "FALSE", Some("TRUE")),
    unset("sched.mem.pshare.salt", "shared"),
    unset("ethernet0.filter1.name", "dvfilter-maclearn"),
    unset("svga.vgaOnly", "FALSE"),
    unset("isolation.monitor.control.disable", "FALSE"),
];

/// The advanced settings that are set.
fn options(of: Of<'_>, entity: &Entity) -> Value {
    let nvram = format!("{}.nvram", entity.name);
    let mut all: Vec<(&str, &str)> = vec![("nvram", &nvram)];
    for setting in ADVANCED {
        let value = of.either(setting.key, setting.good, setting.bad);
        if let (Some(value), None) = (value, of.world.hardening.option(of.id, setting.key)) {
            all.push((setting.key, value));
        }
    }
    let changed = of.world.hardening.options(of.id);
    all.extend(changed.filter_map(|(key, value)| Some((key, value?))));
    Value::list("OptionValue", all.into_iter().map(|(key, value)| Value::option(key, Value::string(value))))
}

fn flags(of: Of<'_>, config: &Config) -> Value {
    // Only Windows can make use of it, and only with EFI.
    let vbs = config.guest_id.starts_with("windows") && config.firmware == "efi" && !of.weak("vbs");
    Value::record(
        "VirtualMachineFlagInfo",
        vec![
            ("disableAcceleration", Value::bool(false)),
            ("enableLogging", Value::bool(of.either("logging", true, false))),
            ("useToe", Value::bool(false)),
            ("runWithDebugInfo", Value::bool(of.either("debug", false, true))),
            ("monitorType", Value::string(of.either("debug", "release", "debug"))),
            ("htSharing", Value::string("any")),
            ("snapshotDisabled", Value::bool(false)),
            ("snapshotLocked", Value::bool(false)),
            ("diskUuidEnabled", Value::bool(false)),
            ("snapshotPowerOffBehavior", Value::string("powerOff")),
            ("recordReplayEnabled", Value::bool(false)),
            ("faultToleranceType", Value::string("unset")),
            ("cbrcCacheEnabled", Value::bool(false)),
            ("vvtdEnabled", Value::bool(false)),
            ("vbsEnabled", Value::bool(vbs)),
        ],
    )
}

fn tools(of: Of<'_>) -> Value {
    let upgrade = of.either("tools upgrade", "upgradeAtPowerCycle", "manual");
    Value::record(
        "ToolsConfigInfo",
        vec![
            ("toolsVersion", Value::int(12389)),
            ("toolsInstallType", Value::string("guestToolsTypeOpenVMTools")),
            ("afterPowerOn", Value::bool(true)),
            ("afterResume", Value::bool(true)),
            ("beforeGuestStandby", Value::bool(true)),
            ("beforeGuestShutdown", Value::bool(true)),
            ("toolsUpgradePolicy", Value::string(upgrade)),
            ("syncTimeWithHostAllowed", Value::bool(true)),
            ("syncTimeWithHost", Value::bool(of.either("time sync", false, true))),
        ],
    )
}

fn boot_options(of: Of<'_>, config: &Config) -> Value {
    // Secure boot is a thing of EFI.
    let secure = config.firmware == "efi" && !of.weak("secure boot");
    Value::record(
        "VirtualMachineBootOptions",
        vec![
            ("bootDelay", Value::leaf("xsd:long", 0)),
            ("enterBIOSSetup", Value::bool(false)),
            ("efiSecureBootEnabled", Value::bool(secure)),
            ("bootRetryEnabled", Value::bool(false)),
            ("bootRetryDelay", Value::leaf("xsd:long", 10000)),
            ("networkBootProtocol", Value::string("ipv4")),
        ],
    )
}

/// The setting at a path of a virtual machine.
pub(super) fn value(world: &World, entity: &Entity, config: &Config, path: &str) -> Option<Value> {
    let of = Of { world, id: entity.id };
    let (first, rest) =
        path.strip_prefix("config.")?.split_once('.').unwrap_or((path.strip_prefix("config.")?, ""));
    let value = match first {
        "extraConfig" => options(of, entity),
        "bootOptions" => boot_options(of, config),
        "flags" => flags(of, config),
        "tools" => tools(of),
        "latencySensitivity" => {
            let level = Value::leaf("LatencySensitivitySensitivityLevel", "normal");
            Value::record("LatencySensitivity", vec![("level", level)])
        }
        "swapPlacement" => Value::string("inherit"),
        "maxMksConnections" => Value::int(of.either("console", 1, 40)),
        "guestAutoLockEnabled" => Value::bool(of.either("console", true, false)),
        "vmxStatsCollectionEnabled" => Value::bool(true),
        "changeTrackingEnabled" => Value::bool(of.either("cbt", true, false)),
        "migrateEncryption" => Value::string(of.either("migrateEncryption", "required", "disabled")),
        "ftEncryptionMode" => {
            Value::string(of.either("ftEncryption", "ftEncryptionRequired", "ftEncryptionDisabled"))
        }
        "rebootPowerOff"
        | "memoryHotAddEnabled"
        | "cpuHotAddEnabled"
        | "cpuHotRemoveEnabled"
        | "memoryReservationLockedToMax"
        | "nestedHVEnabled"
        | "vPMCEnabled"
        | "messageBusTunnelEnabled"
        | "sevEnabled"
        | "pmemFailoverEnabled"
        | "vmOpNotificationToAppEnabled" => Value::bool(false),
        _ => return None,
    };
    value.at(rest).cloned()
}
