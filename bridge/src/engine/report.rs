//! Reporting: how what is told to Systems Manager and Security Hub is done, and how it is found out whether it was.
//!
//! Everything here may be done twice without harm: it says what there is, it adds nothing. What it must not do is forget. The
//! records of findings are written before they are sent, so that one whose answer was lost is known to be in doubt, whatever
//! becomes of the journal.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mappings::findings::life::{self, Closing, Outcome as Told, WorkflowStatus};
use mappings::findings::patches::{self, PatchFinding, PatchWish};
use mappings::findings::{Finding, FindingId, RecordState};
use tokio::time::Instant;

use super::hands::{EffectError, Gain, RealHands, Trace};
use super::{Engine, Inner, PLANNING_SHARE, Records};
use crate::aws::{
    AwsError, AwsErrorKind, FILTER_VALUES, FindingFault, FindingFilter, FindingKey, FindingOutcome,
    FindingSeen, FindingUpdate, InventoryPut, Place, ProductArn, SecurityHub,
};
use crate::memory::Memory;
use crate::observe::aws::listing;
use crate::plan::{Action, Capability, FindingStep, Plan, Planned, Reconciled, Sent};
use crate::store::{Failing, FailureChange, FindingChange, Holder, Outcome, OwnedChange, StoreError};

/// The shortest time between two plans with reports.
const SHORTEST_TURN: Duration = Duration::from_secs(2);

/// What is to be reported. Going through all of it takes longer than all other planning, and nothing of it is urgent: plans
/// between two of its turns take over what the last one found, without what has been done since.
#[derive(Debug, Default)]
pub(super) struct Turn {
    planned: Vec<Planned>,
    at: Option<Timestamp>,
    next: Option<Instant>,
    /// Where findings were out of reach.
    out_of_reach: BTreeSet<Place>,
}

impl Turn {
    /// It is their turn at once.
    pub(super) fn be_due(&mut self) {
        self.next = None;
    }

    /// Tells once of findings that no target reaches.
    fn tell(&mut self, plan: &Plan) {
        let Some(findings) = &plan.findings else { return };
        for (place, open) in &findings.out_of_reach {
            if !self.out_of_reach.contains(place) {
                tracing::warn!(
                    %place, open,
                    "findings are open in an account that no target has, and cannot be closed; give one to it, or wait until Security Hub forgets them"
                );
            }
        }
        self.out_of_reach = findings.out_of_reach.keys().cloned().collect();
    }
}

impl<S: Records> Engine<S> {
    /// The plan, with reports when it is their turn.
    pub(super) fn plan_in_turn(&self, turn: &mut Turn) -> Plan {
        let began = Instant::now();
        if turn.next.is_none_or(|next| began >= next) {
            let plan = self.plan();
            turn.tell(&plan);
            turn.at = Some(self.now());
            turn.planned = plan.actions.iter().filter(|one| is_report(&one.action)).cloned().collect();
            turn.next = Some(Instant::now() + (began.elapsed() * PLANNING_SHARE).max(SHORTEST_TURN));
            return plan;
        }
        self.look(|view| {
            let mut plan = view.plan_without_reports();
            let left =
                turn.planned.iter().filter(|one| !is_over(&one.action, view.memory, turn.at, view.now));
            plan.actions.extend(left.cloned());
            plan
        })
    }
}

fn is_report(action: &Action) -> bool {
    matches!(action.capability(), Capability::Inventory | Capability::Compliance | Capability::Findings)
}

