//! Logging in and reading the fleet once.

use vmbridge_simulator::{Simulator, SimulatorConfig};

use crate::client::{ALL_TYPES, COLLECTOR, Client, FIELDS, all_props, over_view, props};

#[tokio::test]
async fn reads_a_whole_fleet_in_pages() {
    let mut config = SimulatorConfig::single(100, 7);
    config.vcenters[0].retrieve_page = 30;
    let simulator = Simulator::start(config).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let client = Client::logged_in(vcenter).await;
    let view = client.view(ALL_TYPES).await;
    let spec = format!(
        "<specSet>{}{}{FIELDS}</specSet><options><maxObjects>50</maxObjects></options>",
        all_props(),
        over_view(&view)
    );
    let mut answer = client.call("RetrievePropertiesEx", COLLECTOR, &spec).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut vms = Vec::new();
    let mut pages = 0;
    loop {
        pages += 1;
        let objects = answer.all("objects");
        assert!(objects.len() <= 30);
        for object in objects {
            if object.starts_with("<obj type=\"VirtualMachine\">") {
                vms.push(object.split(['>', '<']).nth(2).unwrap().to_owned());
            }
        }
        let Some(token) = answer.first("token") else { break };
        let token = format!("<token>{token}</token>");
        answer = client.call("ContinueRetrievePropertiesEx", COLLECTOR, &token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(pages > 3);
    assert_eq!(vms, vcenter.vm_ids());
    assert_eq!(vms.len(), 100);
    simulator.shutdown().await;
}

#[tokio::test]
async fn refuses_what_a_vcenter_refuses() {
    let simulator = Simulator::start(SimulatorConfig::single(5, 1)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let mut client = Client::new(vcenter);
    let answer = client.call("CurrentTime", "ServiceInstance", "").await;
    assert_eq!((answer.status, answer.fault()), (500, Some("NotAuthenticated")), "{}", answer.body);
    let answer = client.login(vcenter.username(), "wrong").await;
    assert_eq!((answer.status, answer.fault()), (500, Some("InvalidLogin")));
    let answer = client.login(vcenter.username(), vcenter.password()).await;
    assert_eq!(answer.status, 200);
    let view = client.view(&["VirtualMachine"]).await;
    for (why, method, this, arguments, fault) in [
        ("unknown method", "MakeCoffee", "ServiceInstance:ServiceInstance", String::new(), "InvalidRequest"),
        (
            "missing argument",
            "CreateContainerView",
            "ViewManager:ViewManager",
            "<recursive>true</recursive>".to_owned(),
            "InvalidRequest",
        ),
        (
            "wrong order",
            "RetrievePropertiesEx",
            COLLECTOR,
            format!(
                "<options/><specSet>{}{}</specSet>",
                props("VirtualMachine", &["name"]),
                over_view(&view)
            ),
            "InvalidRequest",
        ),
        (
            "wrong order inside",
            "RetrievePropertiesEx",
            COLLECTOR,
            format!(
                "<specSet>{}{}</specSet><options/>",
                over_view(&view),
                props("VirtualMachine", &["name"])
            ),
            "InvalidRequest",
        ),
        (
            "misspelt path",
            "RetrievePropertiesEx",
            COLLECTOR,
            format!(
                "<specSet>{}{}</specSet><options/>",
                props("VirtualMachine", &["nmae"]),
                over_view(&view)
            ),
            "InvalidProperty",
        ),
        (
            "unknown type",
            "RetrievePropertiesEx",
            COLLECTOR,
            format!(
                "<specSet>{}{}</specSet><options/>",
                props("VirtualToaster", &["name"]),
                over_view(&view)
            ),
            "InvalidType",
        ),
        (
            "unknown view",
            "RetrievePropertiesEx",
            COLLECTOR,
            format!(
                "<specSet>{}{}</specSet><options/>",
                props("VirtualMachine", &["name"]),
                over_view("session[1]2")
            ),
            "ManagedObjectNotFound",
        ),
        (
            "unknown token",
            "ContinueRetrievePropertiesEx",
            COLLECTOR,
            "<token>0</token>".to_owned(),
            "InvalidProperty",
        ),
        (
            "unknown version",
            "WaitForUpdatesEx",
            COLLECTOR,
            "<version>77</version>".to_owned(),
            "InvalidCollectorVersion",
        ),
    ] {
        let answer = client.call(method, this, &arguments).await;
        assert_eq!((answer.status, answer.fault()), (500, Some(fault)), "{why}: {}", answer.body);
    }
    client.version = "9.9.9".to_owned();
    let answer = client.call("CurrentTime", "ServiceInstance", "").await;
    assert_eq!(answer.fault(), Some("InvalidRequest"));
    assert!(answer.body.contains("Unsupported version URI"), "{}", answer.body);
    client.version = "7.0.3.0".to_owned();
    let answer = client.call("Logout", "SessionManager", "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let answer = client.call("CurrentTime", "ServiceInstance", "").await;
    assert_eq!(answer.fault(), Some("NotAuthenticated"));
    let counts = vcenter.sessions();
    assert_eq!((counts.open, counts.opened, counts.logged_out, counts.refused), (0, 1, 1, 1));
    assert_eq!(vcenter.calls().calls["Login"], 2);
    simulator.shutdown().await;
}
