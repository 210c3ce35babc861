//! What is told of tasks while they run and when they are forgotten.

use vmbridge_simulator::{FaultEffect, FaultRule, TaskKind, TaskSetting, User};

use super::*;

async fn wait(client: &Client, version: &str) -> Answer {
    let options = "<options><maxWaitSeconds>10</maxWaitSeconds></options>";
    client.call("WaitForUpdatesEx", COLLECTOR, &format!("<version>{version}</version>{options}")).await
}

#[tokio::test]
async fn one_filter_over_a_list_view_follows_any_number_of_tasks() {
    let (simulator, client) = start(quick(TAKES)).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    let list = client.call("CreateListView", "ViewManager", "").await;
    let list = list.first("returnval").unwrap().to_owned();
    let spec = format!(
        "<spec>{}<objectSet><obj type=\"ListView\">{list}</obj><skip>true</skip><selectSet xsi:type=\"TraversalSpec\">\
         <name>view</name><type>ListView</type><path>view</path><skip>false</skip></selectSet></objectSet></spec>\
         <partialUpdates>false</partialUpdates>",
        props("Task", &["info.state", "info.progress", "info.error"])
    );
    assert_eq!(client.call("CreateFilter", COLLECTOR, &spec).await.status, 200);
    let mut version = wait(&client, "").await.first("version").unwrap().to_owned();
    let mut tasks = Vec::new();
    for vm in &vms[..3] {
        tasks.push(create(&client, vm, "s").await);
    }
    let members: String = tasks.iter().map(|task| format!("<add type=\"Task\">{task}</add>")).collect();
    let this = format!("ListView:{list}");
    let unknown = "<add type=\"Task\">task-99999</add>";
    let modified = client.call("ModifyListView", &this, &format!("{members}{unknown}")).await;
    assert_eq!(modified.all("returnval"), ["task-99999"]);
    // Each comes in, makes progress, succeeds, and leaves when it is forgotten.
    let (mut entered, mut progress, mut over, mut left) = (0, 0, 0, 0);
    while left < 3 {
        let answer = wait(&client, &version).await;
        version = answer.first("version").unwrap_or_else(|| panic!("{}", answer.body)).to_owned();
        for update in answer.all("objectSet") {
            entered += usize::from(update.contains("<kind>enter</kind>"));
            left += usize::from(update.contains("<kind>leave</kind>"));
            progress += usize::from(update.contains("xsi:type=\"xsd:int\""));
            over += usize::from(update.contains(">success</val>"));
        }
        if over == 3 {
            let at_once = TaskSetting { retention_ms: Some(0), ..TaskSetting::default() };
            vcenter.mutate(&Mutation::SetTasks { tasks: at_once }).unwrap();
        }
    }
    assert_eq!((entered, over), (3, 3));
    assert!(progress >= 3, "{progress}");
    assert_eq!(info(&client, &tasks[0]).await.fault(), Some("ManagedObjectNotFound"));

    let snapshots = format!("<obj type=\"VirtualMachine\">{}</obj>", vms[0]);
    assert_eq!(client.call("ResetListView", &this, &snapshots).await.status, 200);
    assert_eq!(client.call("DestroyView", &this, "").await.status, 200);
    assert_eq!(client.call("DestroyView", &this, "").await.fault(), Some("ManagedObjectNotFound"));
    assert_eq!(client.call("ModifyListView", &this, "").await.fault(), Some("ManagedObjectNotFound"));
    let missing = client.call("CreateListView", "ViewManager", "<obj type=\"Task\">task-99999</obj>").await;
    assert_eq!(missing.fault(), Some("ManagedObjectNotFound"));
    simulator.shutdown().await;
}

async fn recent(client: &Client, of: &str) -> Answer {
    let (kind, value) = of.split_once(':').unwrap();
    let spec = format!(
        "<specSet>{}<objectSet><obj type=\"{kind}\">{value}</obj></objectSet></specSet><options/>",
        props(kind, &["recentTask"])
    );
    client.call("RetrievePropertiesEx", COLLECTOR, &spec).await
}

