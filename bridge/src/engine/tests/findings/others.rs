//! Findings of other installations, one of which this one may have been.

use super::*;

fn owners(world: &World) -> Vec<String> {
    let owner = |seen: FindingSeen| seen.whole.unwrap().content.product_fields["vmbridge/owner"].clone();
    world.reports.all_findings().into_iter().map(owner).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_is_told_and_goes_on_when_a_person_says_so() {
    let world = told(4, full()).await;
    world.ping([1, 2, 3], Ping::ConnectionLost).await;
    let engine = world.engine_on(Disk::of("0a0a0a0a", &[])).await;
    settle(&engine).await;
    assert_eq!(owners(&world), ["0a0a0a0a"; 3]);
    drop(engine);

    // Its state is lost. What is there is somebody else's, and everybody is told.
    let world = World { cloud: SharedCloud::new(), ..world };
    world.ping([3], Ping::Online).await;
    world.reports.calls();
    let engine = world.engine_on(Disk::of("0b0b0b0b", &[])).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0));
    let plan = engine.plan();
    assert_eq!(plan.findings.as_ref().unwrap().foreign.len(), 2);
    let vm = plan.vms.iter().find(|vm| *vm.vm.vm == *"vm-1").unwrap();
    let notes = &vm.verdict(Capability::Findings).notes;
    assert!(
        matches!(&notes[..], [VmNote::FindingsOfOthers { count: 1, installation: Some(id) }] if **id == *"0a0a0a0a"),
        "{notes:?}"
    );
    assert!(notes[0].is_problem() && notes[0].sentence().contains("vmbridge state recover"));
    let document = PlanDocument::of(&plan, &engine.policy(), world.clock.now(), |_| true);
    let warning = "3 findings are told by another installation, `0a0a0a0a`";
    assert!(document.findings[0].warnings[0].contains(warning), "{:?}", document.findings[0].warnings);
    let found = engine.look(|view| findings(view, &FindingQuery::default())).unwrap();
    assert_eq!((found.open, found.foreign.len(), found.foreign[0].findings), (0, 1, 3));
    assert_eq!(found.foreign[0].installation.as_deref(), Some("0a0a0a0a"));
    drop(engine);

    // A person says that it was this one: nothing is told twice, and what is over is closed.
    let world = World { cloud: SharedCloud::new(), ..world };
    world.go_on(SOON).await;
    world.reports.calls();
    let engine = world.engine_on(Disk::of("0b0b0b0b", &["0a0a0a0a"])).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (1, 1), "all in one call, and one is over");
    assert_eq!((world.reports.all_findings().len(), world.active().len()), (3, 2));
    assert_eq!(owners(&world), ["0b0b0b0b"; 3]);
    let found = engine.look(|view| findings(view, &FindingQuery::default())).unwrap();
    assert_eq!((found.open, found.resolved, found.foreign.len()), (2, 1, 0));
    world.go_on(2 * DAY).await;
    world.reports.calls();
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_another_installation_has_given_up_is_seen_to_be_free() {
    let world = told(2, full()).await;
    world.ping([1], Ping::ConnectionLost).await;
    let other = world.engine_on(Disk::of("0a0a0a0a", &[])).await;
    settle(&other).await;
    let world = World { cloud: SharedCloud::new(), ..world };
    world.go_on(SOON).await;
    let engine = world.engine_on(Disk::of("0b0b0b0b", &[])).await;
    settle(&engine).await;
    assert_eq!(engine.plan().findings.unwrap().foreign.len(), 1);
    // It is gone for the one, as a reading of the next day shows, and there for the other.
    let id = world.only().key.id.to_string();
    world.reports.forget(&id);
    world.go_on(2 * DAY).await;
    settle(&engine).await;
    assert_eq!(owners(&world), ["0b0b0b0b"]);
    let plan = engine.plan();
    assert!(plan.findings.as_ref().unwrap().foreign.is_empty());
    assert!(plan.findings.as_ref().unwrap().hubs[0].warnings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_any_more_has_not_been_fixed() {
    let mut world = told(2, full()).await;
    world.ping([1], Ping::ConnectionLost).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.policy = policy(&world, FindingsSettings { offline: false, ..full() });
    engine.set_policy(world.policy.clone());
    settle(&engine).await;
    let seen = world.only();
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Archived), Some(WorkflowStatus::Resolved)));
    let content = seen.whole.unwrap().content;
    assert_eq!(content.product_fields["vmbridge/resolution"], "not-asked");
    assert_eq!(content.compliance.status, Status::NotAvailable);
}

#[tokio::test(start_paused = true)]
async fn what_a_former_installation_told_can_be_withdrawn() {
    let world = told(2, full()).await;
    world.ping([1], Ping::ConnectionLost).await;
    let former = world.engine_on(Disk::of("0a0a0a0a", &[])).await;
    settle(&former).await;
    drop(former);
    let mut world = World { cloud: SharedCloud::new(), ..world };
    world.policy = policy(&world, FindingsSettings { mode: Mode::Observe, ..full() });
    world.go_on(SOON).await;
    let engine = world.engine_on(Disk::of("0b0b0b0b", &["0a0a0a0a"])).await;
    engine.compare_findings().await.unwrap();
    assert_eq!(engine.look(|view| findings(view, &FindingQuery::default())).unwrap().open, 1);
    engine.withdraw_findings(true);
    settle(&engine).await;
    let seen = world.only();
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Archived), Some(WorkflowStatus::Resolved)));
    let content = seen.whole.unwrap().content;
    assert_eq!(content.product_fields["vmbridge/owner"], "0b0b0b0b");
    assert_eq!(content.compliance.status, Status::NotAvailable, "its problem is there");
}

#[tokio::test(start_paused = true)]
async fn what_others_tell_where_none_is_sent_any_more_does_not_matter() {
    let world = told(1, full()).await;
    world.ping([1], Ping::ConnectionLost).await;
    let other = world.engine_on(Disk::of("0a0a0a0a", &[])).await;
    settle(&other).await;
    let mut world = World { cloud: SharedCloud::new(), ..world };
    world.go_on(SOON).await;
    let engine = world.engine_on(Disk::of("0b0b0b0b", &[])).await;
    settle(&engine).await;
    let found = || engine.look(|view| findings(view, &FindingQuery::default())).unwrap();
    assert_eq!((found().open, found().foreign.len()), (0, 1));
    world.target.findings_region = Some("eu-west-1".to_owned());
    world.observe().await;
    settle(&engine).await;
    assert_eq!((found().open, found().foreign.len()), (1, 0));
}
