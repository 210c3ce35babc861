//! Managed nodes, activations and parameters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_simulator::{AwsConfig, AwsMutation, NodeSeeding, ReadDelay};

use crate::aws_client::{Signer, end, start};

const LIST: &str = "InstanceInformationList";

fn seeded(share_percent: u8) -> AwsConfig {
    let nodes = NodeSeeding { share_percent, seed: 4, ec2_instances: 7, ..NodeSeeding::default() };
    AwsConfig { nodes: Some(nodes), ..AwsConfig::default() }
}

#[tokio::test]
async fn as_many_nodes_as_asked_for_are_spread_over_the_fleet() {
    let nodes = NodeSeeding { count: Some(40), oddities: false, ..NodeSeeding::default() };
    let (_simulator, aws) = start(400, AwsConfig { nodes: Some(nodes), ..AwsConfig::default() }).await;
    let nodes = aws.nodes(&aws.accounts()[0].id, "eu-central-1");
    let number = |moref: &str| moref.trim_start_matches("vm-").parse::<u32>().unwrap();
    let mut vms: Vec<u32> = nodes.iter().filter_map(|node| Some(number(&node.vm.as_ref()?.moref))).collect();
    vms.sort_unstable();
    assert_eq!(vms.len(), 40);
    assert!(vms[39] - vms[0] > 300, "{vms:?}");
}

#[tokio::test]
async fn nodes_report_what_agents_in_the_vms_would() {
    let (simulator, aws) = start(400, seeded(60)).await;
    let account = &aws.accounts()[0];
    let nodes = aws.nodes(&account.id, "eu-central-1");
    let truth = simulator.vcenters()[0].truth();
    let vms: BTreeMap<&str, &Value> =
        truth["vms"].as_array().unwrap().iter().map(|vm| (vm["id"].as_str().unwrap(), vm)).collect();
    let activations = aws.activations(&account.id, "eu-central-1");
    let (mut own, mut with_vm) = (0, 0);
    for node in nodes.iter().filter(|node| node.resource_type == "ManagedInstance") {
        let activation =
            activations.iter().find(|a| Some(&a.activation_id) == node.activation_id.as_ref()).unwrap();
        assert!(activation.registrations_count <= activation.registration_limit);
        let Some(vm) = &node.vm else { continue };
        with_vm += 1;
        let vm = vms[vm.moref.as_str()];
        assert_eq!(vm["powerState"], "poweredOn");
        let host = vm["guest"]["hostName"].as_str().unwrap();
        if node.platform_type == "Windows" {
            assert!(node.computer_name.to_ascii_lowercase().starts_with(&host.to_ascii_lowercase()));
            assert!(node.computer_name.contains('.'));
        } else {
            assert_eq!(node.computer_name, host);
        }
        let uuids = (truth["instanceUuid"].as_str().unwrap(), vm["config"]["instanceUuid"].as_str().unwrap());
        let wanted =
            format!("vmbridge vcenter={} vm={} instance={}", uuids.0, vm["id"].as_str().unwrap(), uuids.1);
        if activation.registration_limit == 1 {
            assert_eq!(activation.description.as_deref(), Some(wanted.as_str()));
            own += 1;
        }
    }
    assert!(with_vm > 80 && own * 100 / with_vm > 15 && own * 100 / with_vm < 45, "{own} of {with_vm}");
    // One node without a VM, and a clone with the host name of a node.
    let managed = nodes.iter().filter(|node| node.resource_type == "ManagedInstance");
    assert_eq!(managed.filter(|node| node.vm.is_none()).count(), 1);
    let mut hosts: BTreeMap<&str, usize> = BTreeMap::new();
    for vm in vms.values() {
        *hosts.entry(vm["guest"]["hostName"].as_str().unwrap_or_default()).or_default() += 1;
    }
    assert!(nodes.iter().any(|node| hosts.get(node.computer_name.as_str()) == Some(&2)));
    // The same again is the same.
    let (again, twin) = start(400, seeded(60)).await;
    let ids = |nodes: &[vmbridge_simulator::AwsNode]| -> Vec<String> {
        nodes.iter().map(|node| format!("{} {}", node.instance_id, node.computer_name)).collect()
    };
    assert_eq!(ids(&twin.nodes(&account.id, "eu-central-1")), ids(&nodes));
    end(again, &twin).await;
    end(simulator, &aws).await;
}

