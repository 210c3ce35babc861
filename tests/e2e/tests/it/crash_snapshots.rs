//! The crash matrix for what is done to snapshots: tasks that go on in vCenter while nobody looks, followed only by the daemon.
//!
//! The points are those of the other matrix. After the kill the daemon is started again; in the end there is exactly the
//! snapshot that there should be, what others made is untouched, and no task was begun twice.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use vmbridge::plan::ActionKind;
use vmbridge_e2e::managed::Managed;
use vmbridge_e2e::program::Running;
use vmbridge_simulator::{
    FaultEffect, FaultRule, FinishedTask, Mutation, TaskKind, TaskOutcome, TaskScript, TaskSetting,
};

use super::crash::{POINTS, Point, killed, of_kind, operation};
use super::snapshots::{PRIVILEGES, ours};

/// Cells at the same time: they wait most of their time.
const AT_ONCE: usize = 12;

/// The kinds of this matrix; those that wait longest begin first.
pub(crate) const KINDS: [ActionKind; 5] = [
    ActionKind::ConsolidateDisks,
    ActionKind::RemoveSnapshot,
    ActionKind::RevertToSnapshot,
    ActionKind::PowerOn,
    ActionKind::CreateSnapshot,
];

/// One thing at a time in the whole vCenter, so that what comes second waits for as long as a test wants.
const SECTIONS: &str = r#"
[tags]
mode = "off"
defaults = false

[snapshots]
mode = "enforce"
floor_percent = 0
floor_gib = 0
per_vcenter = 1
remove_per_vcenter = 1

[[snapshots.policy]]
name = "all"
quiesce = "off"
uncovered_disks = true
max_chain = 31
"#;

/// A task that is still at work when the daemon is killed and started again.
const LONG: u64 = 15_000;
const SHORT: u64 = 300;
/// The longest that anything here takes: a lost call is given a minute, a removal half of one.
const PATIENCE: Duration = Duration::from_secs(150);

/// A VM with a snapshot of somebody else's, and another one.
struct Scene {
    managed: Managed,
    vm: String,
    other: String,
    foreign: String,
}

fn truth_of(managed: &Managed, moref: &str) -> Result<Value> {
    let truth = managed.simulator.vcenters()[0].truth();
    let vms = truth["vms"].as_array().context("VMs")?;
    vms.iter().find(|vm| vm["id"] == moref).cloned().with_context(|| format!("no VM {moref}"))
}

fn last(managed: &Managed, kind: TaskKind, milliseconds: u64) -> Result<()> {
    let tasks = TaskSetting { durations_ms: [(kind, milliseconds)].into(), ..TaskSetting::default() };
    managed.mutate(&Mutation::SetTasks { tasks })
}

fn script(managed: &Managed, vm: &str, task: TaskKind, outcome: TaskOutcome) -> Result<()> {
    let scripts = vec![TaskScript::once(task, outcome).on(vm)];
    managed.mutate(&Mutation::ScriptTasks { scripts, clear: false })
}

