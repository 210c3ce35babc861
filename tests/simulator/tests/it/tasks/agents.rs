//! What power and reverts do to guests and to the agents in them.

use vmbridge_simulator::{Aws, AwsConfig, AwsMutation, GuestRegistration, GuestSetting, TaskSetting};

use super::*;

/// Waits until a node is told to be so.
async fn status(aws: &Aws, node: &str, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let account = &aws.accounts()[0];
        let nodes = aws.nodes(&account.id, &account.regions[0]);
        let told = nodes.into_iter().find(|known| known.instance_id == node).unwrap();
        if told.ping_status == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{told:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A VM on a vCenter with quick tasks, and a client.
async fn world(setting: TaskSetting) -> (Simulator, Client, String) {
    let mut config = SimulatorConfig::single(40, 3);
    config.aws = Some(AwsConfig::default());
    let simulator = Simulator::start(config).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    vcenter.mutate(&Mutation::SetTasks { tasks: setting }).unwrap();
    let client = Client::logged_in(vcenter).await;
    let vm = plain_vms(vcenter)[0].clone();
    (simulator, client, vm)
}

#[tokio::test]
async fn an_agent_goes_away_with_a_revert_and_comes_back_with_power_unless_it_is_stale() {
    for stale in [false, true] {
        let setting = TaskSetting { stale_after_revert: Some(stale), ..quick(10) };
        let (simulator, client, vm) = world(setting).await;
        let (vcenter, aws) = (&simulator.vcenters()[0], simulator.aws().unwrap());
        let node = aws.mutate(&AwsMutation::node_of(vcenter.name(), &vm)).unwrap().unwrap();
        let version = |version: &str| {
            let guest = GuestSetting { agent: Some(version.to_owned()), ..GuestSetting::default() };
            vcenter.mutate(&Mutation::SetGuest { id: vm.clone(), guest }).unwrap();
        };
        version("1.0");
        let made = snapshot(&client, &vm, "before").await;
        version("2.0");
        status(aws, &node, "Online").await;
        succeeded(&client, &task_of(&client, "PowerOffVM_Task", &of_vm(&vm), "").await).await;
        status(aws, &node, "ConnectionLost").await;
        succeeded(&client, &task_of(&client, "PowerOnVM_Task", &of_vm(&vm), "").await).await;
        status(aws, &node, "Online").await;
        let this = format!("VirtualMachineSnapshot:{made}");
        succeeded(&client, &task_of(&client, "RevertToSnapshot_Task", &this, "").await).await;
        status(aws, &node, "ConnectionLost").await;
        let guest = vcenter.guests().into_iter().find(|guest| guest.vm == vm).unwrap();
        assert_eq!(guest.agent.as_deref(), Some("1.0"), "what is on its disks is of that time");
        succeeded(&client, &task_of(&client, "PowerOnVM_Task", &of_vm(&vm), "").await).await;
        if stale {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(vcenter.tasks().stale, [vm.as_str()]);
        }
        status(aws, &node, if stale { "ConnectionLost" } else { "Online" }).await;
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn a_registration_that_was_reverted_away_does_not_come_back() {
    let (simulator, client, vm) = world(quick(10)).await;
    let (vcenter, aws) = (&simulator.vcenters()[0], simulator.aws().unwrap());
    let register = || {
        let node = aws.mutate(&AwsMutation::node_of(vcenter.name(), &vm)).unwrap().unwrap();
        let registered = GuestRegistration { node: node.clone(), region: "eu-central-1".to_owned() };
        let guest = GuestSetting { registered: Some(registered), ..GuestSetting::default() };
        vcenter.mutate(&Mutation::SetGuest { id: vm.clone(), guest }).unwrap();
        node
    };
    let old = register();
    let made = snapshot(&client, &vm, "between").await;
    let new = register();
    let this = format!("VirtualMachineSnapshot:{made}");
    succeeded(&client, &task_of(&client, "RevertToSnapshot_Task", &this, "").await).await;
    status(aws, &old, "ConnectionLost").await;
    succeeded(&client, &task_of(&client, "PowerOnVM_Task", &of_vm(&vm), "").await).await;
    status(aws, &old, "Online").await;
    status(aws, &new, "ConnectionLost").await;
    let guest = vcenter.guests().into_iter().find(|guest| guest.vm == vm).unwrap();
    assert_eq!(guest.registered.unwrap().node, old);
    simulator.shutdown().await;
}
