//! What is to be done about snapshots now, and for every VM why not more.
//!
//! It is a pure function of the VMs, their records and the time. Records go on by what is seen ([`Decisions::steps`]); what
//! has an effect is an [`Act`], and there are never more of them at a time than the limits allow, those that are under way
//! included. Plans for a window are made anew each time from what is left to do, back from its deadline, so that they
//! are right again after every failure, restart and migration.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::record::add;
use super::subject::{Act, Presence, Subject};
use super::{Ending, Event, IfImpossible, Record, Run, Say, Stage};
use crate::snapshot::hazard::{Hazard, Verdict};
use crate::snapshot::pacing::{self, Job, Running};
use crate::snapshot::space::{Floor, Ledger};

/// vCenter tells of its own changes at once; this is for an answer that overtakes the change.
const SETTLE: SignedDuration = SignedDuration::from_secs(30);
/// Clocks of hosts stray by less.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);
/// Attempts to take a snapshot that a person asked for, and that no deadline ends.
const ATTEMPTS_ON_DEMAND: u32 = 5;
/// The longest time that a removal is put off because something else is done to the VM, before the hard limit counts more.
const EXPECTED_REMOVAL: SignedDuration = SignedDuration::from_mins(15);

/// How much may be done at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Snapshots taken, and VMs taken back.
    pub create: pacing::Limits,
    /// Snapshots removed, and disks consolidated.
    pub remove: pacing::Limits,
}

/// Makes what a plan cannot know.
pub trait Maker {
    /// A record for the snapshot of a VM before a run. `attempt` counts from 0 and tells its id from those of earlier ones.
    fn record(&self, subject: usize, run: &Run, attempt: u32, quiesce: bool) -> Record;
    /// The id of a further attempt.
    fn id(&self, subject: usize, record: &Record, attempt: u32) -> super::RecordId;
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doing {
    /// The VM, by its number.
    pub subject: usize,
    /// What.
    pub act: Act,
    /// The record, as it is when that is begun.
    pub record: Record,
}

/// How a run looks from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The run.
    pub run: Run,
    /// When the first snapshot may be taken, and its scope freezes.
    pub freezes: Timestamp,
    /// When the last snapshot is to be there.
    pub deadline: Timestamp,
    /// The VMs that it reaches, by number.
    pub members: Vec<usize>,
    /// Those that have their snapshot.
    pub protected: Vec<usize>,
    /// Those whose snapshot is planned, with its expected beginning and end.
    pub planned: Vec<(usize, Timestamp, Timestamp)>,
    /// Those whose snapshot would come after the deadline.
    pub late: Vec<usize>,
    /// Those that cannot have one, as things are.
    pub unfit: Vec<usize>,
    /// Those that no policy is for.
    pub without_policy: Vec<usize>,
    /// When the last snapshot is expected to be there.
    pub finish: Option<Timestamp>,
}

/// What is to be done.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// Records that go on without any effect: VM and record.
    pub steps: Vec<(usize, Record)>,
    /// What is to be done now.
    pub doing: Vec<Doing>,
    /// What is to be said of each VM, the most important first.
    pub says: Vec<Vec<Say>>,
    /// VMs that must not be patched now, and the run from which they are kept.
    pub held: Vec<(usize, Run)>,
    /// The runs, by their opening.
    pub forecasts: Vec<Forecast>,
    /// When there may be something else to do, if nothing else happens before.
    pub next: Option<Timestamp>,
}

impl Decisions {
    fn at(&mut self, time: Timestamp, now: Timestamp) {
        if time > now {
            self.next = Some(self.next.map_or(time, |next| next.min(time)));
        }
    }
}

/// A snapshot that is to be taken, and when it may be.
struct Wanted<'r> {
    subject: usize,
    run: Option<&'r Run>,
    record: Option<Record>,
    quiesce: bool,
    deadline: Timestamp,
}

