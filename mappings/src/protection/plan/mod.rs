//! What is to be done about snapshots now, and for every VM why not more.
//!
//! It is a pure function of the VMs, their records and the time. Records go on by what is seen ([`Decisions::steps`]); what
//! has an effect is an [`Act`], and there are never more of them at a time than the limits allow, those that are under way
//! included. Plans for a window are made anew each time from what is left to do, back from its deadline, so that they
//! are right again after every failure, restart and migration.

mod pace;
mod records;
mod runs;
mod surplus;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::subject::{Act, Presence, Subject};
use super::{Record, RecordId, Run, Say};
use crate::snapshot::hazard::Hazard;
use crate::snapshot::pacing;
use crate::snapshot::space::{Floor, Ledger};
use pace::Wanted;

/// vCenter tells of its own changes at once; this is for an answer that overtakes the change.
const SETTLE: SignedDuration = SignedDuration::from_secs(30);
/// Clocks of hosts stray by less.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);
/// How long a removal is expected to take. None is begun when a window opens within that time.
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
    /// A record for the snapshot of a VM before a run. `attempt` counts the records that the VM has for that run already, and
    /// tells its id from theirs.
    fn record(&self, subject: usize, run: &Run, attempt: u32, quiesce: bool) -> Record;
    /// The id of a further attempt. It is the same for the same record and attempt, and no other has it.
    fn id(&self, subject: usize, record: &Record, attempt: u32) -> RecordId;
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
    /// What is to be done now; nothing to a VM with a record that goes on in `steps`.
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

/// A plan in the making.
struct Planner<'p> {
    subjects: &'p [Subject<'p>],
    limits: &'p Limits,
    maker: &'p dyn Maker,
    now: Timestamp,
    decisions: Decisions,
    /// Snapshots that are to be taken.
    wanted: Vec<Wanted<'p>>,
    /// VMs that are to be taken back.
    reverts: Vec<(usize, &'p Record)>,
    /// VMs that were taken back and are to be powered on again.
    power_ons: Vec<(usize, &'p Record)>,
    /// Snapshots to be removed, and disks to be consolidated.
    removals: Vec<(usize, Act, &'p Record)>,
    /// By VM: something is begun with it or written down of it in this plan. One thing at a time is done to a VM, and it is
    /// done from what is written down.
    is_taken: Vec<bool>,
    /// By VM: a snapshot of it is to begin before a removal would have ended.
    is_soon: Vec<bool>,
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
    let mut planner = Planner {
        subjects,
        limits,
        maker,
        now,
        decisions: Decisions { says: vec![Vec::new(); subjects.len()], ..Decisions::default() },
        wanted: Vec::new(),
        reverts: Vec::new(),
        power_ons: Vec::new(),
        removals: Vec::new(),
        is_taken: vec![false; subjects.len()],
        is_soon: vec![false; subjects.len()],
    };
    for (at, subject) in subjects.iter().enumerate() {
        for number in 0..subject.records.len() {
            planner.record(at, number);
        }
        planner.surplus(at);
        planner.runs(at);
    }
    planner.begin_power_ons();
    planner.begin_takes_and_reverts(space, floor);
    planner.begin_removals();
    planner.done()
}

impl Planner<'_> {
    fn done(self) -> Decisions {
        let mut decisions = self.decisions;
        for says in &mut decisions.says {
            says.sort_by_key(Say::rank);
        }
        decisions.held.sort();
        decisions
    }

    /// There may be something else to do at that time.
    fn at(&mut self, time: Timestamp) {
        if time > self.now {
            let next = &mut self.decisions.next;
            *next = Some(next.map_or(time, |next| next.min(time)));
        }
    }

    fn say(&mut self, at: usize, say: Say) {
        self.decisions.says[at].push(say);
    }

    fn step(&mut self, at: usize, record: Record) {
        self.decisions.steps.push((at, record));
        self.is_taken[at] = true;
    }

    fn begin(&mut self, subject: usize, act: Act, record: Record) {
        self.decisions.doing.push(Doing { subject, act, record });
        self.is_taken[subject] = true;
    }
}

/// Whether anything could be begun with a VM: it is there, and nothing of ours is at work on it.
fn is_idle(subject: &Subject<'_>) -> bool {
    subject.presence == Presence::Here
        && subject.under_way.is_none()
        && !subject.records.iter().any(|record| record.stage.task().is_some())
}

/// Words for the hazards of a VM.
pub(super) fn sentences(why: &[Hazard]) -> Arc<str> {
    let sentences: Vec<String> = why.iter().map(Hazard::sentence).collect();
    sentences.join("; ").into()
}
