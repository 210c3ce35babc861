//! How many operations run at once, and what the truth says about it.

use std::collections::BTreeMap;

use vmbridge_simulator::TaskSetting;

use super::*;

/// The VMs on the datastore that most of them are on, each on that one only.
fn together(vcenter: &Vcenter) -> (String, Vec<String>) {
    let (truth, plain) = (vcenter.truth(), plain_vms(vcenter));
    let mut by_store: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for vm in truth["vms"].as_array().unwrap() {
        let id = vm["id"].as_str().unwrap().to_owned();
        if let [store] = vm["datastores"].as_array().unwrap().as_slice()
            && plain.contains(&id)
        {
            by_store.entry(store.as_str().unwrap().to_owned()).or_default().push(id);
        }
    }
    by_store.into_iter().max_by_key(|(_, vms)| vms.len()).unwrap()
}

#[tokio::test]
async fn a_datastore_works_at_so_many_and_the_others_wait_in_order() {
    let (simulator, client) = start(TaskSetting { datastore_depth: Some(2), ..quick(60_000) }).await;
    let vcenter = &simulator.vcenters()[0];
    let (store, vms) = together(vcenter);
    assert!(vms.len() >= 4, "{vms:?}");
    let mut tasks = Vec::new();
    for vm in &vms[..4] {
        tasks.push(create(&client, vm, "s").await);
    }
    while vcenter.tasks().running.vcenter < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (task, state) in tasks.iter().zip(["running", "running", "queued", "queued"]) {
        let told = info(&client, task).await;
        assert_eq!(told.first("state"), Some(state), "{}", told.body);
        assert_eq!(
            (told.first("startTime").is_some(), told.first("cancelable")),
            (state == "running", Some("true"))
        );
    }
    // What begins from now on is quick.
    vcenter.mutate(&Mutation::SetTasks { tasks: quick(50) }).unwrap();
    for task in &tasks[..2] {
        assert_eq!(client.call("CancelTask", &format!("Task:{task}"), "").await.status, 200);
    }
    for task in &tasks[2..] {
        succeeded(&client, task).await;
    }
    let truth = vcenter.tasks();
    assert_eq!((truth.running.datastores[&store], truth.pending.datastores[&store]), (2, 4));
    assert_eq!((truth.running.vcenter, truth.pending.vcenter), (2, 4));
    assert!(truth.running.hosts.values().all(|count| *count <= 2) && !truth.running.hosts.is_empty());
    let order: Vec<&str> = truth.finished.iter().map(|one| one.task.as_str()).collect();
    assert_eq!(order, tasks);
    let (first, third) = (&truth.finished[0], &truth.finished[2]);
    assert!(third.started.unwrap() >= first.time && third.queued < first.time);
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_host_and_the_vcenter_have_limits_where_they_are_set() {
    for (setting, least) in [
        (TaskSetting { vcenter_depth: Some(1), ..quick(40) }, 1),
        (TaskSetting { host_depth: Some(1), ..quick(40) }, 1),
    ] {
        let by_host = setting.host_depth.is_some();
        let (simulator, client) = start(setting).await;
        let vcenter = &simulator.vcenters()[0];
        let vms = plain_vms(vcenter);
        let mut tasks = Vec::new();
        for vm in &vms[..6] {
            tasks.push(create(&client, vm, "s").await);
        }
        for task in &tasks {
            succeeded(&client, task).await;
        }
        let truth = vcenter.tasks();
        if by_host {
            assert!(truth.running.hosts.values().all(|count| *count == least), "{truth:?}");
            assert!(truth.running.vcenter > 1, "{truth:?}");
        } else {
            assert_eq!(truth.running.vcenter, least);
        }
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_backup_product_comes_and_goes_and_does_not_count() {
    let (simulator, client) = start(quick(600)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = &plain_vms(vcenter)[0];
    let task = vcenter.mutate(&Mutation::backup(vm, 600)).unwrap().unwrap();
    let mine = create(&client, vm, "mine").await;
    assert_eq!(failed(&client, &mine).await, "TaskInProgress");
    let busy = ended(&client, &mine).await;
    assert!(busy.body.contains(&format!("<task type=\"Task\">{task}</task></fault>")), "{}", busy.body);
    assert!(vcenter.mutate(&Mutation::backup(vm, 200)).is_err());
    succeeded(&client, &task).await;
    assert_eq!(truth_of(vcenter, vm)["snapshots"]["roots"][0]["name"], "VEEAM BACKUP TEMPORARY SNAPSHOT");
    assert_eq!(truth_of(vcenter, vm)["snapshots"]["roots"][0]["madeBy"]["foreign"], true);
    let log = finished(vcenter, 3).await;
    assert!(truth_of(vcenter, vm)["snapshots"].is_null());
    let removal = &log[2];
    assert!(removal.by.foreign && removal.snapshots[0].made_by.as_ref().unwrap().foreign);
    assert_eq!((vcenter.tasks().running.vcenter, vcenter.tasks().pending.vcenter), (0, 0));
    simulator.shutdown().await;
}
