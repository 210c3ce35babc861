//! Enrolment through the whole engine.

use super::disk::Disk;
use super::faults::Dice;
use super::*;
use crate::enrol::Stage;
use crate::plan::{CredentialsPolicy, EnrolPolicy};
use crate::store::Basis;

/// A fleet of VMs of which none is a node.
fn bare(vms: u32) -> World {
    let mut world = World::new((1..=vms).map(|number| TestVm::new(number, &["Env:prod"])).collect(), 5);
    for node in world.aws.node_ids() {
        world.aws.forget(&node);
    }
    world.policy.stale_after = Duration::from_secs(365 * 24 * 3600);
    let credentials = CredentialsPolicy { name: "root".into(), vms: mappings::selector::Selector::default() };
    world.policy.enrol =
        EnrolPolicy { mode: Mode::Enforce, credentials: vec![credentials], ..EnrolPolicy::off() };
    world
}

/// A program that runs until it is killed.
struct Running {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Running {
    async fn start(world: &World, disk: &Disk) -> (Self, Engine<Disk>) {
        let (engine, hands) = world.engine_with_hands(disk.clone()).await;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        tasks.spawn(world.watcher().follow(stop.clone()));
        tasks.spawn(crate::observe::guests::watch(engine.clone(), hands, stop.clone()));
        (Self { tasks, stop }, engine)
    }

