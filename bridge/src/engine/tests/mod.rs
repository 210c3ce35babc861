//! The whole engine on a fleet, an AWS and a real store of a test, in virtual time.

mod aws;
mod disk;
mod enrol;
mod faults;
mod findings;
mod guests;
mod idle;
mod reports;
mod snapshots;

use std::collections::BTreeMap;

use mappings::tags::{Kind, RuleSet, RuleSpec};
use tokio::task::JoinSet;

use super::*;
use crate::aws::fake_reports::FakeReports;
use crate::aws::{Lanes, Services, Speed, TargetName};
use crate::aws::{NodeId, Place};
use crate::config::{AwsTarget, Guard, Mode, WritebackSettings};
use crate::enrol::Enrolment;
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::lane::LaneLimits;
use crate::observe::aws::Watcher;
use crate::observe::findings::HubPace;
use crate::plan::TargetPolicy;
use crate::store::{Approval, Conclusion, Entry, EntryId, Failing, Holder, Outcome};
use aws::{FAULTS, FakeAws, Fault};
use guests::FakeGuests;

const SETTLE: Duration = Duration::from_secs(20);

pub(super) struct World {
    directory: tempfile::TempDir,
    clock: Clock,
    fleet: SharedFleet,
    cloud: SharedCloud,
    vcenter: TestVcenter,
    vms: Vec<TestVm>,
    aws: FakeAws,
    services: Services,
    reports: FakeReports,
    target: AwsTarget,
    nudge: Arc<Notify>,
    policy: Policy,
    guests: FakeGuests,
}

fn rule(category: &str) -> RuleSpec {
    let kind = if category == "Patch Group" { Kind::PatchGroup } else { Kind::Plain };
    RuleSpec {
        name: category.to_lowercase(),
        category: Some(category.to_owned()),
        kind,
        ..RuleSpec::default()
    }
}

fn rules(categories: &[&str]) -> Arc<RuleSet> {
    Arc::new(RuleSet::new(categories.iter().map(|category| rule(category)).collect()).unwrap())
}

impl World {
    /// A fleet of these VMs, each with a node.
    pub(super) fn new(vms: Vec<TestVm>, lag_seconds: i64) -> Self {
        let clock = Clock::starting(Timestamp::from_second(1_800_000_000).unwrap());
        let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
        let vcenter = TestVcenter::new(&fleet, "dc1", 1);
        vcenter.read(&vms, clock.now());
        let aws = FakeAws::new(clock, lag_seconds);
        for vm in &vms {
            aws.register(vm);
        }
        let lane = LaneLimits { concurrency: 4, rate: 50.0, burst: 50.0 };
        let speed = Speed { reads: lane, writes: lane };
        // Without chance, so that a script can be replayed.
        let lanes = Lanes::with_jitter(TargetName::from("main"), speed, || 0.5);
        let reports = FakeReports::default();
        let services = Services::behind(
            lanes,
            aws.clone(),
            aws.clone(),
            aws.clone(),
            aws.clone(),
            reports.clone(),
            reports.clone(),
        );
        let target = AwsTarget {
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
            reads_per_second: 50,
            writes_per_second: 50,
            concurrency: 4,
            poll_fast: Duration::from_secs(5),
            poll_slow: Duration::from_secs(600),
            settle: SETTLE,
        };
        let policy = Policy {
            targets: vec![TargetPolicy {
                name: "main".into(),
                region: "eu-central-1".into(),
                vms: target.vms.clone(),
                node_role: "SSMServiceRole".into(),
                settle: SETTLE,
                poll_slow: target.poll_slow,
            }],
            tags: Mode::Enforce,
            rules: rules(&["Patch Group", "Env"]),
            adopt_tags: false,
            writeback: Mode::Off,
            adopt_attributes: false,
            enrol: crate::plan::EnrolPolicy::off(),
            snapshots: Arc::new(crate::config::SnapshotSettings::off()),
            report: Arc::new(crate::plan::ReportPolicy::off()),
            guard: Guard {
                max_change_percent: 20,
                floor: 5,
                window: Duration::from_secs(600),
                approval_lifetime: Duration::from_secs(3600),
            },
            stale_after: Duration::from_secs(24 * 3600),
        };
        let directory = tempfile::tempdir().unwrap();
        let nudge = Arc::default();
        let guests = FakeGuests::new(&vms, aws.clone(), clock);
        Self {
            directory,
            clock,
            fleet,
            cloud,
            vcenter,
            vms,
            aws,
            services,
            reports,
            target,
            nudge,
            policy,
            guests,
        }
    }

    async fn engine(&self) -> Engine {
        self.engine_on(Store::open(self.directory.path()).await.unwrap()).await
    }

    /// An engine that writes down what it does there.
    async fn engine_on<S: Records>(&self, records: S) -> Engine<S> {
        self.engine_with_hands(records).await.0
    }

