//! Maintenance windows: what they do to nodes when they open, and what is told of it.

use serde_json::{Value, json};
use vmbridge_simulator::{Aws, AwsConfig, AwsPatchOutcome};

use crate::aws_client::{Signer, end, start};

fn change(aws: &Aws, change: Value) -> Option<String> {
    aws.mutate(&serde_json::from_value(change).unwrap()).unwrap()
}

fn add_node(aws: &Aws, tags: &Value) -> String {
    change(aws, json!({ "op": "addNode", "tags": tags })).unwrap()
}

fn skip(aws: &Aws, seconds: u32) {
    change(aws, json!({ "op": "skipTime", "seconds": seconds }));
}

/// A window that opens every day and patches what has the tag `Patch Group` = `web`.
fn add_window(aws: &Aws, more: &Value) -> String {
    let mut window = json!({ "name": "nightly", "schedule": "rate(1 day)", "duration": 3,
        "targets": { "tag:Patch Group": ["web"] } });
    window.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    change(aws, json!({ "op": "addWindow", "window": window })).unwrap()
}

fn runs(aws: &Aws) -> Vec<(String, AwsPatchOutcome)> {
    let account = &aws.accounts()[0];
    let runs = aws.patch_runs(&account.id, &account.regions[0]);
    runs.into_iter().map(|run| (run.node, run.outcome)).collect()
}

async fn state(signer: &Signer, node: &str) -> Option<Value> {
    let answer = signer.ssm("DescribeInstancePatchStates", json!({ "InstanceIds": [node] })).await.good();
    answer["InstancePatchStates"].as_array().unwrap().first().cloned()
}

async fn statuses(signer: &Signer, window: &str) -> Vec<String> {
    let answer =
        signer.ssm("DescribeMaintenanceWindowExecutions", json!({ "WindowId": window })).await.good();
    let all = answer["WindowExecutions"].as_array().unwrap().iter();
    all.map(|one| one["Status"].as_str().unwrap().to_owned()).collect()
}

const DAY: u32 = 24 * 3600;

