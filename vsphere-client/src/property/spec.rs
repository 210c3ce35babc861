//! What to read: object types, their property paths, and how the collector gets to the objects.

use std::collections::BTreeSet;

use super::{
    ComputeResource, CustomFields, Datacenter, Datastore, EventCollector, Folder, HostSystem, Network,
    Properties, ResourcePool, VirtualApp, VirtualMachine,
};
use crate::ids::MoRef;
use crate::xml::Element;

/// The types a container view of the whole inventory holds. Subtypes come with them.
pub(crate) const VIEW_TYPES: [&str; 8] = [
    VirtualMachine::TYPE,
    HostSystem::TYPE,
    ComputeResource::TYPE,
    Datastore::TYPE,
    Datacenter::TYPE,
    Folder::TYPE,
    ResourcePool::TYPE,
    Network::TYPE,
];

/// What one read of a fleet asks for.
#[derive(Debug, Clone)]
pub(crate) struct FleetSpec {
    pub(crate) view: MoRef,
    /// Objects outside the inventory that are read too.
    pub(crate) others: Vec<MoRef>,
    /// Paths that this server does not know.
    pub(crate) without: BTreeSet<String>,
}

fn property_set<P: Properties>(without: &BTreeSet<String>) -> Option<Element> {
    let paths: Vec<_> = P::PATHS.iter().filter(|path| !without.contains(**path)).collect();
    // A set without paths would ask for nothing and be refused.
    (!paths.is_empty()).then(|| {
        Element::new("propSet")
            .text("type", P::TYPE)
            .text("all", false)
            .each(paths, |set, path| set.text("pathSet", path))
    })
}

/// The built-in sets: each type of managed object with the paths that are read of it.
pub fn built_in_paths() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    fn set<P: Properties>() -> (&'static str, &'static [&'static str]) {
        (P::TYPE, P::PATHS)
    }
    [
        set::<VirtualMachine>(),
        set::<HostSystem>(),
        set::<ComputeResource>(),
        set::<Datastore>(),
        set::<Datacenter>(),
        set::<Folder>(),
        set::<ResourcePool>(),
        set::<VirtualApp>(),
        set::<Network>(),
    ]
    .into_iter()
}

/// Whether any of the built-in sets has this path, so that leaving it out changes something.
pub(crate) fn is_known_path(path: &str) -> bool {
    built_in_paths().any(|(_, paths)| paths.contains(&path))
}

impl FleetSpec {
    /// The `PropertyFilterSpec`, as an element called `name`.
    pub(crate) fn filter(&self, name: &'static str) -> Element {
        let without = &self.without;
        let sets = [
            property_set::<VirtualMachine>(without),
            property_set::<HostSystem>(without),
            property_set::<ComputeResource>(without),
            property_set::<Datastore>(without),
            property_set::<Datacenter>(without),
            property_set::<Folder>(without),
            property_set::<ResourcePool>(without),
            property_set::<VirtualApp>(without),
            property_set::<Network>(without),
        ];
        let others = self.others.iter().filter_map(|object| match object.kind() {
            CustomFields::TYPE => property_set::<CustomFields>(without),
            EventCollector::TYPE => property_set::<EventCollector>(without),
            _ => None,
        });
        let traversal = Element::typed("selectSet", "TraversalSpec")
            .text("name", "view")
            .text("type", "ContainerView")
            .text("path", "view")
            .text("skip", false);
        let view = Element::new("objectSet").moref("obj", &self.view).text("skip", true).child(traversal);
        Element::new(name)
            .each(sets.into_iter().flatten().chain(others), Element::child)
            .child(view)
            .each(&self.others, |spec, object| {
                spec.child(Element::new("objectSet").moref("obj", object).text("skip", false))
            })
    }
}
