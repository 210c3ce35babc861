//! Nights in which all goes as it should, or nearly.

use super::*;
use crate::fleet::FleetUpdate;

#[tokio::test(start_paused = true)]
async fn a_night_from_the_first_sight_of_the_window_to_the_last_trace_of_it() {
    let mut estate = Estate::new(12, true);
    estate.bad.insert(3);
    estate.vms.stick(5, 1);
    estate.vms.by_hand(7, "before the upgrade", "by hand");
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;

    // As soon as the window is seen it is known who is in it, and that there is time enough.
    estate.until(mins(5)).await;
    let plan = program.engine.plan();
    let window = &plan.windows[0];
    assert_eq!((window.forecast.members.len(), window.forecast.planned.len()), (12, 12));
    assert!(window.forecast.late.is_empty() && window.cannot_hold.is_empty(), "{window:#?}");
    assert_eq!(
        (window.forecast.freezes, window.forecast.deadline),
        (estate.at(mins(20)), estate.at(mins(28)))
    );
    assert_eq!(program.word(1), "snapshotPlanned");
    assert_eq!(estate.vms.calls(), BTreeMap::new(), "nothing is done before its time");
    assert_eq!(estate.tagged().len(), 12);

    // Its scope freezes: who has no snapshot is kept out until it has one.
    estate.until(mins(21)).await;
    assert_eq!(program.engine.0.memory().scopes.len(), 1);
    assert_eq!(estate.tagged().len(), estate.ours(), "{:?}", estate.tagged());
    estate.until(mins(28)).await;
    assert_eq!(estate.ours(), 12, "all of them, before the deadline");
    assert_eq!(estate.vms.most_creates(), 2, "never more at a time than allowed");
    estate.until(mins(29)).await;
    assert_eq!(estate.tagged().len(), 12, "the tags are back");
    assert_eq!(program.word(1), "protected");

    estate.until(mins(33)).await;
    let patched = estate.patched();
    assert_eq!(patched.len(), 12);
    assert!(patched.iter().all(|patched| patched.snapshots == 1), "{patched:?}");
    assert_eq!(estate.ours(), 12, "nothing is removed before they have soaked");
    // Those that are well lose theirs, the other one is kept for longer, and that is said.
    estate.until(mins(55)).await;
    assert_eq!((estate.ours(), estate.vms.ours(3)), (1, 1));
    assert_eq!(program.word(3), "snapshotKept");
    assert!(!estate.vms.is_left_over(5), "what the removal left over is consolidated");
    estate.until(mins(95)).await;
    assert_eq!(estate.ours(), 0);
    assert_eq!(estate.vms.snapshots(7), [("before the upgrade".to_owned(), None)]);
    assert!(program.records().iter().all(|record| !record.stage.is_active()), "{:#?}", program.records());
    estate.journal_explains("a night");

    // Nothing more is done, and nothing more is asked.
    estate.until(mins(100)).await;
    let (_, _, effects) = (estate.vms.calls(), estate.world.aws.calls(), estate.world.aws.effects().len());
    estate.until(mins(160)).await;
    assert_eq!(estate.vms.calls(), BTreeMap::new());
    assert_eq!(estate.world.aws.effects().len(), effects);
    let plan = program.engine.plan();
    assert!(plan.actions.is_empty() && plan.protections.is_empty() && plan.scopes.is_empty());
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn who_only_observes_changes_nothing_and_ends_what_was_begun() {
    let mut estate = Estate::new(2, true);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let observing =
        crate::config::SnapshotSettings { mode: Mode::Observe, ..(*estate.world.policy.snapshots).clone() };
    estate.world.policy.snapshots = Arc::new(observing);
    let program = estate.start().await;
    estate.until(mins(60)).await;
    assert_eq!((estate.vms.calls(), estate.ours(), estate.tagged().len()), (BTreeMap::new(), 0, 2));
    assert!(program.records().is_empty());
    assert_eq!(program.engine.0.memory().scopes.len(), 1, "what the window looked like is remembered");
    program.stop().await;

    let mut estate = Estate::new(2, true);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(29)).await;
    assert_eq!(estate.ours(), 2);
    let observing =
        crate::config::SnapshotSettings { mode: Mode::Observe, ..(*estate.world.policy.snapshots).clone() };
    program.engine.set_policy(Policy { snapshots: Arc::new(observing), ..estate.world.policy.clone() });
    estate.until(mins(120)).await;
    assert_eq!(estate.ours(), 0, "what was begun is ended");
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn another_memory_finds_foreign_snapshots_and_touches_none() {
    let mut estate = Estate::new(1, true);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let vcenter = &estate.world.vcenter.uuid;
    for (owner, record) in [("ffffffff", 1), ("0123abcd", 2)] {
        let mark = mappings::snapshot::name::Mark::new(owner, vcenter, "vm-1", None, record).unwrap();
        estate.vms.by_hand(1, "vmbridge/old/20260101T0000Z", &mark.description("old", estate.start));
    }
    let program = estate.start().await;
    // One of another installation, and one with our own mark of which nothing is remembered: neither is ours to remove.
    estate.until(mins(5)).await;
    assert!(program.notes(1).contains(&"orphanSnapshot".to_owned()) || program.word(1) == "orphanSnapshot");
    estate.until(mins(120)).await;
    assert_eq!(estate.patched(), [Patched { window: WINDOW.into(), vm: 1, snapshots: 2 }]);
    let left = estate.vms.snapshots(1);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|(name, _)| name.contains("old")), "{left:?}");
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_left_the_configuration_loses_its_snapshot_all_the_same() {
    let mut estate = Estate::new(2, true);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(29)).await;
    assert_eq!(estate.ours(), 2);
    // The first VM is not among those that the configuration names any more.
    let scope: mappings::selector::Selector = "name=web-2".parse().unwrap();
    estate.world.fleet.add(&estate.world.vcenter.name, &scope);
    estate.until(mins(30) + mins(180)).await;
    assert_eq!(estate.ours(), 0);
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_two_vcenters_with_one_id_nothing_is_certain() {
    let mut estate = Estate::new(1, true);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(29)).await;
    assert_eq!(estate.ours(), 1);
    // A copy of the vCenter appears, in which the VM has no snapshot.
    let twin = TestVcenter::new(&estate.world.fleet, "dc1 copy", 1);
    twin.read(&estate.world.vms, estate.world.clock.now());
    estate.until(mins(80)).await;
    twin.fleet.apply(&twin.name, FleetUpdate::Current, estate.world.clock.now());
    let plan = program.engine.plan();
    assert!(plan.protections.is_empty(), "{:#?}", plan.protections);
    assert!(plan.actions.iter().all(|planned| planned.action.capability() != Capability::Snapshots));
    assert_eq!(estate.ours(), 1, "nothing is done to either");
    assert!(program.record(1).unwrap().1.stage.is_active());
    estate.world.fleet.remove(&twin.name);
    estate.until(mins(160)).await;
    assert_eq!(estate.ours(), 0);
    program.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_wants_is_not_undone_by_an_older_plan() {
    let mut estate = Estate::new(1, true);
    estate.bad.insert(1);
    estate.window(WINDOW, By::Tag, mins(30), mins(20));
    let program = estate.start().await;
    estate.until(mins(55)).await;
    let (vm, record) = program.record(1).unwrap();
    assert_eq!(record.stage, Stage::Kept);
    let Program { engine, mut tasks, .. } = program;
    tasks.shutdown().await;
    let wishes = |wish| Event::Wished(wish);
    let wished = engine.wish(&vm, &record, wishes(mappings::protection::Wish::Remove), true).await.unwrap();
    assert_eq!(wished.unwrap().stage, Stage::Remove);
    let planned = engine.plan().actions.into_iter().find(|planned| planned.action.vm() == Some(&vm)).unwrap();
    // Before that begins the person thinks better of it.
    let wished = engine.wish(&vm, &record, wishes(mappings::protection::Wish::Revert), true).await.unwrap();
    assert_eq!(wished.unwrap().stage, Stage::Revert);
    estate.vms.calls();
    assert!(!engine.0.execute(planned).await);
    assert_eq!(estate.vms.calls(), BTreeMap::new());
    assert!(engine.0.memory().open.is_empty());
    drop(engine);

    let program = estate.start().await;
    estate.until(mins(60)).await;
    let (_, record) = program.record(1).unwrap();
    assert_eq!(record.judgement, Some(mappings::protection::Judgement::RolledBack));
    assert_eq!(record.stage, Stage::Kept);
    assert!(estate.vms.is_on(1), "it was running before");
    program.stop().await;
}
