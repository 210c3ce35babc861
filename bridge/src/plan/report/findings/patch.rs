//! Findings of Patch Manager itself: they get the VM's name and place, and are resolved when its node is patched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mappings::findings::NodeId;
use mappings::findings::patches::{self, LinkedNode, PatchState, PatchUpdate};

use super::Sink;
use super::subject::of_vm;
use super::vm::is_patched;
use crate::plan::action::{Action, short_hash};
use crate::plan::snapshots::Scene;
use crate::plan::{Capability, Plan, hindered, planned};
use crate::store::{Holder, OwnedChange, OwnedKind};

/// Patch states that are older say nothing any more.
pub(super) const OLDEST: Duration = Duration::from_secs(6 * 3600);
/// Security Hub shows within this time what was changed in a finding.
const SETTLES: SignedDuration = SignedDuration::from_mins(15);
/// What is remembered of findings.
const UPDATE: &str = "update";

/// Plans what is changed in findings of Patch Manager.
pub(super) fn plan(scene: &Scene<'_, '_>, sinks: &[Option<Sink<'_>>], plan: &mut Plan) {
    let settings = &scene.policy.report.findings;
    if !settings.resolve_patch_manager {
        return;
    }
    let busy = scene.memory.busy();
    for (at, sink) in sinks.iter().enumerate() {
        let Some(sink) = sink.as_ref().filter(|sink| sink.hub.trouble().is_none()) else { continue };
        let (Some(listed), Some(as_of)) = (&sink.hub.patch_manager.value, sink.hub.patch_manager.as_of)
        else {
            continue;
        };
        let nodes = if listed.is_empty() { BTreeMap::new() } else { linked(scene, at, sink) };
        for update in patches::plan(listed, &nodes, true) {
            let hash: Arc<str> = hash_of(&update).into();
            let is_shown = |written: Timestamp| as_of.duration_since(written) >= SETTLES;
            // What was done already and is only not shown yet is left out.
            let mut left = update.clone();
            left.findings.retain(|(id, _)| {
                let holder = Holder::findings(sink.nodes, id.as_str());
                let owned = scene.memory.owned_by(&holder).and_then(|owned| owned.get(UPDATE));
                !owned.is_some_and(|owned| owned.value.as_deref() == Some(&*hash) && !is_shown(owned.written))
            });
            if left.findings.is_empty() {
                continue;
            }
            let action = Action::UpdatePatchFindings {
                place: sink.nodes.clone(),
                label: label(left.findings.len()),
                findings: left.findings.iter().map(|(id, _)| (id.clone(), hash.clone())).collect(),
                resolve: left.resolve,
                update: Some(left.into()),
            };
            let holder = action.holder();
            if hindered(scene.memory, &busy, Capability::Findings, &holder, scene.now).is_none() {
                plan.actions.push(planned(action));
            }
        }
    }
    forget(scene, sinks, plan);
}

fn label(count: usize) -> Arc<str> {
    match count {
        1 => "1 finding of Patch Manager".into(),
        count => format!("{count} findings of Patch Manager").into(),
    }
}

fn hash_of(update: &PatchUpdate) -> String {
    let PatchUpdate { note, user_fields, resolve, .. } = update;
    short_hash(&format!("{note:?}\n{user_fields:?}\n{resolve}"))
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
    for (holder, owned) in &scene.memory.owned {
        let Some(update) = owned.get(UPDATE).filter(|_| holder.kind == OwnedKind::Finding) else { continue };
        let sink = sinks.iter().flatten().find(|sink| sink.nodes.as_str() == &*holder.place);
        let Some(listed) = sink.map(|sink| &sink.hub.patch_manager) else { continue };
        let is_shown = listed.as_of.is_some_and(|as_of| as_of.duration_since(update.written) >= SETTLES);
        let mut findings = listed.value.iter().flat_map(|all| all.iter());
        if is_shown && !findings.any(|finding| finding.id.as_str() == &*holder.object) {
            plan.housekeeping.push(OwnedChange { holder: holder.clone(), name: UPDATE.into(), owned: None });
        }
    }
}
