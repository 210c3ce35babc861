//! The properties that describe a fleet: the built-in sets, one for each type of object in the inventory.

use jiff::Timestamp;

use super::Change;
use super::Properties as _;
use crate::ids::{MoKind, MoRef};
use crate::model::{
    AboutInfo, ConnectionState, CustomFieldDef, CustomValue, Device, Event, FaultToleranceInfo, GuestFamily,
    GuestNic, HostConnectionState, ManagedBy, PowerState, SnapshotInfo, TaskInfo, ToolsRunningStatus,
};
use crate::properties;
use crate::xml::{Decoder, Named, XmlError};

properties! {
    /// A virtual machine or template.
    pub struct VirtualMachine of "VirtualMachine" {
        /// Name, escaped as in [`crate::model::unescape_name`].
        name: Box<str> = "name",
        /// Folder; a VM inside a vApp has none.
        parent: MoRef = "parent",
        /// vApp, for a VM inside one.
        parent_vapp: MoRef = "parentVApp",
        /// BIOS UUID.
        bios_uuid: Box<str> = "config.uuid",
        /// vCenter's UUID for the VM.
        instance_uuid: Box<str> = "config.instanceUuid",
        /// Whether it is a template.
        template: bool = "config.template",
        /// Guest operating system as configured, such as `ubuntu64Guest`.
        guest_id: Box<str> = "config.guestId",
        /// The same for people.
        guest_full_name: Box<str> = "config.guestFullName",
        /// Notes.
        annotation: Box<str> = "config.annotation",
        /// Hardware version, such as `vmx-19`.
        hardware_version: Box<str> = "config.version",
        /// `bios` or `efi`.
        firmware: Box<str> = "config.firmware",
        /// When it was made; unset before API 6.7.
        created: Timestamp = "config.createDate",
        /// The product that manages it.
        managed_by: ManagedBy = "config.managedBy",
        /// Its part in a fault-tolerant group.
        fault_tolerance: FaultToleranceInfo = "config.ftInfo",
        /// Virtual CPUs.
        cpus: i32 = "config.hardware.numCPU",
        /// Virtual cores in a socket.
        cores_per_socket: i32 = "config.hardware.numCoresPerSocket",
        /// Memory in MiB.
        memory_mib: i32 = "config.hardware.memoryMB",
        /// Virtual devices.
        devices: Vec<Device> = "config.hardware.device",
        /// Power state.
        power_state: Named<PowerState> = "runtime.powerState",
        /// What vCenter can say of it.
        connection_state: Named<ConnectionState> = "runtime.connectionState",
        /// Host it is on.
        host: MoRef = "runtime.host",
        /// Whether disks of removed snapshots remain to be consolidated.
        consolidation_needed: bool = "runtime.consolidationNeeded",
        /// When it was powered on last.
        boot_time: Timestamp = "runtime.bootTime",
        /// Whether Tools run.
        tools_running: Named<ToolsRunningStatus> = "guest.toolsRunningStatus",
        /// How current Tools are (`guestToolsCurrent`, `guestToolsUnmanaged`, …).
        tools_version_status: Box<str> = "guest.toolsVersionStatus2",
        /// Version number of Tools.
        tools_version: Box<str> = "guest.toolsVersion",
        /// Kind of operating system, as Tools report it.
        guest_family: Named<GuestFamily> = "guest.guestFamily",
        /// Operating system, as Tools report it.
        guest_reported_id: Box<str> = "guest.guestId",
        /// The same for people.
        guest_reported_full_name: Box<str> = "guest.guestFullName",
        /// `running`, `notRunning`, `shuttingDown`, …
        guest_state: Box<str> = "guest.guestState",
        /// Whether guest operations can be used now.
        guest_operations_ready: bool = "guest.guestOperationsReady",
        /// Host name.
        host_name: Box<str> = "guest.hostName",
        /// Primary address.
        ip_address: Box<str> = "guest.ipAddress",
        /// Network cards with their addresses.
        guest_nics: Vec<GuestNic> = "guest.net",
        /// Datastores it uses.
        datastores: Vec<MoRef> = "datastore",
        /// Networks it is connected to.
        networks: Vec<MoRef> = "network",
        /// Resource pool; templates have none.
        resource_pool: MoRef = "resourcePool",
        /// Snapshots.
        snapshot: SnapshotInfo = "snapshot",
        /// Custom attributes.
        custom_values: Vec<CustomValue> = "customValue",
    }
}

