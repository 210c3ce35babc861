//! Fleets for the tests of others.

use jiff::Timestamp;
use mappings::selector::Selector;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::{
    AboutInfo, ConnectionState, GuestFamily, PowerState, SnapshotInfo, ToolsRunningStatus,
};
use vsphere_client::property::Change as Property;
use vsphere_client::property::{
    Datacenter, Datastore, Folder, ObjectProperties, ObjectReport, ReportKind, VirtualMachine,
};
use vsphere_client::xml::Named;

use super::{FleetUpdate, SharedFleet, TagName, TagUpdate, VcenterName};

/// A VM of a test.
#[derive(Debug, Clone)]
pub(crate) struct TestVm {
    /// Its number: it is `vm-<number>`.
    pub number: u32,
    /// Its name, also in the guest.
    pub name: String,
    /// Its address.
    pub address: String,
    /// `Category:Name`; nothing: its tags are not known.
    pub tags: Option<Vec<String>>,
    /// What it is like at the moment.
    pub machine: TestMachine,
}

/// What a VM of a test is like at the moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TestMachine {
    /// Whether it is on.
    pub on: bool,
    /// Its snapshots.
    pub snapshots: Option<SnapshotInfo>,
    /// Whether disks are left over.
    pub left_over: bool,
    /// The number of the datastore that it is on. None: on none that anybody knows.
    pub datastore: Option<u32>,
}

impl Default for TestMachine {
    fn default() -> Self {
        Self { on: true, snapshots: None, left_over: false, datastore: None }
    }
}

impl TestVm {
    pub(crate) fn new(number: u32, tags: &[&str]) -> Self {
        Self {
            number,
            name: format!("web-{number}"),
            address: format!("10.0.{}.{}", number / 250, number % 250 + 1),
            tags: Some(tags.iter().map(|&tag| tag.to_owned()).collect()),
            machine: TestMachine::default(),
        }
    }

    pub(crate) fn moref(&self) -> MoRef {
        MoRef::of(MoKind::VirtualMachine, &format!("vm-{}", self.number))
    }

    fn power(&self) -> PowerState {
        if self.machine.on { PowerState::PoweredOn } else { PowerState::PoweredOff }
    }

    /// What changes while it is there.
    fn changes(&self) -> ObjectReport {
        let vm = VirtualMachine {
            power_state: Property::Set(Named::Known(self.power())),
            snapshot: self.machine.snapshots.clone().map_or(Property::Unset, Property::Set),
            consolidation_needed: Property::Set(self.machine.left_over),
            ..VirtualMachine::default()
        };
        let properties = ObjectProperties::VirtualMachine(Box::new(vm));
        ObjectReport { object: self.moref(), kind: ReportKind::Modified, properties, extras: Vec::new() }
    }

    fn report(&self) -> ObjectReport {
        let vm = VirtualMachine {
            name: Property::Set(self.name.clone().into()),
            parent: Property::Set(MoRef::new("Folder", "group-v1")),
            power_state: Property::Set(Named::Known(self.power())),
            snapshot: self.machine.snapshots.clone().map_or(Property::Unset, Property::Set),
            consolidation_needed: Property::Set(self.machine.left_over),
            datastores: Property::Set(self.machine.datastore.iter().map(|at| datastore(*at)).collect()),
            template: Property::Set(false),
            instance_uuid: Property::Set(format!("501d1d2d-0e0e-3b8d-65ee-{:012x}", self.number).into()),
            guest_family: Property::Set(Named::Known(GuestFamily::Linux)),
            host_name: Property::Set(self.name.clone().into()),
            ip_address: Property::Set(self.address.clone().into()),
            connection_state: Property::Set(Named::Known(ConnectionState::Connected)),
            guest_id: Property::Set("debian12_64Guest".into()),
            tools_running: Property::Set(Named::Known(ToolsRunningStatus::Running)),
            guest_operations_ready: Property::Set(true),
            host: Property::Set(MoRef::new("HostSystem", &format!("host-{}", self.number % 3))),
            ..VirtualMachine::default()
        };
        ObjectReport {
            object: self.moref(),
            kind: ReportKind::Entered,
            properties: ObjectProperties::VirtualMachine(Box::new(vm)),
            extras: Vec::new(),
        }
    }
}

