//! What power and reverts do to guests and to the agents in them.

use vmbridge_simulator::{AwsConfig, AwsMutation, GuestSetting, TaskSetting};

use super::*;

#[tokio::test]
async fn an_agent_goes_away_with_a_revert_and_comes_back_with_power_unless_it_is_stale() {
    for stale in [false, true] {
        let mut config = SimulatorConfig::single(40, 3);
        config.aws = Some(AwsConfig::default());
        let simulator = Simulator::start(config).await.unwrap();
        let vcenter = &simulator.vcenters()[0];
        let setting = TaskSetting { stale_after_revert: Some(stale), ..quick(10) };
        vcenter.mutate(&Mutation::SetTasks { tasks: setting }).unwrap();
        let client = Client::logged_in(vcenter).await;
        let vm = plain_vms(vcenter)[0].clone();
        let aws = simulator.aws().unwrap();
        let node = aws.mutate(&AwsMutation::node_of(vcenter.name(), &vm)).unwrap().unwrap();
        let status = async |wanted: &str| {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let truth = aws.truth().to_string();
                let told = truth.split(&format!("\"instanceId\":\"{node}\"")).nth(1).unwrap();
                if told.split("\"pingStatus\":\"").nth(1).unwrap().starts_with(wanted) {
                    return;
                }
                assert!(Instant::now() < deadline, "{told}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let setting =
            |version: &str| GuestSetting { agent: Some(version.to_owned()), ..GuestSetting::default() };
        vcenter.mutate(&Mutation::SetGuest { id: vm.clone(), guest: setting("1.0") }).unwrap();
        let made = snapshot(&client, &vm, "before").await;
        vcenter.mutate(&Mutation::SetGuest { id: vm.clone(), guest: setting("2.0") }).unwrap();
        status("Online").await;
        succeeded(&client, &task_of(&client, "PowerOffVM_Task", &of_vm(&vm), "").await).await;
        status("ConnectionLost").await;
        succeeded(&client, &task_of(&client, "PowerOnVM_Task", &of_vm(&vm), "").await).await;
        status("Online").await;
        let this = format!("VirtualMachineSnapshot:{made}");
        succeeded(&client, &task_of(&client, "RevertToSnapshot_Task", &this, "").await).await;
        status("ConnectionLost").await;
        let guest = vcenter.guests().into_iter().find(|guest| guest.vm == vm).unwrap();
        assert_eq!(guest.agent.as_deref(), Some("1.0"), "what is on its disks is of that time");
        succeeded(&client, &task_of(&client, "PowerOnVM_Task", &of_vm(&vm), "").await).await;
        if stale {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(vcenter.tasks().stale, [vm.as_str()]);
        }
        status(if stale { "ConnectionLost" } else { "Online" }).await;
        simulator.shutdown().await;
    }
}
