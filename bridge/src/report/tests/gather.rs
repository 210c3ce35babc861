//! The table and the report of a small world: two VMs, one of them a node, and an EC2 instance.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mappings::compliance::table::Patches;

use super::super::gather::audit_within;
use super::super::{
    AuditDocument, AuditQuery, ComplianceDocument, ComplianceQuery, ReadBack, audit, compliance,
};
use crate::aws::fake::{FakeWindow, FakeWindows};
use crate::aws::fake_reports::FakeReports;
use crate::aws::{
    AwsErrorKind, Ec2Node, InventoryPut, Lanes, ManagedNodeId, Node, NodeId, Ping, Place, Platform, Reports,
    Services, Speed, TargetSet, WindowIdentity, WindowTarget,
};
use crate::clock::Clock;
use crate::cloud::{Cloud, TargetView};
use crate::config::Environment;
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::fleet::{FleetUpdate, Reads, SharedFleet};
use crate::lane::LaneLimits;
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

pub(super) struct World {
    pub(super) fleet: SharedFleet,
    pub(super) cloud: Cloud,
    memory: Memory,
    pub(super) policy: Policy,
    pub(super) reports: FakeReports,
    windows: FakeWindows,
}

/// The services of a test.
pub(super) fn services(reports: &FakeReports, windows: &FakeWindows) -> Services {
    let lane = LaneLimits { concurrency: 4, rate: 1000.0, burst: 1000.0 };
    let lanes = Lanes::new("prod".into(), Speed { reads: lane, writes: lane });
    let (one, two, three, four) = (windows.clone(), windows.clone(), windows.clone(), windows.clone());
    Services::behind(lanes, one, two, three, four, reports.clone(), reports.clone())
}

/// A window with one target, which takes what has this.
pub(super) fn window(id: &str, name: &str, sets: &[(&str, &[&str])]) -> FakeWindow {
    let identity = WindowIdentity {
        id: id.into(),
        name: name.into(),
        enabled: true,
        schedule: "cron(0 2 ? * SUN *)".into(),
        time_zone: None,
        duration: Duration::from_secs(3600),
        cutoff: Duration::ZERO,
        next: None,
    };
    let set = |(key, values): &(&str, &[&str])| TargetSet {
        key: (*key).into(),
        values: values.iter().map(|value| (*value).into()).collect(),
    };
    let target = WindowTarget { id: "t1".into(), name: None, sets: sets.iter().map(set).collect() };
    FakeWindow {
        identity,
        openings: Vec::new(),
        targets: vec![target],
        tasks: Vec::new(),
        executions: Vec::new(),
    }
}

impl World {
    fn new() -> Self {
        Self::of(CONFIG, true)
    }

