//! What `vmbridge check` finds, and that it names the remedy.

use serde_json::Value;
use vmbridge_e2e::estate::{Entry, Estate};
use vmbridge_e2e::program::Ended;
use vmbridge_simulator::{Simulator, SimulatorConfig, User};

async fn check(estate: &Estate) -> (Ended, Value) {
    let ended = estate.vmbridge(&["check", "--json"]).unwrap().run().await.unwrap();
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, report)
}

/// The row of a check of the last source.
fn row(report: &Value, check: &str) -> Value {
    let source = report["sources"].as_array().unwrap().last().unwrap();
    let rows = source["checks"].as_array().unwrap();
    rows.iter()
        .find(|row| row["check"] == check)
        .unwrap_or_else(|| panic!("no {check} in {report:#}"))
        .clone()
}

#[tokio::test]
async fn a_least_privileged_account_is_enough() {
    let mut config = SimulatorConfig::single(20, 1);
    config.vcenters[0].users = vec![User::read_only("vmbridge@vsphere.local", "pässwörd")];
    let simulator = Simulator::start(config).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    let (ended, report) = check(&estate).await;
    assert_eq!(ended.code, Some(0), "{report:#}");
    assert_eq!(report["ok"], true);
    assert_eq!(row(&report, "tags")["outcome"], "pass", "{report:#}");
    assert_eq!(simulator.vcenters()[0].sessions().open, 0);
    let inventory = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!(inventory.code, Some(0), "{}", inventory.stderr);
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_remedy_and_without_the_password() {
    let simulator = Simulator::start(SimulatorConfig::single(5, 1)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let (url, ca) = (vcenter.url(), vcenter.ca_pem());
    let good = |password, ca_pem, more| Entry {
        name: "dc1",
        url: &url,
        username: vcenter.username(),
        password,
        ca_pem,
        more,
    };
    let wrong_pin = format!("thumbprints = [{:?}]", "AA:".repeat(31) + "AA");
    let cases = [
        (good("wrong-password-7", Some(&ca), ""), "login", "Cannot complete login", "password"),
        (good(vcenter.password(), None, ""), "tls", "is not trusted", "thumbprints"),
        (
            good(vcenter.password(), None, &wrong_pin),
            "tls",
            "it is not one of the configured thumbprints",
            "thumbprints",
        ),
    ];
    for (entry, name, detail, fix) in cases {
        let mut estate = Estate::new().unwrap();
        estate.vcenter(&entry).unwrap();
        let (ended, report) = check(&estate).await;
        assert_eq!(ended.code, Some(1), "{report:#}");
        let found = row(&report, name);
        assert_eq!(found["outcome"], "fail", "{report:#}");
        assert!(found["detail"].as_str().unwrap().contains(detail), "{found:#}");
        assert!(found["fix"].as_str().unwrap().contains(fix), "{found:#}");
        if name == "tls" {
            // What to put into the configuration is there to be copied.
            assert!(found.to_string().contains(&vcenter.thumbprint()), "{found:#}");
        }
        let everything = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!everything.contains(entry.password), "the password is in the output");
    }
    let mut estate = Estate::new().unwrap();
    let pin = format!("thumbprints = [{:?}, {:?}]", "AA:".repeat(31) + "AA", vcenter.thumbprint());
    estate.vcenter(&good(vcenter.password(), None, &pin)).unwrap();
    let (ended, report) = check(&estate).await;
    assert_eq!(ended.code, Some(0), "{report:#}");
}

#[tokio::test]
async fn a_clock_that_is_wrong_and_a_missing_privilege_are_found() {
    let mut config = SimulatorConfig::single(5, 1);
    config.vcenters[0].clock_skew_seconds = 1000;
    let mut user = User::read_only("reader", "secret");
    user.privileges = Some(["System.Anonymous", "System.View"].map(str::to_owned).into());
    user.tagging = false;
    config.vcenters[0].users = vec![user];
    let simulator = Simulator::start(config).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    let (ended, report) = check(&estate).await;
    assert_eq!(ended.code, Some(1));
    assert_eq!(row(&report, "clock")["outcome"], "fail", "{report:#}");
    assert_eq!(row(&report, "privilege discover System.Read")["outcome"], "fail", "{report:#}");
    assert_eq!(row(&report, "tags")["outcome"], "fail", "{report:#}");
}

#[tokio::test]
async fn a_configuration_that_is_wrong_is_refused_before_anything_is_sent() {
    let simulator = Simulator::start(SimulatorConfig::single(5, 1)).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "passwort = \"x\"\nevents = 7").unwrap();
    let ended = estate.vmbridge(&["inventory"]).unwrap().run().await.unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(
        ended.stderr.contains("unknown key `passwort`") && ended.stderr.contains("`password`"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("events"), "every mistake at once: {}", ended.stderr);
    assert_eq!(simulator.vcenters()[0].calls().total, 0);
}
