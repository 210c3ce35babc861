//! Write-back with the real binary: custom attributes that show in vSphere what AWS sees.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::program::{Ended, Vmbridge};
use vmbridge_e2e::referee;
use vmbridge_e2e::vcsim::Vcsim;
use vmbridge_simulator::{
    AwsConfig, AwsMutation, FaultEffect, FaultRule, Mutation, Simulator, SimulatorConfig, User,
};

const PRIVILEGES: [&str; 2] = ["Global.ManageCustomFields", "Global.SetCustomField"];

/// A vCenter to write to, and AWS with nodes for some of its VMs.
struct World {
    simulator: Simulator,
    estate: Estate,
    /// The nodes by the VM that each is.
    nodes: BTreeMap<String, String>,
}

impl World {
    /// With the simulator's vCenter and an account with these privileges besides reading; `mode` is that of write-back.
    async fn new(privileges: &[&str], mode: Option<&str>) -> Self {
        let mut config =
            SimulatorConfig { aws: Some(AwsConfig::default()), ..SimulatorConfig::single(30, 1) };
        let user = User::read_only("vmbridge@vsphere.local", "secret").with_privileges(privileges);
        config.vcenters[0].users = vec![user];
        let simulator = Simulator::start(config).await.unwrap();
        let mut estate = Estate::new().unwrap();
        estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
        Self::with(simulator, estate, mode).await
    }

    async fn with(simulator: Simulator, mut estate: Estate, mode: Option<&str>) -> Self {
        let aws = simulator.aws().unwrap();
        let ca = estate.secret("aws-ca.pem", aws.ca_pem()).unwrap();
        estate.add(&format!(
            "[[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\nca_file = \"{}\"\nsettle = \"2s\"\npoll_fast = \"5s\"\n\n\
             [tags]\nmode = \"off\"\n\n[state]\ndirectory = \"state\"\n",
            aws.url(),
            ca.display()
        ));
        if let Some(mode) = mode {
            estate.add(&format!("[writeback]\nmode = \"{mode}\"\nwrites_per_second = 50\n"));
        }
        let mut world = Self { simulator, estate, nodes: BTreeMap::new() };
        world.register(4).await;
        world
    }

    /// Registers nodes in the first VMs that can have some, with a patch group for the first of them.
    async fn register(&mut self, count: usize) {
        let inventory = self.inventory().await;
        let suitable = inventory["vms"].as_array().unwrap().iter().filter(|vm| {
            vm["template"] == false && vm["managedBy"].is_null() && vm["instanceUuid"].is_string()
        });
        for (at, vm) in suitable.take(count).enumerate() {
            let text = |key: &str| vm[key].as_str().unwrap();
            let description = format!(
                "vmbridge vcenter={} vm={} instance={}",
                text("vcenterUuid"),
                text("moref"),
                text("instanceUuid")
            );
            let aws = self.simulator.aws().unwrap();
            let made = json!({ "op": "addActivation", "description": description });
            let activation = aws.mutate(&serde_json::from_value(made).unwrap()).unwrap().unwrap();
            let tags = if at == 0 { json!({ "Patch Group": "Prod A" }) } else { json!({}) };
            let node =
                json!({ "op": "addNode", "activation": activation, "computerName": "web", "tags": tags });
            let node = aws.mutate(&serde_json::from_value(node).unwrap()).unwrap().unwrap();
            self.nodes.insert(text("moref").to_owned(), node);
        }
        assert_eq!(self.nodes.len(), count);
    }