#[tokio::test]
async fn nodes_are_read_in_pages_and_by_filters() {
    let (simulator, aws) = start(400, seeded(60)).await;
    let signer = Signer::new(&aws);
    let account = &aws.accounts()[0];
    let nodes = aws.nodes(&account.id, "eu-central-1");
    let all = signer.all("ssm", "DescribeInstanceInformation", json!({ "MaxResults": 7 }), LIST).await;
    let ids: BTreeSet<&str> = all.iter().map(|node| node["InstanceId"].as_str().unwrap()).collect();
    assert_eq!((all.len(), ids.len()), (nodes.len(), nodes.len()));
    let first = signer.ssm("DescribeInstanceInformation", json!({})).await.good();
    assert_eq!(first[LIST].as_array().unwrap().len(), 10);
    let token = first["NextToken"].clone();

    let count =
        |test: &dyn Fn(&vmbridge_simulator::AwsNode) -> bool| nodes.iter().filter(|n| test(n)).count();
    let tagged =
        |key: &str| nodes.iter().filter(|n| aws.tags(&n.instance_id).unwrap().contains_key(key)).count();
    let batch = nodes
        .iter()
        .find(|n| n.is_latest_version && n.activation_id.is_some())
        .unwrap()
        .activation_id
        .clone();
    for (filter, wanted) in [
        (json!({ "Key": "PingStatus", "Values": ["ConnectionLost"] }), count(&|n| n.ping_status != "Online")),
        (json!({ "Key": "ResourceType", "Values": ["EC2Instance"] }), 7),
        (
            json!({ "Key": "PlatformTypes", "Values": ["Windows", "MacOS"] }),
            count(&|n| n.platform_type == "Windows"),
        ),
        (json!({ "Key": "InstanceIds", "Values": [nodes[3].instance_id, "mi-00000000000000000"] }), 1),
        (json!({ "Key": "ActivationIds", "Values": [batch] }), count(&|n| n.activation_id == batch)),
        (json!({ "Key": "tag-key", "Values": ["CostCenter"] }), tagged("CostCenter")),
        (json!({ "Key": "tag:Name", "Values": ["app-3"] }), 1),
    ] {
        let input = json!({ "Filters": [filter], "MaxResults": 50 });
        let found = signer.all("ssm", "DescribeInstanceInformation", input, LIST).await.len();
        assert!(found == wanted && found > 0, "{filter}: {found} {wanted}");
    }
    let with = |filters: Value| json!({ "Filters": filters });
    let ping = json!({ "Key": "PingStatus", "Values": ["Online"] });
    for (input, code) in [
        (json!({ "MaxResults": 4 }), "ValidationException"),
        (json!({ "MaxResults": 51 }), "ValidationException"),
        (json!({ "MaxResults": "10" }), "SerializationException"),
        (json!({ "maxResults": 10 }), "ValidationException"),
        (json!({ "NextToken": "rubbish" }), "InvalidNextToken"),
        (json!({ "NextToken": token, "Filters": [ping] }), "InvalidNextToken"),
        (with(json!([{ "Key": "Colour", "Values": ["red"] }])), "InvalidFilterKey"),
        (with(json!([{ "Key": "PingStatus", "Values": ["red"] }])), "InvalidInstanceInformationFilterValue"),
        (with(json!([{ "Key": "PingStatus", "Values": [] }])), "ValidationException"),
        (with(json!([ping, { "Key": "tag:a", "Values": ["b"] }])), "ValidationException"),
        (
            json!({ "Filters": [ping], "InstanceInformationFilterList": [{ "key": "PingStatus", "valueSet": ["Online"] }] }),
            "ValidationException",
        ),
    ] {
        signer.ssm("DescribeInstanceInformation", input).await.refused(code);
    }
    // Another Region does not know the token, and has no nodes.
    let there = Signer { region: "us-east-1".into(), ..signer.clone() };
    there.ssm("DescribeInstanceInformation", json!({ "NextToken": token })).await.refused("InvalidNextToken");

    let gone = nodes.iter().find(|n| n.instance_id.starts_with("mi-")).unwrap().instance_id.clone();
    signer.ssm("DeregisterManagedInstance", json!({ "InstanceId": gone })).await.good();
    signer.ssm("DeregisterManagedInstance", json!({ "InstanceId": gone })).await.refused("InvalidInstanceId");
    let left = signer.all("ssm", "DescribeInstanceInformation", json!({ "MaxResults": 50 }), LIST).await;
    assert_eq!(left.len(), nodes.len() - 1);
    assert_eq!(aws.effects().len(), 1);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn activations_live_and_end() {
    let (simulator, aws) = start(3, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let create = |input: Value| {
        let signer = signer.clone();
        async move { signer.ssm("CreateActivation", input).await }
    };
    let made = create(json!({ "IamRole": "vmbridge-node", "RegistrationLimit": 2, "Description": "d",
        "DefaultInstanceName": "n", "Tags": [{ "Key": "Site", "Value": "Bonn" }] }))
    .await
    .good();
    assert!(made["ActivationCode"].as_str().unwrap().len() >= 20);
    let id = made["ActivationId"].as_str().unwrap().to_owned();
    #[expect(clippy::disallowed_methods, reason = "the time of day is what is tested")]
    let now = jiff::Timestamp::now().as_second();
    for (input, code) in [
        (json!({}), "ValidationException"),
        (json!({ "IamRole": "nobody" }), "InvalidParameters"),
        (json!({ "IamRole": "vmbridge-node", "RegistrationLimit": 1001 }), "ValidationException"),
        (json!({ "IamRole": "vmbridge-node", "RegistrationLimit": 0 }), "ValidationException"),
        (json!({ "IamRole": "vmbridge-node", "ExpirationDate": now + 31 * 86_400 }), "InvalidParameters"),
        (json!({ "IamRole": "vmbridge-node", "ExpirationDate": now - 60 }), "InvalidParameters"),
        (
            json!({ "IamRole": "vmbridge-node", "Tags": [{ "Key": "aws:x", "Value": "" }] }),
            "ValidationException",
        ),
    ] {
        create(input).await.refused(code);
    }
    let add = || AwsMutation::AddNode {
        account: None,
        region: None,
        vm: None,
        computer_name: Some("host".into()),
        ip_address: None,
        platform_type: Some("Windows".into()),
        activation: Some(id.clone()),
        tags: BTreeMap::new(),
    };
    let node = aws.mutate(&add()).unwrap().unwrap();
    aws.mutate(&add()).unwrap();
    assert!(aws.mutate(&add()).is_err(), "it is used up");
    assert_eq!(aws.tags(&node).unwrap()["Site"], "Bonn");
    let told = signer.ssm("DescribeInstanceInformation", json!({})).await.good()[LIST][0].clone();
    assert_eq!((&told["Name"], &told["IamRole"]), (&json!("n"), &json!("vmbridge-node")));
    let filter = json!({ "Filters": [{ "FilterKey": "ActivationIds", "FilterValues": [id] }] });
    let listed = signer.ssm("DescribeActivations", filter).await.good();
    assert_eq!(listed["ActivationList"][0]["RegistrationsCount"], 2);
    signer.ssm("DeleteActivation", json!({ "ActivationId": id })).await.good();
    signer.ssm("DeleteActivation", json!({ "ActivationId": id })).await.refused("InvalidActivationId");
    assert_eq!(signer.ssm("DescribeActivations", json!({})).await.good()["ActivationList"], json!([]));
    let operations: Vec<String> = aws.effects().into_iter().map(|effect| effect.operation).collect();
    assert_eq!(operations, ["CreateActivation", "DeleteActivation"]);
    end(simulator, &aws).await;
}

#[tokio::test]
async fn reads_lag_behind_writes() {
    let (simulator, aws) = start(3, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let node = aws.mutate(&AwsMutation::stray_node("host")).unwrap().unwrap();
    let delay = Duration::from_millis(400);
    aws.set_read_delay(ReadDelay { tagging: delay, ..ReadDelay::default() });
    signer.tag(&node, json!([{ "Key": "a", "Value": "1" }])).await.good();
    let listed = || async {
        let found = signer.all("tagging", "GetResources", json!({}), "ResourceTagMappingList").await;
        found.first().map(|resource| resource["Tags"].to_string())
    };
    let of_ssm = || async {
        let input = json!({ "ResourceType": "ManagedInstance", "ResourceId": node });
        signer.ssm("ListTagsForResource", input).await.good()["TagList"].to_string()
    };
    assert_eq!((listed().await, of_ssm().await.contains('1')), (None, true));
    tokio::time::sleep(delay).await;
    assert!(listed().await.unwrap().contains('1'));
    signer.tag(&node, json!([{ "Key": "a", "Value": "2" }])).await.good();
    assert!(listed().await.unwrap().contains('1') && aws.tags(&node).unwrap()["a"] == "2");
    aws.set_read_delay(ReadDelay::default());
    assert!(listed().await.unwrap().contains('2'));
    end(simulator, &aws).await;
}

#[tokio::test]
async fn parameters_are_read() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    for value in ["one", "two"] {
        let set = json!({ "op": "setParameter", "name": "/vc/password", "value": value, "secure": true });
        aws.mutate(&serde_json::from_value(set).unwrap()).unwrap();
    }
    let get = |name: &str, decrypt: bool| {
        let (signer, input) = (signer.clone(), json!({ "Name": name, "WithDecryption": decrypt }));
        async move { signer.ssm("GetParameter", input).await }
    };
    let parameter = get("/vc/password", true).await.good()["Parameter"].clone();
    assert_eq!(
        (&parameter["Value"], &parameter["Version"], &parameter["Type"]),
        (&json!("two"), &json!(2), &json!("SecureString"))
    );
    assert_eq!(get("/vc/password:1", true).await.good()["Parameter"]["Value"], "one");
    assert_eq!(get(parameter["ARN"].as_str().unwrap(), true).await.good()["Parameter"]["Value"], "two");
    assert_ne!(get("/vc/password", false).await.good()["Parameter"]["Value"], "two");
    get("/vc/nothing", true).await.refused("ParameterNotFound");
    get("/vc/password:3", true).await.refused("ParameterVersionNotFound");
    end(simulator, &aws).await;
}

#[tokio::test]
async fn the_standard_tier_is_full_at_a_thousand() {
    let (simulator, aws) = start(60, AwsConfig::default()).await;
    let truth = simulator.vcenters()[0].truth();
    let running = truth["vms"].as_array().unwrap().iter().find(|vm| {
        vm["powerState"] == "poweredOn"
            && vm["guest"]["family"] == "windowsGuest"
            && vm["guest"]["hostName"].is_string()
            && vm["guest"]["ipAddress"].is_string()
    });
    let moref = running.unwrap()["id"].as_str().unwrap();
    let id = aws.mutate(&AwsMutation::node_of("vc1", moref)).unwrap().unwrap();
    let node = aws.nodes("111122220001", "eu-central-1").remove(0);
    assert_eq!((&node.instance_id, node.platform_type.as_str()), (&id, "Windows"));
    assert_eq!(node.vm.unwrap().moref, moref);
    for _ in 1..1000 {
        aws.mutate(&AwsMutation::stray_node("host")).unwrap();
    }
    assert!(aws.mutate(&AwsMutation::stray_node("host")).is_err());
    aws.mutate(&AwsMutation::RemoveNode { node: id.clone() }).unwrap();
    aws.mutate(&AwsMutation::stray_node("host")).unwrap();
    assert!(aws.mutate(&AwsMutation::tag(&id, "k", "v")).is_err(), "it is gone");
    end(simulator, &aws).await;
}
