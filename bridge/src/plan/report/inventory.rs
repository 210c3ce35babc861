//! Inventory: what Systems Manager's inventory is told of a VM and of the host that it is on.

use std::sync::Arc;

use mappings::inventory::{ContentHash, Item, Put, Refresh, Stored, needs_put};

use super::{Look, Reported, told};
use crate::config::Mode;
use crate::plan::action::Told;
use crate::plan::{Action, Capability, CapabilityVerdict, Plan, Reason};
use crate::store::Holder;

/// Plans what is told of one node.
pub(super) fn plan(look: &Look<'_, '_, '_>, one: &Reported<'_, '_>, plan: &mut Plan) -> CapabilityVerdict {
    if look.policy.inventory.mode == Mode::Off {
        return super::says(Reason::Off);
    }
    let holder = Holder::report(one.place, one.node);
    if let Some(reason) = look.hindered(Capability::Inventory, &holder) {
        return super::says(reason);
    }
    let owned = look.scene.memory.owned_by(&holder);
    let (mut puts, mut items) = (Vec::new(), Vec::new());
    for item in items_of(look, one) {
        let before = owned.and_then(|owned| owned.get(item.type_name)).and_then(|known| {
            Some(Stored { hash: ContentHash::parse(known.value.as_deref()?).ok()?, at: known.written })
        });
        let confirmed = match needs_put(&item.content_hash, before.as_ref(), look.now, &Refresh::INVENTORY) {
            Put::Whole => false,
            Put::HashOnly => true,
            Put::Nothing => continue,
            Put::NotBefore(until) => {
                plan.next = Some(plan.next.map_or(until, |next| next.min(until)));
                continue;
            }
        };
        puts.push(Told {
            name: item.type_name.into(),
            hash: item.content_hash.as_str().into(),
            before: before.map(|before| before.hash.as_str().into()),
            confirmed,
        });
        items.push(item);
    }
    let action = (!puts.is_empty()).then(|| Action::PutInventory {
        place: one.place.clone(),
        node: one.node.clone(),
        vm: one.vm.clone(),
        label: Arc::clone(one.label),
        told: puts,
        items: items.into(),
    });
    told(plan, action, Reason::InStep)
}

/// What there is to tell of one node.
fn items_of(look: &Look<'_, '_, '_>, one: &Reported<'_, '_>) -> Vec<Item> {
    let _ = (look.fleet, one.number, one.part, one.view, one.cloud);
    Vec::new()
}
