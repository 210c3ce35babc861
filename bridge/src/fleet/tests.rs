use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use mappings::selector::{Fact, GuestFamily, Selector, TagsKnown, VmFacts as _};
use serde_json::{Value, json};
use vsphere_client::ids::MoRef;
use vsphere_client::model::{
    AboutInfo, CustomFieldDef, CustomValue, Device, DeviceKind, Disk, PowerState, SnapshotInfo, SnapshotTree,
};
use vsphere_client::property::Change as Property;
use vsphere_client::property::{
    ComputeResource, CustomFields, Datacenter, Folder, HostSystem, Network, ObjectProperties, ObjectReport,
    ReportKind, ResourcePool, VirtualApp, VirtualMachine,
};
use vsphere_client::xml::Named;

use super::*;

const STALE: Duration = Duration::from_secs(300);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn set<T: From<U>, U>(value: U) -> Property<T> {
    Property::Set(T::from(value))
}

fn moref(text: &str) -> MoRef {
    let kind = match text.split('-').next().unwrap() {
        "vm" => "VirtualMachine",
        "host" => "HostSystem",
        "domain" => "ClusterComputeResource",
        "compute" => "ComputeResource",
        "datacenter" => "Datacenter",
        "group" => "Folder",
        "resgroup" => "ResourcePool",
        "vapp" => "VirtualApp",
        "network" => "Network",
        "fields" => "CustomFieldsManager",
        other => panic!("{other}"),
    };
    MoRef::new(kind, text)
}

fn report(object: &str, kind: ReportKind, properties: ObjectProperties) -> ObjectReport {
    ObjectReport { object: moref(object), kind, properties, extras: Vec::new() }
}

fn entered(object: &str, properties: ObjectProperties) -> ObjectReport {
    report(object, ReportKind::Entered, properties)
}

fn left(object: &str) -> ObjectReport {
    report(object, ReportKind::Left, ObjectProperties::empty(moref(object).mo_kind()))
}

fn folder(object: &str, name: &str, parent: Option<&str>) -> ObjectReport {
    let parent = parent.map_or(Property::NotMentioned, |parent| Property::Set(moref(parent)));
    entered(object, ObjectProperties::Folder(Folder { name: set(name), parent }))
}

fn vm(name: &str, parent: &str) -> VirtualMachine {
    VirtualMachine {
        name: set(name),
        parent: Property::Set(moref(parent)),
        host: Property::Set(moref("host-1")),
        power_state: Property::Set(Named::Known(PowerState::PoweredOn)),
        template: Property::Set(false),
        bios_uuid: set("421D0FA9-8a3d-7bd6-0a37-6d2b22b2b7b7"),
        instance_uuid: set("501d1d2d-0e0e-3b8d-65ee-0f9f1d2d3d4d"),
        ..VirtualMachine::default()
    }
}

fn enter_vm(object: &str, vm: VirtualMachine) -> ObjectReport {
    entered(object, ObjectProperties::VirtualMachine(Box::new(vm)))
}

/// Two datacenters' worth of places: `/dc1` with a cluster, folders and a vApp in a vApp.
fn places() -> Vec<ObjectReport> {
    let compute = |name: &str, parent: &str| {
        ObjectProperties::ComputeResource(ComputeResource {
            name: set(name),
            parent: Property::Set(moref(parent)),
            hosts: Property::Set(vec![moref("host-1")]),
        })
    };
    let host = |name: &str, parent: &str| {
        let host =
            HostSystem { name: set(name), parent: Property::Set(moref(parent)), ..HostSystem::default() };
        ObjectProperties::HostSystem(Box::new(host))
    };
    let vapp = |name: &str, parent: &str, folder: Option<&str>| {
        ObjectProperties::VirtualApp(VirtualApp {
            name: set(name),
            parent: Property::Set(moref(parent)),
            owner: Property::Set(moref("domain-1")),
            parent_folder: folder.map_or(Property::NotMentioned, |folder| Property::Set(moref(folder))),
        })
    };
    vec![
        folder("group-d1", "Datacenters", None),
        entered(
            "datacenter-1",
            ObjectProperties::Datacenter(Datacenter {
                name: set("dc one"),
                parent: Property::Set(moref("group-d1")),
            }),
        ),
        folder("group-v1", "vm", Some("datacenter-1")),
        folder("group-h1", "host", Some("datacenter-1")),
        folder("group-v2", "Prod", Some("group-v1")),
        folder("group-v3", "a%2fb 100%25", Some("group-v2")),
        entered("domain-1", compute("cluster one", "group-h1")),
        entered("compute-2", compute("alone", "group-h1")),
        entered("host-1", host("esx1", "domain-1")),
        entered("host-2", host("esx2", "compute-2")),
        entered(
            "resgroup-1",
            ObjectProperties::ResourcePool(ResourcePool {
                name: set("Resources"),
                parent: Property::Set(moref("domain-1")),
                owner: Property::Set(moref("domain-1")),
            }),
        ),
        entered("vapp-1", vapp("outer", "resgroup-1", Some("group-v2"))),
        entered("vapp-2", vapp("inner", "vapp-1", None)),
        entered(
            "network-1",
            ObjectProperties::Network(Network { name: set("VM Network"), ..Network::default() }),
        ),
    ]
}