async fn until<F: Future<Output = Result<bool>>>(what: &str, done: impl Fn() -> F) -> Result<()> {
    let since = tokio::time::Instant::now();
    while since.elapsed() < PATIENCE {
        if done().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("it never came to this: {what}")
}

impl Scene {
    async fn new() -> Result<Self> {
        let managed = Managed::with_privileges(0, SECTIONS, &PRIVILEGES).await?;
        let truth = managed.simulator.vcenters()[0].truth();
        let fit = |vm: &&Value| {
            vm["powerState"] == "poweredOn"
                && vm["connectionState"] == "connected"
                && vm["config"]["template"] == false
                && vm["config"]["managedBy"].is_null()
                && vm["config"]["faultTolerance"].is_null()
                && vm["consolidationNeeded"] == false
                && vm["snapshots"].is_null()
        };
        let mut fit = truth["vms"].as_array().context("VMs")?.iter().filter(fit);
        let mut next = || -> Result<String> {
            let vm = fit.next().with_context(|| format!("two VMs that are fit: {:#}", truth["vms"]))?;
            Ok(vm["id"].as_str().unwrap_or_default().to_owned())
        };
        let (vm, other) = (next()?, next()?);
        let theirs = Mutation::CreateSnapshot {
            id: vm.clone(),
            name: "before the upgrade".to_owned(),
            memory: false,
            quiesced: false,
        };
        let made = managed.simulator.vcenters()[0].mutate(&theirs);
        let foreign = made.map_err(|error| anyhow::anyhow!("{error}"))?.context("its id")?;
        for kind in [
            TaskKind::CreateSnapshot,
            TaskKind::RemoveSnapshot,
            TaskKind::Revert,
            TaskKind::Consolidate,
            TaskKind::PowerOn,
        ] {
            last(&managed, kind, SHORT)?;
        }
        Ok(Self { managed, vm, other, foreign })
    }

    async fn daemon(&self) -> Result<Running> {
        let mut running = self.managed.vmbridge(&["run"])?.start()?;
        running.says("the first picture of the fleet is there").await?;
        Ok(running)
    }

    /// Asks for a snapshot, and gives its record.
    async fn create(&self, vm: &str, more: &[&str]) -> Result<String> {
        let what = ["snapshot", "create", vm, "--reason", "crash", "--keep", "2h", "--json"];
        let ended = self.managed.ran(&[&what[..], more].concat()).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        let taken: Value = serde_json::from_str(&ended.stdout)?;
        Ok(taken["taken"][0]["record"].as_str().with_context(|| format!("{taken:#}"))?.to_owned())
    }

    async fn remove(&self, record: &str) -> Result<()> {
        let ended = self.managed.ran(&["snapshot", "remove", record]).await?;
        ensure!(ended.code == Some(0), "{ended:?}");
        Ok(())
    }

    /// Asks for what leads to the action; a command that waits for the end goes on.
    async fn ask(&self, kind: ActionKind, record: Option<&str>) -> Result<Option<Running>> {
        let record = || record.context("a record");
        match kind {
            ActionKind::CreateSnapshot => {
                self.create(&self.vm, &[]).await?;
            }
            ActionKind::RemoveSnapshot => self.remove(record()?).await?,
            ActionKind::ConsolidateDisks => {
                let left = TaskOutcome::ConsolidationNeeded { stuck: 0 };
                script(&self.managed, &self.vm, TaskKind::RemoveSnapshot, left)?;
                self.remove(record()?).await?;
            }
            ActionKind::RevertToSnapshot | ActionKind::PowerOn => {
                let back = ["snapshot", "revert", record()?, "--yes", "--agents-within", "0s"];
                return Ok(Some(self.managed.vmbridge(&back)?.start()?));
            }
            _ => bail!("{} has nothing to do with snapshots", kind.word()),
        }
        Ok(None)
    }

    fn is_at_work(&self, vm: &str, kind: TaskKind) -> bool {
        let tasks = self.managed.simulator.vcenters()[0].tasks();
        tasks.active.iter().any(|task| task.vm == vm && task.kind == kind)
    }

    async fn at_work(&self, vm: &str, kind: TaskKind) -> Result<()> {
        until("the task is at work", || async { Ok(self.is_at_work(vm, kind)) }).await
    }

    /// Lets something be at work without which the action would begin.
    async fn in_the_way(&self, kind: ActionKind) -> Result<()> {
        let slow = TaskOutcome::Slow { extra_ms: 6000 };
        match kind {
            ActionKind::CreateSnapshot | ActionKind::RevertToSnapshot => {
                script(&self.managed, &self.other, TaskKind::CreateSnapshot, slow)?;
                self.create(&self.other, &[]).await?;
                self.at_work(&self.other, TaskKind::CreateSnapshot).await
            }
            ActionKind::RemoveSnapshot => {
                script(&self.managed, &self.other, TaskKind::RemoveSnapshot, slow)?;
                let record = self.create(&self.other, &["--wait"]).await?;
                self.remove(&record).await?;
                self.at_work(&self.other, TaskKind::RemoveSnapshot).await
            }
            // What comes before it in its own VM is in the way.
            ActionKind::ConsolidateDisks => last(&self.managed, TaskKind::RemoveSnapshot, 6000),
            _ => last(&self.managed, TaskKind::Revert, 6000),
        }
    }

    /// Waits until the action is asked for, and does not begin.
    async fn waits(&self, kind: ActionKind) -> Result<()> {
        let stage = match kind {
            ActionKind::CreateSnapshot => "create",
            ActionKind::RemoveSnapshot => "remove",
            ActionKind::RevertToSnapshot => "revert",
            ActionKind::ConsolidateDisks => return self.at_work(&self.vm, TaskKind::RemoveSnapshot).await,
            _ => return self.at_work(&self.vm, TaskKind::Revert).await,
        };
        until("it waits", || async { Ok(self.record().await?["stage"] == stage) }).await
    }

    /// The one record of the VM.
    async fn record(&self) -> Result<Value> {
        let ended = self.managed.ran(&["snapshot", "list", "--all", "--json"]).await?;
        let list: Value = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
        let of_vm =
            |one: &&Value| one["vm"].as_str().is_some_and(|vm| vm.ends_with(&format!("/{}", self.vm)));
        let all: Vec<&Value> = list["ours"].as_array().context("ours")?.iter().filter(of_vm).collect();
        ensure!(all.len() <= 1, "one record for one wish: {list:#}");
        Ok(all.first().copied().cloned().unwrap_or_default())
    }

    /// Something happens in the vCenter, as it always does: without any news a picture is up to date only every half minute.
    fn lives(&self) {
        let id = self.other.clone();
        let text = format!("{:?}", tokio::time::Instant::now());
        // A note that cannot be written only takes time.
        let _ = self.managed.mutate(&Mutation::Annotate { id, text });
    }

    fn finished(&self) -> Vec<FinishedTask> {
        self.managed.simulator.vcenters()[0].tasks().finished
    }
}

fn is_over(kind: ActionKind, record: &Value) -> bool {
    match kind {
        ActionKind::CreateSnapshot => record["stage"] == "kept",
        ActionKind::RemoveSnapshot | ActionKind::ConsolidateDisks => record["stage"] == "ended",
        _ => record["stage"] == "kept" && record["judgement"] == "rolledBack",
    }
}

/// What is done to the VM from the beginning to the end, once each.
fn tasks_of(kind: ActionKind) -> &'static [TaskKind] {
    match kind {
        ActionKind::CreateSnapshot => &[TaskKind::CreateSnapshot],
        ActionKind::RemoveSnapshot => &[TaskKind::CreateSnapshot, TaskKind::RemoveSnapshot],
        ActionKind::ConsolidateDisks => {
            &[TaskKind::CreateSnapshot, TaskKind::RemoveSnapshot, TaskKind::Consolidate]
        }
        _ => &[TaskKind::CreateSnapshot, TaskKind::Revert, TaskKind::PowerOn],
    }
}

