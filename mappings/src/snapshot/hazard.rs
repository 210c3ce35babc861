//! Pre-flight: may a snapshot of this VM be taken now, and will it be the safety net that it seems to be?
//!
//! What vSphere refuses is better refused here, with the fix, before a window depends on it; what vSphere does without a word
//! (leave a disk out, skip quiescing) would only be noticed when a person rolls back. Each [`Hazard`] is one of three:
//!
//! - it *refuses*: no snapshot until somebody changes something;
//! - it *waits*: it passes without anybody's doing;
//! - it *warns*: the snapshot is taken, and this is written down with it.
//!
//! A fact that is not known and would decide is waited for: a snapshot of which one only hopes that it covers every disk is none.
//!
//! Sources: "Snapshot Limitations" in vSphere's guide to virtual machine administration (physical RDM, bus sharing, iSCSI in the
//! guest, independent disks, `DirectPath` I/O, disks over 2 TB), the faults of `CreateSnapshotEx_Task`, and the vendor's best
//! practices for snapshots (at most 32 in a chain, better two or three; none older than 72 hours).
//!
//! ```
//! use mappings::snapshot::hazard::{Facts, Rules, Verdict, preflight};
//!
//! // Of a VM of which nothing is known, nothing is snapshotted.
//! let before = preflight(&Facts::default(), &Rules::default());
//! let Verdict::Wait(hazards) = before.verdict else { panic!() };
//! assert_eq!(hazards[0].word(), "not-known");
//! ```

mod checks;
mod words;

#[cfg(test)]
mod tests;

use jiff::SignedDuration;

use super::space::{self, DatastoreId, Floor};
pub use crate::selector::{GuestFamily, PowerState};

/// The most snapshots that vSphere allows in a chain.
pub const HARD_CHAIN_LIMIT: u32 = 32;
/// From this age on, the vendor advises, no snapshot should be kept.
pub const OLD: SignedDuration = SignedDuration::from_hours(72);
/// After so long a backup's snapshot is more likely left over than in use. The longest backups of large VMs end within it.
pub const BACKUP_LEFT_OVER: SignedDuration = SignedDuration::from_hours(24);
/// Memory from this size on makes a snapshot slow: it is written to the datastore while the guest stumbles. In bytes.
pub const LARGE_MEMORY: u64 = 32 << 30;
/// Disks over this size make a snapshot slow, the vendor says. In bytes.
pub const LARGE_DISK: u64 = 2 << 40;

/// Whether vCenter reaches a VM (`VirtualMachineConnectionState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It does.
    Connected,
    /// Its host is disconnected.
    Disconnected,
    /// Registered in vCenter, unknown to its host.
    Orphaned,
    /// Its files cannot be read.
    Inaccessible,
    /// Its configuration cannot be understood.
    Invalid,
}

/// VMware Tools in the guest (`VirtualMachineToolsRunningStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tools {
    /// They run.
    Running,
    /// They are starting, or run a power script.
    Starting,
    /// They do not run, or are not installed.
    NotRunning,
}

/// How a disk treats writes and snapshots (`VirtualDiskMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskMode {
    /// Part of snapshots.
    Persistent,
    /// Left out of snapshots.
    IndependentPersistent,
    /// Left out of snapshots; what is written on it is discarded at power-off.
    IndependentNonpersistent,
    /// A mode of other products, which ESXi does not support (`nonpersistent`, `undoable`, `append`), or one that is new.
    Other,
}

/// Whether a disk's controller is shared with other VMs (`VirtualSCSISharing`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusSharing {
    /// It is not.
    None,
    /// With VMs on the same host.
    Virtual,
    /// With VMs on any host.
    Physical,
}

/// What a VM is in fault tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultTolerance {
    /// It has none.
    None,
    /// The one that works.
    Primary,
    /// The one that stands by.
    Secondary,
}

/// A disk. Each part is `None` while it is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disk {
    /// What people call it, such as `Hard disk 1`.
    pub label: String,
    /// How it treats snapshots.
    pub mode: Option<DiskMode>,
    /// Whether it is a raw device mapping in physical mode.
    pub physical_rdm: Option<bool>,
    /// Whether its controller is shared.
    pub bus_sharing: Option<BusSharing>,
    /// Whether several VMs may write to it at once (`sharingMultiWriter`).
    pub multi_writer: Option<bool>,
    /// Where its file is.
    pub datastore: Option<DatastoreId>,
    /// Its size in bytes, as vSphere says it.
    pub capacity: Option<i64>,
}

/// A snapshot that the VM has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Existing {
    /// Its name.
    pub name: String,
    /// How old it is.
    pub age: Option<SignedDuration>,
    /// Whether a record says that it is ours.
    pub ours: bool,
}

