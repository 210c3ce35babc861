//! What comes next of the records of a VM.

use jiff::{SignedDuration, Timestamp};

use super::pace::Wanted;
use super::{CLOCKS, EXPECTED_REMOVAL, Planner, SETTLE, is_idle, sentences};
use crate::protection::record::add;
use crate::protection::subject::{Act, Presence, Seen, Subject};
use crate::protection::{Event, IfImpossible, Record, Run, Say, Stage, Trouble};
use crate::snapshot::hazard::{Hazard, Verdict};

/// Attempts to take a snapshot that a person asked for, and that no window ends.
const ATTEMPTS_ON_DEMAND: u32 = 5;
/// What a person asked for is given up when it could not be begun for so long.
const PATIENCE_ON_DEMAND: SignedDuration = SignedDuration::from_hours(24);
/// What a person asked for comes before what windows want: its deadline is so much earlier than now. Where windows are only
/// observed, what they want is planned again and again and never done, and would keep a person waiting for ever.
const BEFORE_ALL: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A VM that cannot be powered on after so many attempts keeps its snapshot no longer than others.
const ATTEMPTS_TO_POWER_ON: u32 = 5;
/// So long before the hard limit it counts more than what else is done to the VM.
const PRESSES: SignedDuration = SignedDuration::from_hours(1);

impl<'p> Planner<'p> {
    /// What comes next of one record.
    pub(super) fn record(&mut self, at: usize, number: usize) {
        let subject = &self.subjects[at];
        let record = subject.records[number];
        if !record.stage.is_active() {
            return;
        }
        if subject.presence == Presence::Gone {
            return self.step(at, record.after(Event::VmGone, self.now));
        }
        match record.stage {
            Stage::Create | Stage::Creating { .. } | Stage::Failed { .. } => self.taking(at, record),
            Stage::Kept => self.kept(at, number, record),
            Stage::Remove
            | Stage::Removing { .. }
            | Stage::Check
            | Stage::Consolidate
            | Stage::Consolidating { .. } => self.leaving(at, record),
            Stage::Revert | Stage::Reverting { .. } | Stage::PowerOn | Stage::PoweringOn { .. } => {
                self.going_back(at, record);
            }
            Stage::Ended { .. } => {}
        }
    }

    /// A snapshot that is not there yet.
    fn taking(&mut self, at: usize, record: &'p Record) {
        let subject = &self.subjects[at];
        let in_flight = subject.under_way.is_some() || matches!(record.stage, Stage::Creating { .. });
        // While an attempt is at work, its own snapshot is waited for: otherwise two would be there.
        let is_ours = |found: &&Seen| {
            (found.record == record.id || (!in_flight && record.former.contains(&found.record)))
                && found.created >= add(record.began, -CLOCKS)
                && !is_claimed(subject, found)
        };
        if let Some(found) = known(subject).filter(is_ours).min_by_key(|found| found.created) {
            return self.step(at, record.adopting(found, self.now));
        }
        if in_flight {
            return self.say(at, Say::Creating { run: record.run.clone() });
        }
        let ends = match &record.run {
            Some(run) => run.opens,
            None => add(record.began, PATIENCE_ON_DEMAND),
        };
        if self.now >= ends || (record.run.is_none() && record.failures >= ATTEMPTS_ON_DEMAND) {
            return self.step(at, record.after(Event::TooLate, self.now));
        }
        self.at(ends);
        if let Stage::Failed { retry_at } = record.stage
            && retry_at > self.now
        {
            self.at(retry_at);
            let (run, trouble) = (record.run.clone(), record.trouble.clone());
            return self.say(at, Say::Failed { run, trouble, retry_at });
        }
        match (&subject.preflight.verdict, &record.run) {
            (Verdict::Go, Some(_)) => {}
            (Verdict::Go, None) => self.say(at, Say::Creating { run: None }),
            (Verdict::Wait(why), Some(run)) => {
                self.say(at, Say::Waits { run: Some(run.clone()), why: why.clone() });
            }
            // No window says for how long it may wait.
            (Verdict::Wait(why), None) => {
                return self.say(at, Say::Waits { run: None, why: why.clone() });
            }
            (Verdict::Refuse(why), Some(run)) => {
                let hold = subject.policy.map_or(IfImpossible::Report, |policy| policy.if_impossible);
                return self.say(at, Say::Refused { run: run.clone(), why: why.clone(), hold });
            }
            (Verdict::Refuse(why), None) => {
                let refused = Event::Failed(trouble_of(why));
                return self.step(at, record.after(refused, self.now));
            }
        }
        let at_once = add(self.now, -BEFORE_ALL);
        let deadline = record.run.as_ref().map_or(at_once, |run| {
            add(run.opens, -subject.policy.map_or(SignedDuration::ZERO, |policy| policy.deadline))
        });
        let quiesce = record.quiesce;
        let run = record.run.as_ref();
        self.wanted.push(Wanted { subject: at, run, record: Some(record), quiesce, deadline });
    }

