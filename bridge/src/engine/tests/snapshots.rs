//! Snapshots through the whole engine: windows of an AWS, tags that keep nodes out of them, VMs with their snapshot trees and
//! tasks, in virtual time.

mod course;
mod crash;
mod holds;
mod scripts;
mod vms;

use std::collections::BTreeSet;

use mappings::protection::{Act, Event, Record, Stage, TaskId};

use super::disk::Disk;
use super::faults::Dice;
use super::*;
use crate::aws::fake::FakeWindow;
use crate::aws::{
    ExecutionStatus, PatchOperation, PatchState, TargetSet, TaskKind, TaskParameters, WindowExecution,
    WindowId, WindowIdentity, WindowTarget, WindowTask,
};
use crate::observe::windows::WindowPace;
use vms::{FakeSnapshots, Mishap, Told};

const WINDOW: &str = "mw-00000000000000001";
const HOOK: &str = "vmbridge-pre-install";
/// Looks at a VM whose task is no more come so long after each other.
const AGAIN: Duration = Duration::from_secs(10);

fn secs(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// How a window takes its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// By the tag `Patch Group`.
    Tag,
    /// By the tag, and before it installs it runs the hook.
    Hook,
    /// By their ids.
    Ids,
}

/// How a node fared in a window.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Patched {
    window: String,
    vm: u32,
    /// How many snapshots of ours it had then.
    snapshots: usize,
}

/// A world whose VMs have windows.
struct Estate {
    world: World,
    disk: Disk,
    vms: FakeSnapshots,
    start: Timestamp,
    /// VMs whose patches fail.
    bad: BTreeSet<u32>,
    patched: Arc<std::sync::Mutex<Vec<Patched>>>,
    /// Whether the vCenter can be seen.
    seen: tokio::sync::watch::Sender<bool>,
    /// What goes on whatever becomes of the program.
    outside: JoinSet<()>,
}

fn settings(policy: &str) -> Arc<crate::config::SnapshotSettings> {
    let text = format!(
        "[[vcenter]]\nname='a'\nurl='https://a'\nusername='u'\npassword={{file='/x'}}\n\
         [snapshots]\nmode='enforce'\nhorizon='24h'\njudge_within='10m'\nper_datastore=2\n\
         [[snapshots.policy]]\nname='all'\nlead='10m'\ndeadline='2m'\nkeep_success='5m'\n\
         keep_failure='25m'\nmax_age='2h'\nprobes=[]\n{policy}"
    );
    let environment = crate::config::Environment::default();
    let config = crate::config::parse(&text, std::path::Path::new("vmbridge.toml"), &environment);
    Arc::new(config.unwrap().snapshots)
}

impl Estate {
    /// So many VMs on two datastores, with a policy that holds or reports.
    fn new(vms: u32, hold: bool) -> Self {
        let mut fleet = fleet_of(vms);
        for vm in &mut fleet {
            vm.machine.datastore = Some(vm.number % 2);
        }
        let mut world = World::new(fleet, 2);
        world.policy.snapshots =
            settings(if hold { "if_impossible='hold'" } else { "if_impossible='report'" });
        let vms = FakeSnapshots::new(&world.vms, world.clock);
        let mut outside = JoinSet::new();
        let (seen, is_seen) = tokio::sync::watch::channel(true);
        outside.spawn(vms.clone().live(world.vcenter.clone(), is_seen));
        let start = world.clock.now();
        let (bad, patched) = (BTreeSet::new(), Arc::default());
        Self { world, disk: Disk::new(), vms, start, bad, patched, seen, outside }
    }

    fn at(&self, after: SignedDuration) -> Timestamp {
        self.start + after
    }

    async fn until(&self, after: SignedDuration) {
        let rest = self.at(after).duration_since(self.world.clock.now());
        tokio::time::sleep(Duration::try_from(rest).unwrap_or_default()).await;
    }

