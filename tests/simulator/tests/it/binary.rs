//! The program: what it writes, that it can be used, and that it leaves nothing behind.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::client::http;
use crate::json::Answer;

/// A running program with a folder of its own. Killed when the test fails.
struct Program {
    folder: TempDir,
    child: Child,
    endpoints: Value,
}

impl Program {
    fn spawn(folder: &Path, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_vmbridge-simulator"))
            .arg("--dir")
            .arg(folder)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap()
    }

    async fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let child = Self::spawn(folder.path(), arguments);
        let mut program = Self { folder, child, endpoints: Value::Null };
        let begin = Instant::now();
        let text = loop {
            if let Ok(text) = std::fs::read_to_string(program.path("endpoints.json")) {
                break text;
            }
            assert!(program.child.try_wait().unwrap().is_none(), "the program ended");
            assert!(begin.elapsed() < Duration::from_secs(60), "it did not start");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        // Written at once, so that it is never half there.
        program.endpoints = serde_json::from_str(&text).unwrap();
        program
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn http(&self) -> reqwest::Client {
        http(&std::fs::read_to_string(self.path("ca.pem")).unwrap())
    }

    async fn control(&self, path: &str) -> Value {
        let url = format!("{}{path}", self.endpoints["controlUrl"].as_str().unwrap());
        let answer = Answer::of(self.http().get(url)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    /// Sends a signal and waits for the end.
    async fn stop(&mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "it did not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_writes_what_programs_need_and_removes_it_again() {
    let mut program = Program::start(&[
        "--vcenters",
        "2",
        "--vms",
        "12",
        "--sddcs",
        "1",
        "--seed",
        "7",
        "--version",
        "7.0",
    ])
    .await;
    let mode = |name: &str| std::fs::metadata(program.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["endpoints.json", "password", "token"].map(mode), [0o600; 3]);
    let endpoints = &program.endpoints;
    assert_eq!(endpoints["pid"], program.child.id());
    let read = |name: &str| std::fs::read_to_string(program.path(name)).unwrap();

    // Everything in it is true: the names, the logins, the secrets.
    let sddc = &endpoints["vmc"]["sddcs"][0]["vcenter"];
    let all = [&endpoints["vcenters"][0], &endpoints["vcenters"][1], sddc];
    assert_eq!(all.map(|v| v["name"].as_str().unwrap()), ["dc1", "dc2", "sddc1"]);
    assert_eq!(sddc["username"], "cloudadmin@vmc.local");
    for vcenter in all {
        let text = |key: &str| vcenter[key].as_str().unwrap();
        let request = program.http().post(format!("{}/api/session", text("url")));
        let answer = Answer::of(request.basic_auth(text("username"), Some(text("password")))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(read("password"), text("password"));
        assert_eq!(text("thumbprint").len(), 95);
        let truth = program.control(&format!("/truth/{}", text("name"))).await;
        assert_eq!(
            (truth["vms"].as_array().unwrap().len(), &truth["instanceUuid"]),
            (12, &vcenter["instanceUuid"])
        );
    }
    let vmc = &endpoints["vmc"];
    assert_eq!(vmc["orgId"], "5f1c6f3e-8a52-4c8e-9d5b-0c8f7b6a1e01");
    let url = format!("{}/csp/gateway/am/api/auth/api-tokens/authorize", vmc["url"].as_str().unwrap());
    let form = [("grant_type", "refresh_token".to_owned()), ("refresh_token", read("token"))];
    assert_eq!(Answer::of(program.http().post(url).form(&form)).await.status, 200);

    // A shell reads the environment; every variable is there, and the paths are absolute.
    let script = format!(". '{}'; env", program.path("demo.env").display());
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(shell.stdout).unwrap();
    let set: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("VMBRIDGE_")?.split_once('='))
        .filter(|(name, _)| name.starts_with("VCENTER__") || name.starts_with("VMC__"))
        .collect();
    let folder = program.folder.path().canonicalize().unwrap();
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let url = |entry: &Value| entry["url"].as_str().unwrap().to_owned();
    let wanted = [
        ("VCENTER__DC1__URL", url(all[0])),
        ("VCENTER__DC1__CA_FILE", file("ca.pem")),
        ("VCENTER__DC1__PASSWORD__FILE", file("password")),
        ("VCENTER__DC2__URL", url(all[1])),
        ("VCENTER__DC2__CA_FILE", file("ca.pem")),
        ("VCENTER__DC2__PASSWORD__FILE", file("password")),
        ("VMC__CLOUD__CSP_URL", url(vmc)),
        ("VMC__CLOUD__VMC_URL", url(vmc)),
        ("VMC__CLOUD__CA_FILE", file("ca.pem")),
        ("VMC__CLOUD__REFRESH_TOKEN__FILE", file("token")),
        ("VMC__CLOUD__VCENTER__CA_FILE", file("ca.pem")),
    ];
    assert_eq!(set, wanted.iter().map(|(name, value)| (*name, value.as_str())).collect());

    assert!(program.stop("-TERM").await.success());
    assert_eq!(program.left(), Vec::<String>::new());
}

#[tokio::test]
async fn the_same_seed_is_the_same_estate_and_colliding_ones_are_clones() {
    let mut estates = Vec::new();
    for arguments in [
        &["--vcenters", "2", "--vms", "8", "--seed", "3"][..],
        &["--vcenters", "2", "--vms", "8", "--seed", "3"],
        &["--vcenters", "2", "--vms", "8", "--seed", "3", "--colliding"],
    ] {
        let mut program = Program::start(arguments).await;
        estates.push([program.control("/truth/dc1").await, program.control("/truth/dc2").await]);
        assert!(program.stop("-INT").await.success());
        assert_eq!(program.left(), Vec::<String>::new());
    }
    assert_eq!(estates[0], estates[1]);
    let ids = |truth: &Value, key: &str| -> Vec<Value> {
        truth["vms"].as_array().unwrap().iter().map(|vm| vm["config"][key].clone()).collect()
    };
    let [one, other] = &estates[0];
    assert_ne!(ids(one, "instanceUuid"), ids(other, "instanceUuid"));
    let [one, other] = &estates[2];
    assert_eq!(one["vms"], other["vms"]);
    assert_ne!(one["instanceUuid"], other["instanceUuid"]);
}

#[tokio::test]
async fn churn_changes_things_and_none_changes_nothing() {
    let mut still = Program::start(&["--vms", "10"]).await;
    let mut busy = Program::start(&["--vms", "10", "--churn", "1"]).await;
    let before = [still.control("/truth/dc1").await, busy.control("/truth/dc1").await];
    let begin = Instant::now();
    while busy.control("/truth/dc1").await == before[1] {
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing changed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(still.control("/truth/dc1").await, before[0]);
    assert_eq!(still.control("/stats").await["vmc"], json!(null));
    assert!(still.stop("-TERM").await.success() && busy.stop("-TERM").await.success());
}

#[tokio::test]
async fn a_taken_port_is_a_failure_with_a_reason() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vmbridge-simulator"))
        .args(["--vms", "1", "--port-base", &port, "--dir"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&format!("listening on 127.0.0.1:{port}")), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn aws_is_started_when_nodes_are_asked_for() {
    let mut program = Program::start(&["--vms", "40", "--aws-nodes", "70", "--aws-accounts", "2"]).await;
    let aws = program.endpoints["aws"].clone();
    let accounts = aws["accounts"].as_array().unwrap();
    assert_eq!((accounts.len(), &accounts[1]["id"]), (2, &json!("111122220002")));
    assert_eq!(accounts[1]["roleArn"], "arn:aws:iam::111122220002:role/vmbridge");
    let script = format!(". '{}'; env", program.path("demo.env").display());
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(shell.stdout).unwrap();
    let folder = program.folder.path().canonicalize().unwrap();
    for line in [
        format!("VMBRIDGE_AWS__MAIN__ENDPOINT={}", aws["url"].as_str().unwrap()),
        format!("VMBRIDGE_AWS__MAIN__CA_FILE={}", folder.join("ca.pem").display()),
        format!("AWS_ACCESS_KEY_ID={}", accounts[0]["accessKeyId"].as_str().unwrap()),
        format!("AWS_SECRET_ACCESS_KEY={}", accounts[0]["secretAccessKey"].as_str().unwrap()),
        "AWS_EC2_METADATA_DISABLED=true".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    // There is a secret in it.
    let mode = std::fs::metadata(program.path("demo.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let control = program.endpoints["controlUrl"].as_str().unwrap();
    let truth = Answer::of(program.http().get(format!("{control}/aws/truth"))).await.json();
    for account in truth["accounts"].as_array().unwrap() {
        assert!(!account["regions"][0]["nodes"].as_array().unwrap().is_empty());
    }
    assert!(program.stop("-TERM").await.success());
    assert_eq!(program.left(), Vec::<String>::new());
}
