//! The real program, as a process.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

/// No command may take longer, whatever happens to it.
pub const LIMIT: Duration = Duration::from_secs(90);

/// The binary of this build.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let mut path = std::env::current_exe()?;
    // target/debug/deps/it-… -> target/debug/vmbridge
    path.pop();
    path.pop();
    path.push(name);
    if !path.exists() {
        bail!("{} does not exist: build it first, with `cargo build --workspace --bins`", path.display());
    }
    Ok(path)
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A command of `vmbridge`. The environment is empty but for what it is given.
pub struct Vmbridge {
    command: Command,
}

impl Vmbridge {
    /// `vmbridge` with these arguments.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn new(arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary("vmbridge")?);
        command.args(arguments).env_clear().kill_on_drop(true).stdin(Stdio::null());
        Ok(Self { command })
    }

    /// The same with a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or does not end within [`LIMIT`].
    pub async fn run(mut self) -> Result<Ended> {
        let output = tokio::time::timeout(LIMIT, self.command.output());
        let output = output.await.with_context(|| format!("{:?} hangs", self.command.as_std()))??;
        Ok(Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).context("standard output is no text")?,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut self) -> Result<Running> {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().context("standard output")?;
        let stderr = child.stderr.take().context("standard error")?;
        Ok(Running {
            child,
            lines: BufReader::new(stdout).lines(),
            errors: BufReader::new(stderr).lines(),
            said: Vec::new(),
        })
    }
}

/// A command that runs.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    errors: Lines<BufReader<ChildStderr>>,
    said: Vec<String>,
}

impl Running {
    /// Waits for a line on standard error that contains `text`, and returns it.
    ///
    /// # Errors
    /// When none comes within a minute.
    pub async fn says(&mut self, text: &str) -> Result<String> {
        let search = async {
            while let Some(line) = self.errors.next_line().await? {
                let found = line.contains(text);
                self.said.push(line.clone());
                if found {
                    return anyhow::Ok(Some(line));
                }
            }
            Ok(None)
        };
        match tokio::time::timeout(Duration::from_secs(60), search).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Err(error)) => Err(error),
            Ok(Ok(None)) | Err(_) => bail!("it never said {text:?}; it said:\n{}", self.said.join("\n")),
        }
    }

    /// The next line on standard output.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn line(&mut self, patience: Duration) -> Result<String> {
        tokio::time::timeout(patience, self.lines.next_line())
            .await
            .with_context(|| format!("no line within {patience:?}"))??
            .context("standard output has ended")
    }

    /// The id of the process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().context("it has ended")
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let id = self.id()?.to_string();
        let status = Command::new("/bin/kill").args([&format!("-{name}"), &id]).status().await?;
        if !status.success() {
            bail!("kill -{name} {id}: {status}");
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within [`LIMIT`].
    pub async fn ended(mut self) -> Result<Ended> {
        let mut errors = self.errors.into_inner();
        let rest: JoinHandle<std::io::Result<String>> = tokio::spawn(async move {
            let mut rest = String::new();
            errors.read_to_string(&mut rest).await?;
            Ok(rest)
        });
        let mut stdout = String::new();
        let waiting = async {
            while let Some(line) = self.lines.next_line().await? {
                stdout.push_str(&line);
                stdout.push('\n');
            }
            anyhow::Ok(self.child.wait().await?)
        };
        let status = tokio::time::timeout(LIMIT, waiting).await.context("it does not end")??;
        let stderr = format!("{}\n{}", self.said.join("\n"), rest.await??);
        Ok(Ended { code: status.code(), stdout, stderr })
    }
}
