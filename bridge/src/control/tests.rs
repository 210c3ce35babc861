//! The desk, as far as it is about snapshots and windows: a fleet of a test, a real store, and hands that begin tasks.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use mappings::protection::{Event, Judgement, Keep, Record, Run, SnapshotId, Stage, TaskId};
use mappings::snapshot::name::Mark;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vsphere_client::ids::MoRef;
use vsphere_client::model::{SnapshotInfo, SnapshotTree};
use vsphere_client::property::{
    Change as Property, ObjectProperties, ObjectReport, ReportKind, VirtualMachine,
};

use super::*;
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::{Environment, Mode};
use crate::engine::{EffectError, Engine, Gain, Hands, Trace};
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::fleet::{FleetUpdate, SharedFleet};
use crate::plan::{Action, Policy};
use crate::store::{Store, VmId};

/// Hands whose every call begins a task.
struct Begins;

impl Hands for Begins {
    fn perform<'a>(&'a self, action: &'a Action) -> BoxFuture<'a, Result<Gain, EffectError>> {
        let task = format!("task-{}", action.kind().word());
        Box::pin(async move { Ok(Gain::Task(task.as_str().into())) })
    }

    fn trace<'a>(&'a self, _: &'a Action) -> BoxFuture<'a, Result<Trace, EffectError>> {
        Box::pin(async { Ok(Trace::NotThere) })
    }

    fn settle(&self, _: &Action) -> Duration {
        Duration::ZERO
    }
}

struct World {
    _directory: tempfile::TempDir,
    clock: Clock,
    vcenter: TestVcenter,
    engine: Engine,
    desk: Desk,
}

const CONFIG: &str = r#"
[[vcenter]]
name = "dc1"
url = "https://a"
username = "u"
password = { file = "/x" }
[snapshots]
mode = "observe"
[[snapshots.policy]]
name = "all"
lead = "2h"
if_impossible = "hold"
[[snapshots.window]]
name = "nightly"
vms = "name=web-1 or name=web-2"
schedule = "daily 03:00 2h"
"#;

/// A Friday, at 02:00: the window opens in an hour, and its snapshots begin.
const NOW: &str = "2027-01-15T02:00:00Z";

