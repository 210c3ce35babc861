//! Findings: what Security Hub is told, how often, and what becomes of it when things go wrong.

mod others;

use mappings::checks::Sources;
use mappings::compliance::table::Patches;
use mappings::findings::life::WorkflowStatus;
use mappings::findings::patches::Note;
use mappings::findings::{RecordState, Status};
use vsphere_client::ids::MoRef;
use vsphere_client::model::{AboutInfo, SnapshotInfo, SnapshotTree};
use vsphere_client::property::{
    Change as Property, HostSystem, ObjectProperties, ObjectReport, ReportKind, decode_update_set_with,
};
use vsphere_client::xml::{Body, Decoder, Limits};

use super::disk::Disk;
use super::*;
use crate::aws::{
    Aggregation, AwsErrorKind, FindingKey, FindingSeen, Linked, ManagedNodeId, NodeId, Ping, ProductArn,
};
use crate::config::{FindingFolding, FindingsSettings};
use crate::control::{FindingQuery, findings};
use crate::fleet::{FleetUpdate, Reads};
use crate::plan::{Note as VmNote, PlanDocument, Reason, ReportPolicy};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// After it a node that was offline is surely told as such, and the workflow status has settled.
const SOON: Duration = Duration::from_secs(40 * 60);

fn node(number: u32) -> NodeId {
    NodeId::from(format!("mi-{number:017x}"))
}

fn policy(world: &World, settings: FindingsSettings) -> Policy {
    let report = ReportPolicy { findings: settings, ..ReportPolicy::off() };
    Policy { tags: Mode::Off, report: Arc::new(report), ..world.policy.clone() }
}

fn full() -> FindingsSettings {
    FindingsSettings { mode: Mode::Enforce, folding: FindingFolding::Full, ..FindingsSettings::off() }
}

/// A fleet whose nodes are all well.
async fn told(count: u32, settings: FindingsSettings) -> World {
    let mut world = World::new(fleet_of(count), 0);
    world.policy = policy(&world, settings);
    world.observe().await;
    world
}

impl World {
    /// Time passes, and everything is read again.
    async fn go_on(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.fleet.apply(&self.vcenter.name, FleetUpdate::Current, self.clock.now());
        self.observe().await;
    }

    /// Agents stop to report, or begin again.
    async fn ping(&self, numbers: impl IntoIterator<Item = u32>, ping: Ping) {
        for number in numbers {
            self.aws.set_ping(&node(number), ping);
        }
        self.go_on(SOON).await;
    }

    fn active(&self) -> Vec<FindingSeen> {
        let all = self.reports.all_findings().into_iter();
        all.filter(|one| one.state == Some(RecordState::Active)).collect()
    }

    /// The one finding that there is.
    fn only(&self) -> FindingSeen {
        let all = self.reports.all_findings();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.into_iter().next().unwrap()
    }

    /// What was called that writes.
    fn writes(&self) -> (usize, usize) {
        let calls = self.reports.calls();
        let of = |name: &str| calls.get(name).copied().unwrap_or_default();
        (of("import"), of("update"))
    }
}

/// Everything is done; then nothing is left to do.
async fn settle<S: Records>(engine: &Engine<S>) {
    assert!(engine.settle(MINUTE).await, "{:#?}", engine.plan().actions);
    let plan = engine.plan();
    assert!(plan.actions.is_empty() && plan.finding_steps.is_empty(), "{:#?}", plan.actions);
}

fn reason(plan: &Plan, number: u32) -> Option<&Reason> {
    let vm = plan.vms.iter().find(|vm| *vm.vm.vm == *format!("vm-{number}")).unwrap();
    vm.verdict(Capability::Findings).reason.as_ref()
}

#[tokio::test(start_paused = true)]
async fn a_problem_is_told_once_closed_when_it_is_over_and_opened_again() {
    let world = told(3, full()).await;
    let engine = world.engine().await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0), "all is well");

    world.ping([1], Ping::ConnectionLost).await;
    assert_eq!(reason(&engine.plan(), 1), None, "something is to be done");
    assert_eq!(reason(&engine.plan(), 2).map(Reason::word), Some("inStep"));
    settle(&engine).await;
    assert_eq!(world.writes(), (1, 0));
    let seen = world.only();
    let content = seen.whole.unwrap().content;
    assert_eq!(content.generator_id, "vmbridge/agent-offline");
    assert_eq!((content.compliance.status, seen.workflow), (Status::Failed, Some(WorkflowStatus::New)));
    assert_eq!(content.resources[1].id, node(1).as_str());
    let plan = engine.plan();
    assert_eq!(reason(&plan, 1).map(Reason::word), Some("inStep"));
    let said = &plan.vms.iter().find(|vm| *vm.vm.vm == *"vm-1").unwrap().verdict(Capability::Findings).notes;
    assert!(matches!(said[..], [VmNote::Findings { open: 1, refused: 0 }]), "{said:?}");

    // Nothing changes: nothing is called, whatever time it is.
    for _ in 0..5 {
        world.fleet.apply(&world.vcenter.name, FleetUpdate::Current, world.clock.now());
        settle(&engine).await;
        tokio::time::sleep(MINUTE).await;
    }
    assert_eq!(world.reports.calls(), BTreeMap::new());

    world.ping([1], Ping::Online).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (1, 1));
    let seen = world.only();
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Archived), Some(WorkflowStatus::Resolved)));

    world.ping([1], Ping::Inactive).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (1, 0));
    let seen = world.only();
    assert_eq!((seen.state, seen.workflow), (Some(RecordState::Active), Some(WorkflowStatus::New)));
}