/// A datastore on which the VM has files. Each part is `None` while it is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datastore {
    /// Which.
    pub id: DatastoreId,
    /// Its name.
    pub name: String,
    /// Its size in bytes, as vSphere says it.
    pub capacity: Option<i64>,
    /// What is free, in bytes, as vSphere says it.
    pub free: Option<i64>,
    /// Whether it can be reached.
    pub accessible: Option<bool>,
    /// Whether it is in maintenance mode, or on the way into it.
    pub maintenance: Option<bool>,
}

/// What is known of a VM. Each part is `None` while it is not known, because it was not read yet or may not be read; a list
/// that is known to be empty is `Some` of nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its power state.
    pub power: Option<PowerState>,
    /// Whether vCenter reaches it.
    pub connection: Option<Connection>,
    /// Whether it is a template.
    pub template: Option<bool>,
    /// Whether Tools run.
    pub tools: Option<Tools>,
    /// Whether Tools are as new as the host's.
    pub tools_current: Option<bool>,
    /// The guest's family.
    pub guest_family: Option<GuestFamily>,
    /// Whether the guest is a member of a domain. Asked of Windows only.
    pub domain_joined: Option<bool>,
    /// Whether the guest mounts disks by iSCSI itself. vSphere cannot see that, so it is only ever known from a person; not
    /// known says nothing.
    pub guest_iscsi: Option<bool>,
    /// The size of its memory in bytes, as vSphere says it.
    pub memory: Option<i64>,
    /// Snapshots from the first to the one that it runs on.
    pub chain_depth: Option<u32>,
    /// All its snapshots.
    pub snapshots: Option<Vec<Existing>>,
    /// Its disks.
    pub disks: Option<Vec<Disk>>,
    /// How many PCI devices of the host it has. vSphere does not tell a shared graphics device from a passed through one in
    /// this.
    pub pci_passthrough: Option<u32>,
    /// What it is in fault tolerance.
    pub fault_tolerance: Option<FaultTolerance>,
    /// Whether its disks need consolidation.
    pub consolidation_needed: Option<bool>,
    /// The datastores with its files.
    pub datastores: Option<Vec<Datastore>>,
    /// Tasks of others that work on it: their kind (`TaskInfo.descriptionId`), such as `VirtualMachine.relocate`. Not known
    /// says nothing: vCenter itself refuses what cannot be done at once.
    pub tasks: Option<Vec<String>>,
    /// Whether vCenter lists `CreateSnapshot_Task` among what cannot be done with the VM now (`disabledMethod`). Not known says
    /// nothing.
    pub create_disabled: Option<bool>,
}

impl Facts {
    /// The disks that a snapshot covers, for [`space::estimate`]. Those of which datastore or size are not known are left out.
    #[must_use]
    pub fn covered_disks(&self) -> Vec<space::Disk> {
        let covered =
            |disk: &&Disk| disk.mode == Some(DiskMode::Persistent) && disk.physical_rdm != Some(true);
        let disks = self.disks.iter().flatten().filter(covered);
        disks
            .filter_map(|disk| {
                Some(space::Disk { datastore: disk.datastore.clone()?, capacity: disk.capacity? })
            })
            .collect()
    }
}

/// Whether the guest's file systems are to be quiesced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quiesce {
    /// No snapshot without it.
    Required,
    /// Without it rather than none.
    #[default]
    Preferred,
    /// Never.
    Off,
}

/// What the policy asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Whether to quiesce.
    pub quiesce: Quiesce,
    /// Whether memory goes into the snapshot. A VM that is off has none.
    pub memory: bool,
    /// How many snapshots may be in a chain, with the new one. More than [`HARD_CHAIN_LIMIT`] counts as that.
    pub max_chain: u32,
    /// What must stay free on each datastore.
    pub floor: Floor,
    /// Whether it is in order that a snapshot leaves disks out, which a rollback then does not bring back.
    pub allow_uncovered_disks: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            quiesce: Quiesce::Preferred,
            memory: false,
            max_chain: 3,
            floor: Floor::default(),
            allow_uncovered_disks: false,
        }
    }
}

/// Why the guest is not quiesced though the policy prefers or requires it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoQuiesce {
    /// Tools do not run.
    Tools,
    /// Tools are just starting.
    ToolsStarting,
    /// Whether Tools run is not known.
    ToolsUnknown,
    /// The VM is suspended.
    Suspended,
    /// Tools quiesce only Windows and Linux.
    Guest,
    /// A snapshot with memory holds what is not written yet, and vSphere does one or the other.
    Memory,
}

