//! Nodes that were told something and are no VM of ours any more.
//!
//! What they were told would stand there for ever, as if it were still true: it is taken back, by an item without rows and a list
//! without items, and then nothing is remembered of it. `DeleteInventory` is never called: it takes a type from all nodes of the
//! account. As long as it is not certain whose the node is, because something cannot be read or several claim to be it, it keeps
//! what it has. Of a node that is gone, everything that it was told is gone with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use mappings::compliance::Kind;

use super::compliance::{Step, step};
use super::{Look, forgotten, inventory, look_again};
use crate::aws::{NodeId, Place};
use crate::cloud::TargetView;
use crate::config::Mode;
use crate::plan::{Action, Capability, LoneNode, Plan, Reason, planned};
use crate::store::{Holder, OwnedKind, VmId};

/// What is seen of a node that was told something.
enum Sight<'a> {
    /// It is a VM of ours, or may be.
    Ours,
    /// It is there, and no VM of ours.
    Former(&'a Place),
    /// It is not there any more.
    Gone,
}

/// The nodes of one account and Region, which several targets may share.
struct Here<'a> {
    place: &'a Place,
    views: Vec<&'a TargetView>,
    /// Those that are VMs of ours, or may be.
    ours: HashSet<&'a NodeId>,
}

/// Plans what is taken back and forgotten.
pub(super) fn plan(look: &Look<'_, '_, '_>, plan: &mut Plan) {
    let places = places(look);
    let owned = &look.scene.memory.owned;
    let mut told: Vec<(&Holder, NodeId, Sight<'_>)> = owned
        .keys()
        .filter(|holder| holder.kind == OwnedKind::NodeReport)
        .filter_map(|holder| {
            let node = NodeId::from(holder.object.to_string());
            // Where its target is in the configuration no longer, it is not seen what happens.
            let sight = sight(places.get(&*holder.place)?, &node);
            (!matches!(sight, Sight::Ours)).then_some((holder, node, sight))
        })
        .collect();
    // What is planned has an order that does not change from plan to plan.
    told.sort_unstable_by(|(a, ..), (b, ..)| (&a.place, &a.object).cmp(&(&b.place, &b.object)));
    for (holder, node, sight) in told {
        match sight {
            Sight::Ours => {}
            Sight::Gone => {
                let names = owned.get(holder).into_iter().flat_map(|owned| owned.keys());
                plan.housekeeping.extend(names.map(|name| forgotten(holder, name)));
            }
            Sight::Former(place) => take_back(look, holder, place, &node, plan),
        }
    }
}

/// What is seen of all accounts and Regions. Where a target cannot be read, any node there may be one of its VMs; of one that was never
/// read since the start only its Region is known.
fn places<'a>(look: &Look<'_, 'a, '_>) -> HashMap<String, Here<'a>> {
    let undecided = undecided(look);
    let mut places: HashMap<String, Here<'a>> = HashMap::new();
    let mut blind: Vec<(Option<&Place>, &str)> = Vec::new();
    for (target, matching) in look.scene.policy.targets.iter().zip(look.scene.matchings) {
        let Ok((place, view, matching)) = matching.as_ref() else {
            let known = look.scene.cloud.target(&target.name).and_then(|view| view.place.as_ref());
            blind.push((known, &target.region));
            continue;
        };
        let none = || Here { place, views: Vec::new(), ours: HashSet::new() };
        let here = places.entry(place.to_string()).or_insert_with(none);
        here.views.push(view);
        here.ours.extend(matching.links.values().map(|link| &link.node));
        here.ours.extend(matching.disputed.values().flatten());
        let doubtful = matching.lone.iter().filter(|(_, why)| match why {
            LoneNode::VmUnreadable { .. } | LoneNode::SeveralVms { .. } | LoneNode::NotSure { .. } => true,
            LoneNode::OtherTarget { vm } => undecided.contains(&**vm),
            LoneNode::NoVm
            | LoneNode::VmGone { .. }
            | LoneNode::SeveralNodes { .. }
            | LoneNode::Contradiction { .. } => false,
        });
        here.ours.extend(doubtful.map(|(node, _)| node));
    }
    let is_blind = |place: &Place| {
        blind.iter().any(|(known, region)| known.map_or(place.region() == *region, |known| known == place))
    };
    places.retain(|_, here| !is_blind(here.place));
    places
}

fn sight<'a>(here: &Here<'a>, node: &NodeId) -> Sight<'a> {
    if here.ours.contains(node) {
        Sight::Ours
    } else if here.views.iter().any(|view| view.nodes.contains_key(node)) {
        Sight::Former(here.place)
    } else {
        Sight::Gone
    }
}

/// The names of VMs of which it is not certain which target they belong to.
fn undecided<'a>(look: &Look<'_, 'a, '_>) -> HashSet<&'a str> {
    let candidates = look.scene.candidates.iter();
    candidates
        .filter(|one| matches!(one.route, Err(Reason::TargetUndecided(_) | Reason::SeveralTargets(_))))
        .map(|one| &*one.label)
        .collect()
}

/// Takes back what a node was told.
fn take_back(look: &Look<'_, '_, '_>, holder: &Holder, place: &Place, node: &NodeId, plan: &mut Plan) {
    let memory = look.scene.memory;
    let known = memory.identities.get(&(place.clone(), node.clone()));
    // Whoever was told something was a VM, and which is remembered also after it was found to be none.
    let Some(vm) = known.and_then(|known| known.first()).map(|identity| identity.vm.clone()) else { return };
    let label: Arc<str> = label(look, place, node).unwrap_or_else(|| node.as_str().into());
    take_back_inventory(look, holder, (place, node, &vm, &label), plan);
    let is_on = look.policy.compliance.mode != Mode::Off;
    if !is_on || look.hindered(Capability::Compliance, holder).is_some() {
        return;
    }
    for kind in [Kind::Hardening, Kind::Protection] {
        match step(look, holder, kind, None) {
            Step::Nothing => {}
            Step::Forget(change) => plan.housekeeping.push(change),
            Step::Wait(until) => look_again(plan, until),
            Step::Put(told, list) => plan.actions.push(planned(Action::PutCompliance {
                place: place.clone(),
                node: node.clone(),
                vm: vm.clone(),
                label: Arc::clone(&label),
                told,
                list: Some(list),
            })),
        }
    }
}

fn take_back_inventory(
    look: &Look<'_, '_, '_>,
    holder: &Holder,
    (place, node, vm, label): (&Place, &NodeId, &VmId, &Arc<str>),
    plan: &mut Plan,
) {
    let is_on = look.policy.inventory.mode != Mode::Off;
    if !is_on || look.hindered(Capability::Inventory, holder).is_some() {
        return;
    }
    let puts = inventory::take_back(look, holder, |_| true, plan);
    let (puts, items): (Vec<_>, Vec<_>) = puts.into_iter().unzip();
    if !puts.is_empty() {
        plan.actions.push(planned(Action::PutInventory {
            place: place.clone(),
            node: node.clone(),
            vm: vm.clone(),
            label: Arc::clone(label),
            told: puts,
            items: items.into(),
        }));
    }
}

/// What the node calls itself.
fn label(look: &Look<'_, '_, '_>, place: &Place, node: &NodeId) -> Option<Arc<str>> {
    let views = look.scene.matchings.iter().filter_map(|matching| matching.as_ref().ok());
    let mut here = views.filter(|(known, ..)| known == place);
    here.find_map(|(_, view, _)| Some(view.nodes.get(node)?.computer_name.as_deref()?.into()))
}