/// What is to be done now.
#[must_use]
pub fn plan(
    subjects: &[Subject<'_>],
    limits: &Limits,
    space: &Ledger,
    floor: Floor,
    maker: &dyn Maker,
    now: Timestamp,
) -> Decisions {
    let mut decisions = Decisions { says: vec![Vec::new(); subjects.len()], ..Decisions::default() };
    let mut wanted = Vec::new();
    let mut removals = Vec::new();
    let (mut creating, mut removing) = (Vec::new(), Vec::new());
    for (at, subject) in subjects.iter().enumerate() {
        count(subject, now, &mut creating, &mut removing);
        for (number, record) in subject.records.iter().enumerate() {
            go_on(at, subject, number, record, now, &mut decisions, &mut wanted, &mut removals, maker);
        }
        surplus(at, subject, now, &mut decisions);
        coming(at, subject, now, &mut decisions, &mut wanted);
    }
    take(subjects, limits, space, floor, maker, wanted, &creating, now, &mut decisions);
    remove(subjects, limits, removals, &removing, now, &mut decisions);
    for says in &mut decisions.says {
        says.sort_by_key(Say::rank);
    }
    decisions.held.sort();
    decisions
}

/// Counts what is under way.
fn count(subject: &Subject<'_>, now: Timestamp, creating: &mut Vec<Running>, removing: &mut Vec<Running>) {
    let running = |ends| Running {
        datastores: subject.place.datastores.clone(),
        host: subject.place.host,
        vcenter: subject.place.vcenter,
        ends,
    };
    let mut counted = false;
    for record in &subject.records {
        let ends = |expected| add(record.since, expected).max(now);
        match record.stage {
            Stage::Creating { .. } | Stage::Reverting { .. } => {
                creating.push(running(ends(subject.expected)));
            }
            Stage::Removing { .. } | Stage::Consolidating { .. } => {
                removing.push(running(ends(EXPECTED_REMOVAL)));
            }
            _ => continue,
        }
        counted = true;
    }
    match subject.under_way {
        _ if counted => {}
        Some(Act::Create | Act::Revert) => creating.push(running(add(now, subject.expected))),
        Some(Act::Remove | Act::Consolidate) => removing.push(running(add(now, EXPECTED_REMOVAL))),
        Some(Act::PowerOn) | None => {}
    }
}

/// What comes next of a record.
#[expect(clippy::too_many_arguments, reason = "a loop's body with a name")]
fn go_on<'r>(
    at: usize,
    subject: &'r Subject<'_>,
    number: usize,
    record: &'r Record,
    now: Timestamp,
    decisions: &mut Decisions,
    wanted: &mut Vec<Wanted<'r>>,
    removals: &mut Vec<(usize, Act, Record)>,
    maker: &dyn Maker,
) {
    let step = |decisions: &mut Decisions, event| {
        decisions.steps.push((at, record.after(event, now)));
    };
    if !record.stage.is_active() {
        return;
    }
    if subject.presence == Presence::Gone {
        return step(decisions, Event::VmGone);
    }
    // What is seen counts at once; that something is not there only when the picture is younger than what was done.
    let is_young = subject.as_of >= add(record.since, SETTLE);
    let seen = subject.seen.as_deref().filter(|_| subject.presence == Presence::Here);
    match &record.stage {
        Stage::Create | Stage::Creating { .. } | Stage::Failed { .. } => {
            let ours = seen.into_iter().flatten().find(|seen| {
                (seen.record == record.id || record.former.contains(&seen.record))
                    && seen.created >= add(record.began, -CLOCKS)
            });
            if let Some(found) = ours {
                let (snapshot, created) = (found.snapshot.clone(), found.created);
                return step(decisions, Event::Created { snapshot, created });
            }
            if subject.under_way.is_some() {
                return decisions.says[at].push(Say::Creating { run: record.run.clone() });
            }
            if matches!(record.stage, Stage::Creating { .. }) {
                return decisions.says[at].push(Say::Creating { run: record.run.clone() });
            }
            let too_late = match &record.run {
                Some(run) => now >= run.opens,
                None => record.failures >= ATTEMPTS_ON_DEMAND,
            };
            if too_late {
                return step(decisions, Event::TooLate);
            }
            if let Stage::Failed { retry_at } = record.stage
                && retry_at > now
            {
                decisions.at(retry_at, now);
                decisions.says[at].push(Say::Failed {
                    run: record.run.clone(),
                    trouble: record.trouble.clone(),
                    retry_at,
                });
                return;
            }
            let next = match record.stage {
                Stage::Failed { .. } => {
                    let attempt = u32::try_from(record.former.len()).unwrap_or(u32::MAX).saturating_add(1);
                    record.after(Event::Renewed(maker.id(at, record, attempt)), now)
                }
                _ => (*record).clone(),
            };
            let deadline = record.run.as_ref().map_or(now, |run| {
                add(run.opens, -subject.policy.map_or(SignedDuration::ZERO, |policy| policy.deadline))
            });
            let quiesce = record.quiesce;
            wanted.push(Wanted {
                subject: at,
                run: record.run.as_ref(),
                record: Some(next),
                quiesce,
                deadline,
            });
        }
        Stage::Kept => kept(at, subject, number, record, seen.is_some() && is_young, now, decisions),
        Stage::Remove => {
            decisions.says[at].push(removing(record, now));
            if subject.under_way.is_none() && is_free(subject, record, now) && is_time(record, now, decisions)
            {
                removals.push((at, Act::Remove, record.clone()));
            }
        }
        Stage::Consolidate => {
            decisions.says[at].push(removing(record, now));
            if subject.under_way.is_none() && !subject.busy && is_time(record, now, decisions) {
                removals.push((at, Act::Consolidate, record.clone()));
            }
        }
        Stage::Removing { .. } | Stage::Consolidating { .. } => {
            decisions.says[at].push(removing(record, now));
        }
        Stage::Check => {
            decisions.says[at].push(removing(record, now));
            let is_there = record.snapshot.as_ref().is_some_and(|own| subject.all.contains(own));
            if is_there && is_young && seen.is_some() {
                return step(decisions, Event::NotDone);
            }
            match subject.left_over.filter(|_| is_young && subject.presence == Presence::Here) {
                Some(left_over) => step(decisions, Event::Checked { left_over }),
                None => decisions.at(add(record.since, SETTLE), now),
            }
        }
        Stage::Revert | Stage::PowerOn => {
            decisions.says[at].push(Say::RollingBack { trouble: record.trouble.clone() });
            if subject.under_way.is_none() && !subject.busy && is_time(record, now, decisions) {
                let act = if record.stage == Stage::Revert { Act::Revert } else { Act::PowerOn };
                // A person waits for it: it goes before everything else that is taken or removed.
                decisions.doing.push(Doing { subject: at, act, record: record.clone() });
            }
        }
        Stage::Reverting { .. } | Stage::PoweringOn { .. } => {
            decisions.says[at].push(Say::RollingBack { trouble: record.trouble.clone() });
        }
        Stage::Ended { .. } => {}
    }
}

