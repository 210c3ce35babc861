//! Seeded fault scripts: whatever fails and whenever the program is killed, it ends in the right state, and nothing is done
//! twice.
//!
//! Each script is a runtime of its own with one thread, virtual time and a disk in memory, so that the seed decides
//! everything, and running it again shows the same again.

use std::collections::BTreeSet;

use super::disk::{Disk, Refusal};
use super::*;
use aws::{Effect, Happened};

/// A small generator of numbers: the same seed gives the same script.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// splitmix64
    pub(super) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides.max(1)).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % sides).unwrap()
    }

    pub(super) fn number(&mut self, sides: usize) -> u32 {
        u32::try_from(self.roll(sides)).unwrap()
    }

    pub(super) fn milliseconds(&mut self, most: usize) -> Duration {
        Duration::from_millis(u64::try_from(self.roll(most)).unwrap())
    }
}

const VALUES: [&str; 4] = ["Prod", "Test", "Dev", ""];
const KEYS: [&str; 2] = ["Patch Group", "Env"];

/// Everything that happened in a script.
#[derive(Debug, PartialEq)]
struct Log {
    happened: Vec<Happened>,
    journal: Vec<Entry>,
    calls: BTreeMap<&'static str, usize>,
    /// When it ended.
    ended: Timestamp,
}

struct Script {
    seed: u64,
    dice: Dice,
    world: World,
    disk: Disk,
    count: u32,
    /// Tags of ours that somebody else laid hands on.
    meddled: BTreeSet<(u32, &'static str)>,
    /// The disk said that something was not written that was.
    lied: bool,
}

impl Script {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let count = 1 + dice.number(6);
        let lag = i64::from(dice.number(15));
        let mut world = World::new(fleet_of(count), lag);
        world.policy.guard.max_change_percent = 100;
        for _ in 0..dice.roll(3) {
            world.aws.set_by_hand(1 + dice.number(6), "CostCenter", Some("42"));
        }
        Self { seed, dice, world, disk: Disk::new(), count, meddled: BTreeSet::new(), lied: false }
    }

    async fn engine(&self) -> Engine<Disk> {
        self.world.engine_on(self.disk.clone()).await
    }

