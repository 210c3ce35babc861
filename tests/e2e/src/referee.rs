//! Outside referees: what `govc` and pyVmomi say about the same server.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::repository;
use crate::vcsim::{Vcsim, go_program};

/// Compares an inventory field by field with what a referee (`govc` or `pyvmomi`) reads from the server of `endpoints`.
/// Returns how much was compared.
///
/// # Errors
/// When they differ, or the referee cannot be asked.
pub async fn compare(referee: &str, endpoints: &Path, inventory: &str, folder: &Path) -> Result<String> {
    let theirs =
        python(&[&format!("{referee}_inventory.py"), "--endpoints", &endpoints.to_string_lossy()]).await?;
    let (ours_path, theirs_path) = (folder.join("ours.json"), folder.join(format!("{referee}.json")));
    std::fs::write(&ours_path, inventory)?;
    std::fs::write(&theirs_path, theirs)?;
    python(&["compare.py", &ours_path.to_string_lossy(), &theirs_path.to_string_lossy()]).await
}

/// Validates JSON against a schema of `docs/`, by Python's jsonschema; `lines`: each line is one document.
///
/// # Errors
/// When it is not valid.
pub async fn validate(schema: &str, json: &str, lines: bool, folder: &Path) -> Result<String> {
    let (schema, path) = (repository()?.join("docs").join(schema), folder.join("validate.json"));
    std::fs::write(&path, json)?;
    let mut arguments =
        vec!["validate.py".to_owned(), schema.to_string_lossy().into(), path.to_string_lossy().into()];
    arguments.extend(lines.then(|| "--lines".to_owned()));
    python(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn python(arguments: &[&str]) -> Result<String> {
    let root = repository()?;
    let interpreter = root.join(".venv/bin/python");
    if !interpreter.exists() {
        bail!("{} does not exist: run scripts/setup test", interpreter.display());
    }
    let (script, arguments) = arguments.split_first().context("no script")?;
    let output = Command::new(interpreter)
        .arg(root.join("tests/referees").join(script))
        .args(arguments)
        .env("GOVC", go_program("govc")?)
        .kill_on_drop(true)
        .output()
        .await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    if !output.status.success() {
        bail!("{script} ended with {}:\n{stdout}\n{stderr}", output.status);
    }
    Ok(stdout)
}

/// What VMware's own command line client answers about a vcsim, as JSON.
///
/// # Errors
/// When it cannot be asked, or refuses.
pub async fn govc(vcsim: &Vcsim, arguments: &[&str]) -> Result<Value> {
    let (command, rest) = arguments.split_first().context("no command")?;
    let output = Command::new(go_program("govc")?)
        .args([command, "-json"])
        .args(rest)
        // Settings of the person who runs this must not leak in.
        .env_clear()
        .env("GOVC_URL", vcsim.endpoint("url")?)
        .env("GOVC_USERNAME", vcsim.endpoint("username")?)
        .env("GOVC_PASSWORD", vcsim.endpoint("password")?)
        .env("GOVC_TLS_CA_CERTS", vcsim.endpoint("caFile")?)
        .env("GOVC_PERSIST_SESSION", "false")
        .kill_on_drop(true)
        .output()
        .await?;
    if !output.status.success() {
        bail!("govc {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("govc {arguments:?} answers no JSON"))
}