/// A fact that would decide and is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The power state.
    Power,
    /// Whether vCenter reaches the VM.
    Connection,
    /// Whether it is a template.
    Template,
    /// Its disks, or something of one.
    Disks,
    /// Its snapshots.
    Snapshots,
    /// Its PCI devices.
    Passthrough,
    /// Whether fault tolerance is on.
    FaultTolerance,
    /// Whether disks need consolidation.
    Consolidation,
    /// Its datastores, or what is free on one.
    Datastores,
    /// Whether Tools run.
    Tools,
}

/// Something in the way of a snapshot, or of what it is for. Names are as they come from vSphere; the sentences clean them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hazard {
    /// A fact is not known.
    NotKnown(Missing),
    /// vCenter does not reach the VM now.
    NotConnected(Connection),
    /// vCenter has lost the VM: somebody must repair it.
    Lost(Connection),
    /// It is a template.
    Template,
    /// A disk is a raw device mapping in physical mode.
    PhysicalRdm {
        /// The disk's label.
        disk: String,
    },
    /// A disk's controller is shared with other VMs.
    BusSharing {
        /// The disk's label.
        disk: String,
    },
    /// Several VMs may write to a disk.
    MultiWriter {
        /// The disk's label.
        disk: String,
    },
    /// A PCI device of the host is passed through.
    Passthrough {
        /// How many.
        devices: u32,
    },
    /// Fault tolerance is on.
    FaultTolerance,
    /// The snapshot does not cover a disk.
    UncoveredDisk {
        /// The disk's label.
        disk: String,
    },
    /// A snapshot with memory is not possible with an independent disk.
    MemoryWithIndependentDisk {
        /// The disk's label.
        disk: String,
    },
    /// The guest mounts disks that vSphere does not see.
    GuestIscsi,
    /// The chain is as long as the policy allows.
    ChainTooLong {
        /// How long it is.
        depth: u32,
        /// How long it may be.
        limit: u32,
    },
    /// Earlier snapshots were removed and their files are still there.
    ConsolidationNeeded,
    /// They are being put together now.
    ConsolidationUnderWay,
    /// A backup is under way.
    BackupRunning {
        /// The name of its snapshot.
        snapshot: String,
        /// Its age.
        age: Option<SignedDuration>,
    },
    /// Somebody else's task works on the VM.
    TaskRunning {
        /// Its kind.
        task: String,
    },
    /// vCenter says that snapshots cannot be taken now.
    CreateDisabled,
    /// A datastore cannot be reached.
    DatastoreInaccessible {
        /// Its name.
        datastore: String,
    },
    /// A datastore is in maintenance mode or on the way into it.
    DatastoreMaintenance {
        /// Its name.
        datastore: String,
    },
    /// A datastore has less free than must stay free.
    DatastoreLow {
        /// Its name.
        datastore: String,
        /// What is free, in bytes.
        free: u64,
        /// What must stay free, in bytes.
        floor: u64,
    },
    /// Quiescing is required and cannot be done.
    CannotQuiesce(NoQuiesce),
    /// Quiescing is preferred, and the snapshot is taken without.
    NotQuiesced(NoQuiesce),
    /// The guest belongs to a Windows domain.
    DomainJoined,
    /// Tools are older than the host's.
    ToolsOld,
    /// Somebody else's snapshot is old.
    OldSnapshot {
        /// Its name.
        snapshot: String,
        /// Its age.
        age: SignedDuration,
    },
    /// The snapshot holds much memory.
    LargeMemory {
        /// Its size in bytes.
        size: u64,
    },
    /// A disk is very large.
    LargeDisk {
        /// The disk's label.
        disk: String,
        /// Its size in bytes.
        size: u64,
    },
}

/// Whether to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Go,
    /// Not yet: all that must pass first.
    Wait(Vec<Hazard>),
    /// Not until somebody changes something: all that is in the way. What would only have to be waited for is left out.
    Refuse(Vec<Hazard>),
}

/// What a pre-flight finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// Whether to go on.
    pub verdict: Verdict,
    /// What is to be written down with the snapshot, and told.
    pub warnings: Vec<Hazard>,
    /// Whether to quiesce the guest.
    pub quiesce: bool,
    /// Whether to include memory.
    pub memory: bool,
}

/// Judges a VM.
///
/// - Powered off: nothing needs quiescing, and there is no memory.
/// - Quiescing preferred and not possible: it is taken without, and [`Hazard::NotQuiesced`] says so.
/// - A disk that the snapshot leaves out refuses unless the policy allows it. One that forgets at power-off needs no cover: a
///   revert powers the VM off, or on anew.
/// - With memory, an independent disk refuses in any case, as vSphere does.
#[must_use]
pub fn preflight(facts: &Facts, rules: &Rules) -> Preflight {
    checks::preflight(facts, rules)
}
