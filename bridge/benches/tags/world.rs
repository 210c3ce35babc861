//! A large fleet and an AWS: 45,000 VMs in a tree of folders on 900 hosts, of which 5,000 are managed nodes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mappings::selector::Selector;
use vmbridge::aws::{Activation, ActivationId, Node, NodeId, NodeTags, Ping, Place, Platform, TargetName};
use vmbridge::cloud::{Cloud, TargetView};
use vmbridge::config::{self, Config, Environment};
use vmbridge::fleet::{FleetUpdate, SharedFleet, TagName, TagUpdate, VcenterName};
use vmbridge::memory::Memory;
use vmbridge::plan::{Action, Plan, Policy, plan};
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::{AboutInfo, GuestFamily, GuestNic, PowerState};
use vsphere_client::property::{
    Change, ComputeResource, Datacenter, Folder, HostSystem, ObjectProperties, ObjectReport, ReportKind,
    VirtualMachine,
};
use vsphere_client::xml::Named;

pub(crate) const VMS: u32 = 45_000;
pub(crate) const NODES: u32 = 5_000;
const FOLDERS: u32 = 200;
const HOSTS: u32 = 900;
const CLUSTERS: u32 = 30;
const VCENTER: &str = "6f1c6f3e-8a52-4c8e-9d5b-000000000001";

/// The VM that node number `node` is.
fn vm_of(node: u32) -> u32 {
    node * (VMS / NODES)
}

fn host_name(vm: u32) -> String {
    format!("server-{vm:05}.example.com")
}

fn address(vm: u32) -> String {
    format!("10.{}.{}.{}", vm / 62_500, vm / 250 % 250, vm % 250 + 1)
}

fn instance(vm: u32) -> String {
    format!("501d1d2d-0e0e-3b8d-65ee-{vm:012x}")
}

fn entered(object: MoRef, properties: ObjectProperties) -> ObjectReport {
    ObjectReport { object, kind: ReportKind::Entered, properties, extras: Vec::new() }
}

fn places() -> Vec<ObjectReport> {
    let mut reports = vec![entered(
        MoRef::new("Datacenter", "datacenter-1"),
        ObjectProperties::Datacenter(Datacenter {
            name: Change::Set("Frankfurt".into()),
            parent: Change::NotMentioned,
        }),
    )];
    let mut folder = |id: String, name: String, parent: MoRef| {
        let folder = Folder { name: Change::Set(name.into()), parent: Change::Set(parent) };
        reports.push(entered(MoRef::new("Folder", &id), ObjectProperties::Folder(folder)));
    };
    folder("group-v0".into(), "vm".into(), MoRef::new("Datacenter", "datacenter-1"));
    for number in 1..=FOLDERS {
        // A tree, a few levels deep.
        folder(
            format!("group-v{number}"),
            format!("folder {number}"),
            MoRef::new("Folder", &format!("group-v{}", number / 6)),
        );
    }
    for number in 0..CLUSTERS {
        let cluster = ComputeResource {
            name: Change::Set(format!("cluster {number}").into()),
            ..ComputeResource::default()
        };
        let id = MoRef::new("ClusterComputeResource", &format!("domain-c{number}"));
        reports.push(entered(id, ObjectProperties::ComputeResource(cluster)));
    }
    for number in 0..HOSTS {
        let host = HostSystem {
            name: Change::Set(format!("esx-{number}.example.com").into()),
            parent: Change::Set(MoRef::new(
                "ClusterComputeResource",
                &format!("domain-c{}", number % CLUSTERS),
            )),
            ..HostSystem::default()
        };
        reports.push(entered(
            MoRef::new("HostSystem", &format!("host-{number}")),
            ObjectProperties::HostSystem(Box::new(host)),
        ));
    }
    reports
}

fn moref(vm: u32) -> MoRef {
    MoRef::of(MoKind::VirtualMachine, &format!("vm-{vm}"))
}

fn vm(number: u32) -> ObjectReport {
    let nic = |key: i32, addresses: &[String]| GuestNic {
        connected: true,
        device_key: key,
        ip_addresses: addresses.iter().map(|address| address.as_str().into()).collect(),
        ..GuestNic::default()
    };
    let nics = vec![
        nic(4000, &[address(number), format!("fe80::250:56ff:{:x}:{:x}", number >> 16, number & 0xffff)]),
        nic(4001, &[format!("172.16.{}.{}", number / 250 % 250, number % 250 + 1)]),
    ];
    let vm = VirtualMachine {
        name: Change::Set(format!("Server {number:05}").into()),
        parent: Change::Set(MoRef::new("Folder", &format!("group-v{}", number % FOLDERS + 1))),
        host: Change::Set(MoRef::new("HostSystem", &format!("host-{}", number % HOSTS))),
        power_state: Change::Set(Named::Known(PowerState::PoweredOn)),
        template: Change::Set(false),
        instance_uuid: Change::Set(instance(number).into()),
        guest_id: Change::Set("rhel9_64Guest".into()),
        guest_family: Change::Set(Named::Known(GuestFamily::Linux)),
        host_name: Change::Set(host_name(number).into()),
        ip_address: Change::Set(address(number).into()),
        guest_nics: Change::Set(nics),
        ..VirtualMachine::default()
    };
    entered(moref(number), ObjectProperties::VirtualMachine(Box::new(vm)))
}

