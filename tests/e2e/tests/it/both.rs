//! The same tests against our simulator and against VMware's: what only one of the two would accept is a mistake.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::program::Running;
use vmbridge_e2e::referee;
use vmbridge_e2e::vcsim::Vcsim;
use vmbridge_simulator::{Mutation, Simulator, SimulatorConfig};

/// A vCenter of either kind.
enum Server {
    Ours(Simulator),
    Vmwares(Vcsim),
}

impl Server {
    async fn ours(estate: &mut Estate) -> Self {
        let simulator = Simulator::start(SimulatorConfig::single(120, 11)).await.unwrap();
        estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
        Self::Ours(simulator)
    }

    async fn vmwares(estate: &mut Estate) -> Self {
        let folder = estate.folder().join("vcsim");
        std::fs::create_dir(&folder).unwrap();
        let vcsim = Vcsim::start(&folder, &["--vms", "120"]).await.unwrap();
        estate.vcsim("dc1", &vcsim).unwrap();
        Self::Vmwares(vcsim)
    }

    async fn sessions(&self) -> u64 {
        match self {
            Self::Ours(simulator) => simulator.vcenters()[0].sessions().open as u64,
            Self::Vmwares(vcsim) => vcsim.sessions().await.unwrap(),
        }
    }

    async fn rename(&self, vm: &str, name: &str) {
        match self {
            Self::Ours(simulator) => {
                let rename = Mutation::Rename { id: vm.into(), name: name.into() };
                simulator.vcenters()[0].mutate(&rename).unwrap();
            }
            Self::Vmwares(vcsim) => vcsim.mutate("rename", vm, &json!({ "name": name })).await.unwrap(),
        }
    }

    async fn power(&self, vm: &str, on: bool) {
        match self {
            Self::Ours(simulator) => {
                let id = vm.to_owned();
                let power = if on { Mutation::PowerOn { id } } else { Mutation::PowerOff { id } };
                simulator.vcenters()[0].mutate(&power).unwrap();
            }
            Self::Vmwares(vcsim) => {
                let op = if on { "power-on" } else { "power-off" };
                vcsim.mutate(op, vm, &json!({})).await.unwrap();
            }
        }
    }

    async fn tag(&self, vm: &str, tag: &str, attach: bool) {
        match self {
            Self::Ours(simulator) => {
                let (id, tag) = (vm.to_owned(), tag.to_owned());
                let change =
                    if attach { Mutation::AttachTag { id, tag } } else { Mutation::DetachTag { id, tag } };
                simulator.vcenters()[0].mutate(&change).unwrap();
            }
            Self::Vmwares(vcsim) => {
                let op = if attach { "tag" } else { "untag" };
                vcsim.mutate(op, vm, &json!({ "name": tag })).await.unwrap();
            }
        }
    }

    async fn snapshot(&self, vm: &str, name: &str) {
        match self {
            Self::Ours(simulator) => {
                let snapshot = Mutation::CreateSnapshot {
                    id: vm.into(),
                    name: name.into(),
                    memory: false,
                    quiesced: false,
                };
                simulator.vcenters()[0].mutate(&snapshot).unwrap();
            }
            Self::Vmwares(vcsim) => vcsim.mutate("snapshot", vm, &json!({ "name": name })).await.unwrap(),
        }
    }

    async fn remove(&self, vm: &str) {
        match self {
            Self::Ours(simulator) => {
                simulator.vcenters()[0].mutate(&Mutation::Remove { id: vm.into() }).unwrap();
            }
            Self::Vmwares(vcsim) => vcsim.mutate("destroy", vm, &json!({})).await.unwrap(),
        }
    }

    /// Ends all sessions, as an administrator would.
    async fn terminate_sessions(&self) {
        match self {
            Self::Ours(simulator) => assert!(simulator.vcenters()[0].terminate_sessions() > 0),
            Self::Vmwares(vcsim) => {
                vcsim.control("POST", "/sessions/terminate", Some(&json!({}))).await.unwrap();
            }
        }
    }
}

async fn inventory(estate: &Estate) -> Value {
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A VM with tags, running, in the middle of the fleet, and one of its tags.
fn some_vm(inventory: &Value) -> (String, String) {
    let plain = |vm: &&Value| {
        vm["powerState"] == "poweredOn"
            && vm["connectionState"] == "connected"
            && vm["template"] == false
            && vm["vApp"].is_null()
            && vm["managedBy"].is_null()
            && vm["faultToleranceRole"].is_null()
            && !vm["folder"]["path"].is_null()
            && vm["tags"].as_array().is_some_and(Vec::is_empty)
    };
    let vm = inventory["vms"].as_array().unwrap().iter().find(plain).unwrap();
    let tags = inventory["vms"].as_array().unwrap().iter().flat_map(|vm| vm["tags"].as_array().unwrap());
    let tag =
        tags.map(|tag| format!("{}:{}", tag["category"].as_str().unwrap(), tag["name"].as_str().unwrap()));
    (vm["moref"].as_str().unwrap().to_owned(), tag.max().unwrap())
}

/// Every line that a watch has printed.
static SEEN: Mutex<String> = Mutex::new(String::new());

/// The next change that is about this VM.
async fn next(watch: &mut Running, vm: &str) -> Value {
    loop {
        let line = watch.line(Duration::from_secs(20)).await.unwrap();
        SEEN.lock().unwrap().push_str(&format!("{line}\n"));
        let change: Value = serde_json::from_str(&line).unwrap();
        if change["moref"] == vm {
            return change;
        }
    }
}

fn field<'a>(change: &'a Value, name: &str) -> &'a Value {
    let fields = change["fields"].as_array().unwrap();
    fields
        .iter()
        .find(|field| field["field"] == name)
        .unwrap_or_else(|| panic!("{name} did not change: {change}"))
}

