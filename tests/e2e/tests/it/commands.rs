//! The commands by which a person looks and decides, with a daemon and without one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use vmbridge_e2e::managed::Managed;
use vmbridge_e2e::program::{Ended, Running};

const TAGS: &str = "[tags]\nmode = \"enforce\"\ndefaults = false\n";

/// Runs a command that may well be refused.
async fn tried(managed: &Managed, arguments: &[&str]) -> Ended {
    let ended = managed.vmbridge(arguments).unwrap().run().await.unwrap();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    ended
}

async fn json_of(managed: &Managed, arguments: &[&str]) -> Value {
    serde_json::from_str(&managed.ran(arguments).await.unwrap().stdout).unwrap()
}

async fn tagged(nodes: usize) -> Managed {
    let mut managed = Managed::new(nodes, TAGS).await.unwrap();
    for vm in 0..nodes {
        managed.tag(vm, "Crash", Some("red")).unwrap();
    }
    managed
}

async fn daemon(managed: &Managed) -> Running {
    let mut running = managed.vmbridge(&["run"]).unwrap().start().unwrap();
    running.says("the first picture of the fleet is there").await.unwrap();
    running
}

async fn stopped(running: Running) {
    running.signal("TERM").await.unwrap();
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

async fn explains(managed: &Managed) {
    let vm = managed.vms[0].clone();
    let explained = json_of(managed, &["explain", &vm.name, "--json"]).await;
    assert_eq!(explained["vm"]["moref"], *vm.moref);
    assert_eq!(explained["node"]["id"], *vm.node);
    assert_eq!(explained["vm"]["node"]["basis"], "activation");
    let tag = explained["tags"].as_array().unwrap().iter().find(|tag| tag["key"] == "Crash").unwrap();
    assert_eq!((&tag["wanted"], &tag["rule"]), (&json!("red"), &json!("crash")));
    // By its other names too.
    for name in [&*vm.moref, &*vm.node, &*format!("dc1/{}", vm.moref)] {
        assert_eq!(json_of(managed, &["explain", name, "--json"]).await["vm"]["moref"], *vm.moref, "{name}");
    }
    let text = managed.ran(&["explain", &vm.name]).await.unwrap().stdout;
    assert!(text.contains(&vm.node) && text.contains("Crash"), "{text}");
    let none = tried(managed, &["explain", "nobody"]).await;
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("no VM is called `nobody`"), "{}", none.stderr);
}

#[tokio::test]
async fn everything_about_one_vm_with_and_without_a_daemon() {
    let managed = tagged(2).await;
    explains(&managed).await;
    assert!(!managed.estate.folder().join("state").exists(), "looking makes no state");
    managed.ran(&["sync"]).await.unwrap();
    explains(&managed).await;
    let running = daemon(&managed).await;
    let socket = managed.estate.folder().join("state/control.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    explains(&managed).await;
    let explained = json_of(&managed, &["explain", &managed.vms[0].name, "--json"]).await;
    assert_eq!(explained["journal"][0]["outcome"], "done", "{explained:#}");
    stopped(running).await;
    assert!(!socket.exists());
}

/// Sends this to the control socket, and gives what comes back until it is closed.
async fn sent(socket: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    // It may hang up before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn whoever_speaks_nonsense_to_the_daemon_disturbs_nobody() {
    let managed = tagged(1).await;
    let running = daemon(&managed).await;
    let socket = managed.estate.folder().join("state/control.sock");
    for nonsense in [
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "{\"ask\":\"everything\"}\n".to_owned(),
        "\0\n".to_owned(),
        format!("{}\n", "[".repeat(60_000)),
        "x".repeat(1 << 20),
    ] {
        let answer = sent(&socket, nonsense.as_bytes()).await;
        // Of what is too long, the rest is not read, and the connection may be reset before the answer is.
        assert!(nonsense.len() > 1 << 19 || answer.contains("cannot be understood"), "{answer}");
    }
    // More who say nothing than are served at a time: a person waits until they are sent away, not for ever.
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(UnixStream::connect(&socket).await.unwrap());
    }
    assert_eq!(managed.plan().await.unwrap().0, Some(0));
    drop(silent);
    stopped(running).await;
}

