//! Custom attributes: defined and set through the API.

use serde_json::json;
use vmbridge_simulator::{FaultEffect, FaultRule, Simulator, SimulatorConfig, User, Vcenter};

use crate::client::{Answer, COLLECTOR, Client, over_view, props};

const MANAGER: &str = "CustomFieldsManager";

async fn define(client: &Client, name: &str, of: &str) -> Answer {
    client.call("AddCustomFieldDef", MANAGER, &format!("<name>{name}</name><moType>{of}</moType>")).await
}

fn field(vm: &str, key: &str, value: &str) -> String {
    format!("<entity type=\"VirtualMachine\">{vm}</entity><key>{key}</key><value>{value}</value>")
}

async fn set(client: &Client, vm: &str, key: &str, value: &str) -> Answer {
    client.call("SetField", MANAGER, &field(vm, key, value)).await
}

async fn start() -> (Simulator, Client) {
    let simulator = Simulator::start(SimulatorConfig::single(10, 3)).await.unwrap();
    let client = Client::logged_in(&simulator.vcenters()[0]).await;
    (simulator, client)
}

fn attributes(vcenter: &Vcenter, vm: &str) -> serde_json::Value {
    let truth = vcenter.truth();
    let all = truth["vms"].as_array().unwrap();
    all.iter().find(|one| one["id"] == vm).unwrap()["customAttributes"].clone()
}

#[tokio::test]
async fn what_is_set_is_told_to_whoever_watches_and_is_in_the_ledger() {
    let (simulator, client) = start().await;
    let vcenter = &simulator.vcenters()[0];
    let vm = vcenter.vm_ids()[4].clone();
    let view = client.view(&["VirtualMachine", "HostSystem"]).await;
    let fields = "<objectSet><obj type=\"CustomFieldsManager\">CustomFieldsManager</obj></objectSet>";
    let spec = format!(
        "<spec>{}{}{}{}{fields}</spec><partialUpdates>false</partialUpdates>",
        props("VirtualMachine", &["customValue", "availableField"]),
        props("HostSystem", &["availableField"]),
        props("CustomFieldsManager", &["field"]),
        over_view(&view)
    );
    assert_eq!(client.call("CreateFilter", COLLECTOR, &spec).await.status, 200);
    let wait = async |version: &str| {
        let options = "<options><maxWaitSeconds>5</maxWaitSeconds></options>";
        client.call("WaitForUpdatesEx", COLLECTOR, &format!("<version>{version}</version>{options}")).await
    };
    let first = wait("").await;
    let version = first.first("version").unwrap().to_owned();

    let made = define(&client, "vmbridge.node", "VirtualMachine").await;
    assert_eq!((made.status, made.first("name")), (200, Some("vmbridge.node")), "{}", made.body);
    assert_eq!(made.first("managedObjectType"), Some("VirtualMachine"));
    let key = made.first("key").unwrap().to_owned();
    let told = wait(&version).await;
    assert!(told.body.contains(">CustomFieldsManager</obj>"), "{}", told.body);
    let virtual_machines = told.body.matches("type=\"VirtualMachine\"").count();
    assert_eq!(virtual_machines, 10, "a VM can have it");
    // A host cannot, but its list is told as well, without it.
    let host = told.body.split("type=\"HostSystem\"").nth(1).unwrap().split("</objectSet>").next().unwrap();
    assert!(!host.contains("vmbridge.node"), "{host}");
    let version = told.first("version").unwrap().to_owned();

    assert_eq!(set(&client, &vm, &key, "mi-1").await.status, 200);
    let told = wait(&version).await;
    assert!(told.body.contains(&format!(">{vm}</obj>")) && told.body.contains("<value>mi-1</value>"));
    assert_eq!(told.all("objectSet").len(), 1);
    assert_eq!(attributes(vcenter, &vm)["vmbridge.node"], "mi-1");
    assert_eq!(set(&client, &vm, &key, "mi-1").await.status, 200);
    assert_eq!(set(&client, &vm, &key, "").await.status, 200);
    assert_eq!(attributes(vcenter, &vm).get("vmbridge.node"), None);

    let effects = simulator.effects();
    let seen: Vec<_> =
        effects.iter().map(|one| (one.operation.as_str(), one.resource.as_str(), one.effective)).collect();
    let vm = vm.as_str();
    assert_eq!(
        seen,
        [
            ("AddCustomFieldDef", MANAGER, true),
            ("SetField", vm, true),
            ("SetField", vm, false),
            ("SetField", vm, true)
        ]
    );
    let number: i32 = key.parse().unwrap();
    assert_eq!(effects[1].detail, json!({ "field": "vmbridge.node", "key": number, "value": "mi-1" }));
    assert_eq!((effects[1].service.as_str(), effects[1].account.as_str()), ("vcenter", "vc1"));
}

