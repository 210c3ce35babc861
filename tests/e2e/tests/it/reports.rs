//! What AWS is told of VMs: the real program, the whole way to Systems Manager and Security Hub and back.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_e2e::managed::Managed;
use vmbridge_e2e::program::Ended;

/// All that is reported, and nothing else.
pub(crate) const SECTIONS: &str = r#"
[tags]
mode = "off"
defaults = false

[inventory]
mode = "enforce"

[compliance]
mode = "enforce"

[findings]
mode = "enforce"
folding = "full"
resolve_patch_manager = true
"#;

const REGION: &str = "eu-central-1";
const WRITES: [&str; 4] =
    ["PutInventory", "PutComplianceItems", "BatchImportFindings", "BatchUpdateFindings"];

pub(crate) fn region(managed: &Managed) -> Value {
    let truth = managed.aws().truth();
    let accounts = truth["accounts"].as_array().expect("accounts").clone();
    let account = accounts.into_iter().find(|one| one["id"] == *managed.account()).expect("our account");
    let regions = account["regions"].as_array().expect("regions").clone();
    regions.into_iter().find(|one| one["region"] == REGION).expect("our Region")
}

pub(crate) fn findings(managed: &Managed) -> Vec<Value> {
    managed.aws().findings(&managed.account(), REGION)
}

fn of_rule<'a>(findings: &'a [Value], rule: &str) -> Vec<&'a Value> {
    findings.iter().filter(|one| one["GeneratorId"] == format!("vmbridge/{rule}")).collect()
}

fn writes(managed: &Managed) -> usize {
    WRITES.iter().map(|operation| managed.effects(operation).len()).sum()
}

async fn synced(managed: &Managed) -> Ended {
    let ended = managed.ran(&["sync"]).await.unwrap();
    assert!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
    assert!(managed.aws().refused().is_empty(), "{:?}", managed.aws().refused());
    ended
}

#[tokio::test]
async fn a_fleet_is_told_once_and_then_costs_nothing() {
    let managed = Managed::new(3, SECTIONS).await.unwrap();
    let planned = managed.ran(&["plan"]).await.unwrap();
    assert_eq!((planned.code, writes(&managed)), (Some(1), 0), "a plan changes nothing: {planned:?}");
    let ended = synced(&managed).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let region = region(&managed);
    for vm in &managed.vms {
        let told = &region["inventory"]["nodes"][&*vm.node]["Custom:VSphereVirtualMachine"];
        assert!(told.to_string().contains(&vm.name), "{told:#}");
        let host = &region["inventory"]["nodes"][&*vm.node]["Custom:VSphereHost"];
        assert!(host.is_object(), "{:#}", region["inventory"]);
        let protection = &region["compliance"]["nodes"][&*vm.node]["Custom:VSphereProtection"];
        assert!(protection.is_object(), "{:#}", region["compliance"]);
    }
    let done = writes(&managed);
    managed.aws().reset_calls();
    let again = synced(&managed).await;
    assert_eq!((again.code, writes(&managed)), (Some(0), done), "{again:?}");
    let calls = managed.aws().calls().calls;
    for operation in WRITES {
        let called: Vec<_> = calls.iter().filter(|(name, _)| name.ends_with(operation)).collect();
        assert!(called.is_empty(), "an idle fleet costs no write: {called:?}");
    }
    let (code, plan) = managed.plan().await.unwrap();
    assert_eq!(code, Some(0), "{plan:#}");
}