#[tokio::test]
async fn what_the_guard_holds_waits_for_a_person() {
    let mut managed = tagged(8).await;
    managed.estate.add("[guard]\nfloor = 2\n");
    managed.ran(&["sync"]).await.unwrap();
    // Somebody empties the category.
    for vm in 0..8 {
        managed.tag(vm, "Crash", None).unwrap();
    }
    let running = daemon(&managed).await;
    let synced = managed.ran(&["sync", "--json"]).await.unwrap();
    let left: Value = serde_json::from_str(&synced.stdout).unwrap();
    assert_eq!((synced.code, left["held"].as_array().unwrap().len()), (Some(1), 1), "{left:#}");
    assert!(managed.effects("RemoveTagsFromResource").is_empty());
    let unknown = tried(&managed, &["approve", "0123456789abcdef"]).await;
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("nothing is held under"), "{}", unknown.stderr);
    let id = left["held"][0]["id"].as_str().unwrap();
    let approved = managed.ran(&["approve", id]).await.unwrap();
    assert!(approved.stdout.contains("8 changes are approved"), "{}", approved.stdout);
    let synced = managed.ran(&["sync"]).await.unwrap();
    assert_eq!((synced.code, managed.effects("RemoveTagsFromResource").len()), (Some(0), 8), "{synced:?}");
    stopped(running).await;
}

#[tokio::test]
async fn what_is_held_is_also_approved_without_a_daemon() {
    let mut managed = tagged(8).await;
    managed.estate.add("[guard]\nfloor = 2\n");
    managed.ran(&["sync"]).await.unwrap();
    for vm in 0..8 {
        managed.tag(vm, "Crash", Some("blue")).unwrap();
    }
    let (_, plan) = managed.plan().await.unwrap();
    managed.ran(&["approve", plan["held"][0]["id"].as_str().unwrap()]).await.unwrap();
    let synced = managed.ran(&["sync"]).await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert!((0..8).all(|vm| managed.tags(vm) == managed.wanted(vm)));
}

async fn decides(managed: &Managed) {
    let (vm, other) = (managed.vms[0].clone(), managed.vms[1].clone());
    let node_of = async |moref: &str| {
        let (_, plan) = managed.plan().await.unwrap();
        let vms = plan["vms"].as_array().unwrap();
        vms.iter().find(|vm| vm["moref"] == moref).unwrap()["node"].clone()
    };
    managed.ran(&["unlink", &vm.node]).await.unwrap();
    assert!(node_of(&vm.moref).await.is_null());
    let told = managed.ran(&["link", &vm.name, &vm.node]).await.unwrap().stdout;
    assert!(told.contains(&vm.node), "{told}");
    assert_eq!(node_of(&vm.moref).await["basis"], "linked");
    let taken = tried(managed, &["link", &vm.name, &other.node]).await;
    assert_eq!(taken.code, Some(2));
    assert!(taken.stderr.contains("is linked to"), "{}", taken.stderr);
    let unknown = tried(managed, &["link", &vm.name, "mi-00000000000000000"]).await;
    assert!(unknown.code == Some(2) && unknown.stderr.contains("no target has the node"), "{unknown:?}");
    let no_id = tried(managed, &["unlink", "i-0123"]).await;
    assert!(no_id.stderr.contains("is not the id of a managed node"), "{no_id:?}");
    managed.ran(&["unlink", &vm.node, "--forget"]).await.unwrap();
    assert_eq!(node_of(&vm.moref).await["basis"], "activation");
}

#[tokio::test]
async fn a_person_says_which_node_is_which_vm() {
    let managed = tagged(2).await;
    decides(&managed).await;
    let running = daemon(&managed).await;
    decides(&managed).await;
    stopped(running).await;
}

