//! The documents that describe the fleet to the outside: what `vmbridge inventory --json` prints and `vmbridge watch` compares.
//!
//! Their form is a promise (`docs/inventory.md`): keys are only ever added, every key is always there, and `null` is what vCenter
//! gives no value for or the account may not read. They borrow from the fleet, so that printing tens of thousands of VMs needs
//! no second copy of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::SnapshotTree;
use vsphere_client::xml::Named;

use super::facts::VmView;
use super::node::{Body, Node};
use super::place::{Lookup, NamedRef};
use super::vm::{Disk, Nic, Vm};
use super::{Organisation, Part, State, VcenterName};

/// Name and version of the form of an inventory.
pub const INVENTORY_SCHEMA: &str = "vmbridge.inventory/1";
/// Name and version of the form of a change.
pub const CHANGE_SCHEMA: &str = "vmbridge.change/1";

/// One vCenter, and how far its part of the picture can be relied on.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VcenterDocument<'a> {
    /// Name in the configuration; for an SDDC `<organisation>/<SDDC>`.
    pub(crate) name: &'a str,
    /// The vCenter's own id.
    pub(crate) instance_uuid: Option<String>,
    /// Full name and version.
    pub(crate) product: Option<&'a str>,
    /// Version, such as `8.0.3`.
    pub(crate) version: Option<&'a str>,
    /// Build number.
    pub(crate) build: Option<&'a str>,
    /// Version of the API.
    pub(crate) api_version: Option<&'a str>,
    /// How current its part of the picture is.
    pub(crate) state: State,
    /// Whether all of it was read at least once.
    pub(crate) complete: bool,
    /// When it was last known to be current.
    #[schemars(with = "Option<String>")]
    pub(crate) as_of: Option<Timestamp>,
    /// When its tags were last read.
    #[schemars(with = "Option<String>")]
    pub(crate) tags_as_of: Option<Timestamp>,
    /// Why it is not current.
    pub(crate) error: Option<&'a str>,
    /// Why its tags could not be read the last time.
    pub(crate) tags_error: Option<&'a str>,
    /// VMs in the scope of the configuration.
    pub(crate) vms: usize,
}

impl<'a> VcenterDocument<'a> {
    /// The description of a part.
    #[must_use]
    pub fn new(part: &'a Part, now: Timestamp, stale_after: std::time::Duration) -> Self {
        let about = part.about();
        Self {
            name: part.name().as_str(),
            instance_uuid: part.uuid().map(|uuid| uuid.to_string()),
            product: about.map(|about| about.full_name.as_str()),
            version: about.map(|about| about.version.as_str()),
            build: about.map(|about| about.build.as_str()),
            api_version: about.map(|about| about.api_version.as_str()),
            state: part.state(now, stale_after),
            complete: part.is_complete(),
            as_of: part.as_of(),
            tags_as_of: part.tags_as_of(),
            error: part.trouble().map(|trouble| trouble.error.as_str()),
            tags_error: part.tags_error(),
            vms: part.counts().vms(),
        }
    }
}

/// An organisation of VMware Cloud on AWS. Its SDDCs are among the vCenters.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganisationDocument<'a> {
    /// Name in the configuration.
    pub(crate) name: &'a str,
    /// When its SDDCs were last listed.
    #[schemars(with = "Option<String>")]
    pub(crate) as_of: Option<Timestamp>,
    /// Why they could not be listed the last time.
    pub(crate) error: Option<&'a str>,
}

impl<'a> OrganisationDocument<'a> {
    /// The description of an organisation.
    #[must_use]
    pub fn new(name: &'a VcenterName, organisation: &'a Organisation) -> Self {
        Self { name: name.as_str(), as_of: organisation.as_of, error: organisation.error.as_deref() }
    }
}

/// Another object: its id, and its name if that is known.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Reference<'a> {
    /// Managed object id, such as `host-12`.
    pub(crate) moref: &'a str,
    /// Name as people see it.
    pub(crate) name: Option<&'a str>,
}

impl<'a> From<NamedRef<'a>> for Reference<'a> {
    fn from((reference, name): NamedRef<'a>) -> Self {
        Self { moref: reference.value(), name }
    }
}

/// The folder that holds a VM.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FolderDocument<'a> {
    /// Managed object id.
    pub(crate) moref: &'a str,
    /// Path below the datacenter, without vCenter's hidden folder `vm`; `/` directly below the datacenter. A slash within a
    /// name is written `%2f`.
    pub(crate) path: Option<&'a str>,
}

