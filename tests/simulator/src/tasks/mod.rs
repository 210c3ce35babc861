//! Tasks: what callers ask vCenter to do to a VM and then wait for. Snapshots, consolidation, power.
//!
//! There are two things. A [`Task`] is what vCenter tells about an operation; it vanishes some time after its end, and at a
//! restart at once. A [`Job`] is the operation on the host: it takes its time, has a place on each datastore of its VM, and goes
//! on when vCenter forgets its task. Tests say how long jobs take and how they end ([`TaskSetting`], [`TaskScript`]), and ask
//! afterwards what really happened ([`TaskTruth`]).

mod disks;
mod driver;
mod engine;
#[cfg(test)]
mod many;
mod operations;
mod refusal;
mod setting;
mod task;
mod truth;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use self::driver::drive;
pub use self::setting::{TaskKind, TaskOutcome, TaskScript, TaskSetting, task_outcomes, task_scripts};
pub use self::task::Maker;
pub(crate) use self::task::{Operation, Task};
pub use self::truth::{ActiveTask, FinishedTask, Peaks, TaskTruth, TouchedSnapshot};

use self::disks::Disks;
use self::engine::Step;
use self::truth::Counts;
use crate::dice::Dice;
use crate::world::{Kind, ObjId};

/// So many milliseconds, a year at most: whoever asks for more means for ever.
pub(crate) fn span(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds.min(366 * 86_400_000))
}

/// How tasks go in general.
#[derive(Debug)]
struct Rules {
    durations: BTreeMap<TaskKind, Duration>,
    jitter: u32,
    datastore_depth: usize,
    host_depth: usize,
    vcenter_depth: usize,
    retention: Duration,
    snapshot_bytes: u64,
    growth: u64,
    growth_every: Duration,
    faults_at_call: bool,
    stale_after_revert: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            durations: BTreeMap::new(),
            jitter: 10,
            datastore_depth: 8,
            host_depth: usize::MAX,
            vcenter_depth: usize::MAX,
            retention: Duration::from_secs(600),
            snapshot_bytes: 64 << 20,
            growth: 1 << 20,
            growth_every: Duration::from_secs(10),
            faults_at_call: false,
            stale_after_revert: false,
        }
    }
}

#[derive(Debug)]
struct Armed {
    script: TaskScript,
    vm: Option<ObjId>,
    seen: u32,
}

/// An operation on a host.
#[derive(Debug)]
struct Job {
    vm: ObjId,
    operation: Operation,
    by: Maker,
    /// Number of its task, which may be forgotten.
    task: u32,
    queued: Timestamp,
    outcome: Option<TaskOutcome>,
    /// A foreign snapshot is removed so long after it was made.
    hold: Option<Duration>,
    run: Option<Run>,
    /// The snapshots that it was about.
    touched: Vec<TouchedSnapshot>,
    /// Those that it has taken out of the tree.
    removed: Vec<u32>,
    /// Space that somebody else took on this datastore, for as long as the job runs.
    filled: Option<(ObjId, u64)>,
}

/// An operation that has begun. Times are as [`crate::clock::uptime`] counts.
#[derive(Debug)]
struct Run {
    from: Duration,
    until: Duration,
    started: Timestamp,
    datastores: Vec<ObjId>,
    host: Option<ObjId>,
    next_progress: Duration,
    steps: VecDeque<(Duration, Step)>,
}

/// What happens by itself after a while.
#[derive(Debug)]
enum Later {
    /// The backup product is done with its snapshot.
    RemoveSnapshot { vm: ObjId, snapshot: u32, by: Maker },
    /// A frozen guest comes back.
    Thaw(ObjId),
}

/// All tasks of a vCenter.
#[derive(Debug)]
pub(crate) struct Tasks {
    rules: Rules,
    dice: Dice,
    scripts: Vec<Armed>,
    known: BTreeMap<u32, Task>,
    jobs: BTreeMap<u64, Job>,
    last_job: u64,
    later: Vec<(Duration, Later)>,
    /// Tasks that are over, and when they ended.
    over: VecDeque<(Duration, u32)>,
    pub(crate) disks: Disks,
    makers: BTreeMap<u32, Maker>,
    /// Consolidations that are still to fail.
    stuck: BTreeMap<ObjId, u32>,
    stale: BTreeSet<ObjId>,
    grown: Duration,
    /// Something was asked for that may begin at once.
    fresh: bool,
    /// What [`Self::truth`] tells of the past.
    truth: TaskTruth,
    running: Counts,
    pending: Counts,
}

