//! Snapshots of VMs: taken, removed, gone back to, and what is left of them.
//!
//! Each of these is one short call that begins a task; the work itself takes from seconds to hours and is followed with
//! [`TaskWatch`](crate::watch::TaskWatch). The call is sent once, and its failure says whether the work may have begun all the
//! same; then [`recent_tasks`](super::Vcenter::recent_tasks) and [`snapshots`](super::Vcenter::snapshots) tell.

mod fault;

pub use fault::SnapshotFault;

use super::{Session, Vcenter, WriteError};
use crate::error::Error;
use crate::ids::{MoRef, SnapshotRef, TaskRef};
use crate::model::{PowerState, SnapshotInfo, escape_name};
use crate::property::{Change, ObjectProperties, VirtualMachine};
use crate::soap::operation;
use crate::xml::Element;

/// A snapshot to be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotSpec {
    /// Its name as people are to read it; it is escaped on the way. Several snapshots of a VM may have the same.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Whether the memory of a running VM is kept too. That takes long, and the VM may stand still for it.
    pub memory: bool,
    /// Whether the guest is asked to bring its disks into a consistent state first.
    pub quiesce: Quiesce,
}

/// Whether VMware Tools bring the disks of a running VM into a consistent state before a snapshot. Where Tools do not run it
/// has no effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Quiesce {
    /// They are not asked: the snapshot is as after a power failure.
    #[default]
    Off,
    /// They are asked, and have as long as the server grants by itself (15 minutes).
    On,
    /// They are asked, and have so many minutes: 5 to 240, others the server refuses as `InvalidArgument`.
    WithTimeout(u16),
}

impl Vcenter {
    /// Takes a snapshot. The task's [result](crate::model::TaskInfo::snapshot) is the snapshot.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`SnapshotFault`]. Needs
    /// `VirtualMachine.State.CreateSnapshot` on the VM.
    pub async fn create_snapshot(&self, vm: &MoRef, spec: &SnapshotSpec) -> Result<TaskRef, WriteError> {
        let method = |name| {
            Element::new(name)
                .moref("_this", vm)
                .text("name", escape_name(&spec.name))
                .text("description", &spec.description)
                .text("memory", spec.memory)
        };
        if let Quiesce::WithTimeout(minutes) = spec.quiesce {
            let quiesce =
                Element::typed("quiesceSpec", "VirtualMachineGuestQuiesceSpec").text("timeout", minutes);
            let request = |_: &Session| Ok(method("CreateSnapshotEx_Task").child(quiesce.clone()));
            return self.begin_task(operation!("CreateSnapshotEx_Task"), request).await;
        }
        let quiesce = spec.quiesce == Quiesce::On;
        let request = |_: &Session| Ok(method("CreateSnapshot_Task").text("quiesce", quiesce));
        self.begin_task(operation!("CreateSnapshot_Task"), request).await
    }

    /// Removes a snapshot; those made after it stay. What was written since is merged into the disks, which may take hours.
    ///
    /// `consolidate` merges what earlier removals have left behind, too.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`SnapshotFault`]. Needs
    /// `VirtualMachine.State.RemoveSnapshot` on the VM.
    pub async fn remove_snapshot(
        &self,
        snapshot: &SnapshotRef,
        consolidate: bool,
    ) -> Result<TaskRef, WriteError> {
        let request = |_: &Session| {
            Ok(Element::new("RemoveSnapshot_Task")
                .moref("_this", snapshot.as_moref())
                .text("removeChildren", false)
                .text("consolidate", consolidate))
        };
        self.begin_task(operation!("RemoveSnapshot_Task"), request).await
    }

    /// Takes a VM back to a snapshot: what was written since is lost.
    ///
    /// A VM that was on when a snapshot with memory was taken runs on from there; `suppress_power_on` leaves it off.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`SnapshotFault`]. Needs
    /// `VirtualMachine.State.RevertToSnapshot` on the VM.
    pub async fn revert_to_snapshot(
        &self,
        snapshot: &SnapshotRef,
        suppress_power_on: bool,
    ) -> Result<TaskRef, WriteError> {
        let request = |_: &Session| {
            Ok(Element::new("RevertToSnapshot_Task")
                .moref("_this", snapshot.as_moref())
                .text("suppressPowerOn", suppress_power_on))
        };
        self.begin_task(operation!("RevertToSnapshot_Task"), request).await
    }

    /// Merges the disks that removed snapshots of a VM have left behind.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`SnapshotFault`]. Needs
    /// `VirtualMachine.State.RemoveSnapshot` on the VM.
    pub async fn consolidate_disks(&self, vm: &MoRef) -> Result<TaskRef, WriteError> {
        let request = |_: &Session| Ok(Element::new("ConsolidateVMDisks_Task").moref("_this", vm));
        self.begin_task(operation!("ConsolidateVMDisks_Task"), request).await
    }

    /// Powers a VM on, as it is to be after it was taken back to a snapshot without memory.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`SnapshotFault`]. Needs
    /// `VirtualMachine.Interact.PowerOn` on the VM.
    pub async fn power_on(&self, vm: &MoRef) -> Result<TaskRef, WriteError> {
        let request = |_: &Session| Ok(Element::new("PowerOnVM_Task").moref("_this", vm));
        self.begin_task(operation!("PowerOnVM_Task"), request).await
    }

    /// The snapshots that a VM has now; nothing when it has none. Their names are escaped, as the server has them.
    ///
    /// # Errors
    /// As every call; a VM that does not exist is refused as `ManagedObjectNotFound`.
    pub async fn snapshots(&self, vm: &MoRef) -> Result<Option<SnapshotInfo>, Error> {
        match self.read_vm(vm, "snapshot").await?.snapshot {
            Change::Set(snapshots) => Ok(Some(snapshots)),
            Change::NotMentioned | Change::Unset => Ok(None),
            Change::Unreadable => Err(self.unreadable()),
        }
    }

    /// Whether a VM is on. One that cannot be looked into does not tell, and counts as off.
    ///
    /// # Errors
    /// As every call; a VM that does not exist is refused as `ManagedObjectNotFound`.
    pub async fn is_powered_on(&self, vm: &MoRef) -> Result<bool, Error> {
        match self.read_vm(vm, "runtime.powerState").await?.power_state {
            Change::Set(state) => Ok(state.known() == Some(PowerState::PoweredOn)),
            Change::NotMentioned | Change::Unset => Ok(false),
            Change::Unreadable => Err(self.unreadable()),
        }
    }

    /// Whether removed snapshots of a VM have left disks behind that are to be [merged](Self::consolidate_disks).
    ///
    /// # Errors
    /// As every call; a VM that does not exist is refused as `ManagedObjectNotFound`.
    pub async fn consolidation_needed(&self, vm: &MoRef) -> Result<bool, Error> {
        match self.read_vm(vm, "runtime.consolidationNeeded").await?.consolidation_needed {
            Change::Set(needed) => Ok(needed),
            // A VM that cannot be looked into does not tell.
            Change::NotMentioned | Change::Unset => Ok(false),
            Change::Unreadable => Err(self.unreadable()),
        }
    }

    async fn read_vm(&self, vm: &MoRef, path: &str) -> Result<Box<VirtualMachine>, Error> {
        match self.read_one(|_| Ok(vm.clone()), &[path]).await? {
            Some(ObjectProperties::VirtualMachine(read)) => Ok(read),
            _ => Err(self.unreadable()),
        }
    }

    fn unreadable(&self) -> Error {
        self.lacks(operation!("RetrievePropertiesEx"), "the state of the VM, which this account may not read")
    }
}
