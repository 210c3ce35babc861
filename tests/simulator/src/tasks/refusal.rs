//! The faults of operations on VMs: those that are known before one begins, and those that scripts ask for by name.

use super::{Operation, TaskKind};
use crate::soap::fault::Fault;
use crate::world::vm::{Backing, Connection, Power, Snapshots, Vm};
use crate::world::{Body, Entity, Kind, ObjId, World};
use crate::xml::Xml;

/// A chain is never longer.
const MAX_LEVELS: u32 = 32;

fn invalid_state() -> Fault {
    Fault::new("InvalidState", "The operation is not allowed in the current state.")
}

pub(super) fn not_supported() -> Fault {
    Fault::new("NotSupported", "The operation is not supported on the object.")
}

pub(super) fn file_locked(vm: &str) -> Fault {
    Fault::new("FileLocked", "Unable to access file since it is locked")
        .with(|xml| xml.text("file", &format!("[datastore] {vm}/{vm}-000001.vmdk")))
}

fn power_state(requested: Power, existing: Power) -> Fault {
    let message = "The attempted operation cannot be performed in the current state.";
    Fault::new("InvalidPowerState", message).with(|xml| {
        xml.val("requestedState", requested.wire());
        xml.val("existingState", existing.wire());
    })
}

/// A device that cannot be in a snapshot.
fn incompatible(device: &str) -> Fault {
    let message = "The virtual machine has devices that are not supported for snapshots.";
    Fault::new("SnapshotIncompatibleDeviceInVm", message).with(|xml| {
        let inner = Fault::new("DeviceNotSupported", &format!("Device {device} is not supported."));
        inner.with(|xml| xml.text("device", device)).write_localized("fault", xml);
    })
}

impl World {
    /// Why an operation cannot be done to a VM now, other than that it is busy.
    pub(super) fn refusal(&self, id: ObjId, operation: &Operation) -> Option<Fault> {
        let Some(vm) = self.get(id).and_then(Entity::vm) else {
            return Some(Fault::no_such_object("VirtualMachine", &id.to_string()));
        };
        let Some(config) = vm.config.as_ref().filter(|_| vm.connection == Connection::Connected) else {
            return Some(invalid_state());
        };
        if config.template {
            return Some(not_supported());
        }
        let host = vm.host.and_then(|host| self.get(host)).map(|entity| &entity.body);
        if matches!(host, Some(Body::Host(host)) if host.connection != "connected") {
            let message = "Unable to communicate with the remote host, since it is disconnected.";
            return Some(Fault::new("HostNotConnected", message));
        }
        match operation {
            Operation::Create { memory, .. } => self.no_snapshot(vm, *memory),
            Operation::Remove { snapshot, .. } | Operation::Revert { snapshot: Some(snapshot), .. } => {
                let known = vm.snapshots.as_ref().is_some_and(|tree| tree.find(*snapshot).is_some());
                (!known).then(|| no_snapshot(*snapshot))
            }
            Operation::Revert { snapshot: None, .. } => {
                let current = vm.snapshots.as_ref().and_then(|tree| tree.current);
                let missing = "The object or item referred to could not be found.";
                current.is_none().then(|| Fault::new("NotFound", missing))
            }
            Operation::RemoveAll { .. } | Operation::Consolidate => None,
            Operation::PowerOn => (vm.power == Power::On).then(|| power_state(Power::On, vm.power)),
            Operation::PowerOff => (vm.power != Power::On).then(|| power_state(Power::Off, vm.power)),
        }
    }

    fn no_snapshot(&self, vm: &Vm, memory: bool) -> Option<Fault> {
        let config = vm.config.as_ref()?;
        if config.fault_tolerance.is_some() {
            return Some(not_supported());
        }
        let level = vm.snapshots.as_ref().map_or(0, |tree| tree.level());
        if level >= MAX_LEVELS {
            let message = "The maximum number of snapshot levels has been reached.";
            return Some(Fault::new("TooManySnapshotLevels", message));
        }
        if config.disks.iter().any(|disk| disk.backing == Backing::RdmPhysical) {
            return Some(incompatible("VirtualDisk"));
        }
        if vm.power != Power::On {
            return None;
        }
        if config.controllers.iter().any(|controller| controller.sharing != "noSharing") {
            return Some(incompatible("VirtualSCSIController"));
        }
        if memory && config.passthrough {
            return Some(incompatible("VirtualPCIPassthrough"));
        }
        let independent = config.disks.iter().any(|disk| disk.mode.starts_with("independent"));
        let message = "Memory snapshots of a virtual machine with independent disks are not possible.";
        (memory && independent).then(|| Fault::new("MemorySnapshotOnIndependentDisk", message))
    }