fn datastore(number: u32) -> MoRef {
    MoRef::new("Datastore", &format!("datastore-{number}"))
}

/// One vCenter of a test.
#[derive(Debug, Clone)]
pub(crate) struct TestVcenter {
    pub fleet: SharedFleet,
    pub name: VcenterName,
    pub uuid: String,
}

impl TestVcenter {
    pub(crate) fn new(fleet: &SharedFleet, name: &str, number: u32) -> Self {
        let name = VcenterName::from(name);
        fleet.add(&name, &Selector::default());
        Self { fleet: fleet.clone(), name, uuid: format!("6f1c6f3e-8a52-4c8e-9d5b-{number:012x}") }
    }

    /// One whole reading with all tags.
    pub(crate) fn read(&self, vms: &[TestVm], now: Timestamp) {
        let apply = |update| self.fleet.apply(&self.name, update, now);
        let about = AboutInfo {
            version: "8.0.3".into(),
            instance_uuid: Some(self.uuid.as_str().into()),
            ..AboutInfo::default()
        };
        apply(FleetUpdate::Started { about });
        let entered = |kind: &str, id: &str, properties| ObjectReport {
            object: MoRef::new(kind, id),
            kind: ReportKind::Entered,
            properties,
            extras: Vec::new(),
        };
        let datacenter = Datacenter { name: Property::Set("dc one".into()), parent: Property::NotMentioned };
        let folder = Folder {
            name: Property::Set("vm".into()),
            parent: Property::Set(MoRef::new("Datacenter", "datacenter-1")),
        };
        let places = [
            entered("Datacenter", "datacenter-1", ObjectProperties::Datacenter(datacenter)),
            entered("Folder", "group-v1", ObjectProperties::Folder(folder)),
        ];
        let mut stores: Vec<u32> = vms.iter().filter_map(|vm| vm.machine.datastore).collect();
        stores.sort_unstable();
        stores.dedup();
        let stores = stores.into_iter().map(|number| {
            let store = Datastore {
                name: Property::Set(format!("store {number}").into()),
                capacity_bytes: Property::Set(1 << 44),
                free_bytes: Property::Set(1 << 43),
                accessible: Property::Set(true),
                maintenance_mode: Property::Set("normal".into()),
                ..Datastore::default()
            };
            let properties = ObjectProperties::Datastore(Box::new(store));
            ObjectReport {
                object: datastore(number),
                kind: ReportKind::Entered,
                properties,
                extras: Vec::new(),
            }
        });
        let places = places.into_iter().chain(stores);
        apply(FleetUpdate::Objects(places.chain(vms.iter().map(TestVm::report)).collect()));
        apply(FleetUpdate::Complete);
        self.tag(vms, now);
    }

    /// Tells what is different with these VMs now, which others are gone, and that everything is current.
    pub(crate) fn tell(&self, changed: &[TestVm], gone: &[MoRef], now: Timestamp) {
        let gone = gone.iter().map(|object| ObjectReport {
            object: object.clone(),
            kind: ReportKind::Left,
            properties: ObjectProperties::VirtualMachine(Box::default()),
            extras: Vec::new(),
        });
        let reports: Vec<ObjectReport> = changed.iter().map(TestVm::changes).chain(gone).collect();
        if !reports.is_empty() {
            self.fleet.apply(&self.name, FleetUpdate::Objects(reports), now);
        }
        self.fleet.apply(&self.name, FleetUpdate::Current, now);
    }

    /// Tells the tags of these VMs, and that everything is current.
    pub(crate) fn tag(&self, vms: &[TestVm], now: Timestamp) {
        let tags = vms
            .iter()
            .filter_map(|vm| {
                let tags = vm.tags.as_ref()?.iter().filter_map(|tag| {
                    let (category, name) = tag.split_once(':')?;
                    Some(TagName { category: category.into(), name: name.into() })
                });
                Some((vm.moref(), Some(tags.collect())))
            })
            .collect();
        self.fleet.apply(&self.name, FleetUpdate::Tags(TagUpdate::ForObjects(tags)), now);
    }
}
