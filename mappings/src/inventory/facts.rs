//! What is known of a VM and of a host, in the form in which rows are made of it.
//!
//! Everything is borrowed from whoever knows it. `None` is what vCenter gives no value for or the account may not read; names are as
//! people see them in the vSphere client.

use jiff::Timestamp;

/// A tag of vSphere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag<'a> {
    /// Its category's name.
    pub category: &'a str,
    /// Its name.
    pub name: &'a str,
}

/// A VM. Identified by its vCenter's UUID and its `MoRef`.
#[derive(Debug, Clone, Default)]
pub struct VmFacts<'a> {
    /// The name of its vCenter in the configuration.
    pub vcenter: &'a str,
    /// Its vCenter's own id (`about.instanceUuid`).
    pub vcenter_uuid: Option<&'a str>,
    /// Its managed object id, unique in the vCenter.
    pub moref: &'a str,
    /// `config.instanceUuid`.
    pub instance_uuid: Option<&'a str>,
    /// `config.uuid`: the SMBIOS UUID inside the guest, up to byte order.
    pub bios_uuid: Option<&'a str>,
    /// Its name.
    pub name: Option<&'a str>,
    /// The datacenter's name.
    pub datacenter: Option<&'a str>,
    /// The path of its folder below the datacenter.
    pub folder: Option<&'a str>,
    /// The cluster's name.
    pub cluster: Option<&'a str>,
    /// The name of the host that it is on.
    pub host: Option<&'a str>,
    /// The resource pool's name.
    pub resource_pool: Option<&'a str>,
    /// The vApp's name.
    pub v_app: Option<&'a str>,
    /// Names of the datastores that it uses.
    pub datastores: Vec<&'a str>,
    /// Names of the networks that it is connected to.
    pub networks: Vec<&'a str>,
    /// `poweredOn`, `poweredOff` or `suspended`.
    pub power_state: Option<&'a str>,
    /// `connected`, `disconnected`, `inaccessible`, `invalid` or `orphaned`.
    pub connection_state: Option<&'a str>,
    /// The operating system as configured, such as `ubuntu64Guest`.
    pub guest_id: Option<&'a str>,
    /// The same for people.
    pub guest_full_name: Option<&'a str>,
    /// The operating system that Tools report, for people.
    pub guest_reported_full_name: Option<&'a str>,
    /// `linuxGuest`, `windowsGuest`, …
    pub guest_family: Option<&'a str>,
    /// What the guest calls itself.
    pub guest_host_name: Option<&'a str>,
    /// `guestToolsRunning`, `guestToolsNotRunning` or `guestToolsExecutingScripts`.
    pub tools_running: Option<&'a str>,
    /// The version number of Tools.
    pub tools_version: Option<&'a str>,
    /// `guestToolsCurrent`, `guestToolsUnmanaged`, `guestToolsNotInstalled`, …
    pub tools_version_status: Option<&'a str>,
    /// Virtual CPUs.
    pub cpus: Option<i32>,
    /// Virtual cores in a socket.
    pub cores_per_socket: Option<i32>,
    /// Memory in MiB.
    pub memory_mib: Option<i32>,
    /// Hardware version, such as `vmx-19`.
    pub hardware_version: Option<&'a str>,
    /// `bios` or `efi`.
    pub firmware: Option<&'a str>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// The key of the extension that manages it.
    pub managed_by: Option<&'a str>,
    /// 1 for the primary VM of a fault-tolerant group, more for a secondary.
    pub fault_tolerance_role: Option<i32>,
    /// Whether disks of removed snapshots remain to be consolidated.
    pub consolidation_needed: Option<bool>,
    /// PCI devices that are passed through.
    pub pci_passthrough: u16,
    /// Tags; none while they are not known.
    pub tags: Option<Vec<Tag<'a>>>,
    /// The patch group that its tags say, as tag sync would write it.
    pub patch_group: Option<&'a str>,
    /// Whose it is, by the tag that the configuration names.
    pub owner: Option<&'a str>,
    /// Virtual disks.
    pub disks: Vec<Disk<'a>>,
    /// Network adapters.
    pub adapters: Vec<Adapter<'a>>,
    /// All snapshots, flat.
    pub snapshots: Vec<SnapshotFacts<'a>>,
    /// Property paths that the account may not read.
    pub unreadable: Vec<&'a str>,
}

