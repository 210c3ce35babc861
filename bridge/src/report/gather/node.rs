//! What AWS says of managed nodes, by the place that they are in.
//!
//! Two targets may be one account and Region, with VMs of their own. What is in a place is there once, whatever the number of
//! targets that show it; and what one of them may not read, another one may.

use std::collections::{HashMap, HashSet};

use mappings::compliance::table::{Associations, Facts, Inventory, NodeId, Patches, Window};
use mappings::selector::Fact;

use super::Gather;
use crate::aws::{NodeTags, Ping, Place, Platform, TargetName};
use crate::plan::{Plan, View};
use crate::report::readback::{ReadBack, TargetRead};
use crate::report::window::TargetWindows;

/// The place of a target, or the target itself as long as nobody knows where that is.
type Spot<'v> = (Option<&'v Place>, Option<&'v TargetName>);

/// What was read where a target is, by all targets that are there.
pub(super) struct At<'v> {
    spot: Spot<'v>,
    reads: Vec<&'v TargetRead>,
    windows: Vec<&'v TargetWindows>,
}

/// Whether a machine is in the window that is asked for.
pub(super) enum Membership {
    /// It is, or none is asked for. With the windows that it is in.
    In(Vec<Window>),
    /// It is not.
    Out,
    /// Nobody can say.
    Unknown,
}

impl<'v> At<'v> {
    /// Every target of the policy.
    pub(super) fn of(view: &'v View<'_>, read: &'v ReadBack) -> HashMap<&'v TargetName, Self> {
        let spot = |name: &'v TargetName| -> Spot<'v> {
            let place = view.cloud.target(name).and_then(|known| known.place.as_ref());
            place.map_or((None, Some(name)), |place| (Some(place), None))
        };
        let names = || view.policy.targets.iter().map(|target| &target.name);
        let at = names().map(|name| {
            let spot_here = spot(name);
            // What a target has read itself counts first.
            let others = names().filter(|other| *other != name && spot(other) == spot_here);
            let here: Vec<&TargetName> = std::iter::once(name).chain(others).collect();
            let windows = read
                .windows
                .iter()
                .flat_map(|windows| here.iter().filter_map(|name| windows.targets.get(*name)?.as_ref().ok()));
            let reads = here.iter().filter_map(|name| read.targets.get(*name));
            (name, Self { spot: spot_here, reads: reads.collect(), windows: windows.collect() })
        });
        at.collect()
    }

    /// The patches of a node; absent if it was never scanned.
    pub(super) fn patches(&self, node: &NodeId) -> Fact<Patches> {
        let known = self.reads.iter().find_map(|read| read.patches.as_ref().ok());
        known.map_or(Fact::Unknown, |all| all.get(node).map_or(Fact::Absent, |one| Fact::Known(*one)))
    }

    /// The associations of a node; absent if it has none.
    pub(super) fn associations(&self, node: &NodeId) -> Fact<Associations> {
        let known = self.reads.iter().find_map(|read| read.associations.as_ref().ok());
        known.map_or(Fact::Unknown, |all| all.get(node).map_or(Fact::Absent, |one| Fact::Known(*one)))
    }

    /// What the inventory of a node has; absent if nothing.
    pub(super) fn inventory(&self, node: &NodeId) -> Fact<Vec<Inventory>> {
        let known = self.reads.iter().find_map(|read| read.inventory.as_ref().ok());
        known.map_or(Fact::Unknown, |all| {
            all.get(node).map_or(Fact::Absent, |types| Fact::Known(types.clone()))
        })
    }

    /// Whether a hybrid node is in the window.
    pub(super) fn has_hybrid(&self, node: &str, tags: Option<&NodeTags>) -> Membership {
        self.has(|windows| windows.of_hybrid(node, tags))
    }

    /// Whether an EC2 instance is in the window.
    fn has_instance(&self, node: &NodeId) -> Membership {
        self.has(|windows| windows.of_instance(node))
    }

    fn has<'w>(&'w self, of: impl Fn(&'w TargetWindows) -> (Vec<&'w str>, bool)) -> Membership {
        let mut answer = Membership::Unknown;
        for windows in &self.windows {
            let (names, in_doubt) = of(windows);
            if !names.is_empty() {
                let window = |name: &str| Window { name: name.to_owned(), opens: None };
                return Membership::In(names.into_iter().map(window).collect());
            }
            if !in_doubt {
                answer = Membership::Out;
            }
        }
        answer
    }
}