    /// Ends it at once, in the middle of whatever it does.
    async fn kill(mut self) {
        self.tasks.shutdown().await;
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What has to be true when all VMs are nodes.
fn enrolled(world: &World, disk: &Disk) {
    let enrolments = disk.enrolments();
    assert_eq!(enrolments.len(), world.vms.len());
    for enrolment in enrolments.values() {
        assert_eq!(enrolment.stage, Stage::Enrolled, "{enrolment:#?}");
    }
    let identities = disk.identities();
    assert_eq!(identities.len(), world.vms.len());
    assert!(identities.iter().all(|identity| identity.basis == Some(Basis::Enrolled)), "{identities:?}");
    assert_eq!(world.aws.node_ids().len(), world.vms.len());
    assert_eq!(world.aws.activations(), Vec::<crate::aws::ActivationId>::new(), "no activation is left");
    assert_eq!(world.guests.left(), Vec::<String>::new(), "nothing is left in guests");
    for number in 1..=world.aws.made() {
        assert!(!world.guests.holds(&format!("code-{number}")), "no code is in a guest or in a command line");
    }
    for entry in disk.journal() {
        assert!(!entry.intent.to_string().contains("code-"), "no code is in the journal");
    }
}

/// Waits until every enrolment is at rest.
async fn at_rest(disk: &Disk, vms: usize) {
    for _ in 0..3600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let enrolments = disk.enrolments();
        if enrolments.len() == vms && enrolments.values().all(|one| !one.stage.is_active()) {
            return;
        }
    }
    panic!("it never came to rest: {:#?}", disk.enrolments());
}

#[tokio::test(start_paused = true)]
async fn a_vm_becomes_a_node() {
    let (world, disk) = (bare(1), Disk::new());
    let (running, engine) = Running::start(&world, &disk).await;
    let began = world.clock.now();
    at_rest(&disk, 1).await;
    let took = world.clock.now().duration_since(began);
    enrolled(&world, &disk);
    assert!(took < SignedDuration::from_secs(60), "{took}");
    assert_eq!(world.guests.started().len(), 2);
    assert!(world.guests.calls() <= 15, "{} calls to the guest", world.guests.calls());
    // The tags came with the node, and are ours.
    assert_eq!(world.aws.tags(1)["Env"], "prod");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(disk.owned("mi-00000000000000001")["Env"], "prod");
    assert!(world.aws.effects().is_empty(), "nothing had to be written again: {:?}", world.aws.effects());
    let plan = engine.plan();
    assert!(plan.actions.is_empty() && plan.steps.is_empty(), "{:?}", plan.actions);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn not_more_at_once_than_allowed() {
    let (mut world, disk) = (bare(12), Disk::new());
    world.policy.enrol.per_vcenter = 5;
    world.policy.enrol.per_host = 2;
    let (running, _) = Running::start(&world, &disk).await;
    let mut most = 0;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let enrolments = disk.enrolments();
        most = most.max(enrolments.values().filter(|one| one.stage.is_in_guest()).count());
        if enrolments.len() == 12 && enrolments.values().all(|one| one.stage == Stage::Enrolled) {
            break;
        }
    }
    assert_eq!(most, 5);
    enrolled(&world, &disk);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_password_is_not_tried_again() {
    let (world, disk) = (bare(1), Disk::new());
    world.guests.refuse_logins(true);
    let (running, engine) = Running::start(&world, &disk).await;
    tokio::time::sleep(Duration::from_secs(4 * 3600)).await;
    assert_eq!(world.guests.calls(), 1, "one refusal is enough");
    let reason = engine.plan().vms[0].verdicts[2].reason.clone().unwrap();
    assert_eq!(reason.word(), "credentialsRefused");
    // A person has corrected it.
    world.guests.refuse_logins(false);
    engine.retry(None).await.unwrap();
    at_rest(&disk, 1).await;
    enrolled(&world, &disk);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_and_then_left_to_people() {
    let (world, disk) = (bare(1), Disk::new());
    world.guests.exit_with([20; 5]);
    let (running, engine) = Running::start(&world, &disk).await;
    tokio::time::sleep(Duration::from_secs(48 * 3600)).await;
    let reason = engine.plan().vms[0].verdicts[2].reason.clone().unwrap();
    assert_eq!(
        (reason.word(), world.guests.started().len()),
        ("enrolQuarantined", 5),
        "{}",
        reason.sentence()
    );
    assert_eq!(world.aws.made(), 0, "no activation is made for a guest that cannot be prepared");
    assert_eq!(world.guests.left(), Vec::<String>::new());
    engine.retry(None).await.unwrap();
    at_rest(&disk, 1).await;
    enrolled(&world, &disk);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_registration_that_is_there_is_taken_over_and_a_clone_is_not() {
    let (world, disk) = (bare(2), Disk::new());
    let node = world.aws.register(&world.vms[0]);
    world.aws.rename(&node, "somebody-else");
    // Both have the registration: one is a clone of the other.
    world.guests.set_registration(&world.vms[0], &node);
    world.guests.set_registration(&world.vms[1], &node);
    let (running, engine) = Running::start(&world, &disk).await;
    at_rest(&disk, 2).await;
    let stages: Vec<Stage> = disk.enrolments().values().map(|one| one.stage).collect();
    assert!(stages.contains(&Stage::Enrolled) && stages.contains(&Stage::Quarantined), "{stages:?}");
    assert_eq!((world.aws.made(), disk.identities().len()), (0, 1));
    let words: Vec<&str> =
        engine.plan().vms.iter().map(|vm| vm.verdicts[2].reason.as_ref().unwrap().word()).collect();
    assert!(words.contains(&"enrolQuarantined"), "{words:?}");
    running.stop().await;
}

/// A node whose agent has fallen silent.
async fn silent(cure: &'static str) -> (World, Disk, Running, Engine<Disk>, crate::aws::NodeId) {
    let (mut world, disk) = (bare(1), Disk::new());
    world.policy.enrol.repair_after = Some(SignedDuration::from_mins(30));
    world.policy.enrol.deregister_after = Some(SignedDuration::from_hours(1));
    let (running, engine) = Running::start(&world, &disk).await;
    at_rest(&disk, 1).await;
    enrolled(&world, &disk);
    let node = world.aws.node_ids().remove(0);
    world.guests.cured_by(cure);
    world.aws.set_ping(&node, crate::aws::Ping::ConnectionLost);
    (world, disk, running, engine, node)
}

/// The steps that were started in guests.
fn steps(world: &World) -> Vec<String> {
    let started = world.guests.started();
    started.iter().map(|(_, line)| line.split(' ').nth(2).unwrap_or_default().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_started_again_and_then_installed_anew() {
    for (cure, wanted) in [
        ("restart", &["prepare", "register", "restart"][..]),
        ("reinstall", &["prepare", "register", "restart", "prepare"]),
    ] {
        let (world, disk, running, engine, node) = silent(cure).await;
        // One that may just be starting is given time.
        tokio::time::sleep(Duration::from_secs(20 * 60)).await;
        let reason = engine.plan().vms[0].verdicts[2].reason.clone().unwrap();
        assert_eq!((reason.word(), steps(&world).len()), ("agentOffline", 2), "{}", reason.sentence());
        tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
        at_rest(&disk, 1).await;
        assert_eq!(steps(&world), wanted);
        // It is the same node, and it is ours as before.
        enrolled(&world, &disk);
        let enrolment = disk.enrolments().into_values().next().unwrap();
        assert_eq!(enrolment.node, Some(node));
        assert_eq!((enrolment.origin, enrolment.former), (Some(crate::enrol::Origin::Registered), None));
        assert_eq!(world.aws.registrations(), 1);
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_back_is_registered_anew_and_leaves_no_node_behind() {
    let (world, disk, running, engine, node) = silent("nothing").await;
    tokio::time::sleep(Duration::from_secs(12 * 3600)).await;
    at_rest(&disk, 1).await;
    assert_eq!(steps(&world), ["prepare", "register", "restart", "prepare", "prepare", "register"]);
    assert_eq!(world.aws.registrations(), 2);
    let nodes = world.aws.node_ids();
    assert!(nodes.len() == 1 && nodes[0] != node, "{nodes:?}");
    let enrolment = disk.enrolments().into_values().next().unwrap();
    assert_eq!(
        (enrolment.stage, &enrolment.node, enrolment.former),
        (Stage::Enrolled, &Some(nodes[0].clone()), None)
    );
    let plan = engine.plan();
    assert_eq!(plan.vms[0].link.as_ref().map(|link| &link.node), Some(&nodes[0]));
    assert!(plan.actions.is_empty() && plan.steps.is_empty(), "{:?} {:?}", plan.actions, plan.steps);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_keeps_being_ours_when_its_repair_is_refused() {
    let (world, disk, running, engine, node) = silent("restart").await;
    world.guests.refuse_logins(true);
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let enrolment = disk.enrolments().into_values().next().unwrap();
    assert_eq!((enrolment.node, enrolment.origin), (Some(node), Some(crate::enrol::Origin::Registered)));
    world.guests.refuse_logins(false);
    engine.retry(None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    at_rest(&disk, 1).await;
    enrolled(&world, &disk);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_old_agent_is_updated_once() {
    let (mut world, disk) = (bare(1), Disk::new());
    let (running, _) = Running::start(&world, &disk).await;
    at_rest(&disk, 1).await;
    running.stop().await;
    let node = world.aws.node_ids().remove(0);
    world.aws.set_version(&node, "3.3.9.0");
    world.policy.enrol.minimum_version = mappings::guest::Version::new("3.3.10.0");
    let (running, _) = Running::start(&world, &disk).await;
    tokio::time::sleep(Duration::from_secs(3 * 3600)).await;
    at_rest(&disk, 1).await;
    enrolled(&world, &disk);
    assert_eq!(steps(&world), ["prepare", "register", "prepare"]);
    assert_eq!(world.aws.registrations(), 1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn guests_are_left_alone_outside_of_the_hours() {
    let (mut world, disk) = (bare(1), Disk::new());
    let now = world.clock.now();
    let opens = now.checked_add(SignedDuration::from_hours(5));
    let hour = jiff::tz::TimeZone::UTC.to_datetime(opens.unwrap()).hour();
    let entry = format!("{hour:02}:00-{:02}:00", (hour + 1) % 24);
    world.policy.enrol.hours =
        mappings::hours::Hours::new([entry.as_str()], jiff::tz::TimeZone::UTC).unwrap();
    let (running, engine) = Running::start(&world, &disk).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(world.guests.calls(), 0);
    assert_eq!(engine.plan().vms[0].verdicts[2].reason.as_ref().unwrap().word(), "outsideHours");
    tokio::time::sleep(Duration::from_secs(5 * 3600)).await;
    enrolled(&world, &disk);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_there_is_one_node_and_nothing_is_left() {
    let seeds = std::env::var("VMBRIDGE_TEST_SEEDS").ok().and_then(|seeds| {
        let (from, to) = seeds.split_once("..")?;
        Some(from.parse::<u64>().ok()?..to.parse::<u64>().ok()?)
    });
    for seed in seeds.unwrap_or(0..60) {
        script(seed).await;
    }
}

async fn script(seed: u64) {
    let mut dice = Dice(seed);
    let (mut world, disk) = (bare(1 + dice.number(3)), Disk::new());
    world.policy.enrol.limits.quarantine = 1000;
    let (mut running, mut engine) = Running::start(&world, &disk).await;
    for _ in 0..=dice.number(7) {
        tokio::time::sleep(Duration::from_millis(u64::from(1 + dice.number(20_000)))).await;
        match dice.number(8) {
            0 => {
                running.kill().await;
                drop(engine);
                (running, engine) = Running::start(&world, &disk).await;
            }
            1 => world.guests.reboot(),
            2 => world.guests.exit_with([[12, 20, 23, 31, 33][dice.number(5) as usize]]),
            3 => world.guests.switch(false),
            4 => world.guests.switch(true),
            5 => world.aws.fail([FAULTS[dice.number(6) as usize]]),
            _ => world.guests.fail((0..=dice.number(3)).map(|_| FAULTS[dice.number(6) as usize])),
        }
    }
    world.guests.heal();
    world.aws.heal();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_secs(600)).await;
        let enrolments = disk.enrolments();
        if enrolments.len() == world.vms.len() && enrolments.values().all(|one| one.stage == Stage::Enrolled)
        {
            break;
        }
    }
    let told = || {
        let enrolments = disk.enrolments();
        let told = enrolments.values().map(|one| format!("{} {:?} {:?}", one.label, one.stage, one.problem));
        let reasons =
            engine.plan().vms.into_iter().filter_map(|vm| Some(vm.verdicts[2].reason.as_ref()?.sentence()));
        told.chain(reasons).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(
        world.aws.node_ids().len(),
        world.vms.len(),
        "script {seed}: one node for each VM\n{}",
        told()
    );
    assert!(disk.enrolments().values().all(|one| one.stage == Stage::Enrolled), "script {seed}\n{}", told());
    assert_eq!(
        world.aws.registrations(),
        world.vms.len(),
        "script {seed}: nobody registers twice\n{}",
        told()
    );
    assert_eq!(world.aws.activations(), Vec::<crate::aws::ActivationId>::new(), "script {seed}");
    for number in 1..=world.aws.made() {
        assert!(
            !world.guests.holds(&format!("code-{number}")),
            "a code is left in a guest, in script {seed}"
        );
    }
    drop(engine);
    running.stop().await;
}