    /// With rules that are observed or not.
    pub(super) fn of(config: &str, is_checked: bool) -> Self {
        let config = crate::config::parse(config, Path::new("vmbridge.toml"), &Environment::default());
        let policy = Policy::of(&config.unwrap());
        let fleet = SharedFleet::new();
        let vcenter = TestVcenter::new(&fleet, "dc1", 1);
        let reads = is_checked.then(|| Arc::new(Reads::new(Arc::clone(&policy.report.rules))));
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
            tags: [(node.clone(), Arc::new([("Role".into(), "web".into())].into()))].into(),
            as_of: Some(now()),
            ..TargetView::default()
        };
        policy.targets.iter().for_each(|target| cloud.put(target.name.clone(), view.clone()));
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
        let windows = FakeWindows::new(Clock::starting(now()));
        Self { fleet, cloud, memory, policy, reports, windows }
    }

    async fn read(&self) -> ReadBack {
        let names = self.policy.targets.iter().map(|target| target.name.clone());
        let reports = names.map(|name| (name, Arc::new(self.reports.clone()) as Arc<dyn Reports>));
        ReadBack::read(reports.collect(), &self.cloud).await
    }

    async fn read_for(&self, query: &ComplianceQuery) -> ReadBack {
        let names = self.policy.targets.iter().map(|target| target.name.clone());
        let services = names.map(|name| (name, services(&self.reports, &self.windows))).collect();
        self.read().await.with_window(services, query.window.as_deref()).await
    }

    async fn audit(&self, query: AuditQuery) -> Result<AuditDocument, String> {
        let read = self.read_for(&query.scope).await;
        self.look(|view| audit(view, &read, &query)).map_err(|refusal| refusal.to_string())
    }

    fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let Self { fleet, cloud, memory, policy, .. } = self;
        look(&View { fleet: &fleet.read(), cloud, memory, policy, now: now() })
    }

    async fn table(&self, query: ComplianceQuery) -> Result<ComplianceDocument, String> {
        let read = self.read_for(&query).await;
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
        (ComplianceQuery { window: Some("none".into()), ..ComplianceQuery::default() }, "there is none"),
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
    // Beside the rules there are six checks of protection.
    let all = world.policy.report.rules.all().count() + 6;
    assert_eq!(report.rules.len(), all);
    let protection: Vec<&super::super::RuleDocument> =
        report.rules.iter().filter(|rule| rule.family == "protection").collect();
    assert_eq!(protection.len(), 6);
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

#[tokio::test]
async fn two_targets_in_one_place_show_each_machine_once() {
    let second = CONFIG.replace(
        "[[checks.suppress]]",
        "[[aws]]\nname = \"second\"\nregion = \"eu-central-1\"\nvms = \"name=nothing\"\n[[checks.suppress]]",
    );
    let world =
        World::of(&second.replace("name = \"prod\"\n", "name = \"prod\"\nvms = \"name=web-*\"\n"), true);
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    let names: Vec<&str> = rows(&table).iter().map(|row| row.0).collect();
    assert_eq!(names, ["web-1", "web-2", "shop"]);
    assert_eq!(table.machines[0].target.as_deref(), Some("prod"));
    // What is in the place is there for both; what is a VM belongs to one.
    let of = |target: &str| ComplianceQuery { target: Some(target.to_owned()), ..ComplianceQuery::default() };
    let second = world.table(of("second")).await.unwrap();
    assert_eq!(rows(&second).iter().map(|row| row.0).collect::<Vec<_>>(), ["shop"]);
    assert_eq!(second.machines[0].target.as_deref(), Some("second"));
    let prod = world.table(of("prod")).await.unwrap();
    assert_eq!(rows(&prod).len(), 3);
    // And only what belongs to it is in its report.
    let second = world.audit(AuditQuery { scope: of("second"), all: true }).await.unwrap();
    assert!(second.results.is_empty(), "{:?}", second.results.first());
}

#[tokio::test]
async fn a_window_selects_every_node_that_its_targets_take() {
    let world = World::new();
    let ec2 = ManagedNodeId::parse(EC2).unwrap();
    world.windows.tag_instance(&ec2, &[("Role", "web")]);
    world.windows.put(window("mw-0000000000000000a", "Sundays", &[("tag:Role", &["web"])]));
    world.windows.put(window("mw-0000000000000000b", "Grouped", &[("resource-groups:Name", &["all"])]));
    world.windows.put(window("mw-0000000000000000c", "Named", &[("InstanceIds", &[NODE])]));
    world.windows.put(window("mw-0000000000000000d", "Empty", &[("tag:Role", &["nobody"])]));
    world.windows.group_instances("all", [ec2.clone()]);
    let ask = async |window: &str| {
        world.table(ComplianceQuery { window: Some(window.to_owned()), ..ComplianceQuery::default() }).await
    };
    let names = |table: &ComplianceDocument| -> Vec<String> {
        table.machines.iter().filter_map(|row| row.name.clone()).collect()
    };
    for (asked, expected) in [
        ("sundays", &["web-1", "shop"][..]),
        ("mw-0000000000000000a", &["web-1", "shop"]),
        ("Grouped", &["shop"]),
        ("Named", &["web-1"]),
        ("Empty", &[]),
    ] {
        let table = ask(asked).await.unwrap();
        assert_eq!(
            (names(&table), table.not_read.clone()),
            (expected.iter().map(|&name| name.to_owned()).collect(), vec![]),
            "{asked}"
        );
    }
    let table = ask("Sundays").await.unwrap();
    assert!(table.machines.iter().all(|row| row.windows == ["Sundays"]), "{:?}", table.machines);
    // The report is about the same machines, and nothing else.
    let scope = ComplianceQuery { window: Some("Sundays".to_owned()), ..ComplianceQuery::default() };
    let report = world.audit(AuditQuery { scope, all: true }).await.unwrap();
    assert_eq!(report.machines.len(), 2);
    assert!(report.results.iter().all(|one| one.object == "dc1/vm-1") && !report.results.is_empty());
    let refusal = ask("Mondays").await.unwrap_err();
    assert!(refusal.contains("there are Empty, Grouped, Named and 1 more"), "{refusal}");
    // Listed, read with targets and tasks, with the tags of instances: no call for a node.
    world.windows.calls();
    ask("Sundays").await.unwrap();
    let calls = world.windows.calls();
    let called: Vec<(&str, usize)> = calls.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(called, [("instance_tags", 1), ("window_targets", 1), ("window_tasks", 1), ("windows", 2)]);
}

#[tokio::test]
async fn who_may_be_in_a_window_is_told_and_never_left_out_in_silence() {
    let world = World::new();
    world.windows.put(window("mw-0000000000000000a", "Sundays", &[("tag:Role", &["web"])]));
    world.windows.put(window("mw-0000000000000000b", "Grouped", &[("resource-groups:Name", &["all"])]));
    world.windows.group("all", []);
    let ask = async |window: &str| {
        world.table(ComplianceQuery { window: Some(window.to_owned()), ..ComplianceQuery::default() }).await
    };
    // The tags of EC2 instances cannot be read: of hybrid nodes it is known.
    world.windows.fail("instance_tags", AwsErrorKind::Denied);
    let table = ask("Sundays").await.unwrap();
    assert_eq!(rows(&table).iter().map(|row| row.0).collect::<Vec<_>>(), ["web-1"]);
    let told = table.not_read.join("\n");
    assert!(told.contains("prod: the tags of its EC2 instances cannot be read"), "{told}");
    assert!(told.contains("whether shop are in the window is not known"), "{told}");
    world.windows.fail("nodes_of", AwsErrorKind::Denied);
    let table = ask("Grouped").await.unwrap();
    assert!(table.machines.is_empty());
    assert!(
        table.not_read.join("\n").contains("whether shop, web-1 are in the window"),
        "{:?}",
        table.not_read
    );
    world.windows.fail("windows", AwsErrorKind::Denied);
    let refusal = ask("Sundays").await.unwrap_err();
    assert!(refusal.contains("no window that can be read") && refusal.contains("docs/iam.md"), "{refusal}");
    // Nobody was asked: a desk without hands.
    let read = world.read().await;
    let query = ComplianceQuery { window: Some("Sundays".into()), ..ComplianceQuery::default() };
    world.look(|view| compliance(view, &read, &query)).unwrap_err();
}

#[tokio::test]
async fn what_is_not_checked_does_not_look_clean() {
    let world = World::of(CONFIG, false);
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    assert!(table.not_read[0].contains("dc1: hardening was not checked"), "{:?}", table.not_read);
    assert!(table.not_read[0].contains("mode = \"observe\""), "with what to do");
    let web = table.machines.iter().find(|row| row.name.as_deref() == Some("web-1")).unwrap();
    assert!(web.reasons.iter().any(|reason| reason.reason == "unreadable"), "{:?}", web.reasons);
    let report = world.audit(AuditQuery::default()).await.unwrap();
    assert!(report.not_read[0].contains("hardening was not checked"), "{:?}", report.not_read);
    // Where it is checked, nothing is said.
    let table = World::new().table(ComplianceQuery::default()).await.unwrap();
    assert_eq!(table.not_read, Vec::<String>::new());
    // A vCenter that was never reached has no VMs, and does not look like one in which all is well.
    let world = World::new();
    TestVcenter::new(&world.fleet, "dc2", 2);
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    assert!(
        table.not_read.iter().any(|told| told.contains("dc2") && told.contains("not current")),
        "{:?}",
        table.not_read
    );
}

#[tokio::test]
async fn every_id_that_a_row_can_have_is_taken_for_a_rule() {
    let world = World::new();
    let table = world.table(ComplianceQuery::default()).await.unwrap();
    let mut ids: Vec<String> = Vec::new();
    for row in &table.machines {
        ids.extend(row.reasons.iter().map(|reason| reason.reason.clone()));
        let checks = [&row.hardening, &row.protection];
        ids.extend(checks.into_iter().flatten().flat_map(|checks| checks.failing.clone()));
    }
    assert!(ids.iter().any(|id| id == "tools-current") || ids.len() > 3, "{ids:?}");
    ids.extend(["no-old-snapshot", "agent-online", "patches-missing"].map(str::to_owned));
    for id in ids {
        let query = ComplianceQuery { rule: Some(id.clone()), ..ComplianceQuery::default() };
        let found = world.table(query).await.unwrap_or_else(|refusal| panic!("{id}: {refusal}"));
        assert!(found.failures.iter().all(|one| one.rule == id), "{:?}", found.failures);
    }
    let missing = ComplianceQuery { rule: Some("patches-missing".into()), ..ComplianceQuery::default() };
    assert_eq!(rows(&world.table(missing).await.unwrap()).len(), 1);
}

#[tokio::test]
async fn what_is_said_of_protection_is_a_result_with_its_evidence() {
    let world = World::new();
    let report = world.audit(AuditQuery { all: true, ..AuditQuery::default() }).await.unwrap();
    let agent: Vec<&str> = report
        .results
        .iter()
        .filter(|one| one.rule == "agent-online")
        .map(|one| one.evidence.as_str())
        .collect();
    assert_eq!(agent, ["SSM Agent is online: yes"]);
    // Every check that is made has an entry among the rules.
    let lists = world.look(|view| view.plan_with_protections().protection_lists);
    let items = lists.values().flatten().flat_map(|list| &list.items);
    let made = items.filter(|item| !item.is_not_read()).map(|item| item.id.as_str());
    let not_read = lists.values().flatten().flat_map(|list| &list.not_read).map(|one| one.id.as_str());
    let ids: Vec<&str> = made.chain(not_read).collect();
    assert!(
        !ids.is_empty() && ids.iter().all(|id| report.rules.iter().any(|rule| rule.id == *id)),
        "{ids:?}"
    );
}

#[tokio::test]
async fn a_report_does_not_grow_without_end() {
    let world = World::new();
    let read = world.read().await;
    let ask = |all: bool, most: usize| {
        let query = AuditQuery { all, ..AuditQuery::default() };
        world.look(|view| audit_within(view, &read, &query, most))
    };
    let whole = ask(false, usize::MAX).unwrap();
    let cut = ask(false, 3).unwrap();
    assert_eq!(cut.results.len(), 3);
    assert!(
        cut.not_read[0].contains(&format!("{} results are left out", whole.results.len() - 3)),
        "{:?}",
        cut.not_read
    );
    assert_eq!(cut.rules, whole.rules, "what is counted is counted in full");
    let refusal = ask(true, 3).unwrap_err().to_string();
    assert!(refusal.contains("--selector"), "{refusal}");
}
