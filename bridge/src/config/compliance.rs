//! `[compliance]`: what Systems Manager's compliance says of VMs.

use super::capability::{Mode, REPORT_MODE};
use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::Boolean;

/// What Systems Manager's compliance says of VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComplianceSettings {
    /// How far it may go.
    pub mode: Mode,
    /// Whether the checks of each VM are written there.
    pub hardening: bool,
    /// Whether agent, Tools and snapshots of each VM are written there.
    pub protection: bool,
}

impl ComplianceSettings {
    /// Nothing is told.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self { mode: Mode::Off, hardening: true, protection: true }
    }
}

static HARDENING: Key<Boolean> = Key {
    name: "hardening",
    kind: Boolean,
    need: Need::Default("true"),
    doc: "Whether the outcome of each check of a VM is written as `Custom:VSphereHardening` of its node.",
    example: "false",
};

static PROTECTION: Key<Boolean> = Key {
    name: "protection",
    kind: Boolean,
    need: Need::Default("true"),
    doc: "Whether it is written as `Custom:VSphereProtection` of its node how a VM is protected: its agent, VMware Tools, the snapshot before its last window, old snapshots.",
    example: "false",
};

pub(super) static SECTION: Section = Section {
    name: "compliance",
    shape: Shape::One,
    doc: "What the compliance of Systems Manager says of VMs, next to what Patch Manager and State Manager say there. See [ssm-compliance.md](ssm-compliance.md).",
    keys: &[&REPORT_MODE, &HARDENING, &PROTECTION],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<ComplianceSettings> {
    let mode = table.get(&REPORT_MODE);
    let hardening = table.get(&HARDENING);
    let protection = table.get(&PROTECTION);
    Some(ComplianceSettings { mode: mode?, hardening: hardening?, protection: protection? })
}
