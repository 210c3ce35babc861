//! The real SDKs against the simulator: what windows, executions, patch states and groups look like when they come over the wire,
//! and that the policy of docs/iam.md is enough and nothing in it could be left out.

use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::Notify;
use vmbridge_simulator::{Aws, AwsConfig, AwsMutation, Simulator, SimulatorConfig};

use super::tests::target;
use super::*;
use crate::aws::{ExecutionStatus, NodeTags, PatchOperation, Services};
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::cloud::window::{By, Patching};
use crate::config::AwsTarget;

const DAY: u32 = 24 * 3600;

fn change(aws: &Aws, change: Value) -> String {
    let change: AwsMutation = serde_json::from_value(change).unwrap();
    aws.mutate(&change).unwrap().unwrap_or_default()
}

struct World {
    simulator: Simulator,
    aws: Aws,
    watcher: Watcher,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let config = SimulatorConfig { aws: Some(AwsConfig::default()), ..SimulatorConfig::single(1, 1) };
        let simulator = Simulator::start(config).await.unwrap();
        let aws = simulator.aws().unwrap().clone();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, aws.ca_pem()).unwrap();
        let target =
            AwsTarget { endpoint: Some(aws.url().parse().unwrap()), ca_file: Some(ca_file), ..target() };
        let account = &aws.accounts()[0];
        let credentials = Credentials::builder()
            .access_key_id(&account.access_key_id)
            .secret_access_key(account.secret())
            .provider_name("test")
            .build();
        let services =
            Services::with_credentials(&target, SharedCredentialsProvider::new(credentials)).await.unwrap();
        let watcher = Watcher {
            windows: Some(WindowPace::of(&target)),
            hub: None,
            told: None,
            target,
            services,
            cloud: SharedCloud::new(),
            nudge: Arc::new(Notify::new()),
            clock: Clock::starting(crate::clock::now()),
        };
        Self { simulator, aws, watcher, _folder: folder }
    }

    /// Lets time pass, there and here.
    fn skip(&mut self, seconds: u32) {
        change(&self.aws, json!({ "op": "skipTime", "seconds": seconds }));
        let now = self.watcher.clock.now() + SignedDuration::from_secs(i64::from(seconds));
        self.watcher.clock = Clock::starting(now);
    }

    async fn read(&self) -> Arc<WindowsView> {
        while self.watcher.read_once().await {}
        self.view()
    }

    fn view(&self) -> Arc<WindowsView> {
        self.watcher.cloud.read().target(&"main".into()).unwrap().windows.clone()
    }

    fn tags(&self, node: &str) -> NodeTags {
        let tags = self.aws.tags(node).unwrap();
        tags.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
    }

    async fn end(self) {
        assert_eq!(self.aws.mistakes(), Vec::<String>::new());
        self.simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_patch_night_as_it_comes_over_the_wire() {
    let mut world = World::start().await;
    let aws = world.aws.clone();
    let web = change(&aws, json!({ "op": "addNode", "tags": { "Patch Group": "web" } }));
    let named = change(&aws, json!({ "op": "addNode" }));
    let other = change(&aws, json!({ "op": "addNode", "tags": { "Patch Group": "db", "Site": "Ulm" } }));
    change(&aws, json!({ "op": "setPatching", "node": named, "outcome": "failed" }));
    change(&aws, json!({ "op": "setMissing", "node": web, "missing": 7 }));
    change(&aws, json!({ "op": "setGroup", "name": "fleet", "tags": { "Site": "Ulm" } }));
    let add = |window: Value| WindowId::from(change(&aws, json!({ "op": "addWindow", "window": window })));
    let by_tags = add(json!({ "name": "tags", "schedule": "rate(1 day)", "duration": 2, "cutoff": 1,
        "targets": { "tag:Patch Group": ["web"] }, "document": "AWS-RunPatchBaselineWithHooks", "hook": "hold" }));
    let by_id = add(json!({ "name": "ids", "schedule": "rate(1 day)", "duration": 2,
        "targets": { "InstanceIds": [named] } }));
    let by_group =
        add(json!({ "name": "group", "schedule": "cron(30 2 * * ? *)", "timeZone": "Europe/Berlin",
        "duration": 2, "targets": { "resource-groups:Name": ["fleet"] }, "operation": "Scan" }));

    let view = world.read().await;
    assert_eq!((view.error.as_deref(), view.known.len()), (None, 3));
    let window = &view.known[&by_tags];
    assert_eq!((&*window.identity.name, window.identity.enabled), ("tags", true));
    assert_eq!((window.identity.duration.as_secs(), window.identity.cutoff.as_secs()), (7200, 3600));
    assert_eq!((window.problem.as_deref(), window.coming.len()), (None, crate::aws::COMING));
    assert!(window.coming.windows(2).all(|two| two[1] - two[0] == SignedDuration::from_hours(24)));
    assert_eq!(window.hooks(&[]), BTreeSet::from(["hold".into()]));
    let reached = |id: &WindowId, node: &str| {
        let window = &view.known[id];
        let reached = window.targets_of(&[], &node.into(), &world.tags(node), &view.groups)?;
        Some(reached.ways.into_iter().map(|way| way.by).collect::<Vec<_>>())
    };
    assert_eq!(reached(&by_tags, &web), Some(vec![By::Tags(vec![BTreeSet::from(["Patch Group".into()])])]));
    assert_eq!((reached(&by_tags, &named), reached(&by_tags, &other)), (None, None));
    assert_eq!(reached(&by_id, &named), Some(vec![By::Id]));
    assert_eq!(view.known[&by_group].patches(&[]), Patching::Scans);
    assert_eq!(view.known[&by_group].identity.time_zone.as_deref(), Some("Europe/Berlin"));
    assert_eq!(view.groups["fleet"].nodes, BTreeSet::from([NodeId::from(other.as_str())]));

    let opening = view.known[&by_id].coming[0];
    world.watcher.cloud.want_patch_states(
        &"main".into(),
        [&web, &named, &other].into_iter().map(|node| (node.as_str().into(), opening)).collect(),
    );
    world.skip(DAY + 2);
    let view = world.read().await;
    let running = view.known[&by_id].execution_of(opening).unwrap();
    assert_eq!((running.told.status, running.outcomes.as_ref()), (ExecutionStatus::InProgress, None));
    assert_eq!(view.patch_states[&NodeId::from(web.as_str())].state, None);
    world.skip(600);
    let view = world.read().await;
    let ended = view.known[&by_id].execution_of(opening).unwrap();
    assert_eq!(ended.told.status, ExecutionStatus::Failed);
    assert!(ended.told.ended > ended.told.started);
    assert_eq!(ended.outcome(&[], &named.as_str().into()), Some(ExecutionStatus::Failed));
    let ended = view.known[&by_tags].execution_of(opening).unwrap();
    assert_eq!((ended.told.status, ended.outcomes.as_deref()), (ExecutionStatus::Success, Some(&[][..])));
    let state = |node: &str| view.patch_states[&NodeId::from(node)].state.clone();
    let patched = state(&web).unwrap();
    assert_eq!(
        (patched.operation, patched.installed, patched.is_clean()),
        (PatchOperation::Install, 7, true)
    );
    assert!(patched.installed_since(opening), "{patched:?} {opening}");
    assert!(!state(&named).unwrap().is_clean());
    world.end().await;
}

#[tokio::test]
async fn many_windows_come_in_pages() {
    let world = World::start().await;
    for number in 0..130 {
        change(
            &world.aws,
            json!({ "op": "addWindow", "window": { "name": format!("window-{number}"),
            "schedule": "rate(7 days)", "duration": 1, "targets": { "tag-key": ["x"] } } }),
        );
    }
    let view = world.read().await;
    assert_eq!(view.known.len(), 130);
    assert!(view.known.values().all(|window| window.tasks.len() == 1 && window.problem.is_none()));
    let calls = world.aws.calls().calls;
    assert_eq!(calls["ssm:DescribeMaintenanceWindows"], 2);
    assert_eq!(calls["ssm:DescribeMaintenanceWindowSchedule"], 130);
    world.end().await;
}

/// The policies of docs/iam.md for observing, and for windows.
fn documented() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/iam.md")).unwrap();
    let under = |heading: &str| -> Vec<Value> {
        let (_, rest) = text.split_once(heading).unwrap();
        let (_, rest) = rest.split_once("```json").unwrap();
        let policy: Value = serde_json::from_str(rest.split_once("```").unwrap().0).unwrap();
        policy["Statement"].as_array().unwrap().clone()
    };
    let mut statements = under("## Mode `observe`");
    // The policy for snapshots begins with the one for observing.
    let more: Vec<Value> =
        under("## `[snapshots]`").into_iter().filter(|one| !statements.contains(one)).collect();
    statements.extend(more);
    json!({ "Version": "2012-10-17", "Statement": statements })
}

