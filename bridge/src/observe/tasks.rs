//! Watches the tasks of snapshots to their ends, however long they take.
//!
//! One watch for each vCenter follows all its tasks, while there are any. A task that is no more, because it ended long ago or
//! because its vCenter was started again, tells nothing; then the VM itself is looked at, again and again, until it is certain
//! how it ended.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use mappings::protection::{Event, Record, SnapshotId, Stage, TaskId};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use vsphere_client::ids::{TaskRef, VcenterUuid};
use vsphere_client::model::TaskInfo;
use vsphere_client::vcenter::Vcenter;
use vsphere_client::watch::{TaskEvent, TaskWatchOptions};

use crate::engine::{Engine, RealHands, Records, settle_record, task_id, trouble_of};
use crate::store::VmId;

/// How often it is looked whether there are other tasks to watch.
const TICK: Duration = Duration::from_millis(250);
/// Pause between two looks at a VM whose task is no more.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// A watch without tasks ends after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Watches until stopped.
pub(crate) async fn watch<S: Records>(engine: Engine<S>, hands: RealHands, stop: CancellationToken) {
    let mut followers: HashMap<VcenterUuid, JoinHandle<()>> = HashMap::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = ticks.tick() => {}
        }
        followers.retain(|_, follower| !follower.is_finished());
        let mut vcenters: Vec<VcenterUuid> =
            engine.watched_tasks().into_iter().map(|(vm, _)| vm.vcenter).collect();
        vcenters.sort_unstable();
        vcenters.dedup();
        for vcenter in vcenters {
            if followers.contains_key(&vcenter) {
                continue;
            }
            // One that is not connected is looked for again at the next tick.
            if let Some(client) = hands.vsphere().client_of(vcenter).await {
                let follower = follow(engine.clone(), hands.clone(), vcenter, client, stop.clone());
                followers.insert(vcenter, tokio::spawn(follower));
            }
        }
    }
    for (_, follower) in followers {
        // It ends by itself, and does not panic.
        let _ = follower.await;
    }
}

/// Something that is known of a record and not written down yet.
enum Pending {
    /// This happened.
    Known(Event),
    /// Its task is no more; nobody has said how it ended.
    Lost {
        /// When its VM is looked at next.
        next: Instant,
    },
}

/// Follows the tasks of one vCenter, for as long as there are any.
async fn follow<S: Records>(
    engine: Engine<S>,
    hands: RealHands,
    vcenter: VcenterUuid,
    client: Vcenter,
    stop: CancellationToken,
) {
    let mut watch = client.watch_tasks(TaskWatchOptions::default());
    let mut followed: BTreeMap<TaskId, ()> = BTreeMap::new();
    let mut pending: BTreeMap<TaskId, Pending> = BTreeMap::new();
    let mut last = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            event = watch.next() => match event {
                Some(TaskEvent::Finished(info)) => {
                    let task = task_id(&info.task);
                    followed.remove(&task);
                    let of = engine.watched_tasks();
                    let stage = of.iter().find(|(vm, record)| is(vm, record, vcenter, &task));
                    let found = match stage.and_then(|(_, record)| event_of(&record.stage, &info)) {
                        Some(event) => Pending::Known(event),
                        None => Pending::Lost { next: Instant::now() },
                    };
                    pending.insert(task, found);
                }
                Some(TaskEvent::Gone(task) | TaskEvent::Unreadable(task)) => {
                    let task = task_id(&task);
                    followed.remove(&task);
                    pending.insert(task, Pending::Lost { next: Instant::now() });
                }
                Some(TaskEvent::Interrupted { error, .. }) => {
                    tracing::debug!(%error, "the tasks of a vCenter cannot be seen now");
                }
                Some(_) => {}
                // The client was closed; another one comes with its observer.
                None => return,
            },
            _ = ticks.tick() => {}
        }
        let wanted: Vec<(VmId, Record)> =
            engine.watched_tasks().into_iter().filter(|(vm, _)| vm.vcenter == vcenter).collect();
        for (vm, record) in &wanted {
            let Some(task) = record.stage.task() else { continue };
            last = Instant::now();
            match pending.get_mut(task) {
                None => {
                    if followed.insert(task.clone(), ()).is_none() {
                        watch.add(TaskRef::new(task.as_str()));
                    }
                }
                Some(found) => {
                    if told(&engine, &hands, vm, record, task, found).await {
                        pending.remove(task);
                    }
                }
            }
        }
        let is_wanted = |task: &TaskId| wanted.iter().any(|(_, record)| record.stage.task() == Some(task));
        pending.retain(|task, _| is_wanted(task));
        followed.retain(|task, ()| {
            let keep = is_wanted(task);
            if !keep {
                watch.forget(&TaskRef::new(task.as_str()));
            }
            keep
        });
        if last.elapsed() > IDLE {
            break;
        }
    }
    watch.close().await;
}

fn is(vm: &VmId, record: &Record, vcenter: VcenterUuid, task: &TaskId) -> bool {
    vm.vcenter == vcenter && record.stage.task() == Some(task)
}

/// Writes down what is known of a record. Says whether that is done.
async fn told<S: Records>(
    engine: &Engine<S>,
    hands: &RealHands,
    vm: &VmId,
    record: &Record,
    task: &TaskId,
    found: &mut Pending,
) -> bool {
    let event = match found {
        Pending::Known(event) => event.clone(),
        Pending::Lost { next } if *next > Instant::now() => return false,
        Pending::Lost { next } => {
            *next = Instant::now() + LOOK_AGAIN;
            match settle_record(hands.snapshots(), vm, record).await {
                Ok(Some(event)) => {
                    *found = Pending::Known(event.clone());
                    event
                }
                Ok(None) => return false,
                Err(error) => {
                    tracing::debug!(vm = %record.label, error = error.reason, "what became of a task cannot be seen now");
                    return false;
                }
            }
        }
    };
    match engine.saw_task(vm, task, event).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(vm = %record.label, %error, "how a task ended cannot be written down yet");
            false
        }
    }
}

/// What the end of a task means for a record. None: it does not say enough.
fn event_of(stage: &Stage, info: &TaskInfo) -> Option<Event> {
    match (stage, info.outcome()?) {
        (Stage::Creating { .. }, Ok(_)) => Some(Event::Created {
            snapshot: SnapshotId::from(info.snapshot()?.to_string()),
            created: info.complete_time?,
        }),
        (_, Ok(_)) => Some(Event::Succeeded),
        (_, Err(failure)) => Some(Event::Failed(trouble_of(failure))),
    }
}
