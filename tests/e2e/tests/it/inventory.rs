//! What `vmbridge inventory` prints, judged by others.

use serde_json::Value;
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::vcsim::Vcsim;
use vmbridge_e2e::{referee, truth};
use vmbridge_simulator::config::Release;
use vmbridge_simulator::{Simulator, SimulatorConfig, User};

#[tokio::test]
async fn it_is_what_govc_and_pyvmomi_see() {
    let mut estate = Estate::new().unwrap();
    let folder = estate.folder().join("vcsim");
    std::fs::create_dir(&folder).unwrap();
    let vcsim = Vcsim::start(&folder, &["--vms", "300", "--seed", "5"]).await.unwrap();
    estate.vcsim("vcsim", &vcsim).unwrap();
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for name in ["govc", "pyvmomi"] {
        let compared =
            referee::compare(name, &vcsim.endpoints_file(), &ended.stdout, estate.folder()).await.unwrap();
        assert!(compared.contains("equal"), "{compared}");
        let count: usize = compared
            .lines()
            .find_map(|line| line.strip_prefix("compared ")?.split(' ').next()?.parse().ok())
            .unwrap();
        assert!(count >= 310, "{compared}");
    }
}

/// Our simulator is judged too: other people's clients have to understand it, and see in it what vmbridge sees.
#[tokio::test]
async fn govc_and_pyvmomi_see_the_same_in_our_simulator() {
    let simulator = Simulator::start(SimulatorConfig::single(150, 8)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", vcenter, "").unwrap();
    let ca = estate.secret("ca.pem", &vcenter.ca_pem()).unwrap();
    let endpoints = serde_json::json!({
        "url": vcenter.url(), "username": vcenter.username(), "password": vcenter.password(), "caFile": ca,
    });
    let endpoints = estate.secret("endpoints.json", &endpoints.to_string()).unwrap();
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for name in ["govc", "pyvmomi"] {
        let compared = referee::compare(name, &endpoints, &ended.stdout, estate.folder()).await.unwrap();
        assert!(compared.contains("equal"), "{compared}");
    }
}

#[tokio::test]
async fn it_is_the_truth_for_every_release() {
    for (release, seed) in
        [(Release::V6_7, 1), (Release::V7_0U3, 2), (Release::V8_0U3, 3), (Release::V9_0, 4)]
    {
        let mut config = SimulatorConfig::single(700, seed);
        config.vcenters[0].version = release;
        // Pages of an odd size, so that every answer comes in several.
        config.vcenters[0].retrieve_page = 97;
        let simulator = Simulator::start(config).await.unwrap();
        let vcenter = &simulator.vcenters()[0];
        let mut estate = Estate::new().unwrap();
        estate.simulated("dc1", vcenter, "").unwrap();
        let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
        assert_eq!(ended.code, Some(0), "{release:?}: {}", ended.stderr);
        referee::validate("inventory.schema.json", &ended.stdout, false, estate.folder()).await.unwrap();
        let inventory: Value = serde_json::from_str(&ended.stdout).unwrap();
        let differences = truth::differences(&inventory, &[("dc1", vcenter.truth())]);
        assert!(
            differences.is_empty(),
            "{release:?}: {} differences: {:#?}",
            differences.len(),
            &differences[..differences.len().min(20)]
        );
        assert_eq!(vcenter.sessions().open, 0, "{release:?}");
    }
}

#[tokio::test]
async fn it_says_what_may_not_be_read() {
    let mut config = SimulatorConfig::single(50, 1);
    let mut user = User::read_only("reader@vsphere.local", "secret-of-reader");
    user.denied_paths = vec!["config.annotation".to_owned(), "guest.ipAddress".to_owned()];
    config.vcenters[0].users = vec![user];
    let simulator = Simulator::start(config).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let inventory: Value = serde_json::from_str(&ended.stdout).unwrap();
    let vms = inventory["vms"].as_array().unwrap();
    assert_eq!(vms.len(), 50);
    for vm in vms.iter().filter(|vm| vm["connectionState"] == "connected") {
        let unreadable: Vec<_> =
            vm["unreadable"].as_array().unwrap().iter().map(|path| path.as_str().unwrap()).collect();
        assert!(unreadable.contains(&"config.annotation") && unreadable.contains(&"guest.ipAddress"), "{vm}");
        assert!(vm["annotation"].is_null() && vm["guest"]["ipAddress"].is_null());
    }
}

#[tokio::test]
async fn tables_csv_and_selectors_show_the_same_vms() {
    let simulator = Simulator::start(SimulatorConfig::single(200, 9)).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    let run = async |arguments: &[&str]| {
        let ended = estate.vmbridge(&[&["inventory"], arguments].concat()).unwrap().run().await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.stdout
    };
    let json: Value = serde_json::from_str(&run(&["--json"]).await).unwrap();
    let all = json["vms"].as_array().unwrap();
    let table = run(&[]).await;
    assert_eq!(table.lines().count(), 201, "{table}");
    for vm in all {
        let moref = vm["moref"].as_str().unwrap();
        assert!(table.lines().any(|line| line.split_whitespace().nth(1) == Some(moref)), "{moref}");
    }
    let csv = run(&["--csv"]).await;
    assert_eq!(csv.matches("\r\ndc1,").count(), 200, "{csv}");
    let off: Value =
        serde_json::from_str(&run(&["--json", "--selector", "power=off except template=yes"]).await).unwrap();
    let expected: Vec<&Value> = all
        .iter()
        .filter(|vm| vm["powerState"] == "poweredOff" && vm["template"] == false)
        .map(|vm| &vm["moref"])
        .collect();
    let found: Vec<&Value> = off["vms"].as_array().unwrap().iter().map(|vm| &vm["moref"]).collect();
    assert!(!expected.is_empty() && expected.len() < 150);
    assert_eq!(found, expected);
}