#[tokio::test(start_paused = true)]
async fn an_open_finding_is_sent_again_before_security_hub_forgets_it() {
    let world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1], Ping::ConnectionLost).await;
    settle(&engine).await;
    let mut last = world.only().updated;
    let (mut refreshed, mut listings) = (0, 0);
    world.reports.calls();
    for _ in 0..200 {
        world.go_on(DAY).await;
        settle(&engine).await;
        let updated = world.only().updated;
        assert!(world.clock.now().duration_since(updated) < SignedDuration::from_hours(90 * 24));
        refreshed += usize::from(updated != last);
        last = updated;
        let calls = world.reports.calls();
        listings += calls.get("findings").copied().unwrap_or_default();
        assert!(calls.get("import").copied().unwrap_or_default() <= 1);
    }
    assert!((3..=4).contains(&refreshed), "{refreshed}");
    // Each day ours, and those of Patch Manager.
    assert!(listings <= 401, "{listings}");
}

#[tokio::test(start_paused = true)]
async fn what_people_decided_is_kept() {
    let world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1, 2], Ping::ConnectionLost).await;
    settle(&engine).await;
    let note = Note { text: "known, see ticket 7".to_owned(), updated_by: "somebody".to_owned() };
    let id = world.reports.all_findings()[0].key.id.to_string();
    world.reports.edit_finding(&id, |seen| {
        seen.workflow = Some(WorkflowStatus::Suppressed);
        seen.note = Some(note.clone());
        seen.fields.insert("ticket".to_owned(), "7".to_owned());
    });
    world.ping([1, 2], Ping::Online).await;
    settle(&engine).await;
    let all = world.reports.all_findings();
    assert!(all.iter().all(|seen| seen.state == Some(RecordState::Archived)));
    let seen = all.iter().find(|seen| seen.key.id.as_str() == id).unwrap();
    assert_eq!((seen.workflow, seen.note.as_ref()), (Some(WorkflowStatus::Suppressed), Some(&note)));
    assert_eq!(seen.fields["ticket"], "7");
    let other = all.iter().find(|seen| seen.key.id.as_str() != id).unwrap();
    assert_eq!(other.workflow, Some(WorkflowStatus::Resolved));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_seen_stays_told() {
    let world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1], Ping::ConnectionLost).await;
    settle(&engine).await;
    world.reports.calls();
    let interrupted = FleetUpdate::Interrupted { error: "gone".to_owned(), retry_at: None };
    world.fleet.apply(&world.vcenter.name, interrupted, world.clock.now());
    world.aws.set_ping(&node(1), Ping::Online);
    tokio::time::sleep(SOON).await;
    world.observe().await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0));
    assert_eq!(engine.plan().findings.unwrap().unseen, 1);
    assert_eq!(reason(&engine.plan(), 1).map(Reason::word), Some("vcenterNotCurrent"));
    world.vcenter.read(&world.vms, world.clock.now());
    settle(&engine).await;
    assert_eq!(world.only().state, Some(RecordState::Archived));
}

#[tokio::test(start_paused = true)]
async fn the_finding_of_a_vm_that_is_gone_says_so() {
    let world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1], Ping::ConnectionLost).await;
    settle(&engine).await;
    world.vcenter.tell(&[], &[world.vms[0].moref()], world.clock.now());
    settle(&engine).await;
    let fields = world.only().whole.unwrap().content.product_fields;
    assert_eq!(fields["vmbridge/resolution"], "gone");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_it_is_only_observed_and_the_plan_says_how_many_there_would_be() {
    let world = told(3, FindingsSettings { mode: Mode::Observe, ..full() }).await;
    let engine = world.engine().await;
    world.ping([1, 2], Ping::ConnectionLost).await;
    assert!(engine.settle(MINUTE).await);
    assert_eq!(world.writes(), (0, 0));
    let plan = engine.plan();
    assert_eq!(plan.actions.len(), 1, "one call for both");
    let document = PlanDocument::of(&plan, &engine.policy(), world.clock.now(), |_| true);
    assert_eq!(
        (document.findings[0].full, document.findings[0].folded, document.findings[0].open),
        (2, 2, 0)
    );
    let mut out = Vec::new();
    crate::plan::write_plan(&mut out, &document).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("2 problems: 2 findings when folded, 2 in full; 0 are open now"), "{out}");
}

