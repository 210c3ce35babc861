//! The AWS of our simulator, judged by boto3, by botocore's service models and by moto.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use vmbridge_e2e::program::binary;
use vmbridge_e2e::repository;

/// Runs a referee and returns what it printed.
async fn referee(script: &str, arguments: &[&str]) -> String {
    let root = repository().unwrap();
    let interpreter = root.join(".venv/bin/python");
    assert!(interpreter.exists(), "{} does not exist: run scripts/setup test", interpreter.display());
    let mut command = Command::new(interpreter);
    command.arg(root.join("tests/referees").join(script)).args(arguments).kill_on_drop(true);
    // Whatever the environment says of AWS is about another one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_CONFIG_FILE", "/dev/null");
    let output = tokio::time::timeout(Duration::from_secs(300), command.output()).await;
    let output = output.expect("it ends").unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script} ended with {}:\n{stdout}\n{stderr}", output.status);
    stdout
}

#[tokio::test]
async fn boto3_finds_nothing_wrong_with_the_simulator() {
    let folder = tempfile::tempdir().unwrap();
    let mut simulator = Command::new(binary("vmbridge-simulator").unwrap())
        .arg("--dir")
        .arg(folder.path())
        .args(["--vms", "300", "--aws-nodes", "60", "--aws-accounts", "2"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let endpoints = folder.path().join("endpoints.json");
    for _ in 0..600 {
        if endpoints.exists() {
            break;
        }
        assert!(simulator.try_wait().unwrap().is_none(), "the simulator ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let told = referee("aws_conformance.py", &["--endpoints", &endpoints.to_string_lossy()]).await;
    let checks: u32 = told.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap();
    assert!(checks > 5000, "{told}");
}

#[tokio::test]
async fn the_service_models_are_those_of_botocore() {
    referee("aws_models.py", &["--check"]).await;
}