#[tokio::test]
async fn a_window_patches_whom_the_tags_of_its_opening_name() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let (web, db) =
        (add_node(&aws, &json!({ "Patch Group": "web" })), add_node(&aws, &json!({ "Patch Group": "db" })));
    let late = add_node(&aws, &json!({}));
    change(&aws, json!({ "op": "setMissing", "node": web, "missing": 7 }));
    let window = add_window(&aws, &json!({}));
    assert_eq!(statuses(&signer, &window).await, Vec::<String>::new());
    skip(&aws, DAY + 2);
    // Too late for this opening.
    change(&aws, json!({ "op": "tag", "node": late, "key": "Patch Group", "value": "web" }));
    assert_eq!(statuses(&signer, &window).await, ["IN_PROGRESS"]);
    assert_eq!(state(&signer, &web).await, None, "a run shows when it is over");
    skip(&aws, 300);
    assert_eq!(statuses(&signer, &window).await, ["SUCCESS"]);
    assert_eq!(runs(&aws), [(web.clone(), AwsPatchOutcome::Installed)]);
    let patched = state(&signer, &web).await.unwrap();
    assert_eq!(
        (&patched["Operation"], &patched["InstalledCount"], &patched["MissingCount"]),
        (&json!("Install"), &json!(7), &json!(0))
    );
    assert_eq!(state(&signer, &db).await, None);
    skip(&aws, DAY);
    let mut second: Vec<String> = runs(&aws)[1..].iter().map(|(node, _)| node.clone()).collect();
    second.sort();
    let mut both = vec![web, late];
    both.sort();
    assert_eq!(second, both);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn every_outcome_is_told_as_aws_tells_it() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let nodes: Vec<String> = (0..4).map(|_| add_node(&aws, &json!({}))).collect();
    let [good, bad, reboot, gone] = &nodes[..] else { unreachable!() };
    change(&aws, json!({ "op": "setPatching", "node": bad, "outcome": "failed", "seconds": 30 }));
    change(&aws, json!({ "op": "setPatching", "node": reboot, "outcome": "rebootPending" }));
    change(&aws, json!({ "op": "setNode", "node": gone, "pingStatus": "ConnectionLost" }));
    let window = add_window(&aws, &json!({ "targets": { "InstanceIds": nodes } }));
    skip(&aws, DAY + 31);
    assert_eq!(statuses(&signer, &window).await, ["IN_PROGRESS"]);
    skip(&aws, 1200);
    assert_eq!(statuses(&signer, &window).await, ["FAILED"]);
    let execution =
        signer.ssm("DescribeMaintenanceWindowExecutions", json!({ "WindowId": window })).await.good();
    let execution = execution["WindowExecutions"][0]["WindowExecutionId"].clone();
    let of = json!({ "WindowExecutionId": execution });
    let tasks = signer.ssm("DescribeMaintenanceWindowExecutionTasks", of).await.good();
    let task = tasks["WindowExecutionTaskIdentities"][0]["TaskExecutionId"].clone();
    let of = json!({ "WindowExecutionId": execution, "TaskId": task });
    let list = "WindowExecutionTaskInvocationIdentities";
    let told = signer.all("ssm", "DescribeMaintenanceWindowExecutionTaskInvocations", of, list).await;
    let status = |node: &str| {
        let of = told.iter().find(|one| one["Parameters"].as_str().unwrap().contains(node)).unwrap();
        of["Status"].as_str().unwrap()
    };
    assert_eq!(
        [status(good), status(bad), status(reboot), status(gone)],
        ["SUCCESS", "FAILED", "SUCCESS", "TIMED_OUT"]
    );
    let parameters: Value = serde_json::from_str(told[0]["Parameters"].as_str().unwrap()).unwrap();
    assert_eq!(parameters["instanceIds"].as_array().unwrap().len(), 1);
    assert_eq!(state(&signer, bad).await.unwrap()["FailedCount"], 1);
    assert_eq!(state(&signer, reboot).await.unwrap()["InstalledPendingRebootCount"], 1);
    assert_eq!(state(&signer, gone).await, None);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn a_hook_that_fails_keeps_a_node_from_being_patched() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let free = add_node(&aws, &json!({ "Patch Group": "web" }));
    let held = add_node(&aws, &json!({ "Patch Group": "web", "hold": "yes" }));
    change(&aws, json!({ "op": "setHook", "document": "vmbridge-hold", "tag": "hold" }));
    let hooked = json!({ "document": "AWS-RunPatchBaselineWithHooks", "hook": "vmbridge-hold" });
    let window = add_window(&aws, &hooked);
    skip(&aws, DAY + 600);
    let mut found = runs(&aws);
    found.sort_by_key(|(node, _)| *node == held);
    assert_eq!(found, [(free, AwsPatchOutcome::Installed), (held.clone(), AwsPatchOutcome::Refused)]);
    assert_eq!(statuses(&signer, &window).await, ["FAILED"]);
    assert_eq!(state(&signer, &held).await, None);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn what_is_not_over_is_not_begun_again_and_a_scan_installs_nothing() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let node = add_node(&aws, &json!({ "Patch Group": "web" }));
    change(&aws, json!({ "op": "setPatching", "outcome": "installed", "seconds": 5400 }));
    let window = add_window(&aws, &json!({ "schedule": "rate(1 hour)" }));
    skip(&aws, 3 * 3600 + 10);
    assert_eq!(statuses(&signer, &window).await, ["IN_PROGRESS", "SKIPPED_OVERLAPPING", "SUCCESS"]);
    change(&aws, json!({ "op": "removeWindow", "window": window }));
    skip(&aws, 5400);
    change(&aws, json!({ "op": "setMissing", "node": node, "missing": 2 }));
    add_window(&aws, &json!({ "operation": "Scan" }));
    skip(&aws, DAY + 5401);
    assert_eq!(runs(&aws).last(), Some(&(node.clone(), AwsPatchOutcome::Scanned)));
    let told = state(&signer, &node).await.unwrap();
    assert_eq!((&told["Operation"], &told["MissingCount"]), (&json!("Scan"), &json!(2)));
    end(simulator, &aws).await;
}