#[tokio::test]
async fn a_finding_lives_as_long_as_what_is_wrong() {
    let managed = Managed::new(3, SECTIONS).await.unwrap();
    let node = managed.vms[0].node.clone();
    let scanned = |missing: u32| {
        managed.mutate_aws(json!({ "op": "setMissing", "node": node, "missing": missing })).unwrap();
        managed.mutate_aws(json!({ "op": "patch", "node": node, "outcome": "scanned" })).unwrap();
    };
    managed.mutate_aws(json!({ "op": "setPatchFindings", "on": true })).unwrap();
    scanned(3);
    synced(&managed).await;
    let found = findings(&managed);
    let missing = of_rule(&found, "patches-missing");
    assert_eq!(missing.len(), 1, "{found:#?}");
    let finding = missing[0];
    assert_eq!(
        (&finding["Compliance"]["Status"], &finding["RecordState"]),
        (&json!("FAILED"), &json!("ACTIVE"))
    );
    let resources: BTreeSet<_> =
        finding["Resources"].as_array().unwrap().iter().filter_map(|one| one["Id"].as_str()).collect();
    assert!(resources.contains(&*node), "{resources:?}");
    assert!(finding.to_string().contains(&managed.vms[0].name), "{finding:#}");
    // Patch Manager's own says which VM it is.
    let theirs: Vec<&Value> = found
        .iter()
        .filter(|one| one["ProductArn"].as_str().unwrap().contains("ssm-patch-manager"))
        .collect();
    assert!(!theirs.is_empty(), "{found:#?}");
    assert!(
        theirs.iter().all(|one| one["Note"]["Text"].to_string().contains(&managed.vms[0].name)),
        "{theirs:#?}"
    );

    // Times are told in seconds, and a scan in the same one proves nothing.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    scanned(0);
    let ended = synced(&managed).await;
    let found = findings(&managed);
    let finding = of_rule(&found, "patches-missing")[0];
    assert_eq!(
        (&finding["Compliance"]["Status"], &finding["RecordState"], &finding["Workflow"]["Status"]),
        (&json!("PASSED"), &json!("ARCHIVED"), &json!("RESOLVED")),
        "{finding:#} {ended:?}"
    );
    let theirs = found.iter().filter(|one| one["ProductArn"].as_str().unwrap().contains("ssm-patch-manager"));
    assert!(
        theirs.clone().all(|one| one["Workflow"]["Status"] == "RESOLVED"),
        "{:#?}",
        theirs.collect::<Vec<_>>()
    );
    let done = writes(&managed);
    synced(&managed).await;
    assert_eq!(writes(&managed), done, "nothing is left to do");
}

/// Findings about missing patches, and nothing else.
const PATCHES: &str = r#"
[tags]
mode = "off"
defaults = false

[guard]
max_change_percent = 100

[findings]
mode = "enforce"
folding = "full"
checks = false
unmanaged = false
offline = false
protection = false
resolve_patch_manager = true
"#;

/// A scan of every node finds that it lacks so many patches.
async fn all_lack(managed: &Managed, missing: u32) {
    // Times are told in seconds, and a scan in the same one proves nothing.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    for vm in &managed.vms {
        let node = &vm.node;
        managed.mutate_aws(json!({ "op": "setMissing", "node": node, "missing": missing })).unwrap();
        managed.mutate_aws(json!({ "op": "patch", "node": node, "outcome": "scanned" })).unwrap();
    }
}

/// The finding of a rule about a VM.
fn about(managed: &Managed, rule: &str, vm: usize) -> Value {
    let node = json!(managed.vms[vm].node);
    let all = findings(managed);
    let found = of_rule(&all, rule).into_iter().find(|one| one["Resources"][1]["Id"] == node);
    found.unwrap_or_else(|| panic!("{all:#?}")).clone()
}

#[tokio::test]
async fn what_people_write_and_decide_is_kept() {
    let managed = Managed::new(2, PATCHES).await.unwrap();
    managed.mutate_aws(json!({ "op": "setPatchFindings", "on": true })).unwrap();
    all_lack(&managed, 2).await;
    let theirs = |managed: &Managed, vm: usize| {
        let of_node = |one: &Value| {
            one["ProductArn"].as_str().unwrap().contains("ssm-patch-manager")
                && one["Resources"][0]["Id"].as_str().unwrap().ends_with(&managed.vms[vm].node)
        };
        findings(managed).into_iter().find(of_node).expect("one of Patch Manager")
    };
    // A person is there before us.
    let first = theirs(&managed, 0)["Id"].clone();
    managed
        .mutate_aws(json!({ "op": "setFinding", "finding": first, "note": "waits for the vendor" }))
        .unwrap();
    synced(&managed).await;
    let noted = theirs(&managed, 0);
    assert_eq!(noted["Note"]["Text"], "waits for the vendor");
    assert_eq!(noted["UserDefinedFields"]["vmbridge/vm"], managed.vms[0].name);
    assert!(theirs(&managed, 1)["Note"]["Text"].to_string().contains(&managed.vms[1].name));
    // One of ours is suppressed with a reason, and one of theirs.
    for id in [about(&managed, "patches-missing", 0)["Id"].clone(), theirs(&managed, 1)["Id"].clone()] {
        let change =
            json!({ "op": "setFinding", "finding": id, "workflow": "SUPPRESSED", "note": "accepted by ada" });
        managed.mutate_aws(change).unwrap();
    }
    all_lack(&managed, 0).await;
    let ended = synced(&managed).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (vm, workflow) in [(0, "SUPPRESSED"), (1, "RESOLVED")] {
        let ours = about(&managed, "patches-missing", vm);
        let said = (&ours["RecordState"], &ours["Workflow"]["Status"]);
        assert_eq!(said, (&json!("ARCHIVED"), &json!(workflow)), "{ours:#}");
    }
    assert_eq!(about(&managed, "patches-missing", 0)["Note"]["Text"], "accepted by ada");
    assert_eq!(theirs(&managed, 0)["Workflow"]["Status"], "RESOLVED");
    assert_eq!(theirs(&managed, 0)["Note"]["Text"], "waits for the vendor");
    let suppressed = theirs(&managed, 1);
    assert_eq!(
        (&suppressed["Workflow"]["Status"], &suppressed["Note"]["Text"]),
        (&json!("SUPPRESSED"), &json!("accepted by ada"))
    );
}

