//! VMs become managed nodes: the real program, guest operations over SOAP and HTTPS, activations at AWS.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use vmbridge_e2e::managed::Managed;
use vmbridge_simulator::{GUEST_PASSWORD, GuestAccount, GuestSetting, GuestTruth, Mutation};

/// What guest operations need in vCenter beyond reading.
pub(crate) const PRIVILEGES: [&str; 3] = [
    "VirtualMachine.GuestOperations.Query",
    "VirtualMachine.GuestOperations.Execute",
    "VirtualMachine.GuestOperations.Modify",
];

/// An estate without nodes, in which guests let us in.
async fn bare(mode: &str) -> Managed {
    bare_with(mode, GUEST_PASSWORD).await
}

async fn bare_with(mode: &str, password: &str) -> Managed {
    let mut managed =
        Managed::with_privileges(0, "[tags]\nmode = \"enforce\"\ndefaults = false\n", &PRIVILEGES)
            .await
            .unwrap();
    managed.credentials(mode, password).unwrap();
    managed
}

/// VMs that can be enrolled, by name, in the order of their names.
async fn eligible(managed: &Managed) -> Vec<(String, String)> {
    let plan = managed.plan().await.unwrap().1;
    let vms = plan["vms"].as_array().unwrap();
    let can = vms.iter().filter(|vm| vm["capabilities"]["enrol"]["reason"] == "planned");
    can.map(|vm| (vm["name"].as_str().unwrap().to_owned(), vm["moref"].as_str().unwrap().to_owned()))
        .collect()
}

fn guest(managed: &Managed, moref: &str) -> GuestTruth {
    let guests = managed.simulator.vcenters()[0].guests();
    guests.into_iter().find(|guest| guest.vm == moref).unwrap()
}

/// Nothing of ours is in a guest, and no code anywhere.
fn clean(managed: &Managed) -> Result<()> {
    for guest in managed.simulator.vcenters()[0].guests() {
        ensure!(guest.files.is_empty() && guest.directories.is_empty(), "{guest:#?}");
    }
    let activations = managed.activations();
    ensure!(activations.is_empty(), "activations are left: {activations:#?}");
    Ok(())
}

