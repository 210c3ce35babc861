//! What tests decide about tasks: how long they take, how many run at once, and how the next ones end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dice::Dice;

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TaskKind {
    /// `CreateSnapshot_Task` and `CreateSnapshotEx_Task`
    CreateSnapshot,
    /// `RemoveSnapshot_Task`
    RemoveSnapshot,
    /// `RemoveAllSnapshots_Task`
    RemoveAllSnapshots,
    /// `RevertToSnapshot_Task` and `RevertToCurrentSnapshot_Task`
    Revert,
    /// `ConsolidateVMDisks_Task`
    Consolidate,
    /// `PowerOnVM_Task`
    PowerOn,
    /// `PowerOffVM_Task`
    PowerOff,
}

impl TaskKind {
    /// Whether it works on disks, so that it needs a place on each datastore of its VM.
    pub(crate) fn is_on_disks(self) -> bool {
        !matches!(self, Self::PowerOn | Self::PowerOff)
    }

    /// How long one takes, in milliseconds, where nothing else was set.
    pub(crate) fn usual(self) -> u64 {
        match self {
            Self::CreateSnapshot | Self::Revert => 2_000,
            Self::RemoveSnapshot | Self::Consolidate => 4_000,
            Self::RemoveAllSnapshots => 6_000,
            Self::PowerOn => 1_000,
            Self::PowerOff => 500,
        }
    }
}

/// How tasks go in general. What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct TaskSetting {
    /// How long tasks of a kind take, in milliseconds, in place of 2 s (create, revert), 4 s (remove, consolidate), 6 s (remove
    /// all), 1 s (power on) and half a second (power off).
    pub durations_ms: BTreeMap<TaskKind, u64>,
    /// A task takes up to so many percent more or less; 10 at the start.
    pub jitter_percent: Option<u32>,
    /// Draws jitter and chances anew from this seed.
    pub seed: Option<u64>,
    /// Tasks on disks that run on one datastore at a time, the others are queued; 0: any number. 8 at the start.
    pub datastore_depth: Option<u32>,
    /// The same for one host; any number at the start.
    pub host_depth: Option<u32>,
    /// The same for the vCenter; any number at the start.
    pub vcenter_depth: Option<u32>,
    /// Milliseconds for which a task is known after its end; ten minutes at the start.
    pub retention_ms: Option<u64>,
    /// Bytes that a snapshot takes at once; memory comes on top. 64 MiB at the start.
    pub snapshot_bytes: Option<u64>,
    /// Bytes per second by which the disks of a VM with a snapshot grow; 1 MiB at the start.
    pub growth_bytes_per_second: Option<u64>,
    /// Milliseconds between two looks at the growth; ten seconds at the start.
    pub growth_every_ms: Option<u64>,
    /// Faults that are known at once, such as InvalidPowerState and TaskInProgress, are thrown by the call itself; else, and at
    /// the start, the call gives a task that has failed. Privileges and objects are always checked by the call.
    pub faults_at_call: Option<bool>,
    /// The agent of a VM that was reverted stays away from Systems Manager, also when it is powered on: its registration
    /// is older than its key. False at the start.
    pub stale_after_revert: Option<bool>,
}

/// How a task ends, or what happens while it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum TaskOutcome {
    /// It fails. A removal that fails at 10 percent or later has taken the snapshot out of the tree already, and leaves disks
    /// that need consolidation, as in life.
    Fails {
        /// WSDL type of the fault, for example `FileLocked`.
        fault: String,
        /// How far it comes, 0 to 100.
        #[serde(default = "half")]
        percent: u32,
    },
    /// The guest cannot be quiesced. Hits only a snapshot of a running guest with Tools that asks for it; other calls do not
    /// use the script up.
    QuiesceFails,
    /// The same, and the guest stays frozen: Tools and agent are silent until the VM is powered on anew, or so many
    /// milliseconds have passed.
    GuestFrozen {
        /// Until it comes back by itself; absent: never.
        #[serde(default)]
        thaw_after_ms: Option<u64>,
    },
    /// The datastore is full half-way: its free space is 0 for a quarter of the time, then the task fails with NoDiskSpace.
    DatastoreFull,
    /// The connection breaks in place of an answer, and the task runs.
    AnswerLost,
    /// It takes so much longer.
    Slow {
        /// Milliseconds on top of its time.
        extra_ms: u64,
    },
    /// The task fails with `Timedout` when its time is over, and the host goes on: what was asked for is done later.
    TimesOut {
        /// Milliseconds after the end of the task.
        extra_ms: u64,
    },
    /// A removal works, but its disks are not merged: `runtime.consolidationNeeded`. Hits removals only.
    ConsolidationNeeded {
        /// So many consolidations fail with `FileLocked`; the one after them works.
        #[serde(default)]
        stuck: u32,
    },
    /// The VM moves half-way.
    VmMoves {
        /// To this host.
        #[serde(default)]
        host: Option<String>,
        /// To this datastore.
        #[serde(default)]
        datastore: Option<String>,
    },
    /// The VM is removed half-way.
    VmVanishes,
    /// The vCenter restarts half-way: sessions and tasks are gone, the host goes on.
    VcenterRestarts,
}

fn half() -> u32 {
    50
}

