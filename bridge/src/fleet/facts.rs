//! One VM as everybody outside sees it: its record, with the references followed.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use mappings::checks::Reading;
use mappings::guest;
use mappings::selector::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};
use vsphere_client::ids::{BiosUuid, InstanceUuid, MoKind, MoRef, VcenterUuid};
use vsphere_client::model;
use vsphere_client::xml::Named;

use super::VcenterName;
use super::document::VmDocument;
use super::place::{Lookup, Place};
use super::readings;
use super::vm::Vm;

/// A VM of the fleet, for as long as the fleet is being read.
pub struct VmView<'a> {
    pub(super) vcenter: &'a VcenterName,
    pub(super) vcenter_uuid: Option<VcenterUuid>,
    pub(super) moref: &'a MoRef,
    pub(super) vm: &'a Vm,
    pub(super) lookup: Lookup<'a>,
    place: OnceCell<Place<'a>>,
}

impl<'a> VmView<'a> {
    pub(super) fn new(
        vcenter: &'a VcenterName,
        vcenter_uuid: Option<VcenterUuid>,
        moref: &'a MoRef,
        vm: &'a Vm,
        lookup: Lookup<'a>,
    ) -> Self {
        Self { vcenter, vcenter_uuid, moref, vm, lookup, place: OnceCell::new() }
    }

    /// The part of the fleet that the VM is in.
    #[must_use]
    pub fn vcenter_name(&self) -> &'a VcenterName {
        self.vcenter
    }

    /// The vCenter's own id.
    #[must_use]
    pub fn vcenter_uuid(&self) -> Option<VcenterUuid> {
        self.vcenter_uuid
    }

    /// The reference, unique in the vCenter.
    #[must_use]
    pub fn moref(&self) -> &'a MoRef {
        self.moref
    }

    /// What to call it: its name, or its reference where that is not known.
    #[must_use]
    pub fn label(&self) -> Arc<str> {
        self.vm.core.name.clone().unwrap_or_else(|| self.moref.shared_value())
    }

    /// vCenter's id for the VM.
    #[must_use]
    pub fn instance_uuid(&self) -> Option<InstanceUuid> {
        self.vm.core.instance_uuid
    }

    /// The BIOS UUID, which inside the guest is the SMBIOS product UUID.
    #[must_use]
    pub fn bios_uuid(&self) -> Option<BiosUuid> {
        self.vm.bios_uuid
    }

    /// The power state.
    #[must_use]
    pub fn power(&self) -> Option<model::PowerState> {
        self.vm.power_state.as_ref().and_then(Named::known)
    }

    /// What the guest calls itself, as Tools report it.
    #[must_use]
    pub fn guest_host_name(&self) -> Option<&'a str> {
        self.vm.core.host_name.as_deref().filter(|name| !name.is_empty())
    }

    /// All addresses of the guest, as Tools report them.
    pub fn guest_addresses(&self) -> impl Iterator<Item = &'a str> {
        let nics = self.vm.guest_nics.iter().flat_map(|nic| nic.ip_addresses.iter());
        self.vm.ip_address.iter().chain(nics).map(|address| &**address)
    }

    /// The extension that the VM belongs to, such as that of the cluster services.
    #[must_use]
    pub fn managed_by(&self) -> Option<&'a str> {
        self.vm.core.managed_by.as_ref().map(|managed| &*managed.extension_key)
    }

    /// The host that it is on.
    #[must_use]
    pub fn host(&self) -> Option<&'a MoRef> {
        self.vm.host.as_ref()
    }

    /// The name of the host that it is on.
    #[must_use]
    pub fn host_label(&self) -> Option<&'a str> {
        self.lookup.name(self.vm.host.as_ref()?)
    }

    /// Whether VMware Tools run in the guest.
    #[must_use]
    pub fn runs_tools(&self) -> bool {
        self.vm.tools_running.as_ref().and_then(Named::known) == Some(model::ToolsRunningStatus::Running)
    }

    /// Whether guest operations can be used now, as Tools report it.
    #[must_use]
    pub fn is_ready_for_guest_operations(&self) -> bool {
        self.vm.guest_operations_ready == Some(true)
    }

    /// Whether vCenter has its configuration. It has none of a VM whose files it cannot reach: what is read of it then is nothing
    /// and not "none".
    #[must_use]
    pub fn has_configuration(&self) -> bool {
        self.vm.has_configuration()
    }

    /// Whether vCenter reaches it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.vm.connection_state.as_ref().and_then(Named::known) == Some(model::ConnectionState::Connected)
    }

    /// The guest's id: as Tools report it, or else as it was configured.
    #[must_use]
    pub fn guest_id(&self) -> Option<&'a str> {
        let reported = self.vm.guest_reported_id.as_deref().filter(|id| !id.is_empty());
        reported.or(self.vm.guest_id.as_deref())
    }

    /// Whether it is the standby copy of a fault-tolerant VM.
    #[must_use]
    pub fn is_secondary(&self) -> bool {
        self.vm.fault_tolerance_role.is_some_and(|role| role > 1)
    }

    /// Whether it is powered on and Tools in its guest run, ready for guest operations.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.is_connected()
            && self.power() == Some(model::PowerState::PoweredOn)
            && self.runs_tools()
            && self.is_ready_for_guest_operations()
    }

    /// The names of its snapshots, in no particular order.
    pub fn snapshot_names(&self) -> impl Iterator<Item = &'a str> {
        let mut rest: Vec<&model::SnapshotTree> =
            self.vm.snapshot.iter().flat_map(|snapshot| &snapshot.roots).collect();
        std::iter::from_fn(move || {
            let tree = rest.pop()?;
            rest.extend(&tree.children);
            Some(&*tree.name)
        })
    }

    /// When it was powered on.
    #[must_use]
    pub fn boot_time(&self) -> Option<jiff::Timestamp> {
        self.vm.boot_time
    }

    /// The custom attributes that have a value.
    pub fn custom_attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let named = |(key, value): &'a (i32, Box<str>)| Some((&**self.lookup.fields.get(key)?, &**value));
        self.vm.custom_values.iter().filter_map(named).filter(|(_, value)| !value.is_empty())
    }

    /// What hardening rules read of it, by slot; nothing while they are not checked, or before it was read for them. Put together
    /// when it is asked for.
    #[must_use]
    pub fn readings(&self) -> Option<Vec<Reading>> {
        readings::all(&self.vm.readings)
    }

    /// The version of ESXi on its host.
    #[must_use]
    pub fn host_version(&self) -> Option<&'a str> {
        let host = self.lookup.node(self.vm.host.as_ref()?)?.host()?;
        host.product.as_deref().map(|product| product.version.as_str())
    }

    /// Everything that is known, as one document.
    #[must_use]
    pub fn document(&self) -> VmDocument<'_> {
        VmDocument::new(self)
    }

    pub(super) fn place(&self) -> &Place<'a> {
        self.place.get_or_init(|| self.lookup.place(self.lookup.folder_of(self.vm)))
    }

    /// What is not known because it may not be read differs from what there is not.
    fn fact<T>(&self, value: Option<T>, path: &str) -> Fact<T> {
        match value {
            Some(value) => Fact::Known(value),
            None if self.vm.unreadable.has(path) => Fact::Unknown,
            None => Fact::Absent,
        }
    }
}

