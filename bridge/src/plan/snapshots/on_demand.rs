//! Snapshots that a person asks for: whether a VM is fit for one, and the record of it.
//!
//! What a person says of quiescing and memory counts more than the policy of the VM; everything else that makes a VM unfit
//! counts for them as for a window.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::protection::{Keep, Record, Stage};
use mappings::snapshot::hazard::{Hazard, Quiesce, Rules, Verdict, preflight};
use mappings::snapshot::name::{Mark, snapshot_name};

use super::policy_of;
use crate::config::{Mode, SnapshotPolicy};
use crate::fleet::{State, VcenterName, VmView};
use crate::memory::Memory;
use crate::plan::action::short_hash;
use crate::plan::{Reason, View};
use crate::store::VmId;

/// The hard limit is so much later than a person says at least: the removal begins that much earlier.
const RESERVE: SignedDuration = SignedDuration::from_hours(6);

/// What a person wants.
#[derive(Debug, Clone)]
pub(crate) struct OnDemand {
    /// The VMs.
    pub vms: HashSet<VmId>,
    /// Why.
    pub reason: Arc<str>,
    /// How long the snapshots are kept.
    pub keep: SignedDuration,
    /// Whether to quiesce; as the policy says if that is not said.
    pub quiesce: Option<Quiesce>,
    /// Whether the memory goes into them.
    pub memory: bool,
}

/// What comes of it for one VM.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// The VM.
    pub vm: VmId,
    /// Its vCenter.
    pub vcenter: VcenterName,
    /// Its name.
    pub label: Arc<str>,
    /// The record to put beside those that are known, or why there is none.
    pub record: Result<Record, Unfit>,
    /// What passes by itself, and is waited for.
    pub waits: Vec<Hazard>,
    /// What else there is to know.
    pub warnings: Vec<Hazard>,
}

/// Why a VM cannot have a snapshot.
#[derive(Debug, Clone)]
pub(crate) enum Unfit {
    /// It is not looked after.
    Not(Box<Reason>),
    /// It has one on its way already: the id of its record.
    OnItsWay(String),
    /// Ids of vSphere that cannot stand in a mark: it could not be found again.
    NoMark,
    /// Hazards.
    Hazards(Vec<Hazard>),
}

/// The records of what a person wants. Nothing is written down.
pub(crate) fn on_demand(view: &View<'_>, wish: &OnDemand) -> Vec<Answer> {
    let mut answers = Vec::new();
    for part in view.fleet.parts() {
        let Some(vcenter) = part.uuid() else { continue };
        let state = part.state(view.now, view.policy.stale_after);
        let stale = !part.is_complete() || state != State::Current;
        for vm in part.vms() {
            let id = VmId { vcenter, vm: vm.moref().shared_value() };
            if wish.vms.contains(&id) {
                let stale = stale.then(|| Reason::VcenterNotCurrent(state.word().to_owned()));
                answers.push(answer(view, wish, id, &vm, stale));
            }
        }
    }
    answers.sort_by(|a, b| (&a.label, &a.vm).cmp(&(&b.label, &b.vm)));
    answers
}

fn answer(view: &View<'_>, wish: &OnDemand, id: VmId, vm: &VmView<'_>, stale: Option<Reason>) -> Answer {
    let records = view.memory.protections.get(&id);
    let records: Vec<&Record> = records.into_iter().flat_map(|records| records.values()).collect();
    let policy = policy_of(&view.policy.snapshots.policies, vm);
    let mut rules = policy.map_or_else(Rules::default, |policy| policy.rules.clone());
    rules.quiesce = wish.quiesce.unwrap_or(rules.quiesce);
    rules.memory = wish.memory;
    let ours = |snapshot: &str| {
        records.iter().any(|record| record.snapshot.as_ref().is_some_and(|own| own.as_str() == snapshot))
    };
    let found = preflight(&vm.hazard_facts(&ours, view.now), &rules);
    let on_its_way = records.iter().find(|record| is_waiting(record));
    let refused = if view.policy.snapshots.mode == Mode::Off {
        Some(Unfit::Not(Box::new(Reason::Off)))
    } else if let Some(stale) = stale {
        Some(Unfit::Not(Box::new(stale)))
    } else if let Some(product) = vm.managed_by() {
        Some(Unfit::Not(Box::new(Reason::ManagedBy(product.into()))))
    } else {
        on_its_way.map(|record| Unfit::OnItsWay(record.key().to_string()))
    };
    let (waits, refused) = match (found.verdict, refused) {
        (_, Some(refused)) => (Vec::new(), Some(refused)),
        (Verdict::Refuse(why), None) => (Vec::new(), Some(Unfit::Hazards(why))),
        (Verdict::Wait(why), None) => (why, None),
        (Verdict::Go, None) => (Vec::new(), None),
    };
    let record = match refused {
        Some(refused) => Err(refused),
        None => made(view.memory, wish, &id, vm, view.now)
            .map(|record| Record {
                memory: found.memory,
                quiesce: found.quiesce,
                fall_back: rules.quiesce != Quiesce::Required,
                ..with_policy(record, policy)
            })
            .ok_or(Unfit::NoMark),
    };
    let (vcenter, label) = (vm.vcenter_name().clone(), vm.label());
    Answer { vm: id, vcenter, label, record, waits, warnings: found.warnings }
}

