//! The real SDKs against the simulator: what reports and findings look like when they go over the wire and come back, and that the
//! policies of docs/iam.md are enough and nothing in them could be left out.

mod policies;

use std::collections::BTreeMap;

use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};
use jiff::Timestamp;
use mappings::compliance::{Check, Kind, List, Severity as Grave, Status as Outcome};
use mappings::findings::life::WorkflowStatus;
use mappings::findings::patches::AUTHOR;
use mappings::findings::{
    Compliance, Content, Details, Finding, ProviderFields, ProviderSeverity, Recommendation, RecordState,
    Remediation, Resource, SCHEMA_VERSION, Severity, Status, Times,
};
use mappings::inventory::{ContentHash, HOST_TYPE, Item, SCHEMA_VERSION as COLUMNS, VM_TYPE};
use serde_json::{Value, json};
use vmbridge_simulator::{Aws, AwsConfig, AwsMutation, Simulator, SimulatorConfig};

use super::*;
use crate::config::{Environment, parse};

const REGION: &str = "eu-central-1";
const OTHER: &str = "us-east-1";

struct World {
    simulator: Simulator,
    aws: Aws,
    services: Services,
    place: Place,
    _folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With something more in the `[[aws]]` entry.
    async fn with(more: &str) -> Self {
        Self::of(more, AwsConfig::default()).await
    }

    async fn of(more: &str, aws: AwsConfig) -> Self {
        let config = SimulatorConfig { aws: Some(aws), ..SimulatorConfig::single(1, 1) };
        let simulator = Simulator::start(config).await.unwrap();
        let aws = simulator.aws().unwrap().clone();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, aws.ca_pem()).unwrap();
        let text = format!(
            "[[vcenter]]\nname='a'\nurl='https://a'\nusername='u'\npassword={{file='/x'}}\n[[aws]]\nname='main'\n\
             region='{REGION}'\nendpoint='{}'\nca_file='{}'\n{more}",
            aws.url(),
            ca_file.display()
        );
        let config = parse(&text, std::path::Path::new("vmbridge.toml"), &Environment::default()).unwrap();
        let account = &aws.accounts()[0];
        let credentials = Credentials::builder()
            .access_key_id(&account.access_key_id)
            .secret_access_key(account.secret())
            .provider_name("test")
            .build();
        let credentials = SharedCredentialsProvider::new(credentials);
        let services = Services::with_credentials(&config.aws[0], credentials).await.unwrap();
        let place = Place::new(&account.id, config.aws[0].hub_region());
        Self { simulator, aws, services, place, _folder: folder }
    }

    fn change(&self, change: Value) -> String {
        let change: AwsMutation = serde_json::from_value(change).unwrap();
        self.aws.mutate(&change).unwrap().unwrap_or_default()
    }

    fn node(&self) -> NodeId {
        NodeId::from(self.change(json!({ "op": "addNode" })))
    }

    async fn all(&self, filter: &FindingFilter) -> Vec<FindingSeen> {
        let (mut all, mut next) = (Vec::new(), None);
        loop {
            let page = self.services.hub.findings(filter, next).await.unwrap();
            all.extend(page.items);
            next = page.next;
            if next.is_none() {
                return all;
            }
        }
    }

    async fn end(self) {
        assert_eq!(self.aws.mistakes(), Vec::<String>::new());
        self.simulator.shutdown().await;
    }
}

