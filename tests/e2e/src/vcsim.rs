//! VMware's own simulator, as a process.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::control;
use crate::repository;

/// A running vcsim. Dropping it ends it.
pub struct Vcsim {
    _child: Child,
    folder: PathBuf,
    endpoints: Value,
}

/// A Go program of `tests/vcsim`.
///
/// # Errors
/// When it has not been built.
pub fn go_program(name: &str) -> Result<PathBuf> {
    let path = repository()?.join(".tools/bin").join(name);
    if !path.exists() {
        bail!(
            "{} does not exist: build it with `go build -C tests/vcsim -o ../../.tools/bin/ ./cmd/...`",
            path.display()
        );
    }
    Ok(path)
}

impl Vcsim {
    /// Starts one that writes its files to `folder`.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(folder: &Path, arguments: &[&str]) -> Result<Self> {
        Self::start_with(folder, arguments, &[]).await
    }

    /// The same with variables of the environment. What it says is in `vcsim.log` of the folder.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let mut command = Command::new(go_program("vcsim")?);
        command.arg("--dir").arg(folder).args(arguments).kill_on_drop(true);
        command.envs(variables.iter().copied());
        let log = std::fs::File::create(folder.join("vcsim.log"))?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
        let path = folder.join("endpoints.json");
        for _ in 0..600 {
            if path.exists() {
                let endpoints = serde_json::from_slice(&tokio::fs::read(&path).await?)?;
                return Ok(Self { _child: child, folder: folder.to_owned(), endpoints });
            }
            if let Some(status) = child.try_wait()? {
                let said = tokio::fs::read_to_string(folder.join("vcsim.log")).await.unwrap_or_default();
                bail!("vcsim ended: {status}: {said}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("vcsim did not start within 30 s")
    }

    /// A text of its `endpoints.json`.
    ///
    /// # Errors
    /// When there is no such text.
    pub fn endpoint(&self, key: &str) -> Result<&str> {
        self.endpoints
            .get(key)
            .and_then(Value::as_str)
            .with_context(|| format!("endpoints.json has no {key}"))
    }

    /// The VMs whose guests are containers: name, managed object id and container.
    #[must_use]
    pub fn containers(&self) -> Vec<(String, String, String)> {
        let text = |guest: &Value, key: &str| guest[key].as_str().unwrap_or_default().to_owned();
        let all = self.endpoints["containers"].as_array();
        all.into_iter()
            .flatten()
            .map(|guest| (text(guest, "name"), text(guest, "vm"), text(guest, "container")))
            .collect()
    }

    /// Its `endpoints.json`.
    #[must_use]
    pub fn endpoints_file(&self) -> PathBuf {
        self.folder.join("endpoints.json")
    }

    /// Calls its control endpoint.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn control(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        control::json(self.endpoint("controlUrl")?, method, path, body).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn mutate(&self, op: &str, vm: &str, more: &Value) -> Result<()> {
        let mut body = json!({ "op": op, "vm": vm });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more.clone());
        }
        self.control("POST", "/mutate", Some(&body)).await.map(|_| ())
    }

    /// Carries the next call of a method out, and loses its answer with the connection.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn lose_answer(&self, method: &str) -> Result<()> {
        let rule = json!({ "method": method, "count": 1, "lose": true });
        self.control("POST", "/faults", Some(&json!({ "add": [rule] }))).await.map(drop)
    }

    /// How often a method was called.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn calls(&self, method: &str) -> Result<u64> {
        let stats = self.control("GET", "/stats", None).await?;
        // What was never called is not listed.
        Ok(stats["calls"][method].as_u64().unwrap_or_default())
    }

    /// Sessions that are open, SOAP and REST.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn sessions(&self) -> Result<u64> {
        let stats = self.control("GET", "/stats", None).await?;
        let count =
            |kind: &str| stats["sessions"][kind].as_u64().with_context(|| format!("no {kind} in {stats}"));
        Ok(count("soap")? + count("rest")?)
    }
}
