//! Findings of Patch Manager itself: they get the VM's name and place, and are resolved when its node is patched.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mappings::findings::patches::{self, LinkedNode, PatchState, PatchWish};
use mappings::findings::{FindingId, NodeId};

use super::Sink;
use super::subject::of_vm;
use super::vm::is_patched;
use crate::aws::FILTER_VALUES;
use crate::memory::Memory;
use crate::plan::action::{Action, short_hash};
use crate::plan::snapshots::Scene;
use crate::plan::{Capability, Plan, hindered, planned};
use crate::store::{Holder, OwnedChange, OwnedKind};

/// Patch states that are older say nothing any more.
pub(super) const OLDEST: Duration = Duration::from_secs(6 * 3600);
/// A listing of their findings that is older says nothing any more: it is read every quarter of an hour, and what failed sooner.
const OLDEST_LISTING: Duration = Duration::from_secs(30 * 60);
/// Security Hub shows within this time what was changed in a finding.
const SETTLES: SignedDuration = SignedDuration::from_mins(15);
/// What is remembered of findings.
const UPDATE: &str = "update";

/// Plans what is changed in findings of Patch Manager. They say which VM they mean wherever findings are told; they are resolved
/// where the operator wants that.
pub(super) fn plan(scene: &Scene<'_, '_>, sinks: &[Option<Sink<'_>>], plan: &mut Plan) {
    let resolve = scene.policy.report.findings.resolve_patch_manager;
    let (busy, none) = (busy(scene.memory), HashSet::new());
    for (at, sink) in sinks.iter().enumerate() {
        let Some(sink) = sink.as_ref().filter(|sink| sink.hub.trouble().is_none()) else { continue };
        let listing = &sink.hub.patch_manager;
        let Some((listed, as_of)) = listing.fresh(scene.now, OLDEST_LISTING).zip(listing.as_of) else {
            continue;
        };
        let nodes = if listed.is_empty() { BTreeMap::new() } else { linked(scene, at, sink) };
        let is_shown = |written: Timestamp| as_of.duration_since(written) >= SETTLES;
        let is_due = |wish: &(PatchWish, Arc<str>)| {
            let (PatchWish { id, .. }, hash) = wish;
            let holder = Holder::findings(sink.nodes, id.as_str());
            let owned = scene.memory.owned_by(&holder).and_then(|owned| owned.get(UPDATE));
            // What was done already and is only not shown yet is left out.
            let is_told = owned
                .is_some_and(|owned| owned.value.as_deref() == Some(&**hash) && !is_shown(owned.written));
            let is_busy = busy.contains(&(&*holder.place, id));
            let failed = hindered(scene.memory, &none, Capability::Findings, &holder, scene.now);
            !is_told && !is_busy && failed.is_none()
        };
        let wishes = patches::plan(listed, &nodes, resolve).into_iter();
        let wishes = wishes.map(|wish| (hash_of(&wish).into(), wish)).map(|(hash, wish)| (wish, hash));
        let (over, named): (Vec<_>, Vec<_>) = wishes.filter(is_due).partition(|(wish, _)| wish.resolve);
        for (wishes, resolve) in [(over, true), (named, false)] {
            // They are read together before they are changed.
            for wishes in wishes.chunks(FILTER_VALUES) {
                plan.actions.push(planned(Action::UpdatePatchFindings {
                    place: sink.nodes.clone(),
                    label: label(wishes.len()),
                    findings: wishes.iter().map(|(wish, hash)| (wish.id.clone(), hash.clone())).collect(),
                    resolve,
                    wishes: wishes.iter().map(|(wish, _)| wish.clone()).collect(),
                }));
            }
        }
    }
    forget(scene, sinks, plan);
}

/// Findings that are being changed, or of which it is being found out whether they were.
fn busy(memory: &Memory) -> HashSet<(&str, &FindingId)> {
    let open = memory.open.values().filter_map(|open| match &open.action {
        Action::UpdatePatchFindings { place, findings, .. } => Some((place, findings)),
        _ => None,
    });
    open.flat_map(|(place, findings)| findings.iter().map(move |(id, _)| (place.as_str(), id))).collect()
}

fn label(count: usize) -> Arc<str> {
    match count {
        1 => "1 finding of Patch Manager".into(),
        count => format!("{count} findings of Patch Manager").into(),
    }
}

fn hash_of(wish: &PatchWish) -> String {
    let PatchWish { updated_at, words, resolve, .. } = wish;
    short_hash(&format!("{updated_at}\n{words:?}\n{resolve}"))
}

/// The nodes that are VMs of ours.
fn linked(scene: &Scene<'_, '_>, at: usize, sink: &Sink<'_>) -> BTreeMap<NodeId, LinkedNode> {
    let owner_tag = scene.policy.report.findings.owner_tag.as_deref();
    let mut nodes = BTreeMap::new();
    for (number, link) in &sink.matching.links {
        let candidate = &scene.candidates[*number];
        if scene.parts[candidate.part].1.is_some() || candidate.target() != Some(at) {
            continue;
        }
        let state = sink.patches.and_then(|patches| patches.get(&link.node));
        let patches = match state {
            Some(patches) if !is_patched(patches) => PatchState::NonCompliant,
            Some(patches) => {
                patches.scanned.map_or(PatchState::Unknown, |scanned_at| PatchState::Compliant { scanned_at })
            }
            None => PatchState::Unknown,
        };
        let node = Some((sink.nodes, &link.node));
        let vm = of_vm(&candidate.view, candidate.id.vcenter, node, owner_tag);
        nodes.insert(link.node.as_str().into(), LinkedNode { vm: vm.into(), patches });
    }
    nodes
}

/// What is remembered of findings that nobody has to look at any more is forgotten.
fn forget(scene: &Scene<'_, '_>, sinks: &[Option<Sink<'_>>], plan: &mut Plan) {
    let mut listings: HashMap<&str, (Timestamp, HashSet<&str>)> = HashMap::new();
    for sink in sinks.iter().flatten() {
        let listed = &sink.hub.patch_manager;
        if let (Some(value), Some(as_of)) = (&listed.value, listed.as_of) {
            let ids = || value.iter().map(|finding| finding.id.as_str()).collect();
            listings.entry(sink.nodes.as_str()).or_insert_with(|| (as_of, ids()));
        }
    }
    for (holder, owned) in &scene.memory.owned {
        let Some(update) = owned.get(UPDATE).filter(|_| holder.kind == OwnedKind::Finding) else { continue };
        let Some((as_of, ids)) = listings.get(&*holder.place) else { continue };
        if as_of.duration_since(update.written) >= SETTLES && !ids.contains(&*holder.object) {
            plan.housekeeping.push(OwnedChange { holder: holder.clone(), name: UPDATE.into(), owned: None });
        }
    }
}