async fn changes_are_seen(estate: &Estate, server: &Server) {
    let before = inventory(estate).await;
    assert_eq!(server.sessions().await, 0, "sessions were left behind by the inventory");
    let (vm, tag) = some_vm(&before);
    let mut watch = estate.vmbridge(&["watch", "--json"]).unwrap().start().unwrap();
    watch.says("VMs of 1 vCenters").await.unwrap();

    server.rename(&vm, "neu (東京)").await;
    let change = next(&mut watch, &vm).await;
    assert_eq!((&change["type"], &change["change"]), (&json!("vm"), &json!("changed")));
    assert_eq!(field(&change, "name")["after"], "neu (東京)");

    server.power(&vm, false).await;
    assert_eq!(field(&next(&mut watch, &vm).await, "powerState")["after"], "poweredOff");

    server.tag(&vm, &tag, true).await;
    loop {
        // What else the change of power brings with it may come in parts.
        let change = next(&mut watch, &vm).await;
        if change["fields"].as_array().unwrap().iter().any(|field| field["field"] == "tags") {
            let (category, name) = tag.split_once(':').unwrap();
            assert_eq!(field(&change, "tags")["after"], json!([{ "category": category, "name": name }]));
            break;
        }
    }
    server.tag(&vm, &tag, false).await;
    assert_eq!(field(&next(&mut watch, &vm).await, "tags")["after"], json!([]));

    // A watch survives the end of its session: it reads everything again and tells what it missed, and only that.
    server.terminate_sessions().await;
    server.snapshot(&vm, "before").await;
    let change = next(&mut watch, &vm).await;
    assert_eq!(field(&change, "snapshots.tree")["after"][0]["name"], "before");

    server.remove(&vm).await;
    assert_eq!(next(&mut watch, &vm).await["change"], "disappeared");

    watch.signal("TERM").await.unwrap();
    let ended = watch.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(server.sessions().await, 0, "sessions were left behind by the watch");

    let seen = SEEN.lock().unwrap().clone();
    referee::validate("change.schema.json", &seen, true, estate.folder()).await.unwrap();

    let after = inventory(estate).await;
    assert_eq!(after["vms"].as_array().unwrap().len() + 1, before["vms"].as_array().unwrap().len());
}

#[tokio::test]
async fn changes_are_seen_in_our_simulator() {
    let mut estate = Estate::new().unwrap();
    let server = Server::ours(&mut estate).await;
    changes_are_seen(&estate, &server).await;
}

#[tokio::test]
async fn changes_are_seen_in_vmwares_simulator() {
    let mut estate = Estate::new().unwrap();
    let server = Server::vmwares(&mut estate).await;
    changes_are_seen(&estate, &server).await;
}

async fn killed_sessions_are_all_that_is_left(estate: &Estate, server: &Server) {
    let mut left = 0;
    for milliseconds in [5, 40, 80, 160, 320] {
        let running = estate.vmbridge(&["inventory"]).unwrap().start().unwrap();
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        // It may have ended by itself already.
        let _ = running.signal("KILL").await;
        running.ended().await.unwrap();
        left = server.sessions().await;
    }
    assert!(left <= 10, "each holds one session of each interface: {left}");
    for signal in ["INT", "TERM"] {
        let mut delay = Duration::from_millis(100);
        loop {
            let running = estate.vmbridge(&["inventory"]).unwrap().start().unwrap();
            tokio::time::sleep(delay).await;
            // It may have ended by itself already.
            let _ = running.signal(signal).await;
            // Twice, as `timeout` and some terminals do: the second is no reason to leave sessions behind.
            let _ = running.signal(signal).await;
            let ended = running.ended().await.unwrap();
            assert_eq!(server.sessions().await, left, "SIG{signal} left a session behind");
            // On a busy machine it may not listen yet, and then has no session either.
            if ended.code.is_none() && delay < Duration::from_secs(5) {
                delay *= 2;
                continue;
            }
            assert!(matches!(ended.code, Some(0 | 130 | 143)), "{ended:?}");
            break;
        }
    }
}

#[tokio::test]
async fn our_simulator_is_left_without_sessions() {
    let mut estate = Estate::new().unwrap();
    let server = Server::ours(&mut estate).await;
    killed_sessions_are_all_that_is_left(&estate, &server).await;
}

#[tokio::test]
async fn vmwares_simulator_is_left_without_sessions() {
    let mut estate = Estate::new().unwrap();
    let server = Server::vmwares(&mut estate).await;
    killed_sessions_are_all_that_is_left(&estate, &server).await;
}
