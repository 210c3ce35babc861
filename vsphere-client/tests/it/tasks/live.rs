//! With VMware's own simulator: what is asked for is done, and every task is followed to its end once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use vsphere_client::ids::{SnapshotRef, TaskRef};
use vsphere_client::model::{TaskInfo, TaskState, unescape_name};
use vsphere_client::soap::FaultKind;
use vsphere_client::vcenter::Vcenter;
use vsphere_client::vcenter::snapshot::{Quiesce, SnapshotFault, SnapshotSpec};
use vsphere_client::watch::{TaskEvent, TaskWatch, TaskWatchOptions};
use vsphere_client::xml::Named;

use crate::vcsim::{Detour, Vcsim};

fn client(vcsim: &Vcsim) -> Vcenter {
    vcsim.client(vcsim.address(), vcsim.ca_pem())
}

fn options() -> TaskWatchOptions {
    TaskWatchOptions {
        max_wait: Duration::from_secs(20),
        retry: (Duration::from_millis(20), Duration::from_millis(100)),
        ..TaskWatchOptions::default()
    }
}

async fn next(watch: &mut TaskWatch) -> TaskEvent {
    tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("no event").unwrap()
}

/// The next event that is not about the connection.
async fn next_of_a_task(watch: &mut TaskWatch) -> TaskEvent {
    loop {
        match next(watch).await {
            TaskEvent::Interrupted { .. } => {}
            event => return event,
        }
    }
}

async fn finished(watch: &mut TaskWatch) -> Box<TaskInfo> {
    match next_of_a_task(watch).await {
        TaskEvent::Finished(info) => info,
        event => panic!("not finished: {event:?}"),
    }
}

async fn silent(watch: &mut TaskWatch) {
    let more = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
    assert!(more.is_err(), "told more: {more:?}");
}