/// A VM or template.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmDocument<'a> {
    /// Name of its vCenter in the configuration.
    pub(crate) vcenter: &'a str,
    /// Its vCenter's own id. Together with `moref` it identifies the VM.
    pub(crate) vcenter_uuid: Option<String>,
    /// Managed object id, unique in the vCenter.
    pub(crate) moref: &'a str,
    /// vCenter's id for the VM.
    pub(crate) instance_uuid: Option<String>,
    /// BIOS UUID: the SMBIOS product UUID inside the guest, up to byte order.
    pub(crate) bios_uuid: Option<String>,
    /// Name.
    pub(crate) name: Option<&'a str>,
    /// The folder that holds it; for a VM in a vApp that of the (outermost) vApp.
    pub(crate) folder: Option<FolderDocument<'a>>,
    /// Datacenter.
    pub(crate) datacenter: Option<Reference<'a>>,
    /// Cluster; none on a standalone host.
    pub(crate) cluster: Option<Reference<'a>>,
    /// Host that it is on.
    pub(crate) host: Option<Reference<'a>>,
    /// Resource pool; templates have none.
    pub(crate) resource_pool: Option<Reference<'a>>,
    /// vApp that it is in.
    pub(crate) v_app: Option<Reference<'a>>,
    /// Datastores that it uses.
    pub(crate) datastores: Vec<Reference<'a>>,
    /// Networks that it is connected to.
    pub(crate) networks: Vec<Reference<'a>>,
    /// `poweredOn`, `poweredOff` or `suspended`.
    pub(crate) power_state: Option<&'a str>,
    /// `connected`, `disconnected`, `inaccessible`, `invalid` or `orphaned`.
    pub(crate) connection_state: Option<&'a str>,
    /// Whether it is a template.
    pub(crate) template: Option<bool>,
    /// Its operating system.
    pub(crate) guest: GuestDocument<'a>,
    /// Virtual CPUs.
    pub(crate) cpus: Option<i32>,
    /// Virtual cores in a socket.
    pub(crate) cores_per_socket: Option<i32>,
    /// Memory in MiB.
    #[serde(rename = "memoryMiB")]
    pub(crate) memory_mib: Option<i32>,
    /// Hardware version, such as `vmx-19`.
    pub(crate) hardware_version: Option<&'a str>,
    /// `bios` or `efi`.
    pub(crate) firmware: Option<&'a str>,
    /// Notes.
    pub(crate) annotation: Option<&'a str>,
    /// When it was made.
    #[schemars(with = "Option<String>")]
    pub(crate) created: Option<Timestamp>,
    /// When it was powered on last.
    #[schemars(with = "Option<String>")]
    pub(crate) boot_time: Option<Timestamp>,
    /// Whether disks of removed snapshots remain to be consolidated.
    pub(crate) consolidation_needed: Option<bool>,
    /// The product that manages it, such as `com.vmware.vim.eam`.
    pub(crate) managed_by: Option<ManagedByDocument<'a>>,
    /// 1 for the primary VM of a fault-tolerant group, more for a secondary.
    pub(crate) fault_tolerance_role: Option<i32>,
    /// Virtual disks.
    pub(crate) disks: Vec<DiskDocument<'a>>,
    /// Virtual network cards.
    pub(crate) nics: Vec<NicDocument<'a>>,
    /// Number of PCI devices that are passed through.
    pub(crate) pci_passthrough: u16,
    /// Custom attributes, by name.
    pub(crate) custom_attributes: BTreeMap<&'a str, &'a str>,
    /// Tags; `null` while they are not known.
    pub(crate) tags: Option<Vec<TagDocument<'a>>>,
    /// Snapshots.
    pub(crate) snapshots: SnapshotsDocument<'a>,
    /// Property paths that the account may not read.
    pub(crate) unreadable: &'a [&'static str],
}

