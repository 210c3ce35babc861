//! `[findings]`: what Security Hub is told.

use std::time::Duration;

use super::capability::{Mode, REPORT_MODE};
use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, Integer, OneOf, Text};

/// What Security Hub is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingsSettings {
    /// How far it may go.
    pub mode: Mode,
    /// How many findings are made of the problems of one VM.
    pub folding: FindingFolding,
    /// An open finding that did not change is sent again after this time, because Security Hub forgets it otherwise.
    pub refresh_after: Duration,
    /// The tag category of vSphere whose tag says who owns a VM.
    pub owner_tag: Option<String>,
    /// Whether findings of Patch Manager about hybrid nodes are resolved, beside being told which VM they mean.
    pub resolve_patch_manager: bool,
    /// Whether there are findings for checks that failed.
    pub checks: bool,
    /// Whether there are findings for VMs that are no managed nodes although they are to be.
    pub unmanaged: bool,
    /// Whether there are findings for nodes whose agent does not report.
    pub offline: bool,
    /// Whether there are findings for VMs without a snapshot before their window, and for old and orphaned snapshots.
    pub protection: bool,
    /// Whether there are findings for nodes that lack patches.
    pub patches: bool,
    /// Findings that are sent or updated in one cycle, at most.
    pub most_per_cycle: usize,
}

impl FindingsSettings {
    /// Nothing is told.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self {
            mode: Mode::Off,
            folding: FindingFolding::Folded,
            refresh_after: Duration::from_secs(60 * 24 * 3600),
            owner_tag: None,
            resolve_patch_manager: false,
            checks: true,
            unmanaged: true,
            offline: true,
            protection: true,
            patches: true,
            most_per_cycle: 5_000,
        }
    }
}

/// How many findings are made of the problems of one VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingFolding {
    /// One for each family of rules.
    Folded,
    /// One for each rule.
    Full,
}

static FOLDING: Key<OneOf<FindingFolding>> = Key {
    name: "folding",
    kind: OneOf(&[("folded", FindingFolding::Folded), ("full", FindingFolding::Full)]),
    need: Need::Default("folded"),
    doc: "`folded`: one finding for each VM and family of rules, which lists the rules that failed. `full`: one for each VM and rule. Security Hub charges by finding; `vmbridge plan` says how many each would make.",
    example: "\"full\"",
};

static REFRESH_DAYS: Key<Integer> = Key {
    name: "refresh_days",
    kind: Integer { min: 1, max: 80 },
    need: Need::Default("60"),
    doc: "An open finding that did not change is sent again after so many days. Security Hub forgets what was not updated for 90 days.",
    example: "30",
};

static OWNER_TAG: Key<Text> = Key {
    name: "owner_tag",
    kind: Text,
    need: Need::Optional,
    doc: "The tag category of vSphere whose tag says who owns a VM. The owner stands in its findings, so that automation rules can send them to the right people.",
    example: "\"Owner\"",
};

static RESOLVE_PATCH_MANAGER: Key<Boolean> = Key {
    name: "resolve_patch_manager",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether the findings that Patch Manager itself makes about hybrid nodes are resolved when a newer one tells of the node, or it lacks no patches any more. AWS never updates them after sending, and calls the node an EC2 instance. Whatever is set here, they get the VM's name and place. They are the only findings of others that vmbridge touches, and only those of nodes that are linked to a VM; what people wrote on them is kept.",
    example: "true",
};

const fn about(name: &'static str, doc: &'static str) -> Key<Boolean> {
    Key { name, kind: Boolean, need: Need::Default("true"), doc, example: "false" }
}

static CHECKS: Key<Boolean> =
    about("checks", "Whether there are findings for checks that failed; see `[checks]`.");
static UNMANAGED: Key<Boolean> = about(
    "unmanaged",
    "Whether there are findings for VMs that are to be managed nodes and are none, with the reason, and for enrolments that are in quarantine.",
);
static OFFLINE: Key<Boolean> = about(
    "offline",
    "Whether there are findings for managed nodes whose agent does not report although the VM runs.",
);
static PROTECTION: Key<Boolean> = about(
    "protection",
    "Whether there are findings for VMs that went into a maintenance window without a snapshot, and for old and orphaned snapshots.",
);
static PATCHES: Key<Boolean> = about(
    "patches",
    "Whether there are findings for managed nodes that lack patches. Patch Manager makes its own if its integration with Security Hub is turned on: then one of the two is enough.",
);

static MOST_PER_CYCLE: Key<Integer> = Key {
    name: "most_per_cycle",
    kind: Integer { min: 100, max: 100_000 },
    need: Need::Default("5000"),
    doc: "Findings that are sent or updated in one cycle, at most; the others follow in the next. A call takes 100, and AWS permits ten calls in a second.",
    example: "20000",
};

pub(super) static SECTION: Section = Section {
    name: "findings",
    shape: Shape::One,
    doc: "What AWS Security Hub is told about VMs, hosts and clusters. It has to be enabled in the account and Region of the target. See [security-hub.md](security-hub.md).",
    keys: &[
        &REPORT_MODE,
        &FOLDING,
        &REFRESH_DAYS,
        &OWNER_TAG,
        &RESOLVE_PATCH_MANAGER,
        &CHECKS,
        &UNMANAGED,
        &OFFLINE,
        &PROTECTION,
        &PATCHES,
        &MOST_PER_CYCLE,
    ],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<FindingsSettings> {
    let mode = table.get(&REPORT_MODE);
    let folding = table.get(&FOLDING);
    let refresh_days = table.get(&REFRESH_DAYS);
    let owner_tag = table.get_optional(&OWNER_TAG);
    let resolve_patch_manager = table.get(&RESOLVE_PATCH_MANAGER);
    let [checks, unmanaged, offline, protection, patches] =
        [&CHECKS, &UNMANAGED, &OFFLINE, &PROTECTION, &PATCHES].map(|key| table.get(key));
    let most_per_cycle = table.get(&MOST_PER_CYCLE);
    Some(FindingsSettings {
        mode: mode?,
        folding: folding?,
        refresh_after: Duration::from_secs(u64::try_from(refresh_days?).unwrap_or(1) * 24 * 3600),
        owner_tag,
        resolve_patch_manager: resolve_patch_manager?,
        checks: checks?,
        unmanaged: unmanaged?,
        offline: offline?,
        protection: protection?,
        patches: patches?,
        most_per_cycle: most_per_cycle?,
    })
}
