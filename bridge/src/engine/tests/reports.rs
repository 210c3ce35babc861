//! Inventory and compliance: what is told of each node, how often, and what becomes of it when things go wrong.

use std::str::FromStr as _;

use mappings::checks::{Sources, Status as CheckStatus};
use mappings::compliance::{Kind, List, Severity, Status};
use mappings::inventory::{DISK_TYPE, HOST_TYPE, Item, SNAPSHOT_TYPE, TYPES, VM_TYPE};
use mappings::protection::Run;
use mappings::selector::{Clause, Key, Selector};
use vsphere_client::ids::MoRef;
use vsphere_client::model::{
    AboutInfo, ConnectionState, Device, DeviceKind, Ethernet, SnapshotInfo, SnapshotTree,
};
use vsphere_client::property::{
    Change as Property, ExtraChange, ExtraReport, HostSystem, ObjectProperties, ObjectReport, ReportKind,
    Unreadable, VirtualMachine,
};
use vsphere_client::xml::Named;

use super::disk::Disk;
use super::*;
use crate::aws::{AwsErrorKind, InventoryPut, NodeId, Ping, Reports as _};
use crate::config::{ComplianceSettings, InventorySettings};
use crate::fleet::{FleetUpdate, Reads};
use crate::observe::told::ToldPace;
use crate::plan::{ActionKind, Reason, ReportPolicy};
use crate::snapshot::{Entered, HoldBy, Member, Scope};
use crate::store::{Owned, OwnedChange, ScopeChange, VmId};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn node(number: u32) -> NodeId {
    NodeId::from(format!("mi-{number:017x}"))
}

/// What is on in a test.
fn policy(world: &World, inventory: Mode, compliance: Mode) -> Policy {
    let report = ReportPolicy {
        inventory: InventorySettings { mode: inventory },
        compliance: ComplianceSettings { mode: compliance, hardening: true, protection: true },
        ..ReportPolicy::off()
    };
    Policy { tags: Mode::Off, report: Arc::new(report), ..world.policy.clone() }
}

async fn reporting(count: u32) -> World {
    let mut world = World::new(fleet_of(count), 0);
    world.policy = policy(&world, Mode::Enforce, Mode::Enforce);
    world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(hosts()), world.clock.now());
    world.observe().await;
    world
}

fn hosts() -> Vec<ObjectReport> {
    let host = |number: u32| {
        let host = HostSystem {
            name: Property::Set(format!("esx-{number}").into()),
            product: Property::Set(AboutInfo {
                version: "8.0.3".into(),
                build: "24022510".into(),
                ..AboutInfo::default()
            }),
            vendor: Property::Set("Maker".into()),
            ..HostSystem::default()
        };
        ObjectReport {
            object: MoRef::new("HostSystem", &format!("host-{number}")),
            kind: ReportKind::Entered,
            properties: ObjectProperties::HostSystem(Box::new(host)),
            extras: Vec::new(),
        }
    };
    (0..3).map(host).collect()
}

impl World {
    /// What a VM is like now.
    fn change_vm(&self, number: u32, change: VirtualMachine) {
        let report = ObjectReport {
            object: MoRef::new("VirtualMachine", &format!("vm-{number}")),
            kind: ReportKind::Modified,
            properties: ObjectProperties::VirtualMachine(Box::new(change)),
            extras: Vec::new(),
        };
        self.fleet.apply(&self.vcenter.name, FleetUpdate::Objects(vec![report]), self.clock.now());
    }

    /// Time passes, and everything is read again.
    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.fleet.apply(&self.vcenter.name, FleetUpdate::Current, self.clock.now());
        self.observe().await;
    }

    fn vm_id(&self, number: u32) -> VmId {
        VmId { vcenter: self.vcenter.uuid.parse().unwrap(), vm: format!("vm-{number}").as_str().into() }
    }
}

fn disk() -> Device {
    let disk = vsphere_client::model::Disk { capacity_bytes: 5 << 30, ..Default::default() };
    device(2000, DeviceKind::Disk(Box::new(disk)))
}

fn adapter() -> Device {
    let card = Ethernet {
        type_name: "VirtualVmxnet3".into(),
        mac_address: Some("00:50:56:00:00:02".into()),
        connected: Some(true),
        network: None,
        portgroup_key: None,
    };
    device(4000, DeviceKind::Ethernet(Box::new(card)))
}

fn device(key: i32, kind: DeviceKind) -> Device {
    Device { key, label: None, controller_key: None, unit_number: None, kind }
}

