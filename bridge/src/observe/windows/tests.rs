//! What is read of windows and when, on a clock that stands still until told to go on.

use std::collections::BTreeMap;

use tokio::sync::Notify;

use super::*;
use crate::aws::fake::{FakeWindow, FakeWindows};
use crate::aws::fake_reports::FakeReports;
use crate::aws::{
    ExecutionStatus, ExecutionTask, Invocation, Lanes, PatchOperation, Services, Speed, TargetSet, TaskKind,
    TaskParameters, WindowTarget, WindowTask,
};
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::AwsTarget;
use crate::lane::LaneLimits;

const HOUR: i64 = 3600;
const NODE: &str = "mi-0123456789abcdef0";

struct World {
    aws: FakeWindows,
    watcher: Watcher,
    clock: Clock,
    /// When the test began.
    start: Timestamp,
}

fn set(key: &str, values: &[&str]) -> TargetSet {
    TargetSet { key: key.into(), values: values.iter().map(|&value| value.into()).collect() }
}

/// A target as the configuration has it.
pub(super) fn target() -> AwsTarget {
    AwsTarget {
        name: "main".into(),
        region: "eu-central-1".into(),
        account: None,
        role_arn: None,
        external_id: None,
        profile: None,
        endpoint: None,
        ca_file: None,
        fips: false,
        dual_stack: false,
        vms: mappings::selector::Selector::default(),
        node_role: "SSMServiceRole".into(),
        findings_region: None,
        reads_per_second: 100,
        writes_per_second: 100,
        concurrency: 4,
        poll_fast: Duration::from_secs(5),
        poll_slow: Duration::from_secs(600),
        settle: Duration::from_secs(120),
    }
}

impl World {
    fn new() -> Self {
        let clock = Clock::starting(Timestamp::from_second(1_800_000_000).unwrap());
        let aws = FakeWindows::new(clock);
        let lane = LaneLimits { concurrency: 4, rate: 100.0, burst: 1000.0 };
        let lanes = Lanes::with_jitter("main".into(), Speed { reads: lane, writes: lane }, || 0.5);
        let reports = FakeReports::default();
        let services = Services::behind(
            lanes,
            aws.clone(),
            aws.clone(),
            aws.clone(),
            aws.clone(),
            reports.clone(),
            reports,
        );
        let target = target();
        let watcher = Watcher {
            windows: Some(WindowPace::of(&target)),
            hub: None,
            told: None,
            target,
            services,
            cloud: SharedCloud::new(),
            nudge: Arc::new(Notify::new()),
            clock,
        };
        Self { aws, watcher, clock, start: clock.now() }
    }

    fn at(&self, seconds: i64) -> Timestamp {
        self.start + SignedDuration::from_secs(seconds)
    }

    /// A window of three hours that opens so many seconds after the start and then every week, with one task that patches and
    /// one that does not.
    fn window(&self, number: u32, first: i64) -> WindowId {
        let id = WindowId::from(format!("mw-{number:017x}"));
        let task = |document: &str| WindowTask {
            id: format!("{number} {document}").into(),
            name: None,
            kind: TaskKind::RunCommand,
            document: document.into(),
            sets: vec![set("WindowTargetIds", &["target"])],
            parameters: Some(TaskParameters {
                operation: Some("Install".into()),
                ..TaskParameters::default()
            }),
        };
        let identity = WindowIdentity {
            id: id.clone(),
            name: format!("window {number}").into(),
            enabled: true,
            schedule: "cron(0 2 ? * SUN *)".into(),
            time_zone: None,
            duration: Duration::from_secs(3 * 3600),
            cutoff: Duration::from_secs(3600),
            next: None,
        };
        let target = WindowTarget { id: "target".into(), name: None, sets: vec![set("tag:Site", &["Ulm"])] };
        self.aws.put(FakeWindow {
            identity,
            openings: (0..60).map(|week| self.at(first + week * 7 * 24 * HOUR)).collect(),
            targets: vec![target],
            tasks: vec![task("AWS-RunPatchBaseline"), task("AWS-RunShellScript")],
            executions: Vec::new(),
        });
        id
    }

    fn view(&self) -> Arc<WindowsView> {
        self.watcher.cloud.read().target(&"main".into()).unwrap().windows.clone()
    }

    fn seen(&self, id: &WindowId) -> Arc<Window> {
        self.view().known[id].clone()
    }