#[tokio::test(start_paused = true)]
async fn a_security_hub_that_is_off_is_told_once_and_gets_everything_when_it_is_on() {
    let world = told(2, full()).await;
    world.reports.enable_hub(false);
    world.ping([1], Ping::ConnectionLost).await;
    let engine = world.engine().await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0));
    let plan = engine.plan();
    assert_eq!(reason(&plan, 1).map(Reason::word), Some("hubUnusable"));
    assert!(plan.findings.as_ref().unwrap().hubs[0].trouble.as_ref().unwrap().contains("not enabled"));
    world.reports.enable_hub(true);
    world.go_on(SOON).await;
    settle(&engine).await;
    assert_eq!(world.active().len(), 1);
    // Whoever switches it off and on may lose what was there: it is told again, and once.
    let id = world.only().key.id.to_string();
    world.go_on(2 * DAY).await;
    settle(&engine).await;
    world.reports.enable_hub(false);
    world.go_on(SOON).await;
    settle(&engine).await;
    world.reports.forget(&id);
    world.reports.enable_hub(true);
    world.go_on(SOON).await;
    world.reports.calls();
    settle(&engine).await;
    assert_eq!((world.writes(), world.active().len()), ((1, 0), 1));
}

#[tokio::test(start_paused = true)]
async fn throttled_calls_come_later_and_one_that_is_refused_does_not_hinder_others() {
    let world = told(5, full()).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.fail("import", AwsErrorKind::Throttled);
    world.ping(1..=4, Ping::ConnectionLost).await;
    engine.settle(MINUTE).await;
    assert_eq!(world.active().len(), 0);
    let plan = engine.plan();
    assert!(matches!(reason(&plan, 1), Some(Reason::Failed { .. }) | None), "{:?}", reason(&plan, 1));
    world.reports.heal();
    let refused = engine.0.memory().findings.records.keys().next().unwrap().to_string();
    world.reports.refuse(&refused, "InvalidInput");
    world.go_on(SOON).await;
    settle(&engine).await;
    assert_eq!(world.active().len(), 3);
    let plan = engine.plan();
    let told = plan.findings.unwrap();
    assert_eq!((told.refused.len(), told.refused[0].id.to_string()), (1, refused));
    world.reports.calls();
    world.go_on(SOON).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0), "what is refused is not sent again as it is");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_and_a_restart_make_no_second_finding() {
    for kind in [AwsErrorKind::Lost, AwsErrorKind::NotSent] {
        let world = told(3, full()).await;
        let disk = Disk::new();
        let engine = world.engine_on(disk.clone()).await;
        settle(&engine).await;
        world.ping([1, 2], Ping::ConnectionLost).await;
        world.reports.fail("import", kind);
        engine.settle(Duration::from_secs(5)).await;
        drop(engine);
        world.reports.heal();
        let engine = world.engine_on(disk.clone()).await;
        world.go_on(SOON).await;
        settle(&engine).await;
        assert_eq!(world.active().len(), 2, "{kind:?}");
        let records = engine.0.memory().findings.records.clone();
        assert!(records.values().all(|record| !record.in_doubt && record.imported_at.is_some()));
        // What it is closed by may be lost as well.
        world.ping([1, 2], Ping::Online).await;
        world.reports.fail("update", kind);
        engine.settle(Duration::from_secs(5)).await;
        drop(engine);
        world.reports.heal();
        let engine = world.engine_on(disk).await;
        world.go_on(SOON).await;
        settle(&engine).await;
        let all = world.reports.all_findings();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|seen| seen.workflow == Some(WorkflowStatus::Resolved)), "{kind:?}: {all:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_store_takes_over_what_is_there() {
    let world = told(4, full()).await;
    let engine = world.engine_on(Disk::new()).await;
    world.ping([1, 2, 3], Ping::ConnectionLost).await;
    settle(&engine).await;
    let first: Vec<_> = world.active().into_iter().map(|seen| (seen.key, seen.updated)).collect();
    drop(engine);
    // One is over by the time the program is there again, with a store that remembers nothing.
    let world = World { cloud: SharedCloud::new(), ..world };
    world.ping([3], Ping::Online).await;
    world.reports.calls();
    let engine = world.engine_on(Disk::new()).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (1, 1), "only the one that is over");
    let left: Vec<_> = world.active().into_iter().map(|seen| (seen.key, seen.updated)).collect();
    assert_eq!(left, first[..2]);
    assert_eq!(world.reports.all_findings().len(), 3);
    assert_eq!(engine.0.memory().findings.records.len(), 3);
    let view = world.cloud.read();
    let hub = &view.target(&"main".into()).unwrap().hub;
    assert!(hub.ours.value.is_none() && hub.ours.as_of.is_some(), "it is let go");
}

