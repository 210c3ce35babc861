//! Security Hub.

use serde_json::{Value, json};
use vmbridge_simulator::AwsConfig;

use crate::aws_client::{Signer, end, start};

const PRODUCT: &str = "arn:aws:securityhub:eu-central-1:111122220001:product/111122220001/default";

fn finding(id: &str, minute: u32, status: &str) -> Value {
    json!({
        "SchemaVersion": "2018-10-08", "Id": id, "ProductArn": PRODUCT, "GeneratorId": "vmbridge",
        "AwsAccountId": "111122220001", "CreatedAt": "2026-01-01T00:00:00Z",
        "UpdatedAt": format!("2026-01-01T00:{minute:02}:00Z"), "Title": "t", "Description": "d",
        "Severity": { "Label": "HIGH" }, "Compliance": { "Status": status },
        "Types": ["Software and Configuration Checks/Patch Management"],
        "Resources": [{ "Type": "Other", "Id": "mi-1" }],
    })
}

#[tokio::test]
async fn findings_come_change_and_are_read() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let hub = |operation: &'static str, input: Value| {
        let signer = signer.clone();
        async move { signer.call("securityhub", operation, input).await }
    };
    let mut bad = finding("bad", 1, "FAILED");
    bad["Title"] = "x".repeat(257).into();
    let all: Vec<Value> = (0..7).map(|n| finding(&format!("f{n}"), 1, "FAILED")).chain([bad]).collect();
    let answer = hub("BatchImportFindings", json!({ "Findings": all })).await.good();
    assert_eq!((&answer["SuccessCount"], &answer["FailedCount"]), (&json!(7), &json!(1)));
    assert_eq!(answer["FailedFindings"][0]["Id"], "bad");
    let key = |id: &str| json!({ "Id": id, "ProductArn": PRODUCT });
    let update = json!({ "FindingIdentifiers": [key("f1"), key("nobody")], "Workflow": { "Status": "RESOLVED" },
        "Note": { "Text": "done", "UpdatedBy": "me" } });
    let answer = hub("BatchUpdateFindings", update.clone()).await.good();
    assert_eq!(answer["ProcessedFindings"], json!([key("f1")]));
    assert_eq!(answer["UnprocessedFindings"][0]["ErrorCode"], "FindingNotFound");
    hub("BatchUpdateFindings", update).await.good();
    hub(
        "BatchImportFindings",
        json!({ "Findings": [finding("f1", 1, "PASSED"), finding("f2", 2, "PASSED")] }),
    )
    .await
    .good();
    let effects: Vec<(String, bool)> =
        aws.effects().into_iter().skip(7).map(|effect| (effect.resource, effect.effective)).collect();
    let wanted = [("f1", true), ("f1", false), ("f1", false), ("f2", true)];
    assert_eq!(effects, wanted.map(|(id, effective)| (id.to_owned(), effective)));
    let resolved =
        json!({ "Filters": { "WorkflowStatus": [{ "Value": "RESOLVED", "Comparison": "EQUALS" }] } });
    let found = hub("GetFindings", resolved).await.good();
    assert_eq!((found["Findings"].as_array().unwrap().len(), &found["Findings"][0]["Id"]), (1, &json!("f1")));
    let input = json!({ "MaxResults": 2, "SortCriteria": [{ "Field": "Id", "SortOrder": "desc" }] });
    let sorted = signer.all("securityhub", "GetFindings", input, "Findings").await;
    assert_eq!((sorted.len(), &sorted[0]["Id"]), (7, &json!("f6")));
    for (operation, input) in [
        ("BatchImportFindings", json!({ "Findings": [] })),
        ("BatchImportFindings", json!({ "Findings": vec![finding("x", 1, "FAILED"); 101] })),
        ("BatchImportFindings", json!({ "Findings": [{ "Id": "x" }] })),
        ("GetFindings", json!({ "MaxResults": 101 })),
        ("GetFindings", json!({ "NextToken": "x" })),
        (
            "BatchUpdateFindings",
            json!({ "FindingIdentifiers": [key("f1")], "Workflow": { "Status": "DONE" } }),
        ),
    ] {
        hub(operation, input).await.refused("InvalidInputException");
    }
    assert!(hub("DescribeHub", json!({})).await.good()["HubArn"].as_str().unwrap().ends_with(":hub/default"));
    end(simulator, &aws).await;
}

#[tokio::test]
async fn a_hub_has_to_be_switched_on() {
    let mut config = AwsConfig::default();
    config.accounts[0].security_hub = false;
    let (simulator, aws) = start(2, config).await;
    let answer = Signer::new(&aws).call("securityhub", "DescribeHub", json!({})).await;
    answer.refused("InvalidAccessException");
    end(simulator, &aws).await;
}
