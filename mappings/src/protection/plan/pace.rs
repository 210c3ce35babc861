//! What begins now, so that all is done in time and nothing has more to do than the limits allow.
//!
//! Snapshots are planned back from their deadlines. Those of one vCenter with a later deadline leave the time before them to
//! those with an earlier one; between vCenters nothing is shared. A plan says when each *should* begin; whether there is room
//! for it then is seen when its time has come, from what is really under way.

use std::collections::{BTreeMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::records::presses;
use super::{EXPECTED_REMOVAL, Planner, is_idle};
use crate::protection::record::add;
use crate::protection::subject::{Act, Subject};
use crate::protection::{Event, Record, Run, Say, Stage};
use crate::snapshot::hazard::Verdict;
use crate::snapshot::pacing::{self, Job, Resource, Running};
use crate::snapshot::space::{Floor, Ledger};

/// So much later than planned a snapshot may begin without another plan.
const SLACK: SignedDuration = SignedDuration::from_secs(30);

/// So long before the deadline all is to be done: what is planned to the second comes a second too late.
const RESERVE: SignedDuration = SignedDuration::from_mins(2);

/// A snapshot that is to be taken.
pub(super) struct Wanted<'r> {
    pub(super) subject: usize,
    /// None: a person asked for it.
    pub(super) run: Option<&'r Run>,
    /// None: it has no record yet.
    pub(super) record: Option<&'r Record>,
    pub(super) quiesce: bool,
    /// It is to be there by then.
    pub(super) deadline: Timestamp,
}

/// A snapshot that is to be taken, and when it begins.
struct Slot<'r> {
    wanted: Wanted<'r>,
    start: Timestamp,
}

/// What is begun as soon as there is room.
enum Ready<'r> {
    Revert(usize, &'r Record),
    Take(Wanted<'r>),
}

impl Ready<'_> {
    fn subject(&self) -> usize {
        match self {
            Self::Revert(subject, _) => *subject,
            Self::Take(wanted) => wanted.subject,
        }
    }
}

/// Snapshots that are planned together: those of one vCenter that have the same deadline and may begin at the same time.
struct Group<'r> {
    vcenter: Resource,
    earliest: Timestamp,
    /// By when they are to be there so that those of later deadlines have their time.
    until: Timestamp,
    wanted: Vec<Wanted<'r>>,
    jobs: Vec<Job>,
}

impl<'p> Planner<'p> {
    /// Powers VMs on again. Only as many wait for that as were taken back, and those have limits.
    pub(super) fn begin_power_ons(&mut self) {
        for (at, record) in std::mem::take(&mut self.power_ons) {
            if !self.is_taken[at] {
                self.begin(at, Act::PowerOn, record.clone());
            }
        }
    }

    /// Begins to take VMs back, and snapshots whose time has come. They share their limits; a person waits for the former.
    pub(super) fn begin_takes_and_reverts(&mut self, space: &Ledger, floor: Floor) {
        if self.wanted.is_empty() && self.reverts.is_empty() {
            return;
        }
        let running = self.running(&[Act::Create, Act::Revert]);
        let mut slots = self.slots(space, floor, &running);
        slots.sort_by_key(|slot| (slot.start, slot.wanted.deadline, slot.wanted.subject));
        let mut ready: Vec<Ready<'_>> =
            self.reverts.drain(..).map(|(subject, record)| Ready::Revert(subject, record)).collect();
        for slot in slots {
            let soon = add(self.now, EXPECTED_REMOVAL);
            self.is_soon[slot.wanted.subject] |= slot.start <= soon;
            if self.is_turn(&slot) {
                ready.push(Ready::Take(slot.wanted));
            }
        }
        let limits = self.limits.create;
        for next in self.with_room(ready, &running, &limits, Ready::subject) {
            match next {
                Ready::Revert(subject, record) => self.begin(subject, Act::Revert, record.clone()),
                Ready::Take(wanted) => {
                    let record = self.record_of(&wanted);
                    record.into_iter().for_each(|record| self.begin(wanted.subject, Act::Create, record));
                }
            }
        }
    }

    /// The record of a snapshot, as it is when that is begun.
    fn record_of(&self, wanted: &Wanted<'_>) -> Option<Record> {
        let at = wanted.subject;
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        match (wanted.record, wanted.run) {
            (Some(record), _) if matches!(record.stage, Stage::Failed { .. }) => {
                let attempt = count(record.former.len()).saturating_add(1);
                Some(record.after(Event::Renewed(self.maker.id(at, record, attempt)), self.now))
            }
            (Some(record), _) => Some(record.clone()),
            (None, Some(run)) => {
                let earlier = self.subjects[at].records.iter().filter(|record| record.is_for(run)).count();
                Some(self.maker.record(at, run, count(earlier), wanted.quiesce))
            }
            (None, None) => None,
        }
    }

