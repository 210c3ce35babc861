//! VMs have a snapshot before their maintenance window: the real program, tasks over SOAP, windows at AWS.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use vmbridge_e2e::managed::Managed;
use vmbridge_e2e::program::{Ended, Running};
use vmbridge_simulator::{FinishedTask, Mutation, TaskKind, TaskOutcome, TaskScript, TaskSetting};

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
async fn night(nodes: usize, sections: &str) -> Managed {
    let mut managed = Managed::with_privileges(nodes, sections, &PRIVILEGES).await.unwrap();
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

/// What there really is of a VM.
fn truth_of(managed: &Managed, moref: &str) -> Value {
    let truth = managed.simulator.vcenters()[0].truth();
    let vms = truth["vms"].as_array().unwrap();
    vms.iter().find(|vm| vm["id"] == moref).unwrap().clone()
}

/// The snapshots of a VM: ids and names.
fn snapshots(managed: &Managed, moref: &str) -> Vec<(String, String)> {
    fn walk(snapshots: &Value, out: &mut Vec<(String, String)>) {
        for snapshot in snapshots.as_array().into_iter().flatten() {
            let text = |key: &str| snapshot[key].as_str().unwrap_or_default().to_owned();
            out.push((text("id"), text("name")));
            walk(&snapshot["children"], out);
        }
    }
    let mut out = Vec::new();
    walk(&truth_of(managed, moref)["snapshots"]["roots"], &mut out);
    out
}

/// The names of snapshots of a VM that are ours.
pub(crate) fn ours(managed: &Managed, moref: &str) -> Vec<String> {
    let names = snapshots(managed, moref).into_iter().map(|(_, name)| name);
    names.filter(|name| name.starts_with("vmbridge")).collect()
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
    let managed = night(6, SECTIONS).await;
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
    // The window is open for an hour, and whoever starts its task again would patch who has the tag.
    assert!(!managed.tags(1).contains_key("Patch Group"), "a VM is held until the window's end");
    end(&managed, running).await;
    let journal = managed.journal().await.unwrap();
    let created =
        journal.iter().filter(|entry| entry["kind"] == "createSnapshot" && entry["outcome"] == "done");
    assert!(created.count() >= 5, "{journal:#?}");
}

/// How often VMs were taken back, by VM.
fn reverts(managed: &Managed, moref: &str) -> usize {
    let tasks = managed.simulator.vcenters()[0].tasks();
    let of_vm = |kind| move |task: &&FinishedTask| task.vm == moref && task.kind == kind;
    let reverts: Vec<_> = tasks.finished.iter().filter(of_vm(TaskKind::Revert)).collect();
    for task in &reverts {
        assert!(
            task.outcome == "success" && !task.by.foreign && task.by.user.contains("vmbridge"),
            "{task:?}"
        );
    }
    assert_eq!(tasks.finished.iter().filter(of_vm(TaskKind::PowerOn)).count(), reverts.len());
    reverts.len()
}

/// The VMs are on, and without snapshots such as those that a backup product forgot, which are waited for.
fn plain(managed: &Managed) {
    for vm in &managed.vms {
        let id = || vm.moref.clone();
        while let Some((snapshot, _)) = snapshots(managed, &vm.moref).into_iter().next() {
            managed.mutate(&Mutation::RemoveSnapshot { id: id(), snapshot, children: true }).unwrap();
        }
        if truth_of(managed, &vm.moref)["powerState"] != "poweredOn" {
            managed.mutate(&Mutation::PowerOn { id: id() }).unwrap();
        }
    }
}

async fn asked(managed: &Managed, arguments: &[&str]) -> Ended {
    managed.vmbridge(arguments).unwrap().run().await.unwrap()
}

/// All are back; an agent that was not heard of in the time that a person gave is named, and the exit code says so.
fn told_of_agents(ended: &Ended) {
    let told = object(ended);
    let vms = told["vms"].as_array().unwrap();
    assert!(vms.iter().all(|vm| vm["back"] == true && vm["agent"].is_boolean()), "{told:#}");
    assert!(vms.iter().all(|vm| (vm["agent"] == true) == vm["why"].is_null()), "{told:#}");
    let is_well = vms.iter().all(|vm| vm["agent"] == true);
    assert_eq!(ended.code, Some(i32::from(!is_well)), "{ended:?}");
}

fn object(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

#[tokio::test]
async fn a_bad_night_is_undone() {
    let managed = night(3, &SECTIONS.replace("keep_success = \"0s\"", "keep_success = \"1h\"")).await;
    plain(&managed);
    let failing = managed.vms[0].clone();
    managed
        .mutate_aws(json!({ "op": "setPatching", "node": failing.node, "outcome": "failed", "seconds": 5 }))
        .unwrap();
    let running = daemon(&managed).await;
    until("the tags are there", 20, || (0..3).all(|vm| managed.tags(vm) == managed.wanted(vm)))
        .await
        .unwrap();
    window(&managed, 45);
    let all = || managed.vms.iter().map(|vm| vm.moref.as_str());
    let there = until("the snapshots are there", 50, || all().all(|vm| ours(&managed, vm).len() == 1)).await;
    there.map_err(|error| error.context(picture(&managed))).unwrap();
    let early = asked(&managed, &["rollback", "tonight", "--yes"]).await;
    assert!(early.code == Some(2) && early.stderr.contains("has not opened yet"), "{early:?}");
    until("all were patched", 90, || managed.aws().patch_runs(&managed.account(), "eu-central-1").len() == 3)
        .await
        .unwrap();

    // What it means is told, and nothing is done without a yes.
    let shown = asked(&managed, &["rollback", "tonight", "--dry-run"]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert_eq!(shown.stdout.matches("all that was written since").count(), 3, "{}", shown.stdout);
    assert!(shown.stdout.contains("SSM Agent goes back to the keys it had"), "{}", shown.stdout);
    let refused = asked(&managed, &["rollback", "tonight"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        all().all(|vm| reverts(&managed, vm) == 0 && truth_of(&managed, vm)["powerState"] == "poweredOn")
    );

    // One VM, then all of them: the one again.
    let one = asked(
        &managed,
        &["rollback", "tonight", "--vm", &failing.name, "--yes", "--json", "--agents-within", "10s"],
    )
    .await;
    let told = object(&one);
    assert_eq!(told["vms"].as_array().unwrap().len(), 1, "{told:#}");
    told_of_agents(&one);
    assert_eq!(all().map(|vm| reverts(&managed, vm)).collect::<Vec<_>>(), [1, 0, 0]);
    let rest = asked(&managed, &["rollback", "tonight", "--yes", "--json", "--agents-within", "10s"]).await;
    told_of_agents(&rest);
    let told = object(&rest);
    let vms = told["vms"].as_array().unwrap();
    assert_eq!(vms.len(), 3, "{told:#}");
    assert_eq!(told["rollback"]["windowName"], "tonight");
    assert_eq!(all().map(|vm| reverts(&managed, vm)).collect::<Vec<_>>(), [2, 1, 1]);
    for vm in all() {
        let truth = truth_of(&managed, vm);
        assert_eq!(truth["powerState"], "poweredOn");
        let own =
            snapshots(&managed, vm).into_iter().find(|(_, name)| name.starts_with("vmbridge")).unwrap().0;
        assert_eq!(truth["snapshots"]["current"], *own, "it is kept, and the VM is at it");
    }
    end(&managed, running).await;
}

/// A vCenter in which something happens all the time, as in every real one.
async fn lively(managed: &Managed, moref: &str) {
    for number in 0_u64.. {
        managed.mutate(&Mutation::Annotate { id: moref.to_owned(), text: number.to_string() }).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        // A socket of a daemon that has ended is no part of the state.
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn on_demand_without_a_daemon() {
    let managed = night(3, SECTIONS).await;
    plain(&managed);
    let [first, second, third] = [0, 1, 2].map(|vm: usize| managed.vms[vm].clone());
    for (number, vm) in [&first, &second].into_iter().enumerate() {
        managed.mutate(&Mutation::Rename { id: vm.moref.clone(), name: format!("asked-{number}") }).unwrap();
    }
    let theirs = Mutation::CreateSnapshot {
        id: third.moref.clone(),
        name: "by hand".to_owned(),
        memory: false,
        quiesced: false,
    };
    managed.mutate(&theirs).unwrap();
    let foreign =
        snapshots(&managed, &third.moref).into_iter().find(|(_, name)| name == "by hand").unwrap().0;
    let synced = managed.ran(&["sync"]).await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:?}");
    let (state, earlier) =
        (managed.estate.folder().join("state"), managed.estate.folder().join("state-of-before"));
    copy(&state, &earlier);

    let create = ["snapshot", "create", "--selector", "name=asked-*", "--reason", "before the change"];
    let more = ["--keep", "2h", "--quiesce", "off", "--wait", "--json"];
    let taken = asked(&managed, &[&create[..], &more].concat()).await;
    assert_eq!(taken.code, Some(0), "{taken:?}");
    assert_eq!(object(&taken)["taken"].as_array().unwrap().len(), 2, "{taken:?}");
    assert_eq!([&first, &second, &third].map(|vm| ours(&managed, &vm.moref).len()), [1, 1, 0]);
    let list = object(&asked(&managed, &["snapshot", "list", "--json"]).await);
    let own = list["ours"].as_array().unwrap();
    assert!(own.len() == 2 && own.iter().all(|one| one["stage"] == "kept"), "{list:#}");
    assert!(own.iter().all(|one| one["reason"] == "before the change"), "{list:#}");
    assert!(list["foreign"].as_array().unwrap().iter().any(|one| one["snapshot"] == *foreign), "{list:#}");

    let removal = asked(&managed, &["snapshot", "remove", "asked-0"]);
    let removed = tokio::select! {
        removed = removal => removed,
        () = lively(&managed, &third.moref) => unreachable!("it goes on for ever"),
    };
    assert_eq!((removed.code, removed.stdout.as_str()), (Some(0), "1 removed, 0 failed\n"), "{removed:?}");
    assert_eq!([&first, &second].map(|vm| ours(&managed, &vm.moref).len()), [0, 1]);

    // The memory of it is lost: what carries our mark is told, and left alone until a person says whose it is.
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::rename(&earlier, &state).unwrap();
    let list = object(&asked(&managed, &["snapshot", "list", "--json"]).await);
    assert!(list["ours"].as_array().unwrap().is_empty(), "{list:#}");
    let orphans = list["orphans"].as_array().unwrap();
    assert_eq!(orphans.len(), 1, "{list:#}");
    let orphan = orphans[0]["snapshot"].as_str().unwrap();
    let refused = asked(&managed, &["snapshot", "remove", "asked-1"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let adopted = asked(&managed, &["snapshot", "adopt", "asked-1", orphan, "--keep", "1h"]).await;
    assert_eq!(adopted.code, Some(0), "{adopted:?}");

    // One of others only when a person insists.
    let not_ours = asked(&managed, &["snapshot", "adopt", &third.moref, &foreign]).await;
    assert_eq!(not_ours.code, Some(2), "{not_ours:?}");
    assert!(not_ours.stderr.contains("--foreign"), "{}", not_ours.stderr);
    let insisted = asked(&managed, &["snapshot", "adopt", &third.moref, &foreign, "--foreign"]).await;
    assert_eq!(insisted.code, Some(0), "{insisted:?}");
    let list = object(&asked(&managed, &["snapshot", "list", "--json"]).await);
    let records: Vec<&str> =
        list["ours"].as_array().unwrap().iter().filter_map(|one| one["record"].as_str()).collect();
    assert!(records.len() == 2 && list["orphans"].as_array().unwrap().is_empty(), "{list:#}");
    let before: BTreeSet<_> = snapshots(&managed, &third.moref).into_iter().collect();
    let removal = [&["snapshot", "remove"][..], &records].concat();
    let removed = tokio::select! {
        removed = asked(&managed, &removal) => removed,
        () = lively(&managed, &first.moref) => unreachable!("it goes on for ever"),
    };
    assert_eq!((removed.code, removed.stdout.as_str()), (Some(0), "2 removed, 0 failed\n"), "{removed:?}");
    assert!(ours(&managed, &second.moref).is_empty());
    let after: BTreeSet<_> = snapshots(&managed, &third.moref).into_iter().collect();
    let gone: Vec<_> = before.difference(&after).map(|(id, _)| id.clone()).collect();
    assert_eq!(gone, [foreign], "nothing else");
    assert!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
}
