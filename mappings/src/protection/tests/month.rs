//! A month of maintenance windows, many times over, each with other things going wrong ([`super::world`]).
//!
//! A world is described by its seed and comes again from it. `cargo test` runs 1,000 small ones and 3 great ones;
//! `VMBRIDGE_TEST_SEEDS=from..to` (which `scripts/soak month` sets) says which small ones, and `VMBRIDGE_TEST_SEEDS=417..418` runs
//! one.

use std::ops::Range;

use super::world::{Broken, Counts, Shape, World};

const SMALL: Shape = Shape { vms: 50, windows: 5, stores: 8, vcenters: 2, days: 7, faults: true, cycle: 2 };
const GREAT: Shape =
    Shape { vms: 2000, windows: 20, stores: 40, vcenters: 4, days: 31, faults: true, cycle: 30 };

/// An engine that plans at once, and slower ones that see more at a time.
fn small(seed: u64) -> Shape {
    Shape { cycle: [5, 30, 60][usize::try_from(seed % 3).unwrap()], ..SMALL }
}

fn seeds() -> Range<u64> {
    let range = std::env::var("VMBRIDGE_TEST_SEEDS").unwrap_or_else(|_| "0..1000".to_owned());
    let (from, to) = range.split_once("..").expect("VMBRIDGE_TEST_SEEDS is from..to");
    from.parse().unwrap()..to.parse().unwrap()
}

fn run(seed: u64, shape: Shape, watch: Option<usize>) -> (World, Result<(), Broken>) {
    let mut world = World::new(seed, shape, watch);
    let result = world.run();
    (world, result)
}

/// Runs a world. What breaks is told with the seed, and all that happened to the VM concerned.
fn lives(seed: u64, shape: Shape) -> Result<Counts, String> {
    let ran = std::panic::catch_unwind(|| run(seed, shape, None));
    let Ok((world, result)) = ran else { return Err(format!("seed {seed} of {shape:?} panics")) };
    result.map_err(|broken| log_of(seed, shape, &broken))?;
    Ok(world.counts)
}

fn log_of(seed: u64, shape: Shape, broken: &Broken) -> String {
    let (world, _) = run(seed, shape, Some(broken.vm));
    let log = world.log.join("\n");
    let Broken { vm, what } = broken;
    format!("{log}\nseed {seed}, {} VMs, vm-{vm}: {what}", shape.vms)
}

fn sum(counts: &mut Counts, more: &Counts) {
    let Counts {
        plans,
        taken,
        removed,
        patched,
        spared,
        reverted,
        lost,
        late,
        vanished,
        foreign,
        overdue,
        runs,
    } = more;
    counts.plans += plans;
    counts.taken += taken;
    counts.removed += removed;
    counts.patched += patched;
    counts.spared += spared;
    counts.reverted += reverted;
    counts.lost += lost;
    counts.late += late;
    counts.vanished += vanished;
    counts.foreign += foreign;
    counts.overdue += overdue;
    counts.runs += runs;
}

#[test]
fn no_week_breaks_a_promise() {
    let (low, high) = (seeds().start, seeds().end);
    let middle = low.midpoint(high);
    // Two at a time. All that fail are of interest: one alone says little about how often it happens.
    let half = |range: Range<u64>| {
        let (mut counts, mut broken) = (Counts::default(), Vec::new());
        for seed in range {
            match lives(seed, small(seed)) {
                Ok(more) => sum(&mut counts, &more),
                Err(log) => broken.push(log),
            }
        }
        (counts, broken)
    };
    let (counts, broken) = std::thread::scope(|scope| {
        let first = scope.spawn(|| half(low..middle));
        let (mut counts, second) = half(middle..high);
        let (more, mut broken) = first.join().unwrap();
        sum(&mut counts, &more);
        broken.extend(second);
        (counts, broken)
    });
    println!("{} worlds: {counts:?}", high - low);
    let last = |log: &String| log.lines().last().unwrap_or_default().to_owned();
    let all: Vec<String> = broken.iter().map(last).collect();
    assert!(broken.is_empty(), "{}\n\n{} fail:\n{}", broken[0], broken.len(), all.join("\n"));
    // All that is to be lived through does happen.
    if high - low >= 100 {
        let happened = format!("{counts:?}");
        assert!(!happened.contains(": 0"), "{happened}");
    }
}

#[test]
fn no_month_of_two_thousand_vms_breaks_a_promise() {
    for seed in 0..3 {
        let counts = lives(seed, GREAT).unwrap_or_else(|log| panic!("{log}"));
        println!("seed {seed}: {counts:?}");
        assert!(counts.taken > 1500, "{counts:?}");
    }
}

#[test]
fn without_faults_every_snapshot_that_can_be_is_in_time() {
    let mut checked = 0;
    for seed in 0..60 {
        let shape = Shape { faults: false, vms: 120, ..SMALL };
        let (world, result) = run(seed, shape, None);
        let all = result.and_then(|()| world.all_in_time());
        checked += all.unwrap_or_else(|broken| panic!("{}", log_of(seed, shape, &broken)));
        assert_eq!(world.counts.late + world.counts.lost, 0);
    }
    assert!(checked > 5000, "{checked} snapshots were looked at");
}

#[test]
fn a_world_comes_again_from_its_seed() {
    for seed in 0..5 {
        assert_eq!(lives(seed, SMALL), lives(seed, SMALL), "seed {seed}");
    }
}
