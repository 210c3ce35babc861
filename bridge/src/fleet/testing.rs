//! Fleets for the tests of others.

use jiff::Timestamp;
use mappings::selector::Selector;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::{AboutInfo, ConnectionState, GuestFamily, PowerState, ToolsRunningStatus};
use vsphere_client::property::Change as Property;
use vsphere_client::property::{
    Datacenter, Folder, ObjectProperties, ObjectReport, ReportKind, VirtualMachine,
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
}

impl TestVm {
    pub(crate) fn new(number: u32, tags: &[&str]) -> Self {
        Self {
            number,
            name: format!("web-{number}"),
            address: format!("10.0.{}.{}", number / 250, number % 250 + 1),
            tags: Some(tags.iter().map(|&tag| tag.to_owned()).collect()),
        }
    }

    pub(crate) fn moref(&self) -> MoRef {
        MoRef::of(MoKind::VirtualMachine, &format!("vm-{}", self.number))
    }

    fn report(&self) -> ObjectReport {
        let vm = VirtualMachine {
            name: Property::Set(self.name.clone().into()),
            parent: Property::Set(MoRef::new("Folder", "group-v1")),
            power_state: Property::Set(Named::Known(PowerState::PoweredOn)),
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
        }
    }
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
        apply(FleetUpdate::Objects(places.into_iter().chain(vms.iter().map(TestVm::report)).collect()));
        apply(FleetUpdate::Complete);
        self.tag(vms, now);
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
