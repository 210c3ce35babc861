//! What hazards are called, and what is told of them.

use jiff::SignedDuration;

use super::{BACKUP_LEFT_OVER, Connection, HARD_CHAIN_LIMIT, Hazard, Missing, NoQuiesce};
use crate::snapshot::name::tidy;
use crate::snapshot::space::Gib;

impl Hazard {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotKnown(_) => "not-known",
            Self::NotConnected(_) => "not-connected",
            Self::Lost(_) => "lost",
            Self::Template => "template",
            Self::PhysicalRdm { .. } => "physical-rdm",
            Self::BusSharing { .. } => "bus-sharing",
            Self::MultiWriter { .. } => "multi-writer",
            Self::Passthrough { .. } => "pci-passthrough",
            Self::FaultTolerance => "fault-tolerance",
            Self::UncoveredDisk { .. } => "uncovered-disk",
            Self::MemoryWithIndependentDisk { .. } => "memory-with-independent-disk",
            Self::GuestIscsi => "guest-iscsi",
            Self::ChainTooLong { .. } => "chain-too-long",
            Self::ConsolidationNeeded => "consolidation-needed",
            Self::ConsolidationUnderWay => "consolidation-under-way",
            Self::BackupRunning { .. } => "backup-running",
            Self::TaskRunning { .. } => "task-running",
            Self::CreateDisabled => "create-disabled",
            Self::DatastoreInaccessible { .. } => "datastore-inaccessible",
            Self::DatastoreMaintenance { .. } => "datastore-maintenance",
            Self::DatastoreLow { .. } => "datastore-low",
            Self::CannotQuiesce(_) => "cannot-quiesce",
            Self::NotQuiesced(_) => "not-quiesced",
            Self::DomainJoined => "domain-joined",
            Self::ToolsOld => "tools-old",
            Self::OldSnapshot { .. } => "old-snapshot",
            Self::LargeMemory { .. } => "large-memory",
            Self::LargeDisk { .. } => "large-disk",
        }
    }

    /// One sentence, without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::NotKnown(missing) => format!("{} not known", missing.what()),
            Self::NotConnected(state) | Self::Lost(state) => match state {
                Connection::Connected => "vCenter reaches the VM".to_owned(),
                Connection::Disconnected => "the VM's host is disconnected".to_owned(),
                Connection::Orphaned => "the VM is registered in vCenter and unknown to its host".to_owned(),
                Connection::Inaccessible => "the VM's files cannot be read".to_owned(),
                Connection::Invalid => "the VM's configuration cannot be understood".to_owned(),
            },
            Self::Template => "it is a template".to_owned(),
            Self::PhysicalRdm { disk } => {
                format!("{} is a raw device mapping in physical mode, of which there are no snapshots", tidy(disk))
            }
            Self::BusSharing { disk } => {
                format!("{} is on a controller that is shared with other VMs, which rules snapshots out", tidy(disk))
            }
            Self::MultiWriter { disk } => {
                format!("several VMs may write to {}, which rules snapshots out", tidy(disk))
            }
            Self::Passthrough { devices: 1 } => {
                "a PCI device of the host is passed through to it, which rules snapshots out".to_owned()
            }
            Self::Passthrough { devices } => {
                format!("{devices} PCI devices of the host are passed through to it, which rules snapshots out")
            }
            Self::FaultTolerance => "fault tolerance is on, which rules snapshots out".to_owned(),
            Self::UncoveredDisk { disk } => {
                format!("a snapshot leaves {} out, and a rollback would not bring it back", tidy(disk))
            }
            Self::MemoryWithIndependentDisk { disk } => {
                format!("{} is independent, which rules out a snapshot with memory", tidy(disk))
            }
            Self::GuestIscsi => {
                "the guest mounts disks by iSCSI, which a snapshot leaves out and a rollback would not bring back"
                    .to_owned()
            }
            Self::ChainTooLong { depth, limit } if *limit >= HARD_CHAIN_LIMIT => {
                format!("there are {depth} snapshots in its chain, and vSphere allows {HARD_CHAIN_LIMIT}")
            }
            Self::ChainTooLong { depth, limit } => {
                format!("there are {depth} snapshots in its chain, and the policy allows {limit} with the new one")
            }
            Self::ConsolidationNeeded => {
                "files of removed snapshots are still in use and need consolidation".to_owned()
            }
            Self::ConsolidationUnderWay => "snapshots of it are just being removed or consolidated".to_owned(),
            Self::BackupRunning { snapshot, age: Some(age) } if *age > BACKUP_LEFT_OVER => format!(
                "the backup snapshot `{}` has been there for {}: it may be left over",
                tidy(snapshot),
                hours(*age)
            ),
            Self::BackupRunning { snapshot, .. } => {
                format!("a backup is under way: there is a snapshot `{}`", tidy(snapshot))
            }
            Self::TaskRunning { task } => format!("another task works on it: {}", tidy(task)),
            Self::CreateDisabled => "vCenter says that no snapshot of it can be taken now".to_owned(),
            Self::DatastoreInaccessible { datastore } => {
                format!("the datastore {} cannot be reached", tidy(datastore))
            }
            Self::DatastoreMaintenance { datastore } => {
                format!("the datastore {} is in maintenance mode, or on the way into it", tidy(datastore))
            }
            Self::DatastoreLow { datastore, free, floor } => format!(
                "{} are free on the datastore {}, and {} must stay free",
                Gib(*free),
                tidy(datastore),
                Gib(*floor)
            ),
            Self::CannotQuiesce(why) => format!("the policy requires quiescing, and {}", why.what()),
            Self::NotQuiesced(why) => format!("taken without quiescing, because {}", why.what()),
            Self::DomainJoined => "it is in a Windows domain: a rollback over a change of its password there, every 30 \
                                   days, breaks its trust"
                .to_owned(),
            Self::ToolsOld => "VMware Tools are older than the host's, and quiescing may fail".to_owned(),
            Self::OldSnapshot { snapshot, age } => {
                format!("the snapshot `{}` of somebody else has been there for {}", tidy(snapshot), hours(*age))
            }
            Self::LargeMemory { size } => {
                format!("{} of memory are written with the snapshot, which is slow", Gib(*size))
            }
            Self::LargeDisk { disk, size } => {
                format!("{} has {}: over 2 TB snapshots are slow", tidy(disk), Gib(*size))
            }
        }
    }

    /// What to do, without a full stop.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotKnown(_) => {
                "wait for the next reading; if it stays, grant System.Read on the VM and its datastores"
            }
            Self::NotConnected(Connection::Inaccessible) => "bring the VM's datastore back",
            Self::NotConnected(_) => "reconnect the host in vCenter",
            Self::Lost(_) => "register the VM again, or remove it from the inventory",
            Self::Template => "leave templates out of the policy's selector",
            Self::PhysicalRdm { .. } => {
                "convert the mapping to virtual mode, or leave the VM to a backup on its storage"
            }
            Self::BusSharing { .. } | Self::MultiWriter { .. } => {
                "leave the VM to a backup within the guest, or end the sharing"
            }
            Self::Passthrough { .. } => "remove the device, or leave the VM to a backup within the guest",
            Self::FaultTolerance => {
                "turn fault tolerance off for the window, or leave the VM out of the policy"
            }
            Self::UncoveredDisk { .. } => {
                "make the disk dependent, or set uncovered_disks where its contents may be left as they are"
            }
            Self::MemoryWithIndependentDisk { .. } => {
                "take the snapshot without memory, or make the disk dependent"
            }
            Self::GuestIscsi => "snapshot the volumes on their storage, and set uncovered_disks",
            Self::ChainTooLong { .. } => {
                "remove snapshots that nobody needs, or raise the policy's max_chain"
            }
            Self::ConsolidationNeeded => "consolidate the VM's disks",
            Self::ConsolidationUnderWay => "wait until it has ended",
            Self::BackupRunning { age: Some(age), .. } if *age > BACKUP_LEFT_OVER => {
                "look in the backup product whether it still works on the VM, and if not, remove the snapshot"
            }
            Self::BackupRunning { .. } => "wait for the backup, or plan it outside the lead time",
            Self::TaskRunning { .. } => "wait for the task, or cancel it in vCenter",
            Self::CreateDisabled => "look for the product that has disabled it, or wait",
            Self::DatastoreInaccessible { .. } => "bring the datastore back",
            Self::DatastoreMaintenance { .. } => "wait until the VM has moved away, or end the maintenance",
            Self::DatastoreLow { .. } => "free space, enlarge the datastore or move VMs away",
            Self::CannotQuiesce(why) => match why {
                NoQuiesce::Tools => "start VMware Tools, or set quiesce to preferred",
                NoQuiesce::ToolsStarting | NoQuiesce::ToolsUnknown => "wait for VMware Tools",
                NoQuiesce::Suspended => "resume the VM, or set quiesce to preferred",
                NoQuiesce::Guest => "set quiesce to preferred or off for such guests",
                NoQuiesce::Memory => "set memory to false, or quiesce to off",
            },
            Self::NotQuiesced(why) => match why {
                NoQuiesce::Tools | NoQuiesce::ToolsStarting | NoQuiesce::ToolsUnknown => "start VMware Tools",
                NoQuiesce::Suspended => "resume the VM before the window",
                NoQuiesce::Guest => "set quiesce to off for such guests",
                NoQuiesce::Memory => "set memory to false, or quiesce to off",
            },
            Self::DomainJoined => "after a rollback, repair the trust: Test-ComputerSecureChannel -Repair",
            Self::ToolsOld => "update VMware Tools",
            Self::OldSnapshot { .. } => "ask its owner to remove it: it grows and slows the VM down",
            Self::LargeMemory { .. } => "set memory to false",
            Self::LargeDisk { .. } => "give the policy more lead time",
        }
    }
}