/// When a task ends otherwise than well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TaskScript {
    /// MoRef of the VM; absent: any.
    #[serde(default)]
    pub vm: Option<String>,
    /// What the task does; absent: anything.
    #[serde(default)]
    pub task: Option<TaskKind>,
    /// Let so many matching tasks pass first.
    #[serde(default)]
    pub skip: u32,
    /// Then hit so many; 0: all further ones.
    #[serde(default = "once")]
    pub times: u32,
    /// In so many percent of the cases, drawn from the seed of the tasks.
    #[serde(default = "always")]
    pub chance: u32,
    /// What happens.
    pub outcome: TaskOutcome,
}

fn once() -> u32 {
    1
}

fn always() -> u32 {
    100
}

impl TaskScript {
    /// What happens to the next task of a kind, on any VM.
    #[must_use]
    pub fn once(task: TaskKind, outcome: TaskOutcome) -> Self {
        Self { vm: None, task: Some(task), skip: 0, times: once(), chance: always(), outcome }
    }

    /// The same for one VM only.
    #[must_use]
    pub fn on(mut self, vm: &str) -> Self {
        self.vm = Some(vm.to_owned());
        self
    }
}

/// Every outcome, with moderate numbers.
pub fn task_outcomes() -> Vec<TaskOutcome> {
    let fails = |fault: &str, percent| TaskOutcome::Fails { fault: fault.to_owned(), percent };
    vec![
        fails("GenericVmConfigFault", 0),
        fails("FileLocked", 60),
        fails("HostCommunication", 90),
        fails("SnapshotDisabled", 0),
        TaskOutcome::QuiesceFails,
        TaskOutcome::GuestFrozen { thaw_after_ms: Some(2_000) },
        TaskOutcome::DatastoreFull,
        TaskOutcome::AnswerLost,
        TaskOutcome::Slow { extra_ms: 1_000 },
        TaskOutcome::TimesOut { extra_ms: 1_000 },
        TaskOutcome::ConsolidationNeeded { stuck: 2 },
        TaskOutcome::VmMoves { host: None, datastore: None },
        TaskOutcome::VmVanishes,
        TaskOutcome::VcenterRestarts,
    ]
}

/// A script of outcomes from a seed, for the tasks of any VM. Consecutive seeds walk through every outcome.
pub fn task_scripts(seed: u64) -> Vec<TaskScript> {
    let all = task_outcomes();
    let mut dice = Dice::new(seed, 81);
    let first = all[usize::try_from(seed % all.len() as u64).unwrap_or(0)].clone();
    let rare = (0..dice.between(0, 2)).map(|_| dice.pick(&all).clone()).collect::<Vec<_>>();
    let script =
        |outcome, skip, times, chance| TaskScript { vm: None, task: None, skip, times, chance, outcome };
    let first = script(first, dice.between(0, 3), dice.between(1, 2), always());
    let rare = rare.into_iter().map(|outcome| script(outcome, 0, dice.between(1, 3), dice.between(5, 30)));
    let rare: Vec<TaskScript> = rare.collect();
    [first].into_iter().chain(rare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{Operation, span};

    #[test]
    fn seeds_walk_through_every_outcome() {
        let all = task_outcomes();
        let firsts: Vec<TaskOutcome> =
            (0..all.len() as u64).map(|seed| task_scripts(seed).swap_remove(0).outcome).collect();
        assert_eq!(firsts, all);
        assert_eq!(task_scripts(77), task_scripts(77));
    }

    #[test]
    fn no_number_is_too_large() {
        let kind = TaskKind::CreateSnapshot;
        let setting = TaskSetting {
            durations_ms: [(kind, u64::MAX)].into(),
            retention_ms: Some(u64::MAX),
            growth_every_ms: Some(u64::MAX),
            snapshot_bytes: Some(u64::MAX),
            growth_bytes_per_second: Some(u64::MAX),
            jitter_percent: Some(u32::MAX),
            ..TaskSetting::default()
        };
        let config = crate::config::VcenterConfig::default();
        let mut world = crate::fleet::generate(&config);
        world.tasks.set(&setting);
        let slow = TaskOutcome::Slow { extra_ms: u64::MAX };
        let script =
            TaskScript { skip: 0, times: u32::MAX, chance: u32::MAX, ..TaskScript::once(kind, slow) };
        world.tasks.script(&[script], false);
        let vms: Vec<_> = world.vms().map(|(entity, _)| entity.id).collect();
        let begun = vms.into_iter().filter(|vm| {
            let (name, description) = (String::new(), String::new());
            let operation =
                Operation::Create { name, description, memory: false, quiesce: false, extended: false };
            world.submit_foreign(*vm, operation, "u", Some(span(u64::MAX))).is_some()
        });
        assert!(begun.count() > 0);
        let now = crate::clock::uptime();
        world.tick(now);
        world.tick(now + span(u64::MAX) * 4);
        assert!(world.tasks.truth().finished.len() > 1);
    }

    #[test]
    fn scripts_and_settings_read_as_json() {
        let script: TaskScript = serde_json::from_str(
            r#"{"vm":"vm-7","task":"removeSnapshot","outcome":{"kind":"consolidationNeeded","stuck":2}}"#,
        )
        .unwrap();
        let outcome = TaskOutcome::ConsolidationNeeded { stuck: 2 };
        assert_eq!(script, TaskScript::once(TaskKind::RemoveSnapshot, outcome).on("vm-7"));
        let setting: TaskSetting =
            serde_json::from_str(r#"{"durationsMs":{"createSnapshot":50},"datastoreDepth":2}"#).unwrap();
        assert_eq!(setting.durations_ms[&TaskKind::CreateSnapshot], 50);
        assert!(serde_json::from_str::<TaskSetting>(r#"{"depth":2}"#).is_err());
    }
}
