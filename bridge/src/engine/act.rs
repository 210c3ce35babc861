//! One action: its intent, its effect and its outcome; and what became of one whose outcome is not known.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use metrics::counter;
use tokio::time::Instant;

use super::{EffectError, Gain, Inner, Records, Trace, report};
use crate::enrol::{Enrolment, Event, Problem};
use crate::memory::Open;
use crate::plan::{Action, EnrolStep, Planned};
use crate::store::{Conclusion, Entry, EntryId, Failing, Failure, FailureChange, Outcome, Refusal, Step};

/// The first pause after a failure; it doubles with each further one.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The first pause after a failure that passes by itself.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What failed once more, and when it is tried again.
pub(super) fn failure(known: Option<&Failure>, transient: bool, reason: String, ended: Timestamp) -> Failure {
    let failures = known.map_or(0, |known| known.failures).saturating_add(1);
    let first = if transient { SHORT_PAUSE } else { FIRST_PAUSE };
    let pause = first.saturating_mul(2_i32.saturating_pow(failures.saturating_sub(1).min(12)));
    let retry_at = ended.checked_add(pause.min(LONGEST_PAUSE)).unwrap_or(Timestamp::MAX);
    Failure { failures, since: known.map_or(ended, |known| known.since), retry_at, reason }
}

impl<S: Records> Inner<S> {
    /// Does one action: intent, effect, outcome. Says whether what follows on the same object may be done.
    pub(super) async fn execute(&self, planned: Planned) -> bool {
        let Planned { action, fingerprint, .. } = planned;
        let holder = action.holder();
        let intended = self.clock.now();
        let entry = Entry {
            id: EntryId(0),
            plan: fingerprint,
            capability: action.capability().word().to_owned(),
            kind: action.kind().word().to_owned(),
            place: holder.place.to_string(),
            object: holder.object.to_string(),
            label: action.label().to_string(),
            intent: serde_json::json!(action),
            intended,
            outcome: None,
            ended: None,
            duration_micros: None,
            error: None,
        };
        // Until it is known to be under way, nobody else may change the record that it goes on from.
        let keeping = match action {
            Action::Snapshot { .. } | Action::ImportFindings { .. } | Action::CloseFindings { .. } => {
                Some(self.keeping.lock().await)
            }
            _ => None,
        };
        if !self.is_current(&action) {
            return false;
        }
        if let Err(error) = self.put_intended(&action, intended).await {
            self.store_is(Some(&error));
            return false;
        }
        let id = match self.store.begin(&entry).await {
            Ok(id) => id,
            Err(error) => {
                self.store_is(Some(&error));
                return false;
            }
        };
        {
            let _keeping = keeping;
            let mut memory = self.memory();
            memory.put_recent(&action, intended);
            memory.open.insert(id, Open { action: action.clone(), latest: intended, running: true });
        }
        let began = Instant::now();
        let result = self.hands.perform(&action).await;
        let duration = began.elapsed();
        match result {
            Ok(gain) => self.conclude(id, &action, Outcome::Done, Ok(gain), duration).await,
            Err(error) if error.may_have_taken_place => {
                tracing::warn!(
                    object = %holder.object, kind = action.kind().word(), error = error.reason,
                    "the answer was lost; it is being found out whether it was done"
                );
                self.lost(id);
                self.wake.notify_one();
                false
            }
            Err(error) => self.conclude(id, &action, Outcome::Failed, Err(error), duration).await,
        }
    }

    /// How an action ended is not known.
    pub(super) fn lost(&self, id: EntryId) {
        if let Some(open) = self.memory().open.get_mut(&id) {
            open.running = false;
            open.latest = self.clock.now();
        }
    }