#[tokio::test]
async fn a_person_enrols_one_vm() {
    let managed = bare("observe").await;
    let vms = eligible(&managed).await;
    let (name, moref) = &vms[0];
    let dry = managed.vmbridge(&["enroll", name, "--dry-run"]).unwrap().run().await.unwrap();
    assert_eq!(dry.code, Some(1), "{dry:?}");
    assert!(dry.stdout.contains("prepareGuest"), "{}", dry.stdout);
    assert!(managed.simulator.effects().is_empty());

    let enrolled = managed.vmbridge(&["enroll", name]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    assert!(enrolled.stdout.contains("1 enrolled, 0 failed"), "{}", enrolled.stdout);
    for stage in ["preparing", "registering", "enrolled"] {
        assert!(enrolled.stderr.contains(stage), "{}", enrolled.stderr);
    }
    clean(&managed).unwrap();
    let nodes: Value =
        serde_json::from_str(&managed.ran(&["nodes", "--json"]).await.unwrap().stdout).unwrap();
    let node = &nodes.as_array().unwrap()[0];
    assert_eq!(
        (node["name"].as_str(), node["basis"].as_str(), node["ping"].as_str()),
        (Some(&**name), Some("enrolled"), Some("online")),
        "{nodes:#}"
    );
    assert_eq!(guest(&managed, moref).registered.unwrap().node, node["node"].as_str().unwrap());
    // Nothing more is done, and the others are only observed.
    let plan = managed.plan().await.unwrap().1;
    let states: BTreeSet<&str> =
        plan["actions"].as_array().unwrap().iter().filter_map(|action| action["state"].as_str()).collect();
    assert_eq!(states, BTreeSet::from(["observed"]), "{plan:#}");
}

#[tokio::test]
async fn the_code_is_nowhere() {
    let managed = bare("observe").await;
    let (name, moref) = eligible(&managed).await.remove(0);
    let (aws, account) = (managed.aws().clone(), managed.account());
    let codes = tokio::spawn(async move {
        let mut codes = BTreeSet::new();
        loop {
            codes
                .extend(aws.activations(&account, "eu-central-1").into_iter().map(|one| one.activation_code));
            if codes.len() == 1 && aws.activations(&account, "eu-central-1").is_empty() {
                return codes;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let enrolled = managed
        .vmbridge(&["enroll", &name, "--log", "vmbridge=trace,vsphere_client=trace,aws_sdk_ssm=debug"])
        .unwrap()
        .run()
        .await
        .unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    let codes = tokio::time::timeout(Duration::from_secs(10), codes).await.unwrap().unwrap();
    let secrets: Vec<String> = codes.into_iter().chain([GUEST_PASSWORD.to_owned()]).collect();
    assert_eq!(secrets.len(), 2);
    let exported = managed.ran(&["state", "export"]).await.unwrap().stdout;
    let audit = managed.ran(&["audit", "--json"]).await.unwrap().stdout;
    let started = guest(&managed, &moref).started.join("\n");
    assert_eq!(started.lines().count(), 2, "{started}");
    let database = std::fs::read(managed.estate.folder().join("state/vmbridge.db")).unwrap();
    let database = String::from_utf8_lossy(&database).into_owned();
    for secret in &secrets {
        for (what, text) in [
            ("standard output", &enrolled.stdout),
            ("the log", &enrolled.stderr),
            ("the export", &exported),
            ("the journal", &audit),
            ("a command line", &started),
            ("the database", &database),
        ] {
            assert!(!text.contains(secret.as_str()), "a secret is in {what}");
        }
    }
    clean(&managed).unwrap();
}

#[tokio::test]
async fn the_daemon_enrols_all_that_can_be_and_their_tags_come_with_them() {
    let managed = bare("enforce").await;
    let vms = eligible(&managed).await;
    let moref = vms[0].1.clone();
    managed.mutate(&Mutation::AttachTag { id: moref.clone(), tag: "Patch Group:red".to_owned() }).unwrap();
    let mut running = managed.vmbridge(&["run"]).unwrap().start().unwrap();
    running.says("the first picture of the fleet is there").await.unwrap();
    let enrolled = || managed.nodes().len();
    for _ in 0..600 {
        if enrolled() == vms.len() && clean(&managed).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(enrolled(), vms.len());
    clean(&managed).unwrap();
    let node = guest(&managed, &moref).registered.unwrap().node;
    assert_eq!(managed.aws().tags(&node).unwrap()["Patch Group"], "red");
    // They came with the activation: nobody had to write them.
    let written =
        managed.effects("AddTagsToResource").into_iter().filter(|effect| effect.resource == node).count();
    assert_eq!(written, 0);
    running.signal("TERM").await.unwrap();
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    let managed = bare_with("observe", "wrong").await;
    let (name, moref) = eligible(&managed).await.remove(0);
    for _ in 0..2 {
        let refused = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
        assert_ne!(refused.code, Some(0), "{refused:?}");
    }
    assert_eq!(guest(&managed, &moref).refused, 1);
    let plan = managed.plan().await.unwrap().1;
    let vm =
        plan["vms"].as_array().unwrap().iter().find(|vm| vm["moref"] == *moref).context("the VM").unwrap();
    assert_eq!(vm["capabilities"]["enrol"]["reason"], "credentialsRefused", "{vm:#}");
    // The password is another now.
    managed.guest_password(GUEST_PASSWORD).unwrap();
    let enrolled = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
}

#[tokio::test]
async fn why_it_failed_is_one_sentence_with_the_fix() {
    let managed = bare("observe").await;
    let (name, moref) = eligible(&managed).await.remove(0);
    let setting = GuestSetting { exits: Some(vec![12]), ..GuestSetting::default() };
    managed.mutate(&Mutation::SetGuest { id: moref.clone(), guest: setting }).unwrap();
    let failed = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains("0 enrolled, 1 failed"), "{}", failed.stdout);
    assert!(failed.stderr.contains("disk-full"), "{}", failed.stderr);
    clean(&managed).unwrap();
    let enrolled = managed.vmbridge(&["enroll", &name, "--retry"]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    assert_eq!(managed.effects("RegisterManagedInstance").len(), 1);
}

#[tokio::test]
async fn the_documented_policy_is_enough() {
    let managed = bare("observe").await;
    let (name, _) = eligible(&managed).await.remove(0);
    let mut policy = super::iam::documented("Mode `enforce` of `[enrol]`");
    // Tags are enforced in this estate.
    policy["Statement"].as_array_mut().unwrap().push(serde_json::json!({
        "Effect": "Allow",
        "Action": ["ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"],
        "Resource": ["arn:aws:ssm:*:*:managed-instance/*", "arn:aws:ssm:*:*:activation/*"],
    }));
    let aws = managed.aws();
    aws.set_policy(&aws.accounts()[0].user_arn(), Some(&policy)).unwrap();
    aws.reset_calls();
    let enrolled = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    assert_eq!(aws.refused(), Vec::<String>::new());
    for action in ["ssm:CreateActivation", "ssm:DeleteActivation", "iam:PassRole"] {
        let reduced = super::iam::without(&policy, action);
        aws.set_policy(&aws.accounts()[0].user_arn(), Some(&reduced)).unwrap();
        aws.reset_calls();
        let refused =
            managed.vmbridge(&["enroll", &eligible(&managed).await.remove(0).0]).unwrap().start().unwrap();
        for _ in 0..200 {
            if !aws.refused().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(
            aws.refused().iter().any(|refused| refused.contains(action)),
            "{action}: {:?}",
            aws.refused()
        );
        refused.signal("KILL").await.unwrap();
        let _ = refused.ended().await;
        aws.set_policy(&aws.accounts()[0].user_arn(), None).unwrap();
        managed.ran(&["sync"]).await.unwrap();
    }
}

#[tokio::test]
async fn who_is_asked_to_enrol_does_nothing_else() {
    let mut managed =
        Managed::with_privileges(1, "[tags]\nmode = \"enforce\"\ndefaults = false\n", &PRIVILEGES)
            .await
            .unwrap();
    managed.credentials("observe", GUEST_PASSWORD).unwrap();
    managed.tag(0, "Crash", Some("red")).unwrap();
    let (name, _) = eligible(&managed).await.remove(0);
    let enrolled = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    assert!(managed.effects("AddTagsToResource").is_empty(), "{:?}", managed.effects("AddTagsToResource"));
    managed.ran(&["sync"]).await.unwrap();
    assert!(!managed.effects("AddTagsToResource").is_empty());
}

#[tokio::test]
async fn an_account_with_sudo_is_enough() {
    let mut managed =
        Managed::with_privileges(0, "[tags]\nmode = \"off\"\ndefaults = false\n", &PRIVILEGES).await.unwrap();
    managed.credentials("observe", GUEST_PASSWORD).unwrap();
    managed.estate.add(
        "[[credentials]]\nname = \"sudo\"\nvms = \"guest=linux\"\nusername = \"vmbridge\"\nsudo = true\npassword = { file = \"guest-password\" }\n",
    );
    let plan = managed.plan().await.unwrap().1;
    let vms = plan["vms"].as_array().unwrap();
    let linux = vms.iter().find(|vm| {
        vm["capabilities"]["enrol"]["reason"] == "planned" && !vm["name"].as_str().unwrap().starts_with("win")
    });
    let (name, moref) = (linux.unwrap()["name"].as_str().unwrap(), linux.unwrap()["moref"].as_str().unwrap());
    // The guest knows nobody but this account, which is not root.
    let account = GuestAccount {
        username: "vmbridge".to_owned(),
        password: GUEST_PASSWORD.to_owned(),
        privileged: false,
        sudo: true,
    };
    let guest = GuestSetting { accounts: Some(vec![account]), ..GuestSetting::default() };
    managed.mutate(&Mutation::SetGuest { id: moref.to_owned(), guest }).unwrap();
    let enrolled = managed.vmbridge(&["enroll", name]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    let guests = managed.simulator.vcenters()[0].guests();
    assert!(
        guests[0].started.iter().all(|line| line.starts_with("/usr/bin/sudo -n /bin/sh ")),
        "{guests:#?}"
    );
    // The account that was refused first was asked once.
    assert_eq!(guests[0].refused, 1);
    clean(&managed).unwrap();
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..900 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it never happened: {what}");
}

#[tokio::test]
async fn a_silent_agent_is_brought_back_and_a_node_goes_where_its_vm_goes() {
    let mut managed =
        Managed::with_privileges(0, "[tags]\nmode = \"off\"\ndefaults = false\n", &PRIVILEGES).await.unwrap();
    managed.estate.replace("name = \"main\"\n", "name = \"main\"\nvms = \"all except tag=Crash:green\"\n");
    let (url, ca) = (managed.aws().url(), managed.estate.folder().join("aws-ca.pem"));
    managed.estate.add(&format!(
        "[[aws]]\nname = \"east\"\nvms = \"tag=Crash:green\"\nregion = \"us-east-1\"\nendpoint = \"{url}\"\nca_file = \"{}\"\nsettle = \"1s\"\npoll_fast = \"5s\"\n",
        ca.display()
    ));
    managed.credentials("observe", GUEST_PASSWORD).unwrap();
    let (name, moref) = eligible(&managed).await.remove(0);
    let more = format!("vms = \"name={name}\"\nrepair_after = \"10s\"\nretry_after = \"1s\"");
    managed.estate.replace("mode = \"observe\"\nverify", &format!("mode = \"enforce\"\n{more}\nverify"));
    let running = managed.vmbridge(&["run"]).unwrap().start().unwrap();
    let registered = || {
        let guests = managed.simulator.vcenters()[0].guests();
        guests.into_iter().find(|guest| guest.vm == moref).and_then(|guest| guest.registered)
    };
    until("it is enrolled", || registered().is_some() && clean(&managed).is_ok()).await;
    let first = registered().unwrap();
    assert_eq!((managed.nodes().len(), first.region.as_str()), (1, "eu-central-1"));

    managed
        .mutate_aws(
            serde_json::json!({ "op": "setNode", "node": first.node, "pingStatus": "ConnectionLost" }),
        )
        .unwrap();
    until("the agent is started again", || !managed.effects("RestartAgent").is_empty()).await;
    until("it is clean again", || clean(&managed).is_ok()).await;
    assert_eq!(registered().unwrap().node, first.node);
    assert_eq!(managed.effects("RegisterManagedInstance").len(), 1);

    managed.mutate(&Mutation::AttachTag { id: moref.clone(), tag: "Crash:green".to_owned() }).unwrap();
    let east = || managed.aws().nodes(&managed.account(), "us-east-1");
    until("it is a node of the other Region", || east().len() == 1).await;
    until("the former one is gone", || managed.nodes().is_empty() && clean(&managed).is_ok()).await;
    let second = registered().unwrap();
    assert_eq!((second.region.as_str(), managed.effects("RegisterManagedInstance").len()), ("us-east-1", 2));
    assert_eq!(managed.effects("DeregisterManagedInstance").len(), 1);
    running.signal("TERM").await.unwrap();
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
}

#[tokio::test]
async fn a_person_has_a_silent_agent_brought_back() {
    let mut managed =
        Managed::with_privileges(0, "[tags]\nmode = \"off\"\ndefaults = false\n", &PRIVILEGES).await.unwrap();
    managed.credentials_with("observe", GUEST_PASSWORD, "repair_after = \"10s\"").unwrap();
    let (name, moref) = eligible(&managed).await.remove(0);
    let enrolled = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
    assert_eq!(enrolled.code, Some(0), "{enrolled:?}");
    let node = guest(&managed, &moref).registered.unwrap().node;
    let silence = serde_json::json!({ "op": "setNode", "node": node, "pingStatus": "ConnectionLost" });
    managed.mutate_aws(silence).unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(managed.effects("RestartAgent").is_empty(), "what is only observed is not done");
    let repaired = managed.vmbridge(&["enroll", &name]).unwrap().run().await.unwrap();
    assert_eq!(repaired.code, Some(0), "{repaired:?}");
    assert_eq!(managed.effects("RestartAgent").len(), 1, "it ends when that was done: {repaired:?}");
    assert_eq!(managed.effects("RegisterManagedInstance").len(), 1);
    clean(&managed).unwrap();
}
