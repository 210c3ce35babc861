//! What is refused, by the call or by its task.

use vmbridge_simulator::{TaskSetting, User};

use super::*;

#[tokio::test]
async fn each_method_needs_its_privilege() {
    let (simulator, client) = start(quick(10)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let made = snapshot(&client, &vm, "s").await;
    let (of_vm, of_snapshot) = (of_vm(&vm), format!("VirtualMachineSnapshot:{made}"));
    let snapshot_arguments = arguments("x", false, false);
    let extended = "<name>x</name><memory>false</memory>";
    let removal = "<removeChildren>false</removeChildren>";
    let calls: [(&str, &str, &str, &str); 9] = [
        ("CreateSnapshot_Task", &of_vm, &snapshot_arguments, "VirtualMachine.State.CreateSnapshot"),
        ("CreateSnapshotEx_Task", &of_vm, extended, "VirtualMachine.State.CreateSnapshot"),
        ("ConsolidateVMDisks_Task", &of_vm, "", "VirtualMachine.State.RemoveSnapshot"),
        ("RevertToSnapshot_Task", &of_snapshot, "", "VirtualMachine.State.RevertToSnapshot"),
        ("RevertToCurrentSnapshot_Task", &of_vm, "", "VirtualMachine.State.RevertToSnapshot"),
        ("PowerOnVM_Task", &of_vm, "", "VirtualMachine.Interact.PowerOn"),
        ("PowerOffVM_Task", &of_vm, "", "VirtualMachine.Interact.PowerOff"),
        ("RemoveSnapshot_Task", &of_snapshot, removal, "VirtualMachine.State.RemoveSnapshot"),
        ("RemoveAllSnapshots_Task", &of_vm, "", "VirtualMachine.State.RemoveSnapshot"),
    ];
    let privileges: Vec<&str> = calls.iter().map(|(_, _, _, privilege)| *privilege).collect();
    for (method, this, arguments, privilege) in calls {
        let others: Vec<&str> = privileges.iter().copied().filter(|other| *other != privilege).collect();
        vcenter.set_user(User::read_only("worker", "secret").with_privileges(&others));
        let mut worker = Client::new(vcenter);
        assert_eq!(worker.login("worker", "secret").await.status, 200);
        let answer = worker.call(method, this, arguments).await;
        assert_eq!(answer.fault(), Some("NoPermission"), "{method}: {}", answer.body);
        assert_eq!(
            (answer.first("privilegeId"), answer.first("object")),
            (Some(privilege), Some(vm.as_str()))
        );
        // With it, but on a VM that is out of sight.
        let mut elsewhere = User::administrator("worker", "secret");
        elsewhere.scope = Some(vec![plain_vms(vcenter).pop().unwrap()]);
        vcenter.set_user(elsewhere);
        assert_eq!(worker.call(method, this, arguments).await.fault(), Some("NoPermission"), "{method}");
        // With it alone it works; a method may be called on what a former one has changed.
        vcenter.set_user(User::read_only("worker", "secret").with_privileges(&[privilege]));
        let task = task(&worker.call(method, this, arguments).await);
        ended(&worker, &task).await;
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn what_the_wsdl_does_not_allow_is_refused() {
    let (simulator, client) = start(quick(10)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = plain_vms(vcenter)[0].clone();
    let of_vm = of_vm(&vm);
    for (method, this, arguments, fault) in [
        // Out of order, missing, of a wrong type, or on the wrong object.
        (
            "CreateSnapshot_Task",
            of_vm.as_str(),
            "<memory>false</memory><name>x</name><quiesce>false</quiesce>",
            "InvalidRequest",
        ),
        ("CreateSnapshot_Task", &of_vm, "<name>x</name><memory>false</memory>", "InvalidRequest"),
        (
            "CreateSnapshot_Task",
            &of_vm,
            "<name>x</name><memory>no</memory><quiesce>false</quiesce>",
            "InvalidRequest",
        ),
        (
            "CreateSnapshotEx_Task",
            &of_vm,
            "<name>x</name><memory>false</memory><quiesce>true</quiesce>",
            "InvalidRequest",
        ),
        (
            "CreateSnapshotEx_Task",
            &of_vm,
            "<name>x</name><memory>false</memory><quiesceSpec><timeout>1</timeout></quiesceSpec>",
            "InvalidArgument",
        ),
        (
            "CreateSnapshot_Task",
            &of_vm,
            "<name/><memory>false</memory><quiesce>false</quiesce>",
            "InvalidName",
        ),
        ("RemoveSnapshot_Task", &of_vm, "<removeChildren>false</removeChildren>", "InvalidRequest"),
        (
            "RemoveSnapshot_Task",
            "VirtualMachineSnapshot:snapshot-99999",
            "<removeChildren>false</removeChildren>",
            "ManagedObjectNotFound",
        ),
        ("RevertToSnapshot_Task", "VirtualMachineSnapshot:snapshot-99999", "", "ManagedObjectNotFound"),
        ("RevertToSnapshot_Task", "VirtualMachineSnapshot:vm-1", "", "ManagedObjectNotFound"),
        ("PowerOnVM_Task", "VirtualMachine:vm-99999", "", "ManagedObjectNotFound"),
        ("PowerOnVM_Task", &of_vm, "<host type=\"HostSystem\">host-99999</host>", "InvalidArgument"),
        ("CancelTask", "Task:task-99999", "", "ManagedObjectNotFound"),
    ] {
        let answer = client.call(method, this, arguments).await;
        assert_eq!(
            (answer.status, answer.fault()),
            (500, Some(fault)),
            "{method} {arguments}: {}",
            answer.body
        );
    }
    assert!(vcenter.tasks().finished.is_empty() && simulator.effects().is_empty());
    simulator.shutdown().await;
}

#[tokio::test]
async fn what_a_host_refuses_fails_the_task_or_the_call() {
    for at_call in [false, true] {
        let (simulator, client) = start(TaskSetting { faults_at_call: Some(at_call), ..quick(2_000) }).await;
        let vcenter = &simulator.vcenters()[0];
        let vms = plain_vms(vcenter);
        let refused = async |method: &str, vm: &str, arguments: &str| {
            let answer = client.call(method, &of_vm(vm), arguments).await;
            if at_call {
                return (answer.fault().unwrap_or("none").to_owned(), answer.body);
            }
            let task = task(&answer);
            (failed(&client, &task).await, ended(&client, &task).await.body)
        };
        let plain = arguments("x", false, false);
        // 32 levels are the most.
        let mut deep = String::new();
        for level in 0..32 {
            let name = format!("level {level}");
            let mutation =
                Mutation::CreateSnapshot { id: vms[0].clone(), name, memory: false, quiesced: false };
            deep = vcenter.mutate(&mutation).unwrap().unwrap();
        }
        assert_eq!(refused("CreateSnapshot_Task", &vms[0], &plain).await.0, "TooManySnapshotLevels");
        let removal = Mutation::RemoveSnapshot { id: vms[0].clone(), snapshot: deep, children: false };
        vcenter.mutate(&removal).unwrap();
        create(&client, &vms[0], "x").await;
        assert_eq!(refused("PowerOffVM_Task", &vms[0], "").await.0, "TaskInProgress");

        let (fault, told) = refused("PowerOnVM_Task", &vms[1], "").await;
        assert_eq!(fault, "InvalidPowerState");
        let members = "<requestedState>poweredOn</requestedState><existingState>poweredOn</existingState>";
        assert!(told.contains(members), "{told}");
        vcenter
            .mutate(&Mutation::Connection { id: vms[2].clone(), state: "disconnected".to_owned() })
            .unwrap();
        assert_eq!(refused("CreateSnapshot_Task", &vms[2], &plain).await.0, "InvalidState");
        vcenter.mutate(&Mutation::PowerOff { id: vms[3].clone() }).unwrap();
        vcenter.mutate(&Mutation::Template { id: vms[3].clone(), on: true }).unwrap();
        assert_eq!(refused("CreateSnapshot_Task", &vms[3], &plain).await.0, "NotSupported");
        let home = truth_of(vcenter, &vms[4])["config"]["disks"][0]["datastore"].as_str().unwrap().to_owned();
        let host = truth_of(vcenter, &vms[4])["host"].as_str().unwrap().to_owned();
        let unreachable = Mutation::HostConnection { id: host.clone(), state: "notResponding".to_owned() };
        vcenter.mutate(&unreachable).unwrap();
        assert_eq!(refused("CreateSnapshot_Task", &vms[4], &plain).await.0, "HostNotConnected");
        vcenter.mutate(&Mutation::HostConnection { id: host, state: "connected".to_owned() }).unwrap();

        // Too little space is noticed when the snapshot is made.
        vcenter.mutate(&Mutation::SetTasks { tasks: quick(10) }).unwrap();
        vcenter.mutate(&Mutation::FreeSpace { id: home.clone(), bytes: 1000 }).unwrap();
        let full = create(&client, &vms[4], "x").await;
        assert_eq!(failed(&client, &full).await, "NoDiskSpace");
        simulator.shutdown().await;
    }
}