/// The operating system of a VM: as it is configured, and as VMware Tools report it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuestDocument<'a> {
    /// As configured, such as `ubuntu64Guest`.
    pub(crate) id: Option<&'a str>,
    /// As configured, for people.
    pub(crate) full_name: Option<&'a str>,
    /// Family, as reported: `linuxGuest`, `windowsGuest`, …
    pub(crate) family: Option<&'a str>,
    /// As reported.
    pub(crate) reported_id: Option<&'a str>,
    /// As reported, for people.
    pub(crate) reported_full_name: Option<&'a str>,
    /// `running`, `notRunning`, …
    pub(crate) state: Option<&'a str>,
    /// `guestToolsRunning`, `guestToolsNotRunning` or `guestToolsExecutingScripts`.
    pub(crate) tools_running: Option<&'a str>,
    /// Version number of Tools.
    pub(crate) tools_version: Option<&'a str>,
    /// `guestToolsCurrent`, `guestToolsUnmanaged`, …
    pub(crate) tools_version_status: Option<&'a str>,
    /// Whether guest operations can be used now.
    pub(crate) operations_ready: Option<bool>,
    /// Host name.
    pub(crate) host_name: Option<&'a str>,
    /// Primary address.
    pub(crate) ip_address: Option<&'a str>,
    /// All addresses.
    pub(crate) ip_addresses: Vec<&'a str>,
}

/// The product that manages a VM.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ManagedByDocument<'a> {
    /// Key of the extension.
    pub(crate) extension_key: &'a str,
    /// What the VM is to it.
    pub(crate) r#type: &'a str,
}

/// A virtual disk.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DiskDocument<'a> {
    /// Key of the device.
    pub(crate) key: i32,
    /// Label.
    pub(crate) label: Option<&'a str>,
    /// Size in bytes.
    pub(crate) capacity_bytes: i64,
    /// `persistent`, `independent_persistent`, …
    pub(crate) mode: Option<&'a str>,
    /// Kind of backing: `FlatVer2`, `RawDiskMappingVer1`, `SeSparse`, …
    pub(crate) backing: Option<&'a str>,
    /// Whether it is thin.
    pub(crate) thin: Option<bool>,
    /// For raw device mappings: `physicalMode` or `virtualMode`.
    pub(crate) compatibility_mode: Option<&'a str>,
    /// `sharingNone` or `sharingMultiWriter`.
    pub(crate) sharing: Option<&'a str>,
    /// File, with its datastore.
    pub(crate) file_name: Option<&'a str>,
    /// Id of the datastore.
    pub(crate) datastore: Option<&'a str>,
    /// How its SCSI controller shares the bus: `noSharing`, `virtualSharing` or `physicalSharing`.
    pub(crate) bus_sharing: Option<&'a str>,
}

/// A virtual network card.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NicDocument<'a> {
    /// Key of the device.
    pub(crate) key: i32,
    /// Label.
    pub(crate) label: Option<&'a str>,
    /// Type of card, such as `VirtualVmxnet3`.
    pub(crate) r#type: &'a str,
    /// MAC address.
    pub(crate) mac_address: Option<&'a str>,
    /// Whether it is connected.
    pub(crate) connected: Option<bool>,
    /// Id of the network or port group.
    pub(crate) network: Option<&'a str>,
    /// Addresses, as Tools report them.
    pub(crate) ip_addresses: Vec<&'a str>,
}

/// A tag.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TagDocument<'a> {
    /// Its category.
    pub(crate) category: &'a str,
    /// Its name.
    pub(crate) name: &'a str,
}

/// The snapshots of a VM.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SnapshotsDocument<'a> {
    /// Id of the snapshot that the VM runs on from.
    pub(crate) current: Option<&'a str>,
    /// The oldest ones, with those made later inside.
    pub(crate) tree: Vec<SnapshotDocument<'a>>,
}

/// A snapshot.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotDocument<'a> {
    /// Managed object id.
    pub(crate) moref: Option<&'a str>,
    /// Name.
    pub(crate) name: &'a str,
    /// Description.
    pub(crate) description: &'a str,
    /// Number, unique for the VM.
    pub(crate) id: i32,
    /// When it was made.
    #[schemars(with = "Option<String>")]
    pub(crate) created: Option<Timestamp>,
    /// Power state of the VM when it was made.
    pub(crate) power_state: Option<&'a str>,
    /// Whether file systems were quiesced.
    pub(crate) quiesced: bool,
    /// Snapshots made from it.
    pub(crate) children: Vec<SnapshotDocument<'a>>,
}

/// The name of an enumeration's value; nothing where vCenter sent an empty element.
fn word<N: AsRef<str>>(value: Option<&Named<N>>) -> Option<&str> {
    value.map(Named::as_str).filter(|word| !word.is_empty())
}

