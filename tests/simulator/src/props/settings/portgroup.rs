//! How port groups of distributed switches are set up.
//!
//! The port settings are of a type that is derived from the declared one, so that there is no path into what only that has.

use crate::props::value::Value;
use crate::world::{Entity, World};

use super::Of;

pub(super) const PATHS: &[&str] = &[
    "config",
    "config.key",
    "config.name",
    "config.numPorts",
    "config.defaultPortConfig",
    "config.type",
    "config.backingType",
    "config.policy",
    "config.policy.blockOverrideAllowed",
    "config.policy.shapingOverrideAllowed",
    "config.policy.vendorConfigOverrideAllowed",
    "config.policy.livePortMovingAllowed",
    "config.policy.portConfigResetAtDisconnect",
    "config.policy.networkResourcePoolOverrideAllowed",
    "config.policy.trafficFilterOverrideAllowed",
    "config.configVersion",
    "config.autoExpand",
    "config.uplink",
];

fn flag(value: bool) -> Value {
    Value::record("BoolPolicy", vec![("inherited", Value::bool(false)), ("value", Value::bool(value))])
}

fn ports(of: Of<'_>, entity: &Entity) -> Value {
    let changed = of.world.hardening.policy(of.id);
    let permits = |changed: Option<bool>, setting: &str| changed.unwrap_or_else(|| of.weak(setting));
    let promiscuous = permits(changed.promiscuous, "promiscuous");
    let mac_changes = permits(changed.mac_changes, "mac changes");
    let forged = permits(changed.forged_transmits, "forged transmits");
    // Every network of VMs has a number of its own; 4095 would be all of them at once.
    let vlan = of.either("vlan", i64::from(entity.id.num % 4000) + 1, 4095);
    let vlan = Value::record(
        "VmwareDistributedVirtualSwitchVlanIdSpec",
        vec![("inherited", Value::bool(false)), ("vlanId", Value::int(vlan))],
    );
    let security = Value::record(
        "DVSSecurityPolicy",
        vec![
            ("inherited", Value::bool(false)),
            ("allowPromiscuous", flag(promiscuous)),
            ("macChanges", flag(mac_changes)),
            ("forgedTransmits", flag(forged)),
        ],
    );
    let learning = Value::record(
        "DVSMacLearningPolicy",
        vec![
            ("inherited", Value::bool(false)),
            ("enabled", Value::bool(of.weak("mac learning"))),
            ("allowUnicastFlooding", Value::bool(false)),
            ("limit", Value::int(4096)),
            ("limitPolicy", Value::string("DROP")),
        ],
    );
    let mac = Value::record(
        "DVSMacManagementPolicy",
        vec![
            ("inherited", Value::bool(false)),
            ("allowPromiscuous", Value::bool(promiscuous)),
            ("macChanges", Value::bool(mac_changes)),
            ("forgedTransmits", Value::bool(forged)),
            ("macLearningPolicy", learning),
        ],
    );
    Value::record(
        "VMwareDVSPortSetting",
        vec![
            ("blocked", flag(false)),
            ("vmDirectPathGen2Allowed", flag(false)),
            ("vlan", vlan.named()),
            ("securityPolicy", security),
            ("ipfixEnabled", flag(of.weak("ipfix"))),
            ("txUplink", flag(false)),
            ("macManagementPolicy", mac),
        ],
    )
    .named()
}

fn policy(of: Of<'_>) -> Value {
    let overrides = || Value::bool(of.weak("overrides"));
    Value::record(
        "VMwareDVSPortgroupPolicy",
        vec![
            ("blockOverrideAllowed", Value::bool(true)),
            ("shapingOverrideAllowed", overrides()),
            ("vendorConfigOverrideAllowed", overrides()),
            ("livePortMovingAllowed", overrides()),
            ("portConfigResetAtDisconnect", Value::bool(of.either("reset", true, false))),
            ("networkResourcePoolOverrideAllowed", overrides()),
            ("trafficFilterOverrideAllowed", overrides()),
            ("vlanOverrideAllowed", overrides()),
            ("uplinkTeamingOverrideAllowed", overrides()),
            ("securityPolicyOverrideAllowed", overrides()),
            ("ipfixOverrideAllowed", overrides()),
            ("macManagementOverrideAllowed", overrides()),
        ],
    )
    .named()
}

/// The setting at a path of a port group.
pub(super) fn value(world: &World, entity: &Entity, path: &str) -> Option<Value> {
    let of = Of { world, id: entity.id };
    let rest = path.strip_prefix("config")?;
    let config = Value::record(
        "DVPortgroupConfigInfo",
        vec![
            ("key", Value::string(entity.id)),
            ("name", Value::string(&entity.name)),
            ("numPorts", Value::int(8)),
            ("defaultPortConfig", ports(of, entity)),
            ("type", Value::string("earlyBinding")),
            ("backingType", Value::string("standard")),
            ("policy", policy(of)),
            ("configVersion", Value::string(1)),
            ("autoExpand", Value::bool(true)),
            ("uplink", Value::bool(false)),
        ],
    );
    config.at(rest.strip_prefix('.').unwrap_or(rest)).cloned()
}
