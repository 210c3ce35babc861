//! Several sources: what happens to one must not happen to the others.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vmbridge_e2e::estate::{Entry, Estate};
use vmbridge_e2e::truth;
use vmbridge_simulator::{FaultEffect, FaultRule, Mutation, Simulator, SimulatorConfig};

/// Two vCenters, the second a copy of the first: the same MoRefs and the same UUIDs of VMs.
async fn copies() -> Simulator {
    let mut config = SimulatorConfig::several(2, 150, 3);
    for vcenter in &mut config.vcenters {
        vcenter.fleet.seed = 3;
        vcenter.fleet.uuid_seed = Some(3);
    }
    Simulator::start(config).await.unwrap()
}

fn estate(simulator: &Simulator) -> Estate {
    let mut estate = Estate::new().unwrap();
    for (name, vcenter) in ["dc1", "dc2"].into_iter().zip(simulator.vcenters()) {
        estate.simulated(name, vcenter, "").unwrap();
    }
    estate
}

#[tokio::test]
async fn colliding_ids_confuse_nothing() {
    let simulator = copies().await;
    let [first, second] = simulator.vcenters() else { panic!("two vCenters") };
    assert_eq!(first.vm_ids(), second.vm_ids());
    let vm = first.vm_ids()[20].clone();
    second.mutate(&Mutation::Rename { id: vm.clone(), name: "only in the second".into() }).unwrap();
    let estate = estate(&simulator);
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let inventory: Value = serde_json::from_str(&ended.stdout).unwrap();
    let differences = truth::differences(&inventory, &[("dc1", first.truth()), ("dc2", second.truth())]);
    assert!(differences.is_empty(), "{differences:#?}");
    let mut watch = estate.vmbridge(&["watch", "--json"]).unwrap().start().unwrap();
    watch.says("300 VMs of 2 vCenters").await.unwrap();
    first.mutate(&Mutation::Rename { id: vm.clone(), name: "only in the first".into() }).unwrap();
    let change: Value = serde_json::from_str(&watch.line(Duration::from_secs(10)).await.unwrap()).unwrap();
    assert_eq!(
        (&change["vcenter"], &change["name"]),
        (&"dc1".into(), &"only in the first".into()),
        "{change}"
    );
}

#[tokio::test]
async fn one_that_is_down_neither_hides_nor_delays_the_others() {
    let simulator = copies().await;
    let mut estate = estate(&simulator);
    estate.replace("request_timeout = \"20s\"", "request_timeout = \"2s\"");
    let (username, password, ca_pem, more) = ("u", "p", None, "");
    // Port 1 refuses; the other one takes connections and never answers.
    estate
        .vcenter(&Entry { name: "down", url: "https://127.0.0.1:1", username, password, ca_pem, more })
        .unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    estate.vcenter(&Entry { name: "silent", url: &url, username, password, ca_pem, more }).unwrap();
    let begin = Instant::now();
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("down: ") && ended.stderr.contains("silent: "), "{}", ended.stderr);
    let inventory: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(inventory["complete"], false);
    assert_eq!(inventory["vms"].as_array().unwrap().len(), 300);
    let states: Vec<_> = inventory["vcenters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["name"].as_str().unwrap(), v["state"].as_str().unwrap()))
        .collect();
    assert_eq!(states, [("dc1", "current"), ("dc2", "current"), ("down", "failed"), ("silent", "failed")]);
}

#[tokio::test]
async fn a_slow_one_does_not_delay_changes_of_another() {
    let simulator = copies().await;
    let estate = estate(&simulator);
    let mut watch = estate.vmbridge(&["watch", "--json"]).unwrap().start().unwrap();
    watch.says("VMs of 2 vCenters").await.unwrap();
    let slow = FaultRule {
        vcenter: "vc2".into(),
        times: 0,
        ..FaultRule::once("*", FaultEffect::Delay { milliseconds: 4000 })
    };
    simulator.add_faults([slow]);
    let [first, second] = simulator.vcenters() else { panic!("two vCenters") };
    second.terminate_sessions();
    let vm = first.vm_ids()[10].clone();
    let begin = Instant::now();
    first.mutate(&Mutation::Rename { id: vm, name: "quick".into() }).unwrap();
    loop {
        let change: Value =
            serde_json::from_str(&watch.line(Duration::from_secs(10)).await.unwrap()).unwrap();
        if change["name"] == "quick" {
            break;
        }
    }
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
}