/// Waits until a method was called so often.
async fn called(vcsim: &Vcsim, method: &str, times: u64) {
    for _ in 0..200 {
        if vcsim.calls(method).await == times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{method} was called {} times, not {times}", vcsim.calls(method).await);
}

fn spec(name: &str, quiesce: Quiesce) -> SnapshotSpec {
    SnapshotSpec { name: name.into(), description: "before <patches> & more".into(), memory: false, quiesce }
}

#[tokio::test]
async fn snapshots_are_taken_found_gone_back_to_and_removed() {
    let vcsim = Vcsim::start(4).await;
    let client = client(&vcsim);
    let vm = &vcsim.vms().await[0];
    assert_eq!(client.snapshots(vm).await.unwrap(), None);
    let mut watch = client.watch_tasks(options());
    let mut made: Vec<SnapshotRef> = Vec::new();
    for (name, quiesce) in
        [("vmbridge/w-1/50%", Quiesce::Off), ("b\\c", Quiesce::On), ("%2f", Quiesce::WithTimeout(10))]
    {
        let task = client.create_snapshot(vm, &spec(name, quiesce)).await.unwrap();
        watch.add(task.clone());
        let info = finished(&mut watch).await;
        assert_eq!((&info.task, &info.state), (&task, &Named::Known(TaskState::Success)));
        assert_eq!(info.entity.as_ref(), Some(vm));
        assert!(info.description_id.starts_with("VirtualMachine.createSnapshot"), "{info:?}");
        assert!(info.queue_time <= info.complete_time && info.complete_time.is_some());
        let snapshot = info.snapshot().unwrap();
        let all = client.snapshots(vm).await.unwrap().unwrap();
        let found = all.find(&snapshot).unwrap();
        assert_eq!(unescape_name(&found.name), name);
        assert_eq!(&*found.description, "before <patches> & more");
        assert_eq!(found.quiesced, quiesce != Quiesce::Off);
        assert_eq!(all.current.as_ref(), Some(snapshot.as_moref()));
        made.push(snapshot);
        assert_eq!((all.count(), all.depth(), all.current_depth()), (made.len(), made.len(), made.len()));
    }
    watch.add(client.revert_to_snapshot(&made[1], true).await.unwrap());
    assert!(finished(&mut watch).await.error.is_none());
    assert_eq!(client.snapshots(vm).await.unwrap().unwrap().current_depth(), 2);

    watch.add(client.remove_snapshot(&made[2], true).await.unwrap());
    assert!(finished(&mut watch).await.error.is_none());
    let left = client.snapshots(vm).await.unwrap().unwrap();
    assert!(left.find(&made[2]).is_none() && left.find(&made[0]).is_some());
    assert!(!client.consolidation_needed(vm).await.unwrap());

    let gone = client.remove_snapshot(&made[2], true).await.unwrap_err();
    assert!(!gone.may_have_taken_place());
    assert_eq!(SnapshotFault::of(gone.error()), Some(SnapshotFault::SnapshotGone));
    // It has no such method, and says so before anything is done.
    let lacking = client.consolidate_disks(vm).await.unwrap_err();
    assert!(!lacking.may_have_taken_place(), "{lacking:?}");

    let recent = client.recent_tasks(vm).await.unwrap();
    let done: Vec<_> = recent.iter().map(|task| &*task.description_id).collect();
    assert_eq!(
        done[done.len() - 5..],
        [
            "VirtualMachine.createSnapshotEx",
            "VirtualMachine.createSnapshotEx",
            "VirtualMachine.createSnapshotEx",
            "VirtualMachine.revertToSnapshot",
            "VirtualMachine.removeSnapshot"
        ]
    );
    let read = client.task_info(&recent[done.len() - 1].task).await.unwrap();
    assert_eq!(&read, &recent[done.len() - 1]);
    let nothing = client.task_info(&TaskRef::new("task-none")).await.unwrap_err();
    assert!(matches!(nothing.fault(), Some(FaultKind::ManagedObjectNotFound(_))), "{nothing:?}");
    watch.close().await;
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_vm_that_is_off_is_powered_on_and_one_that_is_on_fails_with_a_type() {
    let vcsim = Vcsim::start(4).await;
    let client = client(&vcsim);
    let vm = &vcsim.vms().await[1];
    let body = format!("{{\"op\":\"power-off\",\"vm\":\"{}\"}}", vm.value());
    vcsim.control("POST", "/mutate", &body).await;
    let mut watch = client.watch_tasks(options());
    watch.add(client.power_on(vm).await.unwrap());
    assert!(finished(&mut watch).await.error.is_none());
    watch.add(client.power_on(vm).await.unwrap());
    let failed = finished(&mut watch).await;
    let failure = failed.outcome().unwrap().unwrap_err();
    assert_eq!(
        (failure.fault.as_str(), SnapshotFault::of_task(failure)),
        ("InvalidPowerState", SnapshotFault::InvalidPowerState)
    );
}

#[tokio::test]
async fn forty_tasks_at_once_cost_one_list_and_each_ends_once() {
    let vcsim = Vcsim::start(40).await;
    let client = client(&vcsim);
    let vms = vcsim.vms().await;
    assert_eq!(vms.len(), 40);
    vcsim.control("POST", "/stats/reset", "{}").await;
    let mut watch = client.watch_tasks(options());
    let mut tasks = BTreeMap::new();
    for vm in &vms {
        let task = client.create_snapshot(vm, &spec("forty", Quiesce::Off)).await.unwrap();
        tasks.insert(task, vm);
    }
    let handle = watch.handle();
    tasks.keys().for_each(|task| handle.add(task.clone()));
    let mut ended = BTreeSet::new();
    while ended.len() < 40 {
        let info = finished(&mut watch).await;
        assert_eq!(info.entity.as_ref(), Some(tasks[&info.task]));
        assert!(info.snapshot().is_some());
        assert!(ended.insert(info.task.clone()), "{} ended twice", info.task);
    }
    silent(&mut watch).await;
    // One that has ended is told again to whoever asks again.
    let again = ended.pop_first().unwrap();
    watch.add(again.clone());
    assert_eq!(finished(&mut watch).await.task, again);
    watch.close().await;
    for (method, times) in [
        ("CreateListView", 1),
        ("CreatePropertyCollector", 1),
        ("CreateFilter", 1),
        ("DestroyPropertyCollector", 1),
        ("DestroyView", 1),
    ] {
        assert_eq!(vcsim.calls(method).await, times, "{method}");
    }
    assert!(vcsim.calls("WaitForUpdatesEx").await <= 5, "one wait for all");
    client.close().await.unwrap();
    assert_eq!(vcsim.sessions().await, 0);
}

#[tokio::test]
async fn tasks_are_added_while_others_are_waited_for_and_their_progress_is_told() {
    let vcsim = Vcsim::start(4).await;
    let client = client(&vcsim);
    let (first, second, third) = (vcsim.task().await, vcsim.task().await, vcsim.task().await);
    let mut watch = client.watch_tasks(options());
    watch.add(first.clone());
    silent(&mut watch).await;
    let waits = vcsim.calls("WaitForUpdatesEx").await;
    watch.handle().add(second.clone());
    vcsim.set_task(&second, &["-s", "running"]).await;
    for expected in [7, 60] {
        vcsim.set_task(&second, &["-p", &expected.to_string()]).await;
        let TaskEvent::Progress { task, percent } = next(&mut watch).await else { panic!("no progress") };
        assert_eq!((task, percent), (second.clone(), expected));
    }
    assert!(vcsim.calls("WaitForUpdatesEx").await <= waits + 4, "the wait is not begun anew without need");
    vcsim.set_task(&second, &["-s", "success"]).await;
    assert_eq!(finished(&mut watch).await.task, second);

    client.cancel_task(&first).await.unwrap();
    let cancelled = finished(&mut watch).await;
    assert!(cancelled.cancelled && cancelled.task == first);
    let failure = cancelled.outcome().unwrap().unwrap_err();
    assert_eq!(SnapshotFault::of_task(failure), SnapshotFault::RequestCanceled);
    assert_eq!(failure.message, "The task was canceled by a user");
    let refused = client.cancel_task(&first).await.unwrap_err();
    assert_eq!(refused.error().fault(), Some(&FaultKind::Other("InvalidState".into())));
    assert!(!refused.may_have_taken_place());

    // What is forgotten is not told any more.
    watch.add(third.clone());
    silent(&mut watch).await;
    watch.forget(&third);
    vcsim.set_task(&third, &["-s", "running"]).await;
    vcsim.set_task(&third, &["-s", "error"]).await;
    silent(&mut watch).await;
    watch.close().await;
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_lost_costs_no_task() {
    let vcsim = Vcsim::start(4).await;
    let client = client(&vcsim);
    let mut watch = client.watch_tasks(options());
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let task = vcsim.task().await;
        vcsim.set_task(&task, &["-s", "running"]).await;
        watch.add(task.clone());
        tasks.push(task);
    }
    silent(&mut watch).await;
    vcsim.control("POST", "/sessions/terminate", "{}").await;
    let TaskEvent::Interrupted { .. } = next(&mut watch).await else { panic!("not interrupted") };
    for task in &tasks {
        vcsim.set_task(task, &["-s", "success"]).await;
    }
    let mut ended = BTreeSet::new();
    while ended.len() < tasks.len() {
        assert!(ended.insert(finished(&mut watch).await.task.clone()), "told twice");
    }
    silent(&mut watch).await;
    watch.close().await;
    client.close().await.unwrap();
    assert_eq!(vcsim.sessions().await, 0);
}

#[tokio::test]
async fn a_server_that_was_restarted_has_lost_its_tasks_and_each_is_told_as_gone_once() {
    let (before, after) = (Vcsim::start(4).await, Vcsim::start(4).await);
    let detour = Detour::to(before.address()).await;
    let client = before.client(detour.address, [before.ca_pem(), after.ca_pem()].concat());
    let vm = &before.vms().await[0];
    let mut watch = client.watch_tasks(options());
    // Both count their tasks from the same number.
    let first = before.task().await;
    let mut lost = BTreeSet::new();
    for _ in 0..3 {
        let task = before.task().await;
        watch.add(task.clone());
        lost.insert(task);
    }
    silent(&mut watch).await;
    detour.turn(None);
    let TaskEvent::Interrupted { .. } = next(&mut watch).await else { panic!("not interrupted") };
    // Added while there is no server.
    let (unborn, fresh) = (TaskRef::new("task-none"), after.task().await);
    assert_eq!(fresh, first);
    watch.add(unborn.clone());
    lost.insert(unborn);
    detour.turn(Some(after.address()));
    watch.add(fresh.clone());
    while !lost.is_empty() {
        match next_of_a_task(&mut watch).await {
            TaskEvent::Gone(task) => assert!(lost.remove(&task), "{task} is told twice or was never added"),
            event => panic!("not gone: {event:?}"),
        }
    }
    after.set_task(&fresh, &["-s", "running"]).await;
    after.set_task(&fresh, &["-s", "success"]).await;
    assert_eq!(finished(&mut watch).await.task, fresh);
    watch.add(client.create_snapshot(vm, &spec("after", Quiesce::Off)).await.unwrap());
    assert!(finished(&mut watch).await.snapshot().is_some());
    silent(&mut watch).await;
    watch.close().await;
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_watch_without_tasks_holds_nothing_and_one_that_is_dropped_leaves_nothing() {
    let vcsim = Vcsim::start(4).await;
    let client = client(&vcsim);
    let watch = client.watch_tasks(options());
    watch.close().await;
    assert_eq!(vcsim.calls("CreateListView").await, 0);

    let mut watch = client.watch_tasks(TaskWatchOptions { idle: Duration::from_millis(50), ..options() });
    let task = vcsim.task().await;
    vcsim.set_task(&task, &["-s", "success"]).await;
    for times in 1..=2 {
        watch.add(task.clone());
        finished(&mut watch).await;
        called(&vcsim, "DestroyView", times).await;
    }
    watch.add(vcsim.task().await);
    silent(&mut watch).await;
    drop(watch);
    called(&vcsim, "DestroyView", 3).await;
    assert_eq!(vcsim.calls("DestroyPropertyCollector").await, 3);

    // A client that is closed ends its watches.
    let mut watch = client.watch_tasks(options());
    client.close().await.unwrap();
    watch.add(task);
    assert!(watch.next().await.is_none());
}