fn done(calls: &[(&str, usize)]) -> BTreeMap<String, usize> {
    calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Everything is done; then nothing is left to do.
async fn settle<S: Records>(engine: &Engine<S>) {
    assert!(engine.settle(MINUTE).await, "{:#?}", engine.plan().actions);
    // What is forgotten because of what was done is written down with the next plan.
    assert!(engine.settle(MINUTE).await);
    assert!(engine.plan().actions.is_empty(), "{:#?}", engine.plan().actions);
    assert!(engine.plan().housekeeping.is_empty(), "{:#?}", engine.plan().housekeeping);
}

fn word(plan: &Plan, number: u32, capability: Capability) -> Option<&'static str> {
    let vm = plan.vms.iter().find(|vm| *vm.vm.vm == *format!("vm-{number}")).unwrap();
    vm.verdict(capability).reason.as_ref().map(Reason::word)
}

fn column(item: &Item, row: usize, column: &str) -> String {
    item.content[row][column].clone()
}

/// The status of a check of a node's protection.
fn check(world: &World, number: u32, id: &str) -> Option<(Status, Severity)> {
    let list = world.reports.list(&node(number), Kind::Protection)?;
    list.items.iter().find(|item| item.id == id).map(|item| (item.status, item.severity))
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_told_once_and_then_nothing_is_called() {
    let world = reporting(5).await;
    let engine = world.engine().await;
    let plan = engine.plan();
    assert_eq!(plan.actions.len(), 10, "inventory and protection of each");
    assert_eq!(word(&plan, 1, Capability::Inventory), None, "something is to be done");
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 5), ("put_compliance", 5)]));
    assert_eq!(word(&engine.plan(), 1, Capability::Inventory), Some("inStep"));
    assert_eq!(word(&engine.plan(), 1, Capability::Compliance), Some("inStep"));
    assert_eq!(word(&engine.plan(), 1, Capability::Findings), Some("off"));

    let item = world.reports.item(&node(1), VM_TYPE).unwrap();
    assert_eq!(column(&item, 0, "VmName"), "web-1");
    assert_eq!(column(&item, 0, "HostName"), "esx-1");
    assert_eq!(column(&item, 0, "PatchGroup"), "Prod");
    assert_eq!(column(&item, 0, "Tags"), "Env=Live; Patch Group=Prod");
    assert_eq!(column(&item, 0, "Datacenter"), "dc one");
    let host = world.reports.item(&node(1), HOST_TYPE).unwrap();
    assert_eq!(column(&host, 0, "EsxiBuild"), "24022510");
    assert_eq!(check(&world, 1, "agent-online").unwrap().0, Status::Compliant);
    assert_eq!(check(&world, 1, "no-old-snapshot").unwrap().0, Status::Compliant);
    // No Tools version was told of the VM: that is neither good nor bad.
    assert_eq!(check(&world, 1, "tools-current"), None);
    assert_eq!(check(&world, 1, "not-read"), Some((Status::Compliant, Severity::Informational)));

    // The same again, in whatever order, and a day later.
    for _ in 0..3 {
        world.pass(DAY / 3).await;
        settle(&engine).await;
    }
    let mut backwards = world.vms.clone();
    backwards.reverse();
    world.vcenter.read(&backwards, world.clock.now());
    world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(hosts()), world.clock.now());
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
    drop(engine);
    // Nor after a restart.
    settle(&world.engine().await).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_change_is_told_once_of_its_type_and_not_too_soon() {
    let world = reporting(3).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    let began = world.reports.item(&node(2), HOST_TYPE).unwrap().captured;

    let cpus = |count| VirtualMachine { cpus: Property::Set(count), ..VirtualMachine::default() };
    world.change_vm(2, cpus(4));
    let plan = engine.plan();
    assert!(plan.actions.is_empty(), "only just told");
    assert_eq!(word(&plan, 2, Capability::Inventory), Some("toldLately"));
    let until = plan.next.unwrap();
    assert!(until > world.clock.now() && until <= world.clock.now() + 5 * MINUTE);
    world.pass(5 * MINUTE).await;
    let told: Vec<_> = engine
        .plan()
        .actions
        .iter()
        .map(|planned| match &planned.action {
            crate::plan::Action::PutInventory { node, told, .. } => {
                (node.clone(), told.iter().map(|told| told.name.to_string()).collect::<Vec<_>>())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(node(2), vec![VM_TYPE.to_owned()])]);
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 1)]));
    assert_eq!(column(&world.reports.item(&node(2), VM_TYPE).unwrap(), 0, "Cpus"), "4");
    assert_eq!(world.reports.item(&node(2), HOST_TYPE).unwrap().captured, began);

    // There and back again, before anybody told.
    world.change_vm(2, cpus(8));
    world.change_vm(2, cpus(4));
    world.pass(6 * MINUTE).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_told_and_is_old_in_time() {
    let mut world = reporting(2).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    world.pass(6 * MINUTE).await;
    let tree = SnapshotTree {
        snapshot: Some(MoRef::new("VirtualMachineSnapshot", "snapshot-1")),
        name: "before upgrade".into(),
        id: 1,
        created: Some(world.clock.now()),
        ..SnapshotTree::default()
    };
    world.vms[0].machine.snapshots = Some(SnapshotInfo { current: None, roots: vec![tree] });
    world.vcenter.tell(&world.vms[..1], &[], world.clock.now());
    let old = world.clock.now() + Duration::from_secs(72 * 3600);
    let next = engine.plan().next.unwrap();
    assert!(next > old && next <= old + Duration::from_secs(1), "{next}");
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 1)]));
    let item = world.reports.item(&node(1), SNAPSHOT_TYPE).unwrap();
    assert_eq!((item.content.len(), column(&item, 0, "MadeByVmbridge")), (1, "false".to_owned()));
    assert_eq!(column(&world.reports.item(&node(1), VM_TYPE).unwrap(), 0, "SnapshotCount"), "1");
    assert_eq!(world.reports.item(&node(2), SNAPSHOT_TYPE), None, "it has none, and never had");
    world.pass(3 * DAY).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new(), "72 hours are not more than 72 hours");
    world.pass(MINUTE).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 1)]));
    assert_eq!(check(&world, 1, "no-old-snapshot"), Some((Status::NonCompliant, Severity::Medium)));
    // It is removed.
    world.pass(6 * MINUTE).await;
    world.vms[0].machine.snapshots = None;
    world.vcenter.tell(&world.vms[..1], &[], world.clock.now());
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 1), ("put_compliance", 1)]));
    assert!(world.reports.item(&node(1), SNAPSHOT_TYPE).unwrap().content.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_type_without_rows_is_emptied_once_and_never_confirmed() {
    let world = reporting(2).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    assert_eq!(world.reports.item(&node(1), DISK_TYPE), None);
    let rows = || world.reports.item(&node(1), DISK_TYPE).unwrap().content.len();
    let devices = |devices| VirtualMachine { devices: Property::Set(devices), ..VirtualMachine::default() };

    world.pass(6 * MINUTE).await;
    world.change_vm(1, devices(vec![disk()]));
    settle(&engine).await;
    // The VM's own row counts it: both types go in one call.
    assert_eq!((world.reports.calls(), rows()), (done(&[("put_inventory", 1)]), 1));

    // There and back again: it is not too soon for the VM's row only.
    world.change_vm(1, devices(vec![]));
    assert_eq!(word(&engine.plan(), 1, Capability::Inventory), Some("toldLately"));
    world.pass(6 * MINUTE).await;
    settle(&engine).await;
    assert_eq!((world.reports.calls(), rows()), (done(&[("put_inventory", 1)]), 0));
    let emptied = world.reports.item(&node(1), DISK_TYPE).unwrap().captured;
    for _ in 0..21 {
        world.pass(DAY).await;
        settle(&engine).await;
    }
    assert_eq!(world.reports.item(&node(1), DISK_TYPE).unwrap().captured, emptied);
    let calls = world.reports.calls();
    assert!((2..=4).contains(&calls["put_inventory"]), "the VM and the host of each: {calls:?}");

    world.change_vm(1, devices(vec![disk()]));
    settle(&engine).await;
    assert_eq!((world.reports.calls(), rows()), (done(&[("put_inventory", 1)]), 1));
}

#[tokio::test(start_paused = true)]
async fn lost_answers_are_found_by_their_hashes() {
    let world = reporting(4).await;
    let engine = world.engine().await;
    world.reports.fail("put_inventory", AwsErrorKind::Lost);
    world.reports.fail("put_compliance", AwsErrorKind::Lost);
    settle(&engine).await;
    let calls = world.reports.calls();
    // Each type of inventory that was told is looked for.
    assert_eq!((calls["put_inventory"], calls["inventory_of"]), (4, 8), "{calls:?}");
    assert_eq!(calls["put_compliance"], 4, "{calls:?}");
    world.reports.heal();
    world.pass(DAY).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_killed_again_and_again_tells_everything_once() {
    const NODES: usize = 120;
    let world = reporting(NODES as u32).await;
    let disk = Disk::new();
    let mut told = Vec::new();
    for pause in [50, 400, 900, 1_500] {
        let engine = world.engine_on(disk.clone()).await;
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { engine.run(CancellationToken::new()).await });
        tokio::time::sleep(Duration::from_millis(pause)).await;
        tasks.shutdown().await;
        told.push(
            (1..=NODES as u32).filter(|one| world.reports.item(&node(*one), VM_TYPE).is_some()).count(),
        );
    }
    assert!(told[0] < NODES && told[1] > told[0], "it was killed in the middle: {told:?}");
    let engine = world.engine_on(disk).await;
    world.pass(MINUTE).await;
    settle(&engine).await;
    let calls = world.reports.calls();
    assert_eq!((calls["put_inventory"], calls["put_compliance"]), (NODES, NODES), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_tried_again_ever_more_rarely_and_holds_up_nobody_else() {
    for kind in [AwsErrorKind::TooManyTypes, AwsErrorKind::NotFound, AwsErrorKind::Throttled] {
        let world = reporting(3).await;
        let engine = world.engine().await;
        world.reports.fail("put_inventory mi-00000000000000002", kind);
        let mut distances = Vec::new();
        for _ in 0..4 {
            assert!(engine.settle(MINUTE).await);
            let plan = engine.plan();
            assert_eq!(word(&plan, 1, Capability::Inventory), Some("inStep"));
            assert_eq!(word(&plan, 2, Capability::Compliance), Some("inStep"), "it has failures of its own");
            let vm = plan.vms.iter().find(|vm| &*vm.vm.vm == "vm-2").unwrap();
            let Some(Reason::Failed { retry_at, .. }) = vm.verdict(Capability::Inventory).reason.clone()
            else {
                panic!("{:?}", vm.verdicts)
            };
            let distance = Duration::try_from(retry_at.duration_since(world.clock.now())).unwrap();
            distances.push(distance);
            world.pass(distance + Duration::from_secs(1)).await;
        }
        assert!(distances.is_sorted() && distances[3] >= 4 * distances[0], "{distances:?}");
        world.reports.heal();
        settle(&engine).await;
        assert!(world.reports.item(&node(2), VM_TYPE).is_some());
        assert!(engine.0.memory().failures.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_observes_is_told_what_would_be_done() {
    let world = reporting(3).await;
    let engine = world.engine().await;
    engine.set_policy(policy(&world, Mode::Observe, Mode::Observe));
    let plan = engine.plan();
    assert_eq!((plan.actions.len(), plan.doable(&engine.policy()).count()), (6, 0));
    assert!(engine.settle(MINUTE).await);
    assert_eq!(world.reports.calls(), BTreeMap::new());
    engine.set_policy(policy(&world, Mode::Off, Mode::Enforce));
    assert!(engine.plan().actions.iter().all(|one| one.action.kind() == ActionKind::PutCompliance));
    assert_eq!(word(&engine.plan(), 1, Capability::Inventory), Some("off"));
}

#[tokio::test(start_paused = true)]
async fn unchanged_inventory_is_confirmed_before_it_is_thirty_days_old() {
    let world = reporting(3).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    let began = world.reports.item(&node(1), VM_TYPE).unwrap().captured;
    // Somebody else writes over it.
    let other = Item::cleared(HOST_TYPE, began);
    world.reports.put_inventory(&node(3), &[InventoryPut::Whole(&other)]).await.unwrap();
    world.reports.calls();
    for _ in 0..14 {
        world.pass(DAY).await;
        settle(&engine).await;
    }
    assert_eq!(world.reports.calls(), BTreeMap::new());
    for _ in 14..21 {
        world.pass(DAY).await;
        settle(&engine).await;
    }
    let calls = world.reports.calls();
    assert!(calls.keys().all(|operation| operation == "put_inventory"), "{calls:?}");
    // Each type of each node once, and once more where it was found to be another.
    assert!((3..=7).contains(&calls["put_inventory"]), "{calls:?}");
    for number in 1..=3 {
        for type_name in [VM_TYPE, HOST_TYPE] {
            let item = world.reports.item(&node(number), type_name).unwrap();
            assert!(item.captured > began + 14 * DAY, "{number} {type_name}");
            assert!(!item.content.is_empty(), "what another wrote is put right");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_no_vm_any_more_loses_what_it_was_told() {
    let world = reporting(4).await;
    let snapshot = SnapshotTree { name: "before upgrade".into(), id: 1, ..SnapshotTree::default() };
    let everything = VirtualMachine {
        devices: Property::Set(vec![disk(), adapter()]),
        snapshot: Property::Set(SnapshotInfo { current: None, roots: vec![snapshot] }),
        ..VirtualMachine::default()
    };
    world.change_vm(2, everything);
    let engine = world.engine().await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 4), ("put_compliance", 4)]));
    for type_name in TYPES {
        assert_eq!(world.reports.item(&node(2), type_name).unwrap().content.len(), 1, "{type_name}");
    }
    // A vCenter that is out of reach is no reason.
    let error = "gone".to_owned();
    world.fleet.apply(
        &world.vcenter.name,
        FleetUpdate::Interrupted { error, retry_at: None },
        world.clock.now(),
    );
    assert!(engine.plan().actions.is_empty());
    assert_eq!(word(&engine.plan(), 1, Capability::Inventory), Some("vcenterNotCurrent"));
    world.pass(10 * MINUTE).await;

    world.vcenter.tell(&[], &[MoRef::new("VirtualMachine", "vm-2")], world.clock.now());
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 1), ("put_compliance", 1)]));
    for type_name in TYPES {
        assert_eq!(world.reports.item(&node(2), type_name).unwrap().content.len(), 0, "{type_name}");
    }
    assert_eq!(world.reports.list(&node(2), Kind::Protection).unwrap().items.len(), 0);
    let known = |number: u32| {
        let place = world.cloud.read().target(&"main".into()).unwrap().place.clone().unwrap();
        engine.0.memory().owned_by(&Holder::report(&place, &node(number))).map_or(0, BTreeMap::len)
    };
    assert_eq!((known(1), known(2)), (3, 0), "nothing is remembered of it");

    // One that is gone is forgotten without a call; its VM comes again as another node.
    world.aws.forget(&node(3));
    world.pass(10 * MINUTE).await;
    settle(&engine).await;
    assert_eq!(known(3), 0);
    assert_eq!(world.reports.calls(), BTreeMap::new());
    world.aws.register(&world.vms[2]);
    world.pass(10 * MINUTE).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 1), ("put_compliance", 1)]));

    // A VM that the target does not select any more.
    let mut policy = world.policy.clone();
    let mut except = Clause::builder();
    except.add(Key::Name, "web-1").unwrap();
    policy.targets[0].vms = Selector::new(vec![], except.build().into_iter().collect());
    engine.set_policy(policy);
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_inventory", 1), ("put_compliance", 1)]));
    assert_eq!((known(1), known(4)), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_turned_off_is_emptied_once() {
    let world = reporting(2).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    world.pass(10 * MINUTE).await;
    let mut without = world.policy.clone();
    let mut report = (*without.report).clone();
    report.compliance.protection = false;
    without.report = Arc::new(report);
    engine.set_policy(without);
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 2)]));
    assert!(world.reports.list(&node(1), Kind::Protection).unwrap().items.is_empty());
    world.pass(DAY).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
    engine.set_policy(world.policy.clone());
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 2)]));
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_offline_when_it_was_silent_for_longer_than_a_restart() {
    let world = reporting(2).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    world.pass(6 * MINUTE).await;
    world.aws.set_ping(&node(1), Ping::ConnectionLost);
    world.aws.set_last_ping(&node(1), world.clock.now());
    world.observe().await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
    assert!(engine.plan().next.unwrap() <= world.clock.now() + 15 * MINUTE);
    world.pass(15 * MINUTE).await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 1)]));
    assert_eq!(check(&world, 1, "agent-online"), Some((Status::NonCompliant, Severity::High)));
    // Off is not offline.
    world.pass(6 * MINUTE).await;
    let mut off = world.vms[0].clone();
    off.machine.on = false;
    world.vcenter.tell(&[off], &[], world.clock.now());
    settle(&engine).await;
    assert_eq!((check(&world, 1, "agent-online"), check(&world, 1, "tools-running")), (None, None));
}