properties! {
    /// An ESXi host.
    pub struct HostSystem of "HostSystem" {
        /// Name.
        name: Box<str> = "name",
        /// Compute resource or cluster.
        parent: MoRef = "parent",
        /// Version and build of ESXi.
        product: AboutInfo = "summary.config.product",
        /// Maker of the machine.
        vendor: Box<str> = "summary.hardware.vendor",
        /// Model of the machine.
        model: Box<str> = "summary.hardware.model",
        /// SMBIOS UUID of the machine.
        hardware_uuid: Box<str> = "summary.hardware.uuid",
        /// Physical cores.
        cpu_cores: i32 = "summary.hardware.numCpuCores",
        /// Memory in bytes.
        memory_bytes: i64 = "summary.hardware.memorySize",
        /// Whether vCenter reaches it.
        connection_state: Named<HostConnectionState> = "runtime.connectionState",
        /// Power state; also `standBy` and `unknown`.
        power_state: Box<str> = "runtime.powerState",
        /// Whether it is in maintenance mode.
        maintenance_mode: bool = "runtime.inMaintenanceMode",
        /// Datastores it mounts.
        datastores: Vec<MoRef> = "datastore",
        /// Custom attributes.
        custom_values: Vec<CustomValue> = "customValue",
    }
}

properties! {
    /// A cluster, or the compute resource of a standalone host.
    pub struct ComputeResource of "ComputeResource" {
        /// Name.
        name: Box<str> = "name",
        /// Folder.
        parent: MoRef = "parent",
        /// Hosts in it.
        hosts: Vec<MoRef> = "host",
    }
}

properties! {
    /// A datastore.
    pub struct Datastore of "Datastore" {
        /// Name.
        name: Box<str> = "name",
        /// Folder or datastore cluster.
        parent: MoRef = "parent",
        /// `VMFS`, `NFS`, `NFS41`, `vsan`, `VVOL`, …
        kind: Box<str> = "summary.type",
        /// Size in bytes; means something only while accessible.
        capacity_bytes: i64 = "summary.capacity",
        /// Free bytes; means something only while accessible.
        free_bytes: i64 = "summary.freeSpace",
        /// Whether at least one host reaches it.
        accessible: bool = "summary.accessible",
        /// `normal`, `enteringMaintenance` or `inMaintenance`.
        maintenance_mode: Box<str> = "summary.maintenanceMode",
    }
}

properties! {
    /// A datacenter.
    pub struct Datacenter of "Datacenter" {
        /// Name.
        name: Box<str> = "name",
        /// Folder.
        parent: MoRef = "parent",
    }
}

properties! {
    /// A folder of the inventory.
    pub struct Folder of "Folder" {
        /// Name.
        name: Box<str> = "name",
        /// Folder or datacenter; the root folder has none.
        parent: MoRef = "parent",
    }
}

properties! {
    /// A resource pool.
    pub struct ResourcePool of "ResourcePool" {
        /// Name.
        name: Box<str> = "name",
        /// Resource pool or compute resource.
        parent: MoRef = "parent",
        /// Compute resource.
        owner: MoRef = "owner",
    }
}

properties! {
    /// A vApp: a resource pool that also lies in a folder.
    pub struct VirtualApp of "VirtualApp" {
        /// Name.
        name: Box<str> = "name",
        /// Resource pool or vApp that its resources come from.
        parent: MoRef = "parent",
        /// Compute resource.
        owner: MoRef = "owner",
        /// Folder; a vApp inside another has none.
        parent_folder: MoRef = "parentFolder",
    }
}

properties! {
    /// A network or port group.
    pub struct Network of "Network" {
        /// Name.
        name: Box<str> = "name",
        /// Folder.
        parent: MoRef = "parent",
    }
}

properties! {
    /// The definitions of custom attributes.
    pub struct CustomFields of "CustomFieldsManager" {
        /// All of them.
        fields: Vec<CustomFieldDef> = "field",
    }
}

properties! {
    /// An event collector.
    pub struct EventCollector of "EventHistoryCollector" {
        /// The newest events, the newest first.
        latest: Vec<Event> = "latestPage",
    }
}

properties! {
    /// A task.
    pub struct Task of "Task" {
        /// All that is known of it.
        info: TaskInfo = "info",
    }
}