impl Missing {
    /// With its verb.
    fn what(self) -> &'static str {
        match self {
            Self::Power => "the power state is",
            Self::Connection => "whether vCenter reaches the VM is",
            Self::Template => "whether it is a template is",
            Self::Disks => "its disks are",
            Self::Snapshots => "its snapshots are",
            Self::Passthrough => "its PCI devices are",
            Self::FaultTolerance => "whether fault tolerance is on is",
            Self::Consolidation => "whether its disks need consolidation is",
            Self::Datastores => "the state of its datastores is",
            Self::Tools => "whether VMware Tools run is",
        }
    }
}

impl NoQuiesce {
    fn what(self) -> &'static str {
        match self {
            Self::Tools => "VMware Tools do not run",
            Self::ToolsStarting => "VMware Tools are still starting",
            Self::ToolsUnknown => "it is not known whether VMware Tools run",
            Self::Suspended => "the VM is suspended",
            Self::Guest => "VMware Tools quiesce only Windows and Linux",
            Self::Memory => "a snapshot with memory is not quiesced",
        }
    }
}

/// `31 h`, or `5 days` from three days on.
fn hours(age: SignedDuration) -> String {
    let hours = age.as_hours().max(0);
    if hours < 72 { format!("{hours} h") } else { format!("{} days", hours / 24) }
}