#[tokio::test]
async fn what_is_throttled_comes_later_and_one_that_fails_hinders_no_other() {
    let managed = Managed::new(3, PATCHES).await.unwrap();
    all_lack(&managed, 2).await;
    // Everything is slowed down, and of one finding alone Security Hub says that it is wrong.
    let throttle: vmbridge_simulator::Throttle =
        serde_json::from_value(json!({ "rate": 5.0, "burst": 2.0 })).unwrap();
    managed.aws().set_throttle(Some(throttle));
    managed
        .mutate_aws(json!({
            "op": "failFindings", "id": "vmbridge/*", "operation": "BatchImportFindings", "times": 1, "code": "InvalidInput"
        }))
        .unwrap();
    synced(&managed).await;
    let found = findings(&managed);
    assert_eq!(of_rule(&found, "patches-missing").len(), 2, "{found:#?}");
    let told = managed.ran(&["findings", "--json"]).await.unwrap();
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((&told["open"], &told["refused"]), (&json!(2), &json!(1)), "{told:#}");
    assert!(told["findings"][0]["problem"].to_string().contains("InvalidInput"), "{told:#}");
    managed.aws().set_throttle(None);
    // What closes them fails for one, once: the others close, and that one the next time.
    all_lack(&managed, 0).await;
    managed
        .mutate_aws(json!({
            "op": "failFindings", "id": "vmbridge/*", "operation": "BatchUpdateFindings", "times": 1, "code": "ConcurrentUpdateError"
        }))
        .unwrap();
    managed.ran(&["sync"]).await.unwrap();
    let resolved = |managed: &Managed| {
        findings(managed).iter().filter(|one| one["Workflow"]["Status"] == "RESOLVED").count()
    };
    assert_eq!(resolved(&managed), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    synced(&managed).await;
    assert_eq!(resolved(&managed), 2);
}

#[tokio::test]
async fn findings_are_in_one_region_and_end_there_when_it_is_changed() {
    let mut managed = Managed::new(2, PATCHES).await.unwrap();
    managed.mutate_aws(json!({ "op": "setAggregation", "aggregation": { "region": "us-east-1" } })).unwrap();
    all_lack(&managed, 2).await;
    synced(&managed).await;
    let of = |managed: &Managed, region: &str, state: &str| {
        let all = managed.aws().findings(&managed.account(), region);
        all.into_iter().filter(|one| one["RecordState"] == state).count()
    };
    assert_eq!(
        (of(&managed, REGION, "ACTIVE"), of(&managed, "us-east-1", "ACTIVE")),
        (2, 0),
        "copies are no findings"
    );
    managed.estate.replace("settle = ", "findings_region = \"us-east-1\"\nsettle = ");
    managed.estate.config().unwrap();
    let ended = synced(&managed).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((of(&managed, REGION, "ACTIVE"), of(&managed, REGION, "ARCHIVED")), (0, 2));
    assert_eq!(of(&managed, "us-east-1", "ACTIVE"), 2);
    for one in managed.aws().findings(&managed.account(), REGION) {
        assert_eq!(one["ProductFields"]["vmbridge/resolution"], "replaced");
        assert_eq!(one["Workflow"]["Status"], "RESOLVED");
    }
    let done = writes(&managed);
    synced(&managed).await;
    assert_eq!(writes(&managed), done, "nothing is left to do");
}

#[tokio::test]
async fn all_findings_are_withdrawn_when_a_person_wants_none_any_more() {
    let mut managed = Managed::new(2, PATCHES).await.unwrap();
    all_lack(&managed, 2).await;
    synced(&managed).await;
    let refused = managed.vmbridge(&["findings", "--withdraw", "--yes"]).unwrap().run().await.unwrap();
    assert!(refused.code != Some(0) && refused.stderr.contains("enforced"), "{refused:?}");
    managed.estate.replace("[findings]\nmode = \"enforce\"", "[findings]\nmode = \"off\"");
    managed.estate.config().unwrap();
    let unasked = managed.vmbridge(&["findings", "--withdraw"]).unwrap().run().await.unwrap();
    assert!(unasked.code == Some(2) && unasked.stderr.contains("--yes"), "{unasked:?}");
    assert!(findings(&managed).iter().all(|one| one["RecordState"] == "ACTIVE"));
    let ended = managed.ran(&["findings", "--withdraw", "--yes", "--json"]).await.unwrap();
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &told["closed"], &told["left"]), (Some(0), &json!(2), &json!(0)), "{told:#}");
    let found = findings(&managed);
    assert_eq!(found.len(), 2);
    for one in &found {
        assert_eq!(
            (&one["RecordState"], &one["Workflow"]["Status"]),
            (&json!("ARCHIVED"), &json!("RESOLVED"))
        );
        assert_eq!(one["ProductFields"]["vmbridge/resolution"], "withdrawn");
    }
    let again = managed.ran(&["findings"]).await.unwrap();
    assert_eq!(again.code, Some(0), "{again:?}");
}

