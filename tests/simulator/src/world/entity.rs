//! Everything in the inventory that is not a VM, and the one type that holds any of them.

use jiff::Timestamp;

use super::{Kind, ObjId, vm::Vm};

/// A managed entity: what all of them share, and the part of its own kind.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    pub(crate) id: ObjId,
    /// As vCenter gives it: `%`, `/` and `\` are escaped.
    pub(crate) name: Box<str>,
    pub(crate) parent: Option<ObjId>,
    /// Custom field key and value.
    pub(crate) custom: Vec<(i32, Box<str>)>,
    pub(crate) body: Body,
}

impl Entity {
    /// Where the entity hangs in the tree that container views walk.
    pub(crate) fn container(&self) -> Option<ObjId> {
        match &self.body {
            Body::Vm(vm) => self.parent.or(vm.parent_vapp),
            _ => self.parent,
        }
    }

    pub(crate) fn vm(&self) -> Option<&Vm> {
        match &self.body {
            Body::Vm(vm) => Some(vm),
            _ => None,
        }
    }

    pub(crate) fn vm_mut(&mut self) -> Option<&mut Vm> {
        match &mut self.body {
            Body::Vm(vm) => Some(vm),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Folder,
    Datacenter(DatacenterFolders),
    Compute(Compute),
    Host(Box<Host>),
    Pool { owner: ObjId },
    VApp { owner: ObjId, parent_folder: Option<ObjId> },
    Vm(Box<Vm>),
    Datastore(Box<Datastore>),
    Network,
}

/// The four folders that every datacenter has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DatacenterFolders {
    pub(crate) vm: ObjId,
    pub(crate) host: ObjId,
    pub(crate) datastore: ObjId,
    pub(crate) network: ObjId,
}

/// A cluster or the compute resource around a standalone host.
#[derive(Debug, Clone)]
pub(crate) struct Compute {
    pub(crate) hosts: Vec<ObjId>,
    pub(crate) root_pool: ObjId,
    pub(crate) datastores: Vec<ObjId>,
    pub(crate) networks: Vec<ObjId>,
}

#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) vendor: &'static str,
    pub(crate) model: &'static str,
    pub(crate) uuid: uuid::Uuid,
    pub(crate) cores: u16,
    pub(crate) memory: u64,
    pub(crate) version: &'static str,
    pub(crate) build: &'static str,
    /// `connected`, `disconnected`, `notResponding`
    pub(crate) connection: &'static str,
    /// `poweredOn`, `poweredOff`, `standBy`, `unknown`
    pub(crate) power: &'static str,
    pub(crate) maintenance: bool,
    pub(crate) boot_time: Option<Timestamp>,
    pub(crate) datastores: Vec<ObjId>,
    pub(crate) networks: Vec<ObjId>,
}

#[derive(Debug, Clone)]
pub(crate) struct Datastore {
    /// `VMFS`, `NFS`, `NFS41`, `vsan`, `VVOL`
    pub(crate) kind: &'static str,
    pub(crate) capacity: u64,
    pub(crate) free: u64,
    pub(crate) accessible: bool,
    /// `normal`, `enteringMaintenance`, `inMaintenance`
    pub(crate) maintenance: &'static str,
    pub(crate) hosts: Vec<ObjId>,
}

/// One definition of a custom attribute.
#[derive(Debug, Clone)]
pub(crate) struct CustomField {
    pub(crate) key: i32,
    pub(crate) name: Box<str>,
    /// The type it may be set on; `None` for every type ("global").
    pub(crate) managed_type: Option<&'static str>,
}

impl CustomField {
    /// Whether objects of a kind can have it.
    pub(crate) fn is_for(&self, kind: Kind) -> bool {
        self.managed_type.is_none_or(|of| kind.is_a(of))
    }
}