#[tokio::test(start_paused = true)]
async fn tags_that_have_not_been_read_yet_are_not_told_as_none() {
    let mut vms = fleet_of(1);
    vms[0].tags = None;
    let mut world = World::new(vms, 0);
    world.policy = policy(&world, Mode::Enforce, Mode::Off);
    world.observe().await;
    let engine = world.engine().await;
    settle(&engine).await;
    assert_eq!(word(&engine.plan(), 1, Capability::Inventory), Some("notRead"));
    assert_eq!(world.reports.calls(), BTreeMap::new());
    // They cannot be read: everything else is told.
    let error = "no permission".to_owned();
    world.fleet.apply(&world.vcenter.name, FleetUpdate::TagsFailed { error }, world.clock.now());
    settle(&engine).await;
    assert_eq!(column(&world.reports.item(&node(1), VM_TYPE).unwrap(), 0, "Tags"), "");
}

#[tokio::test(start_paused = true)]
async fn hardening_is_told_when_rules_are_read() {
    let mut world = World::new(fleet_of(4), 0);
    world.policy = policy(&world, Mode::Off, Mode::Enforce);
    let rules = Arc::new(mappings::checks::RuleSet::new(Sources::default()).unwrap());
    let reads = Some(Arc::new(Reads::new(Arc::clone(&rules))));
    world.observe().await;
    let engine = world.engine().await;
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 4)]), "nothing is checked yet");

    let setup = FleetUpdate::Setup { reads: reads.clone(), is_provider_managed: false };
    world.fleet.apply(&world.vcenter.name, setup, world.clock.now());
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new(), "nothing was read for the rules yet");
    assert_eq!(word(&engine.plan(), 1, Capability::Compliance), Some("notRead"));
    world.vcenter.read(&world.vms, world.clock.now());
    world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(hosts()), world.clock.now());
    // What has a configuration says which VM it is; without that nothing is said of its settings.
    for number in 1..=4 {
        let read = reads.as_deref().unwrap();
        let told =
            super::findings::said(read, "VirtualMachine", &format!("vm-{number}"), "config.instanceUuid");
        world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(told), world.clock.now());
    }
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 4)]));
    let list = world.reports.list(&node(1), Kind::Hardening).unwrap();
    assert!(list.items.len() > 10, "{}", list.items.len());
    let lists = || (1..=4).map(|number| world.reports.list(&node(number), Kind::Hardening));
    assert!(lists().all(|other| other.as_ref() == Some(&list)), "all are set up the same way");

    // Half of one of them cannot be read any more, and only that one is told again.
    world.pass(6 * MINUTE).await;
    let unreadable = |index| ExtraReport { index, change: ExtraChange::Unreadable(Unreadable::NotPermitted) };
    let properties = rules.properties(mappings::checks::Kind::Vm).count();
    let extras = |number: u32, up_to: usize| {
        let report = ObjectReport {
            object: MoRef::new("VirtualMachine", &format!("vm-{number}")),
            kind: ReportKind::Modified,
            properties: ObjectProperties::VirtualMachine(Box::default()),
            extras: (0..up_to).map(unreadable).collect(),
        };
        world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(vec![report]), world.clock.now());
    };
    extras(3, properties / 2);
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 1)]));
    let same: Vec<bool> = lists().map(|other| other.as_ref() == Some(&list)).collect();
    assert_eq!(same, [true, true, false, true]);
    let list = lists().nth(2).flatten().unwrap();
    assert!(!list.not_read.is_empty() && list.items.len() > 1, "{}", list.items.len());
    // Nothing at all of another one: nobody knows anything, and what was told stays.
    extras(4, properties);
    settle(&engine).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
    assert_eq!(word(&engine.plan(), 4, Capability::Compliance), Some("notRead"));

    // It says what the rules say.
    let fleet = world.fleet.read();
    let part = fleet.part(&world.vcenter.name).unwrap();
    let view = part.vm("vm-3").unwrap();
    let subject = mappings::checks::Subject {
        kind: mappings::checks::Kind::Vm,
        version: mappings::checks::ApiVersion::parse("8.0.3"),
        is_provider_managed: false,
        facts: &view,
    };
    for outcome in rules.evaluate(&subject, &view.readings().unwrap(), world.clock.now()) {
        let item = list.items.iter().find(|item| item.id == outcome.rule.id.as_str());
        let told = item.map(|item| item.status);
        let wanted = match outcome.status {
            CheckStatus::Passed | CheckStatus::Suppressed { .. } => Some(Status::Compliant),
            CheckStatus::Failed => Some(Status::NonCompliant),
            CheckStatus::NotReadable(_) | CheckStatus::NotApplicable(_) | CheckStatus::ProviderManaged => {
                None
            }
        };
        assert_eq!(told, wanted, "{}", outcome.rule.id);
    }
}