#[tokio::test]
async fn a_rule_that_is_added_makes_a_finding_and_one_that_is_taken_out_ends_it() {
    const RULE: &str = r#"
[[rule]]
id = "acme-vm-owner"
kind = "vm"
title = "The VM says who owns it"
severity = "low"
family = "acme"
rationale = "Somebody has to be asked before a VM is changed."
remediation = "Write it into the notes of the VM."
read = { path = "config.annotation" }
expect = { matches = "*owner:*", missing = "fail" }
"#;
    let sections =
        PATCHES.replace("checks = false", "checks = true") + "\n[checks]\ndefaults = false\n#files\n";
    let mut managed = Managed::new(2, &sections).await.unwrap();
    managed.estate.secret("rules.toml", RULE).unwrap();
    managed.estate.config().unwrap();
    let mut running = managed.vmbridge(&["run"]).unwrap().start().unwrap();
    running.says("serving /healthz").await.unwrap();
    // Commands ask it as soon as it can be asked.
    let socket = managed.estate.folder().join("state/control.sock");
    for _ in 0..300 {
        if socket.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let states = |managed: &Managed| -> Vec<String> {
        let all = findings(managed);
        let states = of_rule(&all, "acme-vm-owner").into_iter().map(|one| one["RecordState"].to_string());
        states.collect()
    };
    synced(&managed).await;
    assert_eq!(states(&managed), Vec::<String>::new());
    let becomes = async |managed: &Managed, wanted: &str| {
        for _ in 0..300 {
            let states = states(managed);
            if !states.is_empty() && states.iter().all(|state| state.contains(wanted)) {
                return states.len();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{wanted}: {:#?}", findings(managed));
    };
    managed.estate.replace("#files", "files = [\"rules.toml\"]");
    managed.estate.config().unwrap();
    running.signal("HUP").await.unwrap();
    let told = becomes(&managed, "ACTIVE").await;
    assert!(told >= 2, "every VM of the target lacks an owner: {told}");
    managed.estate.replace("files = [\"rules.toml\"]", "#files");
    managed.estate.config().unwrap();
    running.signal("HUP").await.unwrap();
    assert_eq!(becomes(&managed, "ARCHIVED").await, told);
    running.signal("TERM").await.unwrap();
    assert_eq!(running.ended().await.unwrap().code, Some(0));
}
