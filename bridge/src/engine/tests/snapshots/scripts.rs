//! Seeded scripts: whatever goes wrong with whichever VM, and whenever the program is killed, who is to be held is never patched
//! without a snapshot, none of ours is left, none of others is touched, and the journal says why.

use super::vms::MISHAPS;
use super::*;
use crate::engine::tests::aws::FAULTS;
use crate::engine::tests::disk::Refusal;
use crate::fleet::FleetUpdate;

/// VMs of a script. `scripts/soak snapshots` has more of them.
const VMS: u32 = 10;

/// Something that happens at some time.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The program is killed, and started again so many seconds later.
    Kill(i64),
    /// Nothing is heard of the vCenter.
    Silence,
    /// It is heard again.
    Voice,
    /// A VM is deleted.
    Delete(u32),
    /// Calls to AWS go wrong.
    Aws(usize),
    /// The disk is full for a moment.
    Disk,
}

struct Script {
    seed: u64,
    dice: Dice,
    estate: Estate,
    steps: Vec<(i64, Step)>,
    deleted: BTreeSet<u32>,
    /// VMs whose snapshot never succeeds.
    hopeless: BTreeSet<u32>,
    foreign: BTreeSet<u32>,
}

impl Script {
    fn new(seed: u64, count: u32) -> Self {
        let mut dice = Dice(seed);
        let mut estate = Estate::new(count, true);
        let (mut hopeless, mut foreign, mut deleted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for number in 1..=count {
            match dice.roll(12) {
                0..=2 => {
                    let mishaps: Vec<Mishap> =
                        (0..=dice.roll(3)).map(|_| MISHAPS[dice.roll(MISHAPS.len())]).collect();
                    estate.vms.fail(number, Act::Create, mishaps);
                }
                3 => {
                    estate.vms.fail(number, Act::Create, std::iter::repeat_n(Mishap::Space, 200));
                    hopeless.insert(number);
                }
                4 | 5 => {
                    let mishaps: Vec<Mishap> =
                        (0..=dice.roll(3)).map(|_| MISHAPS[dice.roll(MISHAPS.len())]).collect();
                    estate.vms.fail(number, Act::Remove, mishaps);
                }
                6 => {
                    estate.vms.stick(number, dice.number(3));
                    let mishaps: Vec<Mishap> =
                        (0..dice.roll(3)).map(|_| MISHAPS[dice.roll(MISHAPS.len())]).collect();
                    estate.vms.fail(number, Act::Consolidate, mishaps);
                }
                7 => {
                    estate.vms.by_hand(number, "before the upgrade", "by hand");
                    foreign.insert(number);
                }
                8 => {
                    estate.bad.insert(number);
                }
                _ => {}
            }
        }
        let mut steps = Vec::new();
        for _ in 0..dice.roll(8) {
            // In seconds, from before the scope freezes until long after the window.
            let at = 900 + i64::from(dice.number(4200));
            let step = match dice.roll(6) {
                0 | 1 => Step::Kill(i64::from(dice.number(60))),
                2 => {
                    steps.push((at + 20 + i64::from(dice.number(400)), Step::Voice));
                    Step::Silence
                }
                3 => {
                    let number = 1 + dice.number(usize::try_from(count).unwrap());
                    deleted.insert(number);
                    Step::Delete(number)
                }
                4 => Step::Aws(1 + dice.roll(4)),
                _ => Step::Disk,
            };
            steps.push((at, step));
        }
        steps.sort_by_key(|(at, _)| *at);
        estate.window(WINDOW, By::Tag, mins(30), mins(20));
        Self { seed, dice, estate, steps, deleted, hopeless, foreign }
    }

    async fn step(&mut self, program: Program, step: Step) -> Program {
        let estate = &mut self.estate;
        let vcenter = &estate.world.vcenter;
        match step {
            Step::Kill(pause) => {
                program.kill().await;
                tokio::time::sleep(Duration::try_from(secs(pause)).unwrap()).await;
                return estate.start().await;
            }
            Step::Silence => {
                estate.seen.send_replace(false);
                let update = FleetUpdate::Interrupted { error: "gone".to_owned(), retry_at: None };
                vcenter.fleet.apply(&vcenter.name, update, estate.world.clock.now());
            }
            Step::Voice => {
                estate.seen.send_replace(true);
                estate.vms.read(vcenter);
            }
            Step::Delete(number) => estate.vms.delete(number),
            Step::Aws(count) => {
                let faults: Vec<Fault> = (0..count).map(|_| FAULTS[self.dice.roll(FAULTS.len())]).collect();
                estate.world.aws.fail(faults);
            }
            Step::Disk => estate.disk.refuse([[Refusal::Before, Refusal::After][self.dice.roll(2)]]),
        }
        program
    }

    async fn run(mut self) -> Vec<vms::Deed> {
        let mut program = self.estate.start().await;
        let mut is_told = false;
        for (at, step) in self.steps.clone() {
            if at > 31 * 60 && !is_told {
                self.estate.until(mins(31)).await;
                self.is_told(&program);
                is_told = true;
            }
            self.estate.until(secs(at)).await;
            program = self.step(program, step).await;
        }
        if !is_told {
            self.estate.until(mins(31)).await;
            self.is_told(&program);
        }
        self.estate.until(mins(100)).await;
        self.estate.seen.send_replace(true);
        self.estate.vms.read(&self.estate.world.vcenter);
        self.estate.vms.heal();
        self.estate.world.aws.heal();
        self.estate.disk.heal();
        // What is written although an error was told is only found by the next start.
        program.kill().await;
        program = self.estate.start().await;
        // It is over when nothing is left to be done; what is too late shows in what is left.
        for minute in (110..=330).step_by(10) {
            self.estate.until(mins(minute)).await;
            let plan = program.engine.plan();
            let is_active = |record: &Record| record.stage.is_active();
            if plan.actions.is_empty() && !program.records().iter().any(is_active) {
                break;
            }
        }
        if std::env::var_os("VMBRIDGE_TEST_SHOW").is_some() {
            println!("seed {}: {:?} {:#?}", self.seed, self.steps, self.estate.vms.deeds());
            println!("{:#?} {:#?}", self.estate.disk.journal(), program.records());
        }
        self.is_right(&program);
        program.stop().await;
        self.estate.vms.deeds()
    }

    /// Just after the opening: who is not patched was held, and that is said.
    fn is_told(&self, program: &Program) {
        let seed = self.seed;
        let patched = self.estate.patched();
        for number in self.estate.numbers().filter(|number| !self.deleted.contains(number)) {
            let patched = patched.iter().find(|patched| patched.vm == number);
            match patched {
                Some(patched) => assert!(
                    patched.snapshots > 0,
                    "seed {seed}: VM {number} was patched without a snapshot: {:?}",
                    program.record(number)
                ),
                None => assert!(
                    !self.estate.tagged().contains(&number) || self.estate.vms.ours(number) > 0,
                    "seed {seed}: VM {number} was neither patched nor held"
                ),
            }
            if patched.is_none() && self.hopeless.contains(&number) {
                assert_eq!(program.word(number), "held", "seed {seed}, VM {number}");
            }
        }
        assert!(patched.iter().all(|patched| !self.hopeless.contains(&patched.vm)), "seed {seed}");
    }

    fn is_right(&self, program: &Program) {
        let (seed, estate) = (self.seed, &self.estate);
        let records = program.records();
        let active: Vec<&Record> = records.iter().filter(|record| record.stage.is_active()).collect();
        assert!(active.is_empty(), "seed {seed}: {active:#?}");
        for number in estate.numbers().filter(|number| !self.deleted.contains(number)) {
            let foreign = usize::from(self.foreign.contains(&number));
            let left = estate.vms.snapshots(number);
            assert_eq!(left.len(), foreign, "seed {seed}, VM {number}: {left:?}");
            assert!(!estate.vms.is_left_over(number), "seed {seed}, VM {number}");
            assert!(estate.tagged().contains(&number), "seed {seed}, VM {number}");
        }
        let of = |act: Act| {
            let deeds = estate.vms.deeds().into_iter().filter(move |deed| deed.act == act);
            deeds.filter_map(|deed| deed.snapshot).collect::<Vec<_>>()
        };
        let (mut taken, mut removed) = (of(Act::Create), of(Act::Remove));
        taken.sort();
        removed.sort();
        let once = removed.len();
        removed.dedup();
        assert_eq!(once, removed.len(), "seed {seed}: nothing is removed twice");
        assert!(removed.iter().all(|snapshot| taken.contains(snapshot)), "seed {seed}: only what is ours");
        assert!(estate.vms.most_creates() <= 2, "seed {seed}");
        estate.journal_explains(&format!("seed {seed}"));
        let plan = program.engine.plan();
        assert!(plan.actions.is_empty(), "seed {seed}: {:#?}", plan.actions);
    }
}

fn script(seed: u64, count: u32) -> Vec<vms::Deed> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { Script::new(seed, count).run().await })
}

/// The seeds that are run: `VMBRIDGE_TEST_SEEDS=from..to`, or some.
fn seeds() -> std::ops::Range<u64> {
    let range = std::env::var("VMBRIDGE_TEST_SEEDS").unwrap_or_else(|_| "0..10".to_owned());
    let (from, to) = range.split_once("..").expect("VMBRIDGE_TEST_SEEDS is from..to");
    from.parse().unwrap()..to.parse().unwrap()
}

fn all(seeds: std::ops::Range<u64>, count: u32) {
    let (mut deeds, mut failed) = (0, Vec::new());
    for seed in seeds {
        match std::panic::catch_unwind(|| script(seed, count).len()) {
            Ok(count) => deeds += count,
            Err(_) => failed.push(seed),
        }
    }
    println!("{deeds} snapshots taken, removed and consolidated");
    assert!(failed.is_empty(), "{} of them fail: {failed:?}", failed.len());
    assert!(deeds > 0, "no seed did anything");
}

#[test]
fn every_night_ends_well() {
    all(seeds(), VMS);
}

#[test]
fn a_night_runs_the_same_way_every_time() {
    for seed in seeds().take(3) {
        assert_eq!(script(seed, 5), script(seed, 5), "seed {seed}");
    }
}