#[tokio::test(start_paused = true)]
async fn unmanaged_vms_old_snapshots_and_missing_patches_are_told() {
    let mut world = told(3, full()).await;
    world.aws.forget(&node(2));
    let enrol = crate::plan::EnrolPolicy { mode: Mode::Observe, ..crate::plan::EnrolPolicy::off() };
    world.policy = Policy { enrol, ..world.policy.clone() };
    let tree = SnapshotTree {
        snapshot: Some(MoRef::new("VirtualMachineSnapshot", "snapshot-1")),
        name: "before upgrade".into(),
        id: 1,
        created: Some(world.clock.now() - Duration::from_secs(80 * 3600)),
        ..SnapshotTree::default()
    };
    world.vms[0].machine.snapshots = Some(SnapshotInfo { current: None, roots: vec![tree] });
    world.vcenter.tell(&world.vms[..1], &[], world.clock.now());
    let lacking = Patches { missing: 3, security: 1, ..Patches::default() };
    world.reports.patch(ManagedNodeId::parse(node(3).as_str()).unwrap(), lacking);
    world.go_on(2 * SOON).await;
    let engine = world.engine().await;
    settle(&engine).await;
    let told = |world: &World| -> Vec<String> {
        let active = world.active().into_iter();
        let mut told: Vec<_> = active.map(|one| one.whole.unwrap().content.generator_id).collect();
        told.sort();
        told
    };
    assert_eq!(told(&world), ["vmbridge/old-snapshot", "vmbridge/patches-missing", "vmbridge/vm-unmanaged"]);
    // All of it is seen to.
    world.aws.register(&world.vms[1].clone());
    world.vms[0].machine.snapshots = None;
    world.vcenter.tell(&world.vms[..1], &[], world.clock.now());
    world.reports.patch(
        ManagedNodeId::parse(node(3).as_str()).unwrap(),
        Patches { installed: 4, scanned: Some(world.clock.now()), ..Patches::default() },
    );
    world.go_on(2 * SOON).await;
    settle(&engine).await;
    assert_eq!(told(&world), Vec::<String>::new());
}

/// What a vCenter says of a property that rules read.
pub(super) fn said(reads: &Reads, kind: &str, object: &str, path: &str) -> Vec<ObjectReport> {
    let xml = format!(
        "<r xmlns:xsi='i'><returnval><filterSet><objectSet><kind>modify</kind><obj type=\"{kind}\">{object}</obj>\
         <changeSet><name>{path}</name><op>assign</op><val>set</val></changeSet></objectSet></filterSet></returnval></r>"
    );
    let mut decoder = Decoder::new(Body::complete(xml.into(), Limits::default()));
    assert!(decoder.child().unwrap());
    let mut reports = Vec::new();
    decode_update_set_with(&mut decoder, &reads.properties(), |_, report| {
        reports.push(report);
        Ok(())
    })
    .unwrap();
    reports
}

#[tokio::test(start_paused = true)]
async fn failed_checks_are_told_and_folded_by_family() {
    let world = told(2, full()).await;
    let rules = Arc::new(mappings::checks::RuleSet::new(Sources::default()).unwrap());
    let reads = Arc::new(Reads::new(rules));
    let setup = FleetUpdate::Setup { reads: Some(reads.clone()), is_provider_managed: false };
    world.fleet.apply(&world.vcenter.name, setup, world.clock.now());
    let host = HostSystem {
        name: Property::Set("esx-1".into()),
        product: Property::Set(AboutInfo { version: "8.0.3".into(), ..AboutInfo::default() }),
        ..HostSystem::default()
    };
    let host = ObjectReport {
        object: MoRef::new("HostSystem", "host-1"),
        kind: ReportKind::Entered,
        properties: ObjectProperties::HostSystem(Box::new(host)),
        extras: Vec::new(),
    };
    world.vcenter.read(&world.vms, world.clock.now());
    world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(vec![host]), world.clock.now());
    // They have a configuration, and next to nothing is set in it.
    for (kind, object, path) in [
        ("VirtualMachine", "vm-1", "config.instanceUuid"),
        ("VirtualMachine", "vm-2", "config.instanceUuid"),
        ("HostSystem", "host-1", "config.product"),
    ] {
        let said = said(&reads, kind, object, path);
        world.fleet.apply(&world.vcenter.name, FleetUpdate::Objects(said), world.clock.now());
    }
    let engine = world.engine().await;
    settle(&engine).await;
    let kinds = |world: &World| -> BTreeMap<String, usize> {
        let kinds = world
            .active()
            .into_iter()
            .map(|one| one.whole.unwrap().content.product_fields["vmbridge/kind"].clone());
        kinds.fold(BTreeMap::new(), |mut counts, kind| {
            *counts.entry(kind).or_default() += 1;
            counts
        })
    };
    let full_counts = kinds(&world);
    assert!(full_counts["vm"] > 2 && full_counts["host"] > 2, "{full_counts:?}");
    let plan = engine.plan();
    let hub = &plan.findings.as_ref().unwrap().hubs[0];
    assert_eq!((hub.full, hub.open), (world.active().len(), world.active().len()));
    let folded = hub.folded;
    assert!(folded < hub.full);
    // The same, folded: what was told in full is closed.
    engine.set_policy(policy(&world, FindingsSettings { folding: FindingFolding::Folded, ..full() }));
    settle(&engine).await;
    assert_eq!(world.active().len(), folded);
    assert!(
        world
            .active()
            .iter()
            .all(|one| { one.whole.as_ref().unwrap().content.generator_id.starts_with("vmbridge/family/") })
    );
    // Rules are not read any more: what was told of them is over.
    world.fleet.apply(
        &world.vcenter.name,
        FleetUpdate::Setup { reads: None, is_provider_managed: false },
        world.clock.now(),
    );
    settle(&engine).await;
    assert_eq!(world.active().len(), 0);
}