    async fn engine_with_hands<S: Records>(&self, records: S) -> (Engine<S>, RealHands) {
        let writeback =
            WritebackSettings { mode: Mode::Off, adopt: false, writes_per_second: 5, concurrency: 2 };
        let hands = RealHands::new(
            self.cloud.clone(),
            VsphereHands::new(self.fleet.clone(), &writeback),
            self.guests.hands(),
        );
        let arm = Arm { services: self.services.clone(), nudge: self.nudge.clone(), settle: SETTLE };
        hands.set_arms(BTreeMap::from([(TargetName::from("main"), arm)]));
        let (fleet, cloud) = (self.fleet.clone(), self.cloud.clone());
        let acting = Arc::new(hands.clone());
        let engine =
            Engine::new(fleet, cloud, records, acting, self.policy.clone(), self.clock).await.unwrap();
        engine.set_keys(hands.guests().keys().await);
        (engine, hands)
    }

    fn watcher(&self) -> Watcher {
        Watcher {
            target: self.target.clone(),
            services: self.services.clone(),
            cloud: self.cloud.clone(),
            nudge: self.nudge.clone(),
            clock: self.clock,
            windows: None,
            hub: HubPace::of(&self.policy.report.findings),
            told: None,
        }
    }

    /// Reads AWS until nothing more is learned.
    async fn observe(&self) {
        let watcher = self.watcher();
        while watcher.read_once().await {}
    }

    fn retag(&mut self, number: u32, tags: &[&str]) {
        let vm = self.vms.iter_mut().find(|vm| vm.number == number).unwrap();
        vm.tags = Some(tags.iter().map(|&tag| tag.to_owned()).collect());
        let vm = vm.clone();
        self.vcenter.tag(&[vm], self.clock.now());
    }

    /// What the node of a VM should have, given its tags and the rules.
    fn wanted(&self, vm: &TestVm) -> BTreeMap<String, String> {
        let split = |tag: &String| tag.split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned()));
        vm.tags.iter().flatten().filter_map(split).collect()
    }
}

fn fleet_of(count: u32) -> Vec<TestVm> {
    (1..=count).map(|number| TestVm::new(number, &["Patch Group:Prod", "Env:Live"])).collect()
}

