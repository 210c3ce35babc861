//! Every outcome that a script can give to a task.

use vmbridge_simulator::TaskSetting;

use super::*;

async fn first_snapshot(vcenter: &Vcenter, client: &Client) -> (String, String) {
    let vm = plain_vms(vcenter)[0].clone();
    let made = snapshot(client, &vm, "s").await;
    (vm, made)
}

async fn remove(client: &Client, snapshot: &str) -> String {
    let this = format!("VirtualMachineSnapshot:{snapshot}");
    task_of(client, "RemoveSnapshot_Task", &this, "<removeChildren>false</removeChildren>").await
}

#[tokio::test]
async fn a_task_fails_at_the_moment_that_was_scripted() {
    let (simulator, client) = start(quick(100)).await;
    let vcenter = &simulator.vcenters()[0];
    let (vm, made) = first_snapshot(vcenter, &client).await;
    let fails = |fault: &str, percent| TaskOutcome::Fails { fault: fault.to_owned(), percent };
    script(vcenter, &vm, TaskKind::CreateSnapshot, fails("SnapshotDisabled", 0));
    let task = create(&client, &vm, "never").await;
    assert_eq!(failed(&client, &task).await, "SnapshotDisabled");
    // At once nothing has changed; later the snapshot is out of the tree, and its disks are not merged.
    script(vcenter, &vm, TaskKind::RemoveSnapshot, fails("GenericVmConfigFault", 0));
    let task = remove(&client, &made).await;
    assert_eq!(failed(&client, &task).await, "GenericVmConfigFault");
    assert_eq!(truth_of(vcenter, &vm)["snapshots"]["current"], made);
    let before = free_space(vcenter, &vm);
    script(vcenter, &vm, TaskKind::RemoveSnapshot, fails("FileLocked", 60));
    let task = remove(&client, &made).await;
    assert_eq!(failed(&client, &task).await, "FileLocked");
    let now = truth_of(vcenter, &vm);
    assert_eq!((&now["snapshots"], &now["consolidationNeeded"]), (&Value::Null, &Value::Bool(true)));
    assert_eq!(free_space(vcenter, &vm), before);
    let log = vcenter.tasks().finished;
    assert_eq!((log[3].outcome.as_str(), log[3].snapshots.len()), ("FileLocked", 1));
    simulator.shutdown().await;
}