#[tokio::test]
async fn what_failed_is_tried_again_when_a_person_says_so() {
    let managed = tagged(1).await;
    let account = managed.aws().accounts()[0].clone();
    let reading = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Resource": "*",
        "Action": ["ssm:DescribeInstanceInformation", "ssm:DescribeActivations", "ssm:ListTagsForResource", "tag:GetResources"] }] });
    managed.aws().set_policy(&account.user_arn(), Some(&reading)).unwrap();
    let running = daemon(&managed).await;
    let synced = managed.ran(&["sync"]).await.unwrap();
    assert_eq!(synced.code, Some(1));
    assert!(synced.stdout.contains("ssm:AddTagsToResource"), "{}", synced.stdout);
    managed.aws().set_policy(&account.user_arn(), None).unwrap();
    let retried = managed.ran(&["retry", &managed.vms[0].name]).await.unwrap();
    assert!(retried.stdout.contains("1 failure is forgotten"), "{}", retried.stdout);
    assert_eq!(managed.ran(&["sync"]).await.unwrap().code, Some(0));
    assert_eq!(tried(&managed, &["retry"]).await.code, Some(2), "it has to be said what");
    stopped(running).await;
}

#[tokio::test]
async fn the_state_is_checked_copied_printed_and_made_again_from_the_marks() {
    let managed = tagged(2).await;
    let none = tried(&managed, &["state", "check"]).await;
    assert!(none.code == Some(2) && none.stderr.contains("there is no database yet"), "{none:?}");
    managed.ran(&["sync"]).await.unwrap();
    let running = daemon(&managed).await;
    assert!(managed.ran(&["state", "check"]).await.unwrap().stdout.contains("is whole"));
    let copy = managed.estate.folder().join("copy.db");
    let copied = ["state", "backup", copy.to_str().unwrap()];
    managed.ran(&copied).await.unwrap();
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let again = tried(&managed, &copied).await;
    assert!(again.code == Some(2) && again.stderr.contains("such a file already"), "{again:?}");
    let exported = managed.ran(&["state", "export"]).await.unwrap().stdout;
    let tables: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(tables.iter().any(|row| row["table"] == "owned" && row["name"] == "Crash"), "{exported}");
    let lost = tried(&managed, &["state", "recover", "--yes"]).await;
    assert!(lost.code == Some(2) && lost.stderr.contains("another vmbridge uses it"), "{lost:?}");
    managed.ran(&["state", "claim"]).await.unwrap();
    stopped(running).await;
    managed.ran(&["state", "claim"]).await.unwrap();

    // The state is lost: another installation keeps its hands off, until it is told that it is the same.
    std::fs::remove_dir_all(managed.estate.folder().join("state")).unwrap();
    let (_, plan) = managed.plan().await.unwrap();
    let reason = |plan: &Value| {
        let vms = plan["vms"].as_array().unwrap();
        let vm = vms.iter().find(|vm| vm["moref"] == *managed.vms[0].moref).unwrap();
        vm["capabilities"]["tags"]["reason"].clone()
    };
    assert_eq!(reason(&plan), "otherInstallation");
    let shown = managed.ran(&["state", "recover"]).await.unwrap();
    assert_eq!(shown.code, Some(1), "it is only shown");
    let recovered = managed.ran(&["state", "recover", "--yes"]).await.unwrap();
    assert!(recovered.code == Some(0) && recovered.stdout.contains("4 tags of 2 nodes"), "{recovered:?}");
    let (code, plan) = managed.plan().await.unwrap();
    assert_eq!((code, reason(&plan)), (Some(0), json!("inStep")), "{plan:#}");
}

#[tokio::test]
async fn a_sync_beside_a_daemon_is_done_by_it() {
    let mut managed = tagged(2).await;
    let running = daemon(&managed).await;
    managed.ran(&["sync"]).await.unwrap();
    managed.tag(0, "Crash", Some("blue")).unwrap();
    // The daemon hears of it by itself.
    for _ in 0..200 {
        if managed.tags(0) == managed.wanted(0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(managed.tags(0), managed.wanted(0));
    let synced = managed.ran(&["sync", "--json"]).await.unwrap();
    assert_eq!(synced.code, Some(0), "{synced:?}");
    stopped(running).await;
}