    /// Writes how an action ended. Says whether it was done and that is written.
    pub(super) async fn conclude(
        &self,
        id: EntryId,
        action: &Action,
        outcome: Outcome,
        result: Result<Gain, EffectError>,
        duration: Duration,
    ) -> bool {
        let ended = self.clock.now();
        let holder = action.holder();
        let failing = Failing {
            capability: action.capability().word().into(),
            place: holder.place.clone(),
            object: holder.object.clone(),
        };
        let done = matches!(outcome, Outcome::Done | Outcome::FoundDone);
        let known = self.memory().failures.get(&failing).cloned();
        let _keeping = match action {
            Action::Snapshot { .. } | Action::ImportFindings { .. } | Action::CloseFindings { .. } => {
                Some(self.keeping.lock().await)
            }
            _ => None,
        };
        let protection = self.protection_of(action, outcome, &result, ended);
        let (step, refusal) = self.step_of(action, outcome, &result, ended);
        let findings = report::findings_of(action, outcome, &result, ended);
        let patches = report::patches_of(action, outcome, &result, &self.memory(), ended);
        let error = result.err();
        let failure = match (&error, known) {
            // The enrolment, the snapshot or each finding itself says when it is tried again.
            (Some(_), None) if step.is_some() || protection.is_some() || !findings.is_empty() => None,
            (Some(_), Some(_)) if step.is_some() || protection.is_some() || !findings.is_empty() => {
                Some(FailureChange { failing, failure: None })
            }
            (Some(error), known) => {
                let failure = failure(known.as_ref(), error.transient, error.reason.clone(), ended);
                Some(FailureChange { failing, failure: Some(failure) })
            }
            (None, Some(_)) if done => Some(FailureChange { failing, failure: None }),
            (None, _) => None,
        };
        let (owned, failures) = patches.unwrap_or_else(|| {
            (if done { action.owns(ended) } else { Vec::new() }, failure.into_iter().collect())
        });
        let reason = error.map(|error| error.reason);
        match &reason {
            Some(reason) => tracing::warn!(
                object = %holder.object, name = %action.label(), kind = action.kind().word(), error = reason, "failed"
            ),
            None => tracing::info!(
                object = %holder.object, name = %action.label(), kind = action.kind().word(), outcome = outcome.word(),
                "ended"
            ),
        }
        counter!("vmbridge_actions_total", "kind" => action.kind().word(), "outcome" => outcome.word())
            .increment(1);
        let conclusion = Conclusion {
            outcome,
            ended,
            duration,
            error: reason,
            owned,
            failures,
            step,
            refusal,
            protection,
            findings,
        };
        let written = self.store.conclude(id, &conclusion).await;
        self.store_is(written.as_ref().err());
        {
            if written.is_err() {
                // The disk says that it is open, so it is: it is looked for again when the store works again.
                self.lost(id);
            } else {
                let mut memory = self.memory();
                memory.open.remove(&id);
                conclusion.owned.into_iter().for_each(|change| memory.put_owned(change));
                conclusion.failures.into_iter().for_each(|change| memory.put_failure(change));
                if let Some(step) = conclusion.step {
                    memory.put_step(step);
                    // What comes next need not wait for what else is under way.
                    self.wake.notify_one();
                }
                conclusion.refusal.into_iter().for_each(|refusal| memory.put_refusal(refusal));
                if let Some(protection) = conclusion.protection {
                    memory.put_protection(protection);
                    self.wake.notify_one();
                }
                conclusion.findings.into_iter().for_each(|change| memory.put_finding(change));
            }
        }
        self.progress.send_modify(|progress| {
            if done {
                progress.done += 1;
            } else if outcome == Outcome::Failed {
                progress.failed += 1;
            }
        });
        done && written.is_ok()
    }

    /// What an action that ended makes of an enrolment.
    pub(super) fn step_of(
        &self,
        action: &Action,
        outcome: Outcome,
        result: &Result<Gain, EffectError>,
        ended: Timestamp,
    ) -> (Option<Step>, Option<Refusal>) {
        if let Action::DeregisterNode { vm, node, .. } = action
            && result.is_ok()
            && outcome != Outcome::FoundNotDone
        {
            // One whose place another node has taken leaves that one behind.
            let left =
                self.memory().enrolments.get(vm).filter(|one| one.node.as_ref() != Some(node)).cloned();
            let enrolment = left.map(|enrolment| Enrolment { former: None, ..enrolment });
            let step = Step { vm: vm.clone(), enrolment, identity: None, owned: Vec::new() };
            return (Some(step), None);
        }
        let Action::Enrol { vm, step, enrolment } = action else { return (None, None) };
        let becomes = |enrolment: Option<Enrolment>| {
            Some(Step { vm: vm.clone(), enrolment, identity: None, owned: Vec::new() })
        };
        let event = match (result, step) {
            (Ok(_), _) if outcome == Outcome::FoundNotDone => return (None, None),
            (Ok(Gain::Started { directory, process }), EnrolStep::Prepare | EnrolStep::Register) => {
                Event::Started { directory: directory.clone(), process: *process }
            }
            (Ok(Gain::Activation(activation)), EnrolStep::Activate { tags, .. }) => {
                Event::Activated { activation: activation.clone(), tags: tags.clone() }
            }
            (Ok(_), EnrolStep::Withdraw) => Event::Withdrawn,
            (Ok(_), EnrolStep::Clean) => Event::Cleaned,
            (Ok(_), _) => return (None, None),
            // An activation must not stay: it is tried again for as long as it takes.
            (Err(_), EnrolStep::Withdraw) => return (None, None),
            // It is tried again as it is.
            (Err(error), _) if error.transient && error.problem.is_none() => return (None, None),
            // Nothing was left anywhere; another account may be accepted.
            (Err(EffectError { refused: Some(fingerprint), .. }), EnrolStep::Prepare) => {
                let refusal = Refusal {
                    vm: vm.clone(),
                    credentials: enrolment.credentials.clone(),
                    fingerprint: fingerprint.clone(),
                    since: ended,
                };
                return (becomes(enrolment.forgiven(ended)), Some(refusal));
            }
            (Err(error), _) => Event::Failed(match &error.problem {
                Some(problem) => (**problem).clone(),
                None => Problem::passing("refused", error.reason.as_str()),
            }),
        };
        let limits = self.policy.read().unwrap_or_else(PoisonError::into_inner).enrol.limits;
        (becomes(Some(enrolment.after(event, &limits, ended))), None)
    }

