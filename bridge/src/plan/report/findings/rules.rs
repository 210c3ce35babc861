//! What is found wrong with VMs beside failed checks: the rules that are not data.
//!
//! Their ids are parts of the ids of findings and never change.

use mappings::findings::{Class, Kind, Severity};

use super::subject;
use crate::config::FindingsSettings;
use crate::fleet::Part;

/// A rule of our own.
#[derive(Debug)]
pub(super) struct Own {
    pub id: &'static str,
    pub family: &'static str,
    pub class: Class,
    pub severity: Severity,
    pub title: &'static str,
    /// Why it matters.
    pub rationale: &'static str,
    /// What to do.
    pub advice: &'static str,
}

pub(super) static UNMANAGED: Own = Own {
    id: "vm-unmanaged",
    family: "management",
    class: Class::Management,
    severity: Severity::Medium,
    title: "The VM is to be a managed node and is none",
    rationale: "What is no managed node of Systems Manager is neither patched nor looked at by it.",
    advice: "`vmbridge explain` says of the VM what keeps it from being enrolled.",
};

pub(super) static QUARANTINED: Own = Own {
    id: "enrolment-quarantined",
    family: "management",
    class: Class::Management,
    severity: Severity::High,
    title: "Enrolling the VM failed for good",
    rationale: "It is not tried again before a person says so, and until then nobody patches the VM.",
    advice: "See to the cause, then: vmbridge retry.",
};

pub(super) static OFFLINE: Own = Own {
    id: "agent-offline",
    family: "management",
    class: Class::Management,
    severity: Severity::Medium,
    title: "SSM Agent does not report although the VM runs",
    rationale: "A node whose agent does not report is skipped by maintenance windows, so that it is not patched.",
    advice: "Look whether the agent runs in the guest and reaches the endpoints of Systems Manager.",
};

pub(super) static UNPROTECTED: Own = Own {
    id: "no-snapshot-before-window",
    family: "protection",
    class: Class::Protection,
    severity: Severity::High,
    title: "The VM went into its last maintenance window without a snapshot",
    rationale: "Had patching failed, there would have been nothing to go back to.",
    advice: "`vmbridge snapshots` says why there was none; the next window with a snapshot closes this finding.",
};

pub(super) static OLD_SNAPSHOT: Own = Own {
    id: "old-snapshot",
    family: "protection",
    class: Class::Protection,
    severity: Severity::Medium,
    title: "The VM has a snapshot that is older than 72 hours",
    rationale: "A snapshot grows until its datastore is full, slows the VM down, and takes the longer to remove the older it is.",
    advice: "Remove the snapshots that nobody needs. vmbridge never removes those of others.",
};

pub(super) static ORPHANED_SNAPSHOT: Own = Own {
    id: "orphaned-snapshot",
    family: "protection",
    class: Class::Protection,
    severity: Severity::Low,
    title: "The VM has a snapshot of vmbridge that nobody looks after",
    rationale: "It carries the mark of this installation, which knows nothing of it, such as that of a copy or from before the state was lost. It is never removed by itself.",
    advice: "Look at the snapshot and remove it by hand if nobody needs it.",
};

pub(super) static PATCHES: Own = Own {
    id: "patches-missing",
    family: "patching",
    class: Class::Patching,
    severity: Severity::Medium,
    title: "The node lacks patches that its baseline asks for",
    rationale: "Patches that are approved are not in force: they are missing, could not be installed, wait for a restart, or one that was rejected is there.",
    advice: "Run AWS-RunPatchBaseline on the node, or look why its last maintenance window did not help.",
};

/// Whether anybody asks whether objects of a kind meet a rule.
pub(super) fn is_asked(settings: &FindingsSettings, part: &Part, kind: Kind, rule: &str) -> bool {
    let own = [
        (&UNMANAGED, settings.unmanaged),
        (&QUARANTINED, settings.unmanaged),
        (&OFFLINE, settings.offline),
        (&UNPROTECTED, settings.protection),
        (&OLD_SNAPSHOT, settings.protection),
        (&ORPHANED_SNAPSHOT, settings.protection),
        (&PATCHES, settings.patches),
    ];
    if let Some((_, asked)) = own.iter().find(|(own, _)| own.id == rule) {
        return *asked;
    }
    let kind = subject::kind_of_checks(kind);
    let known =
        |reads: &crate::fleet::Reads| reads.rules().rules(kind).any(|known| known.id.as_str() == rule);
    settings.checks && part.reads().is_some_and(|reads| known(reads))
}