/// Whether the snapshot of a record that a person asked for is still to be taken.
fn is_waiting(record: &Record) -> bool {
    let to_come = matches!(record.stage, Stage::Create | Stage::Creating { .. } | Stage::Failed { .. });
    record.run.is_none() && to_come
}

fn with_policy(record: Record, policy: Option<&SnapshotPolicy>) -> Record {
    let base = policy.map_or_else(Keep::default, |policy| policy.policy.keep);
    let keep = Keep { max_age: record.keep.max_age.max(base.max_age), failure: base.failure, ..record.keep };
    Record { keep, consolidate: policy.is_none_or(|policy| policy.policy.consolidate), ..record }
}

fn made(memory: &Memory, wish: &OnDemand, id: &VmId, vm: &VmView<'_>, now: Timestamp) -> Option<Record> {
    let record = new_id(memory, id, &format!("{}\n{now}", wish.reason));
    let number = u64::from_str_radix(&record, 16).ok()?;
    let instance = vm.instance_uuid().map(|instance| instance.to_string());
    // The planner makes the same mark when it begins; one that cannot be made is better told of now.
    Mark::new(&memory.installation, &id.vcenter.to_string(), &id.vm, instance.as_deref(), number).ok()?;
    let keep = kept_for(wish.keep);
    Some(Record {
        reason: Some(wish.reason.clone()),
        name: snapshot_name(&wish.reason, now).into(),
        ..Record::new(record.into(), vm.label(), None, keep, now)
    })
}

/// The id of a record that is for no window. No other record of the VM has it.
pub(crate) fn new_id(memory: &Memory, id: &VmId, what: &str) -> String {
    let known = memory.protections.get(id);
    let is_taken = |text: &str| {
        known
            .into_iter()
            .flat_map(|records| records.values())
            .any(|record| record.former.iter().chain([&record.id]).any(|attempt| attempt.as_str() == text))
    };
    let installation = &memory.installation;
    let mut attempt = 0_u32;
    loop {
        let text = format!("{installation}\n{}\n{}\non demand\n{what}\n{attempt}", id.vcenter, id.vm);
        let id = short_hash(&text);
        if !is_taken(&id) {
            return id;
        }
        attempt += 1;
    }
}

/// What is kept for so long since it was taken, and never much longer.
pub(crate) fn kept_for(keep: SignedDuration) -> Keep {
    let max_age = keep.saturating_add(RESERVE);
    Keep { success: keep, failure: keep.max(Keep::default().failure), max_age }
}

/// The rules by which a VM is looked at. While the snapshot that a person asked for is still to be taken, what that person said
/// of quiescing and memory counts.
pub(super) fn rules_of(policy: Option<&SnapshotPolicy>, records: &[&Record]) -> Rules {
    let mut rules = policy.map_or_else(Rules::default, |policy| policy.rules.clone());
    if let Some(record) = records.iter().find(|record| is_waiting(record)) {
        rules.memory = record.memory;
        rules.quiesce = match (record.quiesce, record.fall_back) {
            (false, _) => Quiesce::Off,
            (true, true) => Quiesce::Preferred,
            (true, false) => Quiesce::Required,
        };
    }
    rules
}