    /// The fault of an operation on a VM that has one under way.
    pub(super) fn busy(&self, vm: ObjId) -> Option<Fault> {
        let job = self.tasks.jobs.values().find(|job| job.vm == vm)?;
        let task = ObjId::new(Kind::Task, job.task);
        let message = "Another task is already in progress.";
        Some(Fault::new("TaskInProgress", message).with(|xml| xml.moref("task", task)))
    }

    /// The fault of this type, with the members that its type requires.
    pub(super) fn fault_by_name(&self, name: &str, vm: ObjId) -> Fault {
        let machine = self.get(vm);
        let called = machine.map_or("vm", |entity| &*entity.name);
        let power = machine.and_then(Entity::vm).map_or(Power::Off, |vm| vm.power);
        let plain = |xml: &mut Xml| match name {
            "InvalidPowerState" => xml.val("existingState", power.wire()),
            "GenericVmConfigFault" => xml.text("reason", "by script"),
            "TaskInProgress" => xml.moref("task", ObjId::new(Kind::Task, 1)),
            _ => {}
        };
        match name {
            "FileLocked" => file_locked(called),
            "NoDiskSpace" => self.no_space(vm),
            "SnapshotIncompatibleDeviceInVm" => incompatible("VirtualDisk"),
            "ManagedObjectNotFound" => Fault::no_such_object("VirtualMachine", &vm.to_string()),
            _ => Fault::new(name, &format!("{name} by script")).with(plain),
        }
    }

    pub(super) fn no_space(&self, vm: ObjId) -> Fault {
        let datastore = self.home_of(vm).and_then(|id| self.get(id)).map_or("", |entity| &*entity.name);
        let called = self.get(vm).map_or("vm", |entity| &*entity.name);
        let message = format!("Insufficient disk space on datastore '{datastore}'.");
        Fault::new("NoDiskSpace", &message).with(|xml| {
            xml.text("file", &format!("[{datastore}] {called}/{called}-000001.vmdk"));
            xml.text("datastore", datastore);
        })
    }

    /// The fault of a guest that could not be quiesced.
    pub(super) fn not_quiesced(&self, vm: ObjId) -> Fault {
        let windows = self.get(vm).and_then(Entity::vm).is_some_and(crate::guest::soap::is_windows);
        let name = if windows { "ApplicationQuiesceFault" } else { "FilesystemQuiesceFault" };
        Fault::new(
            name,
            "An error occurred while quiescing the virtual machine. See the virtual machine's event log for details.",
        )
    }

    /// Whether a snapshot of this VM that asks for it is really quiesced: it runs, and so do its Tools.
    pub(super) fn can_quiesce(&self, vm: ObjId) -> bool {
        self.get(vm)
            .and_then(Entity::vm)
            .is_some_and(|vm| vm.power == Power::On && vm.guest.tools_running == "guestToolsRunning")
    }
}

pub(super) fn no_snapshot(num: u32) -> Fault {
    Fault::no_such_object("VirtualMachineSnapshot", &ObjId::new(Kind::Snapshot, num).to_string())
}

/// A task that was over already, or a state in which something makes no sense.
pub(super) fn over() -> Fault {
    invalid_state()
}

impl Snapshots {
    /// How many snapshots the current one stands on, itself included.
    pub(crate) fn level(&self) -> u32 {
        self.current
            .and_then(|current| self.path(current))
            .map_or(0, |path| u32::try_from(path.len()).unwrap_or(u32::MAX))
    }
}

impl TaskKind {
    pub(super) fn removes(self) -> bool {
        matches!(self, Self::RemoveSnapshot | Self::RemoveAllSnapshots)
    }
}