impl Default for Tasks {
    fn default() -> Self {
        Self {
            rules: Rules::default(),
            dice: Dice::new(1, 80),
            scripts: Vec::new(),
            known: BTreeMap::new(),
            jobs: BTreeMap::new(),
            last_job: 0,
            later: Vec::new(),
            over: VecDeque::new(),
            disks: Disks::default(),
            makers: BTreeMap::new(),
            stuck: BTreeMap::new(),
            stale: BTreeSet::new(),
            grown: Duration::ZERO,
            fresh: false,
            truth: TaskTruth::default(),
            running: Counts::default(),
            pending: Counts::default(),
        }
    }
}

impl Tasks {
    /// Changes how tasks go from now on; what runs already is not touched.
    pub(crate) fn set(&mut self, setting: &TaskSetting) {
        let TaskSetting {
            durations_ms,
            jitter_percent,
            seed,
            datastore_depth,
            host_depth,
            vcenter_depth,
            retention_ms,
            snapshot_bytes,
            growth_bytes_per_second,
            growth_every_ms,
            faults_at_call,
            stale_after_revert,
        } = setting;
        let rules = &mut self.rules;
        rules.durations.extend(durations_ms.iter().map(|(kind, ms)| (*kind, span(*ms))));
        rules.jitter = jitter_percent.unwrap_or(rules.jitter).min(100);
        for (depth, new) in [
            (&mut rules.datastore_depth, datastore_depth),
            (&mut rules.host_depth, host_depth),
            (&mut rules.vcenter_depth, vcenter_depth),
        ] {
            *depth = match new {
                Some(0) => usize::MAX,
                Some(new) => usize::try_from(*new).unwrap_or(usize::MAX),
                None => *depth,
            };
        }
        rules.retention = retention_ms.map_or(rules.retention, span);
        rules.snapshot_bytes = snapshot_bytes.unwrap_or(rules.snapshot_bytes);
        rules.growth = growth_bytes_per_second.unwrap_or(rules.growth);
        rules.growth_every = growth_every_ms.map_or(rules.growth_every, |ms| span(ms.max(1)));
        rules.faults_at_call = faults_at_call.unwrap_or(rules.faults_at_call);
        rules.stale_after_revert = stale_after_revert.unwrap_or(rules.stale_after_revert);
        if let Some(seed) = seed {
            self.dice = Dice::new(*seed, 80);
        }
        // Something may have got a place by it.
        self.fresh = true;
    }

    /// Adds scripts to those that are set.
    pub(crate) fn script(&mut self, scripts: &[TaskScript], clear: bool) {
        if clear {
            self.scripts.clear();
        }
        self.scripts.extend(scripts.iter().map(|script| Armed {
            vm: script.vm.as_deref().and_then(ObjId::parse),
            script: script.clone(),
            seen: 0,
        }));
    }

    pub(crate) fn get(&self, task: ObjId) -> Option<&Task> {
        if task.kind == Kind::Task { self.known.get(&task.num) } else { None }
    }

    /// Tasks that are known, oldest first: of one object, or of all.
    pub(crate) fn recent(&self, entity: Option<ObjId>) -> impl Iterator<Item = ObjId> + '_ {
        let known = self.known.iter().filter(move |(_, task)| entity.is_none_or(|id| task.entity == id));
        known.map(|(num, _)| ObjId::new(Kind::Task, *num))
    }

    /// Who made a snapshot.
    pub(crate) fn maker(&self, snapshot: u32) -> Option<&Maker> {
        self.makers.get(&snapshot)
    }

    /// Whether the agent of a VM cannot come back since it was reverted.
    pub(crate) fn is_stale(&self, vm: ObjId) -> bool {
        self.stale.contains(&vm)
    }

    /// What really happened so far.
    pub(crate) fn truth(&self) -> TaskTruth {
        let active = self.jobs.values().map(|job| ActiveTask {
            task: ObjId::new(Kind::Task, job.task).to_string(),
            known: self.known.contains_key(&job.task),
            kind: job.operation.kind(),
            vm: job.vm.to_string(),
            running: job.run.is_some(),
            by: job.by.clone(),
        });
        TaskTruth {
            active: active.collect(),
            running: self.running.told(),
            pending: self.pending.told(),
            stale: self.stale.iter().map(ToString::to_string).collect(),
            ..self.truth.clone()
        }
    }
}
