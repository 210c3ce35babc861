//! A world of VMs, hosts and windows in virtual time, in which what can go wrong does.
//!
//! It goes from one event to the next: its own (a task ends, a window opens, somebody removes a snapshot), or the time at which
//! the plan asked to be made again. What it checks it knows from itself: who has which snapshot, what is at work where, who was
//! patched. The planner is told only what vCenter and AWS would tell.

mod check;
mod host;
mod people;
mod plans;

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::*;
use crate::recurrence::Recurrence;
use crate::snapshot::pacing::{self, Resource};
use crate::snapshot::space::DatastoreId;

pub(super) const MAX_CHAIN: usize = 3;

pub(super) fn secs(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(seconds.try_into().unwrap())
}

pub(super) fn mins(minutes: u64) -> SignedDuration {
    secs(minutes * 60)
}

pub(super) fn hours(hours: u64) -> SignedDuration {
    secs(hours * 3600)
}

/// Numbers that look like chance and come again with their seed.
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }

    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.roll(to - from + 1)
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64)).unwrap()
    }
}

/// How great a world is, and what goes wrong in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub vms: usize,
    pub windows: usize,
    pub stores: usize,
    pub vcenters: usize,
    pub days: u64,
    /// Whether anything goes wrong.
    pub faults: bool,
    /// How long the engine takes from an event to a plan, in seconds.
    pub cycle: u64,
}

/// What broke, and whose it is.
#[derive(Debug)]
pub(super) struct Broken {
    pub vm: usize,
    pub what: String,
}

/// What happened in a world, to see that it does happen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Counts {
    pub plans: usize,
    pub taken: usize,
    pub removed: usize,
    pub patched: usize,
    pub spared: usize,
    pub reverted: usize,
    pub lost: usize,
    pub late: usize,
    pub vanished: usize,
    pub foreign: usize,
    pub overdue: usize,
    pub runs: usize,
}

/// Whose a snapshot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Ours, taken for this run. None: on demand.
    Ours(Option<usize>),
    /// Somebody else's.
    Other,
    /// A backup's.
    Backup,
}

/// A snapshot in a VM's tree.
#[derive(Debug, Clone)]
pub(super) struct Shot {
    pub id: SnapshotId,
    pub owner: Owner,
    pub created: Timestamp,
    /// The record in its description.
    pub mark: Option<RecordId>,
    pub parent: Option<SnapshotId>,
    /// When it was due at the latest.
    pub limit: Timestamp,
}

/// The tree of a VM.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub shots: Vec<Shot>,
    pub current: Option<SnapshotId>,
    pub left_over: bool,
}

impl Tree {
    fn find(&self, id: &SnapshotId) -> Option<&Shot> {
        self.shots.iter().find(|shot| shot.id == *id)
    }

    fn depth(&self) -> usize {
        let current = self.current.as_ref().and_then(|id| self.find(id));
        std::iter::successors(current, |shot| shot.parent.as_ref().and_then(|id| self.find(id))).count()
    }

    fn add(&mut self, mut shot: Shot) {
        shot.parent = self.current.replace(shot.id.clone());
        self.shots.push(shot);
    }

    fn remove(&mut self, id: &SnapshotId) {
        let Some(at) = self.shots.iter().position(|shot| shot.id == *id) else { return };
        let gone = self.shots.remove(at);
        if self.current.as_ref() == Some(id) {
            self.current.clone_from(&gone.parent);
        }
        for shot in self.shots.iter_mut().filter(|shot| shot.parent.as_ref() == Some(id)) {
            shot.parent.clone_from(&gone.parent);
        }
    }
}

/// A call of the engine that has no outcome yet.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub number: u64,
    pub act: Act,
    pub record: Record,
    /// Its answer was lost; until it is found out what became of it nothing else is done.
    pub lost: bool,
}

/// Something of ours that a host does.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub number: u64,
    pub task: TaskId,
    pub act: Act,
    pub record: Record,
    pub quiesce: bool,
}

/// How it fared in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Well,
    Failed,
    Unknown,
    /// The window did not run.
    NotRun,
}

