//! Tags of nodes, policies about them, and throttling.

use serde_json::{Value, json};
use vmbridge_simulator::{Aws, AwsConfig, FaultEffect, FaultRule, Throttle};

use crate::aws_client::{Signer, end, start};

fn add_node(aws: &Aws) -> String {
    aws.mutate(&serde_json::from_value(json!({ "op": "addNode" })).unwrap()).unwrap().unwrap()
}

fn mutate(aws: &Aws, change: Value) {
    aws.mutate(&serde_json::from_value(change).unwrap()).unwrap();
}

#[tokio::test]
async fn tags_are_set_and_removed_and_every_change_is_counted() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let node = add_node(&aws);
    let never = add_node(&aws);
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let bürö = [tag("Patch Group", "büro 東京_.:/=+-@"), tag("empty", "")];
    signer.tag(&node, json!(bürö)).await.good();
    signer.tag(&node, json!(bürö)).await.good();
    mutate(&aws, json!({ "op": "tag", "node": node, "key": "foreign", "value": "x" }));
    let remove = |keys: Value| {
        let input = json!({ "ResourceType": "ManagedInstance", "ResourceId": node, "TagKeys": keys });
        let signer = signer.clone();
        async move { signer.ssm("RemoveTagsFromResource", input).await }
    };
    remove(json!(["empty", "absent"])).await.good();
    remove(json!(["absent"])).await.good();
    let effects: Vec<(u64, bool)> =
        aws.effects().iter().map(|effect| (effect.seq, effect.effective)).collect();
    assert_eq!(effects, [(1, true), (2, false), (3, true), (4, false)]);
    let effect = &aws.effects()[0];
    assert_eq!((effect.operation.as_str(), effect.resource.as_str()), ("AddTagsToResource", node.as_str()));
    assert_eq!(effect.detail["set"]["Patch Group"], "büro 東京_.:/=+-@");
    assert_eq!(aws.tags(&node).unwrap().into_keys().collect::<Vec<_>>(), ["Patch Group", "foreign"]);

    for (tags, code) in [
        (json!([tag("a,b", "")]), "ValidationException"),
        (json!([tag("a", "1;2")]), "ValidationException"),
        (json!([tag("", "")]), "ValidationException"),
        (json!([tag(&"k".repeat(129), "")]), "ValidationException"),
        (json!([tag("k", &"v".repeat(257))]), "ValidationException"),
        (json!([tag("aws:k", "")]), "ValidationException"),
        (json!([tag("a", "1"), tag("a", "2")]), "ValidationException"),
        (json!([{ "Key": "a" }]), "ValidationException"),
        (json!([{ "Key": "a", "Value": "b", "More": 1 }]), "ValidationException"),
        (json!("a"), "SerializationException"),
        ((0..49).map(|n| tag(&format!("k{n}"), "")).collect(), "TooManyTagsError"),
    ] {
        signer.tag(&node, tags).await.refused(code);
    }
    signer.tag(&node, (0..48).map(|n| tag(&format!("k{n}"), "")).collect()).await.good();
    signer.tag(&node, json!([tag("k0", "changed")])).await.good();
    signer.tag(&node, json!([tag("new", "")])).await.refused("TooManyTagsError");
    signer.tag("mi-00000000000000000", json!([])).await.refused("InvalidResourceId");
    signer.tag("i-00000000000000000", json!([])).await.refused("InvalidResourceId");
    let wrong = json!({ "ResourceType": "Parameter", "ResourceId": node, "Tags": [] });
    signer.ssm("AddTagsToResource", wrong).await.refused("InvalidResourceId");
    let elsewhere = Signer { region: "us-east-1".into(), ..signer.clone() };
    elsewhere.tag(&node, json!([])).await.refused("InvalidResourceId");

    // One that never had tags is not listed; one whose tags are gone is.
    remove((0..48).map(|n| format!("k{n}")).collect()).await.good();
    remove(json!(["Patch Group", "foreign"])).await.good();
    let input = json!({ "ResourceTypeFilters": ["ssm:managed-instance"] });
    let all = signer.all("tagging", "GetResources", input, "ResourceTagMappingList").await;
    let arn = format!("arn:aws:ssm:eu-central-1:111122220001:managed-instance/{node}");
    assert_eq!(all, [json!({ "ResourceARN": arn, "Tags": [] })]);
    assert!(aws.tags(&never).unwrap().is_empty());
    end(simulator, &aws).await;
}