#[tokio::test]
async fn quiescing_fails_only_where_it_was_asked_for() {
    let (simulator, client) = start(quick(50)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::QuiesceFails);
    snapshot(&client, &vm, "not quiesced").await;
    let quiesced = arguments("quiesced", false, true);
    let task = task_of(&client, "CreateSnapshot_Task", &of_vm(&vm), &quiesced).await;
    let fault = failed(&client, &task).await;
    assert!(fault == "FilesystemQuiesceFault" || fault == "ApplicationQuiesceFault", "{fault}");
    // Used up.
    let task = task_of(&client, "CreateSnapshot_Task", &of_vm(&vm), &quiesced).await;
    succeeded(&client, &task).await;

    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::GuestFrozen { thaw_after_ms: None });
    let task = task_of(&client, "CreateSnapshot_Task", &of_vm(&vm), &quiesced).await;
    assert_eq!(failed(&client, &task).await, fault);
    let frozen = truth_of(vcenter, &vm)["guest"].clone();
    assert_eq!(
        (&frozen["toolsRunningStatus"], &frozen["operationsReady"]),
        (&"guestToolsNotRunning".into(), &false.into())
    );
    for method in ["PowerOffVM_Task", "PowerOnVM_Task"] {
        succeeded(&client, &task_of(&client, method, &of_vm(&vm), "").await).await;
    }
    assert_eq!(truth_of(vcenter, &vm)["guest"]["operationsReady"], true);

    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::GuestFrozen { thaw_after_ms: Some(100) });
    let task = task_of(&client, "CreateSnapshot_Task", &of_vm(&vm), &quiesced).await;
    failed(&client, &task).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while truth_of(vcenter, &vm)["guest"]["operationsReady"] != true {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_datastore_is_full_for_a_while() {
    let (simulator, client) = start(quick(1_200)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let before = free_space(vcenter, &vm);
    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::DatastoreFull);
    let task = create(&client, &vm, "s").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while free_space(vcenter, &vm) != 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(failed(&client, &task).await, "NoDiskSpace");
    assert_eq!(free_space(vcenter, &vm), before);
    assert!(truth_of(vcenter, &vm)["snapshots"].is_null());
    simulator.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_lost_and_the_task_runs() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::AnswerLost);
    let arguments = arguments("found later", false, false);
    assert!(client.try_call("CreateSnapshot_Task", &of_vm(&vm), &arguments).await.is_err());
    assert_eq!(finished(vcenter, 1).await[0].outcome, "success");
    assert_eq!(truth_of(vcenter, &vm)["snapshots"]["roots"][0]["name"], "found later");
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_task_times_out_and_its_snapshot_comes_later() {
    let (simulator, client) = start(quick(50)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::TimesOut { extra_ms: TAKES });
    let task = create(&client, &vm, "late").await;
    assert_eq!(failed(&client, &task).await, "Timedout");
    assert!(truth_of(vcenter, &vm)["snapshots"].is_null());
    let again = create(&client, &vm, "again").await;
    assert_eq!(failed(&client, &again).await, "TaskInProgress");
    let log = finished(vcenter, 2).await;
    assert_eq!((log[1].task.as_str(), log[1].outcome.as_str()), (task.as_str(), "success"));
    assert_eq!(truth_of(vcenter, &vm)["snapshots"]["roots"][0]["name"], "late");
    assert_eq!(info(&client, &task).await.first("state"), Some("error"), "it stays as it was told");

    script(vcenter, &vm, TaskKind::CreateSnapshot, TaskOutcome::Slow { extra_ms: TAKES });
    let task = create(&client, &vm, "slow").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(info(&client, &task).await.first("state"), Some("running"));
    succeeded(&client, &task).await;
    simulator.shutdown().await;
}

#[tokio::test]
async fn disks_stay_unmerged_and_consolidation_is_stuck() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let before = free_space(vcenter, &vm);
    let made = snapshot(&client, &vm, "s").await;
    script(vcenter, &vm, TaskKind::RemoveSnapshot, TaskOutcome::ConsolidationNeeded { stuck: 2 });
    succeeded(&client, &remove(&client, &made).await).await;
    let needed = || truth_of(vcenter, &vm)["consolidationNeeded"].as_bool().unwrap();
    assert!(needed() && free_space(vcenter, &vm) < before);
    for _ in 0..2 {
        let task = task_of(&client, "ConsolidateVMDisks_Task", &of_vm(&vm), "").await;
        assert_eq!(failed(&client, &task).await, "FileLocked");
        assert!(needed());
    }
    succeeded(&client, &task_of(&client, "ConsolidateVMDisks_Task", &of_vm(&vm), "").await).await;
    assert!(!needed());
    assert_eq!(free_space(vcenter, &vm), before);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_vm_moves_or_vanishes_in_the_middle() {
    let (simulator, client) = start(quick(100)).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    let was = truth_of(vcenter, &vms[0]);
    let host = vcenter.ids_of("HostSystem").into_iter().find(|id| was["host"] != **id).unwrap();
    let datastore =
        vcenter.ids_of("Datastore").into_iter().find(|id| was["config"]["disks"][0]["datastore"] != **id);
    let outcome = TaskOutcome::VmMoves { host: Some(host.clone()), datastore: datastore.clone() };
    script(vcenter, &vms[0], TaskKind::CreateSnapshot, outcome);
    let task = create(&client, &vms[0], "moved").await;
    succeeded(&client, &task).await;
    let now = truth_of(vcenter, &vms[0]);
    assert_eq!(
        (&now["host"], &now["config"]["disks"][0]["datastore"]),
        (&host.into(), &datastore.unwrap().into())
    );
    assert_eq!(now["snapshots"]["roots"][0]["name"], "moved");

    script(vcenter, &vms[1], TaskKind::CreateSnapshot, TaskOutcome::VmVanishes);
    let task = create(&client, &vms[1], "gone").await;
    assert_eq!(failed(&client, &task).await, "ManagedObjectNotFound");
    assert!(!vcenter.vm_ids().contains(&vms[1]));
    // The same when somebody else removes it.
    let task = create(&client, &vms[2], "gone").await;
    vcenter.mutate(&Mutation::Remove { id: vms[2].clone() }).unwrap();
    assert_eq!(failed(&client, &task).await, "ManagedObjectNotFound");
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_vcenter_restarts_in_the_middle_of_many_tasks() {
    let (simulator, client) = start(TaskSetting { datastore_depth: Some(0), ..quick(TAKES) }).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    // The last one, so that all have been asked for.
    script(vcenter, vms.last().unwrap(), TaskKind::CreateSnapshot, TaskOutcome::VcenterRestarts);
    let mut tasks = Vec::new();
    for vm in &vms {
        tasks.push(create(&client, vm, "s").await);
    }
    let log = finished(vcenter, vms.len()).await;
    assert!(log.iter().all(|one| one.outcome == "success"), "{log:?}");
    assert_eq!(info(&client, &tasks[0]).await.fault(), Some("NotAuthenticated"));
    let client = Client::logged_in(vcenter).await;
    assert_eq!(info(&client, &tasks[0]).await.fault(), Some("ManagedObjectNotFound"));
    for vm in &vms {
        assert_eq!(truth_of(vcenter, vm)["snapshots"]["roots"][0]["name"], "s");
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn chances_repeat_from_their_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (simulator, client) =
            start(TaskSetting { seed: Some(5), vcenter_depth: Some(1), ..quick(5) }).await;
        let vcenter = &simulator.vcenters()[0];
        let scripts = vec![TaskScript {
            chance: 40,
            times: 0,
            ..TaskScript::once(
                TaskKind::CreateSnapshot,
                TaskOutcome::Fails { fault: "FileLocked".to_owned(), percent: 50 },
            )
        }];
        vcenter.mutate(&Mutation::ScriptTasks { scripts, clear: true }).unwrap();
        let mut outcomes = Vec::new();
        for vm in &plain_vms(vcenter)[..8] {
            let task = create(&client, vm, "s").await;
            outcomes.push(ended(&client, &task).await.first("state").unwrap().to_owned());
        }
        assert!(
            outcomes.iter().any(|state| state == "error") && outcomes.iter().any(|state| state == "success")
        );
        runs.push(outcomes);
        simulator.shutdown().await;
    }
    assert_eq!(runs[0], runs[1]);
}
