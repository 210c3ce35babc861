//! VMs have a snapshot before their maintenance window: the real program, tasks over SOAP, windows at AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vmbridge_e2e::managed::Managed;
use vmbridge_e2e::program::Running;
use vmbridge_simulator::{Mutation, TaskKind, TaskOutcome, TaskScript, TaskSetting};

/// What snapshots need in vCenter beyond reading.
pub(crate) const PRIVILEGES: [&str; 4] = [
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.State.RevertToSnapshot",
    "VirtualMachine.Interact.PowerOn",
];

const SECTIONS: &str = r#"
[tags]
mode = "enforce"
defaults = false

[snapshots]
mode = "enforce"
floor_percent = 0
floor_gib = 0
judge_within = "10s"

[[snapshots.policy]]
name = "all"
lead = "25s"
deadline = "2s"
keep_success = "0s"
if_impossible = "hold"
probes = []
uncovered_disks = true
max_chain = 31
"#;

/// An estate whose nodes are all in the patch group `red`.
async fn night(nodes: usize) -> Managed {
    let mut managed = Managed::with_privileges(nodes, SECTIONS, &PRIVILEGES).await.unwrap();
    for vm in 0..nodes {
        managed.tag(vm, "Patch Group", Some("red")).unwrap();
    }
    let second = |kind| (kind, 1000_u64);
    let durations = [TaskKind::CreateSnapshot, TaskKind::RemoveSnapshot, TaskKind::Revert, TaskKind::PowerOn];
    let tasks = TaskSetting { durations_ms: durations.map(second).into(), ..TaskSetting::default() };
    managed.mutate(&Mutation::SetTasks { tasks }).unwrap();
    managed.mutate_aws(json!({ "op": "setPatching", "outcome": "installed", "seconds": 5 })).unwrap();
    managed
}

/// A window that opens in some seconds and patches `red`.
fn window(managed: &Managed, seconds: i64) -> Timestamp {
    let opens = vmbridge::clock::now() + SignedDuration::from_secs(seconds);
    let opens = Timestamp::from_second(opens.as_second()).unwrap();
    let schedule = format!("at({})", opens.strftime("%Y-%m-%dT%H:%M:%S"));
    let window = json!({ "name": "tonight", "schedule": schedule, "duration": 1,
        "targets": { "tag:Patch Group": ["red"] } });
    managed.mutate_aws(json!({ "op": "addWindow", "window": window })).unwrap();
    opens
}

async fn daemon(managed: &Managed) -> Running {
    let mut running =
        managed.vmbridge(&["run"]).unwrap().env("VMBRIDGE_AWS__MAIN__POLL_SLOW", "5s").start().unwrap();
    running.says("the first picture of the fleet is there").await.unwrap();
    running
}

/// The names of snapshots of a VM that are ours.
pub(crate) fn ours(managed: &Managed, moref: &str) -> Vec<String> {
    fn walk(snapshots: &Value, out: &mut Vec<String>) {
        for snapshot in snapshots.as_array().into_iter().flatten() {
            let name = snapshot["name"].as_str().unwrap_or_default();
            if name.starts_with("vmbridge") {
                out.push(name.to_owned());
            }
            walk(&snapshot["children"], out);
        }
    }
    let truth = managed.simulator.vcenters()[0].truth();
    let vms = truth["vms"].as_array().unwrap();
    let vm = vms.iter().find(|vm| vm["id"] == moref).unwrap();
    let mut out = Vec::new();
    walk(&vm["snapshots"]["roots"], &mut out);
    out
}

async fn until(what: &str, seconds: u64, mut holds: impl FnMut() -> bool) -> Result<()> {
    for _ in 0..seconds * 10 {
        if holds() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    anyhow::bail!("not within {seconds} s: {what}")
}

/// What there is to see when it went wrong.
fn picture(managed: &Managed) -> String {
    let tasks = managed.simulator.vcenters()[0].tasks();
    let log = std::fs::read_to_string(managed.estate.folder().join("plan.txt")).unwrap_or_default();
    format!("{log}\n{tasks:#?}")
}

async fn end(managed: &Managed, running: Running) {
    running.signal("TERM").await.unwrap();
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
}

#[tokio::test]
async fn a_patch_night() {
    let managed = night(6).await;
    let failing = managed.vms[0].clone();
    managed
        .mutate_aws(json!({ "op": "setPatching", "node": failing.node, "outcome": "failed", "seconds": 5 }))
        .unwrap();
    // One that cannot be snapshotted is not patched.
    let stubborn = managed.vms[1].clone();
    let fails = TaskOutcome::Fails { fault: "SnapshotDisabled".to_owned(), percent: 10 };
    let script =
        TaskScript { times: 100, ..TaskScript::once(TaskKind::CreateSnapshot, fails).on(&stubborn.moref) };
    managed.mutate(&Mutation::ScriptTasks { scripts: vec![script], clear: false }).unwrap();
    let running = daemon(&managed).await;
    until("the tags are there", 20, || (0..6).all(|vm| managed.tags(vm) == managed.wanted(vm)))
        .await
        .unwrap();
    let opens = window(&managed, 45);
    let healthy: Vec<_> = managed.vms[2..].to_vec();
    let there = until("the snapshots are there", 50, || {
        healthy.iter().chain([&failing]).all(|vm| ours(&managed, &vm.moref).len() == 1)
    })
    .await;
    if there.is_err() {
        eprintln!("{}", managed.ran(&["plan"]).await.unwrap().stdout);
    }
    there.map_err(|error| error.context(picture(&managed))).unwrap();
    assert!(vmbridge::clock::now() < opens, "in time");
    until("who has no snapshot lost its tag", 20, || !managed.tags(1).contains_key("Patch Group"))
        .await
        .unwrap();
    assert!(vmbridge::clock::now() < opens, "in time");
    for vm in &healthy {
        assert_eq!(ours(&managed, &vm.moref).len(), 1, "nobody removes it before");
    }
    until("five were patched", 90, || {
        managed.aws().patch_runs(&managed.account(), "eu-central-1").len() == 5
    })
    .await
    .unwrap();
    let patched: BTreeSet<String> = managed
        .aws()
        .patch_runs(&managed.account(), "eu-central-1")
        .into_iter()
        .map(|run| run.node)
        .collect();
    assert!(!patched.contains(&stubborn.node), "{patched:?}");
    until("the snapshots of healthy VMs are gone", 150, || {
        healthy.iter().all(|vm| ours(&managed, &vm.moref).is_empty())
    })
    .await
    .unwrap();
    assert_eq!(ours(&managed, &failing.moref).len(), 1, "what failed keeps its snapshot");
    until("the tag is back", 60, || managed.tags(1).contains_key("Patch Group")).await.unwrap();
    end(&managed, running).await;
    let journal = managed.journal().await.unwrap();
    let created =
        journal.iter().filter(|entry| entry["kind"] == "createSnapshot" && entry["outcome"] == "done");
    assert!(created.count() >= 5, "{journal:#?}");
}