#[tokio::test]
async fn vms_and_the_task_manager_know_what_was_done_lately() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    let (one, other) = (create(&client, &vms[0], "s").await, create(&client, &vms[1], "s").await);
    succeeded(&client, &one).await;
    succeeded(&client, &other).await;
    let of_one = recent(&client, &of_vm(&vms[0])).await;
    assert_eq!(of_one.all("ManagedObjectReference"), [one.as_str()]);
    let of_all = recent(&client, "TaskManager:TaskManager").await;
    assert_eq!(of_all.all("ManagedObjectReference"), [one.as_str(), other.as_str()]);
    // Who may not see the VM does not see its task.
    let mut reader = User::read_only("reader", "secret");
    reader.scope = Some(vec![vms[1].clone()]);
    vcenter.set_user(reader);
    let mut reader = Client::new(vcenter);
    assert_eq!(reader.login("reader", "secret").await.status, 200);
    assert!(info(&reader, &one).await.body.contains("NoPermission"));
    assert_eq!(info(&reader, &other).await.first("state"), Some("success"));
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_restart_forgets_all_tasks_and_hosts_go_on() {
    let setting = TaskSetting { vcenter_depth: Some(1), ..quick(TAKES) };
    let (simulator, client) = start(setting).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    let running = create(&client, &vms[0], "goes on").await;
    let waiting = create(&client, &vms[1], "never begins").await;
    assert_eq!(info(&client, &waiting).await.first("state"), Some("queued"));
    simulator.add_faults([FaultRule::once("CancelTask", FaultEffect::Restart)]);
    assert!(client.try_call("CancelTask", "Task:task-1", "").await.is_err());
    assert_eq!(info(&client, &running).await.fault(), Some("NotAuthenticated"));
    let client = Client::logged_in(vcenter).await;
    for task in [&running, &waiting] {
        assert_eq!(info(&client, task).await.fault(), Some("ManagedObjectNotFound"));
    }
    let again = create(&client, &vms[0], "again").await;
    assert_eq!(failed(&client, &again).await, "TaskInProgress");
    let log = finished(vcenter, 3).await;
    let of = |task: &str| log.iter().find(|one| one.task == task).unwrap();
    assert_eq!((of(&running).outcome.as_str(), of(&waiting).outcome.as_str()), ("success", "lost"));
    assert_eq!(truth_of(vcenter, &vms[0])["snapshots"]["roots"][0]["name"], "goes on");
    assert!(truth_of(vcenter, &vms[1])["snapshots"].is_null());
    simulator.shutdown().await;
}

#[tokio::test]
async fn faults_and_holds_meet_calls_that_give_tasks() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let (of_vm, one) = (of_vm(&vm), arguments("one", false, false));
    let count = || simulator.effects().len();
    simulator.add_faults([FaultRule::once("CreateSnapshot_Task", FaultEffect::ResetBefore)]);
    assert!(client.try_call("CreateSnapshot_Task", &of_vm, &one).await.is_err());
    assert_eq!((count(), vcenter.tasks().finished.len()), (0, 0), "not executed");
    simulator.add_faults([FaultRule::once("CreateSnapshot_Task", FaultEffect::ResetAfter)]);
    assert!(client.try_call("CreateSnapshot_Task", &of_vm, &one).await.is_err());
    assert_eq!((count(), finished(vcenter, 1).await.len()), (1, 1), "executed, and the answer is lost");

    // Held after it was applied: the task runs on meanwhile.
    simulator.add_faults([FaultRule::once("RemoveAllSnapshots_Task", FaultEffect::HoldAfter)]);
    let held = tokio::spawn({
        let (client, of_vm) = (client.clone(), of_vm.clone());
        async move { client.call("RemoveAllSnapshots_Task", &of_vm, "").await.status }
    });
    assert_eq!(finished(vcenter, 2).await[1].kind, TaskKind::RemoveAllSnapshots);
    while simulator.holds().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(simulator.release_holds(), 1);
    assert_eq!(held.await.unwrap(), 200);
    simulator.shutdown().await;
}

#[tokio::test]
async fn tasks_can_be_cancelled_while_nothing_has_changed() {
    let (simulator, client) = start(quick(5_000)).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    let task = create(&client, &vms[0], "cancelled").await;
    let this = format!("Task:{task}");
    assert_eq!(client.call("CancelTask", &this, "").await.status, 200);
    let told = ended(&client, &task).await;
    assert_eq!((told.first("state"), told.first("cancelled")), (Some("error"), Some("true")));
    assert!(told.body.contains("<fault xsi:type=\"RequestCanceled\">"), "{}", told.body);
    assert!(truth_of(vcenter, &vms[0])["snapshots"].is_null());
    assert_eq!(vcenter.tasks().finished[0].outcome, "cancelled");
    assert_eq!(client.call("CancelTask", &this, "").await.fault(), Some("InvalidState"));

    // What runs on disks already cannot be cancelled, and somebody else's not without the privilege.
    let made =
        Mutation::CreateSnapshot { id: vms[1].clone(), name: "s".to_owned(), memory: false, quiesced: false };
    let made = vcenter.mutate(&made).unwrap().unwrap();
    let this = format!("VirtualMachineSnapshot:{made}");
    let removal =
        task_of(&client, "RemoveSnapshot_Task", &this, "<removeChildren>false</removeChildren>").await;
    while info(&client, &removal).await.first("state") != Some("running") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let this = format!("Task:{removal}");
    assert_eq!(client.call("CancelTask", &this, "").await.fault(), Some("NotSupported"));
    vcenter.set_user(User::read_only("reader", "secret"));
    let mut reader = Client::new(vcenter);
    assert_eq!(reader.login("reader", "secret").await.status, 200);
    assert_eq!(reader.call("CancelTask", &this, "").await.fault(), Some("NoPermission"));
    let active = vcenter.tasks().active;
    assert_eq!((active.len(), active[0].kind, active[0].running), (1, TaskKind::RemoveSnapshot, true));
    simulator.shutdown().await;
}