fn named_all<'a>(lookup: Lookup<'a>, references: &'a [MoRef]) -> Vec<Reference<'a>> {
    references.iter().map(|reference| lookup.named(reference).into()).collect()
}

fn custom_attributes<'a>(lookup: Lookup<'a>, values: &'a [(i32, Box<str>)]) -> BTreeMap<&'a str, &'a str> {
    let named = |(key, value): &'a (i32, Box<str>)| Some((&**lookup.fields.get(key)?, &**value));
    values.iter().filter_map(named).collect()
}

fn cluster<'a>(lookup: Lookup<'a>, compute: Option<&'a MoRef>) -> Option<Reference<'a>> {
    let cluster = compute.filter(|compute| *compute.mo_kind() == MoKind::ClusterComputeResource)?;
    Some(lookup.named(cluster).into())
}

impl<'a> VmDocument<'a> {
    pub(super) fn new(view: &'a VmView<'_>) -> Self {
        let VmView { vm, lookup, .. } = view;
        let lookup: Lookup<'a> = *lookup;
        let place = view.place();
        let named = |reference: Option<&'a MoRef>| reference.map(|reference| lookup.named(reference).into());
        Self {
            vcenter: view.vcenter.as_str(),
            vcenter_uuid: view.vcenter_uuid.map(|uuid| uuid.to_string()),
            moref: view.moref.value(),
            instance_uuid: vm.core.instance_uuid.map(|uuid| uuid.to_string()),
            bios_uuid: vm.bios_uuid.map(|uuid| uuid.to_string()),
            name: vm.core.name.as_deref(),
            folder: place
                .folder
                .map(|folder| FolderDocument { moref: folder.value(), path: place.path.as_deref() }),
            datacenter: place.datacenter.map(Reference::from),
            cluster: cluster(lookup, lookup.compute_of(vm)),
            host: named(vm.host.as_ref()),
            resource_pool: named(vm.resource_pool.as_ref()),
            v_app: named(vm.parent_vapp.as_ref()),
            datastores: named_all(lookup, &vm.datastores),
            networks: named_all(lookup, &vm.networks),
            power_state: word(vm.power_state.as_ref()),
            connection_state: word(vm.connection_state.as_ref()),
            template: vm.core.template,
            guest: GuestDocument::new(vm),
            cpus: vm.cpus,
            cores_per_socket: vm.cores_per_socket,
            memory_mib: vm.memory_mib,
            hardware_version: vm.hardware_version.as_deref(),
            firmware: vm.firmware.as_deref(),
            annotation: vm.annotation.as_deref(),
            created: vm.created,
            boot_time: vm.boot_time,
            consolidation_needed: vm.consolidation_needed,
            managed_by: vm
                .core
                .managed_by
                .as_ref()
                .map(|by| ManagedByDocument { extension_key: &by.extension_key, r#type: &by.kind }),
            fault_tolerance_role: vm.fault_tolerance_role,
            disks: vm.devices.disks.iter().map(DiskDocument::new).collect(),
            nics: vm.devices.nics.iter().map(|nic| NicDocument::new(nic, vm)).collect(),
            pci_passthrough: vm.devices.pci_passthrough,
            custom_attributes: custom_attributes(lookup, &vm.custom_values),
            tags: vm.tags.as_ref().map(|tags| {
                tags.iter().map(|tag| TagDocument { category: &tag.category, name: &tag.name }).collect()
            }),
            snapshots: SnapshotsDocument::new(vm),
            unreadable: vm.unreadable.paths(),
        }
    }
}

impl<'a> GuestDocument<'a> {
    fn new(vm: &'a Vm) -> Self {
        Self {
            id: vm.guest_id.as_deref(),
            full_name: vm.guest_full_name.as_deref(),
            family: word(vm.guest_family.as_ref()),
            reported_id: vm.guest_reported_id.as_deref(),
            reported_full_name: vm.guest_reported_full_name.as_deref(),
            state: vm.guest_state.as_deref(),
            tools_running: word(vm.tools_running.as_ref()),
            tools_version: vm.tools_version.as_deref(),
            tools_version_status: vm.tools_version_status.as_deref(),
            operations_ready: vm.guest_operations_ready,
            host_name: vm.core.host_name.as_deref(),
            ip_address: vm.ip_address.as_deref(),
            ip_addresses: vm
                .guest_nics
                .iter()
                .flat_map(|nic| nic.ip_addresses.iter().map(|ip| &**ip))
                .collect(),
        }
    }
}

impl<'a> DiskDocument<'a> {
    fn new(disk: &'a Disk) -> Self {
        Self {
            key: disk.key,
            label: disk.label.as_deref(),
            capacity_bytes: disk.capacity_bytes,
            mode: word(disk.mode.as_ref()),
            backing: disk.backing.as_deref(),
            thin: disk.thin,
            compatibility_mode: disk.compatibility_mode.as_deref(),
            sharing: disk.sharing.as_deref(),
            file_name: disk.file_name.as_deref(),
            datastore: disk.datastore.as_ref().map(MoRef::value),
            bus_sharing: word(disk.bus_sharing.as_ref()),
        }
    }
}

impl<'a> NicDocument<'a> {
    fn new(nic: &'a Nic, vm: &'a Vm) -> Self {
        let reported = vm.guest_nics.iter().filter(|reported| reported.device_key == nic.key);
        Self {
            key: nic.key,
            label: nic.label.as_deref(),
            r#type: &nic.type_name,
            mac_address: nic.mac_address.as_deref(),
            connected: nic.connected,
            network: nic.network.as_deref(),
            ip_addresses: reported.flat_map(|nic| nic.ip_addresses.iter().map(|ip| &**ip)).collect(),
        }
    }
}

impl<'a> SnapshotsDocument<'a> {
    fn new(vm: &'a Vm) -> Self {
        let snapshot = vm.snapshot.as_deref();
        Self {
            current: snapshot.and_then(|snapshot| snapshot.current.as_ref()).map(MoRef::value),
            tree: snapshot.map(|snapshot| snapshot_trees(&snapshot.roots)).unwrap_or_default(),
        }
    }
}

impl SnapshotsDocument<'_> {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        fn count(tree: &[SnapshotDocument<'_>]) -> usize {
            tree.iter().map(|snapshot| 1 + count(&snapshot.children)).sum()
        }
        count(&self.tree)
    }
}

