//! What to read: object types, their property paths, and how the collector gets to the objects.

use std::collections::BTreeSet;

use super::{
    ComputeResource, CustomFields, Datacenter, Datastore, EventCollector, Extra, Folder, HostSystem, Network,
    Properties, ResourcePool, VirtualApp, VirtualMachine,
};
use crate::ids::{MoKind, MoRef};
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
    /// What is read beside the built-in sets.
    pub(crate) extra: Extra,
}

/// One type with the paths to read of it.
type Wanted<'a> = (&'a str, Vec<&'a str>);

fn built_in<'a, P: Properties>(without: &BTreeSet<String>) -> Wanted<'a> {
    known(P::TYPE, P::PATHS, without)
}

fn known<'a>(of: &'a str, paths: &[&'a str], without: &BTreeSet<String>) -> Wanted<'a> {
    (of, paths.iter().copied().filter(|path| !without.contains(*path)).collect())
}

fn property_set((of, paths): Wanted<'_>) -> Option<Element> {
    // A set without paths would ask for nothing and be refused.
    (!paths.is_empty()).then(|| {
        Element::new("propSet")
            .text("type", of)
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
    /// The types with what is to be read of each.
    fn wanted(&self) -> Vec<Wanted<'_>> {
        let mut wanted: Vec<Wanted<'_>> =
            built_in_paths().map(|(of, paths)| known(of, paths, &self.without)).collect();
        for (kind, paths) in self.extra.asked() {
            let at = wanted.iter().position(|(of, _)| *of == kind.as_str()).unwrap_or_else(|| {
                // Servers differ in whether an object has the sets of its base types, too: the set of a derived type is whole.
                let base = wanted.iter().find(|(of, _)| kind.is_a(&MoKind::from(*of)));
                let paths = base.map(|(_, paths)| paths.clone()).unwrap_or_default();
                wanted.push((kind.as_str(), paths));
                wanted.len() - 1
            });
            let set = &mut wanted[at].1;
            for path in paths {
                if !set.contains(&path) {
                    set.push(path);
                }
            }
        }
        wanted
    }

    /// The `PropertyFilterSpec`, as an element called `name`.
    pub(crate) fn filter(&self, name: &'static str) -> Element {
        let sets = self.wanted().into_iter().filter_map(property_set);
        let others = self.others.iter().filter_map(|object| match object.kind() {
            CustomFields::TYPE => property_set(built_in::<CustomFields>(&self.without)),
            EventCollector::TYPE => property_set(built_in::<EventCollector>(&self.without)),
            _ => None,
        });
        let traversal = Element::typed("selectSet", "TraversalSpec")
            .text("name", "view")
            .text("type", "ContainerView")
            .text("path", "view")
            .text("skip", false);
        let view = Element::new("objectSet").moref("obj", &self.view).text("skip", true).child(traversal);
        Element::new(name)
            .each(sets.chain(others), Element::child)
            .child(view)
            .each(&self.others, |spec, object| {
                spec.child(Element::new("objectSet").moref("obj", object).text("skip", false))
            })
    }
}
