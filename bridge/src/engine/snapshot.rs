//! Hands for snapshots: calls that begin tasks, and how it is found out what became of one whose answer was lost.
//!
//! Each call is short: it begins a task, and the task is watched (`observe/tasks.rs`). A call without an answer is looked for in
//! the VM's own snapshots, by the mark in the description that was written down before. As long as any task works on the VM
//! nobody can say that nothing was done.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use mappings::protection::{Act, Event, Record, RecordId, SnapshotId, Stage, TaskId, Trouble};
use mappings::snapshot::name::Mark;

use super::hands::{EffectError, Gain, Trace};
use super::{Engine, Inner, Records};
use crate::plan::{Action, Plan, ProtectionStep};
use crate::store::{Holder, Outcome, Protection, StoreError, VmId};

/// A lost call may still be on its way to a host for so long.
pub(super) const SETTLE: Duration = Duration::from_secs(60);

/// Clocks of hosts stray by less.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// What comes of something that is asked of a VM.
pub type OnVm<'a, T> = BoxFuture<'a, Result<T, EffectError>>;

/// What is asked of VMs for their snapshots.
pub trait SnapshotPort: Send + Sync {
    /// Begins to take a snapshot.
    fn create<'a>(&'a self, vm: &'a VmId, spec: &'a Spec) -> OnVm<'a, TaskId>;
    /// Begins to remove one; those made after it stay.
    fn remove<'a>(&'a self, vm: &'a VmId, snapshot: &'a SnapshotId) -> OnVm<'a, TaskId>;
    /// Begins to take a VM back to one.
    fn revert<'a>(&'a self, vm: &'a VmId, snapshot: &'a SnapshotId) -> OnVm<'a, TaskId>;
    /// Begins to consolidate disks that were left over.
    fn consolidate<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, TaskId>;
    /// Begins to power a VM on. None: it is on already.
    fn power_on<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, Option<TaskId>>;
    /// Looks at a VM. None: there is no such VM.
    fn look<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, Option<Look>>;
}

/// A snapshot that is to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name.
    pub name: Arc<str>,
    /// Its description, which begins with our mark.
    pub description: Arc<str>,
    /// With the VM's memory.
    pub memory: bool,
    /// With the guest quiesced.
    pub quiesce: bool,
}

/// What a VM looks like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Its snapshots.
    pub snapshots: Vec<Shot>,
    /// The tasks that work on it now.
    pub tasks: Vec<TaskSeen>,
    /// Whether it is on.
    pub powered_on: bool,
    /// Whether disks are left over, if that can be told.
    pub left_over: Option<bool>,
}

/// A snapshot of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shot {
    /// Which.
    pub snapshot: SnapshotId,
    /// Its description, from outside.
    pub description: Box<str>,
    /// When it was taken, by the host's clock.
    pub created: Timestamp,
}

/// A task that works on a VM now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSeen {
    /// Which.
    pub task: TaskId,
    /// What it does, where it is one of what we do.
    pub act: Option<Act>,
}

impl Look {
    fn shot_of(&self, record: &Record) -> Option<&Shot> {
        let wanted = record.id.as_str();
        // What was there before the record is none of it, whatever its description says.
        let since = record.began.checked_sub(CLOCKS).unwrap_or(Timestamp::MIN);
        self.snapshots
            .iter()
            .filter(|shot| shot.created >= since)
            .find(|shot| Mark::parse(&shot.description).is_some_and(|mark| record_id(&mark) == wanted))
    }

    fn has(&self, snapshot: Option<&SnapshotId>) -> bool {
        snapshot.is_some_and(|snapshot| self.snapshots.iter().any(|shot| shot.snapshot == *snapshot))
    }

    fn task(&self, act: Act) -> Option<&TaskSeen> {
        self.tasks.iter().find(|seen| seen.act == Some(act))
    }
}

/// The id of the record in a mark, as records have it.
pub(crate) fn record_id(mark: &Mark) -> String {
    format!("{:016x}", mark.record())
}

/// Begins what is to be done.
pub(super) async fn perform(
    port: &dyn SnapshotPort,
    vm: &VmId,
    act: Act,
    record: &Record,
    mark: &Arc<str>,
) -> Result<Gain, EffectError> {
    let snapshot = || record.snapshot.as_ref().ok_or_else(no_snapshot);
    let task = match act {
        Act::Create => {
            let spec = Spec {
                name: record.name.clone(),
                description: mark.clone(),
                memory: record.memory,
                quiesce: record.quiesce,
            };
            port.create(vm, &spec).await?
        }
        Act::Remove => port.remove(vm, snapshot()?).await?,
        Act::Consolidate => port.consolidate(vm).await?,
        Act::Revert => port.revert(vm, snapshot()?).await?,
        Act::PowerOn => match port.power_on(vm).await? {
            Some(task) => task,
            None => return Ok(Gain::Nothing),
        },
    };
    Ok(Gain::Task(task))
}

