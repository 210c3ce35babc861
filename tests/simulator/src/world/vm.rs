//! What the simulator keeps of a virtual machine: small, because there may be 45,000 of them; XML is made when it is asked for.

use jiff::Timestamp;
use uuid::Uuid;

use super::ObjId;

/// A virtual machine.
#[derive(Debug, Clone)]
pub(crate) struct Vm {
    /// Set for a VM directly inside a vApp; its `parent` is then unset, as in vCenter.
    pub(crate) parent_vapp: Option<ObjId>,
    pub(crate) pool: Option<ObjId>,
    pub(crate) host: Option<ObjId>,
    pub(crate) power: Power,
    pub(crate) connection: Connection,
    pub(crate) consolidation_needed: bool,
    pub(crate) boot_time: Option<Timestamp>,
    /// `None` for an orphaned or inaccessible VM: vCenter then has no configuration to show.
    pub(crate) config: Option<Box<Config>>,
    pub(crate) guest: Guest,
    pub(crate) datastores: Vec<ObjId>,
    pub(crate) networks: Vec<ObjId>,
    pub(crate) snapshots: Option<Box<Snapshots>>,
}

/// `VirtualMachinePowerState`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    On,
    Off,
    Suspended,
}

impl Power {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::On => "poweredOn",
            Self::Off => "poweredOff",
            Self::Suspended => "suspended",
        }
    }
}

/// `VirtualMachineConnectionState`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Connected,
    Disconnected,
    Orphaned,
    Inaccessible,
    Invalid,
}

impl Connection {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Orphaned => "orphaned",
            Self::Inaccessible => "inaccessible",
            Self::Invalid => "invalid",
        }
    }
}

/// The part of `VirtualMachineConfigInfo` that anybody asks for.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) uuid: Uuid,
    pub(crate) instance_uuid: Uuid,
    pub(crate) template: bool,
    pub(crate) guest_id: &'static str,
    pub(crate) guest_full_name: &'static str,
    pub(crate) annotation: Box<str>,
    pub(crate) version: &'static str,
    pub(crate) firmware: &'static str,
    pub(crate) create_date: Option<Timestamp>,
    pub(crate) managed_by: Option<(&'static str, &'static str)>,
    /// Fault tolerance: role (1 primary, 2 secondary) and the instance UUIDs of the pair.
    pub(crate) fault_tolerance: Option<(u8, Vec<Uuid>)>,
    pub(crate) cpus: u32,
    pub(crate) cores_per_socket: u32,
    pub(crate) memory_mb: u32,
    pub(crate) controllers: Vec<Controller>,
    pub(crate) disks: Vec<Disk>,
    pub(crate) nics: Vec<Nic>,
    /// A PCI device handed through to the guest (GPU, FPGA): such a VM cannot be snapshotted with memory.
    pub(crate) passthrough: bool,
}

/// A disk controller.
#[derive(Debug, Clone)]
pub(crate) struct Controller {
    pub(crate) key: i32,
    pub(crate) kind: ControllerKind,
    pub(crate) bus: u8,
    /// `noSharing`, `virtualSharing` or `physicalSharing`
    pub(crate) sharing: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControllerKind {
    ParaVirtual,
    LsiSas,
    Ahci,
    Nvme,
}

/// A virtual disk.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) key: i32,
    pub(crate) controller: i32,
    pub(crate) unit: u8,
    pub(crate) bytes: u64,
    /// `persistent`, `independent_persistent`, `independent_nonpersistent`, …
    pub(crate) mode: &'static str,
    pub(crate) backing: Backing,
    pub(crate) datastore: ObjId,
    pub(crate) uuid: Uuid,
    /// `sharingNone` or `sharingMultiWriter`
    pub(crate) sharing: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    FlatThin,
    FlatLazy,
    FlatEager,
    SeSparse,
    RdmPhysical,
    RdmVirtual,
}

/// A network adapter.
#[derive(Debug, Clone)]
pub(crate) struct Nic {
    pub(crate) key: i32,
    pub(crate) model: &'static str,
    pub(crate) mac: [u8; 6],
    pub(crate) network: ObjId,
    pub(crate) connected: bool,
}

