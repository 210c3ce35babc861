//! Enrolment with something real: the guest is a Debian in a container, the installer really runs, and what it installs
//! really registers. vCenter is VMware's simulator, whose guest operations go to the container.

use std::path::Path;
use std::time::Duration;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vmbridge_e2e::contained::{Contained, Guest};
use vmbridge_e2e::program::Ended;
use vmbridge_simulator::{AwsMutation, AwsNode};

const VAULT: &str = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey";

async fn enrol(estate: &Contained, guest: &Guest, more: &[&str]) -> Ended {
    let arguments = [&["enroll", guest.name.as_str()], more].concat();
    estate.vmbridge(&arguments).unwrap().run().await.unwrap()
}

/// What the guest's agent keeps to itself.
fn vault(estate: &Contained, guest: &Guest) -> Value {
    serde_json::from_str(&estate.docker.shell(&guest.container, &format!("cat {VAULT}")).unwrap()).unwrap()
}

/// The public half of the private key that is in the guest.
fn public_key(vault: &Value) -> Vec<u8> {
    let private = STANDARD.decode(vault["privateKey"].as_str().unwrap()).unwrap();
    let pair = KeyPair::from_der(&private).unwrap();
    pair.public_key().as_der().unwrap().as_ref().to_vec()
}

/// Waits for a node that is online, other than those that are known.
async fn online(estate: &Contained, known: &[String]) -> AwsNode {
    for _ in 0..200 {
        let nodes = estate.nodes();
        let fresh =
            nodes.into_iter().find(|node| !known.contains(&node.instance_id) && node.ping_status == "Online");
        if let Some(node) = fresh {
            return node;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no other node came online");
}

#[tokio::test]
async fn a_real_guest_is_enrolled() {
    let estate = Contained::start(1, str::to_owned, "").await.unwrap();
    let guest = &estate.guests[0];
    let docker = &estate.docker;
    let tag = json!({ "name": "Patch Group:web" });
    estate.vcsim.mutate("tag", &guest.moref, &tag).await.unwrap();
    assert!(docker.shell(&guest.container, "test -e /usr/bin/amazon-ssm-agent").is_err());

    // The wrong password is refused, once, and nothing is left or even begun.
    estate.guest_password("wrong").unwrap();
    for _ in 0..2 {
        assert_ne!(enrol(&estate, guest, &[]).await.code, Some(0));
    }
    let reason = |vm: &Value| vm["capabilities"]["enrol"]["reason"].clone();
    assert_eq!(reason(&estate.planned(guest).await.unwrap()), "credentialsRefused");
    let calls = estate.vcsim.control("GET", "/stats", None).await.unwrap()["calls"].clone();
    assert_eq!(calls["CreateTemporaryDirectoryInGuest"], 1, "{calls:#}");
    assert!(calls["StartProgramInGuest"].is_null(), "{calls:#}");
    assert!(estate.activations().is_empty() && estate.nodes().is_empty());
    estate.clean(guest).unwrap();

    // The right one is not.
    let password = estate.vcsim.endpoint("guestPassword").unwrap().to_owned();
    estate.guest_password(&password).unwrap();
    let enrolled = enrol(&estate, guest, &[]).await;
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    assert!(enrolled.stdout.contains("1 enrolled, 0 failed"), "{}", enrolled.stdout);

    // There is one node, registered by what is in the container and by nothing else: its key was made there.
    let nodes = estate.nodes();
    let [node] = nodes.as_slice() else { panic!("{nodes:#?}") };
    let kept = vault(&estate, guest);
    assert_eq!(kept["instanceID"], *node.instance_id);
    assert_eq!(Some(public_key(&kept)), estate.aws().public_key(&node.instance_id));
    assert_eq!(docker.shell(&guest.container, &format!("stat -c %a {VAULT}")).unwrap(), "600");
    assert!(!Path::new(VAULT).exists() && !Path::new("/usr/bin/amazon-ssm-agent").exists());
    let said = (node.ping_status.as_str(), node.computer_name.as_str(), node.platform_name.as_str());
    assert_eq!(said, ("Online", guest.name.as_str(), "Debian GNU/Linux"));
    assert_eq!(node.agent_version, "3.3.9999.0");
    let tags = estate.aws().tags(&node.instance_id).unwrap();
    assert_eq!(tags.get("Patch Group").map(String::as_str), Some("web"), "{tags:?}");

    // The agent runs in the container, which this machine sees as a process of its own among those of the container.
    let pid: u64 = docker.shell(&guest.container, "pidof amazon-ssm-agent").unwrap().parse().unwrap();
    assert!(pid > 1);
    let names = docker.pids(&guest.container).unwrap().into_iter().map(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
    });
    assert!(names.into_iter().any(|name| name == "amazon-ssm-agen"));

    // Nothing of ours is left, neither there nor at AWS, and nobody is logged in.
    estate.clean(guest).unwrap();
    assert!(estate.activations().is_empty(), "{:#?}", estate.activations());
    assert_eq!(estate.vcsim.sessions().await.unwrap(), 0);
    assert!(estate.aws().mistakes().is_empty(), "{:?}", estate.aws().mistakes());

    // It is the VM's node from now on, and there is nothing more to do.
    let planned = estate.planned(guest).await.unwrap();
    assert_eq!(planned["node"]["id"], *node.instance_id, "{planned:#}");
    assert_eq!(planned["node"]["basis"], "enrolled", "{planned:#}");
    assert_eq!(reason(&planned), "inStep", "{planned:#}");
}

#[tokio::test]
async fn another_node_that_is_online_is_not_believed() {
    let estate = Contained::start(1, str::to_owned, "verify_within = \"10s\"").await.unwrap();
    let guest = &estate.guests[0];
    // The guest's agent registers and is never heard of again.
    estate
        .docker
        .shell(&guest.container, "mkdir -p /etc/amazon/ssm && touch /etc/amazon/ssm/silent")
        .unwrap();
    let running = estate.vmbridge(&["enroll", &guest.name]).unwrap().start().unwrap();
    for _ in 0..300 {
        if !estate.nodes().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let silent = estate.nodes().remove(0);
    assert_eq!(silent.computer_name, "");

    // Meanwhile somebody else registers, by another activation, and says that it is called like the guest.
    let docker = &estate.docker;
    let activation = serde_json::from_value(json!({ "op": "addActivation", "description": "somebody's" }));
    let activation: AwsMutation = activation.unwrap();
    let id = estate.aws().mutate(&activation).unwrap().unwrap();
    let code = estate.activations().into_iter().find(|one| one.activation_id == id).unwrap().activation_code;
    let other = estate.stranger(&guest.name).unwrap();
    let register = format!("impostor -register -code {code} -id {id} -region eu-central-1 -y");
    docker.shell(&other, &register).unwrap();
    docker.shell(&other, "setsid impostor >/dev/null 2>&1 </dev/null &").unwrap();
    let impostor = online(&estate, std::slice::from_ref(&silent.instance_id)).await;
    assert_eq!(impostor.computer_name, guest.name);

    let failed = running.ended().await.unwrap();
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains("0 enrolled, 1 failed"), "{}", failed.stdout);
    assert!(failed.stderr.contains("not-online"), "{}", failed.stderr);
    assert_ne!(estate.planned(guest).await.unwrap()["node"]["id"], *impostor.instance_id);
    let tags = estate.aws().tags(&impostor.instance_id).unwrap();
    assert!(tags.is_empty(), "{tags:?}");
    estate.clean(guest).unwrap();
    let ours = estate.activations().into_iter().filter(|one| one.activation_id != id).count();
    assert_eq!(ours, 0, "{:#?}", estate.activations());
}

#[tokio::test]
async fn another_package_is_not_installed() {
    let estate = Contained::start(1, |_| "0".repeat(64), "").await.unwrap();
    let guest = &estate.guests[0];
    let failed = enrol(&estate, guest, &[]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    // The exit code of the installer says it, and its report says what the package is.
    assert!(failed.stderr.contains("verification-failed"), "{}", failed.stderr);
    assert!(failed.stderr.contains(&estate.package), "{}", failed.stderr);
    assert!(estate.docker.shell(&guest.container, "test -e /usr/bin/amazon-ssm-agent").is_err());
    assert!(estate.nodes().is_empty() && estate.activations().is_empty());
    estate.clean(guest).unwrap();
}

/// With SSM Agent itself: `VMBRIDGE_AGENT_PACKAGE` is its Debian package, for this machine's architecture.
#[tokio::test]
#[ignore = "AWS's package is not in the repository; tests/vcsim/README.md says how to run this"]
async fn the_true_agent_is_enrolled() {
    let package = std::env::var_os("VMBRIDGE_AGENT_PACKAGE").expect("VMBRIDGE_AGENT_PACKAGE");
    let package = Some(Path::new(&package));
    let estate = Contained::start_with(1, str::to_owned, "", package).await.unwrap();
    let guest = &estate.guests[0];
    let enrolled = enrol(&estate, guest, &[]).await;
    let log = estate.docker.shell(&guest.container, "cat /var/log/amazon/ssm/*.log").unwrap_or_default();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}\n{log}");
    let nodes = estate.nodes();
    let [node] = nodes.as_slice() else { panic!("{nodes:#?}") };
    assert_eq!(
        (node.ping_status.as_str(), &node.computer_name),
        ("Online", &guest.name),
        "{nodes:#?}\n{log}"
    );
    estate.clean(guest).unwrap();
}