async fn cell(kind: ActionKind, point: Point) -> Result<()> {
    let scene = Scene::new().await?;
    let managed = &scene.managed;
    let running = scene.daemon().await?;
    let record = match kind {
        ActionKind::CreateSnapshot => None,
        _ => Some(scene.create(&scene.vm, &["--wait"]).await?),
    };
    let record = record.as_deref();
    let held = || async { Ok(!managed.simulator.holds().is_empty()) };
    // The command that waits ends with the daemon.
    let _waiting = match point {
        Point::BeforeIntent => {
            scene.in_the_way(kind).await?;
            let before = managed.journal().await?;
            let waiting = scene.ask(kind, record).await?;
            scene.waits(kind).await?;
            killed(running).await?;
            let count =
                |journal: &[Value]| journal.iter().filter(|entry| entry["kind"] == kind.word()).count();
            let journal = managed.journal().await?;
            ensure!(count(&journal) == count(&before), "nothing was intended yet: {journal:#?}");
            waiting
        }
        Point::BeforeEffect | Point::BeforeOutcome => {
            let late = point == Point::BeforeOutcome;
            if late && kind == ActionKind::RevertToSnapshot {
                // Whether a VM was taken back is not to be seen in it afterwards.
                last(managed, TaskKind::Revert, LONG)?;
            }
            let hold = if late { FaultEffect::HoldAfter } else { FaultEffect::HoldBefore };
            managed.simulator.add_faults([FaultRule::once(operation(kind).0, hold)]);
            let waiting = scene.ask(kind, record).await?;
            until("the call is held", || {
                scene.lives();
                held()
            })
            .await?;
            killed(running).await?;
            let journal = managed.journal().await?;
            ensure!(of_kind(&journal, kind, None).len() == 1, "the intent is in the journal: {journal:#?}");
            waiting
        }
        Point::After => {
            let before = of_kind(&managed.journal().await?, kind, Some("done")).len();
            let waiting = scene.ask(kind, record).await?;
            until("an outcome is in the journal", || async {
                scene.lives();
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok(of_kind(&managed.journal().await?, kind, Some("done")).len() > before)
            })
            .await?;
            killed(running).await?;
            waiting
        }
    };
    managed.simulator.clear_faults();
    managed.simulator.release_holds();

    let running = scene.daemon().await?;
    let came = until("it is as it should be", || async {
        scene.lives();
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(is_over(kind, &scene.record().await?))
    })
    .await;
    if let Err(error) = came {
        let (record, journal) = (scene.record().await, managed.journal().await);
        return Err(error.context(format!("{record:#?} {journal:#?} {:#?}", scene.finished())));
    }
    // A second look, by the same daemon and by the next one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.signal("TERM").await?;
    let ended = running.ended().await?;
    ensure!(ended.code == Some(0), "{ended:?}");
    right(&scene, kind, point).await?;
    let done = scene.finished().len();
    let synced = managed.ran(&["sync", "--json"]).await?;
    ensure!(synced.code == Some(0), "{synced:?}");
    let (code, plan) = managed.plan().await?;
    ensure!(code == Some(0), "nothing is left: {plan:#}");
    let tasks = managed.simulator.vcenters()[0].tasks();
    ensure!(tasks.finished.len() == done && tasks.active.is_empty(), "{tasks:#?}");
    ensure!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
    Ok(())
}

