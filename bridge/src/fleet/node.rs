//! Everything in the inventory that is not a VM: the tree that VMs lie in, and what they run on.

use std::sync::Arc;

use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::{AboutInfo, CustomValue, HostConnectionState, unescape_name};
use vsphere_client::property::{Change, Datastore, HostSystem, ObjectProperties};
use vsphere_client::xml::Named;

use super::readings::Readings;
use super::take::Take;

/// An object of the inventory.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Node {
    pub(super) name: Option<Arc<str>>,
    pub(super) parent: Option<MoRef>,
    pub(super) body: Body,
    pub(super) readings: Readings,
}

/// What is particular to its type.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Body {
    /// Nothing: a folder, a datacenter, a network.
    #[default]
    Plain,
    /// A cluster or the compute resource of a standalone host.
    Compute { hosts: Box<[MoRef]> },
    /// A resource pool.
    Pool { owner: Option<MoRef> },
    /// A vApp.
    VApp { owner: Option<MoRef>, parent_folder: Option<MoRef> },
    /// A host.
    Host(Box<Host>),
    /// A datastore.
    Store(Box<Store>),
}

/// What is known of a host.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Host {
    pub(super) product: Option<Box<AboutInfo>>,
    pub(super) vendor: Option<Arc<str>>,
    pub(super) model: Option<Arc<str>>,
    pub(super) hardware_uuid: Option<Box<str>>,
    pub(super) cpu_cores: Option<i32>,
    pub(super) memory_bytes: Option<i64>,
    pub(super) connection_state: Option<Named<HostConnectionState>>,
    pub(super) power_state: Option<Arc<str>>,
    pub(super) maintenance_mode: Option<bool>,
    pub(super) datastores: Box<[MoRef]>,
    pub(super) custom_values: Box<[(i32, Box<str>)]>,
}

/// What is known of a datastore.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Store {
    pub(super) kind: Option<Arc<str>>,
    pub(super) capacity_bytes: Option<i64>,
    pub(super) free_bytes: Option<i64>,
    pub(super) accessible: Option<bool>,
    pub(super) maintenance_mode: Option<Arc<str>>,
}

/// A definition of a custom attribute: its key and name.
pub(super) fn custom_value(value: CustomValue) -> (i32, Box<str>) {
    (value.key, value.value)
}

impl Node {
    /// An object of this type of which nothing is known yet.
    pub(super) fn new(kind: &MoKind) -> Self {
        let body = match kind {
            MoKind::ComputeResource | MoKind::ClusterComputeResource => {
                Body::Compute { hosts: Box::default() }
            }
            MoKind::ResourcePool => Body::Pool { owner: None },
            MoKind::VirtualApp => Body::VApp { owner: None, parent_folder: None },
            MoKind::HostSystem => Body::Host(Box::default()),
            MoKind::Datastore => Body::Store(Box::default()),
            _ => Body::Plain,
        };
        Self { name: None, parent: None, body, readings: None }
    }

    /// Takes over what a report says.
    pub(super) fn take(&mut self, report: ObjectProperties, take: &mut Take<'_>) {
        let (name, parent) = match report {
            ObjectProperties::HostSystem(report) => match &mut self.body {
                Body::Host(host) => host.take(*report, take),
                _ => return,
            },
            ObjectProperties::Datastore(report) => match &mut self.body {
                Body::Store(store) => store.take(*report, take),
                _ => return,
            },
            ObjectProperties::ComputeResource(report) => {
                if let Body::Compute { hosts } = &mut self.body {
                    take.references(report.hosts, hosts);
                }
                (report.name, report.parent)
            }
            ObjectProperties::ResourcePool(report) => {
                if let Body::Pool { owner } = &mut self.body {
                    take.reference(report.owner, owner);
                }
                (report.name, report.parent)
            }
            ObjectProperties::VirtualApp(report) => {
                if let Body::VApp { owner, parent_folder } = &mut self.body {
                    take.reference(report.owner, owner);
                    take.reference(report.parent_folder, parent_folder);
                }
                (report.name, report.parent)
            }
            ObjectProperties::Datacenter(report) => (report.name, report.parent),
            ObjectProperties::Folder(report) => (report.name, report.parent),
            ObjectProperties::Network(report) => (report.name, report.parent),
            _ => return,
        };
        take.put(name, &mut self.name, |name| unescape_name(&name).into());
        take.reference(parent, &mut self.parent);
    }

    /// Whether vCenter can read its configuration: it never had that of a host that it never reached.
    pub(super) fn has_configuration(&self) -> bool {
        self.host().is_none_or(|host| host.product.is_some())
    }

    pub(super) fn host(&self) -> Option<&Host> {
        match &self.body {
            Body::Host(host) => Some(host),
            _ => None,
        }
    }

    pub(super) fn store(&self) -> Option<&Store> {
        match &self.body {
            Body::Store(store) => Some(store),
            _ => None,
        }
    }
}

type NameAndParent = (Change<Box<str>>, Change<MoRef>);

impl Host {
    fn take(&mut self, report: HostSystem, take: &mut Take<'_>) -> NameAndParent {
        let HostSystem {
            name,
            parent,
            product,
            vendor,
            model,
            hardware_uuid,
            cpu_cores,
            memory_bytes,
            connection_state,
            power_state,
            maintenance_mode,
            datastores,
            custom_values,
        } = report;
        take.put(product, &mut self.product, Box::new);
        take.shared(vendor, &mut self.vendor);
        take.shared(model, &mut self.model);
        take.put(hardware_uuid, &mut self.hardware_uuid, |uuid| uuid);
        take.put(cpu_cores, &mut self.cpu_cores, |cores| cores);
        take.put(memory_bytes, &mut self.memory_bytes, |bytes| bytes);
        take.put(connection_state, &mut self.connection_state, |state| state);
        take.shared(power_state, &mut self.power_state);
        take.put(maintenance_mode, &mut self.maintenance_mode, |is| is);
        take.references(datastores, &mut self.datastores);
        take.list(custom_values, &mut self.custom_values, |_, value| custom_value(value));
        (name, parent)
    }
}

impl Store {
    fn take(&mut self, report: Datastore, take: &mut Take<'_>) -> NameAndParent {
        let Datastore { name, parent, kind, capacity_bytes, free_bytes, accessible, maintenance_mode } =
            report;
        take.shared(kind, &mut self.kind);
        take.put(capacity_bytes, &mut self.capacity_bytes, |bytes| bytes);
        take.put(free_bytes, &mut self.free_bytes, |bytes| bytes);
        take.put(accessible, &mut self.accessible, |is| is);
        take.shared(maintenance_mode, &mut self.maintenance_mode);
        (name, parent)
    }
}
