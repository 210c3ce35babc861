//! What is known of the operating system inside a VM, and of who manages the VM.

use super::data_object;

data_object! {
    /// A network card as the guest sees it (`GuestNicInfo`).
    pub struct GuestNic {
        /// Name of the network it is connected to.
        "network" => network: opt Box<str>,
        /// MAC address.
        "macAddress" => mac_address: opt Box<str>,
        /// Whether it is connected.
        "connected" => connected: one bool,
        /// Key of the virtual device.
        "deviceConfigId" => device_key: one i32,
        /// Addresses, as written by the guest: an IPv6 address may carry a zone.
        "ipAddress" => ip_addresses: many Box<str>,
    }
}

data_object! {
    /// The product that manages a VM (`ManagedByInfo`), as set on vCLS, NSX, or placeholder VMs.
    pub struct ManagedBy {
        /// Key of the vCenter extension.
        "extensionKey" => extension_key: one Box<str>,
        /// What the VM is to that extension.
        "type" => kind: one Box<str>,
    }
}

data_object! {
    /// Part of a VM in a fault-tolerant group (`FaultToleranceConfigInfo`).
    pub struct FaultToleranceInfo {
        /// 1 for the primary, 2 and up for secondaries.
        "role" => role: one i32,
        /// Instance UUIDs of all VMs of the group, the primary first.
        "instanceUuids" => instance_uuids: many Box<str>,
    }
}