/// Whether something that was planned at a time has been done since, is being done, or has to wait now.
fn is_over(action: &Action, memory: &Memory, planned: Option<Timestamp>, now: Timestamp) -> bool {
    let holder = action.holder();
    let since = |at: Timestamp| planned.is_some_and(|planned| at >= planned);
    let told = |holder: &Holder, name: &str, hash: &str, confirmed: bool| {
        let owned = memory.owned_by(holder).and_then(|owned| owned.get(name));
        owned
            .is_some_and(|owned| owned.value.as_deref() == Some(hash) && (!confirmed || since(owned.written)))
    };
    let waits = |holder: &Holder| {
        let failing = Failing {
            capability: action.capability().word().into(),
            place: holder.place.clone(),
            object: holder.object.clone(),
        };
        memory.failures.get(&failing).is_some_and(|failure| failure.retry_at > now)
    };
    let is_told = match action {
        Action::PutInventory { told: all, .. } => {
            all.iter().all(|one| told(&holder, &one.name, &one.hash, one.confirmed))
        }
        Action::PutCompliance { told: one, .. } => told(&holder, &one.name, &one.hash, one.confirmed),
        // Each finding is told, or fails, by itself.
        Action::UpdatePatchFindings { place, findings, .. } => findings.iter().any(|(id, hash)| {
            let holder = Holder::findings(place, id.as_str());
            told(&holder, "update", hash, false) || waits(&holder)
        }),
        // Each of these was written down before it was sent.
        Action::ImportFindings { changes, .. } | Action::CloseFindings { changes, .. } => {
            !goes_on(changes, memory)
        }
        _ => false,
    };
    is_told || waits(&holder) || memory.open.values().any(|open| open.action.holder() == holder)
}

/// Whether all of these go on from what is known now.
pub(super) fn goes_on(changes: &[life::Change], memory: &Memory) -> bool {
    changes.iter().all(|change| memory.findings.records.get(&change.record.id) == change.before.as_deref())
}

impl<S: Records> Inner<S> {
    /// Writes down what a plan found out about findings without sending any. What has changed since it was made is left alone.
    pub(super) async fn record_findings(&self, plan: &Plan) -> Result<(), StoreError> {
        if plan.finding_steps.is_empty() && plan.reconciled.is_empty() {
            return Ok(());
        }
        let _keeping = self.keeping.lock().await;
        let current: Vec<FindingChange> = {
            let memory = self.memory();
            let known =
                |step: &&FindingStep| memory.findings.records.get(&step.change.id) == step.before.as_ref();
            plan.finding_steps.iter().filter(known).map(|step| step.change.clone()).collect()
        };
        if !current.is_empty() {
            self.store.put_findings(&current).await?;
        }
        {
            let mut memory = self.memory();
            current.into_iter().for_each(|change| memory.put_finding(change));
            for Reconciled { place, read, of, others, .. } in &plan.reconciled {
                memory.findings.others.replace(of, others.clone());
                memory.reconciled.insert(place.clone(), *read);
            }
        }
        for Reconciled { place, read, others, .. } in &plan.reconciled {
            for unusable in others.unusable.values() {
                tracing::warn!(%place, finding = %unusable.id, why = unusable.why, "a finding of ours cannot be taken over");
            }
            self.let_go(place, *read);
        }
        Ok(())
    }

    /// Lets go of readings of findings that are compared with what is remembered. They are large.
    fn let_go(&self, place: &Place, read: Timestamp) {
        let cloud = self.cloud.read();
        for (name, view) in cloud.targets() {
            if view.hub.place.as_ref() == Some(place) {
                self.cloud.update(name, |view| {
                    if view.hub.ours.as_of.is_some_and(|as_of| as_of <= read) {
                        Arc::make_mut(&mut view.hub).ours.value = None;
                    }
                    false
                });
            }
        }
    }

    /// Writes down what is about to be sent of findings, so that a finding whose answer is lost is known to be in doubt.
    pub(super) async fn put_intended(&self, action: &Action, now: Timestamp) -> Result<(), StoreError> {
        let (Action::ImportFindings { changes, .. } | Action::CloseFindings { changes, .. }) = action else {
            return Ok(());
        };
        let intended: Vec<FindingChange> = changes
            .iter()
            .map(|change| FindingChange { id: change.record.id.clone(), record: Some(change.intent(now)) })
            .collect();
        self.store.put_findings(&intended).await?;
        let mut memory = self.memory();
        intended.into_iter().for_each(|change| memory.put_finding(change));
        Ok(())
    }
}

