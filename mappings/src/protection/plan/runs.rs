//! The runs that reach a VM: whether it has its snapshot, and what keeps it from having it.

use jiff::{SignedDuration, Timestamp};

use super::pace::Wanted;
use super::records::shows;
use super::{Forecast, Planner};
use crate::protection::record::add;
use crate::protection::subject::{Presence, Subject};
use crate::protection::{Ending, IfImpossible, Judgement, Policy, Record, Run, Say, Stage};
use crate::snapshot::hazard::{Hazard, Missing, Verdict};

impl<'p> Planner<'p> {
    /// All runs of one VM.
    pub(super) fn runs(&mut self, at: usize) {
        let subject = &self.subjects[at];
        if subject.presence == Presence::Gone {
            return;
        }
        let now = self.now;
        for run in subject.runs.iter().filter(|run| now < run.closes) {
            self.at(run.closes);
            let policy = subject.policy;
            let (lead, deadline) = policy.map_or((SignedDuration::ZERO, SignedDuration::ZERO), |policy| {
                (policy.lead, policy.deadline)
            });
            let (freezes, deadline) = (add(run.opens, -lead), add(run.opens, -deadline));
            let forecast = self.forecast(run, freezes, deadline);
            forecast.members.push(at);
            let Some(policy) = policy else {
                forecast.without_policy.push(at);
                self.say(at, Say::NoPolicy { run: run.clone() });
                continue;
            };
            self.at(freezes);
            self.at(run.opens);
            let own = own(subject, run, policy);
            let protects = own.is_some_and(|record| is_safe(subject, record, run, policy));
            if protects {
                self.forecast_of(run).protected.push(at);
            }
            // All has been done to it in this run, so that its snapshot may be gone.
            let is_judged =
                subject.records.iter().any(|record| record.is_for(run) && record.judgement.is_some());
            // Whatever the reason: what is not seen to have its snapshot is not patched.
            if policy.if_impossible == IfImpossible::Hold && freezes <= now && !protects && !is_judged {
                self.decisions.held.push((at, run.clone()));
            }
            match own {
                Some(_) if protects => {}
                Some(record) => self.doubtful(at, run, policy, freezes, record),
                None => self.without(at, run, policy, freezes, deadline),
            }
        }
    }

    /// There is a record for the run, and no snapshot that could be relied on.
    fn doubtful(&mut self, at: usize, run: &Run, policy: &Policy, freezes: Timestamp, record: &Record) {
        let hold = policy.if_impossible;
        match record.stage {
            // What becomes of these is said with the record.
            Stage::Create | Stage::Creating { .. } | Stage::Failed { .. } => {}
            _ if self.now >= run.opens => self.say(at, Say::Missed { run: run.clone(), hold }),
            Stage::Kept if freezes <= self.now => {
                let why = vec![Hazard::NotKnown(Missing::Snapshots)];
                self.say(at, Say::Waits { run: Some(run.clone()), why });
            }
            _ => {}
        }
    }

    /// There is no record for the run.
    fn without(&mut self, at: usize, run: &'p Run, policy: &Policy, freezes: Timestamp, deadline: Timestamp) {
        let subject = &self.subjects[at];
        let hold = policy.if_impossible;
        let missed = Stage::Ended { ending: Ending::Missed };
        let is_missed = subject.records.iter().any(|record| record.is_for(run) && record.stage == missed);
        if self.now >= run.opens || is_missed {
            return self.say(at, Say::Missed { run: run.clone(), hold });
        }
        let unreadable = [Hazard::NotKnown(Missing::Connection)];
        let waits = match &subject.preflight.verdict {
            Verdict::Refuse(why) => {
                self.forecast_of(run).unfit.push(at);
                return self.say(at, Say::Refused { run: run.clone(), why: why.clone(), hold });
            }
            _ if subject.presence != Presence::Here => &unreadable[..],
            Verdict::Wait(why) => why,
            Verdict::Go => &[],
        };
        if !waits.is_empty() && freezes <= self.now {
            self.say(at, Say::Waits { run: Some(run.clone()), why: waits.to_vec() });
        } else if !waits.is_empty() {
            self.say(at, Say::Coming { run: run.clone(), freezes });
        }
        // What passes by itself is planned for as if it had passed.
        let quiesce = subject.preflight.quiesce;
        self.wanted.push(Wanted { subject: at, run: Some(run), record: None, quiesce, deadline });
    }

    fn forecast(&mut self, run: &Run, freezes: Timestamp, deadline: Timestamp) -> &mut Forecast {
        let forecasts = &mut self.decisions.forecasts;
        let order =
            |forecast: &Forecast| (forecast.run.opens, &*forecast.run.window).cmp(&(run.opens, &*run.window));
        let at = match forecasts.binary_search_by(order) {
            Ok(at) => at,
            Err(at) => {
                let forecast = Forecast {
                    run: run.clone(),
                    freezes,
                    deadline,
                    members: Vec::new(),
                    protected: Vec::new(),
                    planned: Vec::new(),
                    late: Vec::new(),
                    unfit: Vec::new(),
                    without_policy: Vec::new(),
                    finish: None,
                };
                forecasts.insert(at, forecast);
                at
            }
        };
        let forecast = &mut forecasts[at];
        // VMs of one run may have different policies.
        forecast.freezes = forecast.freezes.min(freezes);
        forecast.deadline = forecast.deadline.min(deadline);
        forecast
    }

    pub(super) fn forecast_of(&mut self, run: &Run) -> &mut Forecast {
        self.forecast(run, run.opens, run.opens)
    }
}

/// The record that counts for a run: one that protects before one that may come to do so. One that is on its way out does not
/// count, nor one that a VM that was taken back has left behind.
fn own<'s>(subject: &'s Subject<'_>, run: &Run, policy: &Policy) -> Option<&'s Record> {
    let counts = |record: &&Record| {
        let leaves = matches!(
            record.stage,
            Stage::Remove
                | Stage::Removing { .. }
                | Stage::Check
                | Stage::Consolidate
                | Stage::Consolidating { .. }
        );
        record.is_for(run) && record.stage.is_active() && !leaves && !is_left_behind(subject, record)
    };
    let mut records = subject.records.iter().copied().filter(counts);
    let first = records.clone().next();
    records.find(|record| is_safe(subject, record, run, policy)).or(first)
}

/// Whether the VM could be taken back to what it was before the run.
fn is_safe(subject: &Subject<'_>, record: &Record, run: &Run, policy: &Policy) -> bool {
    // Where patching was not kept waiting, what was taken after the opening may have half of it.
    let in_time = policy.if_impossible == IfImpossible::Hold
        || record.created.is_some_and(|created| created < run.opens);
    // What vCenter does not show is no safety net, whatever its task said.
    in_time && record.protects() && subject.seen.is_some() && shows(subject, record)
}

/// Whether the VM was taken back to an older snapshot since it was taken.
fn is_left_behind(subject: &Subject<'_>, record: &Record) -> bool {
    let Some(created) = record.created else { return false };
    subject.records.iter().any(|other| {
        other.judgement == Some(Judgement::RolledBack)
            && other.created.is_some_and(|older| older < created)
            && other.judged.is_some_and(|judged| judged > created)
    })
}
