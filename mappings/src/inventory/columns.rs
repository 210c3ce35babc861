//! Every column: its name, what it means, and how it is made. The rows and the reference in `docs/ssm-inventory.md` come from here.
//!
//! Athena writes names of columns in lower case and has its own `resourceid`, `resourcetype`, `accountid`, `region`, `capturetime` and
//! `schemaversion`: none of ours may be one of these.

use super::facts::{Adapter, Disk, HostFacts, SnapshotFacts, VmFacts};
use super::text::{addresses, list, long, name, number, time, truth};
use super::{ADAPTER_TYPE, DISK_TYPE, HOST_TYPE, SNAPSHOT_TYPE, VM_TYPE};

/// A column: what it is called, what it means, and its value.
pub(super) struct Column<F> {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) value: F,
}

/// What had to be left out.
pub(super) const LEFT_OUT: &str = "LeftOut";

type OfVm = Column<fn(&VmFacts<'_>) -> String>;
type OfDisk = Column<fn(&Disk<'_>) -> String>;
type OfAdapter = Column<fn(&Adapter<'_>) -> String>;
type OfSnapshot = Column<fn(&SnapshotFacts<'_>) -> String>;
type OfHost = Column<fn(&HostFacts<'_>) -> String>;

/// In every row of a VM, its disks, adapters and snapshots.
pub(super) const COMMON: &[OfVm] = &[
    Column { name: "VmName", meaning: "The VM's name", value: |vm| name(vm.name) },
    Column {
        name: "VCenterUuid",
        meaning: "The vCenter's own id; with `MoRef` it identifies the VM",
        value: |vm| name(vm.vcenter_uuid),
    },
    Column { name: "MoRef", meaning: "The VM's managed object id", value: |vm| name(Some(vm.moref)) },
];

pub(super) const VM: &[OfVm] = &[
    Column {
        name: "VCenter",
        meaning: "The vCenter's name in the configuration of vmbridge",
        value: |vm| name(Some(vm.vcenter)),
    },
    Column {
        name: "InstanceUuid",
        meaning: "vCenter's id for the VM; it stays when the VM moves to another vCenter",
        value: |vm| name(vm.instance_uuid),
    },
    Column {
        name: "BiosUuid",
        meaning: "The SMBIOS UUID that the guest sees, up to byte order; clones may share it",
        value: |vm| name(vm.bios_uuid),
    },
    Column { name: "Datacenter", meaning: "The datacenter", value: |vm| name(vm.datacenter) },
    Column { name: "Folder", meaning: "The folder's path below the datacenter", value: |vm| long(vm.folder) },
    Column {
        name: "Cluster",
        meaning: "The cluster; empty on a stand-alone host",
        value: |vm| name(vm.cluster),
    },
    Column { name: "HostName", meaning: "The ESXi host that the VM is on", value: |vm| name(vm.host) },
    Column { name: "ResourcePool", meaning: "The resource pool", value: |vm| name(vm.resource_pool) },
    Column { name: "VApp", meaning: "The vApp", value: |vm| name(vm.v_app) },
    Column {
        name: "Datastores",
        meaning: "List of the datastores that it uses",
        value: |vm| list(&vm.datastores),
    },
    Column {
        name: "Networks",
        meaning: "List of the networks that it is connected to",
        value: |vm| list(&vm.networks),
    },
    Column {
        name: "PowerState",
        meaning: "`poweredOn`, `poweredOff` or `suspended`",
        value: |vm| name(vm.power_state),
    },
    Column {
        name: "ConnectionState",
        meaning: "`connected`, `disconnected`, `inaccessible`, `invalid` or `orphaned`",
        value: |vm| name(vm.connection_state),
    },
    Column {
        name: "GuestId",
        meaning: "The operating system as configured, such as `ubuntu64Guest`",
        value: |vm| name(vm.guest_id),
    },
    Column {
        name: "GuestFullName",
        meaning: "The operating system as configured, for people",
        value: |vm| name(vm.guest_full_name),
    },
    Column {
        name: "GuestReportedFullName",
        meaning: "The operating system that Tools report",
        value: |vm| name(vm.guest_reported_full_name),
    },
    Column {
        name: "GuestFamily",
        meaning: "`linuxGuest`, `windowsGuest`, …, as Tools report",
        value: |vm| name(vm.guest_family),
    },
    Column {
        name: "GuestHostName",
        meaning: "What the guest calls itself",
        value: |vm| name(vm.guest_host_name),
    },
    Column {
        name: "ToolsRunningStatus",
        meaning: "`guestToolsRunning` (also while scripts run) or `guestToolsNotRunning`",
        value: |vm| name(settled_tools(vm.tools_running)),
    },
    Column {
        name: "ToolsVersion",
        meaning: "Version number of VMware Tools",
        value: |vm| name(vm.tools_version),
    },
    Column {
        name: "ToolsVersionStatus",
        meaning: "`guestToolsCurrent`, `guestToolsUnmanaged`, `guestToolsNotInstalled`, …",
        value: |vm| name(vm.tools_version_status),
    },
    Column { name: "Cpus", meaning: "Virtual CPUs", value: |vm| number(vm.cpus) },
    Column {
        name: "CoresPerSocket",
        meaning: "Virtual cores in a socket",
        value: |vm| number(vm.cores_per_socket),
    },
    Column { name: "MemoryMiB", meaning: "Memory in MiB", value: |vm| number(vm.memory_mib) },
    Column {
        name: "HardwareVersion",
        meaning: "Version of the virtual hardware, such as `vmx-19`",
        value: |vm| name(vm.hardware_version),
    },
    Column { name: "Firmware", meaning: "`bios` or `efi`", value: |vm| name(vm.firmware) },
    Column { name: "CreatedTime", meaning: "When the VM was made", value: |vm| time(vm.created) },
    Column {
        name: "ManagedBy",
        meaning: "The key of the product that manages the VM, such as `com.vmware.vim.eam`",
        value: |vm| name(vm.managed_by),
    },
    Column {
        name: "FaultToleranceRole",
        meaning: "1 for the primary VM of a fault-tolerant group, more for a secondary",
        value: |vm| number(vm.fault_tolerance_role),
    },
    Column {
        name: "ConsolidationNeeded",
        meaning: "Whether disks of removed snapshots remain to be consolidated",
        value: |vm| truth(vm.consolidation_needed),
    },
    Column {
        name: "PciPassthroughCount",
        meaning: "PCI devices that are passed through",
        value: |vm| number(Some(vm.pci_passthrough)),
    },
    Column { name: "DiskCount", meaning: "Virtual disks", value: |vm| count(vm.disks.len()) },
    Column {
        name: "DiskCapacityBytes",
        meaning: "Sizes of all disks together, in bytes; empty if one is not known",
        value: |vm| number(capacity(&vm.disks)),
    },
    Column { name: "NetworkAdapterCount", meaning: "Network adapters", value: |vm| count(vm.adapters.len()) },
    Column { name: "SnapshotCount", meaning: "Snapshots", value: |vm| count(vm.snapshots.len()) },
    Column {
        name: "OldestSnapshotTime",
        meaning: "When the oldest snapshot was made",
        value: |vm| time(vm.snapshots.iter().filter_map(|snapshot| snapshot.created).min()),
    },
    Column {
        name: "Tags",
        meaning: "List of vSphere tags as `category=name`; empty also while they cannot be read",
        value: |vm| list(vm.tags.iter().flatten().map(|tag| format!("{}={}", tag.category, tag.name))),
    },
    Column {
        name: "PatchGroup",
        meaning: "The patch group that vSphere's tags say, whether or not the node has it",
        value: |vm| name(vm.patch_group),
    },
    Column {
        name: "Owner",
        meaning: "Whose VM it is, by the tag category that the configuration names",
        value: |vm| name(vm.owner),
    },
    Column {
        name: "Unreadable",
        meaning: "List of vSphere property paths that vmbridge's account may not read",
        value: |vm| list(&vm.unreadable),
    },
    Column {
        name: LEFT_OUT,
        meaning: "Rows of the VM's other types that did not fit, as `2 Disk; 12 Snapshot`; empty if all did",
        value: |_| String::new(),
    },
];

pub(super) const DISK: &[OfDisk] = &[
    Column { name: "DeviceKey", meaning: "Key of the device", value: |disk| number(Some(disk.key)) },
    Column { name: "DeviceLabel", meaning: "Its label", value: |disk| name(disk.label) },
    Column { name: "CapacityBytes", meaning: "Its size in bytes", value: |disk| number(disk.capacity_bytes) },
    Column {
        name: "DiskMode",
        meaning: "`persistent`, `independent_persistent`, `independent_nonpersistent`, …",
        value: |disk| name(disk.mode),
    },
    Column {
        name: "DiskBacking",
        meaning: "Kind of backing: `FlatVer2`, `SeSparse`, `RawDiskMappingVer1`, …",
        value: |disk| name(disk.backing),
    },
    Column { name: "ThinProvisioned", meaning: "Whether it is thin", value: |disk| truth(disk.thin) },
    Column {
        name: "RdmCompatibilityMode",
        meaning: "For raw device mappings: `physicalMode` or `virtualMode`",
        value: |disk| name(disk.compatibility_mode),
    },
    Column {
        name: "DiskSharing",
        meaning: "`sharingNone` or `sharingMultiWriter`",
        value: |disk| name(disk.sharing),
    },
    Column {
        name: "BusSharing",
        meaning: "How its controller shares the bus: `noSharing`, `virtualSharing` or `physicalSharing`",
        value: |disk| name(disk.bus_sharing),
    },
    Column {
        name: "FileName",
        meaning: "Its file; another one after a snapshot was taken",
        value: |disk| long(disk.file_name),
    },
    Column { name: "Datastore", meaning: "The datastore of the file", value: |disk| name(disk.datastore) },
];

pub(super) const ADAPTER: &[OfAdapter] = &[
    Column { name: "DeviceKey", meaning: "Key of the device", value: |adapter| number(Some(adapter.key)) },
    Column { name: "DeviceLabel", meaning: "Its label", value: |adapter| name(adapter.label) },
    Column {
        name: "AdapterType",
        meaning: "Type of card, such as `VirtualVmxnet3`",
        value: |adapter| name(adapter.kind),
    },
    Column { name: "MacAddress", meaning: "MAC address", value: |adapter| name(adapter.mac_address) },
    Column {
        name: "Connected",
        meaning: "Whether it is connected",
        value: |adapter| truth(adapter.connected),
    },
    Column { name: "Network", meaning: "Network or port group", value: |adapter| name(adapter.network) },
    Column {
        name: "IpAddresses",
        meaning: "List of its addresses as Tools report; IPv6 only if there is none of IPv4, and none of the link",
        value: |adapter| addresses(&adapter.ip_addresses),
    },
];

pub(super) const SNAPSHOT: &[OfSnapshot] = &[
    Column { name: "SnapshotMoRef", meaning: "Managed object id", value: |snapshot| name(snapshot.moref) },
    Column {
        name: "SnapshotNumber",
        meaning: "Its number, unique for the VM",
        value: |snapshot| number(Some(snapshot.number)),
    },
    Column { name: "SnapshotName", meaning: "Its name", value: |snapshot| name(Some(snapshot.name)) },
    Column {
        name: "SnapshotDescription",
        meaning: "Its description, at most 1,024 bytes",
        value: |snapshot| long(Some(snapshot.description)),
    },
    Column { name: "SnapshotTime", meaning: "When it was made", value: |snapshot| time(snapshot.created) },
    Column {
        name: "SnapshotPowerState",
        meaning: "Power state of the VM when it was made",
        value: |snapshot| name(snapshot.power_state),
    },
    Column {
        name: "Quiesced",
        meaning: "Whether file systems were quiesced",
        value: |snapshot| truth(Some(snapshot.quiesced)),
    },
    Column {
        name: "ParentSnapshotMoRef",
        meaning: "Id of the snapshot that it was made from",
        value: |snapshot| name(snapshot.parent),
    },
    Column {
        name: "CurrentSnapshot",
        meaning: "Whether the VM runs on from it",
        value: |snapshot| truth(Some(snapshot.current)),
    },
    Column {
        name: "MadeByVmbridge",
        meaning: "Whether vmbridge took it and will remove it",
        value: |snapshot| truth(Some(snapshot.ours)),
    },
];

pub(super) const HOST: &[OfHost] = &[
    Column { name: "HostName", meaning: "The host's name", value: |host| name(host.name) },
    Column {
        name: "VCenterUuid",
        meaning: "The vCenter's own id; with `MoRef` it identifies the host",
        value: |host| name(host.vcenter_uuid),
    },
    Column { name: "MoRef", meaning: "The host's managed object id", value: |host| name(Some(host.moref)) },
    Column {
        name: "VCenter",
        meaning: "The vCenter's name in the configuration of vmbridge",
        value: |host| name(Some(host.vcenter)),
    },
    Column { name: "Datacenter", meaning: "The datacenter", value: |host| name(host.datacenter) },
    Column {
        name: "Cluster",
        meaning: "The cluster; empty for a stand-alone host",
        value: |host| name(host.cluster),
    },
    Column { name: "EsxiVersion", meaning: "Version of ESXi", value: |host| name(host.version) },
    Column { name: "EsxiBuild", meaning: "Build of ESXi", value: |host| name(host.build) },
    Column { name: "Vendor", meaning: "Maker of the machine", value: |host| name(host.vendor) },
    Column { name: "Model", meaning: "Model of the machine", value: |host| name(host.model) },
    Column {
        name: "HardwareUuid",
        meaning: "SMBIOS UUID of the machine",
        value: |host| name(host.hardware_uuid),
    },
    Column { name: "CpuCores", meaning: "Physical cores", value: |host| number(host.cpu_cores) },
    Column { name: "MemoryBytes", meaning: "Memory in bytes", value: |host| number(host.memory_bytes) },
];

/// Tools run scripts for seconds, when a VM starts or a snapshot is taken.
fn settled_tools(status: Option<&str>) -> Option<&str> {
    match status {
        Some("guestToolsExecutingScripts") => Some("guestToolsRunning"),
        other => other,
    }
}

fn count(count: usize) -> String {
    count.to_string()
}

fn capacity(disks: &[Disk<'_>]) -> Option<i64> {
    disks.iter().try_fold(0_i64, |sum, disk| sum.checked_add(disk.capacity_bytes?))
}

/// A column as it is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnDoc {
    /// The type whose rows have it, such as [`VM_TYPE`].
    pub type_name: &'static str,
    /// Its name.
    pub name: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
}

/// The columns of all types, in the order of [`TYPES`](super::TYPES) and of the documentation.
pub fn columns() -> impl Iterator<Item = ColumnDoc> {
    let of_vm = |type_name| documented(type_name, COMMON);
    of_vm(VM_TYPE)
        .chain(documented(VM_TYPE, VM))
        .chain(of_vm(DISK_TYPE))
        .chain(documented(DISK_TYPE, DISK))
        .chain(of_vm(ADAPTER_TYPE))
        .chain(documented(ADAPTER_TYPE, ADAPTER))
        .chain(of_vm(SNAPSHOT_TYPE))
        .chain(documented(SNAPSHOT_TYPE, SNAPSHOT))
        .chain(documented(HOST_TYPE, HOST))
}

fn documented<F>(type_name: &'static str, columns: &'static [Column<F>]) -> impl Iterator<Item = ColumnDoc> {
    columns.iter().map(move |column| ColumnDoc { type_name, name: column.name, meaning: column.meaning })
}
