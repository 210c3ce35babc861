//! What really happened: for tests that ask whether somebody kept within limits and left alone what is not theirs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Maker, TaskKind};
use crate::world::ObjId;

/// Everything about tasks on one vCenter that a test may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskTruth {
    /// Operations that run or wait now, oldest first, also those whose task vCenter forgot.
    pub active: Vec<ActiveTask>,
    /// The most operations on disks that ran at one time. Those of [`crate::Mutation::ForeignTask`] do not count.
    pub running: Peaks,
    /// The most that had been asked for and were not over.
    pub pending: Peaks,
    /// The longest chain of snapshots after one was made, and its VM.
    pub deepest_chain: u32,
    /// MoRef of that VM.
    pub deepest_vm: Option<String>,
    /// Operations that are over, in the order of their ends.
    pub finished: Vec<FinishedTask>,
    /// VMs whose agent registered before a revert and cannot come back.
    pub stale: Vec<String>,
}

/// The highest numbers of operations at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Peaks {
    /// On the whole vCenter.
    pub vcenter: usize,
    /// By MoRef of the datastore: an operation counts on each datastore of its VM.
    pub datastores: BTreeMap<String, usize>,
    /// By MoRef of the host.
    pub hosts: BTreeMap<String, usize>,
}

/// The same as it is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) vcenter: usize,
    pub(super) datastores: BTreeMap<ObjId, usize>,
    pub(super) hosts: BTreeMap<ObjId, usize>,
}

impl Counts {
    /// Takes a count that may be a new peak.
    pub(super) fn reach(&mut self, now: &Counts) {
        self.vcenter = self.vcenter.max(now.vcenter);
        for (peaks, now) in [(&mut self.datastores, &now.datastores), (&mut self.hosts, &now.hosts)] {
            for (place, count) in now {
                let peak = peaks.entry(*place).or_default();
                *peak = (*peak).max(*count);
            }
        }
    }

    /// Counts one more operation.
    pub(super) fn count(&mut self, datastores: &[ObjId], host: Option<ObjId>) {
        self.vcenter += 1;
        for datastore in datastores {
            *self.datastores.entry(*datastore).or_default() += 1;
        }
        if let Some(host) = host {
            *self.hosts.entry(host).or_default() += 1;
        }
    }

    pub(super) fn told(&self) -> Peaks {
        let named = |counts: &BTreeMap<ObjId, usize>| {
            counts.iter().map(|(place, count)| (place.to_string(), *count)).collect()
        };
        Peaks { vcenter: self.vcenter, datastores: named(&self.datastores), hosts: named(&self.hosts) }
    }
}

/// An operation that runs or waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTask {
    /// MoRef of its task.
    pub task: String,
    /// Whether vCenter still knows the task.
    pub known: bool,
    /// What it does.
    pub kind: TaskKind,
    /// MoRef of the VM.
    pub vm: String,
    /// Whether it runs; else it waits for a place.
    pub running: bool,
    /// Who asked for it.
    pub by: Maker,
}

/// A snapshot that an operation was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TouchedSnapshot {
    /// Its MoRef.
    pub snapshot: String,
    /// Its name as it was given.
    pub name: String,
    /// Who made it; absent for those of the first fleet and of [`crate::Mutation::CreateSnapshot`].
    pub made_by: Option<Maker>,
}

/// An operation that is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FinishedTask {
    /// 1, 2, 3, … in the order of the ends.
    pub seq: u64,
    /// When it ended on the host, by this vCenter's clock.
    pub time: Timestamp,
    /// MoRef of its task.
    pub task: String,
    /// What it did.
    pub kind: TaskKind,
    /// MoRef of the VM.
    pub vm: String,
    /// Who asked for it.
    pub by: Maker,
    /// When it was asked for.
    pub queued: Timestamp,
    /// When it began; absent when it never did.
    pub started: Option<Timestamp>,
    /// The snapshots that it made, removed, or went back to. A removal that failed names those that are out of the tree.
    pub snapshots: Vec<TouchedSnapshot>,
    /// `success`, `cancelled`, `lost` (it waited when vCenter restarted), or the type of the fault. It is what happened
    /// on the host: a task may have said something else.
    pub outcome: String,
}
