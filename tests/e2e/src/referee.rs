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
    let said = govc_says(vcsim, &[&[*command, "-json"], rest].concat()).await?;
    serde_json::from_str(&said).with_context(|| format!("govc {arguments:?} answers no JSON"))
}

/// What it says, for commands that answer nothing, or not always.
///
/// # Errors
/// When it cannot be asked, or refuses.
pub async fn govc_says(vcsim: &Vcsim, arguments: &[&str]) -> Result<String> {
    let output = Command::new(go_program("govc")?)
        .args(arguments)
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
    Ok(String::from_utf8(output.stdout)?)
}

/// A snapshot, as govc shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSeen {
    /// Its managed object id.
    pub moref: String,
    /// Its name, as vCenter has it: `/` is `%2f`.
    pub name: String,
    /// Its description.
    pub description: String,
    /// The one that it was made after.
    pub parent: Option<String>,
    /// Whether the VM is at it.
    pub current: bool,
}

/// The snapshots of a VM, each before those made after it, as VMware's own client shows them.
///
/// # Errors
/// When it cannot be asked, or refuses.
pub async fn snapshots(vcsim: &Vcsim, moref: &str) -> Result<Vec<SnapshotSeen>> {
    fn walk(parent: Option<&str>, list: &Value, out: &mut Vec<SnapshotSeen>) -> Result<()> {
        for one in list.as_array().into_iter().flatten() {
            let text = |key: &str| {
                one[key].as_str().map(str::to_owned).with_context(|| format!("no {key} in {one}"))
            };
            let moref = text("id")?;
            out.push(SnapshotSeen {
                moref: moref.clone(),
                name: text("name")?,
                description: text("description")?,
                parent: parent.map(str::to_owned),
                current: one["current"] == true,
            });
            walk(Some(&moref), &one["childSnapshotList"], out)?;
        }
        Ok(())
    }
    let vm = format!("VirtualMachine:{moref}");
    let said = govc_says(vcsim, &["snapshot.tree", "-json", "-d", "-i", "-vm", &vm]).await?;
    let mut out = Vec::new();
    // Of a VM that has none it says nothing.
    if !said.trim().is_empty() {
        walk(None, &serde_json::from_str(&said)?, &mut out)?;
    }
    Ok(out)
}