    /// Observes for a while and gives the calls about windows.
    async fn run(&self, seconds: i64) -> BTreeMap<String, usize> {
        let stop = CancellationToken::new();
        let following = tokio::spawn(self.watcher.clone().follow(stop.clone()));
        tokio::time::sleep(Duration::from_secs(seconds.unsigned_abs())).await;
        stop.cancel();
        following.await.unwrap();
        let mut calls = self.aws.calls();
        calls.retain(|name, _| !["nodes", "activations", "node_tags", "identity"].contains(&name.as_str()));
        calls
    }

    fn execute(&self, window: &WindowId, execution: &str, status: ExecutionStatus, began: i64) {
        let ended = status.is_final().then(|| self.clock.now());
        let told = WindowExecution {
            id: execution.into(),
            status,
            details: None,
            started: Some(self.at(began)),
            ended,
        };
        let task = ExecutionTask {
            id: format!("{execution} task").into(),
            document: "AWS-RunPatchBaseline".into(),
            status,
        };
        let invocation = Invocation { status, details: None, target: None, nodes: vec![NODE.into()] };
        self.aws.edit(window, |window| {
            window.executions.retain(|(known, _)| known.id != told.id);
            window.executions.push((told, vec![(task, vec![invocation])]));
        });
    }
}

fn counted(calls: &[(&str, usize)]) -> BTreeMap<String, usize> {
    calls.iter().map(|&(name, count)| (name.to_owned(), count)).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_when_nobody_needs_windows() {
    let mut world = World::new();
    world.window(1, 60);
    world.watcher.windows = None;
    assert_eq!(world.run(2 * HOUR).await, counted(&[]));
    assert_eq!(*world.view(), WindowsView::default());
}

#[tokio::test(start_paused = true)]
async fn the_first_reading_shows_everything() {
    let world = World::new();
    let id = world.window(1, 100 * HOUR);
    while world.watcher.read_once().await {}
    let window = world.seen(&id);
    assert_eq!(window.coming.len(), crate::aws::COMING);
    assert_eq!(window.next_opening(world.start), Some(world.at(100 * HOUR)));
    assert_eq!(window.targets[0].sets, [set("tag:Site", &["Ulm"])]);
    let parameters: Vec<_> = window.tasks.iter().map(|task| task.parameters.clone()).collect();
    assert_eq!(parameters[0].as_ref().unwrap().operation.as_deref(), Some("Install"));
    assert_eq!(parameters[1], None, "parameters of other documents are nobody's business");
    assert_eq!((window.problem.as_deref(), window.details_as_of), (None, Some(world.start)));
    assert_eq!((world.view().as_of, world.view().error.as_deref()), (Some(world.start), None));
}

#[tokio::test(start_paused = true)]
async fn windows_that_are_not_near_cost_little() {
    let world = World::new();
    for number in 0..20 {
        world.window(number, 100 * HOUR);
    }
    let first = world.run(60).await;
    // Seven pages of three, and everything once for each.
    let each = [("window_schedule", 20), ("window_targets", 20), ("window_tasks", 20), ("window_task", 20)];
    let once = counted(&[&each[..], &[("windows", 7), ("window_executions", 20)]].concat());
    assert_eq!(first, once);
    let calls = world.run(6 * HOUR - 120).await;
    assert_eq!(calls, counted(&[("windows", 35 * 7)]), "an idle quarter of a day");
    let calls = world.run(6 * HOUR).await;
    let again = counted(&[&each[..], &[("windows", 36 * 7)]].concat());
    assert_eq!(calls, again, "and six hours more");
}

#[tokio::test(start_paused = true)]
async fn a_window_is_read_every_minute_while_it_is_near_or_open_and_no_longer() {
    let world = World::new();
    let opening = 3 * HOUR;
    let id = world.window(1, opening);
    world.window(2, 90 * HOUR);
    world.run(opening - 16 * 60).await;
    let near = world.run(16 * 60 - 1).await;
    assert_eq!(near.get("window_targets"), Some(&15), "{near:?}");
    assert_eq!(near.get("window_executions"), None, "{near:?}");
    // It opens; an execution shows up some minutes late, and takes twenty.
    let open = world.run(5 * 60).await;
    assert!((4..=6).contains(&open["window_executions"]), "{open:?}");
    world.execute(&id, "e", ExecutionStatus::InProgress, opening + 2);
    let open = world.run(20 * 60).await;
    assert!((19..=21).contains(&open["window_executions"]), "{open:?}");
    assert!(!open.contains_key("execution_tasks"), "{open:?}");
    assert_eq!(world.seen(&id).executions[0].told.status, ExecutionStatus::InProgress);
    world.execute(&id, "e", ExecutionStatus::Failed, opening + 2);
    let ended = world.run(2 * 60).await;
    assert_eq!((ended["execution_tasks"], ended["execution_invocations"]), (1, 1), "{ended:?}");
    let execution = world.seen(&id).execution_of(world.at(opening)).unwrap().clone();
    assert_eq!(execution.outcome(&[], &NODE.into()), Some(ExecutionStatus::Failed));
    let quiet = world.run(2 * HOUR).await;
    assert!(!quiet.contains_key("window_executions"), "{quiet:?}");
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_never_shows_an_execution_is_waited_for_until_its_end_and_a_while() {
    let world = World::new();
    world.window(1, HOUR);
    world.run(HOUR + 4 * HOUR + 50 * 60).await;
    let calls = world.run(9 * 60).await;
    assert!(calls["window_executions"] >= 8, "{calls:?}");
    world.run(5 * 60).await;
    let calls = world.run(HOUR).await;
    assert!(!calls.contains_key("window_executions"), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_when_we_begin_to_look_is_found() {
    let world = World::new();
    let id = world.window(1, 100 * HOUR);
    world.execute(&id, "e", ExecutionStatus::InProgress, -HOUR);
    let calls = world.run(5 * 60).await;
    assert!((5..=6).contains(&calls["window_executions"]), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_window_that_cannot_be_read_has_a_problem_of_its_own() {
    let world = World::new();
    let (good, bad) = (world.window(1, 100 * HOUR), world.window(2, 100 * HOUR));
    world.aws.fail(&format!("window_tasks {bad}"), AwsErrorKind::Denied);
    let calls = world.run(599).await;
    assert_eq!(calls["window_tasks"], 2, "{calls:?}");
    assert_eq!(world.seen(&good).problem, None);
    let problem = world.seen(&bad).problem.clone().unwrap();
    assert!(problem.contains("window_tasks") && problem.contains("docs/iam.md"), "{problem}");
    assert_eq!(world.seen(&bad).details_as_of, None);
    let calls = world.run(HOUR).await;
    assert_eq!(calls["window_tasks"], 6, "{calls:?}");
    world.aws.heal();
    world.run(600).await;
    assert_eq!(world.seen(&bad).problem, None);
    assert!(world.seen(&bad).details_as_of.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_known_is_kept_when_the_listing_fails_and_nodes_are_read_all_the_same() {
    let world = World::new();
    let id = world.window(1, 100 * HOUR);
    world.run(60).await;
    world.aws.fail("windows", AwsErrorKind::Denied);
    world.run(HOUR).await;
    let view = world.view();
    assert!(view.error.as_ref().unwrap().contains("docs/iam.md"), "{view:?}");
    assert_eq!(view.as_of, Some(world.start));
    assert!(view.known.contains_key(&id));
    let cloud = world.watcher.cloud.read();
    let target = cloud.target(&"main".into()).unwrap();
    assert_eq!(target.error, None);
    assert!(target.as_of.unwrap() > world.at(HOUR / 2));
    world.aws.heal();
    world.run(600).await;
    assert_eq!(world.view().error, None);
}

#[tokio::test(start_paused = true)]
async fn deleted_windows_vanish_and_changed_ones_are_read_again() {
    let world = World::new();
    let (gone, moved) = (world.window(1, 100 * HOUR), world.window(2, 100 * HOUR));
    world.run(60).await;
    world.aws.delete(&gone);
    let sooner = world.at(50 * HOUR);
    world.aws.edit(&moved, |window| window.openings.insert(0, sooner));
    let calls = world.run(600).await;
    assert_eq!(
        calls,
        counted(&[
            ("windows", 1),
            ("window_schedule", 1),
            ("window_targets", 1),
            ("window_tasks", 1),
            ("window_task", 1),
        ])
    );
    assert!(!world.view().known.contains_key(&gone));
    assert_eq!(world.seen(&moved).next_opening(world.start), Some(sooner));
    // One that goes between the listing and its reading goes too.
    let brief = world.window(3, 100 * HOUR);
    world.aws.fail(&format!("window_schedule {brief}"), AwsErrorKind::NotFound);
    world.run(600).await;
    assert!(!world.view().known.contains_key(&brief));
}

#[tokio::test(start_paused = true)]
async fn windows_that_are_switched_off_are_listed_only() {
    let world = World::new();
    let id = world.window(1, HOUR);
    world.aws.edit(&id, |window| window.identity.enabled = false);
    let calls = world.run(2 * HOUR - 60).await;
    assert_eq!(calls, counted(&[("windows", 12)]));
    assert_eq!(world.seen(&id).next_opening(world.start), None);
}

#[tokio::test(start_paused = true)]
async fn groups_are_read_with_the_windows_that_name_them() {
    let world = World::new();
    let id = world.window(1, 100 * HOUR);
    world.aws.edit(&id, |window| window.targets[0].sets = vec![set("resource-groups:Name", &["fleet"])]);
    let calls = world.run(599).await;
    assert_eq!(calls["nodes_of"], 1);
    let problem = world.view().groups["fleet"].problem.clone();
    assert!(problem.is_some(), "there is no such group");
    world.aws.group("fleet", [NodeId::from(NODE)]);
    world.run(600).await;
    let group = world.view().groups["fleet"].clone();
    assert_eq!((group.problem.as_ref(), group.nodes.contains(&NODE.into())), (None, true));
    let calls = world.run(HOUR).await;
    assert_eq!(calls.get("nodes_of"), None);
    world.aws.delete(&id);
    world.run(600).await;
    assert!(world.view().groups.is_empty());
}

#[tokio::test(start_paused = true)]
async fn patch_states_are_read_until_they_tell_of_the_installation() {
    let world = World::new();
    let name = TargetName::from("main");
    let nodes: Vec<NodeId> = (0..120).map(|number| format!("mi-{number:017x}").into()).collect();
    let state = |started, operation| PatchState {
        operation,
        started,
        ended: started + SignedDuration::from_mins(5),
        installed: 3,
        installed_other: 0,
        pending_reboot: 0,
        rejected: 0,
        missing: 0,
        failed: 0,
        last_without_reboot: None,
    };
    world.run(60).await;
    let calls = world.run(5 * 60).await;
    assert!(!calls.contains_key("patch_states"), "{calls:?}");
    let since = world.clock.now();
    let wanted =
        |nodes: &[NodeId]| nodes.iter().map(|node| (node.clone(), since)).collect::<WantedPatchStates>();
    world.watcher.cloud.want_patch_states(&name, wanted(&nodes));
    // Pages that are empty still are pages: three calls a minute.
    let calls = world.run(3 * 60 - 1).await;
    assert_eq!(calls["patch_states"], 9, "{calls:?}");
    assert_eq!(world.view().patch_states[&nodes[0]].state, None);
    for node in &nodes[..100] {
        world.aws.patch(node, state(since, PatchOperation::Install));
    }
    world.aws.patch(&nodes[100], state(since, PatchOperation::Scan));
    world.aws.patch(&nodes[101], state(since - SignedDuration::from_hours(1), PatchOperation::Install));
    world.run(60).await;
    assert!(world.view().patch_states[&nodes[0]].state.as_ref().unwrap().is_clean());
    let calls = world.run(5 * 60).await;
    assert_eq!(calls["patch_states"], 5, "twenty are left, one page: {calls:?}");
    world.aws.fail("patch_states", AwsErrorKind::Denied);
    let calls = world.run(5 * 60).await;
    assert_eq!(calls["patch_states"], 5, "{calls:?}");
    assert!(world.view().patch_error.is_some());
    assert_eq!(world.view().patch_states.len(), 120);
    world.watcher.cloud.want_patch_states(&name, WantedPatchStates::new());
    let calls = world.run(5 * 60).await;
    assert!(!calls.contains_key("patch_states"), "{calls:?}");
    assert!(world.view().patch_states.is_empty() && world.view().patch_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_throttled_is_no_reason_to_forget() {
    let world = World::new();
    let id = world.window(1, 100 * HOUR);
    world.run(60).await;
    world.aws.fail("windows", AwsErrorKind::Throttled);
    world.run(HOUR).await;
    assert!(world.view().error.is_some() && world.view().known.contains_key(&id));
}

#[tokio::test(start_paused = true)]
async fn how_an_execution_ended_is_known_even_if_its_tasks_may_not_be_read() {
    let world = World::new();
    let id = world.window(1, 100 * HOUR);
    world.execute(&id, "e", ExecutionStatus::Failed, -HOUR);
    world.aws.fail("execution_tasks", AwsErrorKind::Denied);
    world.run(60).await;
    let window = world.seen(&id);
    assert_eq!(window.executions[0].told.status, ExecutionStatus::Failed);
    assert_eq!((window.executions[0].outcomes.as_ref(), window.problem.as_ref()), (None, None));
    assert!(window.executions_problem.as_ref().unwrap().contains("execution_tasks"));
    world.aws.heal();
    world.run(120).await;
    let window = world.seen(&id);
    assert_eq!(
        (window.executions[0].outcomes.as_ref().map(Vec::len), window.executions_problem.as_ref()),
        (Some(1), None)
    );
}
