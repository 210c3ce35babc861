//! Inventory: what Systems Manager's inventory is told of a VM and of the host that it is on.
//!
//! What cannot be read is told as not known. What has *not been read yet* is not: after each start of the program the tags of all VMs
//! are unknown for some seconds, and a fleet would be told twice.

use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;
use mappings::inventory::{Item, Put, Refresh, TYPES, VM_TYPE, host_item, needs_put, vm_items};
use vsphere_client::ids::MoRef;

use super::{Look, Reported, forgotten, look_again, says, stored};
use crate::config::Mode;
use crate::fleet::VmView;
use crate::plan::action::Told;
use crate::plan::snapshots::own_mark;
use crate::plan::{Action, Capability, CapabilityVerdict, Plan, Reason, planned};
use crate::store::Holder;

/// The keys by which Patch Manager finds the patch group of a node.
const PATCH_GROUP_KEYS: [&str; 2] = ["Patch Group", "PatchGroup"];

/// What stands beside an item that was put, in what is remembered.
const RULE: &str = "inventory";

/// What is planned of inventory, with what several nodes are told.
#[derive(Debug, Default)]
pub(super) struct Inventory<'f> {
    /// By the number of the part of the fleet and the host. All VMs of a host are told the same of it.
    hosts: HashMap<(usize, &'f MoRef), Option<Item>>,
}

impl<'f> Inventory<'f> {
    /// Plans what is told of one node.
    pub(super) fn plan(
        &mut self,
        look: &Look<'_, '_, '_>,
        one: &Reported<'_, 'f>,
        plan: &mut Plan,
    ) -> CapabilityVerdict {
        if look.policy.inventory.mode == Mode::Off {
            return says(Reason::Off);
        }
        if let Some(reason) = look.hindered(Capability::Inventory, &one.holder) {
            return says(reason);
        }
        if !one.view.knows_tags() && one.part.tags_error().is_none() {
            return says(Reason::NotRead("its tags"));
        }
        let captured = one.part.as_of().unwrap_or(look.now);
        let owned = look.scene.memory.owned_by(&one.holder);
        let (mut puts, mut items, mut waits) = (Vec::new(), Vec::new(), None::<Timestamp>);
        let mut put = |item: &Item| {
            let known = owned.and_then(|owned| owned.get(&*item.type_name));
            let before = stored(known);
            // Of what a node has no rows, and is not known to have been told any, nothing is said: not that there are none either.
            let is_bare = before.as_ref().map_or(known.is_none(), |before| before.hash == item.content_hash);
            if item.content.is_empty() && is_bare {
                return;
            }
            let confirmed =
                match needs_put(&item.content_hash, before.as_ref(), look.now, &Refresh::INVENTORY) {
                    Put::Whole => false,
                    Put::HashOnly => true,
                    Put::Nothing => return,
                    Put::NotBefore(until) => {
                        waits = Some(waits.map_or(until, |known| known.min(until)));
                        return;
                    }
                };
            puts.push(told(item, before.as_ref().map(|before| before.hash.as_str()), confirmed));
            items.push(item.clone());
        };
        let items_of_vm = vm(look, one, captured);
        // Without its configuration vCenter shows no disks either, which is not that there are none: those rows stay.
        let is_known = |item: &&Item| one.view.has_configuration() || *item.type_name == *VM_TYPE;
        items_of_vm.iter().filter(is_known).for_each(&mut put);
        if let Some(host) = self.host(one, captured) {
            put(host);
        }
        for (told, item) in take_back(look, &one.holder, |name| !TYPES.contains(&name), plan) {
            puts.push(told);
            items.push(item);
        }
        if let Some(until) = waits {
            look_again(plan, until);
        }
        if puts.is_empty() {
            return says(waits.map_or(Reason::InStep, |until| Reason::ToldLately { until }));
        }
        plan.actions.push(planned(Action::PutInventory {
            place: one.place.clone(),
            node: one.node.clone(),
            vm: one.vm.clone(),
            label: Arc::clone(one.label),
            told: puts,
            items: items.into(),
        }));
        CapabilityVerdict { reason: None, notes: Vec::new() }
    }

    /// What is told of the host that a VM is on; nothing while that is not known.
    fn host(&mut self, one: &Reported<'_, 'f>, captured: Timestamp) -> Option<&Item> {
        let host = one.view.host()?;
        let made = || {
            let ids = one.view.report_ids();
            Some(host_item(&one.view.host_facts(&ids)?, captured))
        };
        self.hosts.entry((one.part_number, host)).or_insert_with(made).as_ref()
    }
}

/// What is told of a VM.
fn vm(look: &Look<'_, '_, '_>, one: &Reported<'_, '_>, captured: Timestamp) -> Vec<Item> {
    let installation = &look.scene.memory.installation;
    let ids = one.view.report_ids();
    let mut facts = one
        .view
        .inventory_facts(&ids, &|snapshot| own_mark(&snapshot.description, one.vm, installation).is_some());
    let desired = look.scene.policy.rules.desired(one.view);
    let group = desired.tags.iter().find(|tag| PATCH_GROUP_KEYS.contains(&tag.key.as_str()));
    facts.patch_group = group.map(|tag| tag.value.as_str());
    facts.owner = owner(look, one.view);
    vm_items(&facts, captured)
}

/// Whose a VM is; of several the first in order.
fn owner<'f>(look: &Look<'_, '_, '_>, view: &VmView<'f>) -> Option<&'f str> {
    view.tags_of(look.policy.findings.owner_tag.as_deref()?)?.next()
}

/// What is put of types that are told no more: nothing, once; then they are forgotten. They may be types of an earlier version that
/// this one knows nothing else of.
pub(super) fn take_back(
    look: &Look<'_, '_, '_>,
    holder: &Holder,
    is_over: impl Fn(&str) -> bool,
    plan: &mut Plan,
) -> Vec<(Told, Item)> {
    let owned = look.scene.memory.owned_by(holder).into_iter().flatten();
    let over = owned.filter(|(name, owned)| *owned.rule == *RULE && is_over(name));
    let mut puts = Vec::new();
    for (name, owned) in over {
        let item = Item::cleared(name.to_string(), look.now);
        let before = stored(Some(owned));
        if before.as_ref().is_some_and(|before| before.hash == item.content_hash) {
            plan.housekeeping.push(forgotten(holder, name));
            continue;
        }
        match needs_put(&item.content_hash, before.as_ref(), look.now, &Refresh::INVENTORY) {
            Put::Whole | Put::HashOnly => {
                puts.push((told(&item, before.as_ref().map(|before| before.hash.as_str()), false), item));
            }
            Put::NotBefore(until) => look_again(plan, until),
            Put::Nothing => {}
        }
    }
    puts
}

/// What is written down of an item that is put.
fn told(item: &Item, before: Option<&str>, confirmed: bool) -> Told {
    Told {
        name: (&*item.type_name).into(),
        hash: item.content_hash.as_str().into(),
        before: before.map(Into::into),
        confirmed,
    }
}