    /// Begins removals and consolidations, those first whose hard limit comes first.
    pub(super) fn begin_removals(&mut self) {
        if self.removals.is_empty() {
            return;
        }
        let running = self.running(&[Act::Remove, Act::Consolidate]);
        let mut ready = std::mem::take(&mut self.removals);
        // A window waits for a snapshot, and nothing for a removal until its hard limit is near.
        ready.retain(|(at, _, record)| !self.is_soon[*at] || presses(record, self.now));
        ready.sort_by_key(|(at, _, record)| (record.overdue_at(), *at));
        let limits = self.limits.remove;
        for (subject, act, record) in self.with_room(ready, &running, &limits, |(subject, ..)| *subject) {
            self.begin(subject, act, record.clone());
        }
    }

    /// Of what is ready, in its order: one thing for each VM that has none yet, as far as there is room.
    fn with_room<T>(
        &self,
        ready: Vec<T>,
        running: &[Running],
        limits: &pacing::Limits,
        subject: impl Fn(&T) -> usize,
    ) -> Vec<T> {
        let mut once = HashSet::new();
        let ready: Vec<T> = ready
            .into_iter()
            .filter(|one| !self.is_taken[subject(one)] && once.insert(subject(one)))
            .collect();
        // How long it lasts does not matter: it is begun now or not.
        let job = |(id, one)| job(id, &self.subjects[subject(one)], pacing::SHORTEST);
        let jobs: Vec<Job> = ready.iter().enumerate().map(job).collect();
        let begin = pacing::startable(jobs.iter().map(|job| (job, self.now)), running, limits, self.now);
        let begin: HashSet<usize> = begin.into_iter().collect();
        ready.into_iter().enumerate().filter(|(id, _)| begin.contains(id)).map(|(_, one)| one).collect()
    }

    /// Whether a snapshot may begin now.
    fn is_turn(&mut self, slot: &Slot<'_>) -> bool {
        let Wanted { subject, run, deadline, .. } = &slot.wanted;
        let subject = &self.subjects[*subject];
        let freezes = freezes(subject, *run).unwrap_or(self.now);
        let start = slot.start.max(freezes);
        if start > self.now {
            self.at(start);
            return false;
        }
        // Within another window it would hold half of what that does. That is put up with where there is no time after it.
        let others = subject.runs.iter().filter(|other| run.is_none_or(|run| !other.is_same(run)));
        let is_in_another = others
            .filter(|other| other.opens <= self.now && self.now < other.closes)
            .any(|other| run.is_some() && add(other.closes, subject.expected) <= *deadline);
        // What is wrong with it is said elsewhere; it is its turn when that has passed.
        is_idle(subject) && !subject.busy && subject.preflight.verdict == Verdict::Go && !is_in_another
    }

    /// What of these kinds is under way. What has a task, and what was begun and has no outcome yet.
    fn running(&self, acts: &[Act]) -> Vec<Running> {
        let mut running = Vec::new();
        for subject in self.subjects {
            let mut count = |act: Act, since: Timestamp| {
                if acts.contains(&act) {
                    let lasts = if acts.contains(&Act::Create) { subject.expected } else { EXPECTED_REMOVAL };
                    running.push(Running {
                        datastores: subject.place.datastores.clone(),
                        host: subject.place.host,
                        vcenter: subject.place.vcenter,
                        ends: add(since, lasts),
                    });
                }
            };
            for record in &subject.records {
                match record.stage {
                    Stage::Creating { .. } => count(Act::Create, record.since),
                    Stage::Removing { .. } => count(Act::Remove, record.since),
                    Stage::Consolidating { .. } => count(Act::Consolidate, record.since),
                    Stage::Reverting { .. } => count(Act::Revert, record.since),
                    _ => {}
                }
            }
            if let Some(act) = subject.under_way {
                count(act, self.now);
            }
        }
        running
    }

