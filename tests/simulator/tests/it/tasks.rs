//! Tasks: what is told of them, what they do to VMs, and how scripts make them end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vmbridge_simulator::{
    FaultEffect, FaultRule, FinishedTask, Mutation, Simulator, SimulatorConfig, TaskKind, TaskOutcome,
    TaskScript, TaskSetting, User, Vcenter,
};

use crate::client::{Answer, COLLECTOR, Client, props};

/// Short, but long enough to look at what runs.
const TAKES: u64 = 200;

fn quick(milliseconds: u64) -> TaskSetting {
    let kinds = [
        TaskKind::CreateSnapshot,
        TaskKind::RemoveSnapshot,
        TaskKind::RemoveAllSnapshots,
        TaskKind::Revert,
        TaskKind::Consolidate,
        TaskKind::PowerOn,
        TaskKind::PowerOff,
    ];
    TaskSetting {
        durations_ms: kinds.map(|kind| (kind, milliseconds)).into(),
        jitter_percent: Some(0),
        ..TaskSetting::default()
    }
}

async fn start(setting: TaskSetting) -> (Simulator, Client) {
    let simulator = Simulator::start(SimulatorConfig::single(40, 3)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    vcenter.mutate(&Mutation::SetTasks { tasks: setting }).unwrap();
    let client = Client::logged_in(vcenter).await;
    (simulator, client)
}

fn truth_of(vcenter: &Vcenter, vm: &str) -> Value {
    let truth = vcenter.truth();
    truth["vms"].as_array().unwrap().iter().find(|one| one["id"] == vm).unwrap().clone()
}

/// VMs that run, with Tools, without snapshots and without anything that hinders one.
fn plain_vms(vcenter: &Vcenter) -> Vec<String> {
    let truth = vcenter.truth();
    let connected = |host: &Value| {
        truth["hosts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["id"] == *host && one["connectionState"] == "connected")
    };
    let plain = truth["vms"].as_array().unwrap().iter().filter(|vm| {
        let disks = vm["config"]["disks"].as_array();
        vm["powerState"] == "poweredOn"
            && vm["connectionState"] == "connected"
            && vm["guest"]["toolsRunningStatus"] == "guestToolsRunning"
            && vm["snapshots"].is_null()
            && vm["config"]["template"] == false
            && vm["config"]["faultTolerance"].is_null()
            && vm["consolidationNeeded"] == false
            && connected(&vm["host"])
            && disks.is_some_and(|disks| {
                disks.iter().all(|disk| {
                    disk["compatibilityMode"] != "physicalMode"
                        && disk["mode"] == "persistent"
                        && (disk["sharedBus"].is_null() || disk["sharedBus"] == "noSharing")
                })
            })
    });
    plain.map(|vm| vm["id"].as_str().unwrap().to_owned()).collect()
}

fn of_vm(vm: &str) -> String {
    format!("VirtualMachine:{vm}")
}

fn arguments(name: &str, memory: bool, quiesce: bool) -> String {
    format!(
        "<name>{name}</name><description>by test</description><memory>{memory}</memory><quiesce>{quiesce}</quiesce>"
    )
}

/// The task that a call gave.
fn task(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.first("returnval").unwrap().to_owned()
}

async fn create(client: &Client, vm: &str, name: &str) -> String {
    task(&client.call("CreateSnapshot_Task", &of_vm(vm), &arguments(name, false, false)).await)
}

async fn info(client: &Client, task: &str) -> Answer {
    let spec = format!(
        "<specSet>{}<objectSet><obj type=\"Task\">{task}</obj></objectSet></specSet><options/>",
        props("Task", &["info"])
    );
    client.call("RetrievePropertiesEx", COLLECTOR, &spec).await
}

/// Waits for the end of a task by asking for it.
async fn ended(client: &Client, task: &str) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = info(client, task).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        if matches!(answer.first("state"), Some("success" | "error")) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn succeeded(client: &Client, task: &str) -> Answer {
    let answer = ended(client, task).await;
    assert_eq!(answer.first("state"), Some("success"), "{}", answer.body);
    answer
}

/// The fault that a task failed with.
async fn failed(client: &Client, task: &str) -> String {
    let answer = ended(client, task).await;
    assert_eq!(answer.first("state"), Some("error"), "{}", answer.body);
    let fault = answer.body.split("<fault xsi:type=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(answer.first("localizedMessage").is_some_and(|text| !text.is_empty()));
    fault
}

/// Makes a snapshot and gives its MoRef.
async fn snapshot(client: &Client, vm: &str, name: &str) -> String {
    let task = create(client, vm, name).await;
    succeeded(client, &task).await.first("result").unwrap().to_owned()
}

/// Waits until so many operations are over on the hosts.
async fn finished(vcenter: &Vcenter, count: usize) -> Vec<FinishedTask> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let truth = vcenter.tasks();
        if truth.finished.len() >= count {
            return truth.finished;
        }
        assert!(Instant::now() < deadline, "{truth:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn script(vcenter: &Vcenter, script: TaskScript) {
    vcenter.mutate(&Mutation::ScriptTasks { scripts: vec![script], clear: false }).unwrap();
}

#[tokio::test]
async fn a_snapshot_is_made_and_told_in_the_order_of_the_wsdl() {
    let (simulator, client) = start(quick(TAKES)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let task = create(&client, &vm, "a%2fb &amp; c").await;
    let running = info(&client, &task).await;
    assert!(matches!(running.first("state"), Some("queued" | "running")), "{}", running.body);
    let done = succeeded(&client, &task).await;
    let info = done.first("val").unwrap();
    let mut at = 0;
    for tag in [
        "<key>",
        "<task type=\"Task\">",
        "<name>",
        "<descriptionId>",
        "<entity type=\"VirtualMachine\">",
        "<entityName>",
        "<state>",
        "<cancelled>",
        "<cancelable>",
        "<result ",
        "<reason xsi:type=\"TaskReasonUser\">",
        "<queueTime>",
        "<startTime>",
        "<completeTime>",
        "<eventChainId>",
    ] {
        at += info[at..].find(tag).unwrap_or_else(|| panic!("{tag} in {info}"));
    }
    assert_eq!(done.first("descriptionId"), Some("VirtualMachine.createSnapshot"));
    assert_eq!((done.first("key"), done.first("entity")), (Some(task.as_str()), Some(vm.as_str())));
    assert!(!info.contains("<progress>") && !info.contains("<error>"));
    let made = done.first("result").unwrap();
    assert!(info.contains("<result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">"));
    let snapshots = &truth_of(vcenter, &vm)["snapshots"];
    let root = &snapshots["roots"][0];
    assert_eq!((&snapshots["current"], &root["id"]), (&json!(made), &json!(made)));
    // As it was given.
    assert_eq!((&root["name"], &root["description"]), (&json!("a%2fb & c"), &json!("by test")));
    assert_eq!((&root["state"], &root["madeBy"]["user"]), (&json!("poweredOff"), &json!(vcenter.username())));
    let log = vcenter.tasks().finished;
    assert_eq!((log.len(), log[0].outcome.as_str(), log[0].kind), (1, "success", TaskKind::CreateSnapshot));
    assert_eq!((log[0].snapshots[0].snapshot.as_str(), log[0].task.as_str()), (made, task.as_str()));
    let effect = simulator.effects().pop().unwrap();
    assert_eq!((effect.operation.as_str(), effect.resource.as_str()), ("CreateSnapshot_Task", vm.as_str()));
    simulator.shutdown().await;
}

async fn wait(client: &Client, version: &str) -> Answer {
    let options = "<options><maxWaitSeconds>10</maxWaitSeconds></options>";
    client.call("WaitForUpdatesEx", COLLECTOR, &format!("<version>{version}</version>{options}")).await
}

#[tokio::test]
async fn one_filter_over_a_list_view_follows_any_number_of_tasks() {
    let (simulator, client) = start(TaskSetting { retention_ms: Some(400), ..quick(TAKES) }).await;
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
    }
    assert_eq!((entered, over), (3, 3));
    assert!(progress > 6, "{progress}");
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

#[tokio::test]
async fn reverting_goes_back_to_the_power_state_of_the_snapshot() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let without = snapshot(&client, &vm, "without memory").await;
    let memory = arguments("with memory", true, false);
    let with = task(&client.call("CreateSnapshot_Task", &of_vm(&vm), &memory).await);
    let with = succeeded(&client, &with).await.first("result").unwrap().to_owned();
    let roots = truth_of(vcenter, &vm)["snapshots"]["roots"].clone();
    assert_eq!(roots[0]["children"][0]["state"], "poweredOn");

    let revert = async |snapshot: &str, arguments: &str| {
        let this = format!("VirtualMachineSnapshot:{snapshot}");
        let task = task(&client.call("RevertToSnapshot_Task", &this, arguments).await);
        succeeded(&client, &task).await;
        let now = truth_of(vcenter, &vm);
        (
            now["powerState"].as_str().unwrap().to_owned(),
            now["snapshots"]["current"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(revert(&without, "").await, ("poweredOff".to_owned(), without.clone()));
    assert_eq!(truth_of(vcenter, &vm)["bootTime"], Value::Null);
    assert_eq!(revert(&with, "").await, ("poweredOn".to_owned(), with.clone()));
    let suppressed = "<suppressPowerOn>true</suppressPowerOn>";
    assert_eq!(revert(&with, suppressed).await, ("poweredOff".to_owned(), with.clone()));
    let current = client.call("RevertToCurrentSnapshot_Task", &of_vm(&vm), "").await;
    succeeded(&client, &task(&current)).await;
    assert_eq!(truth_of(vcenter, &vm)["powerState"], "poweredOn");

    let other = plain_vms(vcenter).into_iter().find(|other| *other != vm).unwrap();
    let current = client.call("RevertToCurrentSnapshot_Task", &of_vm(&other), "").await;
    assert_eq!(failed(&client, &task(&current)).await, "NotFound");
    simulator.shutdown().await;
}