/// Patch Manager tells of a node.
fn of_patch_manager(world: &World, id: &str, resource: &str) {
    let seen = FindingSeen {
        key: FindingKey { id: id.into(), product: ProductArn::patch_manager("eu-central-1") },
        updated: world.clock.now(),
        state: Some(RecordState::Active),
        workflow: Some(WorkflowStatus::New),
        note: None,
        fields: BTreeMap::from([("ticket".to_owned(), "7".to_owned())]),
        resources: vec![resource.into()],
        whole: None,
    };
    world.reports.put_finding("111122223333", "patches", seen);
}

fn finding(world: &World, id: &str) -> FindingSeen {
    world.reports.all_findings().into_iter().find(|seen| seen.key.id.as_str() == id).unwrap()
}

/// A scan finds that a node lacks so many patches.
fn scan(world: &World, number: u32, missing: u32) {
    let scanned = Some(world.clock.now());
    let patches = Patches { missing, installed: 3, scanned, ..Patches::default() };
    world.reports.patch(ManagedNodeId::parse(node(number).as_str()).unwrap(), patches);
}

#[tokio::test(start_paused = true)]
async fn findings_of_patch_manager_say_which_vm_they_mean_and_are_resolved_once() {
    let settings = FindingsSettings { resolve_patch_manager: true, patches: false, ..full() };
    let world = told(2, settings).await;
    of_patch_manager(&world, "first", node(1).as_str());
    of_patch_manager(&world, "ec2", "i-0123456789abcdef0");
    scan(&world, 1, 3);
    world.go_on(2 * SOON).await;
    let engine = world.engine().await;
    world.reports.calls();
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 1));
    let seen = finding(&world, "first");
    assert_eq!((&*seen.fields["vmbridge/vm"], &*seen.fields["ticket"]), ("web-1", "7"));
    assert!(seen.note.unwrap().text.contains("web-1"));
    assert_eq!(seen.workflow, Some(WorkflowStatus::New), "patches are missing");
    assert_eq!(finding(&world, "ec2").note, None);
    // Neither before a reading shows it nor after.
    settle(&engine).await;
    for _ in 0..3 {
        world.go_on(SOON).await;
        settle(&engine).await;
    }
    assert_eq!(world.writes(), (0, 0));

    scan(&world, 1, 0);
    world.go_on(2 * SOON).await;
    settle(&engine).await;
    for _ in 0..3 {
        world.go_on(SOON).await;
        settle(&engine).await;
    }
    assert_eq!(world.writes(), (0, 1));
    assert_eq!(finding(&world, "first").workflow, Some(WorkflowStatus::Resolved));
    assert!(engine.0.memory().owned.is_empty(), "what is over is forgotten");
}

#[tokio::test(start_paused = true)]
async fn findings_of_patch_manager_are_named_also_where_none_is_resolved() {
    let world = told(1, FindingsSettings { patches: false, ..full() }).await;
    of_patch_manager(&world, "first", node(1).as_str());
    of_patch_manager(&world, "second", node(1).as_str());
    scan(&world, 1, 0);
    world.go_on(2 * SOON).await;
    let engine = world.engine().await;
    settle(&engine).await;
    for id in ["first", "second"] {
        let seen = finding(&world, id);
        assert_eq!((&*seen.fields["vmbridge/vm"], seen.workflow), ("web-1", Some(WorkflowStatus::New)));
    }
    assert_eq!(world.reports.calls()["update"], 1, "what is the same goes in one call");
}