pub(super) struct Vm {
    pub label: Arc<str>,
    pub place: Place,
    pub policy: Option<usize>,
    pub windows: Vec<usize>,
    pub alive: bool,
    pub on: bool,
    pub can_hold: bool,
    pub unfit: bool,
    pub takes: SignedDuration,
    pub tree: Tree,
    /// What is known of it while its vCenter cannot be read.
    pub frozen: Option<Tree>,
    pub call: Option<Call>,
    pub op: Option<Op>,
    pub backup: bool,
    pub busy: bool,
    /// Removals and consolidations are refused until then.
    pub locked_until: Timestamp,
    /// What a person asked to go back to, by the key of its record.
    pub asked: HashSet<RecordId>,
    /// When somebody last removed a snapshot of ours.
    pub removed: Timestamp,
    /// How many snapshots of others it has.
    pub foreign: usize,
    /// When its snapshot for a run was there.
    pub taken: BTreeMap<usize, Timestamp>,
    /// When people or faults last changed something without the engine's doing, or kept it from it.
    pub hindered: Timestamp,
    pub fates: BTreeMap<usize, (Timestamp, Fate)>,
    pub records: BTreeMap<RecordId, Record>,
}

pub(super) struct Vcenter {
    pub down_until: Option<Timestamp>,
}

/// Something that comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Opens(usize),
    Closes(usize),
    CallEnds(usize, u64),
    Trace(usize, u64),
    OpEnds(usize, u64),
    Told(usize, TaskId, bool),
    Settle(usize, TaskId),
    Ghost(usize, RecordId, Option<usize>, SignedDuration),
    BackupEnds(usize),
    Idle(usize),
    Up(usize),
    Trouble,
    Person,
    Restart,
    Wake,
}

pub(super) struct World {
    shape: Shape,
    dice: Dice,
    pub now: Timestamp,
    end: Timestamp,
    limits: Limits,
    policies: Vec<Policy>,
    pub runs: Vec<Run>,
    /// By window: its runs, by their opening.
    runs_of: Vec<Vec<usize>>,
    members: Vec<Vec<usize>>,
    stores: Vec<(i64, i64)>,
    pub vms: Vec<Vm>,
    vcenters: Vec<Vcenter>,
    events: BinaryHeap<std::cmp::Reverse<(Timestamp, u64, What)>>,
    number: u64,
    /// What is at work, by kind and place.
    at_work: HashMap<(bool, u8, Resource), u32>,
    held: HashSet<(usize, usize)>,
    /// How tasks ended, until that is told.
    answers: HashMap<TaskId, Event>,
    /// Tasks that no vCenter knows any more.
    vanished: HashSet<TaskId>,
    /// Runs that are open.
    open: Vec<usize>,
    /// By run: its window.
    window_of: Vec<usize>,
    /// VMs with records.
    recorded: BTreeSet<usize>,
    ids: Vec<DatastoreId>,
    pub counts: Counts,
    /// Whose log is kept.
    watch: Option<usize>,
    pub log: Vec<String>,
    next: Option<Timestamp>,
    /// Runs that open later are not looked at yet.
    horizon: Timestamp,
    index: HashMap<(Arc<str>, Timestamp), usize>,
}

const TEXTS: [&str; 8] = [
    "Sun 02:00 4h Europe/Berlin",
    "Sat 22:00 5h America/New_York",
    "Sun 01:30 3h America/New_York",
    "Mon-Fri 03:00 2h UTC",
    "2nd Tue +4d 22:00 6h Europe/Berlin",
    "Wed 23:30 90m Asia/Kolkata",
    "Sun 02:15 2h Australia/Lord_Howe",
    "Thu 01:00 8h Europe/Berlin",
];
/// Of the great worlds, so that every VM is patched about every other week.
const GREAT: [&str; 5] = [
    "2nd Tue +4d 22:00 6h Europe/Berlin",
    "last Sun 02:30 4h Europe/Berlin",
    "2nd Sun 02:30 4h America/New_York",
    "3rd Wed 23:00 5h Asia/Kolkata",
    "15 03:00 6h UTC",
];

