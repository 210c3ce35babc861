//! Tasks: what is told of them, what they do to VMs, and how scripts make them end.

mod agents;
mod following;
mod limits;
mod operations;
mod refusals;
mod scripts;

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vmbridge_simulator::{
    FinishedTask, Mutation, Simulator, SimulatorConfig, TaskKind, TaskOutcome, TaskScript, TaskSetting,
    Vcenter,
};

use crate::client::{Answer, COLLECTOR, Client, props};

/// Long enough to look at what runs, also on a busy machine.
const TAKES: u64 = 1_000;

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

/// The task that a call gives.
async fn task_of(client: &Client, method: &str, this: &str, arguments: &str) -> String {
    task(&client.call(method, this, arguments).await)
}

async fn create(client: &Client, vm: &str, name: &str) -> String {
    task_of(client, "CreateSnapshot_Task", &of_vm(vm), &arguments(name, false, false)).await
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

/// Decides how the next task of a kind on a VM ends.
fn script(vcenter: &Vcenter, vm: &str, kind: TaskKind, outcome: TaskOutcome) {
    let scripts = vec![TaskScript::once(kind, outcome).on(vm)];
    vcenter.mutate(&Mutation::ScriptTasks { scripts, clear: false }).unwrap();
}

/// The free space of the datastore that a VM is at home on.
fn free_space(vcenter: &Vcenter, vm: &str) -> u64 {
    let truth = vcenter.truth();
    let vm = truth["vms"].as_array().unwrap().iter().find(|one| one["id"] == vm).unwrap();
    let home = &vm["config"]["disks"][0]["datastore"];
    let stores = truth["datastores"].as_array().unwrap();
    stores.iter().find(|one| one["id"] == *home).unwrap()["freeBytes"].as_u64().unwrap()
}
