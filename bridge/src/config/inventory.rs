//! `[inventory]`: what Systems Manager's inventory says of VMs.

use super::capability::{Mode, REPORT_MODE};
use super::reader::TableReader;
use super::schema::{Section, Shape};

/// What Systems Manager's inventory says of VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventorySettings {
    /// How far it may go.
    pub mode: Mode,
}

impl InventorySettings {
    /// Nothing is told.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self { mode: Mode::Off }
    }
}

pub(super) static SECTION: Section = Section {
    name: "inventory",
    shape: Shape::One,
    doc: "What the inventory of Systems Manager says of VMs and of the hosts that they run on: the types `Custom:VSphereVirtualMachine`, `Custom:VSphereDisk`, `Custom:VSphereNetworkAdapter`, `Custom:VSphereSnapshot` and `Custom:VSphereHost` of each managed node. See [ssm-inventory.md](ssm-inventory.md).",
    keys: &[&REPORT_MODE],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<InventorySettings> {
    Some(InventorySettings { mode: table.get(&REPORT_MODE)? })
}