#[tokio::test]
async fn what_a_vcenter_refuses_is_refused_and_changes_nothing() {
    let (simulator, client) = start().await;
    let vcenter = &simulator.vcenters()[0];
    let vm = vcenter.vm_ids()[0].clone();
    let made = define(&client, "a", "VirtualMachine").await;
    let key = made.first("key").unwrap().to_owned();
    let of_hosts = define(&client, "b", "HostSystem").await.first("key").unwrap().to_owned();
    let before = simulator.effects().len();
    for (answer, fault) in [
        (define(&client, "a", "VirtualMachine").await, "DuplicateName"),
        (define(&client, "a", "HostSystem").await, "DuplicateName"),
        (define(&client, "", "VirtualMachine").await, "InvalidArgument"),
        (define(&client, "c", "CustomFieldsManager").await, "InvalidArgument"),
        (set(&client, &vm, "999", "x").await, "InvalidArgument"),
        (set(&client, &vm, &of_hosts, "x").await, "InvalidArgument"),
        (set(&client, "vm-99999", &key, "x").await, "ManagedObjectNotFound"),
        (set(&client, &vm, "one", "x").await, "InvalidRequest"),
        (client.call("SetField", MANAGER, "<key>1</key><value/>").await, "InvalidRequest"),
        (client.call("SetField", "EventManager", &field(&vm, &key, "x")).await, "InvalidRequest"),
    ] {
        assert_eq!((answer.status, answer.fault()), (500, Some(fault)), "{}", answer.body);
    }
    let refused = define(&client, "a", "VirtualMachine").await;
    assert!(refused.body.contains("<name>a</name>"), "{}", refused.body);
    assert_eq!(simulator.effects().len(), before);
}

#[tokio::test]
async fn each_needs_its_privilege() {
    let (simulator, administrator) = start().await;
    let vcenter = &simulator.vcenters()[0];
    let key = define(&administrator, "a", "VirtualMachine").await.first("key").unwrap().to_owned();
    let vm = vcenter.vm_ids()[0].clone();
    for (privilege, may_define, may_set) in [
        ("", false, false),
        ("Global.ManageCustomFields", true, false),
        ("Global.SetCustomField", false, true),
    ] {
        vcenter.set_user(User::read_only("reader", "secret").with_privileges(&[privilege]));
        let mut client = Client::new(vcenter);
        assert_eq!(client.login("reader", "secret").await.status, 200);
        let defined = define(&client, &format!("of {privilege}"), "VirtualMachine").await;
        let written = set(&client, &vm, &key, "x").await;
        assert_eq!((defined.status == 200, written.status == 200), (may_define, may_set), "{privilege}");
        for (answer, missing) in [(defined, "Global.ManageCustomFields"), (written, "Global.SetCustomField")]
        {
            if answer.status != 200 {
                assert_eq!(answer.fault(), Some("NoPermission"));
                assert_eq!(answer.first("privilegeId"), Some(missing));
            }
        }
    }
}

#[tokio::test]
async fn faults_and_holds_meet_them() {
    let (simulator, client) = start().await;
    let vm = simulator.vcenters()[0].vm_ids()[0].clone();
    let key = define(&client, "a", "VirtualMachine").await.first("key").unwrap().to_owned();
    let arguments = field(&vm, &key, "x");
    let count = || simulator.effects().len();
    simulator.add_faults([FaultRule::once("SetField", FaultEffect::ResetBefore)]);
    assert!(client.try_call("SetField", MANAGER, &arguments).await.is_err());
    assert_eq!(count(), 1, "not executed");
    simulator.add_faults([FaultRule::once("SetField", FaultEffect::ResetAfter)]);
    assert!(client.try_call("SetField", MANAGER, &arguments).await.is_err());
    assert_eq!(count(), 2, "executed, and the answer is lost");

    simulator.add_faults([FaultRule::once("AddCustomFieldDef", FaultEffect::HoldBefore)]);
    let held = tokio::spawn({
        let client = client.clone();
        async move { define(&client, "b", "VirtualMachine").await.status }
    });
    while simulator.holds().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(count(), 2);
    simulator.release_holds();
    assert_eq!((held.await.unwrap(), count()), (200, 3));
}
