//! What reports write and read: through signed requests, and as tests in process see it.

use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_simulator::{
    AwsConfig, AwsMutation, AwsPatchOutcome, ReadDelay, finding_faults, request_faults,
};

use crate::aws_client::{Signer, end, start};

const TYPE: &str = "Custom:VSphereVirtualMachine";

fn put(node: &str, name: &str) -> Value {
    json!({ "InstanceId": node, "Items": [{
        "TypeName": TYPE, "SchemaVersion": "1.0", "CaptureTime": "2026-02-03T04:05:06Z", "ContentHash": name,
        "Content": [{ "Name": name }],
    }] })
}

fn compliance(node: &str, status: &str) -> Value {
    json!({
        "ResourceId": node, "ResourceType": "ManagedInstance", "ComplianceType": "Custom:VSphereHardening",
        "ExecutionSummary": { "ExecutionTime": 1_770_000_000 },
        "Items": [{ "Id": "a", "Severity": "HIGH", "Status": status }],
    })
}

#[tokio::test]
async fn inventory_and_compliance_are_kept_and_reads_lag_behind() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let node = aws.mutate(&AwsMutation::stray_node("web")).unwrap().unwrap();
    let signer = Signer::new(&aws);
    aws.set_read_delay(ReadDelay { ssm: Duration::from_millis(400), ..ReadDelay::default() });
    let seen = || async {
        let wanted = json!({ "ResultAttributes": [{ "TypeName": TYPE }] });
        let inventory = signer.all("ssm", "GetInventory", wanted, "Entities").await;
        let items = "ResourceComplianceSummaryItems";
        let resources = signer.all("ssm", "ListResourceComplianceSummaries", json!({}), items).await;
        let name = inventory.first().map(|entity| entity["Data"][TYPE]["Content"][0]["Name"].clone());
        (name.unwrap_or_default(), resources.first().map(|one| one["Status"].clone()).unwrap_or_default())
    };
    signer.ssm("PutInventory", put(&node, "one")).await.good();
    signer.ssm("PutComplianceItems", compliance(&node, "COMPLIANT")).await.good();
    assert_eq!(seen().await, (Value::Null, Value::Null));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(seen().await, (json!("one"), json!("COMPLIANT")));
    aws.set_read_delay(ReadDelay::default());
    signer.ssm("PutInventory", put(&node, "two")).await.good();
    signer.ssm("PutComplianceItems", compliance(&node, "NON_COMPLIANT")).await.good();
    assert_eq!(seen().await, (json!("two"), json!("NON_COMPLIANT")));
    let held = &aws.truth()["accounts"][0]["regions"][0];
    assert_eq!(held["inventory"]["nodes"][&node][TYPE]["content"], json!([{ "Name": "two" }]));
    let reports = &held["compliance"]["nodes"][&node]["Custom:VSphereHardening"];
    assert_eq!(reports["items"][0]["status"], "NON_COMPLIANT");
    let effects: Vec<_> =
        aws.effects().into_iter().map(|effect| (effect.operation, effect.effective)).collect();
    let pair = [("PutInventory".to_owned(), true), ("PutComplianceItems".to_owned(), true)];
    assert_eq!(effects, [pair.clone(), pair].concat());
    // With its node, everything goes.
    aws.mutate(&AwsMutation::RemoveNode { node }).unwrap();
    assert_eq!(seen().await, (Value::Null, Value::Null));
    assert_eq!(aws.truth()["accounts"][0]["regions"][0]["inventory"]["nodes"], json!({}));
    end(simulator, &aws).await;
}

#[tokio::test]
async fn patch_manager_writes_a_finding_for_every_run_that_leaves_something_out() {
    let mut config = AwsConfig::default();
    config.accounts[0].patch_findings = true;
    let (simulator, aws) = start(2, config).await;
    let (account, region) = (aws.accounts()[0].id.clone(), aws.accounts()[0].regions[0].clone());
    let node = aws.mutate(&AwsMutation::stray_node("web")).unwrap().unwrap();
    let patch = |outcome| aws.mutate(&AwsMutation::Patch { node: node.clone(), outcome }).unwrap();
    let count = || aws.findings(&account, &region).len();
    patch(AwsPatchOutcome::Scanned);
    assert_eq!(count(), 0);
    aws.mutate(&AwsMutation::SetMissing { node: node.clone(), missing: 2 }).unwrap();
    for (outcome, findings) in [
        (AwsPatchOutcome::Undeliverable, 0),
        (AwsPatchOutcome::Scanned, 1),
        (AwsPatchOutcome::Failed, 2),
        (AwsPatchOutcome::RebootPending, 3),
        (AwsPatchOutcome::Installed, 3),
    ] {
        patch(outcome);
        assert_eq!(count(), findings, "{outcome:?}");
    }
    let found = aws.findings(&account, &region);
    let resource = json!({ "Type": "AwsEc2Instance", "Id": node, "Partition": "aws", "Region": region });
    assert!(found.iter().all(|finding| finding["Resources"] == json!([resource])));
    end(simulator, &aws).await;
}

#[test]
fn what_is_not_sent_can_be_judged_too() {
    assert_eq!(request_faults("PutInventory", &put("mi-0123456789abcdef0", "a")), Vec::<String>::new());
    assert_eq!(request_faults("PutInventory", &put("vm-1", "a")).len(), 1);
    assert_eq!(request_faults("BatchImportFindings", &json!({ "Findings": [] })).len(), 1);
    assert!(!finding_faults(&json!({ "Id": "a" }), "111122220001", "eu-central-1").is_empty());
}