#[tokio::test(start_paused = true)]
async fn what_people_do_between_reading_and_writing_is_kept() {
    let settings = FindingsSettings { resolve_patch_manager: true, patches: false, ..full() };
    let world = told(3, settings).await;
    for number in 1..=3 {
        of_patch_manager(&world, &format!("of {number}"), node(number).as_str());
    }
    tokio::time::sleep(MINUTE).await;
    (1..=3).for_each(|number| scan(&world, number, 0));
    world.go_on(2 * SOON).await;
    // All three are about to be named and resolved. Then people come.
    let note = Note { text: "waits for the vendor".to_owned(), updated_by: "ada".to_owned() };
    world.reports.edit_finding("of 1", |seen| {
        seen.workflow = Some(WorkflowStatus::Suppressed);
        seen.note = Some(note.clone());
    });
    world.reports.edit_finding("of 2", |seen| {
        seen.note = Some(note.clone());
        seen.fields.insert("ticket".to_owned(), "8".to_owned());
        seen.fields.insert("team".to_owned(), "blue".to_owned());
    });
    let engine = world.engine().await;
    let planned = engine.plan().actions;
    assert!(
        matches!(&planned[0].action, Action::UpdatePatchFindings { findings, .. } if findings.len() == 3)
    );
    settle(&engine).await;
    let suppressed = finding(&world, "of 1");
    assert_eq!(
        (suppressed.workflow, suppressed.note),
        (Some(WorkflowStatus::Suppressed), Some(note.clone()))
    );
    assert_eq!(suppressed.fields, BTreeMap::from([("ticket".to_owned(), "7".to_owned())]));
    let noted = finding(&world, "of 2");
    assert_eq!((noted.workflow, noted.note), (Some(WorkflowStatus::Resolved), Some(note)));
    assert_eq!((&*noted.fields["ticket"], &*noted.fields["team"]), ("8", "blue"));
    assert_eq!(&*noted.fields["vmbridge/vm"], "web-2");
    assert_eq!(finding(&world, "of 3").workflow, Some(WorkflowStatus::Resolved));
    world.reports.calls();
    world.go_on(SOON).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_old_listing_of_patch_manager_is_not_acted_on() {
    let world = told(1, FindingsSettings { patches: false, ..full() }).await;
    of_patch_manager(&world, "first", node(1).as_str());
    world.go_on(SOON).await;
    let engine = world.engine().await;
    assert_eq!(engine.plan().actions.len(), 1);
    world.reports.fail("findings", AwsErrorKind::Server);
    world.go_on(SOON).await;
    assert_eq!(engine.plan().actions, []);
    world.reports.heal();
    world.go_on(SOON).await;
    settle(&engine).await;
    assert!(finding(&world, "first").note.is_some());
}

#[tokio::test(start_paused = true)]
async fn one_finding_of_patch_manager_that_is_refused_hinders_no_other() {
    let world = told(3, FindingsSettings { patches: false, ..full() }).await;
    for number in 1..=3 {
        of_patch_manager(&world, &format!("of {number}"), node(number).as_str());
    }
    world.reports.refuse("of 1", "ConcurrentUpdateError");
    world.go_on(SOON).await;
    let engine = world.engine().await;
    assert!(engine.settle(MINUTE).await);
    let noted = || ["of 1", "of 2", "of 3"].map(|id| finding(&world, id).note.is_some());
    assert_eq!(noted(), [false, true, true]);
    let failing: Vec<_> = engine.0.memory().failures.keys().map(|failing| failing.object.clone()).collect();
    assert_eq!(failing, ["of 1".into()]);
    assert_eq!(engine.plan().actions, [], "it is not tried again at once");
    world.reports.heal();
    world.reports.calls();
    world.go_on(SOON).await;
    settle(&engine).await;
    assert_eq!((noted(), world.writes()), ([true; 3], (0, 1)));
    assert!(engine.0.memory().failures.is_empty());
    // A call that fails as a whole is not tried again at once for any of them.
    world.ping([1], Ping::Online).await;
    of_patch_manager(&world, "more", node(2).as_str());
    world.reports.fail("update", AwsErrorKind::Denied);
    world.go_on(SOON).await;
    assert!(engine.settle(MINUTE).await);
    assert!(engine.0.memory().failures.keys().any(|failing| &*failing.object == "more"));
}

#[tokio::test(start_paused = true)]
async fn findings_that_went_to_another_region_before_end_there() {
    let mut world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1, 2], Ping::ConnectionLost).await;
    settle(&engine).await;
    world.ping([2], Ping::Online).await;
    settle(&engine).await;
    world.target.findings_region = Some("eu-west-1".to_owned());
    world.observe().await;
    settle(&engine).await;
    let told = |region: &str| -> Vec<FindingSeen> {
        let all = world.reports.all_findings().into_iter();
        all.filter(|seen| seen.key.product.as_str().contains(region)).collect()
    };
    let (old, new) = (told("eu-central-1"), told("eu-west-1"));
    assert_eq!((old.len(), new.len()), (2, 1));
    assert!(old.iter().all(|seen| seen.state == Some(RecordState::Archived)));
    assert!(old.iter().all(|seen| seen.workflow == Some(WorkflowStatus::Resolved)));
    let resolution = |seen: &FindingSeen| {
        seen.whole.as_ref().unwrap().content.product_fields["vmbridge/resolution"].clone()
    };
    let ends: std::collections::BTreeSet<String> = old.iter().map(resolution).collect();
    assert_eq!(ends, ["fixed".to_owned(), "replaced".to_owned()].into());
    assert_eq!(new[0].state, Some(RecordState::Active));
    let found = engine.look(|view| findings(view, &FindingQuery::default()).unwrap());
    assert_eq!((found.open, found.out_of_reach), (1, 0));
    world.reports.calls();
    world.go_on(SOON).await;
    settle(&engine).await;
    assert_eq!(world.writes(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn findings_in_an_account_that_no_target_has_are_told_and_forgotten_when_they_are_over() {
    let world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1], Ping::ConnectionLost).await;
    settle(&engine).await;
    // The target of another account was taken out of the configuration.
    let mut left = engine.0.memory().findings.records.values().next().unwrap().clone();
    left.target.account = "999988887777".into();
    left.id = "vmbridge/999988887777/left".into();
    let change = crate::store::FindingChange { id: left.id.clone(), record: Some(left) };
    engine.0.memory().put_finding(change);
    settle(&engine).await;
    let plan = engine.plan().findings.unwrap();
    let place = Place::new("999988887777", "eu-central-1");
    assert_eq!(plan.out_of_reach, BTreeMap::from([(place.clone(), 1)]));
    let hub = plan.hubs.iter().find(|hub| hub.place == place).unwrap();
    assert!(hub.open == 1 && hub.warnings[0].contains("no `[[aws]]` target has the account"), "{hub:?}");
    let found = engine.look(|view| findings(view, &FindingQuery::default()).unwrap());
    assert_eq!((found.open, found.out_of_reach), (1, 1));
    let fix = found.findings.iter().find(|one| one.state == "outOfReach").unwrap().fix.clone().unwrap();
    assert!(fix.contains("999988887777") && fix.contains("90 days"), "{fix}");
    for _ in 0..91 {
        world.go_on(DAY).await;
        settle(&engine).await;
    }
    assert_eq!(engine.plan().findings.unwrap().out_of_reach, BTreeMap::new());
    assert_eq!((engine.0.memory().findings.records.len(), world.active().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_loses_its_view_closes_nothing_without_a_person() {
    let world = told(12, full()).await;
    let disk = Disk::new();
    let engine = world.engine_on(disk.clone()).await;
    world.ping(1..=10, Ping::ConnectionLost).await;
    settle(&engine).await;
    assert_eq!(world.active().len(), 10);
    let gone: Vec<_> = world.vms[..8].iter().map(TestVm::moref).collect();
    world.vcenter.tell(&[], &gone, world.clock.now());
    // What is new is told, and what is over ends, meanwhile.
    world.ping([9], Ping::Online).await;
    world.ping([11], Ping::ConnectionLost).await;
    assert!(engine.settle(MINUTE).await);
    assert_eq!(world.active().len(), 10, "one is over, one is new");
    let plan = engine.plan();
    let [held] = &plan.held[..] else { panic!("{:#?}", plan.held) };
    assert_eq!((held.capability, held.fingerprints.len()), (Capability::Findings, 8));
    assert!(held.reason.contains("8 of 10 findings would be closed"), "{}", held.reason);
    assert!(plan.actions.iter().all(|planned| planned.held.is_some()), "{:#?}", plan.actions);
    // They come back: nothing has happened.
    world.vcenter.tell(&world.vms[..8], &[], world.clock.now());
    world.go_on(MINUTE).await;
    settle(&engine).await;
    assert_eq!(world.active().len(), 10);
    // They are gone again, for good, and a person knows. One call fails: what is left of it is approved still.
    world.vcenter.tell(&[], &gone, world.clock.now());
    let id = engine.plan().held[0].id.clone();
    assert_eq!(engine.approve(&id).await.unwrap(), Some(8));
    let first = engine.0.memory().findings.records.keys().next().unwrap().to_string();
    world.reports.refuse(&first, "ThrottlingException");
    assert!(engine.settle(MINUTE).await);
    assert_eq!(world.active().len(), 3);
    world.reports.heal();
    // What was done lately counts, also after a restart.
    drop(engine);
    let engine = world.engine_on(disk).await;
    world.go_on(MINUTE).await;
    settle(&engine).await;
    assert_eq!(world.active().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn few_that_are_gone_end_without_a_person_and_add_up() {
    let world = told(10, full()).await;
    let engine = world.engine_on(Disk::new()).await;
    world.ping(1..=10, Ping::ConnectionLost).await;
    settle(&engine).await;
    for number in 0..5 {
        world.vcenter.tell(&[], &[world.vms[number].moref()], world.clock.now());
        settle(&engine).await;
    }
    assert_eq!(world.active().len(), 5);
    world.vcenter.tell(&[], &[world.vms[5].moref()], world.clock.now());
    assert!(engine.settle(MINUTE).await);
    assert_eq!((world.active().len(), engine.plan().held.len()), (5, 1));
}

#[tokio::test(start_paused = true)]
async fn all_findings_can_be_withdrawn_whatever_the_mode() {
    for mode in [Mode::Off, Mode::Observe] {
        let world = told(4, full()).await;
        let engine = world.engine_on(Disk::new()).await;
        world.ping([1, 2, 3], Ping::ConnectionLost).await;
        settle(&engine).await;
        let id = world.active()[0].key.id.to_string();
        world.reports.edit_finding(&id, |seen| seen.workflow = Some(WorkflowStatus::Suppressed));
        engine.set_policy(policy(&world, FindingsSettings { mode, ..full() }));
        world.go_on(SOON).await;
        assert!(engine.settle(MINUTE).await);
        assert_eq!(world.active().len(), 3, "that it is not enforced any more closes nothing");
        engine.withdraw_findings(true);
        settle(&engine).await;
        let all = world.reports.all_findings();
        assert!(all.iter().all(|seen| seen.state == Some(RecordState::Archived)), "{all:#?}");
        for seen in &all {
            let is_suppressed = seen.key.id.as_str() == id;
            let workflow = if is_suppressed { WorkflowStatus::Suppressed } else { WorkflowStatus::Resolved };
            assert_eq!(seen.workflow, Some(workflow));
            let fields = &seen.whole.as_ref().unwrap().content.product_fields;
            assert_eq!(fields["vmbridge/resolution"], "withdrawn");
        }
        engine.withdraw_findings(false);
        // Enforced again, what is wrong is told again.
        engine.set_policy(policy(&world, full()));
        world.go_on(SOON).await;
        settle(&engine).await;
        assert_eq!(world.active().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn findings_may_go_to_another_region_and_a_region_that_is_not_linked_is_told() {
    let mut world = World::new(fleet_of(1), 0);
    world.policy = policy(&world, full());
    world.target.findings_region = Some("eu-west-1".to_owned());
    world.reports.aggregate(Some(Aggregation {
        home: "us-east-1".to_owned(),
        linked: Linked::Only(vec!["eu-central-1".to_owned()]),
    }));
    world.observe().await;
    world.ping([1], Ping::ConnectionLost).await;
    let engine = world.engine().await;
    settle(&engine).await;
    let seen = world.only();
    assert_eq!(
        seen.key.product.as_str(),
        "arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default"
    );
    let plan = engine.plan();
    let hub = &plan.findings.as_ref().unwrap().hubs[0];
    assert!(hub.warnings[0].contains("not copied to the aggregation Region us-east-1"), "{hub:?}");
    world.ping([1], Ping::Online).await;
    settle(&engine).await;
    assert_eq!(world.only().workflow, Some(WorkflowStatus::Resolved));
}

#[tokio::test(start_paused = true)]
async fn an_idle_day_costs_a_few_listings() {
    let world = told(60, full()).await;
    let engine = world.engine().await;
    settle(&engine).await;
    world.reports.calls();
    let until = world.clock.now() + DAY;
    while world.clock.now() < until {
        world.go_on(MINUTE).await;
        settle(&engine).await;
    }
    let calls = world.reports.calls();
    let of = |name: &str| calls.get(name).copied().unwrap_or_default();
    assert!((95..=97).contains(&of("hub")), "{calls:?}");
    // Ours once, and those of Patch Manager as often as it is asked whether Security Hub is enabled.
    assert!(of("findings") <= 98 && of("aggregation") <= 1 && of("import") == 0, "{calls:?}");
    // A page of the fake has few nodes: two calls for 60 nodes, an hour.
    assert!(of("patches") <= 24 * 2 * 20, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_moved_to_another_vcenter_is_told_there() {
    let world = told(2, full()).await;
    let engine = world.engine().await;
    world.ping([1], Ping::ConnectionLost).await;
    settle(&engine).await;
    let other = TestVcenter::new(&world.fleet, "dc2", 2);
    other.read(&[], world.clock.now());
    settle(&engine).await;
    // Where it went cannot be seen yet.
    let interrupted = FleetUpdate::Interrupted { error: "gone".to_owned(), retry_at: None };
    world.fleet.apply(&other.name, interrupted, world.clock.now());
    world.vcenter.tell(&[], &[world.vms[0].moref()], world.clock.now());
    settle(&engine).await;
    assert_eq!(world.only().state, Some(RecordState::Active));
    other.read(&world.vms[..1], world.clock.now());
    settle(&engine).await;
    let all = world.reports.all_findings();
    let (open, over): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|seen| seen.state == Some(RecordState::Active));
    let fields = |seen: &FindingSeen| seen.whole.as_ref().unwrap().content.product_fields.clone();
    assert_eq!((open.len(), over.len()), (1, 1));
    assert_eq!(fields(&open[0])["vmbridge/vcenter"], other.uuid);
    assert_eq!(fields(&over[0])["vmbridge/resolution"], "replaced");
}

/// Wherever the program is killed, it ends in the same state, and no finding is lost or there twice.
#[tokio::test(start_paused = true)]
async fn it_may_be_killed_anywhere() {
    for step in 0..40_u64 {
        let world = told(4, full()).await;
        let disk = Disk::new();
        world.ping([1, 2, 3], Ping::ConnectionLost).await;
        for turn in 0..3 {
            if turn == 1 {
                world.ping([1, 2], Ping::Online).await;
            } else if turn == 2 {
                world.ping([2, 4], Ping::Inactive).await;
            }
            let engine = world.engine_on(disk.clone()).await;
            let running = tokio::spawn(async move { engine.run(CancellationToken::new()).await });
            tokio::time::sleep(Duration::from_millis(step * 3 + turn)).await;
            running.abort();
            let _ = running.await;
        }
        let engine = world.engine_on(disk).await;
        world.go_on(SOON).await;
        settle(&engine).await;
        let open: Vec<Arc<str>> = world.active().iter().map(|seen| seen.resources[1].clone()).collect();
        let wanted: Vec<Arc<str>> = [2, 3, 4].map(|number| node(number).as_str().into()).to_vec();
        assert_eq!(open, wanted, "killed after step {step}");
        let over = world.reports.all_findings().into_iter();
        let over = over.filter(|seen| seen.state == Some(RecordState::Archived));
        assert!(over.into_iter().all(|seen| seen.workflow == Some(WorkflowStatus::Resolved)), "{step}");
    }
}