/// What is known of findings after an action has ended. Of one that began before the program was started nothing but its
/// journal entry is left: its records stay in doubt, and are sent again.
pub(super) fn findings_of(
    action: &Action,
    outcome: Outcome,
    result: &Result<Gain, EffectError>,
    now: Timestamp,
) -> Vec<FindingChange> {
    let (Action::ImportFindings { changes, .. } | Action::CloseFindings { changes, .. }) = action else {
        return Vec::new();
    };
    let all = |told: Told| changes.iter().map(move |change| (change, told.clone())).collect::<Vec<_>>();
    let told = match result {
        Ok(Gain::Findings(told)) => changes
            .iter()
            .map(|change| {
                let found = told.iter().find(|(id, _)| *id == change.record.id);
                (change, found.map_or(Told::Lost, |(_, told)| told.clone()))
            })
            .collect(),
        Ok(_) if outcome == Outcome::FoundNotDone => all(Told::Lost),
        Ok(_) => all(Told::Accepted),
        Err(error) => all(Told::Failed { code: "Call".into(), message: error.reason.as_str().into() }),
    };
    told.into_iter()
        .map(|(change, told)| FindingChange {
            id: change.record.id.clone(),
            record: life::settle(change, &told, now),
        })
        .collect()
}

pub(super) async fn perform(hands: &RealHands, action: &Action) -> Result<Gain, EffectError> {
    let gone = || EffectError::not_now("what was to be told is not known any more");
    match action {
        Action::PutInventory { place, node, told, items, .. } => {
            let reports = hands.arm(place)?.services.reports;
            let mut puts: Vec<InventoryPut<'_>> = Vec::new();
            for told in told {
                let item = items.iter().find(|item| *item.type_name == *told.name).ok_or_else(gone)?;
                puts.push(if told.confirmed {
                    InventoryPut::Confirmed(item)
                } else {
                    InventoryPut::Whole(item)
                });
            }
            match reports.put_inventory(node, &puts).await {
                // It has something else than we were told it took: all of it is put.
                Err(error) if error.kind == AwsErrorKind::OtherContent => {
                    let whole: Vec<_> = items.iter().map(InventoryPut::Whole).collect();
                    reports.put_inventory(node, &whole).await?;
                }
                done => done?,
            }
            Ok(Gain::Nothing)
        }
        Action::PutCompliance { place, node, list, .. } => {
            let reports = hands.arm(place)?.services.reports;
            let list = list.as_ref().ok_or_else(gone)?;
            reports.put_compliance(node, list, crate::clock::now()).await?;
            Ok(Gain::Nothing)
        }
        Action::ImportFindings { place, changes, .. } => {
            let hub = hands.hub_arm(place)?.services.hub;
            let findings: Vec<_> = changes.iter().filter_map(life::Change::finding).collect();
            if findings.len() != changes.len() || findings.is_empty() {
                return Err(gone());
            }
            let outcomes = import(&*hub, &findings).await?;
            let ids = changes.iter().map(|change| change.record.id.clone());
            Ok(Gain::Findings(ids.zip(outcomes).map(|(id, outcome)| (id, told(outcome))).collect()))
        }
        Action::CloseFindings { place, changes, .. } => {
            let hub = hands.hub_arm(place)?.services.hub;
            close(&*hub, place, changes).await
        }
        Action::UpdatePatchFindings { place, wishes, .. } => {
            let hub = hands.arm(place)?.services.hub;
            if wishes.is_empty() {
                return Err(gone());
            }
            Ok(Gain::Findings(annotate(&*hub, place, wishes).await?))
        }
        _ => Err(gone()),
    }
}