    fn vmbridge(&self, arguments: &[&str]) -> Vmbridge {
        let account = self.simulator.aws().unwrap().accounts()[0].clone();
        let program = self.estate.vmbridge(arguments).unwrap();
        program
            .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", account.secret_access_key.expose_secret())
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    async fn ran(&self, arguments: &[&str]) -> Ended {
        let ended = self.vmbridge(arguments).run().await.unwrap();
        assert!(ended.code != Some(2), "{}", ended.stderr);
        ended
    }

    async fn inventory(&self) -> Value {
        serde_json::from_str(&self.ran(&["inventory", "--json"]).await.stdout).unwrap()
    }

    async fn plan(&self) -> (Option<i32>, Value) {
        let ended = self.ran(&["plan", "--json"]).await;
        (ended.code, serde_json::from_str(&ended.stdout).unwrap())
    }

    /// Nothing is left to do.
    async fn assert_idle(&self) {
        let (code, plan) = self.plan().await;
        assert_eq!((code, plan["actions"].as_array().unwrap().len()), (Some(0), 0), "{plan:#}");
    }

    /// Changes in vCenter: the operation and how many there were.
    fn written(&self, operation: &str) -> usize {
        self.simulator.effects().iter().filter(|effect| effect.operation == operation).count()
    }

    /// Our attributes of each VM that has any, as vCenter has them.
    fn attributes(&self) -> BTreeMap<String, Value> {
        let truth = self.simulator.vcenters()[0].truth();
        let of = |vm: &Value| {
            let all = vm["customAttributes"].as_object().unwrap().iter();
            let ours: serde_json::Map<_, _> = all
                .filter(|(name, _)| name.starts_with("vmbridge."))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            (!ours.is_empty()).then(|| (vm["id"].as_str().unwrap().to_owned(), Value::Object(ours)))
        };
        truth["vms"].as_array().unwrap().iter().filter_map(of).collect()
    }

    /// What there should be: the first VM's node has a patch group.
    fn expected(&self) -> BTreeMap<String, Value> {
        let of = |(vm, node): (&String, &String)| {
            let mut ours = json!({ "vmbridge.node": node, "vmbridge.status": "managed" });
            let tags = self.simulator.aws().unwrap().tags(node).unwrap_or_default();
            if let Some(group) = tags.get("Patch Group") {
                ours["vmbridge.patch-group"] = json!(group);
            }
            (vm.clone(), ours)
        };
        self.nodes.iter().map(of).collect()
    }

    fn set_by_hand(&self, vm: &str, field: &str, value: &str) {
        let set = Mutation::SetCustom { id: vm.into(), field: field.into(), value: value.into() };
        self.simulator.vcenters()[0].mutate(&set).unwrap();
    }

    fn in_aws(&self, mutation: Value) {
        let mutation: AwsMutation = serde_json::from_value(mutation).unwrap();
        self.simulator.aws().unwrap().mutate(&mutation).unwrap();
    }
}

#[tokio::test]
async fn it_is_off_unless_asked_for_and_observing_writes_nothing() {
    for mode in [None, Some("observe")] {
        let world = World::new(&PRIVILEGES, mode).await;
        let (_, plan) = world.plan().await;
        let planned = plan["actions"].as_array().unwrap().len();
        assert_eq!(planned > 0, mode.is_some(), "{plan:#}");
        let _ = world.ran(&["sync"]).await;
        assert!(world.simulator.effects().is_empty());
        assert!(world.attributes().is_empty());
    }
}

#[tokio::test]
async fn what_aws_sees_is_written_once_and_follows_aws() {
    let world = World::new(&PRIVILEGES, Some("enforce")).await;
    let (code, plan) = world.plan().await;
    assert_eq!(code, Some(1));
    let kinds: Vec<&str> =
        plan["actions"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["defineAttribute"; 3], "{plan:#}");
    assert!(world.simulator.effects().is_empty());

    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(world.attributes(), world.expected());
    assert_eq!((world.written("AddCustomFieldDef"), world.written("SetField")), (3, 9));
    assert!(world.simulator.effects().iter().all(|effect| effect.effective));
    assert_eq!(world.simulator.vcenters()[0].sessions().open, 0);
    world.assert_idle().await;
    let _ = world.ran(&["sync"]).await;
    assert_eq!(world.written("SetField"), 9, "nothing twice");

    // The node goes quiet, its patch group changes, another node is gone.
    let mut nodes = world.nodes.values();
    let (first, last) = (nodes.next().unwrap().clone(), nodes.next_back().unwrap().clone());
    world.in_aws(json!({ "op": "setNode", "node": first, "pingStatus": "ConnectionLost" }));
    world.in_aws(json!({ "op": "tag", "node": first, "key": "Patch Group", "value": "Test" }));
    world.in_aws(json!({ "op": "removeNode", "node": last }));
    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!((world.written("AddCustomFieldDef"), world.written("SetField")), (3, 13));
    let found = world.attributes();
    assert_eq!(found.len(), 3, "{found:?}");
    let vm = world.nodes.iter().find(|(_, node)| **node == first).unwrap().0;
    let now = json!({
        "vmbridge.node": first, "vmbridge.patch-group": "Test", "vmbridge.status": "managed, agent not reporting",
    });
    assert_eq!(found[vm], now);
    world.assert_idle().await;
}

#[tokio::test]
async fn what_others_wrote_is_left_alone() {
    let world = World::new(&PRIVILEGES, Some("enforce")).await;
    let vms: Vec<String> = world.nodes.keys().cloned().collect();
    world.set_by_hand(&vms[0], "vmbridge.patch-group", "Theirs");
    let stranger = world.simulator.vcenters()[0].vm_ids().pop().unwrap();
    assert!(!vms.contains(&stranger));
    world.set_by_hand(&stranger, "vmbridge.node", "by hand");
    world.set_by_hand(&vms[1], "Owner", "ops");
    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    let mut expected = world.expected();
    expected.get_mut(&vms[0]).unwrap()["vmbridge.patch-group"] = json!("Theirs");
    expected.insert(stranger, json!({ "vmbridge.node": "by hand" }));
    assert_eq!(world.attributes(), expected);
    assert_eq!(world.written("AddCustomFieldDef"), 1, "two were there already");
    let (code, plan) = world.plan().await;
    assert_eq!(code, Some(0));
    let vm = plan["vms"].as_array().unwrap().iter().find(|vm| vm["moref"] == *vms[0]).unwrap();
    assert_eq!(vm["capabilities"]["writeback"]["notes"][0]["note"], "foreign", "{vm:#}");
}

#[tokio::test]
async fn lost_answers_do_not_make_anything_happen_twice() {
    let world = World::new(&PRIVILEGES, Some("enforce")).await;
    world.simulator.add_faults([
        FaultRule::once("AddCustomFieldDef", FaultEffect::ResetAfter),
        FaultRule::once("SetField", FaultEffect::ResetAfter),
    ]);
    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(world.simulator.injected_faults().len(), 2);
    assert_eq!((world.written("AddCustomFieldDef"), world.written("SetField")), (3, 9));
    assert_eq!(world.attributes(), world.expected());
    let journal = world.ran(&["audit", "--json"]).await.stdout;
    assert_eq!(journal.matches("\"found-done\"").count(), 2, "{journal}");
    world.assert_idle().await;
}

#[tokio::test]
async fn a_missing_privilege_is_told_with_the_remedy() {
    let world = World::new(&[], Some("enforce")).await;
    let checked = world.ran(&["check", "--json"]).await;
    assert_eq!(checked.code, Some(1));
    let report: Value = serde_json::from_str(&checked.stdout).unwrap();
    let sources = report["sources"].as_array().unwrap();
    let rows: Vec<&Value> = sources.iter().flat_map(|source| source["checks"].as_array().unwrap()).collect();
    for privilege in PRIVILEGES {
        let check = format!("privilege writeback {privilege}");
        let row = rows.iter().find(|row| row["check"] == *check).unwrap();
        assert_eq!(row["outcome"], "fail", "{row:#}");
        assert!(row["fix"].as_str().unwrap().contains("docs/privileges.md"), "{row:#}");
    }
    let synced = world.ran(&["sync", "--json"]).await;
    assert_eq!((synced.code, world.simulator.effects().len()), (Some(1), 0));
    let left: Value = serde_json::from_str(&synced.stdout).unwrap();
    let vm = world.nodes.keys().next().unwrap();
    let vm = left["vms"].as_array().unwrap().iter().find(|one| one["moref"] == **vm).unwrap();
    let why = &vm["capabilities"]["writeback"];
    assert_eq!(why["reason"], "failed", "{why:#}");
    assert!(
        why["sentence"].as_str().unwrap().contains("add Global.ManageCustomFields to the role"),
        "{why:#}"
    );

    // Where it is off, the privileges are nobody's business.
    let world = World::new(&[], None).await;
    assert_eq!(world.ran(&["check"]).await.code, Some(0));
}

#[tokio::test]
async fn an_attribute_that_is_for_other_objects_is_told() {
    let world = World::new(&PRIVILEGES, Some("enforce")).await;
    let of_hosts = Mutation::DefineField { field: "vmbridge.node".into(), of: Some("HostSystem".into()) };
    world.simulator.vcenters()[0].mutate(&of_hosts).unwrap();
    let synced = world.ran(&["sync", "--json"]).await;
    assert_eq!((synced.code, world.written("SetField")), (Some(1), 0));
    assert!(synced.stdout.contains("it is for other objects than VMs"), "{}", synced.stdout);
}

#[tokio::test]
async fn the_service_writes_in_the_session_that_it_reads_in() {
    let world = World::new(&PRIVILEGES, Some("enforce")).await;
    let vcenter = &world.simulator.vcenters()[0];
    let before = vcenter.sessions().opened;
    let mut running = world.vmbridge(&["run"]).start().unwrap();
    let _ = running.says("serving /healthz").await.unwrap();
    let wait = async |what: &dyn Fn() -> bool| {
        for _ in 0..300 {
            if what() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{:#?}", world.simulator.effects());
    };
    wait(&|| world.attributes() == world.expected()).await;
    assert_eq!((world.written("AddCustomFieldDef"), world.written("SetField")), (3, 9));
    assert_eq!(vcenter.sessions().opened - before, 2, "one for SOAP and one for REST");

    // It goes on when its session was ended, and puts back what somebody changed, once it is certain of it.
    vcenter.terminate_sessions();
    let first = world.nodes.values().next().unwrap();
    world.in_aws(json!({ "op": "tag", "node": first, "key": "Patch Group", "value": "Test" }));
    wait(&|| world.attributes() == world.expected()).await;
    assert_eq!(world.written("SetField"), 10);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.written("SetField"), 10, "what the watch tells is what was written");
    running.signal("TERM").await.unwrap();
    assert_eq!(running.ended().await.unwrap().code, Some(0));
    assert_eq!(vcenter.sessions().open, 0);
    world.assert_idle().await;
}

#[tokio::test]
async fn killed_between_a_change_and_its_answer_it_finds_out_and_does_nothing_twice() {
    let world = World::new(&PRIVILEGES, Some("enforce")).await;
    for operation in ["AddCustomFieldDef", "SetField"] {
        world.simulator.add_faults([FaultRule::once(operation, FaultEffect::HoldAfter)]);
        let running = world.vmbridge(&["run"]).start().unwrap();
        for _ in 0..300 {
            if !world.simulator.holds().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(world.simulator.holds().len(), 1, "{operation}");
        running.signal("KILL").await.unwrap();
        assert_eq!(running.ended().await.unwrap().code, None);
        world.simulator.release_holds();
    }
    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(world.attributes(), world.expected());
    assert_eq!((world.written("AddCustomFieldDef"), world.written("SetField")), (3, 9));
    assert!(world.simulator.effects().iter().all(|effect| effect.effective));
}

/// The same against VMware's simulator, with VMware's command line client as the referee.
#[tokio::test]
async fn what_was_written_is_what_govc_reads() {
    let config = SimulatorConfig { aws: Some(AwsConfig::default()), ..SimulatorConfig::single(1, 1) };
    let simulator = Simulator::start(config).await.unwrap();
    let mut estate = Estate::new().unwrap();
    let folder = estate.folder().join("vcsim");
    std::fs::create_dir(&folder).unwrap();
    let vcsim = Vcsim::start(&folder, &["--vms", "40"]).await.unwrap();
    estate.vcsim("dc1", &vcsim).unwrap();
    let world = World::with(simulator, estate, Some("enforce")).await;
    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(vcsim.sessions().await.unwrap(), 0);
    assert_eq!(govc_attributes(&world, &vcsim).await, world.expected());
    world.assert_idle().await;
    let (inventory, endpoints) = (world.inventory().await, vcsim.endpoints_file());
    let compared = referee::compare("govc", &endpoints, &inventory.to_string(), world.estate.folder()).await;
    compared.unwrap();

    // Somebody else's value in VMware's way, and a change of ours.
    let vms: Vec<&String> = world.nodes.keys().collect();
    vcsim
        .mutate("custom-field", vms[1], &json!({ "name": "vmbridge.patch-group", "value": "Theirs" }))
        .await
        .unwrap();
    let first = &world.nodes[vms[0]];
    world.in_aws(json!({ "op": "tag", "node": first, "key": "Patch Group", "value": "Test" }));
    let synced = world.ran(&["sync"]).await;
    assert_eq!(synced.code, Some(0), "{synced:?}");
    let mut expected = world.expected();
    assert_eq!(expected[vms[0]]["vmbridge.patch-group"], "Test");
    expected.get_mut(vms[1]).unwrap()["vmbridge.patch-group"] = json!("Theirs");
    assert_eq!(govc_attributes(&world, &vcsim).await, expected);
}

/// Our attributes of the VMs that are nodes, as govc reads them. Empty ones are none.
async fn govc_attributes(world: &World, vcsim: &Vcsim) -> BTreeMap<String, Value> {
    let manager = "CustomFieldsManager:CustomFieldsManager";
    let fields = referee::govc(vcsim, &["object.collect", manager, "field"]).await.unwrap();
    let fields = fields[0]["val"]["_value"].as_array().or(fields[0]["val"].as_array()).unwrap().clone();
    let mut found = BTreeMap::new();
    for vm in world.nodes.keys() {
        let object = format!("VirtualMachine:{vm}");
        let values = referee::govc(vcsim, &["object.collect", &object, "customValue"]).await.unwrap();
        let values = values[0]["val"]["_value"].as_array().or(values[0]["val"].as_array()).unwrap().clone();
        let ours: serde_json::Map<_, _> = values
            .iter()
            .filter_map(|value| {
                let field = fields.iter().find(|field| field["key"] == value["key"]).unwrap();
                let name = field["name"].as_str().unwrap();
                let is_ours = name.starts_with("vmbridge.") && value["value"] != "";
                is_ours.then(|| (name.to_owned(), value["value"].clone()))
            })
            .collect();
        found.insert(vm.clone(), Value::Object(ours));
    }
    found
}