    /// A window that opens once and is open for so long, and what it does then.
    fn window(&mut self, id: &str, by: By, opens: SignedDuration, lasts: SignedDuration) {
        let (opens, id) = (self.at(opens), WindowId::from(id));
        let set = |key: &str, values: Vec<Box<str>>| TargetSet { key: key.into(), values };
        let nodes = || self.world.aws.node_ids().iter().map(|node| node.as_str().into()).collect();
        let target = match by {
            By::Tag | By::Hook => set("tag:Patch Group", vec!["Prod".into()]),
            By::Ids => set("InstanceIds", nodes()),
        };
        let document = if by == By::Hook { "AWS-RunPatchBaselineWithHooks" } else { "AWS-RunPatchBaseline" };
        let task = WindowTask {
            id: "task".into(),
            name: None,
            kind: TaskKind::RunCommand,
            document: document.into(),
            sets: vec![set("WindowTargetIds", vec!["target".into()])],
            parameters: Some(TaskParameters {
                operation: Some("Install".into()),
                pre_install_hook: (by == By::Hook).then(|| HOOK.into()),
                ..TaskParameters::default()
            }),
        };
        let identity = WindowIdentity {
            id: id.clone(),
            name: format!("window {id}").into(),
            enabled: true,
            schedule: "at(…)".into(),
            time_zone: None,
            duration: Duration::try_from(lasts).unwrap(),
            cutoff: Duration::ZERO,
            next: None,
        };
        self.world.aws.windows.put(FakeWindow {
            identity,
            openings: vec![opens],
            targets: vec![WindowTarget { id: "target".into(), name: None, sets: vec![target] }],
            tasks: vec![task],
            executions: Vec::new(),
        });
        let (aws, vms, patched) = (self.world.aws.clone(), self.vms.clone(), self.patched.clone());
        let numbers: Vec<u32> = self.world.vms.iter().map(|vm| vm.number).collect();
        let (clock, bad) = (self.world.clock, self.bad.clone());
        self.outside.spawn(async move {
            let rest = opens.duration_since(clock.now());
            tokio::time::sleep(Duration::try_from(rest).unwrap()).await;
            let known = aws.node_ids();
            let is_target = |number: &u32| {
                let node = format!("mi-{number:017x}");
                let tags = aws.tags(*number);
                let is_hit = match by {
                    By::Tag => tags.get("Patch Group").is_some_and(|group| group == "Prod"),
                    By::Hook => {
                        tags.get("Patch Group").is_some_and(|group| group == "Prod")
                            && tags.get(crate::plan::tags::HOLD_TAG).is_none_or(|held| **held != *id.as_str())
                    }
                    By::Ids => true,
                };
                is_hit && known.iter().any(|known| *known.as_str() == node)
            };
            let targets: Vec<u32> = numbers.iter().copied().filter(is_target).collect();
            let told = targets.iter().map(|vm| Patched {
                window: id.to_string(),
                vm: *vm,
                snapshots: vms.ours(*vm),
            });
            patched.lock().unwrap().extend(told);
            let execution = |status, ended| WindowExecution {
                id: format!("execution of {id}").as_str().into(),
                status,
                details: None,
                started: Some(opens + secs(1)),
                ended,
            };
            let told = execution(ExecutionStatus::InProgress, None);
            aws.windows.edit(&id, |window| window.executions = vec![(told, Vec::new())]);
            tokio::time::sleep(Duration::from_secs(60)).await;
            for vm in targets {
                let state = PatchState {
                    operation: PatchOperation::Install,
                    started: opens + secs(10),
                    ended: clock.now(),
                    installed: 7,
                    installed_other: 0,
                    pending_reboot: 0,
                    rejected: 0,
                    missing: 0,
                    failed: u32::from(bad.contains(&vm)),
                    last_without_reboot: None,
                };
                aws.windows.patch(&format!("mi-{vm:017x}").as_str().into(), state);
            }
            let told = execution(ExecutionStatus::Success, Some(clock.now()));
            aws.windows.edit(&id, |window| window.executions = vec![(told, Vec::new())]);
        });
    }

    fn watcher(&self) -> Watcher {
        Watcher { windows: Some(WindowPace::of(&self.world.target)), ..self.world.watcher() }
    }

    async fn start(&self) -> Program {
        let (engine, hands) = self.world.engine_with_hands_on(self.disk.clone(), self.vms.clone()).await;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        tasks.spawn(self.watcher().follow(stop.clone()));
        tasks.spawn(watch(engine.clone(), hands, self.vms.clone()));
        Program { engine, tasks, stop }
    }

    /// Who was patched.
    fn patched(&self) -> Vec<Patched> {
        self.patched.lock().unwrap().clone()
    }

    fn numbers(&self) -> impl Iterator<Item = u32> {
        self.world.vms.iter().map(|vm| vm.number)
    }

    /// VMs whose nodes have their tag now.
    fn tagged(&self) -> Vec<u32> {
        self.numbers().filter(|number| self.world.aws.tags(*number).contains_key("Patch Group")).collect()
    }

    /// Snapshots with our mark that are there now.
    fn ours(&self) -> usize {
        self.numbers().map(|number| self.vms.ours(number)).sum()
    }