/// A finding with something in every field.
fn finding(place: &Place, number: usize, updated: Timestamp) -> Finding {
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let vm = Resource {
        r#type: "Other".to_owned(),
        id: format!("urn:vsphere:vm:{number}"),
        partition: Some("aws".to_owned()),
        region: Some(place.region().to_owned()),
        tags: texts(&[("Site", "Köln")]),
        details: Some(Details { other: texts(&[("name", "öl-01"), ("moRef", "vm-1")]) }),
    };
    let node = Resource {
        id: "mi-0123456789abcdef0".to_owned(),
        partition: None,
        region: None,
        tags: BTreeMap::new(),
        details: None,
        ..vm.clone()
    };
    let content = Content {
        schema_version: SCHEMA_VERSION.to_owned(),
        id: format!("{place}/vm/{number}").as_str().into(),
        product_arn: ProductArn::own(place).as_str().to_owned(),
        product_name: "vmbridge".to_owned(),
        generator_id: "vmbridge/vm-secure-boot".to_owned(),
        aws_account_id: place.account().to_owned(),
        title: format!("VM öl-{number} boots without Secure Boot"),
        description: "Anything can be booted: 日本語.".to_owned(),
        remediation: Some(Remediation {
            recommendation: Recommendation {
                text: "Turn it on.".to_owned(),
                url: Some("https://example.com/".to_owned()),
            },
        }),
        product_fields: texts(&[("vmbridge/owner", "test"), ("vmbridge/rules", "a,b")]),
        resources: vec![vm, node],
        compliance: Compliance { status: Status::Failed, related_requirements: vec!["SCG 1".to_owned()] },
        record_state: RecordState::Active,
        finding_provider_fields: ProviderFields {
            severity: ProviderSeverity { label: Severity::High, original: "high".to_owned() },
            types: vec!["Software and Configuration Checks/Patch Management".to_owned()],
        },
    };
    let times = Times {
        first_observed_at: updated,
        last_observed_at: updated,
        created_at: updated,
        updated_at: updated,
    };
    Finding { content, times }
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(crate::clock::now().as_millisecond()).unwrap()
}

fn later(finding: &Finding, change: impl FnOnce(&mut Content)) -> Finding {
    let mut finding = finding.clone();
    change(&mut finding.content);
    finding.times.updated_at += jiff::SignedDuration::from_millis(1);
    finding
}

#[tokio::test]
async fn a_finding_goes_over_the_wire_as_it_is_and_comes_back_whole() {
    let world = World::start().await;
    let sent = finding(&world.place, 1, now());
    assert_eq!(world.services.hub.import(std::slice::from_ref(&sent)).await.unwrap(), [Ok(())]);
    // What the simulator got is, field by field, the finding's own JSON.
    let wanted: Value = serde_json::from_str(&sent.json()).unwrap();
    let truth = world.aws.truth().to_string();
    let truth: Value = serde_json::from_str(&truth).unwrap();
    let held = find(&truth, &|value| value["Id"] == wanted["Id"] && value.get("Title").is_some()).unwrap();
    for (key, value) in wanted.as_object().unwrap() {
        if key == "ProductFields" {
            // Security Hub adds its own.
            for (name, value) in value.as_object().unwrap() {
                assert_eq!(held[key][name], *value, "{name}");
            }
        } else {
            assert_eq!(held[key], *value, "{key}");
        }
    }
    let seen = world.all(&FindingFilter::ours(&world.place)).await;
    let [seen] = &seen[..] else { panic!("{seen:#?}") };
    let whole = seen.whole.as_ref().expect("it has the form of ours");
    let mut content = whole.content.clone();
    content.product_fields.retain(|key, _| !key.starts_with("aws/"));
    assert_eq!((content, whole.times), (sent.content.clone(), sent.times));
    assert_eq!(seen.key, FindingKey { id: sent.content.id.clone(), product: ProductArn::own(&world.place) });
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Active), Some(WorkflowStatus::New)));
    assert_eq!(seen.resources.len(), 2);
    assert_eq!(seen.patch_finding(), None, "it is none of Patch Manager's");
    world.end().await;
}

fn find<'a>(value: &'a Value, fits: &dyn Fn(&Value) -> bool) -> Option<&'a Value> {
    if value.is_object() && fits(value) {
        return Some(value);
    }
    match value {
        Value::Object(fields) => fields.values().find_map(|inner| find(inner, fits)),
        Value::Array(items) => items.iter().find_map(|inner| find(inner, fits)),
        _ => None,
    }
}

