//! What each operation does to its VM, and to the space on its datastore.

use serde_json::json;
use vmbridge_simulator::{TaskKind, TaskSetting};

use super::*;

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_snapshot_is_made_and_told_in_the_order_of_the_wsdl() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let task = create(&client, &vm, "a%2fb &amp; c").await;
    let done = succeeded(&client, &task).await;
    let info = done.first("val").unwrap();
    let mut at = 0;
    for tag in [
        "<key>",
        "<task type=\"Task\">",
        "<name>",
        "<descriptionId>",
        "<entity type=\"VirtualMachine\">",
        "<entityName>",
        "<state>",
        "<cancelled>",
        "<cancelable>",
        "<result ",
        "<reason xsi:type=\"TaskReasonUser\">",
        "<queueTime>",
        "<startTime>",
        "<completeTime>",
        "<eventChainId>",
    ] {
        at += info[at..].find(tag).unwrap_or_else(|| panic!("{tag} in {info}"));
    }
    assert_eq!(done.first("descriptionId"), Some("VirtualMachine.createSnapshot"));
    assert_eq!((done.first("key"), done.first("entity")), (Some(task.as_str()), Some(vm.as_str())));
    assert!(!info.contains("<progress>") && !info.contains("<error>"));
    let made = done.first("result").unwrap();
    assert!(info.contains("<result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">"));
    let snapshots = &truth_of(vcenter, &vm)["snapshots"];
    let root = &snapshots["roots"][0];
    assert_eq!((&snapshots["current"], &root["id"]), (&json!(made), &json!(made)));
    // As it was given.
    assert_eq!((&root["name"], &root["description"]), (&json!("a%2fb & c"), &json!("by test")));
    assert_eq!((&root["state"], &root["madeBy"]["user"]), (&json!("poweredOff"), &json!(vcenter.username())));
    let log = vcenter.tasks().finished;
    assert_eq!((log.len(), log[0].outcome.as_str(), log[0].kind), (1, "success", TaskKind::CreateSnapshot));
    assert_eq!((log[0].snapshots[0].snapshot.as_str(), log[0].task.as_str()), (made, task.as_str()));
    let effect = simulator.effects().pop().unwrap();
    assert_eq!((effect.operation.as_str(), effect.resource.as_str()), ("CreateSnapshot_Task", vm.as_str()));
    simulator.shutdown().await;
}

#[tokio::test]
async fn reverting_goes_back_to_the_power_state_of_the_snapshot() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let without = snapshot(&client, &vm, "without memory").await;
    let memory = arguments("with memory", true, false);
    let with = task(&client.call("CreateSnapshot_Task", &of_vm(&vm), &memory).await);
    let with = succeeded(&client, &with).await.first("result").unwrap().to_owned();
    let roots = truth_of(vcenter, &vm)["snapshots"]["roots"].clone();
    assert_eq!(roots[0]["children"][0]["state"], "poweredOn");

    let revert = async |snapshot: &str, arguments: &str| {
        let this = format!("VirtualMachineSnapshot:{snapshot}");
        let task = task(&client.call("RevertToSnapshot_Task", &this, arguments).await);
        succeeded(&client, &task).await;
        let now = truth_of(vcenter, &vm);
        (
            now["powerState"].as_str().unwrap().to_owned(),
            now["snapshots"]["current"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(revert(&without, "").await, ("poweredOff".to_owned(), without.clone()));
    assert_eq!(truth_of(vcenter, &vm)["bootTime"], Value::Null);
    assert_eq!(revert(&with, "").await, ("poweredOn".to_owned(), with.clone()));
    let suppressed = "<suppressPowerOn>true</suppressPowerOn>";
    assert_eq!(revert(&with, suppressed).await, ("poweredOff".to_owned(), with.clone()));
    let current = client.call("RevertToCurrentSnapshot_Task", &of_vm(&vm), "").await;
    succeeded(&client, &task(&current)).await;
    assert_eq!(truth_of(vcenter, &vm)["powerState"], "poweredOn");

    let other = plain_vms(vcenter).into_iter().find(|other| *other != vm).unwrap();
    let current = client.call("RevertToCurrentSnapshot_Task", &of_vm(&other), "").await;
    assert_eq!(failed(&client, &task(&current)).await, "NotFound");
    simulator.shutdown().await;
}

async fn remove(client: &Client, snapshot: &str, arguments: &str) -> String {
    let this = format!("VirtualMachineSnapshot:{snapshot}");
    task_of(client, "RemoveSnapshot_Task", &this, arguments).await
}

#[tokio::test]
async fn snapshots_take_space_that_grows_and_comes_back() {
    let setting = TaskSetting {
        snapshot_bytes: Some(100 * MIB),
        growth_bytes_per_second: Some(1_000 * MIB),
        growth_every_ms: Some(20),
        ..quick(20)
    };
    let (simulator, client) = start(setting).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let before = free_space(vcenter, &vm);
    let made = snapshot(&client, &vm, "grows").await;
    let at_once = before - free_space(vcenter, &vm);
    assert!(at_once >= 100 * MIB, "{at_once}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while before - free_space(vcenter, &vm) < at_once + 100 * MIB {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // No more from now on, so that the numbers can be compared.
    let stop = TaskSetting { growth_bytes_per_second: Some(0), ..TaskSetting::default() };
    vcenter.mutate(&Mutation::SetTasks { tasks: stop }).unwrap();
    let taken = before - free_space(vcenter, &vm);
    assert_eq!(truth_of(vcenter, &vm)["snapshots"]["roots"][0]["bytes"], taken);
    let spec = format!(
        "<specSet>{}<objectSet><obj type=\"VirtualMachine\">{vm}</obj></objectSet></specSet><options/>",
        props("VirtualMachine", &["layoutEx"])
    );
    let layout = client.call("RetrievePropertiesEx", COLLECTOR, &spec).await;
    let extents = layout.all("file");
    let delta = extents.iter().find(|file| file.contains("-sesparse.vmdk")).unwrap();
    assert!(delta.contains(&format!("<size>{taken}</size>")), "{delta}");
    assert!(layout.body.contains(&format!("<key type=\"VirtualMachineSnapshot\">{made}</key>")));
    succeeded(&client, &remove(&client, &made, "<removeChildren>false</removeChildren>").await).await;
    assert_eq!(free_space(vcenter, &vm), before);

    // Without consolidation the disks stay.
    let kept = snapshot(&client, &vm, "kept").await;
    let arguments = "<removeChildren>false</removeChildren><consolidate>false</consolidate>";
    succeeded(&client, &remove(&client, &kept, arguments).await).await;
    let now = truth_of(vcenter, &vm);
    assert_eq!((&now["snapshots"], &now["consolidationNeeded"]), (&Value::Null, &json!(true)));
    assert_eq!(before - free_space(vcenter, &vm), 100 * MIB);
    succeeded(&client, &task_of(&client, "ConsolidateVMDisks_Task", &of_vm(&vm), "").await).await;
    assert_eq!(free_space(vcenter, &vm), before);
    assert_eq!(truth_of(vcenter, &vm)["consolidationNeeded"], false);

    // The same when somebody removes it without a task.
    let made = snapshot(&client, &vm, "by hand").await;
    assert_eq!(before - free_space(vcenter, &vm), 100 * MIB);
    let by_hand = Mutation::RemoveSnapshot { id: vm.clone(), snapshot: made, children: false };
    vcenter.mutate(&by_hand).unwrap();
    assert_eq!(free_space(vcenter, &vm), before);

    // To another datastore it goes with its VM, and it goes with its VM when that is removed.
    snapshot(&client, &vm, "moves").await;
    let other =
        vcenter.ids_of("Datastore").into_iter().find(|id| now["config"]["disks"][0]["datastore"] != **id);
    let other = other.unwrap();
    let free = |vcenter: &Vcenter| {
        let truth = vcenter.truth();
        let stores = truth["datastores"].as_array().unwrap();
        stores.iter().find(|one| one["id"] == *other).unwrap()["freeBytes"].as_u64().unwrap()
    };
    let there = free(vcenter);
    vcenter.mutate(&Mutation::Relocate { id: vm.clone(), datastore: other.clone() }).unwrap();
    assert_eq!(there - free(vcenter), 100 * MIB);
    vcenter.mutate(&Mutation::Remove { id: vm.clone() }).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while free(vcenter) != there {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn removals_take_one_its_children_or_all_and_name_them() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vms = plain_vms(vcenter);
    let (vm, other) = (&vms[0], &vms[1]);
    let mut made = Vec::new();
    for name in ["a", "b", "c"] {
        made.push(snapshot(&client, vm, name).await);
    }
    assert_eq!(vcenter.tasks().deepest_chain, 3);
    succeeded(&client, &remove(&client, &made[0], "<removeChildren>false</removeChildren>").await).await;
    let tree = truth_of(vcenter, vm)["snapshots"].clone();
    assert_eq!((&tree["roots"][0]["name"], &tree["current"]), (&json!("b"), &json!(made[2])));
    succeeded(&client, &remove(&client, &made[1], "<removeChildren>true</removeChildren>").await).await;
    assert!(truth_of(vcenter, vm)["snapshots"].is_null());
    let log = vcenter.tasks().finished;
    let names: Vec<_> = log.last().unwrap().snapshots.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
    // Somebody else's: the log tells that nobody is known to have made it.
    let foreign =
        Mutation::CreateSnapshot { id: other.clone(), name: "x".to_owned(), memory: false, quiesced: false };
    vcenter.mutate(&foreign).unwrap();
    snapshot(&client, other, "y").await;
    succeeded(&client, &task_of(&client, "RemoveAllSnapshots_Task", &of_vm(other), "").await).await;
    let last = vcenter.tasks().finished.pop().unwrap();
    let makers: Vec<_> = last
        .snapshots
        .iter()
        .map(|one| (one.name.as_str(), one.made_by.as_ref().map(|by| by.user.as_str())))
        .collect();
    assert_eq!(
        (last.kind, makers),
        (TaskKind::RemoveAllSnapshots, vec![("x", None), ("y", Some(vcenter.username()))])
    );
    assert!(last.by.session.is_some());
    simulator.shutdown().await;
}

#[tokio::test]
async fn power_changes_take_their_time_and_only_running_guests_are_quiesced() {
    let (simulator, client) = start(quick(20)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = &plain_vms(vcenter)[0];
    let spec = "<name>quiet</name><memory>false</memory><quiesceSpec xsi:type=\"VirtualMachineWindowsQuiesceSpec\">\
                <timeout>15</timeout><vssBackupType>5</vssBackupType></quiesceSpec>";
    let quiet = task_of(&client, "CreateSnapshotEx_Task", &of_vm(vm), spec).await;
    let told = succeeded(&client, &quiet).await;
    assert_eq!(told.first("descriptionId"), Some("VirtualMachine.createSnapshotEx"));
    assert_eq!(truth_of(vcenter, vm)["snapshots"]["roots"][0]["quiesced"], true);

    succeeded(&client, &task_of(&client, "PowerOffVM_Task", &of_vm(vm), "").await).await;
    let off = truth_of(vcenter, vm);
    assert_eq!((&off["powerState"], &off["bootTime"]), (&json!("poweredOff"), &Value::Null));
    let again = task_of(&client, "PowerOffVM_Task", &of_vm(vm), "").await;
    assert_eq!(failed(&client, &again).await, "InvalidPowerState");
    let cold = task_of(&client, "CreateSnapshot_Task", &of_vm(vm), &arguments("cold", true, true)).await;
    succeeded(&client, &cold).await;
    let cold = &truth_of(vcenter, vm)["snapshots"]["roots"][0]["children"][0];
    assert_eq!((&cold["quiesced"], &cold["state"]), (&json!(false), &json!("poweredOff")));
    succeeded(&client, &task_of(&client, "PowerOnVM_Task", &of_vm(vm), "").await).await;
    let on = truth_of(vcenter, vm);
    assert_eq!((&on["powerState"], on["bootTime"].is_string()), (&json!("poweredOn"), true));
    simulator.shutdown().await;
}