    /// Something changes, and something is about to go wrong.
    fn stir(&mut self) {
        let dice = &mut self.dice;
        if dice.roll(2) == 0 {
            let faults: Vec<Fault> = (0..=dice.roll(3)).map(|_| FAULTS[dice.roll(FAULTS.len())]).collect();
            self.world.aws.fail(faults);
        }
        if dice.roll(6) == 0 {
            let refusals: Vec<Refusal> = (0..=dice.roll(2))
                .map(|_| if dice.roll(2) == 0 { Refusal::Before } else { Refusal::After })
                .collect();
            self.lied |= refusals.contains(&Refusal::After);
            self.disk.refuse(refusals);
        }
        for _ in 0..=dice.roll(2) {
            let number = 1 + dice.number(usize::try_from(self.count).unwrap());
            let tags: Vec<String> = KEYS
                .iter()
                .filter_map(|key| {
                    Some(VALUES[dice.roll(4)])
                        .filter(|value| !value.is_empty())
                        .map(|value| format!("{key}:{value}"))
                })
                .collect();
            self.world.retag(number, &tags.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if dice.roll(6) == 0 {
            let number = 1 + dice.number(usize::try_from(self.count).unwrap());
            let key = KEYS[dice.roll(2)];
            let value = ["ByHand", "Prod", ""][dice.roll(3)];
            self.world.aws.set_by_hand(number, key, Some(value).filter(|value| !value.is_empty()));
            self.meddled.insert((number, key));
        }
    }

    /// The daemon: engine and observer.
    async fn daemon(&self, engine: &Engine<Disk>, stop: &CancellationToken) {
        tokio::join!(engine.run(stop.clone()), self.world.watcher().follow(stop.clone()));
    }

    /// Lets the program work in one of the ways that it does.
    async fn work(&mut self, engine: Engine<Disk>) -> Engine<Disk> {
        let moment = self.dice.milliseconds(8000);
        match self.dice.roll(6) {
            0 | 1 => {
                self.world.watcher().read_once().await;
                engine.settle(Duration::from_secs(5)).await;
                engine
            }
            2 => {
                self.world.watcher().read_once().await;
                let _ = tokio::time::timeout(moment, engine.settle(Duration::from_secs(60))).await;
                self.killed(engine).await
            }
            3 | 4 => {
                let never = CancellationToken::new();
                let _ = tokio::time::timeout(moment * 4, self.daemon(&engine, &never)).await;
                self.killed(engine).await
            }
            _ => {
                let stop = CancellationToken::new();
                let stopping = async {
                    tokio::time::sleep(moment * 4).await;
                    stop.cancel();
                };
                tokio::join!(self.daemon(&engine, &stop), stopping);
                engine
            }
        }
    }

    /// The program is started again after it was killed in the middle of whatever it did.
    async fn killed(&mut self, engine: Engine<Disk>) -> Engine<Disk> {
        drop(engine);
        if self.dice.roll(2) == 0 {
            let pause = self.dice.milliseconds(40_000);
            tokio::time::sleep(pause).await;
        }
        self.engine().await
    }

    async fn run(mut self) -> Log {
        let mut engine = self.engine().await;
        for _ in 0..(2 + self.dice.roll(6)) {
            self.stir();
            engine = self.work(engine).await;
        }
        self.world.aws.heal();
        self.disk.heal();
        engine.retry(None).await.unwrap();
        for round in 0..4 {
            tokio::time::sleep(SETTLE * 2).await;
            self.world.observe().await;
            engine.settle(Duration::from_secs(300)).await;
            if round == 1 {
                // What was written although an error was told is only found by the next start.
                engine = self.engine().await;
            }
        }
        if std::env::var_os("VMBRIDGE_TEST_SHOW").is_some() {
            println!("seed {}: {:#?} {:#?}", self.seed, self.world.aws.happened(), self.disk.journal());
        }
        self.is_right(&engine);
        Log {
            happened: self.world.aws.happened(),
            journal: self.disk.journal(),
            calls: self.world.aws.calls(),
            ended: self.world.clock.now(),
        }
    }

    fn is_right(&self, engine: &Engine<Disk>) {
        let (seed, world) = (self.seed, &self.world);
        let plan = engine.plan();
        for vm in &world.vms {
            let said = plan.vms.iter().find(|planned| *planned.vm.vm == *format!("vm-{}", vm.number));
            let about = || format!("seed {seed}, VM {}: {said:#?} {:?}", vm.number, plan.problems);
            let (found, wanted) = (world.aws.tags(vm.number), world.wanted(vm));
            let owned = self.disk.owned(&format!("mi-{:017x}", vm.number));
            for key in KEYS {
                let (found, wanted, owned) = (found.get(key), wanted.get(key), owned.get(key));
                let meddled = self.meddled.contains(&(vm.number, key));
                if meddled && owned.is_none() {
                    // It is somebody else's. Whether it was taken for ours before that is a matter of the moment.
                    assert!(wanted.is_none() || found.is_some(), "{}", about());
                    continue;
                }
                assert_eq!(found, wanted, "{key}: {}", about());
                // Somebody else may have written what the rule came to want: then it is right, and what we wrote is older.
                assert!(
                    owned == wanted || (meddled && wanted.is_some()),
                    "{key}, ours: {owned:?}: {}",
                    about()
                );
            }
            let others: Vec<_> = found.keys().filter(|key| !KEYS.contains(&key.as_str())).collect();
            assert!(others.iter().all(|key| *key == "CostCenter"), "{others:?}: {}", about());
        }
        assert!(plan.actions.is_empty(), "seed {seed}: {:#?}", plan.actions);
        assert!(plan.problems.is_empty(), "seed {seed}: {:?}", plan.problems);
        assert!(engine.0.memory().open.is_empty(), "seed {seed}");
        self.nothing_twice();
        self.journal_is_true();
    }

    /// Everything that we did changed something: nothing was done again that had been done. Nothing of others was touched.
    fn nothing_twice(&self) {
        let seed = self.seed;
        for (at, done) in self.world.aws.happened().iter().enumerate() {
            let Effect { added, removed, node } = &done.effect;
            if done.by_hand {
                continue;
            }
            assert!(!added.contains_key("CostCenter"), "seed {seed}");
            assert!(!removed.iter().any(|key| key == "CostCenter"), "seed {seed}");
            let meddled =
                self.meddled.iter().any(|(number, _)| *node.as_str() == format!("mi-{number:017x}"));
            assert!(done.changed || meddled, "seed {seed}: number {at} was done twice: {done:?}");
        }
    }

    /// What the journal says was done is what was done, and the other way round.
    fn journal_is_true(&self) {
        let journal = self.disk.journal();
        assert!(journal.iter().all(|entry| entry.outcome.is_some()), "seed {}", self.seed);
        let done = journal
            .iter()
            .filter(|entry| matches!(entry.outcome, Some(Outcome::Done | Outcome::FoundDone)))
            .count();
        let effects = self.world.aws.effects().len();
        // Where somebody else undid it, or did the same, nobody can tell afterwards; and an intent that was not to be written
        // may come to light after the same was done under another one.
        if self.meddled.is_empty() {
            assert!(
                done == effects || (done > effects && self.lied),
                "seed {}: {done}, {effects}",
                self.seed
            );
        }
    }
}

/// Runs a script and gives what happened.
fn script(seed: u64) -> Log {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { Script::new(seed).run().await })
}

/// The seeds that are run: `VMBRIDGE_TEST_SEEDS=from..to`, or some; `scripts/soak engine` runs 10,000.
fn seeds() -> std::ops::Range<u64> {
    let range = std::env::var("VMBRIDGE_TEST_SEEDS").unwrap_or_else(|_| "0..300".to_owned());
    let (from, to) = range.split_once("..").expect("VMBRIDGE_TEST_SEEDS is from..to");
    from.parse().unwrap()..to.parse().unwrap()
}

#[test]
fn every_script_ends_in_the_right_state() {
    let seeds = seeds();
    let (mut effects, mut failed) = (0, Vec::new());
    for seed in seeds.clone() {
        // All that fail are of interest: one alone says little about how often it happens.
        match std::panic::catch_unwind(|| script(seed).happened.len()) {
            Ok(count) => effects += count,
            Err(_) => failed.push(seed),
        }
    }
    println!("{} scripts, {effects} changes of tags", seeds.end - seeds.start);
    assert!(failed.is_empty(), "{} of them fail: {failed:?}", failed.len());
    assert!(effects > 0, "no seed in {seeds:?} did anything");
}

#[test]
fn a_script_runs_the_same_way_every_time() {
    for seed in seeds().take(60) {
        assert_eq!(script(seed), script(seed), "seed {seed}");
    }
}

/// The real database, whose threads have a pace of their own: these find what the disk in memory is too good for, but their
/// order cannot be replayed.
#[tokio::test(start_paused = true)]
async fn the_real_store_comes_through_kills_too() {
    for seed in 0..8 {
        let mut dice = Dice(seed);
        let mut world = World::new(fleet_of(3), 2);
        world.policy.guard.max_change_percent = 100;
        let mut engine = world.engine().await;
        for _ in 0..4 {
            world.aws.fail([FAULTS[dice.roll(FAULTS.len())]]);
            world.retag(1 + dice.number(3), &["Patch Group:Test", "Env:Live"][..=dice.roll(2)]);
            world.watcher().read_once().await;
            let moment = dice.milliseconds(8000);
            let _ = tokio::time::timeout(moment, engine.settle(Duration::from_secs(60))).await;
            drop(engine);
            engine = reopened(&world).await;
        }
        world.aws.heal();
        engine.retry(None).await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(SETTLE * 2).await;
            world.observe().await;
            engine.settle(Duration::from_secs(300)).await;
        }
        for vm in &world.vms {
            assert_eq!(world.aws.tags(vm.number), world.wanted(vm), "seed {seed}, VM {}", vm.number);
        }
        let happened = world.aws.happened();
        assert!(happened.iter().all(|happened| happened.changed), "seed {seed}: done twice: {happened:#?}");
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