#[tokio::test]
async fn resources_are_read_in_pages_and_by_filters() {
    let (simulator, aws) = start(300, AwsConfig::with_nodes(100, 3)).await;
    let signer = Signer::new(&aws);
    let all = |input: Value| {
        let signer = signer.clone();
        async move { signer.all("tagging", "GetResources", input, "ResourceTagMappingList").await }
    };
    let truth = aws.truth();
    let nodes = truth["accounts"][0]["regions"][0]["nodes"].as_array().unwrap();
    let tagged = nodes.iter().filter(|node| node["everTagged"] == true).count();
    assert!(tagged > 20 && tagged < nodes.len());
    for per_page in [1, 7, 100] {
        assert_eq!(all(json!({ "ResourcesPerPage": per_page })).await.len(), tagged);
    }
    assert_eq!(all(json!({ "TagsPerPage": 100 })).await.len(), tagged);
    assert_eq!(all(json!({ "ResourceTypeFilters": ["ec2:instance", "s3"] })).await.len(), 0);
    let with = |key: &str| nodes.iter().filter(|node| node["tags"].get(key).is_some()).count();
    assert_eq!(all(json!({ "TagFilters": [{ "Key": "Patch Group" }] })).await.len(), with("Patch Group"));
    let none = json!({ "TagFilters": [{ "Key": "Patch Group", "Values": ["x"] }, { "Key": "CostCenter" }] });
    assert_eq!(all(none).await.len(), 0);
    let arn = all(json!({ "ResourcesPerPage": 100 })).await[0]["ResourceARN"].clone();
    assert_eq!(all(json!({ "ResourceARNList": [arn] })).await.len(), 1);
    let page = signer.call("tagging", "GetResources", json!({ "ResourcesPerPage": 5 })).await.good();
    for input in [
        json!({ "ResourcesPerPage": 101 }),
        json!({ "ResourcesPerPage": 0 }),
        json!({ "TagsPerPage": 99 }),
        json!({ "PaginationToken": "x" }),
        json!({ "PaginationToken": page["PaginationToken"], "ResourceTypeFilters": ["ssm"] }),
        json!({ "ResourceARNList": [arn], "ResourcesPerPage": 5 }),
        json!({ "ResourceTypeFilters": ["ssm:"] }),
        json!({ "TagFilters": [{ "Values": ["x"] }] }),
        json!({ "ExcludeCompliantResources": true }),
    ] {
        signer.call("tagging", "GetResources", input).await.refused("InvalidParameterException");
    }
    end(simulator, &aws).await;
}