/// Looks for what was begun without an answer.
pub(super) async fn trace(
    port: &dyn SnapshotPort,
    vm: &VmId,
    act: Act,
    record: &Record,
) -> Result<Trace, EffectError> {
    let Some(look) = port.look(vm).await? else { return Ok(Trace::Gone) };
    if act == Act::Create
        && let Some(shot) = look.shot_of(record)
    {
        let (snapshot, created) = (shot.snapshot.clone(), shot.created);
        return Ok(Trace::There(Gain::Snapshot { snapshot, created }));
    }
    // Whose task it is is not told. One that does the same is as good as ours, except when it takes a snapshot.
    if act != Act::Create
        && let Some(seen) = look.task(act)
    {
        return Ok(Trace::There(Gain::Task(seen.task.clone())));
    }
    if let Some(seen) = look.tasks.first() {
        return Err(EffectError::not_now(format!("the task {} works on it", seen.task)));
    }
    Ok(match act {
        Act::Remove if !look.has(record.snapshot.as_ref()) => Trace::There(Gain::Nothing),
        Act::PowerOn if look.powered_on => Trace::There(Gain::Nothing),
        Act::Consolidate if look.left_over == Some(false) => Trace::There(Gain::Nothing),
        // Doing it again does no harm, so it does not matter whether it was done.
        _ => Trace::NotThere,
    })
}

/// What became of a record whose task is no more: none of its tasks tells, so the VM itself has to.
pub(crate) async fn settle(
    port: &dyn SnapshotPort,
    vm: &VmId,
    record: &Record,
) -> Result<Option<Event>, EffectError> {
    let Some(look) = port.look(vm).await? else { return Ok(Some(Event::VmGone)) };
    if let (Stage::Creating { .. }, Some(shot)) = (&record.stage, look.shot_of(record)) {
        let (snapshot, created) = (shot.snapshot.clone(), shot.created);
        return Ok(Some(Event::Created { snapshot, created }));
    }
    // What vCenter forgot may still be done by the host.
    if !look.tasks.is_empty() {
        return Ok(None);
    }
    Ok(match &record.stage {
        Stage::Removing { .. } if !look.has(record.snapshot.as_ref()) => Some(Event::Succeeded),
        Stage::PoweringOn { .. } if look.powered_on => Some(Event::Succeeded),
        Stage::Consolidating { .. } if look.left_over == Some(false) => Some(Event::Succeeded),
        stage if stage.task().is_some() => Some(Event::NotDone),
        _ => None,
    })
}

/// The record that an action is about.
fn subject(action: &Action) -> Option<(&VmId, &RecordId)> {
    match action {
        Action::Snapshot { vm, record, .. } => Some((vm, record.key())),
        _ => None,
    }
}

fn no_snapshot() -> EffectError {
    let sentence = "the record names no snapshot";
    EffectError {
        transient: false,
        trouble: Some(Box::new(Trouble {
            word: "noSnapshot".into(),
            sentence: sentence.into(),
            fix: None,
            passes: false,
            quiescing: false,
        })),
        ..EffectError::not_now(sentence)
    }
}

impl<S: Records> Engine<S> {
    /// Tasks that are to be watched: the VM, the record, and the task.
    #[must_use]
    pub fn watched_tasks(&self) -> Vec<(VmId, Record)> {
        let memory = self.0.memory();
        let all = memory
            .protections
            .iter()
            .flat_map(|(vm, records)| records.values().map(move |record| (vm, record)));
        all.filter(|(_, record)| record.stage.task().is_some())
            .map(|(vm, record)| (vm.clone(), record.clone()))
            .collect()
    }

    /// What was seen of the task that a record waits for. Another task changes nothing.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn saw_task(&self, vm: &VmId, task: &TaskId, event: Event) -> Result<(), StoreError> {
        let _keeping = self.0.keeping.lock().await;
        let known =
            self.0.memory().protections.get(vm).and_then(|records| {
                records.values().find(|record| record.stage.task() == Some(task)).cloned()
            });
        let Some(known) = known else { return Ok(()) };
        let next = known.after(event, self.0.clock.now());
        if next != known {
            if let Some(trouble) = next.trouble.as_ref().filter(|_| next.trouble != known.trouble) {
                tracing::warn!(
                    vm = %next.label, stage = known.stage.word(), error = %trouble.sentence, "a task failed"
                );
            }
            self.0.keep(Protection { vm: vm.clone(), record: next }).await?;
        }
        Ok(())
    }

    /// Does to a record what a person wants. None: there is no such record now, or something is being done to its VM.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn wish(
        &self,
        vm: &VmId,
        record: &Record,
        event: Event,
        was_on: bool,
    ) -> Result<Option<Record>, StoreError> {
        let _keeping = self.0.keeping.lock().await;
        let known = {
            let memory = self.0.memory();
            // That tags of its node are written is no matter.
            let holder = Holder::vm(vm);
            let is_busy = memory.open.values().any(|open| open.action.holder() == holder);
            let records = memory.protections.get(vm).filter(|_| !is_busy);
            records.and_then(|records| records.get(record.key())).cloned()
        };
        let Some(known) = known else { return Ok(None) };
        let next = Record { was_on, ..known.clone() }.after(event, self.0.clock.now());
        if next.stage == known.stage {
            return Ok(None);
        }
        self.0.keep(Protection { vm: vm.clone(), record: next.clone() }).await?;
        Ok(Some(next))
    }

    /// Puts a record beside those that are known.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn put_record(&self, vm: &VmId, record: Record) -> Result<(), StoreError> {
        let _keeping = self.0.keeping.lock().await;
        self.0.keep(Protection { vm: vm.clone(), record }).await
    }
}