    /// Finds out how ended what has no outcome. Gives the number of actions that could not be looked for.
    pub(super) async fn resolve(&self) -> usize {
        let mut unseen = 0;
        let open: BTreeMap<EntryId, Open> = {
            let memory = self.memory();
            memory
                .open
                .iter()
                .filter(|(_, open)| !open.running)
                .map(|(id, open)| (*id, open.clone()))
                .collect()
        };
        self.tell_open();
        for (id, Open { action, latest, .. }) in open {
            let now = self.clock.now();
            let age = now.duration_since(latest);
            let settle = SignedDuration::try_from(self.hands.settle(&action)).unwrap_or(SignedDuration::MAX);
            // A reading that lags behind may show the time before an earlier change of ours, which can look like this one.
            let quiet = self
                .memory()
                .owned_by(&action.holder())
                .is_none_or(|owned| owned.values().all(|owned| now.duration_since(owned.written) >= settle));
            let found = match self.hands.trace(&action).await {
                // Its effect may still come to light.
                Ok(Trace::NotThere) if age < settle => continue,
                Ok(Trace::NotThere) => self.part_there(&action).await,
                found => found.map(|found| (found, None)),
            };
            let (outcome, part, gain) = match found {
                Ok((Trace::There(gain), part)) if quiet || age >= settle => (Outcome::FoundDone, part, gain),
                Ok((Trace::There(_), _)) => continue,
                Ok((Trace::NotThere | Trace::Gone, _)) => (Outcome::FoundNotDone, None, Gain::Nothing),
                Err(error) => {
                    tracing::debug!(error = error.reason, "how an action ended cannot be found out yet");
                    unseen += 1;
                    continue;
                }
            };
            let done = part.as_ref().unwrap_or(&action);
            let _ = self.conclude(id, done, outcome, Ok(gain), Duration::ZERO).await;
        }
        self.tell_open();
        unseen
    }

    /// How many actions have no outcome, and are not being done.
    pub(super) fn count_open(&self) -> usize {
        self.memory().open.values().filter(|open| !open.running).count()
    }

    /// Tells how many actions have no outcome yet.
    pub(super) fn tell_open(&self) {
        let open = self.count_open();
        self.progress.send_if_modified(|progress| {
            let changed = progress.open != open;
            progress.open = open;
            changed
        });
    }

    /// Looks at each tag of an action that is not there as a whole. A call changes all of its tags or none, so where one is
    /// as it should be, it was done, and somebody else has changed the others since. What is left of it is ours: taken for
    /// another's, it would stay on the node for ever.
    pub(super) async fn part_there(&self, action: &Action) -> Result<(Trace, Option<Action>), EffectError> {
        let keys = action.tag_keys();
        let mut there = Vec::new();
        if keys.len() > 1 {
            for key in keys {
                match self.hands.trace(&action.only(std::slice::from_ref(&key))).await? {
                    Trace::There(_) => there.push(key),
                    Trace::NotThere => {}
                    Trace::Gone => return Ok((Trace::Gone, None)),
                }
            }
        }
        if there.is_empty() {
            return Ok((Trace::NotThere, None));
        }
        Ok((Trace::There(Gain::Nothing), Some(action.only(&there))))
    }
}
