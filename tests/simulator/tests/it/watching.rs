//! Following changes.

use vmbridge_simulator::{Mutation, Simulator, SimulatorConfig};

use crate::client::{ALL_TYPES, Answer, COLLECTOR, Client, FIELDS, all_props, over_view};

/// Creates the fleet's filter and reads the initial state; returns the number of objects and the version.
async fn watch(client: &Client) -> (usize, String) {
    let view = client.view(ALL_TYPES).await;
    let spec = format!(
        "<spec>{}{}{FIELDS}</spec><partialUpdates>false</partialUpdates>",
        all_props(),
        over_view(&view)
    );
    let answer = client.call("CreateFilter", COLLECTOR, &spec).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut version = String::new();
    let mut objects = 0;
    loop {
        let answer = wait(client, &version, 5).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.all("objectSet").len() <= 20);
        objects += answer.all("objectSet").len();
        version = answer.first("version").unwrap().to_owned();
        if answer.first("truncated") != Some("true") {
            return (objects, version);
        }
    }
}

async fn wait(client: &Client, version: &str, seconds: u32) -> Answer {
    let arguments =
        format!("<version>{version}</version><options><maxWaitSeconds>{seconds}</maxWaitSeconds></options>");
    client.call("WaitForUpdatesEx", COLLECTOR, &arguments).await
}

#[tokio::test]
async fn follows_changes_and_forgets_nothing() {
    let mut config = SimulatorConfig::single(60, 3);
    config.vcenters[0].update_page = 20;
    let simulator = Simulator::start(config).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let client = Client::logged_in(vcenter).await;
    let (objects, version) = watch(&client).await;
    assert!(objects > 60, "{objects}");

    let quiet = wait(&client, &version, 0).await;
    assert!(!quiet.body.contains("returnval"), "{}", quiet.body);

    let vm = vcenter.vm_ids()[10].clone();
    let pending = {
        let (client, version) = (client.clone(), version.clone());
        tokio::spawn(async move { wait(&client, &version, 30).await })
    };
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    vcenter.mutate(&Mutation::Rename { id: vm.clone(), name: "50% off / sale".to_owned() }).unwrap();
    let answer = pending.await.unwrap();
    assert_eq!(answer.first("kind"), Some("modify"), "{}", answer.body);
    assert!(answer.body.contains("50%25 off %2f sale"), "{}", answer.body);
    let next = answer.first("version").unwrap().to_owned();

    // An answer that was lost: the old version still works, and tells the same again.
    let again = wait(&client, &version, 5).await;
    assert!(again.body.contains("50%25 off %2f sale"), "{}", again.body);

    let copy = vcenter
        .mutate(&Mutation::Clone { id: vm.clone(), name: "copy".to_owned(), same_identity: true })
        .unwrap();
    vcenter.mutate(&Mutation::Remove { id: vm.clone() }).unwrap();
    let answer = wait(&client, &next, 5).await;
    let kinds = answer.all("kind");
    assert!(kinds.contains(&"enter") && kinds.contains(&"leave"), "{}", answer.body);
    assert!(answer.body.contains(&copy.unwrap()));
    simulator.shutdown().await;
}

#[tokio::test]
async fn waits_end_when_cancelled_and_when_the_session_ends() {
    let simulator = Simulator::start(SimulatorConfig::single(5, 3)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let client = Client::logged_in(vcenter).await;
    let (_, version) = watch_small(&client).await;
    for (end, fault) in [("cancel", "RequestCanceled"), ("terminate", "NotAuthenticated")] {
        let pending = {
            let (client, version) = (client.clone(), version.clone());
            tokio::spawn(async move { wait(&client, &version, 30).await })
        };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if end == "cancel" {
            client.call("CancelWaitForUpdates", COLLECTOR, "").await;
        } else {
            assert_eq!(vcenter.terminate_sessions(), 1);
        }
        let answer = pending.await.unwrap();
        assert_eq!((answer.status, answer.fault()), (500, Some(fault)), "{}", answer.body);
    }
    simulator.shutdown().await;
}

async fn watch_small(client: &Client) -> (usize, String) {
    let view = client.view(&["VirtualMachine"]).await;
    let spec = format!(
        "<spec>{}{}</spec><partialUpdates>false</partialUpdates>",
        crate::client::props("VirtualMachine", &["name"]),
        over_view(&view)
    );
    assert_eq!(client.call("CreateFilter", COLLECTOR, &spec).await.status, 200);
    let answer = wait(client, "", 5).await;
    (answer.all("objectSet").len(), answer.first("version").unwrap().to_owned())
}