#[tokio::test]
async fn the_documented_policy_is_enough_and_nothing_in_it_could_be_left_out() {
    let mut world = World::start().await;
    let aws = world.aws.clone();
    let user = aws.accounts()[0].user_arn();
    let node = change(&aws, json!({ "op": "addNode", "tags": { "Site": "Ulm" } }));
    change(&aws, json!({ "op": "setGroup", "name": "fleet", "tags": { "Site": "Ulm" } }));
    change(
        &aws,
        json!({ "op": "addWindow", "window": { "name": "group", "schedule": "rate(1 hour)",
        "duration": 1, "targets": { "resource-groups:Name": ["fleet"] } } }),
    );
    world.skip(3600 + 600);
    let opening = world.watcher.clock.now();
    let wanted = || WantedPatchStates::from([(node.as_str().into(), opening)]);
    let policy = documented();
    let problems = |view: &WindowsView| {
        let windows = view.known.values();
        let of_windows =
            windows.flat_map(|window| [window.problem.clone(), window.executions_problem.clone()]);
        let of_groups = view.groups.values().map(|group| group.problem.clone());
        let rest = [view.error.clone(), view.patch_error.clone()];
        of_windows.chain(of_groups).chain(rest).flatten().collect::<Vec<_>>()
    };
    let actions: Vec<String> = policy["Statement"].as_array().unwrap()[2..]
        .iter()
        .flat_map(|statement| match &statement["Action"] {
            Value::Array(actions) => actions.clone(),
            one => vec![one.clone()],
        })
        .map(|action| action.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actions.len(), 10);
    for left_out in std::iter::once(None).chain(actions.iter().map(Some)) {
        let mut policy = policy.clone();
        if let Some(action) = left_out {
            let deny = json!({ "Effect": "Deny", "Action": action, "Resource": "*" });
            policy["Statement"].as_array_mut().unwrap().push(deny);
        }
        aws.set_policy(&user, Some(&policy)).unwrap();
        world.watcher.cloud = SharedCloud::new();
        world.watcher.cloud.want_patch_states(&"main".into(), wanted());
        let found = problems(&*world.read().await);
        match left_out {
            None => assert_eq!(found, Vec::<String>::new()),
            Some(action) => {
                assert_eq!(found.len(), 1, "without {action}: {found:?}");
                assert!(found[0].contains(action.as_str()) && found[0].contains("docs/iam.md"), "{found:?}");
            }
        }
    }
    world.end().await;
}