impl<S: Records> Inner<S> {
    /// Writes down what a plan found out about snapshots and windows. What has changed since it was made is left alone.
    pub(super) async fn record_snapshots(&self, plan: &Plan) -> Result<(), StoreError> {
        if !plan.scopes.is_empty() {
            self.store.put_scopes(&plan.scopes).await?;
            let mut memory = self.memory();
            plan.scopes.iter().for_each(|change| memory.put_scope(change.clone()));
            self.wake.notify_one();
        }
        if plan.protections.is_empty() {
            return Ok(());
        }
        let _keeping = self.keeping.lock().await;
        let current: Vec<Protection> = {
            let memory = self.memory();
            // An action that began since then ends with the record as it was before.
            let begun: HashSet<(&VmId, &RecordId)> =
                memory.open.values().filter_map(|open| subject(&open.action)).collect();
            let is_current = |step: &&ProtectionStep| {
                let known = memory.protections.get(&step.vm).and_then(|all| all.get(step.after.key()));
                known == step.before.as_ref() && !begun.contains(&(&step.vm, step.after.key()))
            };
            let steps = plan.protections.iter().filter(is_current);
            steps.map(|step| Protection { vm: step.vm.clone(), record: step.after.clone() }).collect()
        };
        if current.is_empty() {
            return Ok(());
        }
        self.store.put_protections(&current).await?;
        let mut memory = self.memory();
        current.into_iter().for_each(|protection| memory.put_protection(protection));
        self.wake.notify_one();
        Ok(())
    }

    /// Whether an action goes on from what is known now. A plan is older than what was seen or wished for since. `keeping` is
    /// held by the caller.
    pub(super) fn is_current(&self, action: &Action) -> bool {
        let memory = self.memory();
        if let Action::ImportFindings { changes, .. } | Action::CloseFindings { changes, .. } = action {
            return super::report::goes_on(changes, &memory);
        }
        let Action::Snapshot { vm, act, record, .. } = action else { return true };
        let known = memory.protections.get(vm).and_then(|records| records.get(record.key()));
        match act {
            // It is a new one, or a further attempt of one that failed.
            Act::Create => known.is_none_or(|known| {
                matches!(known.stage, Stage::Create | Stage::Failed { .. })
                    && (known.id == record.id || record.former.last() == Some(&known.id))
            }),
            _ => known == Some(&**record),
        }
    }

    /// Writes a record down. `keeping` is held by the caller.
    async fn keep(&self, protection: Protection) -> Result<(), StoreError> {
        self.store.put_protections(std::slice::from_ref(&protection)).await?;
        self.memory().put_protection(protection);
        self.wake.notify_one();
        Ok(())
    }

    /// What an action that ended makes of a record.
    pub(super) fn protection_of(
        &self,
        action: &Action,
        outcome: Outcome,
        result: &Result<Gain, EffectError>,
        ended: Timestamp,
    ) -> Option<Protection> {
        let Action::Snapshot { vm, act, record, .. } = action else { return None };
        let events: Vec<Event> = match (result, act) {
            // Whether the VM is gone or it was not done: a further attempt is another one, with another mark.
            (Ok(_), Act::Create) if outcome == Outcome::FoundNotDone => vec![Event::NotDone],
            (Ok(_), _) if outcome == Outcome::FoundNotDone => return None,
            (Ok(Gain::Task(task)), _) => vec![Event::Started { task: task.clone() }],
            (Ok(Gain::Snapshot { snapshot, created }), _) => {
                vec![Event::Created { snapshot: snapshot.clone(), created: *created }]
            }
            (Ok(_), Act::PowerOn) => vec![Event::Succeeded],
            // It is done without our seeing a task.
            (Ok(_), Act::Remove | Act::Consolidate) => {
                vec![Event::Started { task: "none".into() }, Event::Succeeded]
            }
            (Ok(_), _) => return None,
            (Err(error), _) => vec![Event::Failed(match &error.trouble {
                Some(trouble) => (**trouble).clone(),
                None => Trouble {
                    word: "refused".into(),
                    sentence: error.reason.as_str().into(),
                    fix: None,
                    passes: error.transient,
                    quiescing: false,
                },
            })],
        };
        let record = events.into_iter().fold((**record).clone(), |record, event| record.after(event, ended));
        Some(Protection { vm: vm.clone(), record })
    }
}
