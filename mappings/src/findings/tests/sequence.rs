//! Any sequence of what happens to VMs, to people's minds, to the store, to clocks and to the network ends in the state that is
//! computed from scratch, loses nothing that people set, and then is silent.

mod step;
mod world;

use proptest::prelude::*;

use self::step::{Step, step};
use self::world::{RULES, World};
use super::super::RecordState;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_ends_as_if_computed_from_scratch(steps in proptest::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.heal();
        world.check();
        // A second run sends nothing, nor does a rebuilt store.
        let calls = world.hub.calls;
        world.cycle(&[], None);
        prop_assert_eq!(world.hub.calls, calls);
        world.step(Step::Restart { lost: true });
        world.heal();
        world.check();
    }
}

#[test]
fn hidden_things_change_nothing() {
    let mut world = World::new();
    for rule in 0..RULES.len() {
        world.step(Step::Toggle(0, rule));
    }
    world.cycle(&[], None);
    let calls = world.hub.calls;
    world.step(Step::Hide(0));
    world.step(Step::Toggle(0, 0));
    world.step(Step::Rename(0, 2));
    world.cycle(&[], None);
    assert_eq!(world.hub.calls, calls);
    world.step(Step::Hide(0));
    world.cycle(&[], None);
    assert!(world.hub.calls > calls);
}

#[test]
fn what_is_there_never_ages_out_and_costs_one_update_in_45_days() {
    let mut world = World::new();
    for rule in 0..RULES.len() {
        world.step(Step::Toggle(0, rule));
    }
    world.cycle(&[], None);
    // One of the two is refused from now on whenever it is to be said anew, and is kept as it was.
    world.step(Step::Rename(0, 3));
    for day in 0..400 {
        world.step(Step::Advance(24 * 60));
        if day == 100 {
            world.step(Step::SetClock(-200 * 24 * 60));
        }
        world.step(Step::Read);
        world.cycle(&[], None);
        let active = |held: &&super::hub::Held| held.finding.content.record_state == RecordState::Active;
        assert_eq!(world.hub.held.values().filter(active).count(), 2, "day {day}");
    }
    // Two made, two refused once, and each sent again ten times at most: nine for the time, one for the clock.
    assert!(world.hub.calls <= 2 + 3 + 20, "{}", world.hub.calls);
}