/// A snapshot that is there.
fn kept(
    at: usize,
    subject: &Subject<'_>,
    number: usize,
    record: &Record,
    can_be_missed: bool,
    now: Timestamp,
    decisions: &mut Decisions,
) {
    let is_there = record.snapshot.as_ref().is_some_and(|snapshot| subject.all.contains(snapshot));
    if can_be_missed && !is_there {
        decisions.steps.push((at, record.after(Event::Vanished, now)));
        return;
    }
    if let Some(run) = &record.run
        && record.judgement.is_none()
    {
        if let Some(Some(judgement)) = subject.judgements.get(number) {
            decisions.steps.push((at, record.after(Event::Judged(judgement.clone()), now)));
            return;
        }
        decisions.at(run.closes, now);
    }
    let Some(due) = record.remove_at() else { return };
    if due > now {
        decisions.at(due, now);
        decisions.says[at].push(Say::Kept {
            run: record.run.clone(),
            judgement: record.judgement.clone(),
            until: due,
        });
        return;
    }
    decisions.steps.push((at, record.after(Event::Due, now)));
}

/// Whether nothing else is done to the VM that a removal would disturb. When the hard limit is near it counts more.
fn is_free(subject: &Subject<'_>, record: &Record, now: Timestamp) -> bool {
    let is_open = subject.runs.iter().any(|run| run.opens <= now && now < run.closes);
    let others = subject.records.iter().any(|other| other.id != record.id && other.stage.task().is_some());
    let waits = subject.busy || matches!(subject.preflight.verdict, Verdict::Wait(_));
    let presses = record.overdue_at().is_some_and(|limit| now >= add(limit, -EXPECTED_REMOVAL * 4));
    !others && !is_open && (presses || !waits)
}

