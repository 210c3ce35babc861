//! Snapshots of a VM.

use jiff::Timestamp;

use super::{PowerState, data_object};
use crate::ids::MoRef;
use crate::xml::Named;

data_object! {
    /// All snapshots of a VM (`VirtualMachineSnapshotInfo`).
    pub struct SnapshotInfo {
        /// The snapshot that the VM runs on.
        "currentSnapshot" => current: opt MoRef,
        /// The first snapshots of each chain.
        "rootSnapshotList" => roots: many SnapshotTree,
    }
}

data_object! {
    /// One snapshot and those made after it (`VirtualMachineSnapshotTree`).
    pub struct SnapshotTree {
        /// The snapshot. Always sent; without it the snapshot cannot be acted on.
        "snapshot" => snapshot: opt MoRef,
        /// Name.
        "name" => name: one Box<str>,
        /// Description.
        "description" => description: one Box<str>,
        /// Number, unique in the VM.
        "id" => id: one i32,
        /// When it was made, by the host's clock.
        "createTime" => created: opt Timestamp,
        /// Power state of the VM then.
        "state" => state: opt Named<PowerState>,
        /// Whether the guest's file systems were quiesced.
        "quiesced" => quiesced: one bool,
        /// Snapshots made after it.
        "childSnapshotList" => children: many SnapshotTree,
    }
}