/// The state that it has to end in, however it got there.
async fn right(scene: &Scene, kind: ActionKind, point: Point) -> Result<()> {
    let truth = truth_of(&scene.managed, &scene.vm)?;
    let is_removed = matches!(kind, ActionKind::RemoveSnapshot | ActionKind::ConsolidateDisks);
    let own = ours(&scene.managed, &scene.vm);
    ensure!(own.len() == usize::from(!is_removed), "{own:?} {truth:#}");
    let theirs = &truth["snapshots"]["roots"][0];
    ensure!(theirs["id"] == *scene.foreign && theirs["name"] == "before the upgrade", "{truth:#}");
    ensure!(truth["powerState"] == "poweredOn", "{truth:#}");
    ensure!(truth["consolidationNeeded"] == false, "{truth:#}");

    let finished = scene.finished();
    let of_vm: Vec<&FinishedTask> = finished.iter().filter(|task| task.vm == scene.vm).collect();
    let kinds: Vec<TaskKind> = of_vm.iter().map(|task| task.kind).collect();
    ensure!(kinds == tasks_of(kind), "each task once: {of_vm:#?}");
    ensure!(of_vm.iter().all(|task| task.outcome == "success"), "{of_vm:#?}");
    let touched = of_vm.iter().flat_map(|task| &task.snapshots);
    ensure!(touched.into_iter().all(|one| one.snapshot != scene.foreign), "{of_vm:#?}");

    let journal = scene.managed.journal().await?;
    ensure!(journal.iter().all(|entry| !entry["outcome"].is_null()), "every end is known: {journal:#?}");
    let found = |outcome| of_kind(&journal, kind, Some(outcome)).len();
    let wanted = match point {
        Point::BeforeIntent | Point::After => (0, 0),
        Point::BeforeEffect => (0, 1),
        Point::BeforeOutcome => (1, 0),
    };
    ensure!((found("found-done"), found("found-not-done")) == wanted, "{journal:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_point_nothing_is_done_twice_to_a_snapshot() {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut cells = JoinSet::new();
    let mut all: Vec<(ActionKind, Point)> =
        KINDS.into_iter().flat_map(|kind| POINTS.map(|point| (kind, point))).collect();
    // Those that take longest begin first: disks that are left over are waited for twice, and a call that may still be on its
    // way is given a minute.
    all.sort_by_key(|(kind, point)| (*kind != ActionKind::ConsolidateDisks, *point != Point::BeforeEffect));
    for (kind, point) in all {
        let room = room.clone();
        cells.spawn(async move {
            let _permit = room.acquire_owned().await.unwrap();
            let since = tokio::time::Instant::now();
            let ended = cell(kind, point).await.with_context(|| format!("{} {point:?}", kind.word()));
            eprintln!("{} {point:?}: {:?}", kind.word(), since.elapsed());
            ended
        });
    }
    let (mut failures, mut ended) = (Vec::new(), 0);
    while let Some(cell) = cells.join_next().await {
        ended += 1;
        if let Err(error) = cell.unwrap() {
            failures.push(format!("{error:#}"));
        }
    }
    assert_eq!(ended, KINDS.len() * POINTS.len());
    assert!(failures.is_empty(), "{} of {ended}:\n{}", failures.len(), failures.join("\n\n"));
}