/// A virtual disk.
#[derive(Debug, Clone, Default)]
pub struct Disk<'a> {
    /// Key of the device.
    pub key: i32,
    /// Its label.
    pub label: Option<&'a str>,
    /// Its size in bytes.
    pub capacity_bytes: Option<i64>,
    /// `persistent`, `independent_persistent`, …
    pub mode: Option<&'a str>,
    /// Kind of backing: `FlatVer2`, `RawDiskMappingVer1`, …
    pub backing: Option<&'a str>,
    /// Whether it is thin.
    pub thin: Option<bool>,
    /// For raw device mappings: `physicalMode` or `virtualMode`.
    pub compatibility_mode: Option<&'a str>,
    /// `sharingNone` or `sharingMultiWriter`.
    pub sharing: Option<&'a str>,
    /// How its SCSI controller shares the bus.
    pub bus_sharing: Option<&'a str>,
    /// The file, with its datastore in brackets.
    pub file_name: Option<&'a str>,
    /// The datastore's name.
    pub datastore: Option<&'a str>,
}

/// A virtual network adapter.
#[derive(Debug, Clone, Default)]
pub struct Adapter<'a> {
    /// Key of the device.
    pub key: i32,
    /// Its label.
    pub label: Option<&'a str>,
    /// Type of card, such as `VirtualVmxnet3`.
    pub kind: Option<&'a str>,
    /// MAC address.
    pub mac_address: Option<&'a str>,
    /// Whether it is connected.
    pub connected: Option<bool>,
    /// The network's or port group's name.
    pub network: Option<&'a str>,
    /// Its addresses, as Tools report them.
    pub ip_addresses: Vec<&'a str>,
}

/// A snapshot.
#[derive(Debug, Clone, Default)]
pub struct SnapshotFacts<'a> {
    /// Managed object id.
    pub moref: Option<&'a str>,
    /// Its number, unique for the VM.
    pub number: i32,
    /// Its name.
    pub name: &'a str,
    /// Its description.
    pub description: &'a str,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Power state of the VM when it was made.
    pub power_state: Option<&'a str>,
    /// Whether file systems were quiesced.
    pub quiesced: bool,
    /// Id of the snapshot that it was made from.
    pub parent: Option<&'a str>,
    /// Whether the VM runs on from it.
    pub current: bool,
    /// Whether it is one of vmbridge's own, by its records.
    pub ours: bool,
}

/// An ESXi host.
#[derive(Debug, Clone, Default)]
pub struct HostFacts<'a> {
    /// The name of its vCenter in the configuration.
    pub vcenter: &'a str,
    /// Its vCenter's own id.
    pub vcenter_uuid: Option<&'a str>,
    /// Its managed object id.
    pub moref: &'a str,
    /// Its name.
    pub name: Option<&'a str>,
    /// The datacenter's name.
    pub datacenter: Option<&'a str>,
    /// The cluster's name; none for a stand-alone host.
    pub cluster: Option<&'a str>,
    /// Version of ESXi.
    pub version: Option<&'a str>,
    /// Build of ESXi.
    pub build: Option<&'a str>,
    /// Maker of the machine.
    pub vendor: Option<&'a str>,
    /// Model of the machine.
    pub model: Option<&'a str>,
    /// SMBIOS UUID of the machine.
    pub hardware_uuid: Option<&'a str>,
    /// Physical cores.
    pub cpu_cores: Option<i32>,
    /// Memory in bytes.
    pub memory_bytes: Option<i64>,
}
