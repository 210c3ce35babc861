//! A host, cluster or port group as hardening rules see it: what was read of it, and where it is.

use std::ops::ControlFlow;

use mappings::checks::{Kind, Reading};
use mappings::selector::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};
use vsphere_client::ids::{MoKind, MoRef, VcenterUuid};

use super::node::Node;
use super::place::{Lookup, NamedRef};
use super::readings;
use super::{Part, VcenterName};

/// A host, cluster or port group, for as long as the fleet is being read. What suppressions may ask of it is its name and its place,
/// and of a host its custom attributes. What is read of VMs only, their tags above all, it does not have: a suppression that asks for
/// that is not about it, and its findings stay as plain as if there were none.
pub struct SetupView<'a> {
    part: &'a Part,
    kind: Kind,
    moref: &'a MoRef,
    node: &'a Node,
    lookup: Lookup<'a>,
}

impl<'a> SetupView<'a> {
    pub(super) fn new(part: &'a Part, moref: &'a MoRef, node: &'a Node, lookup: Lookup<'a>) -> Option<Self> {
        Some(Self { part, kind: readings::kind_of(moref.mo_kind())?, moref, node, lookup })
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The part of the fleet that it is in.
    #[must_use]
    pub fn vcenter_name(&self) -> &'a VcenterName {
        self.part.name()
    }

    /// The vCenter's own id.
    #[must_use]
    pub fn vcenter_uuid(&self) -> Option<VcenterUuid> {
        self.part.uuid()
    }

    /// The reference, unique in the vCenter.
    #[must_use]
    pub fn moref(&self) -> &'a MoRef {
        self.moref
    }

    /// What to call it: its name, or its reference where that is not known.
    #[must_use]
    pub fn label(&self) -> &'a str {
        self.node.name.as_deref().unwrap_or_else(|| self.moref.value())
    }

    /// The version that decides what unset values mean: for a host that of its ESXi, for all others that of vCenter's API. The
    /// caller falls back to the latter where the former is not known.
    #[must_use]
    pub fn version(&self) -> Option<&'a str> {
        match self.node.host() {
            Some(host) => host.product.as_deref().map(|product| product.version.as_str()),
            None => self.part.about().map(|about| about.api_version.as_str()),
        }
    }

    /// Whether a provider looks after it.
    #[must_use]
    pub fn is_provider_managed(&self) -> bool {
        self.part.is_provider_managed()
    }

    /// The datacenter that it is in.
    #[must_use]
    pub fn datacenter(&self) -> Option<NamedRef<'a>> {
        self.lookup.datacenter(self.node.parent.as_ref())
    }

    /// The cluster that a host is in; a cluster itself. None for a standalone host and a port group.
    #[must_use]
    pub fn cluster(&self) -> Option<NamedRef<'a>> {
        match self.kind {
            Kind::Cluster => Some(self.lookup.named(self.moref)),
            Kind::Host => {
                let parent = self.node.parent.as_ref()?;
                let is_cluster = *parent.mo_kind() == MoKind::ClusterComputeResource;
                is_cluster.then(|| self.lookup.named(parent))
            }
            Kind::Vm | Kind::Portgroup => None,
        }
    }

    /// What is known of whatever VMs are there, as far as its own name and place say: they may have any tags.
    #[must_use]
    pub fn of_its_vms(&self) -> VmsThere<'_, 'a> {
        VmsThere(self)
    }

    /// What hardening rules read of it, by slot; nothing while they are not checked, or before it was read for them.
    #[must_use]
    pub fn readings(&self) -> Option<Vec<Reading>> {
        readings::all(&self.node.readings)
    }
}

impl VmFacts for SetupView<'_> {
    fn vcenter(&self) -> &str {
        self.part.name().as_str()
    }

    fn name(&self) -> Fact<&str> {
        self.node.name.as_deref().map_or(Fact::Unknown, Fact::Known)
    }

    fn folder(&self) -> Fact<&str> {
        // Selectors name folders of VMs.
        Fact::Absent
    }

    fn datacenter(&self) -> Fact<&str> {
        let name = self.lookup.datacenter(self.node.parent.as_ref()).and_then(|(_, name)| name);
        name.map_or(Fact::Unknown, Fact::Known)
    }

    fn cluster(&self) -> Fact<&str> {
        if self.kind == Kind::Host && self.node.parent.is_none() {
            return Fact::Unknown;
        }
        match self.cluster() {
            Some((_, name)) => name.map_or(Fact::Unknown, Fact::Known),
            None => Fact::Absent,
        }
    }

    fn guest_family(&self) -> Fact<GuestFamily> {
        Fact::Absent
    }

    fn power_state(&self) -> Fact<PowerState> {
        Fact::Absent
    }

    fn is_template(&self) -> Fact<bool> {
        Fact::Known(false)
    }

    fn visit_tags<'a>(&'a self, _: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        // Only those of VMs are ever read. What will never be known is no reason to keep quiet about what is wrong.
        TagsKnown::Yes
    }

    fn custom_attribute(&self, name: &str) -> Fact<&str> {
        // Only those of VMs and hosts are ever read.
        let Some(host) = self.node.host() else { return Fact::Absent };
        let value = host.custom_values.iter().find_map(|(key, value)| {
            let field = self.lookup.fields.get(key)?;
            mappings::glob::same_name(field, name).then_some(&**value)
        });
        value.filter(|value| !value.is_empty()).map_or(Fact::Absent, Fact::Known)
    }
}

/// What is known of VMs by where they are: on a host, in a cluster, at a port group.
pub struct VmsThere<'v, 'a>(&'v SetupView<'a>);

impl VmFacts for VmsThere<'_, '_> {
    fn vcenter(&self) -> &str {
        self.0.vcenter()
    }

    fn name(&self) -> Fact<&str> {
        self.0.name()
    }

    fn folder(&self) -> Fact<&str> {
        self.0.folder()
    }

    fn datacenter(&self) -> Fact<&str> {
        VmFacts::datacenter(self.0)
    }

    fn cluster(&self) -> Fact<&str> {
        VmFacts::cluster(self.0)
    }

    fn guest_family(&self) -> Fact<GuestFamily> {
        self.0.guest_family()
    }

    fn power_state(&self) -> Fact<PowerState> {
        self.0.power_state()
    }

    fn is_template(&self) -> Fact<bool> {
        self.0.is_template()
    }

    fn visit_tags<'a>(&'a self, _: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        TagsKnown::No
    }

    fn custom_attribute(&self, name: &str) -> Fact<&str> {
        if self.0.kind == Kind::Host { self.0.custom_attribute(name) } else { Fact::Unknown }
    }
}

#[cfg(test)]
mod tests;
