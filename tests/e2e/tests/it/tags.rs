//! Tag sync with the real binary, against AWS as the simulator plays it.

use secrecy::ExposeSecret as _;
use serde_json::Value;
use vmbridge_e2e::estate::Estate;
use vmbridge_simulator::{AwsConfig, Simulator, SimulatorConfig};

async fn world(mode: &str) -> (Simulator, Estate) {
    let config =
        SimulatorConfig { aws: Some(AwsConfig::with_nodes(80, 1)), ..SimulatorConfig::single(60, 1) };
    let simulator = Simulator::start(config).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    let aws = simulator.aws().unwrap();
    let ca = estate.secret("aws-ca.pem", aws.ca_pem()).unwrap();
    estate.add(&format!(
        "[[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\nca_file = \"{}\"\nsettle = \"2s\"\n\n\
         [tags]\nmode = \"{mode}\"\n\n[state]\ndirectory = \"state\"\n",
        aws.url(),
        ca.display()
    ));
    (simulator, estate)
}

async fn ran(simulator: &Simulator, estate: &Estate, arguments: &[&str]) -> (Option<i32>, String) {
    let account = simulator.aws().unwrap().accounts()[0].clone();
    let ended = estate
        .vmbridge(arguments)
        .unwrap()
        .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", account.secret_access_key.expose_secret())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .run()
        .await
        .unwrap();
    assert!(ended.code != Some(2), "{}", ended.stderr);
    (ended.code, ended.stdout)
}

#[tokio::test]
async fn a_plan_changes_nothing_and_a_sync_does_what_the_plan_said() {
    let (simulator, estate) = world("enforce").await;
    let (code, plan) = ran(&simulator, &estate, &["plan", "--json"]).await;
    assert_eq!(code, Some(1));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    let actions = plan["actions"].as_array().unwrap().len();
    assert!(actions > 10, "{plan:#}");
    assert!(simulator.effects().is_empty());
    let _ = ran(&simulator, &estate, &["sync"]).await;
    let effects = simulator.effects();
    assert_eq!(effects.len(), actions, "one call for each node");
    assert!(effects.iter().all(|effect| effect.effective && effect.operation.ends_with("AddTagsToResource")));
    let (code, again) = ran(&simulator, &estate, &["plan", "--json"]).await;
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((code, again["actions"].as_array().unwrap().len()), (Some(0), 0), "{again:#}");
    let (_, journal) = ran(&simulator, &estate, &["audit", "--json", "--outcome", "done"]).await;
    assert_eq!(journal.lines().count(), actions);
    assert!(simulator.aws().unwrap().mistakes().is_empty());
}

#[tokio::test]
async fn what_is_only_observed_is_not_done() {
    let (simulator, estate) = world("observe").await;
    let (code, _) = ran(&simulator, &estate, &["sync"]).await;
    assert_eq!((code, simulator.effects().len()), (Some(1), 0));
}

#[tokio::test]
async fn the_journal_can_be_followed() {
    let (simulator, estate) = world("enforce").await;
    let following = ["audit", "--follow", "--json", "--since", "1h", "--outcome", "done"];
    // It waits for the database, which the first sync makes.
    let mut running = estate.vmbridge(&following).unwrap().start().unwrap();
    let _ = ran(&simulator, &estate, &["sync"]).await;
    let done = simulator.effects().len();
    assert!(done > 10);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..done {
        let line = running.line(std::time::Duration::from_secs(20)).await.unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(entry["outcome"], "done");
        assert!(seen.insert(entry["id"].as_i64().unwrap()), "told twice: {line}");
    }
    running.signal("INT").await.unwrap();
    let ended = running.ended().await.unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
}
