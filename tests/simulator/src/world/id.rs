//! Names of managed objects: what kind of thing, which type vCenter calls it, and its MoRef.

use std::fmt;

/// What kind of managed object an id names. The kind decides the WSDL type and how the MoRef is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    RootFolder,
    VmFolder,
    HostFolder,
    DatastoreFolder,
    NetworkFolder,
    StoragePod,
    Datacenter,
    Cluster,
    StandaloneHost,
    Host,
    Pool,
    VApp,
    Vm,
    Datastore,
    Network,
    Portgroup,
    Snapshot,
    Task,
    CustomFieldsManager,
    TaskManager,
}

use Kind::{
    Cluster, CustomFieldsManager, Datacenter, Datastore, DatastoreFolder, Host, HostFolder, Network,
    NetworkFolder, Pool, Portgroup, RootFolder, Snapshot, StandaloneHost, StoragePod, Task, TaskManager,
    VApp, Vm, VmFolder,
};

const ALL: &[Kind] = &[
    RootFolder,
    VmFolder,
    HostFolder,
    DatastoreFolder,
    NetworkFolder,
    StoragePod,
    Datacenter,
    Cluster,
    StandaloneHost,
    Host,
    VApp,
    Pool,
    Vm,
    Datastore,
    Network,
    Portgroup,
    Snapshot,
    Task,
];

impl Kind {
    /// The concrete type and its base types, most derived first.
    pub(crate) fn types(self) -> &'static [&'static str] {
        match self {
            RootFolder | VmFolder | HostFolder | DatastoreFolder | NetworkFolder => {
                &["Folder", "ManagedEntity"]
            }
            StoragePod => &["StoragePod", "Folder", "ManagedEntity"],
            Datacenter => &["Datacenter", "ManagedEntity"],
            Cluster => &["ClusterComputeResource", "ComputeResource", "ManagedEntity"],
            StandaloneHost => &["ComputeResource", "ManagedEntity"],
            Host => &["HostSystem", "ManagedEntity"],
            Pool => &["ResourcePool", "ManagedEntity"],
            VApp => &["VirtualApp", "ResourcePool", "ManagedEntity"],
            Vm => &["VirtualMachine", "ManagedEntity"],
            Datastore => &["Datastore", "ManagedEntity"],
            Network => &["Network", "ManagedEntity"],
            Portgroup => &["DistributedVirtualPortgroup", "Network", "ManagedEntity"],
            Snapshot => &["VirtualMachineSnapshot"],
            Task => &["Task"],
            CustomFieldsManager => &["CustomFieldsManager"],
            TaskManager => &["TaskManager"],
        }
    }

    /// The WSDL type name.
    pub(crate) fn type_name(self) -> &'static str {
        self.types()[0]
    }

    /// Whether an object of this kind is of `type_name` or derived from it.
    pub(crate) fn is_a(self, type_name: &str) -> bool {
        self.types().contains(&type_name)
    }

    fn prefix(self) -> &'static str {
        match self {
            RootFolder => "group-d",
            VmFolder => "group-v",
            HostFolder => "group-h",
            DatastoreFolder => "group-s",
            NetworkFolder => "group-n",
            StoragePod => "group-p",
            Datacenter => "datacenter-",
            Cluster => "domain-c",
            StandaloneHost => "domain-s",
            Host => "host-",
            Pool => "resgroup-",
            VApp => "resgroup-v",
            Vm => "vm-",
            Datastore => "datastore-",
            Network => "network-",
            Portgroup => "dvportgroup-",
            Snapshot => "snapshot-",
            Task => "task-",
            CustomFieldsManager => "CustomFieldsManager",
            TaskManager => "TaskManager",
        }
    }

    /// Whether this is one of the five kinds of folder (or a datastore cluster).
    pub(crate) fn is_folder(self) -> bool {
        self.is_a("Folder")
    }
}

/// A managed object of one vCenter: kind and number. Prints as its MoRef.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjId {
    pub(crate) kind: Kind,
    pub(crate) num: u32,
}

impl ObjId {
    /// The one CustomFieldsManager.
    pub(crate) const CUSTOM_FIELDS: ObjId = ObjId { kind: CustomFieldsManager, num: 0 };

    /// The one TaskManager.
    pub(crate) const TASK_MANAGER: ObjId = ObjId { kind: TaskManager, num: 0 };

    pub(crate) fn new(kind: Kind, num: u32) -> Self {
        Self { kind, num }
    }

    /// Reads a MoRef value such as `vm-17`; `None` when no inventory object can be called so.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        if let Some(manager) =
            [Self::CUSTOM_FIELDS, Self::TASK_MANAGER].into_iter().find(|id| id.kind.prefix() == value)
        {
            return Some(manager);
        }
        ALL.iter().find_map(|kind| {
            let digits = value.strip_prefix(kind.prefix())?;
            let canonical = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            canonical.then(|| digits.parse().ok())?.map(|num| Self { kind: *kind, num })
        })
    }
}

impl fmt::Display for ObjId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if matches!(self.kind, CustomFieldsManager | TaskManager) {
            return f.write_str(self.kind.prefix());
        }
        write!(f, "{}{}", self.kind.prefix(), self.num)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_what_it_prints() {
        for kind in ALL {
            let id = ObjId::new(*kind, 42);
            assert_eq!(ObjId::parse(&id.to_string()), Some(id));
        }
        assert_eq!(ObjId::parse("vm-"), None);
        assert_eq!(ObjId::parse("vm-1x"), None);
        assert_eq!(ObjId::parse("session[1]2"), None);
    }
}
