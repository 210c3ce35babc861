//! What nodes were told, and Systems Manager has no more: somebody deleted it, or wrote over it.
//!
//! Nothing else would notice: what is told has not changed, so that nothing is put. From what a reading shows it follows that it is
//! not known any more what AWS has, and whoever plans puts it again. That it was put is not forgotten, so that it can still be
//! taken back.
//!
//! Nothing follows from a listing that failed, and nothing for what was put too short a time before one began
//! ([`LISTED_AFTER`](mappings::inventory::LISTED_AFTER)).

use std::sync::Arc;

use jiff::SignedDuration;
use mappings::compliance::{Kind, List};
use mappings::inventory::{Item, is_lost};

use super::{Look, look_again};
use crate::aws::NodeId;
use crate::cloud::TargetView;
use crate::plan::Plan;
use crate::store::{Holder, Owned, OwnedChange, OwnedKind};

/// What is lost is put by the next plan, which is made soon.
const SOON: SignedDuration = SignedDuration::from_secs(3);

/// Plans what is not known any more.
pub(super) fn plan(look: &Look<'_, '_, '_>, plan: &mut Plan) {
    let readable: Vec<_> =
        look.scene.matchings.iter().filter_map(|matching| matching.as_ref().ok()).collect();
    if readable.iter().all(|(_, view, _)| view.told.types.is_empty()) {
        return;
    }
    let told = look.scene.memory.owned.iter().filter(|(holder, _)| holder.kind == OwnedKind::NodeReport);
    let mut lost: Vec<OwnedChange> = Vec::new();
    for (holder, names) in told {
        let mut here = readable.iter().filter(|(place, ..)| place.as_str() == &*holder.place);
        let node = NodeId::from(&*holder.object);
        let Some((_, view, _)) = here.find(|(_, view, _)| view.nodes.contains_key(&node)) else { continue };
        // What is just being put is neither there nor lost.
        if look.busy.contains(holder) {
            continue;
        }
        let gone = names.iter().filter(|(name, owned)| is_gone(view, &node, name, owned));
        lost.extend(gone.map(|(name, owned)| unknown(holder, name, owned)));
    }
    if lost.is_empty() {
        return;
    }
    // What is planned has an order that does not change from plan to plan.
    lost.sort_unstable_by(|one, other| (&one.holder, &one.name).cmp(&(&other.holder, &other.name)));
    plan.housekeeping.extend(lost);
    look_again(plan, look.now.checked_add(SOON).unwrap_or(look.now));
}

/// Whether AWS is seen to have something else than what was put.
fn is_gone(view: &TargetView, node: &NodeId, name: &Arc<str>, owned: &Owned) -> bool {
    // What is not known already needs no second look.
    let Some(put) = owned.value.as_deref() else { return false };
    let Some(known) = view.told.types.get(&**name) else { return false };
    let (Some(read), Some(nodes), None) = (known.as_of, known.value.as_deref(), &known.error) else {
        return false;
    };
    let kind = Kind::ALL.iter().find(|kind| kind.as_str() == &**name);
    let shown = nodes.get(node);
    let listed = shown.map(|shown| match kind {
        Some(_) => shown.against(&List::run_of(put)),
        None => shown.against(put),
    });
    let was_empty = || match kind {
        Some(kind) => List::new(*kind, []).content_hash.as_str() == put,
        None => Item::cleared(name.to_string(), owned.written).content_hash.as_str() == put,
    };
    is_lost(owned.written, was_empty, listed.as_ref(), read)
}

/// The same, of which it is not known any more what it is.
fn unknown(holder: &Holder, name: &Arc<str>, owned: &Owned) -> OwnedChange {
    let owned = Owned { value: None, ..owned.clone() };
    OwnedChange { holder: holder.clone(), name: Arc::clone(name), owned: Some(owned) }
}