fn is_time(record: &Record, now: Timestamp, decisions: &mut Decisions) -> bool {
    match record.retry_at {
        Some(retry_at) if retry_at > now => {
            decisions.at(retry_at, now);
            false
        }
        _ => true,
    }
}

fn removing(record: &Record, now: Timestamp) -> Say {
    match record.overdue_at() {
        Some(limit) if limit <= now && record.stage != Stage::Check => {
            Say::Overdue { since: limit, trouble: record.trouble.clone() }
        }
        _ => Say::Removing { trouble: record.trouble.clone().filter(|_| record.failures > 0) },
    }
}

/// Snapshots of earlier attempts that came to light after all. They are ours, and not needed.
fn surplus(at: usize, subject: &Subject<'_>, now: Timestamp, decisions: &mut Decisions) {
    let seen = subject.seen.as_deref().filter(|_| subject.presence == Presence::Here);
    for found in seen.into_iter().flatten() {
        if subject.records.iter().any(|record| record.snapshot.as_ref() == Some(&found.snapshot)) {
            continue;
        }
        let of = |record: &&&Record| record.id == found.record || record.former.contains(&found.record);
        let owner = subject.records.iter().find(of);
        // One that still waits for its snapshot takes it.
        if owner.is_some_and(|owner| owner.stage.is_active() && owner.snapshot.is_none()) {
            continue;
        }
        // An attempt makes one snapshot; and what was there before the attempt is none of it, whatever its description says.
        let is_attempt = |owner: &&&Record| {
            (owner.id != found.record || owner.snapshot.is_none())
                && found.created >= add(owner.began, -CLOCKS)
                && !subject
                    .records
                    .iter()
                    .any(|record| *record.key() == found.record && record.snapshot.is_some())
        };
        let Some(owner) = owner.filter(is_attempt) else {
            decisions.says[at].push(Say::Orphan { snapshot: found.snapshot.clone() });
            continue;
        };
        let late = Record {
            id: found.record.clone(),
            former: Vec::new(),
            stage: Stage::Kept,
            since: now,
            snapshot: Some(found.snapshot.clone()),
            created: Some(found.created),
            failures: 0,
            retry_at: None,
            trouble: None,
            judgement: None,
            judged: None,
            ..(*owner).clone()
        };
        decisions.steps.push((at, late.after(Event::Due, now)));
    }
}

/// The runs that reach a VM.
fn coming<'r>(
    at: usize,
    subject: &'r Subject<'_>,
    now: Timestamp,
    decisions: &mut Decisions,
    wanted: &mut Vec<Wanted<'r>>,
) {
    if subject.presence != Presence::Here {
        return;
    }
    for run in &subject.runs {
        if now >= run.closes {
            continue;
        }
        let (lead, deadline) = subject
            .policy
            .map_or((SignedDuration::ZERO, SignedDuration::ZERO), |policy| (policy.lead, policy.deadline));
        let (freezes, deadline) = (add(run.opens, -lead), add(run.opens, -deadline));
        let forecast = forecast(decisions, run, freezes, deadline);
        forecast.members.push(at);
        let Some(policy) = subject.policy else {
            forecast.without_policy.push(at);
            decisions.says[at].push(Say::NoPolicy { run: run.clone() });
            continue;
        };
        let own = subject.records.iter().find(|record| record.is_for(run) && record.stage.is_active());
        // What vCenter does not show is no safety net, whatever its task said.
        let shows = |record: &&Record| record.snapshot.as_ref().is_some_and(|own| subject.all.contains(own));
        let protects = own.is_some_and(|record| record.protects() && shows(record));
        if protects {
            forecast.protected.push(at);
        }
        decisions.at(freezes, now);
        decisions.at(run.opens, now);
        decisions.at(run.closes, now);
        if policy.if_impossible == IfImpossible::Hold && freezes <= now && !protects {
            decisions.held.push((at, run.clone()));
        }
        if own.is_some() {
            continue;
        }
        let missed = subject
            .records
            .iter()
            .any(|record| record.is_for(run) && record.stage == (Stage::Ended { ending: Ending::Missed }));
        if now >= run.opens || missed {
            decisions.says[at].push(Say::Missed { run: run.clone(), hold: policy.if_impossible });
            continue;
        }
        match &subject.preflight.verdict {
            Verdict::Go => wanted.push(Wanted {
                subject: at,
                run: Some(run),
                record: None,
                quiesce: subject.preflight.quiesce,
                deadline,
            }),
            Verdict::Wait(why) => {
                // What passes by itself is planned for as if it had passed.
                if freezes <= now {
                    decisions.says[at].push(Say::Waits { run: run.clone(), why: why.clone() });
                } else {
                    decisions.says[at].push(Say::Coming { run: run.clone(), freezes });
                }
            }
            Verdict::Refuse(why) => {
                forecast_of(decisions, run).unfit.push(at);
                decisions.says[at].push(Say::Refused {
                    run: run.clone(),
                    why: why.clone(),
                    hold: policy.if_impossible,
                });
            }
        }
    }
}

