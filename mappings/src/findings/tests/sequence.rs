//! Any sequence of what happens to VMs, to people's minds, to the store, to clocks and to the network ends in the state that is
//! computed from scratch, loses nothing that people set, and then is silent.

mod world;

use proptest::prelude::*;

use self::world::{Fate, RULES, Step, VMS, World};
use super::super::life::WorkflowStatus;
use super::super::{RecordState, Severity};

fn step() -> impl Strategy<Value = Step> {
    let vm = || 0..VMS;
    let rule = || 0..RULES.len();
    let fate = prop_oneof![
        3 => Just(Fate::Taken), 1 => Just(Fate::Throttled), 1 => Just(Fate::Refused),
        1 => Just(Fate::AnswerLost), 1 => Just(Fate::Lost),
    ];
    let status = prop_oneof![
        Just(WorkflowStatus::New),
        Just(WorkflowStatus::Notified),
        Just(WorkflowStatus::Suppressed),
        Just(WorkflowStatus::Resolved),
    ];
    let severity = prop_oneof![Just(Severity::Low), Just(Severity::Critical)];
    let cycle = (proptest::collection::vec(fate, 0..6), proptest::option::weighted(0.2, 1..6_usize));
    let seen = prop_oneof![
        2 => vm().prop_map(Step::Hide),
        2 => (vm(), rule()).prop_map(|(vm, rule)| Step::HideRule(vm, rule)),
        3 => vm().prop_map(Step::HideInstance),
        2 => (vm(), rule()).prop_map(|(vm, rule)| Step::Accept(vm, rule)),
        2 => Just(Step::Fold),
    ];
    let moved = prop_oneof![
        // The last name is one that Security Hub refuses.
        2 => (vm(), 0..4_u8).prop_map(|(vm, name)| Step::Rename(vm, name)),
        1 => vm().prop_map(Step::Move),
        1 => vm().prop_map(Step::Delete),
        1 => vm().prop_map(Step::Recreate),
    ];
    let time = prop_oneof![
        6 => (0..2000_u32).prop_map(Step::Advance),
        2 => (0..100 * 24 * 60_u32).prop_map(Step::Advance),
        3 => (-600..600_i32).prop_map(Step::SetClock),
        2 => (-600_000..600_000_i32).prop_map(Step::SetClock),
    ];
    let people = prop_oneof![
        3 => (any::<usize>(), status).prop_map(|(at, status)| Step::Workflow(at, status)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, note)| Step::Note(at, note)),
        1 => (any::<usize>(), any::<u8>()).prop_map(|(at, field)| Step::Field(at, field)),
        1 => (any::<usize>(), severity).prop_map(|(at, severity)| Step::Severity(at, severity)),
    ];
    let store = prop_oneof![
        2 => Just(Step::Keep),
        2 => any::<bool>().prop_map(|lost| Step::Restart { lost }),
        2 => Just(Step::NewInstallation),
        1 => Just(Step::Recover),
        2 => Just(Step::Read),
        2 => (vm(), rule(), any::<bool>()).prop_map(|(vm, rule, there)| Step::Stranger { vm, rule, there }),
    ];
    prop_oneof![
        6 => (vm(), rule()).prop_map(|(vm, rule)| Step::Toggle(vm, rule)),
        2 => (vm(), rule(), 0..3_u8).prop_map(|(vm, rule, variant)| Step::Vary(vm, rule, variant)),
        4 => seen,
        4 => moved,
        5 => time,
        4 => people,
        4 => store,
        4 => Just(Step::Cycle { fates: vec![], killed: None }),
        4 => cycle.prop_map(|(fates, killed)| Step::Cycle { fates, killed }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

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
