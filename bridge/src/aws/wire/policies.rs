//! The policies of docs/iam.md for reports and findings, enforced.

use super::*;

/// The policy under a heading of docs/iam.md.
fn documented(heading: &str) -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/iam.md")).unwrap();
    let (_, rest) = text.split_once(&format!("## {heading}\n")).expect("the heading is there");
    let (_, rest) = rest.split_once("```json").unwrap();
    serde_json::from_str(rest.split_once("```").unwrap().0).unwrap()
}

fn actions(policy: &Value) -> Vec<String> {
    let of = |statement: &Value| match &statement["Action"] {
        Value::Array(actions) => actions.clone(),
        one => vec![one.clone()],
    };
    let all = policy["Statement"].as_array().unwrap().iter().flat_map(of);
    all.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// Makes every call, and gives the errors of those that fail.
async fn try_reports(world: &World, node: &NodeId) -> Vec<AwsError> {
    let reports = &world.services.reports;
    let vm = item(VM_TYPE, 'a', "one");
    let list = List::new(Kind::Protection, []);
    let nodes = [ManagedNodeId::parse(node.as_str()).unwrap()];
    [
        reports.put_inventory(node, &[InventoryPut::Whole(&vm)]).await.err(),
        reports.put_compliance(node, &list, now()).await.err(),
        reports.ec2_nodes(None).await.err(),
        reports.compliance(&["Association"], None).await.err(),
        reports.patches(&nodes, None).await.err(),
        reports.inventory(VM_TYPE, None).await.err(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is read where findings are only observed.
async fn try_observing(world: &World, node: &NodeId) -> Vec<AwsError> {
    let (hub, nodes) = (&world.services.hub, [ManagedNodeId::parse(node.as_str()).unwrap()]);
    [
        hub.hub().await.err(),
        hub.aggregation().await.err(),
        hub.findings(&FindingFilter::ours(&world.place), None).await.err(),
        world.services.reports.patches(&nodes, None).await.err(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn try_findings(world: &World, node: &NodeId, number: usize) -> Vec<AwsError> {
    let hub = &world.services.hub;
    let sent = finding(&world.place, number, now());
    let key = FindingKey { id: sent.content.id.clone(), product: ProductArn::own(&world.place) };
    let mut errors = try_observing(world, node).await;
    errors.extend(hub.import(std::slice::from_ref(&sent)).await.err());
    errors.extend(hub.update(&[key], &FindingUpdate::workflow(WorkflowStatus::Resolved)).await.err());
    errors
}

#[tokio::test]
async fn the_policies_are_enough_and_nothing_in_them_could_be_left_out() {
    let world = World::start().await;
    let node = world.node();
    world.change(json!({ "op": "setAggregation", "aggregation": { "region": OTHER } }));
    // So that the type is known, whoever may put it.
    assert_eq!(try_reports(&world, &node).await, []);
    let user = world.aws.accounts()[0].user_arn();
    let observing = "Mode `observe` of `[findings]`";
    for heading in ["`[inventory]` and `[compliance]`", "`[findings]`", observing] {
        let policy = documented(heading);
        let all = actions(&policy);
        assert!(all.len() >= 5, "{policy:#}");
        for (number, left_out) in std::iter::once(None).chain(all.iter().map(Some)).enumerate() {
            let mut policy = policy.clone();
            if let Some(action) = left_out {
                let deny = json!({ "Effect": "Deny", "Action": action, "Resource": "*" });
                policy["Statement"].as_array_mut().unwrap().push(deny);
            }
            world.aws.set_policy(&user, Some(&policy)).unwrap();
            let errors = match heading {
                "`[findings]`" => try_findings(&world, &node, number).await,
                _ if heading == observing => try_observing(&world, &node).await,
                _ => try_reports(&world, &node).await,
            };
            let Some(action) = left_out else {
                assert_eq!(errors, [], "{heading}");
                continue;
            };
            let [error] = &errors[..] else { panic!("without {action}: {errors:#?}") };
            assert_eq!((error.operation, error.kind), (action.as_str(), AwsErrorKind::Denied), "{error}");
            assert!(error.kind.fix().unwrap().contains("docs/iam.md"));
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_hub_that_is_not_enabled_is_told_with_the_remedy() {
    let world = World::of(
        "",
        AwsConfig {
            accounts: vec![vmbridge_simulator::AwsAccount {
                security_hub: false,
                ..AwsConfig::default().accounts.remove(0)
            }],
            ..AwsConfig::default()
        },
    )
    .await;
    assert_eq!(world.services.hub.hub().await.unwrap(), HubState::NotEnabled);
    let sent = finding(&world.place, 1, now());
    let error = world.services.hub.import(std::slice::from_ref(&sent)).await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::NotEnabled, "{error}");
    assert!(error.kind.fix().unwrap().contains("findings_region"));
    world.end().await;
}

/// What is refused as too much is sent again, and batches go as fast as Security Hub permits and not as slowly as other writes.
#[tokio::test]
async fn findings_are_sent_at_the_rate_of_security_hub() {
    let world = World::with("writes_per_second=1").await;
    let start = now();
    let begun = tokio::time::Instant::now();
    // The burst, and five more.
    for number in 0..35 {
        let sent = finding(&world.place, number, start);
        assert_eq!(world.services.hub.import(std::slice::from_ref(&sent)).await.unwrap(), [Ok(())]);
    }
    let took = begun.elapsed().as_secs_f64();
    assert!((0.4..15.0).contains(&took), "at one call in a second it would be 33: {took}");
    assert!(world.services.lanes.slowed().is_empty());
    world.end().await;
}