/// The decoder has bounded the depth.
fn snapshot_trees(trees: &[SnapshotTree]) -> Vec<SnapshotDocument<'_>> {
    trees
        .iter()
        .map(|tree| SnapshotDocument {
            moref: tree.snapshot.as_ref().map(MoRef::value),
            name: &tree.name,
            description: &tree.description,
            id: tree.id,
            created: tree.created,
            power_state: word(tree.state.as_ref()),
            quiesced: tree.quiesced,
            children: snapshot_trees(&tree.children),
        })
        .collect()
}

/// An ESXi host.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostDocument<'a> {
    /// Name of its vCenter in the configuration.
    pub(crate) vcenter: &'a str,
    /// Its vCenter's own id.
    pub(crate) vcenter_uuid: Option<String>,
    /// Managed object id.
    pub(crate) moref: &'a str,
    /// Name.
    pub(crate) name: Option<&'a str>,
    /// Datacenter.
    pub(crate) datacenter: Option<Reference<'a>>,
    /// Cluster; none for a standalone host.
    pub(crate) cluster: Option<Reference<'a>>,
    /// Version of ESXi.
    pub(crate) version: Option<&'a str>,
    /// Build of ESXi.
    pub(crate) build: Option<&'a str>,
    /// Maker of the machine.
    pub(crate) vendor: Option<&'a str>,
    /// Model of the machine.
    pub(crate) model: Option<&'a str>,
    /// SMBIOS UUID of the machine.
    pub(crate) hardware_uuid: Option<&'a str>,
    /// Physical cores.
    pub(crate) cpu_cores: Option<i32>,
    /// Memory in bytes.
    pub(crate) memory_bytes: Option<i64>,
    /// `connected`, `disconnected` or `notResponding`.
    pub(crate) connection_state: Option<&'a str>,
    /// `poweredOn`, `poweredOff`, `standBy` or `unknown`.
    pub(crate) power_state: Option<&'a str>,
    /// Whether it is in maintenance mode.
    pub(crate) maintenance_mode: Option<bool>,
    /// Datastores that it mounts.
    pub(crate) datastores: Vec<Reference<'a>>,
    /// Custom attributes, by name.
    pub(crate) custom_attributes: BTreeMap<&'a str, &'a str>,
}