impl World {
    async fn new(vms: u32) -> Self {
        let environment = Environment::default();
        let config = crate::config::parse(CONFIG, Path::new("vmbridge.toml"), &environment).unwrap();
        let clock = Clock::starting(NOW.parse().unwrap());
        let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
        let vcenter = TestVcenter::new(&fleet, "dc1", 1);
        let vms: Vec<TestVm> = (1..=vms).map(|number| TestVm::new(number, &[])).collect();
        vcenter.read(&vms, clock.now());
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let policy = Policy::of(&config);
        assert_eq!(policy.snapshots.mode, Mode::Observe);
        let engine =
            Engine::new(fleet.clone(), cloud.clone(), store, Arc::new(Begins), policy, clock).await.unwrap();
        let desk = Desk::new(engine.clone(), fleet, cloud, None);
        Self { _directory: directory, clock, vcenter, engine, desk }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn id(&self, number: u32) -> VmId {
        VmId { vcenter: self.vcenter.uuid.parse().unwrap(), vm: format!("vm-{number}").into() }
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, String> {
        // Over the wire it is text.
        let text = serde_json::to_string(&request).unwrap();
        let answer = self.desk.answer(serde_json::from_str(&text).unwrap()).await;
        answer.map(|value| serde_json::from_value(value).unwrap()).map_err(|refusal| refusal.to_string())
    }

    /// vCenter tells of a VM.
    fn tell(&self, number: u32, vm: VirtualMachine) {
        let report = ObjectReport {
            object: MoRef::new("VirtualMachine", &format!("vm-{number}")),
            kind: ReportKind::Modified,
            properties: ObjectProperties::VirtualMachine(Box::new(vm)),
            extras: Vec::new(),
        };
        self.vcenter.fleet.apply(&self.vcenter.name, FleetUpdate::Objects(vec![report]), self.now());
    }

    fn shows(&self, number: u32, roots: Vec<SnapshotTree>) {
        let info = SnapshotInfo { current: None, roots };
        self.tell(number, VirtualMachine { snapshot: Property::Set(info), ..VirtualMachine::default() });
    }

    /// A description with the mark of this installation.
    fn mark(&self, number: u32, record: u64) -> String {
        let owner = self.engine.look(|view| view.memory.installation.to_string());
        let mark = Mark::new(&owner, &self.vcenter.uuid, &format!("vm-{number}"), None, record).unwrap();
        mark.to_string()
    }

    async fn take(&self, query: TakeQuery) -> Result<TakenDocument, String> {
        let query = TakeQuery { keep: Duration::from_secs(3600), ..query };
        self.ask(Request::TakeSnapshots(query)).await
    }

    async fn progress(&self, record: &str) -> SnapshotProgress {
        let records = vec![record.to_owned()];
        let all: Vec<SnapshotProgress> =
            self.ask(Request::SnapshotProgress { records, nodes: true }).await.unwrap();
        all.into_iter().next().unwrap()
    }

    /// A record of a snapshot that was there before a window, and is shown.
    async fn kept(&self, number: u32, run: Option<Run>, hours_ago: i64) -> Record {
        let created = self.now() - SignedDuration::from_hours(hours_ago);
        let id = format!("{:016x}", 0x1000 + number);
        let snapshot = SnapshotId::from(format!("snapshot-{number}"));
        let label = format!("web-{number}");
        let record = Record::new(id.into(), label.as_str().into(), run, Keep::default(), created)
            .after(Event::Started { task: "task-1".into() }, created)
            .after(Event::Created { snapshot, created }, created);
        self.engine.put_record(&self.id(number), record.clone()).await.unwrap();
        self.shows(number, vec![tree(number, "vmbridge/x/1", "", created)]);
        record
    }
}

fn tree(number: u32, name: &str, description: &str, created: Timestamp) -> SnapshotTree {
    SnapshotTree {
        snapshot: Some(MoRef::new("VirtualMachineSnapshot", &format!("snapshot-{number}"))),
        name: name.into(),
        description: description.into(),
        created: Some(created),
        ..SnapshotTree::default()
    }
}

fn asking(vms: &[&str]) -> TakeQuery {
    TakeQuery {
        vms: vms.iter().map(|&vm| vm.to_owned()).collect(),
        reason: "before the upgrade".to_owned(),
        ..TakeQuery::default()
    }
}

fn last_night(opens: &str) -> Run {
    let opens: Timestamp = opens.parse().unwrap();
    let closes = opens + SignedDuration::from_hours(2);
    Run { window: "mw-0123456789abcdef0".into(), name: "Last night".into(), opens, closes }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_on_demand_is_taken_and_removed_although_windows_are_only_observed() {
    let world = World::new(4).await;
    world.tell(3, VirtualMachine { consolidation_needed: Property::Set(true), ..VirtualMachine::default() });
    let taken = world.take(asking(&["web-4", "dc1/vm-3"])).await.unwrap();
    let names: Vec<&str> = taken.taken.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["web-4"]);
    assert_eq!(taken.refused[0].name, "web-3");
    assert_eq!(taken.refused[0].why[0].hazard, "consolidation-needed");
    assert!(taken.refused[0].why[0].fix.is_some());
    // Another one while this one is on its way is one too many.
    let again = world.take(asking(&["web-4"])).await.unwrap();
    assert_eq!((again.taken.len(), &*again.refused[0].why[0].hazard), (0, "onItsWay"));

    world.engine.settle(Duration::from_secs(5)).await;
    let record = taken.taken[0].record.clone();
    assert_eq!(world.progress(&record).await.snapshot.stage, "creating");
    let others =
        world.engine.look(|view| view.memory.protections.keys().filter(|vm| **vm != world.id(4)).count());
    assert_eq!(others, 0, "the window is only observed");
    let (snapshot, created) = (SnapshotId::from("snapshot-4"), world.now());
    let event = Event::Created { snapshot, created };
    world.engine.saw_task(&world.id(4), &TaskId::from("task-createSnapshot"), event).await.unwrap();
    world.shows(4, vec![tree(4, "vmbridge/before the upgrade/1", "", created)]);
    let told = world.progress(&record).await;
    assert_eq!(told.snapshot.stage, "kept");
    assert_eq!(told.snapshot.reason.as_deref(), Some("before the upgrade"));
    assert_eq!(told.snapshot.kept_until, Some((created + SignedDuration::from_hours(1)).to_string()));

    // It is not removed while nobody sees it.
    world.shows(4, Vec::new());
    let remove = || Request::RemoveSnapshots { what: vec!["web-4".to_owned()] };
    let unseen = world.ask::<Begun>(remove()).await.unwrap_err();
    assert_eq!(unseen, "web-4: vCenter does not show its snapshot");
    world.shows(4, vec![tree(4, "vmbridge/before the upgrade/1", "", created)]);
    let begun: Begun = world.ask(remove()).await.unwrap();
    assert_eq!(begun.records, std::slice::from_ref(&record));
    world.engine.settle(Duration::from_secs(5)).await;
    assert_eq!(world.progress(&record).await.snapshot.stage, "removing");
    let again: Begun = world.ask(remove()).await.unwrap();
    assert_eq!((again.records.len(), &*again.not[0].1), (0, "its snapshot is being removed already"));
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_makes_no_sense_is_refused() {
    let world = World::new(2).await;
    let refused = async |query: TakeQuery| world.take(query).await.unwrap_err();
    let reasons = ["", "  ", "two\nlines", "\u{1b}[31mred", &"x".repeat(201)];
    for reason in reasons {
        let told = refused(TakeQuery { reason: reason.to_owned(), ..asking(&["web-1"]) }).await;
        assert!(told.contains("reason"), "{reason:?}: {told}");
    }
    assert!(refused(asking(&["nobody"])).await.contains("no VM is called `nobody`"));
    assert!(refused(asking(&[])).await.contains("--selector"));
    let how = Some("often".to_owned());
    assert!(refused(TakeQuery { quiesce: how, ..asking(&["web-1"]) }).await.contains("no way to quiesce"));
    for keep in [0, 59, 14 * 86_400 + 1, u64::MAX] {
        let query = TakeQuery { keep: Duration::from_secs(keep), ..asking(&["web-1"]) };
        let told = world.ask::<TakenDocument>(Request::TakeSnapshots(query)).await.unwrap_err();
        assert_eq!(told, "a snapshot is kept for 1 minute to 14 days");
    }
    assert_eq!(world.engine.look(|view| view.memory.protections.len()), 0);
    // What is off does nothing, and says so.
    let mut policy = (*world.engine.policy()).clone();
    let mut settings = (*policy.snapshots).clone();
    settings.mode = Mode::Off;
    policy.snapshots = Arc::new(settings);
    world.engine.set_policy(policy);
    assert!(refused(asking(&["web-1"])).await.contains("snapshots are off"));
}

#[tokio::test(start_paused = true)]
async fn what_carries_our_mark_is_adopted_and_what_does_not_only_when_asked() {
    let world = World::new(2).await;
    let old = world.now() - SignedDuration::from_hours(100);
    // The mark of another VM, as a clone has it, is no mark of ours here.
    let (ours, of_clone) = (world.mark(1, 0xfeed), world.mark(2, 0xbeef));
    world.shows(
        1,
        vec![
            tree(11, "vmbridge/a/1", &ours, old),
            tree(12, "by%2fhand\u{1b}[2J", "vmbridge owner=", world.now()),
            tree(13, "copied", &of_clone, old),
            tree(14, "VEEAM BACKUP TEMPORARY SNAPSHOT", "", world.now()),
        ],
    );
    let list = async || -> SnapshotsDocument {
        world.ask(Request::Snapshots(SnapshotQuery::default())).await.unwrap()
    };
    let found = list().await;
    let ids = |list: &[ForeignDocument]| list.iter().map(|one| one.snapshot.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&found.orphans), ["snapshot-11"]);
    assert_eq!(found.orphans[0].adopt, "vmbridge snapshot adopt dc1/vm-1 snapshot-11");
    let mut foreign = ids(&found.foreign);
    foreign.sort();
    assert_eq!(foreign, ["snapshot-12", "snapshot-13", "snapshot-14"]);
    let is_old = |id: &str| found.foreign.iter().find(|one| one.snapshot == id).unwrap().old;
    assert_eq!((is_old("snapshot-12"), is_old("snapshot-13")), (false, true));

    let adopt = async |snapshot: &str, foreign: bool| {
        let keep = Duration::from_secs(24 * 3600);
        let (vm, snapshot) = ("web-1".to_owned(), snapshot.to_owned());
        world.ask::<String>(Request::AdoptSnapshot { vm, snapshot, keep, foreign }).await
    };
    let told = adopt("snapshot-11", false).await.unwrap();
    assert!(told.ends_with("it is removed at 2027-01-16T02:00:00Z"), "{told}");
    assert!(adopt("snapshot-11", false).await.unwrap_err().contains("vmbridge's already"));
    assert!(adopt("snapshot-13", false).await.unwrap_err().contains("--foreign"));
    assert!(adopt("copied", true).await.is_ok());
    assert!(adopt("snapshot-14", true).await.unwrap_err().contains("backup"));
    assert!(adopt("snapshot-99", true).await.unwrap_err().contains("no snapshot `snapshot-99`"));

    // A plan finds nothing to do about them until it is time.
    world.engine.settle(Duration::from_secs(5)).await;
    let found = list().await;
    assert_eq!(found.ours.len(), 2);
    assert!(found.ours.iter().all(|one| one.stage == "kept" && !one.overdue && !one.problem), "{found:#?}");
    assert!(found.orphans.is_empty());
    tokio::time::sleep(Duration::from_secs(24 * 3600 + 60)).await;
    world.vcenter.read(&[TestVm::new(1, &[]), TestVm::new(2, &[])], world.now());
    world.shows(1, vec![tree(11, "vmbridge/a/1", &ours, old), tree(13, "copied", &of_clone, old)]);
    world.engine.settle(Duration::from_secs(5)).await;
    let stages: Vec<String> = list().await.ours.into_iter().map(|one| one.stage).collect();
    assert!(stages.contains(&"removing".to_owned()), "{stages:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_shows_what_will_be_lost_and_takes_back_only_what_is_seen() {
    let world = World::new(4).await;
    let (run, older) = (last_night("2027-01-14T22:00:00Z"), last_night("2027-01-07T22:00:00Z"));
    let first = world.kept(1, Some(run.clone()), 5).await;
    let later = tree(21, "by hand", "", world.now() - SignedDuration::from_hours(1));
    let mut own = tree(1, "vmbridge/x/1", "", world.now() - SignedDuration::from_hours(5));
    own.children.push(later);
    world.shows(1, vec![own]);
    let second = world.kept(2, Some(run.clone()), 5).await;
    world.shows(2, Vec::new());
    world.kept(3, Some(older.clone()), 170).await;

    let about = |window: &str, at: Option<&str>, vms: &[&str]| {
        Request::Rollback(RollbackQuery::Window {
            window: window.to_owned(),
            at: at.map(str::to_owned),
            vms: vms.iter().map(|&vm| vm.to_owned()).collect(),
        })
    };
    let meant: RollbackDocument = world.ask(about("last night", None, &[])).await.unwrap();
    assert_eq!(meant.opens.as_deref(), Some("2027-01-14T22:00:00Z"), "the latest one");
    let names: Vec<&str> = meant.vms.iter().map(|vm| &*vm.name).collect();
    assert_eq!(names, ["web-1"]);
    let vm = &meant.vms[0];
    assert_eq!((vm.age_seconds, vm.powered_on), (Some(5 * 3600), true));
    assert_eq!((&*vm.later[0].snapshot, vm.later[0].ours), ("snapshot-21", false));
    assert!(vm.warnings.iter().any(|warning| warning.contains("boots")), "{:?}", vm.warnings);
    assert_eq!(meant.without[0].1, "web-2");
    assert_eq!(meant.without[0].2, "vCenter does not show its snapshot");
    // Another opening, by a time within it.
    let meant: RollbackDocument =
        world.ask(about("mw-0123456789abcdef0", Some("2027-01-07T23:00:00Z"), &[])).await.unwrap();
    assert_eq!(meant.vms[0].name, "web-3");
    let refused = async |request| world.ask::<RollbackDocument>(request).await.unwrap_err();
    assert!(refused(about("nights", None, &[])).await.contains("no snapshot for a window called `nights`"));
    assert!(
        refused(about("Last night", Some("2027-01-10T00:00:00Z"), &[]))
            .await
            .contains("2027-01-14T22:00:00Z")
    );
    assert!(refused(about("Last night", Some("yesterday"), &[])).await.contains("is no time"));
    assert!(refused(about("Last night", None, &["web-4"])).await.contains("did not reach dc1/vm-4"));

    let both = vec![first.key().to_string(), second.key().to_string()];
    let begun: Begun = world.ask(Request::Revert { records: both }).await.unwrap();
    assert_eq!(begun.records, [first.key().to_string()]);
    assert_eq!(begun.not, [("web-2".to_owned(), "vCenter does not show its snapshot".to_owned())]);
    world.engine.settle(Duration::from_secs(5)).await;
    let told = world.progress(first.key().as_str()).await;
    assert_eq!(told.snapshot.stage, "reverting");
    assert_eq!(
        refused(Request::Rollback(RollbackQuery::Record { record: first.key().to_string() })).await,
        "web-1 (dc1/vm-1): it is being taken back already"
    );
    // A VM that ran before is powered on again, and only then it is back.
    let task = TaskId::from("task-revertToSnapshot");
    world.engine.saw_task(&world.id(1), &task, Event::Succeeded).await.unwrap();
    assert_eq!(world.progress(first.key().as_str()).await.snapshot.stage, "powerOn");
    world.engine.settle(Duration::from_secs(5)).await;
    world.engine.saw_task(&world.id(1), &TaskId::from("task-powerOn"), Event::Succeeded).await.unwrap();
    let told = world.progress(first.key().as_str()).await;
    assert_eq!((&*told.snapshot.stage, told.snapshot.judgement.as_deref()), ("kept", Some("rolledBack")));
}

#[tokio::test(start_paused = true)]
async fn windows_show_who_has_a_snapshot_and_what_is_in_doubt() {
    let world = World::new(3).await;
    let open = "2027-01-15T03:00:00Z".parse().unwrap();
    let run = Run {
        window: "nightly".into(),
        name: "nightly".into(),
        opens: open,
        closes: "2027-01-15T05:00:00Z".parse().unwrap(),
    };
    let asked = async |window: Option<&str>, selectors: &[&str]| {
        let query = WindowQuery {
            window: window.map(str::to_owned),
            selectors: selectors.iter().map(|&text| text.to_owned()).collect(),
            vcenters: Vec::new(),
        };
        world.ask::<Vec<WindowDocument>>(Request::Windows(query)).await
    };
    let windows = asked(None, &[]).await.unwrap();
    let first = &windows[0];
    assert_eq!(
        (&*first.window, &*first.opens, first.place.as_deref()),
        ("nightly", "2027-01-15T03:00:00Z", None)
    );
    assert_eq!(first.states.get("planned"), Some(&2), "{:?}", first.states);
    assert!(first.finish.is_some());
    // Systems Manager does not know the window, so nothing could keep its VMs out of it.
    assert!(first.in_doubt && first.vms.iter().all(|vm| vm.cannot_hold.is_some()));

    world.kept(1, Some(run.clone()), 0).await;
    world.tell(2, VirtualMachine { consolidation_needed: Property::Set(true), ..VirtualMachine::default() });
    let windows = asked(Some("Nightly"), &["name=web-1 or name=web-2"]).await.unwrap();
    let states: Vec<(&str, &str, bool)> =
        windows[0].vms.iter().map(|vm| (&*vm.name, &*vm.state, vm.fix.is_some())).collect();
    assert_eq!(states, [("web-1", "protected", false), ("web-2", "unfit", true)]);
    assert!(asked(None, &["name=web-3"]).await.unwrap().is_empty());
    assert_eq!(
        asked(Some("weekly"), &[]).await.unwrap_err(),
        "no window is called `weekly`; those that come are nightly"
    );
    assert!(asked(None, &["name="]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_vm_with_several_snapshots_has_to_be_more_precise() {
    let world = World::new(1).await;
    let first = world.kept(1, Some(last_night("2027-01-14T22:00:00Z")), 5).await;
    let other = Record {
        id: "00000000000000ff".into(),
        snapshot: Some("snapshot-9".into()),
        judgement: Some(Judgement::Unknown { why: "nobody looked".into() }),
        ..first.clone()
    };
    assert_eq!(other.stage, Stage::Kept);
    world.engine.put_record(&world.id(1), other).await.unwrap();
    let told = world.ask::<Value>(Request::RemoveSnapshots { what: vec!["web-1".to_owned()] }).await;
    assert_eq!(
        told.unwrap_err(),
        format!("web-1 has 2 snapshots of vmbridge's; say which: 00000000000000ff, {}", first.key())
    );
    let id = vec!["0123456789abcdef".to_owned()];
    let told = world.ask::<Value>(Request::RemoveSnapshots { what: id }).await.unwrap_err();
    assert!(told.starts_with("there is no snapshot with the record `0123456789abcdef`"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_snapshot_does_not_wait_for_windows_that_are_only_observed() {
    let world = World::new(2).await;
    // The deadline of the window has passed, so its snapshots are late and are planned for now.
    tokio::time::sleep(Duration::from_secs(3550)).await;
    world.vcenter.read(&[TestVm::new(1, &[]), TestVm::new(2, &[])], world.now());
    let taken = world.take(asking(&["web-1", "web-2"])).await.unwrap();
    assert_eq!(taken.taken.len(), 2);
    world.engine.settle(Duration::from_secs(5)).await;
    for one in &taken.taken {
        assert_eq!(world.progress(&one.record).await.snapshot.stage, "creating", "{}", one.name);
    }
}
