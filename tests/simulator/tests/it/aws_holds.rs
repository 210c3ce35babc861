//! Calls that are held, and clients that go away meanwhile.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use vmbridge_simulator::{Aws, AwsConfig, AwsMutation, FaultEffect, FaultRule, HoldPoint, Simulator};

use crate::aws_client::{Answer, Signer, end, start};
use crate::client::Client;

async fn held(aws: &Aws, count: usize) {
    for _ in 0..500 {
        if aws.holds().len() == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not {count} calls are held: {:?}", aws.holds());
}

fn hold(simulator: &Simulator, operation: &str, effect: FaultEffect) {
    simulator.add_faults([FaultRule::once(operation, effect)]);
}

/// Tags a node from a connection of its own.
fn tag(aws: &Aws, node: &str, value: &str) -> JoinHandle<reqwest::Result<Answer>> {
    let (signer, node, value) = (Signer::new(aws), node.to_owned(), value.to_owned());
    tokio::spawn(async move {
        let input = json!({ "ResourceType": "ManagedInstance", "ResourceId": node, "Tags": [{ "Key": "k", "Value": value }] });
        signer.try_call("ssm", "AddTagsToResource", input).await
    })
}

#[tokio::test]
async fn a_call_is_held_before_or_after_its_effect() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let node = aws.mutate(&AwsMutation::stray_node("host")).unwrap().unwrap();

    hold(&simulator, "ssm:AddTagsToResource", FaultEffect::HoldBefore);
    let call = tag(&aws, &node, "one");
    held(&aws, 1).await;
    let shown = &aws.holds()[0];
    assert_eq!(
        (shown.vcenter.as_str(), shown.operation.as_str(), shown.point),
        ("aws", "ssm:AddTagsToResource", HoldPoint::Before)
    );
    assert!(aws.effects().is_empty() && !call.is_finished());
    assert_eq!(aws.release_holds(), 1);
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    assert_eq!(aws.effects().len(), 1);

    hold(&simulator, "ssm:AddTagsToResource", FaultEffect::HoldAfter);
    let call = tag(&aws, &node, "two");
    held(&aws, 1).await;
    assert_eq!((aws.effects().len(), aws.holds()[0].point, call.is_finished()), (2, HoldPoint::After, false));
    aws.release_holds();
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn a_call_whose_client_is_gone_is_never_applied() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let node = aws.mutate(&AwsMutation::stray_node("host")).unwrap().unwrap();
    for round in 0..20 {
        hold(&simulator, "ssm:AddTagsToResource", FaultEffect::HoldBefore);
        let call = tag(&aws, &node, "lost");
        held(&aws, 1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        // Both orders: noticed before the release, and released at once.
        if round % 2 == 0 {
            held(&aws, 0).await;
        }
        aws.release_holds();
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert!(aws.effects().is_empty() && aws.tags(&node).unwrap().is_empty());
    }
    // After the effect it is too late to go away.
    hold(&simulator, "ssm:AddTagsToResource", FaultEffect::HoldAfter);
    let call = tag(&aws, &node, "kept");
    held(&aws, 1).await;
    call.abort();
    held(&aws, 0).await;
    assert_eq!((aws.effects().len(), aws.tags(&node).unwrap()["k"].as_str()), (1, "kept"));
    end(simulator, &aws).await;
}

#[tokio::test]
async fn calls_of_vcenters_are_held_too() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let client = Client::logged_in(&simulator.vcenters()[0]).await;
    hold(&simulator, "CurrentTime", FaultEffect::HoldBefore);
    let call = tokio::spawn(async move { client.try_call("CurrentTime", "ServiceInstance", "").await });
    held(&aws, 1).await;
    assert_eq!((simulator.holds()[0].vcenter.as_str(), simulator.release_holds()), ("vc1", 1));
    assert_eq!(call.await.unwrap().unwrap().status, 200);
    end(simulator, &aws).await;
}