#[tokio::test(start_paused = true)]
async fn tags_arrive_with_one_call_for_each_node_and_then_nothing_is_left_to_do() {
    let mut world = World::new(fleet_of(10), 3);
    world.observe().await;
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    for vm in &world.vms {
        assert_eq!(world.aws.tags(vm.number), world.wanted(vm));
    }
    let calls = world.aws.calls();
    assert_eq!((calls.get("add_tags"), calls.get("remove_tags")), (Some(&10), None), "{calls:?}");
    assert!(engine.plan().actions.is_empty(), "also before a reading shows it");
    world.observe().await;
    assert!(engine.plan().actions.is_empty());
    tokio::time::sleep(SETTLE * 2).await;
    world.observe().await;
    assert!(engine.plan().actions.is_empty(), "{:#?}", engine.plan().actions);

    world.retag(3, &["Patch Group:Test"]);
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert_eq!(world.aws.tags(3), BTreeMap::from([("Patch Group".into(), "Test".into())]));
    let calls = world.aws.calls();
    assert_eq!((calls.get("add_tags"), calls.get("remove_tags")), (Some(&1), Some(&1)), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_others_wrote_is_left_alone_and_drift_is_put_back() {
    let mut world = World::new(fleet_of(10), 0);
    world.aws.set_by_hand(1, "Patch Group", Some("ByHand"));
    world.aws.set_by_hand(1, "CostCenter", Some("42"));
    world.observe().await;
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert_eq!(world.aws.tags(1)["Patch Group"], "ByHand");
    assert_eq!(world.aws.tags(1)["CostCenter"], "42");
    let plan = engine.plan();
    let notes = |number: u32, plan: &Plan| {
        let vm = plan.vms.iter().find(|vm| *vm.vm.vm == *format!("vm-{number}")).unwrap();
        vm.verdicts[0].notes.iter().map(crate::plan::Note::word).collect::<Vec<_>>()
    };
    assert_eq!(notes(1, &plan), ["foreign"]);

    tokio::time::sleep(SETTLE * 2).await;
    world.aws.set_by_hand(2, "Patch Group", Some("Changed"));
    world.aws.set_by_hand(3, "Env", None);
    world.observe().await;
    let plan = engine.plan();
    assert_eq!((notes(2, &plan), notes(3, &plan)), (vec!["drift"], vec!["drift"]));
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert_eq!(world.aws.tags(2)["Patch Group"], "Prod");
    assert_eq!(world.aws.tags(3)["Env"], "Live");

    // What somebody changed and no rule wants any more is theirs.
    tokio::time::sleep(SETTLE * 2).await;
    world.aws.set_by_hand(4, "Env", Some("Theirs"));
    world.retag(4, &["Patch Group:Prod"]);
    world.observe().await;
    assert_eq!(notes(4, &engine.plan()).last(), Some(&"letGo"));
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert_eq!(world.aws.tags(4)["Env"], "Theirs");
}

#[tokio::test(start_paused = true)]
async fn a_stripped_category_waits_for_approval_and_approval_covers_what_was_shown() {
    let mut world = World::new(fleet_of(40), 0);
    world.observe().await;
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    for number in 1..=30 {
        world.retag(number, &["Patch Group:Prod"]);
    }
    let before = world.aws.effects().len();
    assert!(engine.settle(Duration::from_secs(60)).await, "nothing is doable");
    assert_eq!(world.aws.effects().len(), before);
    let held = engine.plan().held;
    assert_eq!(held.len(), 1);
    assert!(held[0].reason.contains("30 of 40"), "{}", held[0].reason);
    assert_eq!(engine.approve("0000000000000000").await.unwrap(), None);
    // Adding and removing: the mark changes too.
    assert_eq!(engine.approve(&held[0].id).await.unwrap(), Some(60));
    drop(engine);
    // An approval outlives a restart.
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert!((1..=30).all(|number| !world.aws.tags(number).contains_key("Env")));
    assert!((31..=40).all(|number| world.aws.tags(number).contains_key("Env")));
    // What was approved is used up by the window: the next ones are held again.
    for number in 31..=40 {
        world.retag(number, &["Patch Group:Prod"]);
    }
    assert_eq!(engine.plan().held.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn stripping_little_by_little_is_noticed() {
    let mut world = World::new(fleet_of(40), 0);
    world.observe().await;
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    for number in 1..=40 {
        world.retag(number, &["Patch Group:Prod"]);
        engine.settle(Duration::from_secs(5)).await;
    }
    let stripped = (1..=40).filter(|number| !world.aws.tags(*number).contains_key("Env")).count();
    assert_eq!(stripped, 8, "20 % of 40");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_while_a_source_is_not_current_or_the_state_is_a_copy() {
    let world = World::new(fleet_of(3), 0);
    world.observe().await;
    let engine = world.engine().await;
    let error = "gone".to_owned();
    world.fleet.apply(
        &world.vcenter.name,
        crate::fleet::FleetUpdate::Interrupted { error, retry_at: None },
        world.clock.now(),
    );
    assert!(engine.plan().actions.is_empty());
    assert_eq!(engine.plan().vms[0].verdicts[0].reason.as_ref().unwrap().word(), "vcenterNotCurrent");
    world.vcenter.read(&world.vms, world.clock.now());
    assert_eq!(engine.plan().actions.len(), 3);
    engine.0.memory().copied = true;
    assert_eq!(engine.plan().doable(&engine.policy()).count(), 0);
    engine.claim().await.unwrap();
    assert_eq!(engine.plan().doable(&engine.policy()).count(), 3);
    let observing = Policy { tags: Mode::Observe, ..world.policy.clone() };
    engine.set_policy(observing);
    assert_eq!((engine.plan().actions.len(), engine.plan().doable(&engine.policy()).count()), (3, 0));
    engine.set_policy(Policy { tags: Mode::Off, ..world.policy.clone() });
    assert!(engine.plan().actions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_state_that_was_put_back_finds_what_it_forgot() {
    let world = World::new(fleet_of(5), 0);
    world.observe().await;
    let engine = world.engine().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    // Everything but the installation's id is forgotten.
    {
        let mut memory = engine.0.memory();
        memory.owned.clear();
        memory.identities.clear();
    }
    tokio::time::sleep(SETTLE * 2).await;
    world.observe().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert!(engine.plan().actions.is_empty());
    assert_eq!(engine.0.memory().owned.len(), 5);
    // Another installation keeps its hands off.
    let other = World { directory: tempfile::tempdir().unwrap(), ..world };
    let engine = other.engine().await;
    let plan = engine.plan();
    assert!(plan.actions.is_empty());
    assert!(plan.vms.iter().all(|vm| vm.verdicts[0].reason.as_ref().unwrap().word() == "otherInstallation"));
}

/// Found by fault script 5460.
#[tokio::test(start_paused = true)]
async fn what_others_changed_while_an_answer_was_lost_leaves_the_rest_ours() {
    let mut world = World::new(fleet_of(3), 0);
    world.observe().await;
    let engine = world.engine().await;
    world.aws.fail([Fault::LostAfter]);
    engine.settle(Duration::ZERO).await;
    let first = world.aws.effects()[0].node.clone();
    let number = (1..=3).find(|number| *first.as_str() == format!("mi-{number:017x}")).unwrap();
    world.aws.set_by_hand(number, "Patch Group", None);
    assert!(engine.settle(Duration::from_secs(60)).await);
    // No rule wants it any more: it goes, because it was we who wrote it.
    world.retag(number, &["Patch Group:Prod"]);
    tokio::time::sleep(SETTLE * 2).await;
    world.observe().await;
    assert!(engine.settle(Duration::from_secs(60)).await);
    assert_eq!(world.aws.tags(number), BTreeMap::from([("Patch Group".into(), "Prod".into())]));
}