impl World {
    pub(super) fn new(seed: u64, shape: Shape, watch: Option<usize>) -> Self {
        let mut dice = Dice(seed);
        let is_great = shape.days > 14;
        // Clocks change in New York on the 14th and in Berlin on the 28th of March, and in Lord Howe on the 4th of April.
        let starts: &[&str] = if is_great {
            &["2027-03-01T00:00:00Z"]
        } else {
            &["2027-03-08T12:00:00Z", "2027-03-22T12:00:00Z", "2027-03-29T12:00:00Z", "2027-10-25T12:00:00Z"]
        };
        let now: Timestamp = starts[dice.index(starts.len())].parse().unwrap();
        let end = now + hours(24 * shape.days);
        let one = |dice: &mut Dice, from, to| {
            std::num::NonZeroU32::new(u32::try_from(dice.between(from, to)).unwrap()).unwrap()
        };
        let limits = |dice: &mut Dice| pacing::Limits {
            per_datastore: one(dice, 2, 4),
            per_host: one(dice, 2, 6),
            per_vcenter: one(dice, 6, 24),
        };
        let limits = Limits { create: limits(&mut dice), remove: limits(&mut dice) };
        let policies = (0..4).map(|number| Self::policy(&mut dice, number)).collect();
        let mut world = Self {
            shape,
            dice,
            now,
            end,
            limits,
            policies,
            runs: Vec::new(),
            runs_of: vec![Vec::new(); shape.windows],
            members: vec![Vec::new(); shape.windows],
            stores: Vec::new(),
            vms: Vec::new(),
            vcenters: Vec::new(),
            events: BinaryHeap::new(),
            number: 0,
            at_work: HashMap::new(),
            held: HashSet::new(),
            answers: HashMap::new(),
            vanished: HashSet::new(),
            open: Vec::new(),
            window_of: Vec::new(),
            recorded: BTreeSet::new(),
            ids: (0..shape.stores).map(|store| DatastoreId::new(&format!("store {store}"))).collect(),
            counts: Counts::default(),
            watch,
            log: Vec::new(),
            next: Some(now),
            horizon: now,
            index: HashMap::new(),
        };
        for window in 0..shape.windows {
            world.window(window, is_great);
        }
        for _ in 0..shape.vcenters {
            world.vcenters.push(Vcenter { down_until: None });
        }
        for _ in 0..shape.stores {
            let short = shape.faults && world.dice.percent(8);
            let free = if short { 1100 } else { 9000 };
            world.stores.push((10_000 << 30, free << 30));
        }
        for vm in 0..shape.vms {
            world.vm(vm);
        }
        if shape.faults {
            world.later(mins(5), What::Trouble);
            world.later(mins(10), What::Person);
            world.later(hours(20), What::Restart);
        }
        world
    }

    fn policy(dice: &mut Dice, number: u64) -> Policy {
        let max_age = hours(dice.between(24, 72));
        Policy {
            name: format!("policy-{number}").into(),
            lead: mins(dice.between(120, 360)),
            deadline: mins(dice.between(5, 30)),
            keep: Keep {
                success: mins(dice.between(30, 600)),
                failure: hours(dice.between(12, 60)),
                max_age,
            },
            if_impossible: if number.is_multiple_of(2) { IfImpossible::Hold } else { IfImpossible::Report },
            consolidate: number != 3,
        }
    }

    fn window(&mut self, window: usize, is_great: bool) {
        let text = if is_great { GREAT[window % GREAT.len()] } else { TEXTS[self.dice.index(TEXTS.len())] };
        let recurrence = Recurrence::parse(text, &TimeZone::UTC).unwrap();
        let shift = if is_great { hours(5 * (window / GREAT.len()) as u64) } else { SignedDuration::ZERO };
        let openings: Vec<_> = recurrence.openings(self.now + hours(8), self.end).collect();
        for opening in openings {
            let run = Run {
                window: format!("mw-{window:017}").into(),
                name: format!("window {window}").into(),
                opens: opening.opens + shift,
                closes: opening.closes + shift,
            };
            let number = self.runs.len();
            self.runs_of[window].push(number);
            self.window_of.push(window);
            self.index.insert((run.window.clone(), run.opens), number);
            // The longest lead is six hours; at the latest then somebody looks at it.
            self.push(run.opens - hours(7), What::Wake);
            self.push(run.opens, What::Opens(number));
            self.push(run.closes, What::Closes(number));
            // Patch Manager tells of it a little later, and patience ends.
            self.push(run.closes + mins(7), What::Wake);
            self.push(run.closes + mins(60), What::Wake);
            self.runs.push(run);
        }
        self.counts.runs = self.runs.len();
    }