/// Sends findings. One that is refused with the whole call must not take the others with it: the halves are tried by themselves,
/// until it stands alone.
async fn import(hub: &dyn SecurityHub, findings: &[Finding]) -> Result<Vec<FindingOutcome>, AwsError> {
    let mut out = Vec::with_capacity(findings.len());
    let mut parts = vec![findings];
    while let Some(part) = parts.pop() {
        match hub.import(part).await {
            Ok(outcomes) => out.extend(outcomes),
            Err(error) if error.kind == AwsErrorKind::Invalid && part.len() > 1 => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(error) if error.kind == AwsErrorKind::Invalid => out.push(Err(FindingFault::of_call(&error))),
            Err(error) if out.is_empty() => return Err(error),
            // What was sent before is known; of the rest nobody knows, and it is sent again.
            Err(_) => break,
        }
    }
    out.resize_with(findings.len(), || Err(FindingFault::unmentioned()));
    Ok(out)
}

/// Makes findings of Patch Manager as they are wished. A call overwrites what people wrote and decided, and the plan was made from
/// a listing that is some minutes old: so they are read first, and what is written is made from that.
async fn annotate(
    hub: &dyn SecurityHub,
    place: &Place,
    wishes: &[PatchWish],
) -> Result<Vec<(FindingId, Told)>, EffectError> {
    let ids = wishes.iter().map(|wish| wish.id.clone()).collect();
    let read: Vec<PatchFinding> =
        seen_of_patch_manager(hub, place, ids).await?.iter().filter_map(FindingSeen::patch_finding).collect();
    let mut out = Vec::with_capacity(wishes.len());
    let mut calls = patches::calls(wishes, &read);
    while let Some(call) = calls.pop() {
        let (keys, change) = FindingUpdate::of_patch_manager(&call);
        match hub.update(&keys, &change).await {
            Ok(outcomes) => {
                let outcomes = outcomes.into_iter().map(|outcome| match outcome {
                    // One that is gone needs nothing.
                    Err(fault) if fault.kind == AwsErrorKind::NotFound => Told::Left,
                    outcome => told(outcome),
                });
                out.extend(keys.into_iter().map(|key| key.id).zip(outcomes));
            }
            // One that is refused with the whole call must not take the others with it.
            Err(error) if error.kind == AwsErrorKind::Invalid && keys.len() > 1 => {
                let (first, second) = call.findings.split_at(keys.len() / 2);
                let half =
                    |findings: &[_]| patches::PatchUpdate { findings: findings.to_vec(), ..call.clone() };
                calls.extend([half(second), half(first)]);
            }
            Err(error) if error.kind == AwsErrorKind::Invalid => {
                let outcome = FindingFault::of_call(&error).outcome();
                out.extend(keys.into_iter().map(|key| (key.id, outcome.clone())));
            }
            Err(error) if out.is_empty() => return Err(error.into()),
            // What was changed before is known; the rest is read again.
            Err(error) => {
                let outcome = FindingFault::of_call(&error).outcome();
                let rest = calls.iter().flat_map(|call| &call.findings).map(|(id, _)| id.clone());
                out.extend(keys.into_iter().map(|key| key.id).chain(rest).map(|id| (id, outcome.clone())));
                break;
            }
        }
    }
    // The others are as they are to be, or somebody has decided otherwise.
    let changed: HashSet<FindingId> = out.iter().map(|(id, _)| id.clone()).collect();
    let left = wishes.iter().filter(|wish| !changed.contains(&wish.id));
    out.extend(left.map(|wish| (wish.id.clone(), Told::Left)));
    Ok(out)
}

/// Active findings of Patch Manager as Security Hub has them, whatever people decided.
async fn seen_of_patch_manager(
    hub: &dyn SecurityHub,
    place: &Place,
    ids: Vec<FindingId>,
) -> Result<Vec<FindingSeen>, EffectError> {
    let mut out = Vec::new();
    for ids in ids.chunks(FILTER_VALUES) {
        let filter = FindingFilter {
            workflow: Vec::new(),
            ..FindingFilter::of_patch_manager(place).only(ids.to_vec())
        };
        out.extend(listing("findings", |next| hub.findings(&filter, next)).await?);
    }
    Ok(out)
}

