//! The checks of protection as an auditor sees them: beside the rules of hardening, with what is to be done.

use mappings::compliance::table::Reason;

use super::RuleDocument;

/// A check of the list `Custom:VSphereProtection`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Check {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) severity: &'static str,
    reads: &'static str,
    remediation: &'static str,
}

/// All of them, as [`mappings::compliance::protection`] makes them.
pub(super) const CHECKS: [Check; 6] = [
    Check {
        id: "agent-online",
        title: "SSM Agent is online",
        severity: "high",
        reads: "PingStatus (DescribeInstanceInformation)",
        remediation: "Look at the agent's log in the guest; `vmbridge explain` says what vmbridge does about it.",
    },
    Check {
        id: "tools-running",
        title: "VMware Tools run",
        severity: "medium",
        reads: "guest.toolsRunningStatus",
        remediation: "Start the service of VMware Tools in the guest.",
    },
    Check {
        id: "tools-current",
        title: "VMware Tools are current",
        severity: "medium",
        reads: "guest.toolsVersionStatus2",
        remediation: "Update VMware Tools, or open-vm-tools with the packages of the guest's distribution.",
    },
    Check {
        id: "snapshot-before-window",
        title: "There was a snapshot before the last maintenance window",
        severity: "high",
        reads: "snapshot",
        remediation: "`vmbridge windows` says why there was none.",
    },
    Check {
        id: "no-old-snapshot",
        title: "No snapshot is too old",
        severity: "medium",
        reads: "snapshot",
        remediation: "Remove the snapshot if nobody needs it; `vmbridge snapshot list` has all of them.",
    },
    Check {
        id: "no-consolidation-needed",
        title: "No disks are left to be consolidated",
        severity: "medium",
        reads: "runtime.consolidationNeeded",
        remediation: "Consolidate the disks of the VM in the vSphere Client.",
    },
];

/// The check with this id.
pub(super) fn check(id: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.id == id)
}

/// Whether a row of the table can have this instead of a rule.
pub(super) fn is_known(id: &str) -> bool {
    check(id).is_some() || Reason::WORDS.contains(&id)
}

impl Check {
    /// The same as a rule.
    pub(super) fn document(&self) -> RuleDocument {
        let Self { id, title, severity, reads, remediation } = *self;
        RuleDocument {
            id: id.to_owned(),
            title: title.to_owned(),
            severity: severity.to_owned(),
            kind: "vm".to_owned(),
            family: "protection".to_owned(),
            versions: "every version".to_owned(),
            reads: vec![reads.to_owned()],
            references: Vec::new(),
            remediation: remediation.to_owned(),
            results: std::collections::BTreeMap::new(),
        }
    }
}
