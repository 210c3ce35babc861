//! What `vmbridge check` finds, and that it names the remedy.

use serde_json::Value;
use vmbridge_e2e::estate::{Entry, Estate};
use vmbridge_e2e::program::Ended;
use vmbridge_simulator::{AwsConfig, FaultEffect, FaultRule, Simulator, SimulatorConfig, User};

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

/// A vCenter, and AWS with nodes; `target` is what the `[[aws]]` entry says beyond what it has to.
async fn with_aws(target: &str) -> (Simulator, Estate) {
    let config =
        SimulatorConfig { aws: Some(AwsConfig::with_nodes(80, 1)), ..SimulatorConfig::single(10, 1) };
    let simulator = Simulator::start(config).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    let aws = simulator.aws().unwrap();
    let ca = estate.secret("aws-ca.pem", aws.ca_pem()).unwrap();
    estate.add(&format!(
        "[[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\nca_file = \"{}\"\n{target}\n\n\
         [state]\ndirectory = \"state\"\n",
        aws.url(),
        ca.display()
    ));
    (simulator, estate)
}

/// Checks, with these credentials.
async fn check_aws(estate: &Estate, key: Option<(&str, &str)>) -> (Ended, Value) {
    let mut program = estate.vmbridge(&["check", "--json"]).unwrap().env("AWS_EC2_METADATA_DISABLED", "true");
    if let Some((id, secret)) = key {
        program = program.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
    }
    let ended = program.run().await.unwrap();
    let report = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, report)
}

fn row_of(report: &Value, kind: &str, check: &str) -> Value {
    let source = report["sources"].as_array().unwrap().iter().find(|source| source["kind"] == kind).unwrap();
    let rows = source["checks"].as_array().unwrap();
    rows.iter().find(|row| row["check"] == check).unwrap_or_else(|| panic!("{check}: {report:#}")).clone()
}

#[tokio::test]
async fn a_target_in_aws_is_checked_as_far_as_reading_shows() {
    let (simulator, estate) = with_aws("account = \"111122220001\"").await;
    let account = simulator.aws().unwrap().accounts()[0].clone();
    let key = Some((account.access_key_id.as_str(), account.secret()));
    let (ended, report) = check_aws(&estate, key).await;
    assert_eq!(ended.code, Some(0), "{report:#}");
    for check in [
        "credentials",
        "identity",
        "clock",
        "permission ssm:DescribeInstanceInformation",
        "permission ssm:DescribeActivations",
        "permission tag:GetResources",
        "permission ssm:ListTagsForResource",
    ] {
        assert_eq!(row_of(&report, "aws", check)["outcome"], "pass", "{report:#}");
    }
    assert!(row_of(&report, "aws", "identity").to_string().contains("111122220001"));
    for check in ["directory", "lock", "database"] {
        assert_eq!(row_of(&report, "state", check)["outcome"], "pass", "{report:#}");
    }
    assert!(!estate.folder().join("state").exists(), "a check makes nothing");
    assert!(simulator.effects().is_empty());
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(account.secret()));
}

#[tokio::test]
async fn what_is_wrong_with_a_target_in_aws_is_said_with_the_remedy() {
    let (simulator, estate) = with_aws("").await;
    let aws = simulator.aws().unwrap();
    let account = aws.accounts()[0].clone();
    let good = Some((account.access_key_id.as_str(), account.secret()));
    let says = |report: &Value, check: &str, detail: &str, fix: &str| {
        let row = row_of(report, "aws", check);
        assert_eq!(row["outcome"], "fail", "{report:#}");
        assert!(row["detail"].as_str().unwrap().contains(detail), "{row:#}");
        assert!(row["fix"].as_str().unwrap().contains(fix), "{row:#}");
    };

    let (ended, report) = check_aws(&estate, None).await;
    assert_eq!(ended.code, Some(1));
    says(&report, "credentials", "", "AWS_ACCESS_KEY_ID");
    assert_eq!(row_of(&report, "aws", "permission")["outcome"], "not_run");

    let (_, report) = check_aws(&estate, Some((account.access_key_id.as_str(), "wrong"))).await;
    says(&report, "identity", "", "replace it");

    let observe: Value = serde_json::json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Action": ["ssm:DescribeInstanceInformation", "tag:GetResources"], "Resource": "*" } });
    aws.set_policy(&account.user_arn(), Some(&observe)).unwrap();
    let (ended, report) = check_aws(&estate, good).await;
    assert_eq!(ended.code, Some(1));
    says(&report, "permission ssm:DescribeActivations", "not authorized", "ssm:DescribeActivations");
    says(&report, "permission ssm:ListTagsForResource", "not authorized", "ssm:ListTagsForResource");
    assert_eq!(row_of(&report, "aws", "permission tag:GetResources")["outcome"], "pass");
    aws.set_policy(&account.user_arn(), None).unwrap();

    simulator.add_faults([FaultRule::once(
        "sts:GetCallerIdentity",
        FaultEffect::AwsError {
            code: "SignatureDoesNotMatch".to_owned(),
            status: 403,
            message: "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z".to_owned(),
        },
    )]);
    let (_, report) = check_aws(&estate, good).await;
    says(&report, "clock", "Signature expired", "NTP");

    let (simulator, estate) = with_aws("account = \"999999999999\"").await;
    let account = simulator.aws().unwrap().accounts()[0].clone();
    let (_, report) = check_aws(&estate, Some((account.access_key_id.as_str(), account.secret()))).await;
    says(&report, "identity", "and not 999999999999", "`account`");
}