impl<'a> HostDocument<'a> {
    pub(super) fn new(part: &'a Part, moref: &'a MoRef, node: &'a Node, lookup: Lookup<'a>) -> Option<Self> {
        let host = node.host()?;
        let product = host.product.as_deref();
        let parent = node.parent.as_ref();
        Some(Self {
            vcenter: part.name().as_str(),
            vcenter_uuid: part.uuid().map(|uuid| uuid.to_string()),
            moref: moref.value(),
            name: node.name.as_deref(),
            datacenter: lookup.datacenter(parent).map(Reference::from),
            cluster: cluster(lookup, parent),
            version: product.map(|product| product.version.as_str()),
            build: product.map(|product| product.build.as_str()),
            vendor: host.vendor.as_deref(),
            model: host.model.as_deref(),
            hardware_uuid: host.hardware_uuid.as_deref(),
            cpu_cores: host.cpu_cores,
            memory_bytes: host.memory_bytes,
            connection_state: word(host.connection_state.as_ref()),
            power_state: host.power_state.as_deref(),
            maintenance_mode: host.maintenance_mode,
            datastores: named_all(lookup, &host.datastores),
            custom_attributes: custom_attributes(lookup, &host.custom_values),
        })
    }
}

/// A cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDocument<'a> {
    /// Name of its vCenter in the configuration.
    pub(crate) vcenter: &'a str,
    /// Its vCenter's own id.
    pub(crate) vcenter_uuid: Option<String>,
    /// Managed object id.
    pub(crate) moref: &'a str,
    /// Name.
    pub(crate) name: Option<&'a str>,
    /// Datacenter.
    pub(crate) datacenter: Option<Reference<'a>>,
    /// Hosts in it.
    pub(crate) hosts: Vec<Reference<'a>>,
}

impl<'a> ClusterDocument<'a> {
    pub(super) fn new(part: &'a Part, moref: &'a MoRef, node: &'a Node, lookup: Lookup<'a>) -> Option<Self> {
        let Body::Compute { hosts } = &node.body else { return None };
        (*moref.mo_kind() == MoKind::ClusterComputeResource).then(|| Self {
            vcenter: part.name().as_str(),
            vcenter_uuid: part.uuid().map(|uuid| uuid.to_string()),
            moref: moref.value(),
            name: node.name.as_deref(),
            datacenter: lookup.datacenter(node.parent.as_ref()).map(Reference::from),
            hosts: named_all(lookup, hosts),
        })
    }
}

/// A datastore.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatastoreDocument<'a> {
    /// Name of its vCenter in the configuration.
    pub(crate) vcenter: &'a str,
    /// Its vCenter's own id.
    pub(crate) vcenter_uuid: Option<String>,
    /// Managed object id.
    pub(crate) moref: &'a str,
    /// Name.
    pub(crate) name: Option<&'a str>,
    /// Datacenter.
    pub(crate) datacenter: Option<Reference<'a>>,
    /// `VMFS`, `NFS`, `NFS41`, `vsan`, `VVOL`, …
    pub(crate) r#type: Option<&'a str>,
    /// Size in bytes; means something only while it is accessible.
    pub(crate) capacity_bytes: Option<i64>,
    /// Free bytes; means something only while it is accessible.
    pub(crate) free_bytes: Option<i64>,
    /// Whether at least one host reaches it.
    pub(crate) accessible: Option<bool>,
    /// `normal`, `enteringMaintenance` or `inMaintenance`.
    pub(crate) maintenance_mode: Option<&'a str>,
}

impl<'a> DatastoreDocument<'a> {
    pub(super) fn new(part: &'a Part, moref: &'a MoRef, node: &'a Node, lookup: Lookup<'a>) -> Option<Self> {
        let store = node.store()?;
        Some(Self {
            vcenter: part.name().as_str(),
            vcenter_uuid: part.uuid().map(|uuid| uuid.to_string()),
            moref: moref.value(),
            name: node.name.as_deref(),
            datacenter: lookup.datacenter(node.parent.as_ref()).map(Reference::from),
            r#type: store.kind.as_deref(),
            capacity_bytes: store.capacity_bytes,
            free_bytes: store.free_bytes,
            accessible: store.accessible,
            maintenance_mode: store.maintenance_mode.as_deref(),
        })
    }
}