/// The tags of every VM; `round` makes one of the values. As when they are read, each tag's name is there once.
pub(crate) fn tags(round: u32) -> FleetUpdate {
    let all = |category: &str, name: &str, count: u32| -> Vec<TagName> {
        let category: Arc<str> = category.into();
        let named = |number| TagName { category: category.clone(), name: format!("{name} {number}").into() };
        (0..count).map(named).collect()
    };
    let categories = [
        all("Patch Group", "group", 7),
        vec![TagName { category: "Environment".into(), name: format!("round {round}").into() }],
        all("Owner", "team", 40),
        all("Application", "application", 300),
    ];
    let of = |vm: u32| {
        let tags = categories.iter().map(|tags| tags[vm as usize % tags.len()].clone());
        (moref(vm), Some(tags.collect()))
    };
    FleetUpdate::Tags(TagUpdate::Full((0..VMS).map(of).collect()))
}

/// A fleet and an AWS, with what is remembered of them.
pub(crate) struct World {
    pub(crate) fleet: SharedFleet,
    pub(crate) vcenter: VcenterName,
    pub(crate) view: TargetView,
    cloud: Cloud,
    memory: Memory,
    policy: Policy,
    pub(crate) now: Timestamp,
    pub(crate) config: Config,
}

impl World {
    pub(crate) fn new(vms: &str) -> Self {
        let now = Timestamp::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let (fleet, vcenter) = (SharedFleet::new(), VcenterName::from("dc1"));
        fleet.add(&vcenter, &Selector::default());
        let about = AboutInfo {
            version: "8.0.3".into(),
            instance_uuid: Some(VCENTER.into()),
            ..AboutInfo::default()
        };
        let reports = places().into_iter().chain((0..VMS).map(vm)).collect();
        for update in
            [FleetUpdate::Started { about }, FleetUpdate::Objects(reports), FleetUpdate::Complete, tags(0)]
        {
            fleet.apply(&vcenter, update, now);
        }
        let text = format!(
            "[[vcenter]]\nname = \"dc1\"\nurl = \"https://dc1.example.com\"\nusername = \"u\"\npassword = {{ file = \"/p\" }}\n\n\
             [[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nvms = \"{vms}\"\n\n[tags]\nmode = \"enforce\"\n\n[state]\ndirectory = \"/s\"\n"
        );
        let config =
            config::parse(&text, Path::new("/bench.toml"), &Environment::default()).expect("a configuration");
        let mut memory = Memory::default();
        memory.installation = "0123abcd".into();
        let mut world = Self {
            fleet,
            vcenter,
            view: view(now),
            cloud: Cloud::default(),
            memory,
            policy: Policy::of(&config),
            now,
            config,
        };
        world.show();
        world
    }

    /// Lets the cloud be what `view` says.
    fn show(&mut self) {
        self.cloud.put(TargetName::from("main"), self.view.clone());
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.fleet.read(), &self.cloud, &self.memory, &self.policy, self.now)
    }

    /// Does what a plan says, and lets so much time go by that it has settled.
    pub(crate) fn apply(&mut self, plan: Plan) {
        plan.learned.into_iter().for_each(|identity| self.memory.put_identity(identity));
        plan.housekeeping.into_iter().for_each(|change| self.memory.put_owned(change));
        // As the observer does, which reads them.
        let mut texts: HashSet<Arc<str>> = HashSet::new();
        let mut shared = |text: &str| match texts.get(text) {
            Some(known) => known.clone(),
            None => {
                let text: Arc<str> = text.into();
                texts.insert(text.clone());
                text
            }
        };
        for planned in plan.actions {
            if let Action::AddTags { node, tags, .. } = &planned.action {
                let mut held = self.view.tags.get(node).map(|tags| NodeTags::clone(tags)).unwrap_or_default();
                for tag in tags {
                    held.insert(shared(tag.key.as_str()), shared(tag.value.as_str()));
                }
                self.view.tags.insert(node.clone(), Arc::new(held));
            }
            planned.action.owns(self.now).into_iter().for_each(|change| self.memory.put_owned(change));
        }
        self.now += Duration::from_secs(600);
        self.view.as_of = Some(self.now);
        self.fleet.apply(&self.vcenter, FleetUpdate::Current, self.now);
        self.show();
    }
}

/// What AWS tells: three in ten nodes have an activation of their own.
fn view(now: Timestamp) -> TargetView {
    let mut nodes = BTreeMap::new();
    let mut activations = HashMap::new();
    let mut tags = HashMap::new();
    for number in 0..NODES {
        let vm = vm_of(number);
        let id = NodeId::from(format!("mi-{number:017x}"));
        let own = number % 10 < 3;
        let activation =
            ActivationId::from(if own { format!("activation-{number}") } else { "many".to_owned() });
        let description = match own {
            true => format!("vmbridge vcenter={VCENTER} vm=vm-{vm} instance={}", instance(vm)),
            false => "Servers".to_owned(),
        };
        activations.entry(activation.clone()).or_insert_with(|| {
            Arc::new(Activation {
                id: activation.clone(),
                description: Some(description.into()),
                limit: if own { 1 } else { 1000 },
            })
        });
        let node = Node {
            id: id.clone(),
            computer_name: Some(host_name(vm).into()),
            ip_address: address(vm).parse().ok(),
            platform: Some(Platform::Linux),
            agent_version: Some("3.3.3050.0".into()),
            ping: Ping::Online,
            last_ping: Some(now),
            activation: Some(activation),
            registered: Some(now),
        };
        nodes.insert(id.clone(), Arc::new(node));
        let held = NodeTags::from([("CostCenter".into(), "4711".into())]);
        tags.insert(id, Arc::new(held));
    }
    TargetView {
        place: Some(Place::new("111122223333", "eu-central-1")),
        arn: None,
        nodes,
        tags,
        activations,
        as_of: Some(now),
        ..TargetView::default()
    }
}