fn about(uuid: &str) -> AboutInfo {
    AboutInfo { version: "8.0.3".into(), instance_uuid: Some(uuid.into()), ..AboutInfo::default() }
}

const UUID: &str = "6f1c6f3e-8a52-4c8e-9d5b-0c8f7b6a1e01";

struct World {
    fleet: SharedFleet,
    part: VcenterName,
    now: i64,
}

impl World {
    fn new(scope: &str) -> Self {
        let (fleet, part) = (SharedFleet::new(), VcenterName::from("dc1"));
        fleet.add(&part, &scope.parse::<Selector>().unwrap());
        Self { fleet, part, now: 0 }
    }

    fn with_vms(vms: impl IntoIterator<Item = (&'static str, VirtualMachine)>) -> Self {
        let mut world = Self::new("all");
        world.read(vms);
        world
    }

    /// One whole reading.
    fn read(&mut self, vms: impl IntoIterator<Item = (&'static str, VirtualMachine)>) {
        self.start(UUID);
        let vms = vms.into_iter().map(|(object, vm)| enter_vm(object, vm));
        self.objects(places().into_iter().chain(vms).collect());
        self.apply(FleetUpdate::Complete);
    }

    fn start(&mut self, uuid: &str) {
        self.apply(FleetUpdate::Started { about: about(uuid) });
    }

    fn apply(&mut self, update: FleetUpdate) {
        self.now += 1;
        self.fleet.apply(&self.part, update, at(self.now));
    }

    fn objects(&mut self, reports: Vec<ObjectReport>) {
        self.apply(FleetUpdate::Objects(reports));
    }

    fn tags(&mut self, full: bool, tags: &[(&str, &[&str])]) {
        let tags = tags
            .iter()
            .map(|(object, names)| {
                let tag = |name: &&str| {
                    let (category, name) = name.split_once(':').unwrap();
                    TagName { category: category.into(), name: name.into() }
                };
                (moref(object), Some(names.iter().map(tag).collect()))
            })
            .collect();
        self.apply(FleetUpdate::Tags(if full { TagUpdate::Full(tags) } else { TagUpdate::ForObjects(tags) }));
    }

    fn document(&self, object: &str) -> Option<Value> {
        let fleet = self.fleet.read();
        let vm = fleet.part(&self.part)?.vm(object)?;
        Some(serde_json::to_value(vm.document()).unwrap())
    }

    fn names(&self) -> Vec<String> {
        let fleet = self.fleet.read();
        let part = fleet.part(&self.part).unwrap();
        part.vms_in_order().iter().map(|vm| vm.moref().value().to_owned()).collect()
    }

    fn state(&self, seconds: i64) -> State {
        self.fleet.read().part(&self.part).unwrap().state(at(seconds), STALE)
    }

    /// What `act` changes, one line each.
    async fn changes(&mut self, act: impl FnOnce(&mut Self)) -> Vec<String> {
        let mut changes = self.fleet.changes();
        act(self);
        let mut lines = Vec::new();
        while let Ok(batch) = tokio::time::timeout(Duration::from_millis(1), changes.next()).await {
            lines.extend(batch.unwrap().iter().map(line));
        }
        lines
    }
}

fn line(change: &Change) -> String {
    match &change.what {
        What::Source(source) => format!("source {} {:?}", source.state.word(), source.error),
        What::Object(object) => {
            let head = format!("{} {}", object.kind, object.moref);
            match &object.event {
                ObjectEvent::Changed(fields) => {
                    let field =
                        |field: &FieldChange| format!("{} {} -> {}", field.field, field.before, field.after);
                    format!("{head}: {}", fields.iter().map(field).collect::<Vec<_>>().join("; "))
                }
                event => format!("{head} {}", event.word()),
            }
        }
    }
}

#[test]
fn a_vm_is_described_with_its_place_by_name() {
    let mut machine = vm("web%2f1", "group-v3");
    machine.networks = Property::Set(vec![moref("network-1")]);
    machine.resource_pool = Property::Set(moref("resgroup-1"));
    machine.guest_id = set("ubuntu64Guest");
    let world = World::with_vms([("vm-1", machine)]);
    let document = world.document("vm-1").unwrap();
    for (key, expected) in [
        ("vcenter", json!("dc1")),
        ("vcenterUuid", json!(UUID)),
        ("moref", json!("vm-1")),
        ("name", json!("web/1")),
        ("folder", json!({ "moref": "group-v3", "path": "/Prod/a%2fb 100%" })),
        ("datacenter", json!({ "moref": "datacenter-1", "name": "dc one" })),
        ("cluster", json!({ "moref": "domain-1", "name": "cluster one" })),
        ("host", json!({ "moref": "host-1", "name": "esx1" })),
        ("resourcePool", json!({ "moref": "resgroup-1", "name": "Resources" })),
        ("networks", json!([{ "moref": "network-1", "name": "VM Network" }])),
        ("biosUuid", json!("421d0fa9-8a3d-7bd6-0a37-6d2b22b2b7b7")),
        ("vApp", Value::Null),
        ("tags", Value::Null),
    ] {
        assert_eq!(document[key], expected, "{key}");
    }
    let fleet = world.fleet.read();
    let view = fleet.part(&world.part).unwrap().vm("vm-1").unwrap();
    assert_eq!(view.guest_family(), Fact::Known(GuestFamily::Linux));
    assert_eq!(view.visit_tags(&mut |_, _| ControlFlow::Continue(())), TagsKnown::No);
}

#[test]
fn places_that_are_particular() {
    let mut alone = vm("alone", "group-v1");
    alone.host = Property::Set(moref("host-2"));
    let mut in_vapp = vm("in a vApp", "group-v1");
    in_vapp.parent = Property::NotMentioned;
    in_vapp.parent_vapp = Property::Set(moref("vapp-2"));
    in_vapp.host = Property::Unset;
    in_vapp.resource_pool = Property::Set(moref("vapp-2"));
    let lost = vm("lost", "group-v99");
    let world = World::with_vms([("vm-1", alone), ("vm-2", in_vapp), ("vm-3", lost)]);
    let fleet = world.fleet.read();
    let view = |object: &str| fleet.part(&world.part).unwrap().vm(object).unwrap();
    let (alone, in_vapp, lost) = (view("vm-1"), view("vm-2"), view("vm-3"));
    assert_eq!((alone.folder(), alone.cluster()), (Fact::Known("/"), Fact::Absent));
    assert_eq!((in_vapp.folder(), in_vapp.cluster()), (Fact::Known("/Prod"), Fact::Known("cluster one")));
    assert_eq!(in_vapp.datacenter(), Fact::Known("dc one"));
    assert_eq!((lost.folder(), lost.datacenter()), (Fact::Unknown, Fact::Unknown));
}

#[test]
fn a_circle_of_folders_ends() {
    let mut world = World::with_vms([("vm-1", vm("a", "group-v8"))]);
    world.objects(vec![folder("group-v8", "x", Some("group-v9")), folder("group-v9", "y", Some("group-v8"))]);
    assert_eq!(world.document("vm-1").unwrap()["folder"], json!({ "moref": "group-v8", "path": null }));
}

#[test]
fn a_later_report_changes_only_what_it_mentions_and_a_new_first_one_everything() {
    let mut machine = vm("a", "group-v1");
    machine.annotation = set("note");
    machine.host_name = Property::Unreadable;
    let mut world = World::with_vms([("vm-1", machine)]);
    assert_eq!(world.document("vm-1").unwrap()["unreadable"], json!(["guest.hostName"]));
    let news = VirtualMachine { name: set("b"), ip_address: set("10.0.0.1"), ..VirtualMachine::default() };
    world.objects(vec![report(
        "vm-1",
        ReportKind::Modified,
        ObjectProperties::VirtualMachine(Box::new(news)),
    )]);
    let document = world.document("vm-1").unwrap();
    assert_eq!((&document["name"], &document["annotation"]), (&json!("b"), &json!("note")));
    assert_eq!(document["guest"]["ipAddress"], json!("10.0.0.1"));
    assert_eq!(document["unreadable"], json!(["guest.hostName"]));
    let readable =
        VirtualMachine { host_name: set("web"), annotation: Property::Unset, ..VirtualMachine::default() };
    world.objects(vec![report(
        "vm-1",
        ReportKind::Modified,
        ObjectProperties::VirtualMachine(Box::new(readable)),
    )]);
    let document = world.document("vm-1").unwrap();
    assert_eq!((&document["unreadable"], &document["annotation"]), (&json!([]), &Value::Null));
    world.objects(vec![enter_vm("vm-1", vm("c", "group-v1"))]);
    assert_eq!(world.document("vm-1").unwrap()["guest"]["ipAddress"], Value::Null);
}

#[test]
fn what_the_next_reading_does_not_report_is_gone_but_only_at_its_end() {
    let mut world = World::with_vms([("vm-9", vm("a", "group-v1")), ("vm-10", vm("b", "group-v2"))]);
    assert_eq!(world.names(), ["vm-9", "vm-10"]);
    world.apply(FleetUpdate::Interrupted { error: "reset".into(), retry_at: None });
    world.start(UUID);
    world.objects(vec![enter_vm("vm-10", vm("b", "group-v2"))]);
    assert_eq!(world.names(), ["vm-9", "vm-10"], "the reading is not over");
    // The connection breaks again, before the end: nothing may be concluded from what was not reported.
    world.apply(FleetUpdate::Interrupted { error: "reset".into(), retry_at: None });
    world.read([("vm-9", vm("a", "group-v1")), ("vm-10", vm("b", "group-v2"))]);
    assert_eq!(world.names(), ["vm-9", "vm-10"]);
    world.read([("vm-10", vm("b", "group-v2"))]);
    assert_eq!(world.names(), ["vm-10"]);
    assert_eq!(world.document("vm-10").unwrap()["folder"]["path"], json!("/Prod"));
}

#[tokio::test]
async fn changes_are_told_once_and_only_after_the_first_picture() {
    let mut world = World::new("all");
    let first = world
        .changes(|world| {
            world.read([("vm-1", vm("a", "group-v1")), ("vm-2", vm("b", "group-v3"))]);
            world.tags(true, &[("vm-1", &["Env:prod"]), ("vm-2", &[])]);
        })
        .await;
    assert_eq!(first, ["source current None"]);
    let renamed = VirtualMachine { name: set("c"), ..VirtualMachine::default() };
    let lines = world
        .changes(|world| {
            let renamed = ObjectProperties::VirtualMachine(Box::new(renamed));
            world.objects(vec![report("vm-1", ReportKind::Modified, renamed.clone())]);
            world.objects(vec![report("vm-1", ReportKind::Modified, renamed)]);
            world.objects(vec![enter_vm("vm-3", vm("new", "group-v1")), left("vm-1"), left("vm-77")]);
            world.tags(false, &[("vm-2", &["Env:test", "Env:test"]), ("vm-77", &["Env:test"])]);
            world.tags(true, &[("vm-2", &["Env:test"])]);
        })
        .await;
    assert_eq!(
        lines,
        [
            r#"vm vm-1: name "a" -> "c""#,
            "vm vm-3 appeared",
            "vm vm-1 disappeared",
            r#"vm vm-2: tags [] -> [{"category":"Env","name":"test"}]"#,
        ]
    );
}

#[tokio::test]
async fn an_interruption_changes_nothing_but_what_differs_afterwards() {
    let mut world = World::with_vms([("vm-1", vm("a", "group-v1")), ("vm-2", vm("b", "group-v1"))]);
    world.tags(true, &[("vm-1", &["Env:prod"]), ("vm-2", &[])]);
    let lines = world
        .changes(|world| {
            world.apply(FleetUpdate::Interrupted { error: "reset".into(), retry_at: None });
            world.apply(FleetUpdate::Interrupted { error: "refused".into(), retry_at: None });
            world.read([("vm-1", vm("a", "group-v1")), ("vm-3", vm("c", "group-v1"))]);
        })
        .await;
    assert_eq!(
        lines,
        [
            "source interrupted Some(\"reset\")",
            "vm vm-3 appeared",
            "vm vm-2 disappeared",
            "source current None"
        ]
    );
    let tags = world.document("vm-1").unwrap()["tags"].clone();
    assert_eq!(tags, json!([{ "category": "Env", "name": "prod" }]), "tags outlive an interruption");
}

#[tokio::test]
async fn a_renamed_folder_is_a_change_of_every_vm_below_it_and_of_no_other() {
    let mut in_vapp = vm("v", "group-v1");
    in_vapp.parent = Property::NotMentioned;
    in_vapp.parent_vapp = Property::Set(moref("vapp-2"));
    let mut world =
        World::with_vms([("vm-1", vm("a", "group-v1")), ("vm-2", vm("b", "group-v3")), ("vm-3", in_vapp)]);
    let mut lines =
        world.changes(|world| world.objects(vec![folder("group-v2", "Production", Some("group-v1"))])).await;
    lines.sort();
    assert_eq!(
        lines,
        [
            r#"vm vm-2: folder {"moref":"group-v3","path":"/Prod/a%2fb 100%"} -> {"moref":"group-v3","path":"/Production/a%2fb 100%"}"#,
            r#"vm vm-3: folder {"moref":"group-v2","path":"/Prod"} -> {"moref":"group-v2","path":"/Production"}"#,
        ]
    );
    let cluster = ComputeResource { name: set("new"), ..ComputeResource::default() };
    let mut lines = world
        .changes(|world| {
            world.objects(vec![report(
                "domain-1",
                ReportKind::Modified,
                ObjectProperties::ComputeResource(cluster),
            )]);
        })
        .await;
    lines.sort();
    assert_eq!(lines.len(), 4, "the cluster and its three VMs: {lines:?}");
    assert_eq!(lines[0], r#"cluster domain-1: name "cluster one" -> "new""#);
}

#[tokio::test]
async fn scope_decides_what_appears() {
    let mut world = World::new("tag=Managed:yes");
    world.read([("vm-1", vm("a", "group-v1")), ("vm-2", vm("b", "group-v1"))]);
    assert_eq!(world.names(), [""; 0], "nobody knows yet whether it is in scope");
    world.tags(true, &[("vm-1", &["Managed:yes"]), ("vm-2", &[])]);
    assert_eq!(world.names(), ["vm-1"]);
    assert_eq!(world.fleet.vm_refs(&world.part).len(), 2, "tags are read for all");
    let lines = world.changes(|world| world.tags(false, &[("vm-1", &[]), ("vm-2", &["Managed:yes"])])).await;
    assert_eq!(lines, ["vm vm-1 disappeared", "vm vm-2 appeared"]);
    assert_eq!(world.fleet.vms_with_tag(&world.part, "yes"), [moref("vm-2")]);
}

#[tokio::test]
async fn tags_that_cannot_be_made_out_are_not_known() {
    let mut world = World::with_vms([("vm-1", vm("a", "group-v1"))]);
    world.tags(true, &[("vm-1", &["Env:prod"])]);
    let lines = world
        .changes(|world| world.apply(FleetUpdate::Tags(TagUpdate::ForObjects(vec![(moref("vm-1"), None)]))))
        .await;
    assert_eq!(lines, [r#"vm vm-1: tags [{"category":"Env","name":"prod"}] -> null"#]);
}

#[test]
fn two_vcenters_with_the_same_ids_are_two_worlds() {
    let mut world = World::with_vms([("vm-1", vm("original", "group-v1"))]);
    let copy = VcenterName::from("cloud/copy");
    world.fleet.add(&copy, &Selector::default());
    let original = std::mem::replace(&mut world.part, copy);
    world.read([("vm-1", vm("copy", "group-v2"))]);
    world.objects(vec![left("vm-1")]);
    assert_eq!(world.names(), [""; 0]);
    world.part = original;
    let document = world.document("vm-1").unwrap();
    assert_eq!((&document["name"], &document["folder"]["path"]), (&json!("original"), &json!("/")));
    assert!(VcenterName::from("cloud/copy").is_or_belongs_to("cloud"));
    assert!(!VcenterName::from("cloudy").is_or_belongs_to("cloud"));
}

#[test]
fn another_vcenter_at_the_same_address_takes_nothing_over() {
    let mut world = World::with_vms([("vm-1", vm("a", "group-v1"))]);
    world.tags(true, &[("vm-1", &["Env:prod"])]);
    world.apply(FleetUpdate::Interrupted { error: "reset".into(), retry_at: None });
    world.start("00000000-0000-4000-8000-000000000002");
    assert_eq!(world.names(), [""; 0]);
    assert_eq!(world.state(world.now), State::Loading);
    world.objects(vec![enter_vm("vm-1", vm("other", "group-v1"))]);
    world.apply(FleetUpdate::Complete);
    assert_eq!(world.document("vm-1").unwrap()["tags"], Value::Null, "tags of another vCenter's VM");
}

#[test]
fn a_part_says_how_far_it_can_be_relied_on() {
    let mut world = World::new("all");
    assert_eq!(world.state(0), State::Connecting);
    world.apply(FleetUpdate::Interrupted { error: "refused".into(), retry_at: None });
    assert_eq!(world.state(2), State::Failed);
    world.start(UUID);
    assert_eq!(world.state(3), State::Failed, "still failed, until it has been read");
    world.read([("vm-1", vm("a", "group-v1"))]);
    let read_at = world.now;
    assert_eq!(world.state(read_at), State::Current);
    assert_eq!(
        world.state(read_at + 301),
        State::Stale,
        "a source that says nothing grows old, whatever the reason"
    );
    world.now = 200;
    world.apply(FleetUpdate::Current);
    assert_eq!(world.state(500), State::Current);
    world.apply(FleetUpdate::Interrupted { error: "reset".into(), retry_at: None });
    assert_eq!((world.state(210), world.state(510)), (State::Interrupted, State::Stale));
    world.start(UUID);
    assert_eq!(world.state(210), State::Interrupted, "being read again is not yet current");
    world.read([]);
    assert_eq!(world.state(world.now), State::Current);
}

#[tokio::test]
async fn names_of_custom_attributes_come_from_their_definitions() {
    let mut machine = vm("a", "group-v1");
    machine.custom_values = Property::Set(vec![
        CustomValue { key: 7, value: "ops".into() },
        CustomValue { key: 8, value: "".into() },
        CustomValue { key: 99, value: "nobody knows".into() },
    ]);
    let mut world = World::with_vms([("vm-1", machine)]);
    let definitions = |owner: &str| {
        let field = |key, name: &str| CustomFieldDef { key, name: name.into(), managed_object_type: None };
        let fields = Property::Set(vec![field(7, owner), field(8, "Empty")]);
        entered("fields", ObjectProperties::CustomFields(CustomFields { fields }))
    };
    world.objects(vec![definitions("Owner")]);
    assert_eq!(world.document("vm-1").unwrap()["customAttributes"], json!({ "Owner": "ops", "Empty": "" }));
    {
        let fleet = world.fleet.read();
        let view = fleet.part(&world.part).unwrap().vm("vm-1").unwrap();
        assert_eq!(view.custom_attribute("oWNER"), Fact::Known("ops"));
        assert_eq!(
            (view.custom_attribute("Empty"), view.custom_attribute("None")),
            (Fact::Absent, Fact::Absent)
        );
    }
    let lines = world.changes(|world| world.objects(vec![definitions("Team")])).await;
    assert_eq!(
        lines,
        [r#"vm vm-1: customAttributes.Owner "ops" -> null; customAttributes.Team null -> "ops""#]
    );
}

#[test]
fn devices_and_snapshots_are_kept_as_far_as_they_matter() {
    let device = |key, kind| Device {
        key,
        label: Some("Hard disk 1".into()),
        controller_key: None,
        unit_number: None,
        kind,
    };
    let disk = Disk { capacity_bytes: 5 << 30, backing: Some("FlatVer2".into()), ..Disk::default() };
    let mut machine = vm("a", "group-v1");
    machine.devices = Property::Set(vec![
        device(2000, DeviceKind::Disk(Box::new(disk))),
        device(13000, DeviceKind::PciPassthrough),
        device(600, DeviceKind::Other("VirtualKeyboard".into())),
    ]);
    let child = SnapshotTree { name: "child".into(), id: 2, ..SnapshotTree::default() };
    let root = SnapshotTree { name: "a%2fb".into(), id: 1, children: vec![child], ..SnapshotTree::default() };
    machine.snapshot = Property::Set(SnapshotInfo { current: None, roots: vec![root] });
    let world = World::with_vms([("vm-1", machine)]);
    let document = world.document("vm-1").unwrap();
    assert_eq!(document["disks"][0]["capacityBytes"], json!(5_u64 << 30));
    assert_eq!((&document["disks"].as_array().unwrap().len(), &document["pciPassthrough"]), (&1, &json!(1)));
    assert_eq!(document["snapshots"]["tree"][0]["name"], json!("a/b"));
    assert_eq!(document["snapshots"]["tree"][0]["children"][0]["id"], json!(2));
}
