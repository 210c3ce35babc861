//! A month of maintenance windows, many times over, each with other things going wrong ([`super::world`]).
//!
//! A world is described by its seed and comes again from it. `cargo test` runs 1,000 small ones and 3 great ones;
//! `VMBRIDGE_TEST_SEEDS=from..to` (which `scripts/soak month` sets) says which small ones, and `VMBRIDGE_TEST_SEEDS=417..418` runs
//! one.

use std::ops::Range;

use super::world::{Broken, Counts, Shape, World};

const SMALL: Shape = Shape { vms: 50, windows: 5, stores: 8, vcenters: 2, days: 7, faults: true, cycle: 2 };
const GREAT: Shape =
    Shape { vms: 2000, windows: 20, stores: 40, vcenters: 4, days: 31, faults: true, cycle: 5 };

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
fn lives(seed: u64, shape: Shape) -> Counts {
    let ran = std::panic::catch_unwind(|| run(seed, shape, None));
    let Ok((world, result)) = ran else { panic!("seed {seed} of {shape:?} panics") };
    if let Err(broken) = result {
        tell(seed, shape, &broken);
    }
    world.counts
}

fn tell(seed: u64, shape: Shape, broken: &Broken) -> ! {
    let (world, _) = run(seed, shape, Some(broken.vm));
    let log = world.log.join("\n");
    panic!("seed {seed}, {} VMs, vm-{}: {}\n{log}", shape.vms, broken.vm, broken.what);
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
    // Two at a time.
    let half = |range: Range<u64>| {
        let mut counts = Counts::default();
        for seed in range {
            sum(&mut counts, &lives(seed, SMALL));
        }
        counts
    };
    let mut counts = std::thread::scope(|scope| {
        let first = scope.spawn(|| half(low..middle));
        let mut counts = half(middle..high);
        sum(&mut counts, &first.join().unwrap());
        counts
    });
    println!("{} worlds: {counts:?}", high - low);
    // All that is to be lived through does happen.
    if high - low >= 100 {
        counts.plans = 0;
        let happened = format!("{counts:?}");
        assert!(!happened.replace("plans: 0", "").contains(": 0,"), "{happened}");
    }
}

#[test]
fn no_month_of_two_thousand_vms_breaks_a_promise() {
    for seed in 0..3 {
        let counts = lives(seed, GREAT);
        println!("seed {seed}: {counts:?}");
        assert!(counts.taken > 2000, "{counts:?}");
    }
}

#[test]
fn without_faults_every_snapshot_that_can_be_is_in_time() {
    let mut checked = 0;
    for seed in 0..60 {
        let shape = Shape { faults: false, vms: 120, ..SMALL };
        let (world, result) = run(seed, shape, None);
        match result.and_then(|()| world.all_in_time()) {
            Ok(count) => checked += count,
            Err(broken) => tell(seed, shape, &broken),
        }
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