/// The properties of one object of a fleet, by its type.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ObjectProperties {
    /// A VM or template.
    VirtualMachine(Box<VirtualMachine>),
    /// A host.
    HostSystem(Box<HostSystem>),
    /// A cluster or standalone host's compute resource.
    ComputeResource(ComputeResource),
    /// A datastore.
    Datastore(Box<Datastore>),
    /// A datacenter.
    Datacenter(Datacenter),
    /// A folder.
    Folder(Folder),
    /// A resource pool.
    ResourcePool(ResourcePool),
    /// A vApp.
    VirtualApp(VirtualApp),
    /// A network.
    Network(Network),
    /// Custom attribute definitions.
    CustomFields(CustomFields),
    /// An event collector.
    EventCollector(EventCollector),
    /// A task.
    Task(Box<Task>),
    /// An object that nothing was asked about.
    Other,
}

macro_rules! dispatch {
    ($self:ident, $properties:ident => $call:expr, $other:expr) => {
        match $self {
            Self::VirtualMachine($properties) => $call,
            Self::HostSystem($properties) => $call,
            Self::ComputeResource($properties) => $call,
            Self::Datastore($properties) => $call,
            Self::Datacenter($properties) => $call,
            Self::Folder($properties) => $call,
            Self::ResourcePool($properties) => $call,
            Self::VirtualApp($properties) => $call,
            Self::Network($properties) => $call,
            Self::CustomFields($properties) => $call,
            Self::EventCollector($properties) => $call,
            Self::Task($properties) => $call,
            Self::Other => $other,
        }
    };
}

impl ObjectProperties {
    /// An empty report on an object of this type.
    #[must_use]
    pub fn empty(kind: &MoKind) -> Self {
        match kind {
            MoKind::VirtualMachine => Self::VirtualMachine(Box::default()),
            MoKind::HostSystem => Self::HostSystem(Box::default()),
            MoKind::ComputeResource | MoKind::ClusterComputeResource => {
                Self::ComputeResource(ComputeResource::default())
            }
            MoKind::Datastore => Self::Datastore(Box::default()),
            MoKind::Datacenter => Self::Datacenter(Datacenter::default()),
            MoKind::Folder | MoKind::StoragePod => Self::Folder(Folder::default()),
            MoKind::ResourcePool => Self::ResourcePool(ResourcePool::default()),
            MoKind::VirtualApp => Self::VirtualApp(VirtualApp::default()),
            MoKind::Network | MoKind::DistributedVirtualPortgroup | MoKind::OpaqueNetwork => {
                Self::Network(Network::default())
            }
            MoKind::Task => Self::Task(Box::default()),
            MoKind::Other(name) if &**name == CustomFields::TYPE => {
                Self::CustomFields(CustomFields::default())
            }
            MoKind::Other(name) if &**name == EventCollector::TYPE => {
                Self::EventCollector(EventCollector::default())
            }
            MoKind::VirtualMachineSnapshot | MoKind::Other(_) => Self::Other,
        }
    }

    pub(crate) fn set(&mut self, path: &str, d: &mut Decoder) -> Result<(), XmlError> {
        dispatch!(self, properties => properties.set(path, d), d.skip())
    }

    pub(crate) fn unset(&mut self, path: &str) {
        dispatch!(self, properties => properties.unset(path), ());
    }

    pub(crate) fn unreadable(&mut self, path: &str) {
        dispatch!(self, properties => properties.unreadable(path), ());
    }
}

/// The name of any object in the inventory, where only that is wanted.
impl ObjectProperties {
    /// What the report says of the object's name, for the types that have one.
    #[must_use]
    pub fn name(&self) -> Option<&Change<Box<str>>> {
        match self {
            Self::VirtualMachine(vm) => Some(&vm.name),
            Self::HostSystem(host) => Some(&host.name),
            Self::ComputeResource(compute) => Some(&compute.name),
            Self::Datastore(datastore) => Some(&datastore.name),
            Self::Datacenter(datacenter) => Some(&datacenter.name),
            Self::Folder(folder) => Some(&folder.name),
            Self::ResourcePool(pool) => Some(&pool.name),
            Self::VirtualApp(vapp) => Some(&vapp.name),
            Self::Network(network) => Some(&network.name),
            Self::CustomFields(_) | Self::EventCollector(_) | Self::Task(_) | Self::Other => None,
        }
    }
}