#[tokio::test]
async fn groups_are_targets_too_and_can_be_listed() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let (one, other) = (add_node(&aws, &json!({ "Site": "Ulm" })), add_node(&aws, &json!({})));
    change(&aws, json!({ "op": "setGroup", "name": "fleet", "tags": { "Site": "Ulm" } }));
    let list = |group: &str| {
        let input = json!({ "Group": group, "MaxResults": 1,
            "Filters": [{ "Name": "resource-type", "Values": ["AWS::SSM::ManagedInstance"] }] });
        let signer = signer.clone();
        async move { signer.all("resource-groups", "ListGroupResources", input, "Resources").await }
    };
    let arns = |told: Vec<Value>| -> Vec<String> {
        told.iter().map(|one| one["Identifier"]["ResourceArn"].as_str().unwrap().to_owned()).collect()
    };
    assert!(arns(list("fleet").await)[0].ends_with(&one));
    change(&aws, json!({ "op": "setGroup", "name": "fleet", "tags": { "Site": "Ulm" }, "nodes": [other] }));
    assert_eq!(list("fleet").await.len(), 2);
    signer
        .call("resource-groups", "ListGroupResources", json!({ "Group": "nobody" }))
        .await
        .refused("NotFoundException");
    signer.call("resource-groups", "ListGroupResources", json!({})).await.refused("BadRequestException");
    add_window(&aws, &json!({ "targets": { "resource-groups:Name": ["fleet"] } }));
    skip(&aws, DAY + 600);
    assert_eq!(runs(&aws).len(), 2);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn a_month_of_windows_is_the_same_however_often_one_looks() {
    let outcome = |step: u32| async move {
        let (simulator, aws) = start(1, AwsConfig::default()).await;
        for _ in 0..3 {
            add_node(&aws, &json!({ "Patch Group": "web" }));
        }
        add_window(&aws, &json!({}));
        add_window(&aws, &json!({ "schedule": "rate(7 days)" }));
        for _ in 0..(30 * DAY + 1000) / step {
            skip(&aws, step);
        }
        let count = runs(&aws).len();
        end(simulator, &aws).await;
        count
    };
    assert_eq!(outcome(1000).await, 3 * (30 + 4));
    assert_eq!(outcome(30 * DAY + 1000).await, 3 * (30 + 4));
}

#[tokio::test]
async fn policies_are_about_windows() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let (open, closed) = (add_window(&aws, &json!({})), add_window(&aws, &json!({})));
    let account = &aws.accounts()[0];
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "ssm:DescribeMaintenanceWindows", "Resource": "*" },
        { "Effect": "Allow", "Action": "ssm:DescribeMaintenanceWindowT*",
          "Resource": format!("arn:aws:ssm:*:*:maintenancewindow/{open}") },
    ] });
    aws.set_policy(&account.user_arn(), Some(&policy)).unwrap();
    let of = |window: &str| json!({ "WindowId": window });
    signer.ssm("DescribeMaintenanceWindows", json!({})).await.good();
    signer.ssm("DescribeMaintenanceWindowTasks", of(&open)).await.good();
    signer.ssm("DescribeMaintenanceWindowTasks", of(&closed)).await.refused("AccessDeniedException");
    signer.ssm("DescribeMaintenanceWindowSchedule", of(&open)).await.refused("AccessDeniedException");
    signer.ssm("DeleteMaintenanceWindow", of(&open)).await.refused("AccessDeniedException");
    end(simulator, &aws).await;
}