impl Gather<'_, '_> {
    /// Hybrid nodes that are no VM that is known, and EC2 instances, each once. Gives the names of those of which nobody can say
    /// whether they are in the window.
    pub(super) fn lone(&self, plan: &Plan, facts: &mut Vec<Facts>) -> Vec<String> {
        let mut doubtful = Vec::new();
        let mut seen: HashSet<(Spot<'_>, &str)> = HashSet::new();
        for vm in &plan.vms {
            let Some((target, link)) = vm.target.as_ref().zip(vm.link.as_ref()) else { continue };
            seen.extend(self.at.get(target).map(|at| (at.spot, link.node.as_str())));
        }
        for target in self.view.policy.targets.iter().map(|target| &target.name) {
            if self.query.target.as_deref().is_some_and(|wanted| wanted != target.as_str()) {
                continue;
            }
            let Some(at) = self.at.get(target) else { continue };
            let blank = |node: NodeId, name: Option<&str>, ping: Ping, windows: Vec<Window>| Facts {
                target: Some(target.to_string()),
                vcenter: None,
                vm: None,
                name: name.map(str::to_owned),
                platform: None,
                agent_online: online(ping),
                patches: at.patches(&node),
                associations: at.associations(&node),
                inventory: at.inventory(&node),
                hardening: Fact::Absent,
                protection: Fact::Absent,
                windows,
                node: Some(node),
            };
            let mut windows_of = |membership: Membership, name: Option<&str>, id: &NodeId| match membership {
                _ if self.query.window.is_none() => Some(Vec::new()),
                Membership::In(windows) => Some(windows),
                Membership::Out => None,
                Membership::Unknown => {
                    doubtful.push(name.unwrap_or(id.as_str()).to_owned());
                    None
                }
            };
            let known = self.view.cloud.target(target);
            for (id, node) in known.into_iter().flat_map(|known| &known.nodes) {
                let Ok(parsed) = NodeId::parse(id.as_str()) else { continue };
                if !seen.insert((at.spot, id.as_str())) {
                    continue;
                }
                let tags = known.and_then(|known| known.tags.get(id)).map(|tags| &**tags);
                let name = node.computer_name.as_deref();
                let Some(windows) = windows_of(at.has_hybrid(id.as_str(), tags), name, &parsed) else {
                    continue;
                };
                let row = blank(parsed, name, node.ping, windows);
                facts.push(Facts { platform: node.platform.map(platform).map(str::to_owned), ..row });
            }
            for node in at.reads.iter().flat_map(|read| read.ec2.iter().flatten()) {
                if !seen.insert((at.spot, node.id.as_str())) {
                    continue;
                }
                let name = node.computer_name.as_deref();
                let Some(windows) = windows_of(at.has_instance(&node.id), name, &node.id) else { continue };
                let row = blank(node.id.clone(), name, node.ping, windows);
                let system = node.system.as_deref().or(node.platform.map(platform));
                facts.push(Facts { platform: system.map(str::to_owned), ..row });
            }
        }
        doubtful
    }
}

pub(super) fn online(ping: Ping) -> Fact<bool> {
    match ping {
        Ping::Online => Fact::Known(true),
        Ping::ConnectionLost | Ping::Inactive => Fact::Known(false),
        Ping::Unknown => Fact::Unknown,
    }
}

fn platform(platform: Platform) -> &'static str {
    match platform {
        Platform::Linux => "Linux",
        Platform::Windows => "Windows",
        Platform::MacOs => "macOS",
    }
}