#[tokio::test]
async fn policies_decide_who_may_tag() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let (mine, other) = (add_node(&aws), add_node(&aws));
    mutate(&aws, json!({ "op": "tag", "node": mine, "key": "Owner", "value": "bridge" }));
    let user = aws.accounts()[0].user_arn();
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["ssm:AddTagsToResource", "ssm:RemoveTagsFromResource"],
          "Resource": "arn:aws:ssm:eu-central-1:111122220001:managed-instance/*",
          "Condition": { "StringEquals": { "ssm:resourceTag/Owner": "bridge" },
                         "ForAllValues:StringEquals": { "aws:TagKeys": ["Patch Group"] } } },
        { "Effect": "Allow", "Action": "ssm:CreateActivation", "Resource": "*" },
    ] });
    aws.set_policy(&user, Some(&policy)).unwrap();
    signer.tag(&mine, json!([{ "Key": "Patch Group", "Value": "x" }])).await.good();
    let refused = signer.tag(&other, json!([{ "Key": "Patch Group", "Value": "x" }])).await;
    refused.refused("AccessDeniedException");
    assert_eq!(
        refused.json()["message"],
        format!(
            "User: {user} is not authorized to perform: ssm:AddTagsToResource on resource: \
             arn:aws:ssm:eu-central-1:111122220001:managed-instance/{other} because no identity-based policy allows the \
             ssm:AddTagsToResource action"
        )
    );
    signer.tag(&mine, json!([{ "Key": "Owner", "Value": "x" }])).await.refused("AccessDeniedException");
    signer.ssm("DescribeInstanceInformation", json!({})).await.refused("AccessDeniedException");
    signer.call("tagging", "GetResources", json!({})).await.refused("AccessDeniedException");
    signer.call("securityhub", "DescribeHub", json!({})).await.refused("AccessDeniedException");
    let role = json!({ "RoleArn": aws.accounts()[0].role_arn("vmbridge"), "RoleSessionName": "test" });
    signer.call("sts", "AssumeRole", role).await.refused("AccessDenied");
    // Everybody may ask who they are.
    assert_eq!(signer.call("sts", "GetCallerIdentity", json!({})).await.status, 200);
    let refused = signer.ssm("CreateActivation", json!({ "IamRole": "vmbridge-node" })).await;
    assert!(refused.text.contains("iam:PassRole"), "{}", refused.text);
    assert!(aws.set_policy("arn:aws:iam::111122220001:user/nobody", None).is_err());
    assert!(aws.set_policy(&user, Some(&json!({ "Version": "2012-10-17" }))).is_err());
    aws.set_policy(&user, None).unwrap();
    signer.tag(&other, json!([{ "Key": "Owner", "Value": "x" }])).await.good();
    assert_eq!(aws.effects().len(), 2);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn calls_are_throttled_and_meet_faults() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    aws.set_throttle(Some(Throttle { rate: 0.001, burst: 2.0, operation: "*".into() }));
    for (service, operation, code) in [
        ("ssm", "DescribeActivations", "ThrottlingException"),
        ("tagging", "GetResources", "ThrottledException"),
        ("sts", "GetCallerIdentity", "Throttling"),
        ("securityhub", "DescribeHub", "TooManyRequestsException"),
    ] {
        let call = || signer.call(service, operation, json!({}));
        assert_eq!((call().await.status, call().await.status), (200, 200));
        call().await.refused(code);
    }
    aws.set_throttle(None);
    let error = |code: &str| FaultEffect::AwsError { code: code.into(), status: 400, message: "m".into() };
    for (operation, code) in [("ssm:Describe*", "InternalServerError"), ("sts:*", "RegionDisabledException")]
    {
        simulator
            .add_faults([FaultRule { vcenter: "aws".into(), ..FaultRule::once(operation, error(code)) }]);
    }
    let call = |service: &'static str, operation: &'static str| signer.call(service, operation, json!({}));
    call("ssm", "DescribeActivations").await.refused("InternalServerError");
    call("sts", "GetCallerIdentity").await.refused("RegionDisabledException");
    simulator.add_faults([FaultRule::once("ssm:DescribeActivations", FaultEffect::ExpireSession)]);
    call("ssm", "DescribeActivations").await.refused("ExpiredTokenException");
    simulator.add_faults([FaultRule::once("tagging:GetResources", FaultEffect::ResetAfter)]);
    assert!(signer.try_call("tagging", "GetResources", json!({})).await.is_err());
    assert_eq!(aws.calls().calls["ssm:DescribeActivations"], 5);
    let place = aws.calls_by_place();
    assert!(
        place
            .iter()
            .any(|calls| calls.operation == "sts:GetCallerIdentity" && calls.region == "eu-central-1")
    );
    aws.reset_calls();
    assert_eq!((aws.calls().total, aws.calls_by_place().len()), (0, 0));
    end(simulator, &aws).await;
}
