//! AWS through the control endpoint, and what happens to calls that meet any fault.

use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_simulator::{AwsConfig, AwsMutation, FaultEffect, FaultRule, aws_effects, aws_from_seed};

use crate::aws_client::{Signer, end, start};
use crate::json::Answer;

struct Control {
    http: reqwest::Client,
    url: String,
}

impl Control {
    async fn get(&self, path: &str) -> Value {
        let answer = Answer::of(self.http.get(format!("{}{path}", self.url))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.http.post(format!("{}{path}", self.url)).json(body)).await
    }

    /// Posts what must work.
    async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.post(path, &body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text);
        answer.json()
    }
}

#[tokio::test]
async fn people_and_scripts_can_do_what_tests_can() {
    let (simulator, aws) = start(120, AwsConfig::with_nodes(50, 2)).await;
    let signer = Signer::new(&aws);
    let control = Control { http: signer.http.clone(), url: simulator.serve_control(0).await.unwrap() };
    let truth = control.get("/aws/truth").await;
    assert_eq!(truth, aws.truth());
    let taken: Vec<&str> = truth["accounts"][0]["regions"][0]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["vm"]["moref"].as_str())
        .collect();
    let world = simulator.vcenters()[0].truth();
    let vm = world["vms"].as_array().unwrap().iter().find(|vm| {
        vm["powerState"] == "poweredOn"
            && vm["guest"]["family"] == "linuxGuest"
            && vm["guest"]["hostName"].is_string()
            && vm["guest"]["ipAddress"].is_string()
            && vm["guest"]["fullName"].as_str().is_some_and(|name| name.contains("Red Hat"))
            && !taken.contains(&vm["id"].as_str().unwrap())
    });
    let vm = vm.unwrap();
    let place = json!({ "vcenter": "vc1", "moref": vm["id"] });
    let made =
        control.done("/aws/mutate", json!([{ "op": "addActivation", "tags": { "Site": "Bonn" } }])).await;
    let activation = made[0]["made"].clone();
    let made =
        control.done("/aws/mutate", json!({ "op": "addNode", "vm": place, "activation": activation })).await;
    let node = made["made"].as_str().unwrap().to_owned();
    let told = aws.nodes("111122220001", "eu-central-1").into_iter().find(|n| n.instance_id == node).unwrap();
    assert_eq!(
        (told.computer_name.as_str(), told.platform_type.as_str()),
        (vm["guest"]["hostName"].as_str().unwrap(), "Linux")
    );
    control
        .done(
            "/aws/mutate",
            json!([
                { "op": "tag", "node": node, "key": "k", "value": "v" },
                { "op": "untag", "node": node, "key": "Site" },
                { "op": "setNode", "node": node, "pingStatus": "ConnectionLost", "computerName": "new", "ipAddress": "10.0.0.1" },
                { "op": "removeActivation", "activation": activation },
            ]),
        )
        .await;
    assert_eq!(aws.tags(&node).unwrap(), [("k".to_owned(), "v".to_owned())].into());
    signer.tag(&node, json!([{ "Key": "a", "Value": "b" }])).await.good();
    let effects = control.get("/aws/effects").await;
    assert_eq!(
        (effects.as_array().unwrap().len(), &effects[0]["resource"], &effects[0]["effective"]),
        (1, &json!(node), &json!(true))
    );
    assert_eq!(effects, control.get("/effects").await);
    control.done("/effects/clear", json!({})).await;
    assert_eq!(control.get("/effects").await, json!([]));
    let stats = control.get("/aws/stats").await;
    assert_eq!(
        stats["byPlace"],
        json!([{ "operation": "ssm:AddTagsToResource", "account": "111122220001", "region": "eu-central-1", "calls": 1 }])
    );
    control.done("/aws/stats", json!({})).await;
    assert_eq!(control.get("/aws/stats").await["calls"]["total"], 0);
    control.done("/aws/mutate", json!({ "op": "removeNode", "node": node })).await;

    let user = aws.accounts()[0].user_arn();
    let policy = json!({ "Version": "2012-10-17", "Statement": [] });
    control.done("/aws/policy", json!({ "principal": user, "policy": policy })).await;
    signer.ssm("DescribeActivations", json!({})).await.refused("AccessDeniedException");
    control.done("/aws/policy", json!({ "principal": user, "policy": null })).await;
    control
        .done("/aws/settings", json!({ "throttle": { "rate": 0.01, "burst": 0.5, "operation": "ssm:*" } }))
        .await;
    signer.ssm("DescribeActivations", json!({})).await.refused("ThrottlingException");
    control.done("/aws/settings", json!({ "readDelay": { "ssm": 3 } })).await;
    signer.ssm("DescribeActivations", json!({})).await.refused("ThrottlingException");
    control.done("/aws/settings", json!({ "throttle": null, "readDelay": 0 })).await;
    signer.ssm("DescribeActivations", json!({})).await.good();

    let hold = json!({ "operation": "ssm:DescribeActivations", "effect": { "kind": "holdBefore" } });
    control.done("/faults", json!({ "add": [hold] })).await;
    let call = {
        let signer = signer.clone();
        tokio::spawn(async move { signer.ssm("DescribeActivations", json!({})).await })
    };
    let held = loop {
        let held = control.get("/holds").await;
        if held != json!([]) {
            break held;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(
        (&held[0]["operation"], &held[0]["point"]),
        (&json!("ssm:DescribeActivations"), &json!("before"))
    );
    assert_eq!(control.done("/holds/release", json!({ "operation": "sts:*" })).await["released"], 0);
    assert_eq!(control.done("/holds/release", json!({})).await["released"], 1);
    call.await.unwrap().good();
    let seeded = control.done("/faults", json!({ "clear": true, "awsSeed": 9 })).await;
    assert_eq!(seeded["added"], json!(aws_from_seed(9)));
    control.done("/faults", json!({ "clear": true })).await;

    for (path, body, status) in [
        ("/aws/mutate", json!({ "op": "dance" }), 400),
        ("/aws/mutate", json!({ "op": "tag", "node": "mi-1", "key": "k", "value": "v" }), 404),
        ("/aws/mutate", json!({ "op": "addNode", "account": "999999999999" }), 404),
        ("/aws/mutate", json!({ "op": "addNode", "vm": { "vcenter": "vc1", "moref": "vm-0" } }), 404),
        ("/aws/mutate", json!({ "op": "addNode", "activation": activation }), 404),
        ("/aws/mutate", json!({ "op": "setNode", "node": told.instance_id, "pingStatus": "Lost" }), 409),
        ("/aws/policy", json!({ "principal": user, "policy": {} }), 400),
        ("/aws/settings", json!({ "readDelay": -1 }), 400),
        ("/aws/settings", json!({ "speed": 1 }), 400),
        ("/aws/weather", json!({}), 404),
    ] {
        let answer = control.post(path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.text);
        assert!(answer.json()["error"].is_string());
    }
    end(simulator, &aws).await;
}

#[tokio::test]
async fn every_fault_can_happen_in_every_protocol() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    for (service, operation) in [
        ("ssm", "DescribeActivations"),
        ("sts", "GetCallerIdentity"),
        ("tagging", "GetResources"),
        ("securityhub", "DescribeHub"),
    ] {
        let whole = signer.call(service, operation, json!({})).await;
        for effect in aws_effects() {
            // They only take time.
            if matches!(effect, FaultEffect::Hang { .. } | FaultEffect::Huge { .. }) {
                continue;
            }
            let rule = FaultRule::once(&format!("{service}:{operation}"), effect.clone());
            simulator.add_faults([FaultRule { vcenter: "aws".into(), ..rule }]);
            let answer = signer.try_call(service, operation, json!({})).await;
            let fine = match &effect {
                FaultEffect::ResetBefore | FaultEffect::ResetAfter | FaultEffect::ResetMiddle => {
                    answer.is_err()
                }
                FaultEffect::Status { code: 302 } => true,
                FaultEffect::Status { code } => answer.is_ok_and(|answer| answer.status == *code),
                FaultEffect::AwsError { code, status, .. } => {
                    answer.is_ok_and(|answer| answer.status == *status && answer.code() == *code)
                }
                FaultEffect::ExpireSession => {
                    answer.is_ok_and(|answer| answer.code().starts_with("ExpiredToken"))
                }
                FaultEffect::Delay { .. } | FaultEffect::Drip { .. } | FaultEffect::WrongContentType => {
                    answer.is_ok_and(|answer| answer.text.len() == whole.text.len())
                }
                _ => {
                    answer.is_err()
                        || answer.is_ok_and(|answer| answer.status == 200 && answer.text != whole.text)
                }
            };
            assert!(fine, "{service} {effect:?}");
            simulator.clear_faults();
        }
    }
    end(simulator, &aws).await;
}

#[tokio::test]
async fn an_answer_that_does_not_fit_the_service_model_is_noticed() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let node = aws.mutate(&AwsMutation::stray_node("host")).unwrap().unwrap();
    let nobody_has = json!({ "op": "setNode", "node": node, "ipAddress": "x".repeat(47) });
    aws.mutate(&serde_json::from_value(nobody_has).unwrap()).unwrap();
    let answer = Signer::new(&aws).ssm("DescribeInstanceInformation", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "InternalServerError"));
    let mistakes = aws.mistakes();
    assert!(mistakes.len() == 1 && mistakes[0].contains("iPAddress"), "{mistakes:?}");
    simulator.shutdown().await;
}
