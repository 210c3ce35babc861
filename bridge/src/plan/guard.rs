//! The guard: what changes too much at once waits for a person.
//!
//! It looks at each capability in each place by itself, at all that it manages there and at each key alone: a category that
//! was emptied strips one key of every node, which may be few of all tags. Changes are added up over a window of time, so
//! that a fleet that is stripped little by little is noticed too. What was approved is neither held nor counted.
//!
//! Findings are held only where they end because what they are about is gone: new ones, and those of problems that are over, go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use jiff::{SignedDuration, Timestamp};
use mappings::findings::life::State as FindingState;

use super::{Capability, Held, Planned};
use crate::config::Guard;
use crate::memory::Memory;
use crate::store::OwnedKind;

type Group = (Capability, Arc<str>);

/// Marks what is held, and tells why.
pub(super) fn hold(actions: &mut [Planned], memory: &Memory, guard: &Guard, now: Timestamp) -> Vec<Held> {
    let mut groups: BTreeMap<Group, Vec<usize>> = BTreeMap::new();
    for (at, planned) in actions.iter_mut().enumerate() {
        let is_approved = |print: &String| memory.approvals.get(print).is_some_and(|until| *until > now);
        planned.approved = !memory.approvals.is_empty() && planned.fingerprints().iter().all(is_approved);
        // A window does not wait for a person, and what keeps a node out of it is put back afterwards.
        if planned.action.only_holds() {
            continue;
        }
        if planned.action.capability() == Capability::Findings && planned.action.guarded().is_empty() {
            continue;
        }
        let group = (planned.action.capability(), planned.action.holder().place);
        groups.entry(group).or_default().push(at);
    }
    let mut held = Vec::new();
    for (group, members) in groups {
        let waiting: Vec<usize> = members.into_iter().filter(|at| !actions[*at].approved).collect();
        let planned: Vec<&Planned> = waiting.iter().map(|at| &actions[*at]).collect();
        let Some(reason) = too_much(&group, &planned, memory, guard, now) else { continue };
        let mut fingerprints: Vec<String> =
            planned.iter().flat_map(|planned| planned.fingerprints()).collect();
        fingerprints.sort();
        let id = super::action::short_hash(&fingerprints.join("\n"));
        for at in waiting {
            actions[at].held = Some(held.len());
        }
        held.push(Held { id, capability: group.0, place: group.1.to_string(), reason, fingerprints });
    }
    held
}

/// Why a group of changes is too much, if it is.
fn too_much(
    (capability, place): &Group,
    planned: &[&Planned],
    memory: &Memory,
    guard: &Guard,
    now: Timestamp,
) -> Option<String> {
    if guard.max_change_percent >= 100 {
        return None;
    }
    let mut changing: HashSet<Arc<str>> = HashSet::default();
    let mut by_name: HashMap<Arc<str>, HashSet<Arc<str>>> = HashMap::default();
    let mut any = false;
    for planned in planned {
        for (object, name) in planned.action.guarded() {
            any = true;
            changing.insert(object.clone());
            by_name.entry(name).or_default().insert(object);
        }
    }
    if !any {
        return None;
    }
    let window = SignedDuration::try_from(guard.window).unwrap_or(SignedDuration::MAX);
    for recent in &memory.recent {
        if recent.capability == *capability
            && recent.place == *place
            && now.duration_since(recent.time) <= window
        {
            changing.insert(recent.object.clone());
            for name in &recent.names {
                by_name.entry(name.clone()).or_default().insert(recent.object.clone());
            }
        }
    }
    let exceeds =
        |changes: usize, of: usize| changes > guard.floor && changes * 100 > of * guard.max_change_percent;
    let limit = guard.max_change_percent;
    if *capability == Capability::Findings {
        let (account, region) = place.split_once('/').unwrap_or_default();
        let open = memory.findings.records.values().filter(|record| {
            record.state == FindingState::Open
                && (record.target.account.as_str(), record.target.region.as_str()) == (account, region)
                && !changing.contains(record.id.as_str())
        });
        let of = open.count() + changing.len();
        return exceeds(changing.len(), of).then(|| {
            format!(
                "{} of {of} findings would be closed because what they are about is gone, as it seems to be when a vCenter's account loses \
                 a permission; more than {limit} % needs approval",
                changing.len()
            )
        });
    }
    let kind = match capability {
        Capability::Tags | Capability::Enrol => OwnedKind::NodeTag,
        Capability::Writeback | Capability::Snapshots => OwnedKind::VmAttribute,
        Capability::Inventory | Capability::Compliance => OwnedKind::NodeReport,
        Capability::Findings => OwnedKind::Finding,
    };
    let mut managed: HashSet<Arc<str>> = changing.clone();
    let mut managed_by_name: HashMap<Arc<str>, HashSet<Arc<str>>> = by_name.clone();
    for (holder, owned) in &memory.owned {
        if holder.kind == kind && holder.place == *place {
            managed.insert(holder.object.clone());
            for name in owned.keys() {
                // Only names that change matter.
                if let Some(objects) = managed_by_name.get_mut(name) {
                    objects.insert(holder.object.clone());
                }
            }
        }
    }
    if exceeds(changing.len(), managed.len()) {
        return Some(format!(
            "{} of {} objects would change or lose what they have; more than {limit} % needs approval",
            changing.len(),
            managed.len()
        ));
    }
    let mut names: Vec<_> = by_name.iter().collect();
    names.sort_by_key(|(name, _)| *name);
    names.into_iter().find_map(|(name, objects)| {
        let of = managed_by_name.get(name).map_or(0, HashSet::len);
        exceeds(objects.len(), of).then(|| {
            format!(
                "`{name}` would change or go away on {} of {of} objects; more than {limit} % needs approval",
                objects.len()
            )
        })
    })
}