impl mappings::tags::TagFacts for VmView<'_> {
    fn resource_pool(&self) -> Fact<&str> {
        let pool = self.fact(self.vm.resource_pool.as_ref(), "resourcePool");
        match pool {
            Fact::Known(pool) => self.lookup.name(pool).map_or(Fact::Unknown, Fact::Known),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        }
    }

    fn guest_os(&self) -> Fact<&str> {
        let reported = self.vm.guest_reported_full_name.as_deref().filter(|name| !name.is_empty());
        self.fact(reported.or(self.vm.guest_full_name.as_deref()), "config.guestFullName")
    }

    fn host_name(&self) -> Fact<&str> {
        self.fact(self.guest_host_name(), "guest.hostName")
    }
}

impl VmFacts for VmView<'_> {
    fn vcenter(&self) -> &str {
        self.vcenter.as_str()
    }

    fn name(&self) -> Fact<&str> {
        self.vm.core.name.as_deref().map_or(Fact::Unknown, Fact::Known)
    }

    fn folder(&self) -> Fact<&str> {
        self.place().path.as_deref().map_or(Fact::Unknown, Fact::Known)
    }

    fn datacenter(&self) -> Fact<&str> {
        self.place().datacenter.and_then(|(_, name)| name).map_or(Fact::Unknown, Fact::Known)
    }

    fn cluster(&self) -> Fact<&str> {
        match self.lookup.compute_of(self.vm) {
            None => Fact::Unknown,
            Some(compute) if *compute.mo_kind() != MoKind::ClusterComputeResource => Fact::Absent,
            Some(cluster) => self.lookup.name(cluster).map_or(Fact::Unknown, Fact::Known),
        }
    }

    fn guest_family(&self) -> Fact<GuestFamily> {
        let reported = self.vm.guest_family.as_ref().and_then(Named::known).map(|family| match family {
            model::GuestFamily::Windows => GuestFamily::Windows,
            model::GuestFamily::Linux => GuestFamily::Linux,
            model::GuestFamily::Netware => GuestFamily::Netware,
            model::GuestFamily::Solaris => GuestFamily::Solaris,
            model::GuestFamily::Darwin => GuestFamily::Darwin,
            model::GuestFamily::Other => GuestFamily::Other,
        });
        let configured = || self.vm.guest_id.as_deref().map(guest::family_of_id);
        self.fact(reported.or_else(configured), "config.guestId")
    }

    fn power_state(&self) -> Fact<PowerState> {
        let state = self.power().map(|state| match state {
            model::PowerState::PoweredOn => PowerState::On,
            model::PowerState::PoweredOff => PowerState::Off,
            model::PowerState::Suspended => PowerState::Suspended,
        });
        // Every VM is in some power state.
        state.map_or(Fact::Unknown, Fact::Known)
    }

    fn is_template(&self) -> Fact<bool> {
        // An inaccessible VM has no configuration, so that nobody can say.
        self.vm.core.template.map_or(Fact::Unknown, Fact::Known)
    }

    fn visit_tags<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        let Some(tags) = &self.vm.tags else { return TagsKnown::No };
        for tag in tags {
            if visit(&tag.category, &tag.name).is_break() {
                break;
            }
        }
        TagsKnown::Yes
    }

    fn custom_attribute(&self, name: &str) -> Fact<&str> {
        let value = self.vm.custom_values.iter().find_map(|(key, value)| {
            let field = self.lookup.fields.get(key)?;
            mappings::glob::same_name(field, name).then_some(&**value)
        });
        self.fact(value.filter(|value| !value.is_empty()), "customValue")
    }
}