#[tokio::test(start_paused = true)]
async fn the_last_window_is_told_until_the_next() {
    let world = reporting(4).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    world.pass(6 * MINUTE).await;
    let opens = world.clock.now();
    let run = Run {
        window: "mw-1".into(),
        name: "Sunday".into(),
        opens,
        closes: opens + Duration::from_secs(3600),
    };
    let entered = [
        Some(Entered::Protected { taken: opens - Duration::from_secs(600) }),
        Some(Entered::Held),
        Some(Entered::Unprotected),
        None,
    ];
    let members = (1..=4).zip(entered).map(|(number, entered)| Member {
        vm: world.vm_id(number),
        hold: HoldBy::Hook,
        joined: None,
        entered,
    });
    let scope = Scope { run, place: None, frozen: opens, members: members.collect() };
    engine.0.memory().put_scope(ScopeChange::Put(scope));
    settle(&engine).await;
    assert_eq!(world.reports.calls(), done(&[("put_compliance", 3)]));
    let told = |number| check(&world, number, "snapshot-before-window").map(|(status, _)| status);
    let (good, bad) = (Some(Status::Compliant), Some(Status::NonCompliant));
    assert_eq!([told(1), told(2), told(3), told(4)], [good, good, bad, None]);
    // A month later it is still the last one.
    world.pass(30 * DAY).await;
    assert!(engine.settle(MINUTE).await);
    assert!(!world.reports.calls().contains_key("put_compliance"));
}

