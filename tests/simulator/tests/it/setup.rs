//! How objects are set up: told by path, with types, and changed by mutations.

use vmbridge_simulator::{Mutation, Simulator, SimulatorConfig};

use crate::client::{COLLECTOR, Client, over_view, props};

async fn read(client: &Client, type_name: &str, paths: &[&str]) -> Vec<String> {
    let view = client.view(&[type_name]).await;
    let spec =
        format!("<specSet>{}{}</specSet><options></options>", props(type_name, paths), over_view(&view));
    let answer = client.call("RetrievePropertiesEx", COLLECTOR, &spec).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.all("objects").into_iter().map(str::to_owned).collect()
}

fn id(object: &str) -> String {
    object.split(['>', '<']).nth(2).unwrap().to_owned()
}

#[tokio::test]
async fn settings_are_told_by_path_and_change() {
    let simulator = Simulator::start(SimulatorConfig::single(40, 7)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let client = Client::logged_in(vcenter).await;
    let hosts =
        read(&client, "HostSystem", &["config.service.service", "config.option", "config.lockdownMode"])
            .await;
    let told = hosts.iter().find(|host| host.contains("HostLockdownMode")).unwrap();
    assert!(told.contains("<val xsi:type=\"HostLockdownMode\">lockdown"), "{told}");
    assert!(told.contains(
        "<OptionValue xsi:type=\"OptionValue\"><key>Security.AccountUnlockTime</key><value xsi:type=\"xsd:int\">"
    ));
    assert!(told.contains(
        "<val xsi:type=\"ArrayOfHostService\"><HostService xsi:type=\"HostService\"><key>DCUI</key>"
    ));

    let host = id(told);
    vcenter.mutate(&Mutation::SetWeak { id: host.clone(), weak: false }).unwrap();
    let (key, value) = ("security.accountUnlockTime".to_owned(), Some("77".to_owned()));
    vcenter.mutate(&Mutation::SetOption { id: host.clone(), key, value }).unwrap();
    let (service, policy) = ("TSM-SSH".to_owned(), Some("automatic".to_owned()));
    let change = Mutation::SetService { id: host.clone(), service, running: Some(true), policy };
    vcenter.mutate(&change).unwrap();
    let hosts =
        read(&client, "HostSystem", &["config.service", "config.option", "config.lockdownMode"]).await;
    let told = hosts.iter().find(|told| id(told) == host).unwrap();
    assert!(
        told.contains("<key>security.accountUnlockTime</key><value xsi:type=\"xsd:int\">77</value>"),
        "{told}"
    );
    assert!(!told.contains("Security.AccountUnlockTime"), "the same setting in other letters");
    assert!(told.contains("<label>SSH</label><required>false</required><uninstallable>false</uninstallable><running>true</running><policy>automatic</policy>"));
    assert!(told.contains("<val xsi:type=\"HostLockdownMode\">lockdownNormal</val>"));

    let groups = read(&client, "DistributedVirtualPortgroup", &["config.defaultPortConfig"]).await;
    let group = id(&groups[0]);
    vcenter.mutate(&Mutation::SetWeak { id: group.clone(), weak: false }).unwrap();
    let change = Mutation::SetPortgroupPolicy {
        id: group.clone(),
        promiscuous: Some(true),
        mac_changes: None,
        forged_transmits: None,
    };
    vcenter.mutate(&change).unwrap();
    let groups = read(&client, "DistributedVirtualPortgroup", &["config.defaultPortConfig"]).await;
    let told = groups.iter().find(|told| id(told) == group).unwrap();
    assert!(told.contains(
        "<securityPolicy><inherited>false</inherited><allowPromiscuous><inherited>false</inherited><value>true</value></allowPromiscuous>\
         <macChanges><inherited>false</inherited><value>false</value></macChanges>"
    ), "{told}");

    let wrong = [
        Mutation::SetService {
            id: host.clone(),
            service: "telnet".into(),
            running: Some(true),
            policy: None,
        },
        Mutation::SetService {
            id: host,
            service: "DCUI".into(),
            running: None,
            policy: Some("sometimes".into()),
        },
        Mutation::SetWeak { id: "network-1".into(), weak: true },
        Mutation::SetOption { id: group, key: "a".into(), value: None },
    ];
    for change in wrong {
        assert!(vcenter.mutate(&change).is_err(), "{change:?}");
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn there_is_no_path_into_what_only_a_derived_type_has() {
    let simulator = Simulator::start(SimulatorConfig::single(10, 7)).await.unwrap();
    let client = Client::logged_in(&simulator.vcenters()[0]).await;
    for (type_name, path) in [
        ("ClusterComputeResource", "configurationEx.dasConfig.enabled"),
        ("DistributedVirtualPortgroup", "config.defaultPortConfig.securityPolicy"),
        ("DistributedVirtualPortgroup", "config.policy.vlanOverrideAllowed"),
        ("HostSystem", "config.option.key"),
        ("VirtualMachine", "config.bootOptions.secureBoot"),
    ] {
        let view = client.view(&[type_name]).await;
        let spec = format!(
            "<specSet>{}{}</specSet><options></options>",
            props(type_name, &[path]),
            over_view(&view)
        );
        let answer = client.call("RetrievePropertiesEx", COLLECTOR, &spec).await;
        assert_eq!(
            (answer.status, answer.fault()),
            (500, Some("InvalidProperty")),
            "{path}: {}",
            answer.body
        );
    }
    simulator.shutdown().await;
}