/// What is remembered of findings of Patch Manager after a call about them has ended, each by itself: those that are as they are to
/// be, and those that are tried again later. Nothing for other actions.
pub(super) fn patches_of(
    action: &Action,
    outcome: Outcome,
    result: &Result<Gain, EffectError>,
    memory: &Memory,
    ended: Timestamp,
) -> Option<(Vec<OwnedChange>, Vec<FailureChange>)> {
    let Action::UpdatePatchFindings { place, findings, .. } = action else { return None };
    let told: HashMap<&FindingId, &Told> = match result {
        Ok(Gain::Findings(told)) => told.iter().map(|(id, told)| (id, told)).collect(),
        _ => HashMap::new(),
    };
    let (mut done, mut failures) = (HashSet::new(), Vec::new());
    for (id, _) in findings {
        let holder = Holder::findings(place, id.as_str());
        let failing = Failing {
            capability: action.capability().word().into(),
            place: holder.place,
            object: holder.object,
        };
        let known = memory.failures.get(&failing);
        let failure = match (result, told.get(id)) {
            (Ok(_), Some(Told::Accepted | Told::Left)) => {
                done.insert(id.as_str());
                None
            }
            // What became of it is not known, or it was not done: it is read again at once.
            (Ok(_), None) if outcome != Outcome::Done => continue,
            (Ok(_), None | Some(Told::Lost)) => Some((true, "the answer was lost".to_owned())),
            (Ok(_), Some(Told::Refused { code, message })) => Some((false, format!("{code}: {message}"))),
            (Ok(_), Some(Told::Failed { code, message })) => Some((true, format!("{code}: {message}"))),
            (Err(error), _) => Some((error.transient, error.reason.clone())),
        };
        let failure = failure.map(|(transient, reason)| super::act::failure(known, transient, reason, ended));
        if failure.is_some() || known.is_some() {
            failures.push(FailureChange { failing, failure });
        }
    }
    let mut owned = action.owns(ended);
    owned.retain(|change| done.contains(&*change.holder.object));
    Some((owned, failures))
}

/// Says of findings that they are dealt with, where nobody has decided otherwise.
async fn close(
    hub: &dyn SecurityHub,
    place: &crate::aws::Place,
    changes: &[life::Change],
) -> Result<Gain, EffectError> {
    let ids: Vec<FindingId> = changes.iter().map(|change| change.record.id.clone()).collect();
    let seen = seen(hub, place, &ids).await?;
    let (mut out, mut due) = (Vec::new(), Vec::new());
    for change in changes {
        let id = &change.record.id;
        let read = seen.iter().find(|one| one.key.id == *id).and_then(|one| one.workflow);
        match life::closing(&change.record, read) {
            Closing::Set => due.push(id.clone()),
            Closing::Leave => out.push((id.clone(), Told::Left)),
            Closing::Wait => {
                let (code, message) = ("FindingNotFound".into(), "Security Hub does not show it".into());
                out.push((id.clone(), Told::Failed { code, message }));
            }
        }
    }
    let product = ProductArn::own(place);
    let keys: Vec<_> = due.iter().map(|id| FindingKey { id: id.clone(), product: product.clone() }).collect();
    if !keys.is_empty() {
        let update = FindingUpdate::workflow(WorkflowStatus::Resolved);
        let outcomes = hub.update(&keys, &update).await?;
        out.extend(due.into_iter().zip(outcomes).map(|(id, outcome)| (id, told(outcome))));
    }
    Ok(Gain::Findings(out))
}

