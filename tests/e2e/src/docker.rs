//! A container engine of a test's own: guests run in it, and nothing else of this machine is touched.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::repository;

/// The image of guests, as it is called in the engine.
pub const IMAGE: &str = "vmbridge-guest:test";

/// A running engine with the image of guests in it. Dropping it ends it and all that runs in it.
pub struct Docker {
    daemon: Child,
    folder: TempDir,
}

/// Commands that need root get it here.
fn root(program: &str) -> Result<Command> {
    let user = Command::new("id").arg("-u").output().context("asking who runs this")?;
    let mut command = if user.stdout.trim_ascii() == b"0" {
        // The engine ends with the test, also when that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]);
        command
    } else {
        let mut command = Command::new("sudo");
        command.arg("-n");
        command
    };
    command.arg(program);
    Ok(command)
}

/// Runs a command to its end.
fn done(command: &mut Command) -> Result<Output> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(output)
}

impl Docker {
    /// Starts it. Its network is that of this machine: no bridge is made and no packet filter is changed.
    ///
    /// # Errors
    /// When it does not start, or there is no image of a guest.
    pub fn start() -> Result<Self> {
        let image = repository()?.join(".tools/guest-image.tar");
        if !image.exists() {
            bail!("{} does not exist: run `scripts/setup test`", image.display());
        }
        let folder = tempfile::Builder::new().prefix("vmbridge-docker-").tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let group = Command::new("id").arg("-g").output().context("asking for the group")?;
        let log = std::fs::File::create(path("log"))?;
        let daemon = root("dockerd")?
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("--host")
            .arg(format!("unix://{}", path("socket").display()))
            .args(["--group", String::from_utf8_lossy(&group.stdout).trim()])
            .args([
                "--bridge=none",
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
                "--ip-masq=false",
            ])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting dockerd; `scripts/test --without-containers` does without")?;
        let mut docker = Self { daemon, folder };
        docker.wait()?;
        docker.run(&["import", &image.to_string_lossy(), IMAGE])?;
        Ok(docker)
    }

    fn wait(&mut self) -> Result<()> {
        // A minute.
        for _ in 0..300 {
            if self.command(&["version"]).output().is_ok_and(|output| output.status.success()) {
                return Ok(());
            }
            if self.daemon.try_wait()?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        bail!("dockerd does not start:\n{log}")
    }

    /// What `DOCKER_HOST` has to be for it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(arguments).env("DOCKER_HOST", self.host()).stdin(Stdio::null());
        command
    }

    /// Runs `docker` with these arguments and gives what it says.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = done(&mut self.command(arguments))?;
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Runs a line of shell as root in a container and gives what it says.
    ///
    /// # Errors
    /// When it fails.
    pub fn shell(&self, container: &str, line: &str) -> Result<String> {
        self.run(&["exec", container, "/bin/sh", "-c", line])
    }

    /// Copies a file of this machine into a container.
    ///
    /// # Errors
    /// When it fails.
    pub fn copy(&self, file: &Path, container: &str, path: &str) -> Result<()> {
        self.run(&["cp", &file.to_string_lossy(), &format!("{container}:{path}")]).map(drop)
    }

    /// The process ids, on this machine, of what runs in a container.
    ///
    /// # Errors
    /// When it fails.
    pub fn pids(&self, container: &str) -> Result<Vec<u32>> {
        let listed = self.run(&["top", container, "-o", "pid"])?;
        Ok(listed.lines().filter_map(|line| line.trim().parse().ok()).collect())
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Ok(containers) = self.run(&["ps", "--all", "--quiet"]) {
            let mut arguments = vec!["rm", "--force", "--volumes"];
            arguments.extend(containers.lines());
            let _ = self.run(&arguments);
        }
        let pid = std::fs::read_to_string(self.folder.path().join("pid")).unwrap_or_default();
        if let Ok(mut kill) = root("kill") {
            let _ = kill.args(["-TERM", pid.trim()]).status();
        }
        // Twenty seconds.
        for _ in 0..400 {
            if !matches!(self.daemon.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        // The network of the containers is mounted there, and stays so when the engine ends.
        if let Ok(mut unmount) = root("umount") {
            let _ = unmount.arg(self.folder.path().join("exec/netns/default")).stderr(Stdio::null()).status();
        }
        // What root has written, root has to remove.
        if let Ok(mut remove) = root("rm") {
            let _ = remove.arg("-rf").arg(self.folder.path()).status();
        }
    }
}

/// A package of the test agent, as Debian packages are made.
///
/// # Errors
/// When it cannot be made.
pub fn package(agent: &Path, scratch: &Path, to: &Path) -> Result<()> {
    let tree = scratch.join("package");
    std::fs::create_dir_all(tree.join("DEBIAN"))?;
    std::fs::create_dir_all(tree.join("usr/bin"))?;
    std::fs::copy(agent, tree.join("usr/bin/amazon-ssm-agent"))?;
    let control = format!(
        "Package: amazon-ssm-agent\nVersion: 3.3.9999.0-1\nArchitecture: {}\nMaintainer: vmbridge\nDescription: stands in for SSM Agent in tests\n",
        architecture()?
    );
    std::fs::write(tree.join("DEBIAN/control"), control)?;
    done(
        Command::new("dpkg-deb").args(["--root-owner-group", "-Zgzip", "-z1", "--build"]).arg(&tree).arg(to),
    )?;
    Ok(())
}

/// The SHA-256 of a file.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(file: &Path) -> Result<String> {
    let sum = done(Command::new("sha256sum").arg(file))?;
    let sum = String::from_utf8(sum.stdout)?;
    sum.split(' ').next().map(str::to_owned).context("sha256sum says nothing")
}

/// What Debian calls the architecture of this machine.
///
/// # Errors
/// When it does not tell.
pub fn architecture() -> Result<String> {
    let output = done(Command::new("dpkg").arg("--print-architecture"))?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A mirror of packages. Dropping it ends it.
pub struct Mirror {
    _process: tokio::process::Child,
    /// Its address.
    pub url: String,
    /// Its authority.
    pub ca: PathBuf,
}

impl Mirror {
    /// Serves a folder, with its own files in another one.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(files: &Path, out: &Path) -> Result<Self> {
        let mut command = tokio::process::Command::new(crate::vcsim::go_program("mirror")?);
        command.arg("--files").arg(files).arg("--out").arg(out).kill_on_drop(true).stdin(Stdio::null());
        let process = command.spawn()?;
        for _ in 0..200 {
            if let Ok(url) = tokio::fs::read_to_string(out.join("url")).await {
                return Ok(Self { _process: process, url, ca: out.join("ca.pem") });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the mirror did not start within 10 s")
    }
}