    fn vm(&mut self, vm: usize) {
        let faults = self.shape.faults;
        let (now, stores) = (self.now, self.shape.stores);
        let dice = &mut self.dice;
        let vcenter = vm % self.shape.vcenters;
        let place = place(dice, vcenter, stores / self.shape.vcenters);
        let mut windows = vec![dice.index(self.shape.windows)];
        if faults && dice.percent(15) {
            windows.push(dice.index(self.shape.windows));
        }
        windows.sort_unstable();
        windows.dedup();
        for window in &windows {
            self.members[*window].push(vm);
        }
        let mut tree = Tree::default();
        if faults && dice.percent(12) {
            for number in 0..dice.between(1, 3) {
                tree.add(Shot {
                    id: format!("old-{vm}-{number}").into(),
                    owner: Owner::Other,
                    created: now - hours(400),
                    mark: None,
                    parent: None,
                    limit: Timestamp::MAX,
                });
            }
        }
        let foreign = tree.shots.len();
        let policy = (!faults || !dice.percent(4)).then(|| dice.index(self.policies.len()));
        self.vms.push(Vm {
            label: format!("vm-{vm}").into(),
            place,
            policy,
            windows,
            alive: true,
            on: true,
            can_hold: !faults || !dice.percent(5),
            unfit: faults && dice.percent(4),
            takes: secs(dice.between(20, 240)),
            tree,
            frozen: None,
            call: None,
            op: None,
            backup: false,
            busy: false,
            locked_until: now,
            asked: HashSet::new(),
            removed: Timestamp::MIN,
            foreign,
            taken: BTreeMap::new(),
            hindered: Timestamp::MIN,
            fates: BTreeMap::new(),
            records: BTreeMap::new(),
        });
    }

    fn push(&mut self, at: Timestamp, what: What) {
        self.number += 1;
        self.events.push(std::cmp::Reverse((at, self.number, what)));
    }

    fn later(&mut self, after: SignedDuration, what: What) {
        self.push(self.now + after, what);
    }

    fn write(&mut self, vm: usize, what: impl FnOnce() -> String) {
        if self.watch == Some(vm) {
            self.log.push(format!("{:.0} {}", self.now, what()));
        }
    }

    /// Runs to the end of the month, and on until all is quiet.
    pub(super) fn run(&mut self) -> Result<(), Broken> {
        let quiet = self.end + hours(24 * 10);
        loop {
            let event = self.events.peek().map(|event| event.0.0);
            // What happens is seen a little later, and with what else happened by then.
            let seen = event.map(|at| at.max(self.now) + secs(self.shape.cycle));
            let Some(at) = [seen, self.next].into_iter().flatten().min() else { break };
            if at > quiet {
                break;
            }
            while self.events.peek().is_some_and(|event| event.0.0 <= at) {
                let std::cmp::Reverse((when, _, what)) = self.events.pop().unwrap();
                self.now = self.now.max(when);
                self.happen(what)?;
            }
            self.now = self.now.max(at);
            self.horizon = self.now + hours(7);
            self.plan()?;
            self.forget();
        }
        self.nothing_is_left()
    }

    fn is_down(&self, vm: usize) -> bool {
        self.vcenters[self.vms[vm].place.vcenter.0 as usize].down_until.is_some()
    }

    /// Whether a run matters now: it is open, or opens within some hours.
    fn matters(&self, run: usize) -> bool {
        let run = &self.runs[run];
        run.opens <= self.horizon && self.now < run.closes
    }

    /// The runs of a VM that matter now.
    fn runs_at(&self, vm: usize) -> impl Iterator<Item = usize> + '_ {
        let runs = self.vms[vm].windows.iter().flat_map(|window| &self.runs_of[*window]).copied();
        runs.filter(|run| self.matters(*run))
    }

    fn is_open(&self, vm: usize) -> bool {
        self.runs_at(vm).any(|run| self.runs[run].opens <= self.now)
    }
}

fn place(dice: &mut Dice, vcenter: usize, stores: usize) -> Place {
    let number =
        |base: usize, within: u64| Resource(u32::try_from(base).unwrap() + u32::try_from(within).unwrap());
    let first = dice.roll(stores as u64);
    let mut datastores = vec![number(vcenter * stores, first)];
    if dice.percent(20) {
        datastores.push(number(vcenter * stores, dice.roll(stores as u64)));
    }
    Place {
        vcenter: Resource(u32::try_from(vcenter).unwrap()),
        host: Some(number(vcenter * 8, dice.roll(8))),
        datastores,
    }
}
