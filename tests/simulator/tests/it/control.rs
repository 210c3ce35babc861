//! The control endpoint.

use serde_json::{Value, json};
use vmbridge_simulator::{Simulator, SimulatorConfig, VmcConfig};

use crate::client::{Client, http};
use crate::json::{Answer, Rest};

struct Control {
    http: reqwest::Client,
    url: String,
}

impl Control {
    async fn new(simulator: &Simulator) -> Self {
        Self { http: http(simulator.ca_pem()), url: simulator.serve_control(0).await.unwrap() }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = Answer::of(self.http.get(format!("{}{path}", self.url))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// Posts what must work.
    async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, &body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        answer.json()
    }
}

/// The VM with this id in the ground truth.
fn vm<'a>(truth: &'a Value, id: &str) -> &'a Value {
    truth["vms"].as_array().unwrap().iter().find(|vm| vm["id"] == id).unwrap()
}

#[tokio::test]
async fn every_change_can_be_asked_for() {
    let simulator = Simulator::start(SimulatorConfig::single(30, 6)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let control = Control::new(&simulator).await;
    let vms = control.get("/vms/vc1").await;
    assert_eq!(vms, json!(vcenter.vm_ids()));
    let made = control.done("/mutate/vc1", json!({ "op": "create", "name": "fresh" })).await;
    let id = made["made"].as_str().unwrap().to_owned();
    let tag = "Owner:Team Web";
    // By name, by MoRef, and with the long names of the library.
    for change in [
        json!({ "op": "rename", "vm": "fresh", "name": "a/b" }),
        json!({ "op": "power", "vm": "a/b", "state": "on" }),
        json!({ "op": "annotation", "vm": id, "text": "note" }),
        json!({ "op": "snapshot", "vm": id, "name": "one" }),
        json!({ "op": "guest", "id": id, "ip": "10.9.8.7" }),
        json!({ "op": "resize", "vm": id, "cpus": 6, "memoryMb": 4096 }),
        json!({ "op": "move", "vm": id, "folder": vcenter.ids_of("Folder").into_iter().find(|f| f.starts_with("group-v")) }),
    ] {
        control.done("/mutate/vc1", change).await;
    }
    for tag in vm(&vcenter.truth(), &id)["tags"].as_array().unwrap() {
        control.done("/mutate/vc1", json!({ "op": "untag", "vm": id, "tag": tag["id"] })).await;
    }
    control
        .done(
            "/mutate/vc1",
            json!([{ "op": "tag", "vm": id, "tag": tag }, { "op": "tag", "vm": id, "tag": tag }]),
        )
        .await;
    let truth = control.get("/truth/vc1").await;
    let told = vm(&truth, &id);
    assert_eq!((&told["name"], &told["displayName"]), (&json!("a%2fb"), &json!("a/b")));
    assert_eq!((&told["powerState"], &told["config"]["annotation"]), (&json!("poweredOn"), &json!("note")));
    assert_eq!((&told["config"]["cpus"], &told["guest"]["ipAddress"]), (&json!(6), &json!("10.9.8.7")));
    assert_eq!(told["snapshots"]["roots"][0]["name"], "one");
    assert_eq!((told["tags"].as_array().unwrap().len(), &told["tags"][0]["name"]), (1, &json!("Team Web")));
    control.done("/mutate/vc1", json!({ "op": "delete", "vm": "a/b" })).await;
    assert_eq!(control.get("/vms/vc1").await, vms);

    for (path, body, status) in [
        ("/mutate/vc1", json!({ "op": "rename", "vm": "nobody", "name": "x" }), 404),
        ("/mutate/vc9", json!({ "op": "rename", "vm": vms[0], "name": "x" }), 404),
        ("/mutate/vc1", json!({ "op": "dance", "vm": vms[0] }), 400),
        ("/mutate/vc1", json!({ "op": "rename", "vm": vms[0], "name": "x", "nam": "y" }), 400),
        ("/mutate/vc1", json!({ "vm": vms[0] }), 400),
        ("/mutate/vc1", json!({ "op": "delete", "object": vcenter.ids_of("Datacenter")[0] }), 409),
        ("/faults", json!({ "add": [{ "effect": { "kind": "rain" } }] }), 400),
        ("/sddcs", json!({ "op": "remove", "sddc": "x" }), 404),
        ("/nothing", json!({}), 404),
    ] {
        let answer = control.post(path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        assert!(answer.json()["error"].is_string());
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn sessions_calls_and_faults_are_told_and_steered() {
    let simulator = Simulator::start(SimulatorConfig::several(2, 3, 1)).await.unwrap();
    let control = Control::new(&simulator).await;
    let vcenter = &simulator.vcenters()[0];
    let rest = Rest::logged_in(vcenter).await;
    let soap = Client::logged_in(vcenter).await;
    let stats = control.get("/stats").await;
    let sessions = &stats["vcenters"]["vc1"]["sessions"];
    assert_eq!(
        (&sessions["open"], &sessions["soap"], &sessions["rest"], &sessions["ever"]),
        (&json!(2), &json!(1), &json!(1), &json!(2))
    );
    assert_eq!(stats["vcenters"]["vc1"]["calls"]["Login"], 1);
    assert_eq!((&stats["vcenters"]["vc2"]["sessions"]["ever"], &stats["vmc"]), (&json!(0), &Value::Null));

    let rule = json!({ "operation": "GET tag", "effect": { "kind": "status", "code": 503 } });
    control.done("/faults", json!({ "add": [rule] })).await;
    assert_eq!(rest.get("/api/cis/tagging/tag").await.status, 503);
    control.done("/faults", json!({ "add": [rule] })).await;
    control.done("/faults", json!({ "clear": true })).await;
    assert_eq!(rest.get("/api/cis/tagging/tag").await.status, 200);
    assert_eq!(control.get("/faults").await["injected"].as_array().unwrap().len(), 1);
    let seeded = control.done("/faults", json!({ "clear": true, "seed": 5 })).await;
    assert_eq!(seeded["added"], json!(vmbridge_simulator::from_seed(5)));
    control.done("/faults", json!({ "clear": true })).await;

    assert_eq!(control.done("/sessions/terminate/vc1", json!({})).await["terminated"], 2);
    assert_eq!(rest.get("/api/session").await.status, 401);
    let soap_answer = soap.call("CurrentTime", "ServiceInstance", "").await;
    assert_eq!(soap_answer.fault(), Some("NotAuthenticated"));
    let before = vcenter.thumbprint();
    let rotated = control.done("/certificate/vc1", json!({})).await;
    assert!(rotated["thumbprint"] == vcenter.thumbprint() && vcenter.thumbprint() != before);
    Rest::logged_in(vcenter).await;
    control.done("/restart/vc1", json!({})).await;
    assert_eq!(vcenter.sessions().open, 0);
    simulator.shutdown().await;
}

#[tokio::test]
async fn sddcs_are_changed_by_name() {
    let mut config = SimulatorConfig::several(2, 3, 1);
    config.vmc =
        Some(VmcConfig { sddcs: vec![("Alpha".to_owned(), "vc1".to_owned())], ..VmcConfig::default() });
    let simulator = Simulator::start(config).await.unwrap();
    let control = Control::new(&simulator).await;
    control.done("/sddcs", json!({ "op": "add", "name": "Beta", "vcenter": "vc2" })).await;
    control.done("/sddcs", json!({ "op": "rename", "sddc": "Alpha", "name": "Gamma" })).await;
    control.done("/sddcs", json!({ "op": "state", "sddc": "Beta", "state": "DEPLOYING" })).await;
    let names = |sddcs: &Value| -> Vec<String> {
        sddcs.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    let sddcs = control.get("/sddcs").await;
    assert_eq!(
        (names(&sddcs), &sddcs[1]["state"]),
        (vec!["Gamma".to_owned(), "Beta".to_owned()], &json!("DEPLOYING"))
    );
    control.done("/sddcs", json!({ "op": "remove", "sddc": "Gamma" })).await;
    assert_eq!(names(&control.get("/stats").await["vmc"]["sddcs"]), ["Beta"]);
    simulator.shutdown().await;
}

#[tokio::test]
async fn tasks_are_steered_and_told() {
    let simulator = Simulator::start(SimulatorConfig::single(30, 6)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let control = Control::new(&simulator).await;
    let made = control.done("/mutate/vc1", json!({ "op": "create", "name": "web" })).await;
    let id = made["made"].as_str().unwrap().to_owned();
    let datastores = vcenter.ids_of("Datastore");
    // As the README has them.
    for change in [
        json!({ "op": "setTasks", "tasks": { "durationsMs": { "createSnapshot": 30, "removeSnapshot": 20 }, "jitterPercent": 20,
            "datastoreDepth": 4 } }),
        json!({ "op": "setTasks", "tasks": { "snapshotBytes": 67_108_864, "growthBytesPerSecond": 1_048_576,
            "retentionMs": 600_000, "faultsAtCall": true } }),
        json!({ "op": "scriptTasks", "clear": true, "scripts": [
            { "vm": id, "task": "createSnapshot", "outcome": { "kind": "slow", "extraMs": 20 } }] }),
        json!({ "op": "scriptTasks", "scripts": [{ "task": "removeSnapshot", "times": 0, "chance": 100,
            "outcome": { "kind": "consolidationNeeded", "stuck": 2 } }] }),
        json!({ "op": "relocate", "vm": "web", "datastore": datastores[0] }),
        json!({ "op": "foreignTask", "vm": "web", "holdMs": 50 }),
    ] {
        control.done("/mutate/vc1", change).await;
    }
    for (change, status) in [
        (json!({ "op": "foreignTask", "vm": "web" }), 409),
        (json!({ "op": "setTasks", "tasks": { "depth": 1 } }), 400),
        (json!({ "op": "scriptTasks", "scripts": [{ "outcome": { "kind": "rain" } }] }), 400),
        (
            json!({ "op": "scriptTasks", "scripts": [{ "vm": "vm-99999", "outcome": { "kind": "vmVanishes" } }] }),
            404,
        ),
        (json!({ "op": "relocate", "vm": "web", "datastore": "nowhere" }), 404),
        (
            json!({ "op": "scriptTasks", "scripts": [{ "outcome": { "kind": "fails", "fault": "a\"b" } }] }),
            409,
        ),
        (json!({ "op": "scriptTasks", "scripts": [{ "outcome": { "kind": "vmMoves", "host": id } }] }), 404),
    ] {
        let answer = control.post("/mutate/vc1", &change).await;
        assert_eq!(answer.status, status, "{change}: {}", answer.text);
    }
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let told = loop {
        let told = control.get("/tasks/vc1").await;
        if told["finished"].as_array().unwrap().len() == 2 {
            break told;
        }
        assert!(tokio::time::Instant::now() < deadline, "{told}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let removal = &told["finished"][1];
    assert_eq!((&removal["kind"], &removal["outcome"]), (&json!("removeSnapshot"), &json!("success")));
    assert_eq!(removal["snapshots"][0]["name"], "VEEAM BACKUP TEMPORARY SNAPSHOT");
    assert_eq!(removal["snapshots"][0]["madeBy"]["foreign"], true);
    assert_eq!((&told["active"], &told["running"]["vcenter"]), (&json!([]), &json!(0)));
    let truth = control.get("/truth/vc1").await;
    assert_eq!(vm(&truth, &id)["consolidationNeeded"], true);
    let seeded = control.done("/faults", json!({ "taskSeed": 5 })).await;
    assert_eq!(seeded["added"], json!(vmbridge_simulator::task_from_seed(5)));
    simulator.shutdown().await;
}