#[tokio::test(start_paused = true)]
async fn a_datastore_that_is_gone_for_an_hour_changes_no_list() {
    let world = reporting(3).await;
    let rules = Arc::new(mappings::checks::RuleSet::new(Sources::default()).unwrap());
    let reads = Arc::new(Reads::new(rules));
    let setup = FleetUpdate::Setup { reads: Some(Arc::clone(&reads)), is_provider_managed: false };
    world.fleet.apply(&world.vcenter.name, setup, world.clock.now());
    let read_all = || {
        let now = world.clock.now();
        world.vcenter.read(&world.vms, now);
        world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(hosts()), now);
        for number in 1..=3 {
            let vm = format!("vm-{number}");
            let said = super::findings::said(&reads, "VirtualMachine", &vm, "config.instanceUuid");
            world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(said), now);
            let devices = Property::Set(vec![disk()]);
            world.change_vm(number, VirtualMachine { devices, ..VirtualMachine::default() });
        }
    };
    read_all();
    let engine = world.engine().await;
    settle(&engine).await;
    let lists = || {
        let both = [Kind::Hardening, Kind::Protection];
        both.map(|kind| {
            (1..=3).map(|number| world.reports.list(&node(number), kind).unwrap()).collect::<Vec<_>>()
        })
    };
    let before = lists();
    let disks = || world.reports.item(&node(1), DISK_TYPE).unwrap();
    let known_disks = disks();
    assert!(before[0][0].items.len() > 10, "{}", before[0][0].items.len());
    world.reports.calls();
    world.pass(10 * MINUTE).await;
    let gone = || VirtualMachine {
        template: Property::Unset,
        instance_uuid: Property::Unset,
        guest_id: Property::Unset,
        connection_state: Property::Set(Named::Known(ConnectionState::Inaccessible)),
        tools_running: Property::Unset,
        snapshot: Property::Unset,
        devices: Property::Unset,
        ..VirtualMachine::default()
    };
    for number in 1..=3 {
        world.change_vm(number, gone());
    }
    for _ in 0..6 {
        world.pass(10 * MINUTE).await;
        settle(&engine).await;
    }
    assert_eq!(world.reports.calls().get("put_compliance"), None);
    assert_eq!(word(&engine.plan(), 1, Capability::Compliance), Some("notRead"));
    let row = world.reports.item(&node(1), VM_TYPE).unwrap();
    assert_eq!((column(&row, 0, "ConnectionState"), disks()), ("inaccessible".to_owned(), known_disks));
    read_all();
    settle(&engine).await;
    assert_eq!(world.reports.calls().get("put_compliance"), None);
    assert!(lists() == before);
}