/// The part of `GuestInfo` that anybody asks for.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub(crate) tools_running: &'static str,
    pub(crate) tools_version_status2: &'static str,
    pub(crate) tools_version: Option<u32>,
    pub(crate) family: Option<&'static str>,
    pub(crate) id: Option<&'static str>,
    pub(crate) full_name: Option<&'static str>,
    pub(crate) state: &'static str,
    pub(crate) operations_ready: Option<bool>,
    pub(crate) host_name: Option<Box<str>>,
    pub(crate) ip: Option<Box<str>>,
    pub(crate) nics: Vec<GuestNic>,
}

impl Guest {
    /// What vCenter shows of a guest that does not run: Tools may be installed, nothing else is known.
    pub(crate) fn down(&self) -> Guest {
        Guest {
            tools_running: "guestToolsNotRunning",
            tools_version_status2: self.tools_version_status2,
            tools_version: self.tools_version,
            family: self.family,
            id: self.id,
            full_name: self.full_name,
            state: "notRunning",
            operations_ready: Some(false),
            host_name: self.host_name.clone(),
            ip: None,
            nics: Vec::new(),
        }
    }
}

/// A network adapter as VMware Tools in the guest see it.
#[derive(Debug, Clone)]
pub(crate) struct GuestNic {
    pub(crate) network: Option<Box<str>>,
    pub(crate) mac: [u8; 6],
    pub(crate) device_key: i32,
    pub(crate) addresses: Vec<GuestAddress>,
}

/// One address of a guest's adapter.
#[derive(Debug, Clone)]
pub(crate) struct GuestAddress {
    pub(crate) ip: Box<str>,
    pub(crate) prefix: u8,
    /// `preferred`, `deprecated`, …; vCenter leaves it out for some guests.
    pub(crate) state: Option<&'static str>,
}

/// The snapshots of a VM.
#[derive(Debug, Clone)]
pub(crate) struct Snapshots {
    pub(crate) current: Option<u32>,
    pub(crate) roots: Vec<Snapshot>,
}

/// One snapshot and those that were taken on top of it.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) num: u32,
    pub(crate) id: i32,
    pub(crate) name: Box<str>,
    pub(crate) description: Box<str>,
    pub(crate) created: Timestamp,
    /// Power state of the VM at the moment: a snapshot with memory shows `poweredOn`.
    pub(crate) state: Power,
    pub(crate) quiesced: bool,
    pub(crate) children: Vec<Snapshot>,
}

impl Snapshots {
    /// The snapshot called by its number, anywhere in the tree.
    pub(crate) fn find(&self, num: u32) -> Option<&Snapshot> {
        self.path(num)?.pop()
    }

    /// The snapshots from a root down to this one.
    pub(crate) fn path(&self, num: u32) -> Option<Vec<&Snapshot>> {
        fn walk<'a>(list: &'a [Snapshot], num: u32, path: &mut Vec<&'a Snapshot>) -> bool {
            list.iter().any(|snapshot| {
                path.push(snapshot);
                if snapshot.num == num || walk(&snapshot.children, num, path) {
                    return true;
                }
                path.pop();
                false
            })
        }
        let mut path = Vec::new();
        walk(&self.roots, num, &mut path).then_some(path)
    }

    /// The same, to be changed.
    pub(crate) fn find_mut(&mut self, num: u32) -> Option<&mut Snapshot> {
        fn walk(list: &mut [Snapshot], num: u32) -> Option<&mut Snapshot> {
            for snapshot in list {
                if snapshot.num == num {
                    return Some(snapshot);
                }
                if let Some(found) = walk(&mut snapshot.children, num) {
                    return Some(found);
                }
            }
            None
        }
        walk(&mut self.roots, num)
    }

    /// Takes a snapshot out; its children move up unless they go with it. Returns whether it was there, and its parent.
    pub(crate) fn remove(&mut self, num: u32, with_children: bool) -> Option<Option<u32>> {
        fn walk(list: &mut Vec<Snapshot>, parent: Option<u32>, num: u32, all: bool) -> Option<Option<u32>> {
            if let Some(at) = list.iter().position(|s| s.num == num) {
                let gone = list.remove(at);
                if !all {
                    for (offset, child) in gone.children.into_iter().enumerate() {
                        list.insert(at + offset, child);
                    }
                }
                return Some(parent);
            }
            list.iter_mut().find_map(|s| {
                let this = s.num;
                walk(&mut s.children, Some(this), num, all)
            })
        }
        walk(&mut self.roots, None, num, with_children)
    }
}