    /// When each snapshot that is wanted begins.
    fn slots(&mut self, space: &Ledger, floor: Floor, running: &[Running]) -> Vec<Slot<'p>> {
        let mut groups = self.groups(space, floor);
        leave_time(&mut groups, &self.limits.create, self.now);
        let mut slots = Vec::new();
        // What is planned for an earlier deadline is in the way of what has a later one.
        let mut before: BTreeMap<Resource, Vec<Running>> = BTreeMap::new();
        for mut running in running.iter().cloned() {
            // One that began a moment late must not upset what was planned for after it: whether there is room is seen when that
            // begins.
            let ends = add(running.ends, -SLACK);
            let is_long_over = add(running.ends, SLACK) < self.now;
            if ends > self.now {
                running.ends = ends;
            } else if !is_long_over {
                continue;
            }
            before.entry(running.vcenter).or_default().push(running);
        }
        for group in groups {
            let before = before.entry(group.vcenter).or_default();
            let (limits, now) = (&self.limits.create, self.now);
            let schedule = pacing::plan_back(&group.jobs, before, limits, group.until, group.earliest, now);
            for ((wanted, job), slot) in group.wanted.into_iter().zip(group.jobs).zip(schedule.slots) {
                let (start, finish) = (slot.start, slot.finish);
                if let Some(run) = wanted.run {
                    self.foretell(&wanted, run, start, finish);
                }
                let Job { datastores, host, vcenter, .. } = job;
                before.push(Running { datastores, host, vcenter, ends: finish });
                slots.push(Slot { wanted, start });
            }
        }
        slots
    }

    /// Those for which there is space, by what they have in common; the earlier deadlines first.
    fn groups(&mut self, space: &Ledger, floor: Floor) -> Vec<Group<'p>> {
        let mut wanted = std::mem::take(&mut self.wanted);
        // Within a deadline in an order that does not change from plan to plan.
        wanted.sort_by_key(|wanted| (wanted.deadline, wanted.subject));
        let mut space = space.clone();
        let mut groups: BTreeMap<(Resource, Timestamp, Timestamp), Group<'p>> = BTreeMap::new();
        for wanted in wanted {
            let subject = &self.subjects[wanted.subject];
            if let Err(shortage) = space.reserve(&subject.needs, floor) {
                if let Some(run) = wanted.run {
                    self.forecast_of(run).unfit.push(wanted.subject);
                }
                self.say(wanted.subject, Say::NoSpace { run: wanted.run.cloned(), shortage });
                continue;
            }
            let (vcenter, deadline) = (subject.place.vcenter, wanted.deadline);
            let earliest = freezes(subject, wanted.run).unwrap_or(self.now).max(self.now);
            let group = groups.entry((vcenter, deadline, earliest)).or_insert_with(|| Group {
                vcenter,
                earliest,
                until: add(deadline, -RESERVE),
                wanted: Vec::new(),
                jobs: Vec::new(),
            });
            group.jobs.push(job(group.jobs.len(), subject, subject.expected));
            group.wanted.push(wanted);
        }
        groups.into_values().collect()
    }

    /// Takes note of when a snapshot is expected.
    fn foretell(&mut self, wanted: &Wanted<'_>, run: &Run, start: Timestamp, finish: Timestamp) {
        let late = finish > wanted.deadline;
        let forecast = self.forecast_of(run);
        forecast.planned.push((wanted.subject, start, finish));
        forecast.finish = Some(forecast.finish.map_or(finish, |last| last.max(finish)));
        if late {
            forecast.late.push(wanted.subject);
        }
        self.say(wanted.subject, Say::Planned { run: run.clone(), start, finish, late });
    }
}

/// Lets the earlier deadlines of each vCenter come before the begin of the later ones. The groups are in the order of both.
fn leave_time(groups: &mut [Group<'_>], limits: &pacing::Limits, now: Timestamp) {
    let mut later: Option<(Resource, Timestamp)> = None;
    for at in (0..groups.len()).rev() {
        let group = &mut groups[at];
        if let Some((vcenter, begin)) = later
            && vcenter == group.vcenter
        {
            group.until = group.until.min(begin).max(now);
        }
        if at > 0 {
            let schedule = pacing::plan_back(&group.jobs, &[], limits, group.until, group.earliest, now);
            later = Some((group.vcenter, schedule.begin));
        }
    }
}

/// When the snapshot of a VM may be taken at the earliest, where a run and its policy say so.
fn freezes(subject: &Subject<'_>, run: Option<&Run>) -> Option<Timestamp> {
    Some(add(run?.opens, -subject.policy?.lead))
}

fn job(id: usize, subject: &Subject<'_>, duration: SignedDuration) -> Job {
    let place = &subject.place;
    Job { id, duration, datastores: place.datastores.clone(), host: place.host, vcenter: place.vcenter }
}
