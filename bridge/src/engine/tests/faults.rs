//! Seeded fault scripts: whatever fails and whenever the program is killed, it ends in the right state, and nothing is done
//! twice.

use super::*;

/// A small generator of numbers: the same seed gives the same script.
struct Dice(u64);

impl Dice {
    /// splitmix64
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides.max(1)).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % sides).unwrap()
    }
}

const VALUES: [&str; 4] = ["Prod", "Test", "Dev", ""];

async fn script(seed: u64) {
    let mut dice = Dice(seed);
    let count = u32::try_from(1 + dice.roll(6)).unwrap();
    let lag = i64::try_from(dice.roll(15)).unwrap();
    let mut world = World::new(fleet_of(count), lag);
    world.policy.guard.max_change_percent = 100;
    let foreign = 1 + u32::try_from(dice.roll(6)).unwrap();
    world.aws.set_by_hand(foreign, "CostCenter", Some("42"));
    let mut engine = Some(world.engine().await);
    for _ in 0..(2 + dice.roll(6)) {
        if dice.roll(2) == 0 {
            let faults: Vec<Fault> = (0..=dice.roll(3)).map(|_| FAULTS[dice.roll(FAULTS.len())]).collect();
            world.aws.fail(faults);
        }
        let number = 1 + u32::try_from(dice.roll(usize::try_from(count).unwrap())).unwrap();
        let tags: Vec<String> = ["Patch Group", "Env"]
            .iter()
            .filter_map(|key| {
                Some(VALUES[dice.roll(4)])
                    .filter(|value| !value.is_empty())
                    .map(|value| format!("{key}:{value}"))
            })
            .collect();
        world.retag(number, &tags.iter().map(String::as_str).collect::<Vec<_>>());
        world.watcher().read_once().await;
        let running = engine.take().unwrap();
        if dice.roll(3) == 0 {
            // Killed in the middle of whatever it does.
            let moment = Duration::from_millis(u64::try_from(dice.roll(8000)).unwrap());
            let _ = tokio::time::timeout(moment, running.settle(Duration::from_secs(60))).await;
            drop(running);
            // Workers die with the process; here they have to be waited for to lose their last reference.
            engine = Some(reopened(&world).await);
        } else {
            running.settle(Duration::from_secs(5)).await;
            engine = Some(running);
        }
    }
    world.aws.heal();
    let engine = engine.unwrap();
    engine.retry(None).await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(SETTLE * 2).await;
        world.watcher().read_once().await;
        engine.settle(Duration::from_secs(300)).await;
    }
    for vm in &world.vms {
        let mut wanted = world.wanted(vm);
        if vm.number == foreign {
            wanted.insert("CostCenter".into(), "42".into());
        }
        let plan = engine.plan();
        let said = plan.vms.iter().find(|planned| *planned.vm.vm == *format!("vm-{}", vm.number));
        assert_eq!(
            world.aws.tags(vm.number),
            wanted,
            "seed {seed}, VM {}: {said:#?} {:?} {:?}",
            vm.number,
            plan.problems,
            engine.0.memory().open
        );
    }
    assert!(engine.plan().actions.is_empty(), "seed {seed}: {:#?}", engine.plan().actions);
    assert!(engine.0.memory().open.is_empty(), "seed {seed}");
    never_twice(&world, seed);
}

/// The same effect on the same node never follows itself: between two equal ones there is another one.
fn never_twice(world: &World, seed: u64) {
    let mut last: BTreeMap<crate::aws::NodeId, aws::Effect> = BTreeMap::new();
    for effect in world.aws.effects() {
        assert!(
            !effect.added.contains_key("CostCenter") && !effect.removed.iter().any(|key| key == "CostCenter")
        );
        if let Some(before) = last.insert(effect.node.clone(), effect.clone()) {
            assert_ne!(before, effect, "seed {seed}: done twice");
        }
    }
}

async fn reopened(world: &World) -> Engine {
    loop {
        // The lock is free when the last worker of the killed one is gone.
        match Store::open(world.directory.path()).await {
            Ok(store) => {
                drop(store);
                return world.engine().await;
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// `VMBRIDGE_TEST_SEEDS=from..to` runs others; scripts/soak runs all.
#[tokio::test(start_paused = true)]
async fn every_script_ends_in_the_right_state() {
    let range = std::env::var("VMBRIDGE_TEST_SEEDS").unwrap_or_else(|_| "0..60".to_owned());
    let (from, to) = range.split_once("..").expect("from..to");
    for seed in from.parse().unwrap()..to.parse().unwrap() {
        script(seed).await;
    }
}
