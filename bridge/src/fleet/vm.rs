//! The record of one VM: what vCenter told, packed for fleets of tens of thousands.

use std::sync::Arc;

use jiff::Timestamp;
use vsphere_client::ids::{BiosUuid, InstanceUuid, MoRef};
use vsphere_client::model::{
    self, BusSharing, ConnectionState, DeviceKind, DiskMode, GuestFamily, ManagedBy, PowerState,
    SnapshotInfo, SnapshotTree, ToolsRunningStatus, unescape_name,
};
use vsphere_client::property::{Change, VirtualMachine};
use vsphere_client::xml::Named;

use super::intern::Interner;
use super::readings::Readings;
use super::take::{Take, Unreadable};
use super::update::TagName;

/// A VM or template. `None` is "vCenter gives no value"; what may not be read is in `unreadable` too.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Vm {
    pub(super) core: Core,
    pub(super) parent: Option<MoRef>,
    pub(super) parent_vapp: Option<MoRef>,
    pub(super) host: Option<MoRef>,
    pub(super) resource_pool: Option<MoRef>,
    pub(super) datastores: Box<[MoRef]>,
    pub(super) networks: Box<[MoRef]>,
    pub(super) bios_uuid: Option<BiosUuid>,
    pub(super) guest_id: Option<Arc<str>>,
    pub(super) guest_full_name: Option<Arc<str>>,
    pub(super) annotation: Option<Box<str>>,
    pub(super) hardware_version: Option<Arc<str>>,
    pub(super) firmware: Option<Arc<str>>,
    pub(super) created: Option<Timestamp>,
    pub(super) fault_tolerance_role: Option<i32>,
    pub(super) cpus: Option<i32>,
    pub(super) cores_per_socket: Option<i32>,
    pub(super) memory_mib: Option<i32>,
    pub(super) devices: Devices,
    pub(super) power_state: Option<Named<PowerState>>,
    pub(super) connection_state: Option<Named<ConnectionState>>,
    pub(super) consolidation_needed: Option<bool>,
    pub(super) boot_time: Option<Timestamp>,
    pub(super) tools_running: Option<Named<ToolsRunningStatus>>,
    pub(super) tools_version_status: Option<Arc<str>>,
    pub(super) tools_version: Option<Arc<str>>,
    pub(super) guest_family: Option<Named<GuestFamily>>,
    pub(super) guest_reported_id: Option<Arc<str>>,
    pub(super) guest_reported_full_name: Option<Arc<str>>,
    pub(super) guest_state: Option<Arc<str>>,
    pub(super) guest_operations_ready: Option<bool>,
    pub(super) ip_address: Option<Box<str>>,
    pub(super) guest_nics: Box<[GuestNic]>,
    pub(super) snapshot: Option<Box<SnapshotInfo>>,
    pub(super) custom_values: Box<[(i32, Box<str>)]>,
    /// Sorted; nothing while the tags are not known.
    pub(super) tags: Option<Box<[TagName]>>,
    pub(super) unreadable: Unreadable,
    pub(super) readings: Readings,
}

/// What every plan asks of every VM: together, so that it is not looked for all over the memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Core {
    pub(super) name: Option<Arc<str>>,
    pub(super) host_name: Option<Box<str>>,
    pub(super) managed_by: Option<Box<ManagedBy>>,
    pub(super) instance_uuid: Option<InstanceUuid>,
    pub(super) template: Option<bool>,
}

/// The devices that matter, by kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Devices {
    pub(super) disks: Box<[Disk]>,
    pub(super) nics: Box<[Nic]>,
    pub(super) pci_passthrough: u16,
}

/// A virtual disk.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Disk {
    pub(super) key: i32,
    pub(super) label: Option<Arc<str>>,
    pub(super) capacity_bytes: i64,
    pub(super) backing: Option<Arc<str>>,
    pub(super) mode: Option<Named<DiskMode>>,
    pub(super) thin: Option<bool>,
    pub(super) compatibility_mode: Option<Arc<str>>,
    pub(super) sharing: Option<Arc<str>>,
    pub(super) file_name: Option<Box<str>>,
    pub(super) datastore: Option<MoRef>,
    pub(super) bus_sharing: Option<Named<BusSharing>>,
}

/// A virtual network card.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Nic {
    pub(super) key: i32,
    pub(super) label: Option<Arc<str>>,
    pub(super) type_name: Arc<str>,
    pub(super) mac_address: Option<Box<str>>,
    pub(super) connected: Option<bool>,
    /// Reference of the network, or key of the distributed port group, which is the same text.
    pub(super) network: Option<Arc<str>>,
}

/// A network card as Tools see it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GuestNic {
    pub(super) device_key: i32,
    pub(super) ip_addresses: Box<[Box<str>]>,
}

impl Vm {
    /// Whether vCenter can read its configuration.
    pub(super) fn has_configuration(&self) -> bool {
        self.core.template.is_some()
    }