    /// A snapshot that is there.
    fn kept(&mut self, at: usize, number: usize, record: &Record) {
        let subject = &self.subjects[at];
        if self.is_missing(subject, record) {
            return self.step(at, record.after(Event::Vanished, self.now));
        }
        if let Some(run) = &record.run
            && record.judgement.is_none()
        {
            if let Some(Some(judgement)) = subject.judgements.get(number) {
                return self.step(at, record.after(Event::Judged(judgement.clone()), self.now));
            }
            self.at(run.closes);
        }
        let Some(due) = due(subject, record) else { return };
        if due <= self.now {
            return self.step(at, record.after(Event::Due, self.now));
        }
        self.at(due);
        if let Some(limit) = record.overdue_at() {
            self.at(limit);
            if limit <= self.now {
                self.say(at, Say::Overdue { since: limit, trouble: None });
            }
        }
        let (run, judgement) = (record.run.clone(), record.judgement.clone());
        self.say(at, Say::Kept { run, judgement, until: due });
    }

    /// A snapshot that is to go, and what it leaves.
    fn leaving(&mut self, at: usize, record: &'p Record) {
        let subject = &self.subjects[at];
        if record.stage == Stage::Remove && self.is_missing(subject, record) {
            return self.step(at, record.after(Event::Vanished, self.now));
        }
        match record.overdue_at() {
            Some(limit) if limit <= self.now && record.stage != Stage::Check => {
                self.say(at, Say::Overdue { since: limit, trouble: record.trouble.clone() });
            }
            limit => {
                limit.into_iter().for_each(|limit| self.at(limit));
                let trouble = record.trouble.clone().filter(|_| record.failures > 0);
                self.say(at, Say::Removing { trouble });
            }
        }
        let act = match record.stage {
            Stage::Remove => Act::Remove,
            Stage::Consolidate => Act::Consolidate,
            Stage::Check => return self.check(at, record),
            _ => return,
        };
        if self.is_free(subject, record) && self.is_time(record) {
            self.removals.push((at, act, record));
        }
    }

    /// A snapshot whose removal ended.
    fn check(&mut self, at: usize, record: &Record) {
        let subject = &self.subjects[at];
        let is_young = subject.as_of >= add(record.since, SETTLE);
        if !is_young || subject.presence != Presence::Here {
            return self.at(add(record.since, SETTLE));
        }
        if subject.seen.is_some() && shows(subject, record) {
            return self.step(at, record.after(Event::NotDone, self.now));
        }
        if let Some(left_over) = subject.left_over {
            self.step(at, record.after(Event::Checked { left_over }, self.now));
        }
    }

    /// A VM that is taken back.
    fn going_back(&mut self, at: usize, record: &'p Record) {
        let subject = &self.subjects[at];
        if matches!(record.stage, Stage::Revert | Stage::PowerOn) && self.is_missing(subject, record) {
            return self.step(at, record.after(Event::Vanished, self.now));
        }
        // It was taken back; that nobody can power it on keeps no snapshot for ever.
        if record.stage == Stage::PowerOn && record.failures >= ATTEMPTS_TO_POWER_ON {
            match due(subject, record) {
                Some(due) if due <= self.now => {
                    return self.step(at, record.after(Event::Due, self.now));
                }
                due => due.into_iter().for_each(|due| self.at(due)),
            }
        }
        if let Some(limit) = record.overdue_at() {
            self.at(limit);
            if limit <= self.now {
                self.say(at, Say::Overdue { since: limit, trouble: record.trouble.clone() });
            }
        }
        self.say(at, Say::RollingBack { trouble: record.trouble.clone() });
        let is_next = matches!(record.stage, Stage::Revert | Stage::PowerOn);
        if !is_next || !is_idle(subject) || subject.busy || !self.is_time(record) {
            return;
        }
        if record.stage == Stage::Revert {
            self.reverts.push((at, record));
        } else {
            self.power_ons.push((at, record));
        }
    }

