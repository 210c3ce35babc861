//! What AWS is told of VMs: the real program, the whole way to Systems Manager and Security Hub and back.

use std::collections::BTreeSet;

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
    tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
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
