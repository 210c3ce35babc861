//! How clusters are set up.

use crate::props::value::Value;
use crate::world::{ObjId, World};

use super::Of;

/// What every compute resource has.
pub(super) const COMPUTE_PATHS: &[&str] =
    &["configurationEx", "configurationEx.vmSwapPlacement", "configurationEx.spbmEnabled"];

/// Of the newer form only what its declared type has can be reached by a path.
pub(super) const PATHS: &[&str] = &[
    "configuration",
    "configuration.dasConfig",
    "configuration.dasConfig.enabled",
    "configuration.dasConfig.vmMonitoring",
    "configuration.dasConfig.hostMonitoring",
    "configuration.dasConfig.vmComponentProtecting",
    "configuration.dasConfig.failoverLevel",
    "configuration.dasConfig.admissionControlEnabled",
    "configuration.drsConfig",
    "configuration.drsConfig.enabled",
    "configuration.drsConfig.enableVmBehaviorOverrides",
    "configuration.drsConfig.defaultVmBehavior",
    "configuration.drsConfig.vmotionRate",
    "summary",
];

fn word(on: bool) -> Value {
    Value::string(if on { "enabled" } else { "disabled" })
}

fn das(of: Of<'_>) -> Value {
    let on = !of.weak("ha");
    let admission = Value::record(
        "ClusterFailoverResourcesAdmissionControlPolicy",
        vec![
            ("resourceReductionToToleratePercent", Value::int(100)),
            ("cpuFailoverResourcesPercent", Value::int(25)),
            ("memoryFailoverResourcesPercent", Value::int(25)),
            ("failoverLevel", Value::int(1)),
            ("autoComputePercentages", Value::bool(true)),
        ],
    );
    let defaults = Value::record(
        "ClusterDasVmSettings",
        vec![
            ("restartPriority", Value::string("medium")),
            ("isolationResponse", Value::string(of.either("isolation", "powerOff", "none"))),
        ],
    );
    Value::record(
        "ClusterDasConfigInfo",
        vec![
            ("enabled", Value::bool(on)),
            (
                "vmMonitoring",
                Value::string(of.either("vm monitoring", "vmMonitoringOnly", "vmMonitoringDisabled")),
            ),
            ("hostMonitoring", word(!of.weak("host monitoring"))),
            ("vmComponentProtecting", word(!of.weak("component protection"))),
            ("failoverLevel", Value::int(1)),
            ("admissionControlPolicy", admission.named()),
            ("admissionControlEnabled", Value::bool(!of.weak("admission control"))),
            ("defaultVmSettings", defaults),
            ("hBDatastoreCandidatePolicy", Value::string("allFeasibleDsWithUserPreference")),
        ],
    )
}

fn drs(of: Of<'_>) -> Value {
    Value::record(
        "ClusterDrsConfigInfo",
        vec![
            ("enabled", Value::bool(!of.weak("drs"))),
            ("enableVmBehaviorOverrides", Value::bool(true)),
            (
                "defaultVmBehavior",
                Value::leaf("DrsBehavior", of.either("drs automation", "fullyAutomated", "manual")),
            ),
            ("vmotionRate", Value::int(3)),
            ("scaleDescendantsShares", Value::string("disabled")),
        ],
    )
}

fn vsan(of: Of<'_>) -> Value {
    let defaults = Value::record(
        "VsanClusterConfigInfoHostDefaultInfo",
        vec![
            ("uuid", Value::string(uuid::Uuid::from_u128(u128::from(of.id.num)))),
            ("autoClaimStorage", Value::bool(false)),
            ("checksumEnabled", Value::bool(true)),
        ],
    );
    Value::record("VsanClusterConfigInfo", vec![("enabled", Value::bool(true)), ("defaultConfig", defaults)])
}

/// The setting at a path of a cluster.
pub(super) fn value(world: &World, id: ObjId, path: &str) -> Option<Value> {
    let of = Of { world, id };
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = match first {
        "configuration" => {
            Value::record("ClusterConfigInfo", vec![("dasConfig", das(of)), ("drsConfig", drs(of))])
        }
        "configurationEx" => Value::record(
            "ClusterConfigInfoEx",
            vec![
                ("vmSwapPlacement", Value::string("vmDirectory")),
                ("spbmEnabled", Value::bool(true)),
                ("dasConfig", das(of)),
                ("drsConfig", drs(of)),
                (
                    "dpmConfigInfo",
                    Value::record(
                        "ClusterDpmConfigInfo",
                        vec![
                            ("enabled", Value::bool(false)),
                            ("defaultDpmBehavior", Value::leaf("DpmBehavior", "automated")),
                            ("hostPowerActionRate", Value::int(3)),
                        ],
                    ),
                ),
                ("vsanConfigInfo", vsan(of)),
                (
                    "proactiveDrsConfig",
                    Value::record("ClusterProactiveDrsConfigInfo", vec![("enabled", Value::bool(false))]),
                ),
                (
                    "cryptoConfig",
                    Value::record(
                        "ClusterCryptoConfigInfo",
                        vec![("cryptoMode", Value::string(of.either("crypto", "onDemand", "noEncryption")))],
                    ),
                ),
            ],
        ),
        "summary" => {
            let mut members = vec![
                ("totalCpu", Value::int(100_000)),
                ("totalMemory", Value::leaf("xsd:long", 1_u64 << 40)),
                ("overallStatus", Value::leaf("ManagedEntityStatus", "green")),
                ("currentFailoverLevel", Value::int(1)),
            ];
            if !of.weak("evc") {
                members.push(("currentEVCModeKey", Value::string("intel-icelake")));
            }
            Value::record("ClusterComputeResourceSummary", members)
        }
        _ => return None,
    };
    value.at(rest).cloned()
}

/// The setting at a path of the compute resource of a standalone host.
pub(super) fn standalone(path: &str) -> Option<Value> {
    let rest = path.strip_prefix("configurationEx")?;
    let config =
        Value::record("ComputeResourceConfigInfo", vec![("vmSwapPlacement", Value::string("vmDirectory"))]);
    config.at(rest.strip_prefix('.').unwrap_or(rest)).cloned()
}