/// What is told is read back, as a service does it.
async fn read_back(world: &World) {
    let pace = ToldPace {
        first: MINUTE,
        every: 60 * MINUTE,
        failed: 15 * MINUTE,
        inventory: true,
        compliance: true,
    };
    let watcher = Watcher { told: Some(pace), ..world.watcher() };
    watcher.read_told().await;
}

/// Only what writes.
fn writes(world: &World) -> BTreeMap<String, usize> {
    let calls = world.reports.calls().into_iter();
    calls.filter(|(operation, _)| operation.starts_with("put_")).collect()
}

#[tokio::test(start_paused = true)]
async fn what_somebody_deleted_is_told_again_once() {
    let world = reporting(5).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.pass(DAY).await;
    read_back(&world).await;
    settle(&engine).await;
    writes(&world);
    let other = |kind| {
        let check = mappings::compliance::Check {
            id: "other".into(),
            title: "other".into(),
            severity: Severity::Low,
            status: Status::NonCompliant,
            details: Vec::new(),
        };
        List::new(kind, [check])
    };
    let before = world.reports.list(&node(2), Kind::Protection);
    world.reports.delete_inventory(VM_TYPE);
    world.reports.put_list(&node(2), other(Kind::Protection));
    world.reports.put_list(&node(3), List::new(Kind::Protection, []));
    world.pass(10 * MINUTE).await;
    settle(&engine).await;
    assert_eq!(writes(&world), BTreeMap::new(), "nobody has looked");
    world.pass(60 * MINUTE).await;
    read_back(&world).await;
    let plan = engine.plan();
    assert_eq!(plan.housekeeping.len(), 7, "{:#?}", plan.housekeeping);
    assert!(plan.actions.is_empty() && plan.next.is_some());
    settle(&engine).await;
    assert_eq!(writes(&world), done(&[("put_inventory", 5), ("put_compliance", 2)]));
    for number in 1..=5 {
        assert!(!world.reports.item(&node(number), VM_TYPE).unwrap().content.is_empty());
    }
    assert_eq!(world.reports.list(&node(2), Kind::Protection), before);
    assert!(world.reports.list(&node(3), Kind::Protection).is_some_and(|list| !list.items.is_empty()));
    // And that was all, whether or not the same reading is looked at again, and after the next ones.
    for _ in 0..12 {
        settle(&engine).await;
        world.pass(60 * MINUTE).await;
        read_back(&world).await;
        settle(&engine).await;
    }
    assert_eq!(writes(&world), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_listed_yet_is_not_put_twice() {
    let world = reporting(3).await;
    let engine = world.engine().await;
    settle(&engine).await;
    assert_eq!(writes(&world), done(&[("put_inventory", 3), ("put_compliance", 3)]));
    // None of it is shown for hours.
    let hidden: Vec<Item> = (1..=3).filter_map(|number| world.reports.item(&node(number), VM_TYPE)).collect();
    world.reports.delete_inventory(VM_TYPE);
    for _ in 0..5 {
        world.pass(60 * MINUTE).await;
        read_back(&world).await;
        settle(&engine).await;
    }
    assert_eq!(writes(&world), BTreeMap::new());
    for (number, item) in (1..=3).zip(&hidden) {
        world.reports.put_inventory(&node(number), &[InventoryPut::Whole(item)]).await.unwrap();
    }
    writes(&world);
    for _ in 0..5 {
        world.pass(60 * MINUTE).await;
        read_back(&world).await;
        settle(&engine).await;
    }
    assert_eq!(writes(&world), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_from_a_listing_that_failed() {
    let world = reporting(3).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.pass(DAY).await;
    read_back(&world).await;
    writes(&world);
    world.reports.delete_inventory(VM_TYPE);
    world.reports.delete_inventory(HOST_TYPE);
    world.reports.fail(&format!("inventory {VM_TYPE}"), AwsErrorKind::Denied);
    world.reports.fail("compliance", AwsErrorKind::Throttled);
    for _ in 0..3 {
        world.pass(60 * MINUTE).await;
        read_back(&world).await;
        settle(&engine).await;
    }
    let told = world.cloud.read().target(&"main".into()).unwrap().told.clone();
    assert!(told.types[VM_TYPE].error.is_some() && told.types[HOST_TYPE].error.is_none());
    assert_eq!(writes(&world), done(&[("put_inventory", 3)]), "what could be read is healed");
    assert!(world.reports.item(&node(1), HOST_TYPE).is_some());
    assert!(world.reports.item(&node(1), VM_TYPE).is_none());
    // Where nobody knows the type any more, it can be read that nobody has any.
    world.reports.heal();
    world.reports.fail(&format!("inventory {VM_TYPE}"), AwsErrorKind::Invalid);
    world.pass(60 * MINUTE).await;
    read_back(&world).await;
    settle(&engine).await;
    assert!((1..=3).all(|number| world.reports.item(&node(number), VM_TYPE).is_some()));
}

#[tokio::test(start_paused = true)]
async fn what_was_told_is_read_page_by_page_and_not_more_often_than_is_due() {
    let world = reporting(7).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    read_back(&world).await;
    // Pages of three: two types that all seven have, three that none has, and the seven lists.
    assert_eq!(world.reports.calls(), done(&[("inventory", 9), ("compliance", 3)]));
    world.pass(50 * MINUTE).await;
    read_back(&world).await;
    assert_eq!(world.reports.calls(), BTreeMap::new());
    world.pass(11 * MINUTE).await;
    read_back(&world).await;
    assert_eq!(world.reports.calls(), done(&[("inventory", 9), ("compliance", 3)]));
}

#[tokio::test(start_paused = true)]
async fn a_type_of_an_earlier_version_is_emptied_and_forgotten() {
    const FORMER: &str = "Custom:VSphereFormerly";
    let world = reporting(2).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    let place = world.cloud.read().target(&"main".into()).unwrap().place.clone().unwrap();
    // One VM, and a node that is none any more.
    for number in [1, 2] {
        let owned = Owned {
            value: Some("a".repeat(64).into()),
            rule: "inventory".into(),
            written: world.clock.now(),
        };
        let holder = Holder::report(&place, &node(number));
        engine.0.memory().put_owned(OwnedChange { holder, name: FORMER.into(), owned: Some(owned) });
    }
    world.pass(10 * MINUTE).await;
    world.vcenter.tell(&[], &[MoRef::new("VirtualMachine", "vm-2")], world.clock.now());
    settle(&engine).await;
    assert_eq!(writes(&world), done(&[("put_inventory", 2), ("put_compliance", 1)]));
    for number in [1, 2] {
        assert!(world.reports.item(&node(number), FORMER).unwrap().content.is_empty());
        let memory = engine.0.memory();
        let owned = memory.owned_by(&Holder::report(&place, &node(number)));
        assert!(owned.is_none_or(|owned| !owned.contains_key(FORMER)), "{owned:?}");
    }
    world.pass(DAY).await;
    settle(&engine).await;
    assert_eq!(writes(&world), BTreeMap::new());
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_read_keeps_only_nodes_of_its_place() {
    let world = reporting(3).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    world.pass(10 * MINUTE).await;
    world.vcenter.tell(&[], &[MoRef::new("VirtualMachine", "vm-2")], world.clock.now());
    // Of another target nothing is known yet: in this Region the node may be one of its VMs, in another it is not.
    let with = |region: &str| {
        let mut policy = world.policy.clone();
        let nothing = Selector::from_str("name=no-such-vm").unwrap();
        let other = crate::plan::TargetPolicy {
            name: "other".into(),
            region: region.into(),
            vms: nothing,
            ..policy.targets[0].clone()
        };
        policy.targets.push(other);
        policy
    };
    engine.set_policy(with("eu-central-1"));
    assert!(engine.settle(MINUTE).await);
    assert_eq!(writes(&world), BTreeMap::new());
    engine.set_policy(with("us-east-1"));
    settle(&engine).await;
    assert_eq!(writes(&world), done(&[("put_inventory", 1), ("put_compliance", 1)]));
}
