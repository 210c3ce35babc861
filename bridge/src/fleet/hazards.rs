//! A VM as a snapshot of it sees it: what is in the way, and which snapshots there are.

use jiff::Timestamp;
use mappings::selector::{Fact, VmFacts as _};
use mappings::snapshot::hazard::{
    BusSharing, Connection, Datastore, Disk, DiskMode, Existing, Facts, FaultTolerance, Tools,
};
use mappings::snapshot::space::DatastoreId;
use vsphere_client::ids::MoRef;
use vsphere_client::model::{self, SnapshotInfo};
use vsphere_client::xml::Named;

use super::facts::VmView;

const NEEDS_CONSOLIDATION: &str = "runtime.consolidationNeeded";

impl<'a> VmView<'a> {
    /// Its snapshots. Unknown: they may not be read.
    #[must_use]
    pub fn snapshots(&self) -> Fact<&'a SnapshotInfo> {
        match self.vm.snapshot.as_deref() {
            Some(info) => Fact::Known(info),
            None if self.vm.unreadable.has("snapshot") => Fact::Unknown,
            None => Fact::Absent,
        }
    }

    /// The datastores that it uses.
    #[must_use]
    pub fn datastores(&self) -> &'a [MoRef] {
        &self.vm.datastores
    }

    /// Whether disks are left over that are to be consolidated, if that is known.
    #[must_use]
    pub fn needs_consolidation(&self) -> Option<bool> {
        match self.vm.consolidation_needed {
            None if !self.vm.unreadable.has(NEEDS_CONSOLIDATION) && self.is_connected() => Some(false),
            known => known,
        }
    }

    /// The size of its memory in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<i64> {
        self.vm.memory_mib.map(|size| i64::from(size) << 20)
    }

    /// What tells a datastore from all others, and which people know it by.
    #[must_use]
    pub fn datastore_id(&self, datastore: &MoRef) -> DatastoreId {
        let name = self.lookup.name(datastore).unwrap_or("a datastore without a name");
        DatastoreId::new(&format!("{name} ({} {})", self.vcenter, datastore.value()))
    }

    /// What a pre-flight has to know. `ours` says which snapshots are.
    #[must_use]
    pub fn hazard_facts(&self, ours: &dyn Fn(&str) -> bool, now: Timestamp) -> Facts {
        let vm = self.vm;
        let readable = |path: &str| !vm.unreadable.has(path);
        let snapshots = match self.snapshots() {
            Fact::Unknown => None,
            Fact::Absent => Some(Vec::new()),
            Fact::Known(info) => {
                let existing = info.iter().map(|tree| Existing {
                    name: tree.name.to_string(),
                    age: tree.created.map(|created| now.duration_since(created)),
                    ours: tree.snapshot.as_ref().is_some_and(|snapshot| ours(snapshot.value())),
                });
                Some(existing.collect())
            }
        };
        let depth = match self.snapshots() {
            Fact::Unknown => None,
            Fact::Absent => Some(0),
            Fact::Known(info) => u32::try_from(info.current_depth()).ok(),
        };
        let disks =
            readable("config.hardware.device").then(|| vm.devices.disks.iter().map(|disk| self.disk(disk)));
        let datastores = readable("datastore").then(|| {
            vm.datastores.iter().map(|datastore| {
                let store = self.lookup.node(datastore).and_then(|node| node.store());
                Datastore {
                    id: self.datastore_id(datastore),
                    name: self.lookup.name(datastore).unwrap_or_default().to_owned(),
                    capacity: store.and_then(|store| store.capacity_bytes),
                    free: store.and_then(|store| store.free_bytes),
                    accessible: store.and_then(|store| store.accessible),
                    maintenance: store
                        .and_then(|store| store.maintenance_mode.as_deref())
                        .map(|mode| mode != "normal"),
                }
            })
        });
        Facts {
            power: known(self.power_state()),
            connection: vm.connection_state.as_ref().and_then(Named::known).map(connection),
            template: vm.core.template,
            tools: vm.tools_running.as_ref().and_then(Named::known).map(tools),
            tools_current: vm.tools_version_status.as_deref().and_then(is_current),
            guest_family: known(self.guest_family()),
            domain_joined: None,
            guest_iscsi: None,
            memory: self.memory_bytes(),
            chain_depth: depth,
            snapshots,
            disks: disks.map(Iterator::collect),
            pci_passthrough: readable("config.hardware.device").then(|| vm.devices.pci_passthrough.into()),
            fault_tolerance: readable("config.ftInfo").then_some(match vm.fault_tolerance_role {
                None => FaultTolerance::None,
                Some(1) => FaultTolerance::Primary,
                Some(_) => FaultTolerance::Secondary,
            }),
            consolidation_needed: self.needs_consolidation(),
            datastores: datastores.map(Iterator::collect),
            tasks: None,
            create_disabled: None,
        }
    }

    fn disk(&self, disk: &super::vm::Disk) -> Disk {
        Disk {
            label: disk.label.as_deref().unwrap_or_default().to_owned(),
            // A disk whose backing does not speak of modes, such as one of a plugin, has none that leaves it out.
            mode: Some(disk.mode.as_ref().map_or(DiskMode::Persistent, |mode| match mode.known() {
                Some(model::DiskMode::Persistent) => DiskMode::Persistent,
                Some(model::DiskMode::IndependentPersistent) => DiskMode::IndependentPersistent,
                Some(model::DiskMode::IndependentNonpersistent) => DiskMode::IndependentNonpersistent,
                _ => DiskMode::Other,
            })),
            physical_rdm: Some(disk.compatibility_mode.as_deref() == Some("physicalMode")),
            bus_sharing: Some(match disk.bus_sharing.as_ref().and_then(Named::known) {
                Some(model::BusSharing::Virtual) => BusSharing::Virtual,
                Some(model::BusSharing::Physical) => BusSharing::Physical,
                _ => BusSharing::None,
            }),
            multi_writer: Some(disk.sharing.as_deref() == Some("sharingMultiWriter")),
            datastore: disk.datastore.as_ref().map(|datastore| self.datastore_id(datastore)),
            capacity: Some(disk.capacity_bytes),
        }
    }
}

fn known<T>(fact: Fact<T>) -> Option<T> {
    match fact {
        Fact::Known(value) => Some(value),
        Fact::Absent | Fact::Unknown => None,
    }
}

fn connection(state: model::ConnectionState) -> Connection {
    match state {
        model::ConnectionState::Connected => Connection::Connected,
        model::ConnectionState::Disconnected => Connection::Disconnected,
        model::ConnectionState::Orphaned => Connection::Orphaned,
        model::ConnectionState::Inaccessible => Connection::Inaccessible,
        model::ConnectionState::Invalid => Connection::Invalid,
    }
}

fn tools(state: model::ToolsRunningStatus) -> Tools {
    match state {
        model::ToolsRunningStatus::Running => Tools::Running,
        model::ToolsRunningStatus::NotRunning => Tools::NotRunning,
        model::ToolsRunningStatus::ExecutingScripts => Tools::Starting,
    }
}

/// What `guest.toolsVersionStatus2` says of their age.
fn is_current(status: &str) -> Option<bool> {
    match status {
        "guestToolsCurrent" | "guestToolsSupportedNew" | "guestToolsUnmanaged" => Some(true),
        "guestToolsNeedUpgrade" | "guestToolsSupportedOld" | "guestToolsTooOld" | "guestToolsBlacklisted" => {
            Some(false)
        }
        _ => None,
    }
}