    /// Whether the snapshot is certainly not there any more: the picture of the VM is younger than what was done to it.
    fn is_missing(&mut self, subject: &Subject<'_>, record: &Record) -> bool {
        if subject.presence != Presence::Here
            || subject.seen.is_none()
            || subject.under_way.is_some()
            || shows(subject, record)
        {
            return false;
        }
        let settled = add(record.since, SETTLE);
        self.at(settled);
        subject.as_of >= settled
    }

    /// Whether nothing is done to the VM that a removal would disturb. When the hard limit is near it counts more, except than a
    /// window.
    fn is_free(&mut self, subject: &Subject<'_>, record: &Record) -> bool {
        let is_near = |opens: Timestamp, closes: Timestamp| {
            add(opens, -EXPECTED_REMOVAL) <= self.now && self.now < closes
        };
        // Its own window may be known no more, and is open all the same.
        let mut runs = subject.runs.iter().filter(|run| !is_done(record, run)).chain(&record.run);
        if let Some(run) = runs.find(|run| is_near(run.opens, run.closes)) {
            self.at(run.closes);
            return false;
        }
        let waits = subject.busy || matches!(subject.preflight.verdict, Verdict::Wait(_));
        if waits && let Some(limit) = record.overdue_at() {
            self.at(add(limit, -PRESSES));
        }
        is_idle(subject) && (!waits || presses(record, self.now))
    }

    fn is_time(&mut self, record: &Record) -> bool {
        match record.retry_at {
            Some(retry_at) if retry_at > self.now => {
                self.at(retry_at);
                false
            }
            _ => true,
        }
    }
}

/// The snapshots that carry our mark, where they are known.
pub(super) fn known<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = &'s Seen> {
    subject.seen.as_deref().filter(|_| subject.presence == Presence::Here).into_iter().flatten()
}

/// Whether a record says of a snapshot that it is its own.
pub(super) fn is_claimed(subject: &Subject<'_>, found: &Seen) -> bool {
    subject.records.iter().any(|record| record.snapshot.as_ref() == Some(&found.snapshot))
}

/// Whether vCenter shows the snapshot of a record.
pub(super) fn shows(subject: &Subject<'_>, record: &Record) -> bool {
    record.snapshot.as_ref().is_some_and(|own| subject.all.contains(own))
}

/// When the snapshot is to go. Never while its window is open; earlier than promised when it would pass its hard limit in
/// another one, in which nothing is removed.
fn due(subject: &Subject<'_>, record: &Record) -> Option<Timestamp> {
    let (mut due, limit) = (record.remove_at()?, record.overdue_at()?);
    for run in subject.runs.iter().filter(|run| !record.is_for(run)) {
        if run.opens < limit && limit < add(run.closes, PRESSES) {
            due = due.min(add(run.opens, -record.keep.reserve()));
        }
    }
    let own =
        subject.runs.iter().filter(|run| record.is_for(run) && !is_done(record, run)).chain(&record.run);
    Some(own.map(|run| run.closes).max().map_or(due, |closes| due.max(closes)))
}

/// Whether all has been done in the run of a record before its time, and what became of the VM is known. VMs are held until its
/// end all the same.
fn is_done(record: &Record, run: &Run) -> bool {
    record.is_for(run) && record.judgement.is_some()
}

/// Whether the hard limit is so near that it counts more than what else is done to the VM.
pub(super) fn presses(record: &Record, now: Timestamp) -> bool {
    record.overdue_at().is_some_and(|limit| add(limit, -PRESSES) <= now)
}

/// What keeps a snapshot that a person asked for from being taken.
fn trouble_of(why: &[Hazard]) -> Trouble {
    Trouble {
        word: why.first().map_or("refused", Hazard::word).into(),
        sentence: sentences(why),
        fix: why.first().map(|hazard| hazard.fix().into()),
        passes: false,
        quiescing: false,
    }
}