/// Findings of ours as Security Hub has them.
async fn seen(
    hub: &dyn SecurityHub,
    place: &crate::aws::Place,
    ids: &[FindingId],
) -> Result<Vec<FindingSeen>, EffectError> {
    let mut out = Vec::new();
    for ids in ids.chunks(FILTER_VALUES) {
        let filter = FindingFilter { ids: ids.to_vec(), ..FindingFilter::ours(place) };
        out.extend(listing("findings", |next| hub.findings(&filter, next)).await?);
    }
    Ok(out)
}

fn told(outcome: FindingOutcome) -> Told {
    outcome.map_or_else(|fault| fault.outcome(), |()| Told::Accepted)
}

pub(super) async fn trace(hands: &RealHands, action: &Action) -> Result<Trace, EffectError> {
    match action {
        Action::PutInventory { place, node, told, .. } => {
            let reports = hands.arm(place)?.services.reports;
            for told in told {
                let known = reports.inventory_of(node, &told.name).await?;
                if known.and_then(|known| known.content_hash).as_deref() != Some(&*told.hash) {
                    return Ok(Trace::NotThere);
                }
            }
            Ok(Trace::There(Gain::Nothing))
        }
        Action::PutCompliance { place, node, told, .. } => {
            let reports = hands.arm(place)?.services.reports;
            let known = reports.compliance_run(node, &told.name).await?;
            let is_there = known.is_some_and(|known| known == mappings::compliance::List::run_of(&told.hash));
            Ok(if is_there { Trace::There(Gain::Nothing) } else { Trace::NotThere })
        }
        Action::ImportFindings { place, findings, .. } => {
            let hub = hands.hub_arm(place)?.services.hub;
            let seen = look(&*hub, place, findings).await?;
            let came = |one: &Sent| {
                seen.iter().any(|found| found.key.id == one.id && found.updated >= one.updated_at)
            };
            found(findings, came)
        }
        Action::CloseFindings { place, findings, .. } => {
            let hub = hands.hub_arm(place)?.services.hub;
            let seen = look(&*hub, place, findings).await?;
            let came = |one: &Sent| {
                seen.iter().any(|found| {
                    found.key.id == one.id
                        && found.state == Some(RecordState::Archived)
                        && !found.workflow.is_some_and(WorkflowStatus::is_open)
                })
            };
            found(findings, came)
        }
        Action::UpdatePatchFindings { place, findings, resolve, .. } => {
            let hub = hands.arm(place)?.services.hub;
            let ids = findings.iter().map(|(id, _)| id.clone()).collect();
            let seen = seen_of_patch_manager(&*hub, place, ids).await?;
            let is_told = |one: &&FindingSeen| {
                let is_ours = one.note.as_ref().is_some_and(|note| *note.updated_by == *patches::AUTHOR);
                if *resolve { one.workflow == Some(WorkflowStatus::Resolved) } else { is_ours }
            };
            let there: Vec<_> =
                seen.iter().filter(is_told).map(|one| (one.key.id.clone(), Told::Accepted)).collect();
            Ok(if there.is_empty() { Trace::NotThere } else { Trace::There(Gain::Findings(there)) })
        }
        _ => Ok(Trace::NotThere),
    }
}

async fn look(
    hub: &dyn SecurityHub,
    place: &crate::aws::Place,
    findings: &[Sent],
) -> Result<Vec<FindingSeen>, EffectError> {
    let ids: Vec<FindingId> = findings.iter().map(|sent| sent.id.clone()).collect();
    seen(hub, place, &ids).await
}

/// A call is there when any of its findings is; each is told by itself.
fn found(findings: &[Sent], came: impl Fn(&Sent) -> bool) -> Result<Trace, EffectError> {
    if !findings.iter().any(&came) {
        return Ok(Trace::NotThere);
    }
    let told =
        findings.iter().map(|one| (one.id.clone(), if came(one) { Told::Accepted } else { Told::Lost }));
    Ok(Trace::There(Gain::Findings(told.collect())))
}