    /// Takes over what a report says. The tags stay as they are: reports do not tell them.
    pub(super) fn take(&mut self, report: VirtualMachine, take: &mut Take<'_>) {
        self.unreadable.take(&report, take.whole);
        // Taken apart, so that a new property cannot be forgotten here.
        let VirtualMachine {
            name,
            parent,
            parent_vapp,
            bios_uuid,
            instance_uuid,
            template,
            guest_id,
            guest_full_name,
            annotation,
            hardware_version,
            firmware,
            created,
            managed_by,
            fault_tolerance,
            cpus,
            cores_per_socket,
            memory_mib,
            devices,
            power_state,
            connection_state,
            host,
            consolidation_needed,
            boot_time,
            tools_running,
            tools_version_status,
            tools_version,
            guest_family,
            guest_reported_id,
            guest_reported_full_name,
            guest_state,
            guest_operations_ready,
            host_name,
            ip_address,
            guest_nics,
            datastores,
            networks,
            resource_pool,
            snapshot,
            custom_values,
        } = report;
        take.put(name, &mut self.core.name, |name| unescape_name(&name).into());
        take.reference(parent, &mut self.parent);
        take.reference(parent_vapp, &mut self.parent_vapp);
        take.try_put(bios_uuid, &mut self.bios_uuid, |uuid| uuid.trim().parse().ok());
        take.try_put(instance_uuid, &mut self.core.instance_uuid, |uuid| uuid.trim().parse().ok());
        take.put(template, &mut self.core.template, |is| is);
        take.shared(guest_id, &mut self.guest_id);
        take.shared(guest_full_name, &mut self.guest_full_name);
        take.put(annotation, &mut self.annotation, |text| text);
        take.shared(hardware_version, &mut self.hardware_version);
        take.shared(firmware, &mut self.firmware);
        take.put(created, &mut self.created, |time| time);
        take.put(managed_by, &mut self.core.managed_by, Box::new);
        take.put(fault_tolerance, &mut self.fault_tolerance_role, |ft| ft.role);
        take.put(cpus, &mut self.cpus, |count| count);
        take.put(cores_per_socket, &mut self.cores_per_socket, |count| count);
        take.put(memory_mib, &mut self.memory_mib, |size| size);
        match devices {
            Change::NotMentioned if !take.whole => {}
            Change::Set(devices) => self.devices = Devices::new(devices, take.intern),
            Change::NotMentioned | Change::Unset | Change::Unreadable => self.devices = Devices::default(),
        }
        take.put(power_state, &mut self.power_state, |state| state);
        take.put(connection_state, &mut self.connection_state, |state| state);
        take.reference(host, &mut self.host);
        take.put(consolidation_needed, &mut self.consolidation_needed, |is| is);
        take.put(boot_time, &mut self.boot_time, |time| time);
        take.put(tools_running, &mut self.tools_running, |state| state);
        take.shared(tools_version_status, &mut self.tools_version_status);
        take.shared(tools_version, &mut self.tools_version);
        take.put(guest_family, &mut self.guest_family, |family| family);
        take.shared(guest_reported_id, &mut self.guest_reported_id);
        take.shared(guest_reported_full_name, &mut self.guest_reported_full_name);
        take.shared(guest_state, &mut self.guest_state);
        take.put(guest_operations_ready, &mut self.guest_operations_ready, |is| is);
        take.put(host_name, &mut self.core.host_name, |name| name);
        take.put(ip_address, &mut self.ip_address, |address| address);
        take.list(guest_nics, &mut self.guest_nics, |_, nic| GuestNic::new(nic));
        take.references(datastores, &mut self.datastores);
        take.references(networks, &mut self.networks);
        take.reference(resource_pool, &mut self.resource_pool);
        take.put(snapshot, &mut self.snapshot, |mut snapshot| {
            unescape_names(&mut snapshot.roots);
            Box::new(snapshot)
        });
        take.list(custom_values, &mut self.custom_values, |_, value| (value.key, value.value));
    }
}

/// Snapshots' names are escaped as those of objects are. The decoder has bounded the depth of the tree.
fn unescape_names(snapshots: &mut [SnapshotTree]) {
    for snapshot in snapshots {
        snapshot.name = unescape_name(&snapshot.name).into();
        unescape_names(&mut snapshot.children);
    }
}

impl Devices {
    fn new(devices: Vec<model::Device>, intern: &mut Interner) -> Self {
        let buses: Vec<(i32, Named<BusSharing>)> = devices
            .iter()
            .filter_map(|device| match &device.kind {
                DeviceKind::Controller(controller) => Some((device.key, controller.shared_bus.clone()?)),
                _ => None,
            })
            .collect();
        let (mut disks, mut nics, mut pci_passthrough) = (Vec::new(), Vec::new(), 0_u16);
        for device in devices {
            let label = device.label.map(|label| intern.text(&label));
            let mut shared = |text: Option<Box<str>>| text.map(|text| intern.text(&text));
            match device.kind {
                DeviceKind::Disk(disk) => disks.push(Disk {
                    key: device.key,
                    label,
                    capacity_bytes: disk.capacity_bytes,
                    backing: shared(disk.backing),
                    mode: disk.mode,
                    thin: disk.thin,
                    compatibility_mode: shared(disk.compatibility_mode),
                    sharing: shared(disk.sharing),
                    file_name: disk.file_name,
                    datastore: disk.datastore.map(|datastore| intern.reference(datastore)),
                    bus_sharing: device.controller_key.and_then(|key| {
                        buses.iter().find(|(bus, _)| *bus == key).map(|(_, sharing)| sharing.clone())
                    }),
                }),
                DeviceKind::Ethernet(card) => {
                    let network = card.network.as_ref().map(MoRef::value).or(card.portgroup_key.as_deref());
                    nics.push(Nic {
                        key: device.key,
                        label,
                        network: network.map(|network| intern.text(network)),
                        type_name: intern.text(&card.type_name),
                        mac_address: card.mac_address,
                        connected: card.connected,
                    });
                }
                DeviceKind::PciPassthrough => pci_passthrough = pci_passthrough.saturating_add(1),
                _ => {}
            }
        }
        Self { disks: disks.into(), nics: nics.into(), pci_passthrough }
    }
}

impl GuestNic {
    fn new(nic: model::GuestNic) -> Self {
        Self { device_key: nic.device_key, ip_addresses: nic.ip_addresses.into() }
    }
}