#[tokio::test]
async fn each_finding_of_a_batch_has_an_outcome_of_its_own() {
    let world = World::start().await;
    let start = now();
    let all: Vec<Finding> =
        (0..FINDINGS_AT_ONCE).map(|number| finding(&world.place, number, start)).collect();
    let bad = all[7].content.id.clone();
    world.change(json!({ "op": "failFindings", "id": bad.as_str(), "code": "InternalFailure" }));
    let outcomes = world.services.hub.import(&all).await.unwrap();
    assert_eq!(outcomes.len(), all.len());
    for (at, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), at == 7, "{at}: {outcome:?}");
    }
    let fault = outcomes[7].as_ref().unwrap_err();
    assert_eq!((fault.kind, &*fault.code), (AwsErrorKind::Server, "InternalFailure"));
    assert_eq!(world.all(&FindingFilter::ours(&world.place)).await.len(), FINDINGS_AT_ONCE - 1);

    // What people changed stays; that the problem is back makes it new again.
    let one = &all[0];
    let key = |finding: &Finding| FindingKey {
        id: finding.content.id.clone(),
        product: ProductArn::own(&world.place),
    };
    let note = FindingUpdate {
        note: Some(("seen".to_owned(), "joe".to_owned())),
        fields: BTreeMap::from([("ticket".to_owned(), "4711".to_owned())]),
        workflow: Some(WorkflowStatus::Resolved),
    };
    let missing = FindingKey { id: bad.as_str().into(), ..key(one) };
    let outcomes = world.services.hub.update(&[key(one), missing], &note).await.unwrap();
    assert_eq!(outcomes[0], Ok(()));
    let fault = outcomes[1].as_ref().unwrap_err();
    assert_eq!((fault.kind, &*fault.code), (AwsErrorKind::NotFound, "FindingNotFound"));
    let passed = later(one, |content| {
        content.compliance.status = Status::Passed;
        content.record_state = RecordState::Archived;
    });
    assert_eq!(world.services.hub.import(std::slice::from_ref(&passed)).await.unwrap(), [Ok(())]);
    let only = || FindingFilter::ours(&world.place).only(vec![one.content.id.clone()]);
    let seen = world.all(&only()).await.remove(0);
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Archived), Some(WorkflowStatus::Resolved)));
    let said = seen.note.clone().unwrap();
    assert_eq!((said.text.as_str(), said.updated_by.as_str()), ("seen", "joe"));
    assert_eq!(seen.fields["ticket"], "4711");
    let back = later(&passed, |content| {
        content.compliance.status = Status::Failed;
        content.record_state = RecordState::Active;
    });
    assert_eq!(world.services.hub.import(std::slice::from_ref(&back)).await.unwrap(), [Ok(())]);
    let seen = world.all(&only()).await.remove(0);
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Active), Some(WorkflowStatus::New)));
    assert_eq!(seen.note, Some(said));
    let archived = FindingFilter { state: Some(RecordState::Archived), ..FindingFilter::ours(&world.place) };
    assert!(world.all(&archived).await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn findings_of_patch_manager_are_found_and_told_which_vm_they_mean() {
    let world = World::start().await;
    world.change(json!({ "op": "setPatchFindings", "on": true }));
    let node = world.node();
    world.change(json!({ "op": "setMissing", "node": node.as_str(), "missing": 3 }));
    for _ in 0..2 {
        world.change(json!({ "op": "patch", "node": node.as_str(), "outcome": "scanned" }));
        world.change(json!({ "op": "skipTime", "seconds": 60 }));
    }
    let of_nodes = Place::new(world.place.account(), REGION);
    let seen = world.all(&FindingFilter::of_patch_manager(&of_nodes)).await;
    assert_eq!(seen.len(), 2, "{seen:#?}");
    let findings: Vec<_> = seen.iter().map(|seen| seen.patch_finding().unwrap()).collect();
    assert!(findings.iter().all(|finding| finding.node().as_str() == node.as_str()), "{findings:?}");
    assert!(findings.iter().all(|finding| finding.workflow == WorkflowStatus::New && finding.note.is_none()));
    let (keys, update) = FindingUpdate::of_patch_manager(&mappings::findings::patches::PatchUpdate {
        findings: findings.iter().map(|one| (one.id.clone(), one.product_arn.clone())).collect(),
        note: Some("VM öl-01".to_owned()),
        user_fields: Some(BTreeMap::from([("vmbridge/vm".to_owned(), "öl-01".to_owned())])),
        resolve: true,
    });
    assert_eq!(world.services.hub.update(&keys, &update).await.unwrap(), [Ok(()), Ok(())]);
    assert!(world.all(&FindingFilter::of_patch_manager(&of_nodes)).await.is_empty());
    let whatever = FindingFilter { workflow: Vec::new(), ..FindingFilter::of_patch_manager(&of_nodes) };
    for seen in world.all(&whatever).await {
        let finding = seen.patch_finding().unwrap();
        let note = finding.note.unwrap();
        assert_eq!((note.text.as_str(), note.updated_by.as_str()), ("VM öl-01", AUTHOR));
        assert_eq!(finding.user_fields["vmbridge/vm"], "öl-01");
        assert_eq!(finding.workflow, WorkflowStatus::Resolved);
    }
    // None of them is one of ours.
    assert!(world.all(&FindingFilter::ours(&world.place)).await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn findings_go_to_one_region_and_are_seen_by_the_aggregation_region() {
    let world = World::with(&format!("findings_region='{OTHER}'")).await;
    assert_eq!(world.place.region(), OTHER);
    assert_eq!(world.services.hub.hub().await.unwrap(), HubState::Enabled);
    assert_eq!(world.services.hub.aggregation().await.unwrap(), None);
    world.change(json!({ "op": "setAggregation", "aggregation": { "region": OTHER, "linked": [REGION] } }));
    let found = world.services.hub.aggregation().await.unwrap().unwrap();
    assert_eq!((found.home.as_str(), found.covers(REGION)), (OTHER, Some(true)));
    assert_eq!(found.covers("ap-south-1"), Some(false));
    world.change(json!({ "op": "setAggregation", "aggregation": { "region": OTHER } }));
    let found = world.services.hub.aggregation().await.unwrap().unwrap();
    assert_eq!(found.covers("ap-south-1"), Some(true));

    let sent = finding(&world.place, 1, now());
    assert_eq!(world.services.hub.import(std::slice::from_ref(&sent)).await.unwrap(), [Ok(())]);
    let places = world.aws.calls_by_place();
    let imports = places.iter().filter(|calls| calls.operation == "securityhub:BatchImportFindings");
    assert_eq!(imports.map(|calls| calls.region.as_str()).collect::<Vec<_>>(), [OTHER]);
    world.end().await;
}

fn item(type_name: &'static str, hash: char, name: &str) -> Item {
    Item {
        type_name: type_name.into(),
        schema_version: COLUMNS,
        captured: now(),
        content_hash: ContentHash::parse(&hash.to_string().repeat(64)).unwrap(),
        content: vec![BTreeMap::from([
            ("Name".to_owned(), name.to_owned()),
            ("Empty".to_owned(), String::new()),
        ])],
    }
}

#[tokio::test]
async fn inventory_is_put_confirmed_and_read_back() {
    let world = World::start().await;
    let (reports, node) = (&world.services.reports, world.node());
    let (vm, host) = (item(VM_TYPE, 'a', "öl-01"), item(HOST_TYPE, 'b', "esx1"));
    reports.put_inventory(&node, &[InventoryPut::Whole(&vm), InventoryPut::Whole(&host)]).await.unwrap();
    let seen = reports.inventory(VM_TYPE, None).await.unwrap();
    let [seen] = &seen.items[..] else { panic!("{seen:#?}") };
    assert_eq!((seen.node.as_str(), seen.rows), (node.as_str(), 1));
    assert_eq!(seen.content_hash.as_deref(), Some(vm.content_hash.as_str()));
    assert_eq!(&*seen.schema_version, COLUMNS);
    assert_eq!(seen.captured.unwrap().as_second(), vm.captured.as_second());

    reports.put_inventory(&node, &[InventoryPut::Confirmed(&vm)]).await.unwrap();
    let seen = reports.inventory(VM_TYPE, None).await.unwrap().items.remove(0);
    assert_eq!(seen.rows, 1, "what is confirmed stays");
    let other = item(VM_TYPE, 'c', "öl-02");
    let error = reports.put_inventory(&node, &[InventoryPut::Confirmed(&other)]).await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::OtherContent, "{error}");
    let cleared = Item::cleared(VM_TYPE, now());
    reports.put_inventory(&node, &[InventoryPut::Whole(&cleared)]).await.unwrap();
    let seen = reports.inventory(VM_TYPE, None).await.unwrap();
    assert!(seen.items.iter().all(|seen| seen.rows == 0), "{seen:#?}");

    let gone = NodeId::from("mi-00000000000000000");
    let error = reports.put_inventory(&gone, &[InventoryPut::Whole(&vm)]).await.unwrap_err();
    assert_eq!(error.kind, AwsErrorKind::NotFound, "{error}");
    world.end().await;
}

#[tokio::test]
async fn compliance_of_every_node_is_read_at_once() {
    let world = World::start().await;
    let (reports, node) = (&world.services.reports, world.node());
    let instance = world.change(json!({ "op": "addInstance", "computerName": "web" }));
    world.change(json!({ "op": "setMissing", "node": instance.as_str(), "missing": 2 }));
    world.change(json!({ "op": "patch", "node": instance.as_str(), "outcome": "scanned" }));
    let check = |id: &str, status| Check {
        id: id.to_owned(),
        title: format!("{id} is well"),
        severity: Grave::High,
        status,
        details: vec![("Found".to_owned(), "ä".to_owned())],
    };
    let checks = [check("a", Outcome::NonCompliant), check("b", Outcome::Compliant)];
    let list = List::new(Kind::Hardening, checks);
    let found = now();
    reports.put_compliance(&node, &list, found).await.unwrap();

    let ec2 = reports.ec2_nodes(None).await.unwrap().items;
    let [ec2] = &ec2[..] else { panic!("{ec2:#?}") };
    assert_eq!((ec2.id.as_str(), ec2.computer_name.as_deref()), (instance.as_str(), Some("web")));
    let all = reports.compliance(&["Patch", Kind::Hardening.as_str()], None).await.unwrap().items;
    let of = |node: &str, kind: ComplianceType| {
        all.iter()
            .find(|one| one.node.as_str() == node && one.kind == kind)
            .unwrap_or_else(|| panic!("{all:#?}"))
    };
    let ours = of(node.as_str(), ComplianceType::Other(Kind::Hardening.as_str().into()));
    assert_eq!((ours.status, ours.severity), (Some(Outcome::NonCompliant), Some(Grave::High)));
    assert_eq!((ours.compliant, ours.non_compliant), (1, 1));
    assert_eq!(ours.by_severity, BTreeMap::from([(Grave::High, 1)]));
    assert_eq!(ours.at.map(Timestamp::as_second), Some(found.as_second()));
    assert_eq!(ours.run.as_deref(), Some(&*List::run_of(list.content_hash.as_str())));
    let patches = reports.compliance(&["Patch"], None).await.unwrap().items;
    assert!(patches.iter().all(|one| one.kind == ComplianceType::Patch), "{patches:#?}");
    assert_eq!(of(&instance, ComplianceType::Patch).status, Some(Outcome::NonCompliant));
    let both = [instance.as_str(), node.as_str()].map(|id| ManagedNodeId::parse(id).unwrap());
    let patches = reports.patches(&both, None).await.unwrap().items;
    let [(id, patches)] = &patches[..] else { panic!("{patches:#?}") };
    assert_eq!((id.as_str(), patches.missing), (instance.as_str(), 2));
    assert!(patches.scanned.is_some());
    world.end().await;
}
