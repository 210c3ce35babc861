//! The table and the report of a small world: two VMs, one of them a node, and an EC2 instance.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::compliance::table::Patches;

use super::super::{AuditQuery, ComplianceDocument, ComplianceQuery, ReadBack, audit, compliance};
use crate::aws::fake_reports::FakeReports;
use crate::aws::{
    AwsErrorKind, Ec2Node, InventoryPut, ManagedNodeId, Node, NodeId, Ping, Place, Platform, Reports,
    TargetName,
};
use crate::cloud::{Cloud, TargetView};
use crate::config::Environment;
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::fleet::{FleetUpdate, Reads, SharedFleet};
use crate::memory::Memory;
use crate::plan::{Policy, View};
use crate::store::{Basis, Identity, VmId};

const NODE: &str = "mi-0123456789abcdef0";
const EC2: &str = "i-0123456789abcdef0";
const CONFIG: &str = "
[[vcenter]]
name = \"dc1\"
url = \"https://a\"
username = \"u\"
password = { file = \"/x\" }
[[aws]]
name = \"prod\"
region = \"eu-central-1\"
[[checks.suppress]]
name = \"web\"
rules = [\"vm-secure-boot\"]
vms = \"name=web-2\"
reason = \"CHG-1\"
until = 2027-03-31
";

fn now() -> Timestamp {
    "2027-01-15T02:00:00Z".parse().unwrap()
}

struct World {
    fleet: SharedFleet,
    cloud: Cloud,
    memory: Memory,
    policy: Policy,
    reports: FakeReports,
}

impl World {
    fn new() -> Self {
        let config = crate::config::parse(CONFIG, Path::new("vmbridge.toml"), &Environment::default());
        let policy = Policy::of(&config.unwrap());
        let fleet = SharedFleet::new();
        let vcenter = TestVcenter::new(&fleet, "dc1", 1);
        let reads = Some(Arc::new(Reads::new(Arc::clone(&policy.report.rules))));
        fleet.apply(&vcenter.name, FleetUpdate::Setup { reads, is_provider_managed: false }, now());
        vcenter.read(&[TestVm::new(1, &[]), TestVm::new(2, &[])], now());
        let place = Place::new("111122223333", "eu-central-1");
        let node = NodeId::of_managed_instance(NODE).unwrap();
        let known = Node {
            id: node.clone(),
            computer_name: Some("web-1".into()),
            ip_address: None,
            platform: Some(Platform::Linux),
            agent_version: None,
            ping: Ping::Online,
            last_ping: Some(now()),
            activation: None,
            registered: Some(now()),
        };
        let mut cloud = Cloud::default();
        let view = TargetView {
            place: Some(place.clone()),
            nodes: [(node.clone(), Arc::new(known))].into(),
            as_of: Some(now()),
            ..TargetView::default()
        };
        cloud.put(TargetName::from("prod"), view);
        let mut memory = Memory { installation: "0123abcd".into(), ..Memory::default() };
        let vm = VmId { vcenter: vcenter.uuid.parse().unwrap(), vm: "vm-1".into() };
        let identity = Identity {
            place: place.clone(),
            node: node.clone(),
            vm,
            instance: None,
            basis: Some(Basis::Linked),
            since: now(),
        };
        memory.identities.insert((place, node), vec![identity]);
        let reports = FakeReports::default();
        let id = |text: &str| ManagedNodeId::parse(text).unwrap();
        let ec2 = Ec2Node {
            id: id(EC2),
            computer_name: Some("shop".into()),
            platform: Some(Platform::Linux),
            system: Some("Amazon Linux 2023".into()),
            agent_version: None,
            ping: Ping::Online,
            last_ping: Some(now()),
        };
        reports.know(vec![ec2], Vec::new());
        let scanned = Some(now());
        reports.patch(id(EC2), Patches { installed: 9, scanned, ..Patches::default() });
        reports.patch(
            id(NODE),
            Patches { installed: 5, missing: 2, critical: 1, scanned, ..Patches::default() },
        );
        Self { fleet, cloud, memory, policy, reports }
    }

    async fn read(&self) -> ReadBack {
        let reports: Arc<dyn Reports> = Arc::new(self.reports.clone());
        ReadBack::read(vec![(TargetName::from("prod"), reports)], &self.cloud).await
    }

    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let Self { fleet, cloud, memory, policy, .. } = self;
        look(&View { fleet: &fleet.read(), cloud, memory, policy, now: now() })
    }

    async fn table(&self, query: ComplianceQuery) -> Result<ComplianceDocument, String> {
        let read = self.read().await;
        self.look(|view| compliance(view, &read, &query)).map_err(|refusal| refusal.to_string())
    }
}

/// Name, kind, judgement and worst reason of each row.
fn rows(table: &ComplianceDocument) -> Vec<(&str, &str, &str, &str)> {
    table
        .machines
        .iter()
        .map(|row| {
            let reason = row.reasons.first().map_or("", |reason| reason.reason.as_str());
            (row.name.as_deref().unwrap_or(""), row.machine.as_str(), row.overall.as_str(), reason)
        })
        .collect()
}

#[tokio::test]
async fn vms_and_instances_stand_in_one_table_the_worst_first() {
    let world = World::new();
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    assert_eq!(
        rows(&table),
        [
            ("web-1", "hybrid", "non-compliant", "critical-patches"),
            ("web-2", "unmanaged", "non-compliant", "not-managed"),
            ("shop", "ec2", "compliant", ""),
        ]
    );
    assert_eq!(table.not_read, Vec::<String>::new());
    assert_eq!(table.machines[0].vm.as_deref(), Some("dc1/vm-1"));
    assert_eq!((table.count.machines, table.count.compliant), (3, 1));
    // In bulk: a call for each list, whatever the number of nodes.
    world.reports.calls();
    world.read().await;
    let mut calls = world.reports.calls();
    assert_eq!(calls.remove("inventory"), Some(2), "two types of it");
    assert!(calls.values().all(|calls| *calls == 1), "{calls:?}");
}

#[tokio::test]
async fn what_cannot_be_read_is_unknown_and_told() {
    let world = World::new();
    world.reports.fail("patches", AwsErrorKind::Denied);
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    let shop = table.machines.iter().find(|row| row.node.as_deref() == Some(EC2)).unwrap();
    assert_eq!((shop.overall.as_str(), shop.patches.is_none()), ("unknown", true));
    assert!(table.not_read[0].contains("prod: its patch states cannot be read"), "{:?}", table.not_read);
}

#[tokio::test]
async fn inventory_is_shown_by_age_and_what_cannot_be_read_is_told() {
    let world = World::new();
    let node = NodeId::of_managed_instance(NODE).unwrap();
    let facts = mappings::inventory::HostFacts::default();
    let item = mappings::inventory::Item {
        type_name: mappings::inventory::VM_TYPE.into(),
        ..mappings::inventory::host_item(&facts, now())
    };
    world.reports.put_inventory(&node, &[InventoryPut::Whole(&item)]).await.unwrap();
    let of = |table: &ComplianceDocument, node: Option<&str>| {
        table.machines.iter().find(|row| row.node.as_deref() == node).unwrap().inventory.clone()
    };
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    let [one] = &of(&table, Some(NODE)).unwrap()[..] else { panic!("{:?}", table.machines) };
    assert_eq!((&*one.r#type, one.captured.clone()), (mappings::inventory::VM_TYPE, Some(now().to_string())));
    assert_eq!(one.hash.as_deref(), Some(item.content_hash.as_str()));
    assert_eq!((of(&table, Some(EC2)), of(&table, None)), (Some(Vec::new()), None));
    // A type that nobody ever put is refused, and nobody has any of it.
    world.reports.fail("inventory", AwsErrorKind::Invalid);
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    assert_eq!((of(&table, Some(NODE)), table.not_read.len()), (Some(Vec::new()), 0));
    world.reports.fail("inventory", AwsErrorKind::Denied);
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    assert_eq!(of(&table, Some(NODE)), None);
    assert!(table.not_read[0].contains("prod: its inventory cannot be read"), "{:?}", table.not_read);
}

#[tokio::test]
async fn a_part_of_it_is_asked_for_and_names_that_nothing_has_are_refused() {
    let world = World::new();
    let ask = |query: ComplianceQuery| world.table(query);
    let selected =
        ask(ComplianceQuery { selectors: vec!["name=web-2".into()], ..ComplianceQuery::default() })
            .await
            .unwrap();
    assert_eq!(rows(&selected).len(), 1);
    let none =
        ask(ComplianceQuery { vcenters: vec!["dc2".into()], ..ComplianceQuery::default() }).await.unwrap();
    assert!(none.machines.is_empty());
    for (query, word) in [
        (ComplianceQuery { rule: Some("none".into()), ..ComplianceQuery::default() }, "check-rules"),
        (ComplianceQuery { target: Some("none".into()), ..ComplianceQuery::default() }, "there are prod"),
        (ComplianceQuery { window: Some("none".into()), ..ComplianceQuery::default() }, "vmbridge windows"),
        (ComplianceQuery { selectors: vec!["nme=x".into()], ..ComplianceQuery::default() }, "name"),
    ] {
        let refusal = ask(query).await.unwrap_err();
        assert!(refusal.contains(word), "{refusal}");
    }
}

#[tokio::test]
async fn the_report_has_rules_exceptions_and_sources() {
    let world = World::new();
    let read = world.read().await;
    let query = AuditQuery { all: true, ..AuditQuery::default() };
    let report = world.look(|view| audit(view, &read, &query)).unwrap();
    assert_eq!(report, world.look(|view| audit(view, &read, &query)).unwrap());
    assert_eq!(report.installation, "0123abcd");
    let names: Vec<&str> = report.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["dc1", "prod"]);
    let all = world.policy.report.rules.all().count();
    assert_eq!(report.rules.len(), all);
    let [exception] = &report.exceptions[..] else { panic!("{:?}", report.exceptions) };
    assert_eq!((exception.name.as_deref(), exception.expired), (Some("web"), false));
    // Whatever came of a rule for an object is a result of it, and counted once.
    let counted: usize = report.rules.iter().flat_map(|rule| rule.results.values()).sum();
    assert_eq!(report.results.len(), counted);
    assert!(report.results.iter().any(|one| one.object == "dc1/vm-2"), "{:?}", report.results.first());
    let query = AuditQuery {
        scope: ComplianceQuery { rule: Some("vm-secure-boot".into()), ..ComplianceQuery::default() },
        all: true,
    };
    let one = world.look(|view| audit(view, &read, &query)).unwrap();
    assert_eq!(one.rules.len(), 1);
    assert!(one.results.iter().all(|result| result.rule == "vm-secure-boot"));
}