fn forecast<'d>(
    decisions: &'d mut Decisions,
    run: &Run,
    freezes: Timestamp,
    deadline: Timestamp,
) -> &'d mut Forecast {
    let key = |forecast: &Forecast| (forecast.run.opens, forecast.run.window.clone());
    let at = match decisions.forecasts.binary_search_by_key(&(run.opens, run.window.clone()), key) {
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
            decisions.forecasts.insert(at, forecast);
            at
        }
    };
    let forecast = &mut decisions.forecasts[at];
    // VMs of one run may have different policies.
    forecast.freezes = forecast.freezes.min(freezes);
    forecast.deadline = forecast.deadline.min(deadline);
    forecast
}

fn forecast_of<'d>(decisions: &'d mut Decisions, run: &Run) -> &'d mut Forecast {
    forecast(decisions, run, run.opens, run.opens)
}

/// Plans the snapshots that are to be taken, and begins those whose time has come.
#[expect(clippy::too_many_arguments, reason = "a loop's body with a name")]
fn take(
    subjects: &[Subject<'_>],
    limits: &Limits,
    space: &Ledger,
    floor: Floor,
    maker: &dyn Maker,
    mut wanted: Vec<Wanted<'_>>,
    creating: &[Running],
    now: Timestamp,
    decisions: &mut Decisions,
) {
    // One deadline after the other, and within one in an order that does not change from plan to plan.
    wanted.sort_by_key(|wanted| (wanted.deadline, wanted.subject));
    let mut space = space.clone();
    let mut groups: BTreeMap<Timestamp, Vec<Wanted<'_>>> = BTreeMap::new();
    for wanted in wanted {
        let subject = &subjects[wanted.subject];
        if let Err(shortage) = space.reserve(&subject.needs, floor) {
            if let (Some(run), None) = (wanted.run, &wanted.record) {
                forecast_of(decisions, run).unfit.push(wanted.subject);
            }
            decisions.says[wanted.subject].push(Say::NoSpace { run: wanted.run.cloned(), shortage });
            continue;
        }
        groups.entry(wanted.deadline).or_default().push(wanted);
    }
    let mut slots: Vec<(Wanted<'_>, Job, Timestamp)> = Vec::new();
    // What is planned for an earlier deadline is in the way of what has a later one.
    let mut before = creating.to_vec();
    for (deadline, group) in groups {
        let job = |(id, wanted): (usize, &Wanted<'_>)| {
            let subject = &subjects[wanted.subject];
            Job {
                id,
                duration: subject.expected,
                datastores: subject.place.datastores.clone(),
                host: subject.place.host,
                vcenter: subject.place.vcenter,
            }
        };
        let jobs: Vec<Job> = group.iter().enumerate().map(job).collect();
        let earliest = group
            .iter()
            .filter_map(|wanted| {
                let policy = subjects[wanted.subject].policy?;
                Some(add(wanted.run?.opens, -policy.lead))
            })
            .max()
            .unwrap_or(now);
        let schedule = pacing::plan_back(&jobs, &before, &limits.create, deadline, earliest, now);
        let late: HashSet<usize> = schedule.late.iter().copied().collect();
        for ((wanted, job), slot) in group.into_iter().zip(jobs).zip(&schedule.slots) {
            if let Some(run) = wanted.run {
                let is_late = late.contains(&slot.id);
                let forecast = forecast_of(decisions, run);
                forecast.planned.push((wanted.subject, slot.start, slot.finish));
                forecast.finish = Some(forecast.finish.map_or(slot.finish, |last| last.max(slot.finish)));
                if is_late {
                    forecast.late.push(wanted.subject);
                }
                decisions.says[wanted.subject].push(Say::Planned {
                    run: run.clone(),
                    start: slot.start,
                    finish: slot.finish,
                    late: is_late,
                });
            }
            before.push(Running {
                datastores: job.datastores.clone(),
                host: job.host,
                vcenter: job.vcenter,
                ends: slot.finish,
            });
            slots.push((wanted, job, slot.start));
        }
    }
    slots.sort_by_key(|(wanted, _, start)| (*start, wanted.deadline, wanted.subject));
    let mut ready = Vec::new();
    for (at, (wanted, job, start)) in slots.iter().enumerate() {
        let subject = &subjects[wanted.subject];
        let freezes =
            wanted.run.zip(subject.policy).map_or(now, |(run, policy)| add(run.opens, -policy.lead));
        if *start > now || freezes > now {
            decisions.at((*start).max(freezes), now);
        } else if subject.busy
            || subject.under_way.is_some()
            || subject.records.iter().any(|record| record.stage.task().is_some())
            || matches!(subject.preflight.verdict, Verdict::Wait(_) | Verdict::Refuse(_))
        {
            // What is wrong with it is said elsewhere; it is its turn when that has passed.
        } else {
            ready.push(Job { id: at, ..job.clone() });
        }
    }
    let start: HashSet<usize> =
        pacing::startable(ready.iter().map(|job| (job, now)), creating, &limits.create, now)
            .into_iter()
            .collect();
    for (at, (wanted, ..)) in slots.into_iter().enumerate() {
        if !start.contains(&at) {
            continue;
        }
        let record = match (wanted.record, wanted.run) {
            (Some(record), _) => record,
            (None, Some(run)) => maker.record(wanted.subject, run, 0, wanted.quiesce),
            (None, None) => continue,
        };
        decisions.doing.push(Doing { subject: wanted.subject, act: Act::Create, record });
    }
}

/// Begins removals, those that are due first of all.
fn remove(
    subjects: &[Subject<'_>],
    limits: &Limits,
    mut removals: Vec<(usize, Act, Record)>,
    removing: &[Running],
    now: Timestamp,
    decisions: &mut Decisions,
) {
    removals.sort_by_key(|(at, _, record)| (record.overdue_at(), *at));
    let begun: HashSet<usize> = decisions.doing.iter().map(|doing| doing.subject).collect();
    let mut once = HashSet::new();
    // Two snapshots of one VM are not removed at the same time, nor while another is taken.
    removals.retain(|(at, ..)| !begun.contains(at) && once.insert(*at));
    let job = |(id, (at, ..)): (usize, &(usize, Act, Record))| {
        let place = &subjects[*at].place;
        Job {
            id,
            duration: EXPECTED_REMOVAL,
            datastores: place.datastores.clone(),
            host: place.host,
            vcenter: place.vcenter,
        }
    };
    let jobs: Vec<Job> = removals.iter().enumerate().map(job).collect();
    let start: HashSet<usize> =
        pacing::startable(jobs.iter().map(|job| (job, now)), removing, &limits.remove, now)
            .into_iter()
            .collect();
    for (id, (subject, act, record)) in removals.into_iter().enumerate() {
        if start.contains(&id) {
            decisions.doing.push(Doing { subject, act, record });
        }
    }
}

/// Words for the hazards of a VM.
pub(super) fn sentences(why: &[Hazard]) -> Arc<str> {
    let sentences: Vec<String> = why.iter().map(Hazard::sentence).collect();
    sentences.join("; ").into()
}
