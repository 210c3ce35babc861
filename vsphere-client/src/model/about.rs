//! What a vCenter says of itself.

use super::data_object;
use crate::ids::MoRef;

data_object! {
    /// Product, version and identity of a server (`AboutInfo`).
    pub struct AboutInfo {
        /// Product name, such as `VMware vCenter Server`.
        "name" => name: one String,
        /// Name, version and build in one line.
        "fullName" => full_name: one String,
        /// Product version, such as `8.0.3`.
        "version" => version: one String,
        /// Build number.
        "build" => build: one String,
        /// `VirtualCenter` for vCenter, `HostAgent` for a single ESXi host.
        "apiType" => api_type: one String,
        /// Newest API version the server speaks, such as `8.0.2.0`.
        "apiVersion" => api_version: one String,
        /// Instance UUID of the vCenter; hosts have none.
        "instanceUuid" => instance_uuid: opt String,
        /// `vpx` for vCenter, `embeddedEsx` for ESXi.
        "productLineId" => product_line_id: one String,
    }
}

data_object! {
    /// Where the managers of a server are found (`ServiceContent`).
    pub struct ServiceContent {
        /// Product, version and identity.
        "about" => about: one AboutInfo,
        /// Root of the inventory.
        "rootFolder" => root_folder: opt MoRef,
        /// Reads and watches properties.
        "propertyCollector" => property_collector: opt MoRef,
        /// Makes views over the inventory.
        "viewManager" => view_manager: opt MoRef,
        /// Log-in and log-out.
        "sessionManager" => session_manager: opt MoRef,
        /// Privileges and roles.
        "authorizationManager" => authorization_manager: opt MoRef,
        /// Events.
        "eventManager" => event_manager: opt MoRef,
        /// Tasks.
        "taskManager" => task_manager: opt MoRef,
        /// Definitions of custom attributes.
        "customFieldsManager" => custom_fields_manager: opt MoRef,
        /// Operations inside guests.
        "guestOperationsManager" => guest_operations_manager: opt MoRef,
    }
}