    /// Everything that was done to snapshots is in the journal, and nothing in it is open.
    fn journal_explains(&self, about: &str) {
        let journal = self.disk.journal();
        let open: Vec<&Entry> = journal.iter().filter(|entry| entry.outcome.is_none()).collect();
        assert!(open.is_empty(), "{about}: {open:#?}");
        for deed in self.vms.deeds() {
            let kind = match deed.act {
                Act::Create => "createSnapshot",
                Act::Remove => "removeSnapshot",
                Act::Revert => "revertToSnapshot",
                Act::Consolidate => "consolidateDisks",
                Act::PowerOn => "powerOn",
            };
            let explains =
                |entry: &Entry| entry.kind == kind && entry.object == *deed.vm && entry.intended <= deed.time;
            assert!(journal.iter().any(explains), "{about}: nothing explains {deed:?}");
        }
    }
}

/// The program, until it is stopped or killed.
struct Program {
    engine: Engine<Disk>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Program {
    /// Ends it at once, in the middle of whatever it does.
    async fn kill(mut self) {
        self.tasks.shutdown().await;
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }

    fn records(&self) -> Vec<Record> {
        let memory = self.engine.0.memory();
        memory.protections.values().flat_map(BTreeMap::values).cloned().collect()
    }

    fn record(&self, number: u32) -> Option<(VmId, Record)> {
        let memory = self.engine.0.memory();
        let found = memory.protections.iter().find(|(vm, _)| *vm.vm == *format!("vm-{number}"));
        let (vm, records) = found?;
        Some((vm.clone(), records.values().next()?.clone()))
    }

    /// What is remembered of how a VM went into its window.
    fn entered(&self, number: u32) -> Option<crate::snapshot::Entered> {
        let memory = self.engine.0.memory();
        let mut members = memory.scopes.values().flat_map(|scope| &scope.members);
        members.find(|member| *member.vm.vm == *format!("vm-{number}"))?.entered
    }

    /// What is said of the snapshot of a VM.
    fn word(&self, number: u32) -> String {
        let plan = self.engine.plan();
        let vm = plan.vms.iter().find(|planned| *planned.vm.vm == *format!("vm-{number}")).unwrap();
        let verdict = vm.verdict(Capability::Snapshots);
        verdict.reason.as_ref().map_or("begins", crate::plan::Reason::word).to_owned()
    }

    fn notes(&self, number: u32) -> Vec<String> {
        let plan = self.engine.plan();
        let vm = plan.vms.iter().find(|planned| *planned.vm.vm == *format!("vm-{number}")).unwrap();
        vm.verdict(Capability::Snapshots).notes.iter().map(|note| note.word().to_owned()).collect()
    }
}

/// Plays the part of the observer of tasks.
async fn watch(engine: Engine<Disk>, hands: RealHands, vms: FakeSnapshots) {
    let mut looked: BTreeMap<TaskId, Instant> = BTreeMap::new();
    loop {
        for (vm, record) in engine.watched_tasks() {
            let Some(task) = record.stage.task() else { continue };
            let event = match vms.task(task) {
                Told::Runs => continue,
                Told::Done(None) => Some(Event::Succeeded),
                Told::Done(Some((snapshot, created))) => Some(Event::Created { snapshot, created }),
                Told::Failed(trouble) => Some(Event::Failed(trouble)),
                Told::Unknown => {
                    let last = looked.get(task);
                    if last.is_some_and(|last| last.elapsed() < AGAIN) {
                        continue;
                    }
                    looked.insert(task.clone(), Instant::now());
                    settle_record(hands.snapshots(), &vm, &record).await.ok().flatten()
                }
            };
            if let Some(event) = event {
                // What cannot be written down is told again.
                let _ = engine.saw_task(&vm, task, event).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl World {
    async fn engine_with_hands_on(&self, disk: Disk, vms: FakeSnapshots) -> (Engine<Disk>, RealHands) {
        let writeback =
            WritebackSettings { mode: Mode::Off, adopt: false, writes_per_second: 5, concurrency: 2 };
        let vsphere = VsphereHands::new(self.fleet.clone(), &writeback);
        let hands = RealHands::new(self.cloud.clone(), vsphere, self.guests.hands());
        let hands = hands.with_snapshots(Arc::new(vms));
        let arm = Arm { services: self.services.clone(), nudge: self.nudge.clone(), settle: SETTLE };
        hands.set_arms(BTreeMap::from([(TargetName::from("main"), arm)]));
        let (fleet, cloud) = (self.fleet.clone(), self.cloud.clone());
        let engine =
            Engine::new(fleet, cloud, disk, Arc::new(hands.clone()), self.policy.clone(), self.clock)
                .await
                .unwrap();
        (engine, hands)
    }
}
