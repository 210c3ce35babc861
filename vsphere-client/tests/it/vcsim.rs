//! VMware's own simulator as a process, for what it does by itself: tasks, list views, snapshots.
//!
//! `tests/e2e` does the same for the whole program; this crate must not depend on it.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use vsphere_client::ids::{MoRef, TaskRef};
use vsphere_client::tls::TlsTrust;
use vsphere_client::vcenter::{ConnectOptions, Vcenter};

/// A running vcsim. Dropping it ends it.
pub(crate) struct Vcsim {
    _child: Child,
    folder: TempDir,
    endpoints: Value,
}

/// A program of `tests/vcsim`, where `scripts/test` builds them, or in the folder that `VMBRIDGE_REFEREES` names.
fn referee(name: &str) -> PathBuf {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/bin");
    let folder = std::env::var_os("VMBRIDGE_REFEREES").map_or_else(|| built.into(), PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} does not exist: build it with `go build -C tests/vcsim -o ../../.tools/bin/ ./cmd/...`",
        path.display()
    );
    path
}

impl Vcsim {
    pub(crate) async fn start(vms: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(referee("vcsim"));
        command.arg("--dir").arg(folder.path()).args(["--apps", "0", "--vms"]).arg(vms.to_string());
        let log = std::fs::File::create(folder.path().join("vcsim.log")).unwrap();
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        let path = folder.path().join("endpoints.json");
        for _ in 0..600 {
            if path.exists() {
                let endpoints = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                return Self { _child: child, folder, endpoints };
            }
            if let Some(status) = child.try_wait().unwrap() {
                let said = std::fs::read_to_string(folder.path().join("vcsim.log")).unwrap();
                panic!("vcsim ended: {status}: {said}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("vcsim did not start within 30 s")
    }

    fn endpoint(&self, key: &str) -> &str {
        self.endpoints[key].as_str().unwrap_or_else(|| panic!("endpoints.json has no {key}"))
    }

    pub(crate) fn ca_pem(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("ca.pem")).unwrap()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        let url = url::Url::parse(self.endpoint("url")).unwrap();
        url.socket_addrs(|| None).unwrap()[0]
    }

    /// A client for it, at another address than its own if it is to be reached by a detour.
    pub(crate) fn client(&self, address: SocketAddr, ca_pem: Vec<u8>) -> Vcenter {
        let password = SecretString::from(self.endpoint("password").to_owned());
        let trust = TlsTrust { extra_ca_pem: Some(ca_pem), pins: Vec::new() };
        let url = format!("https://{address}").parse().unwrap();
        Vcenter::new(ConnectOptions::new(url, self.endpoint("username").to_owned(), password, trust)).unwrap()
    }

    /// Its VMs, as VMware's own client lists them.
    pub(crate) async fn vms(&self) -> Vec<MoRef> {
        let said = self.govc(["find", "-i", "/", "-type", "m"]).await;
        said.lines().map(|line| MoRef::new("VirtualMachine", line.rsplit(':').next().unwrap())).collect()
    }

    /// What VMware's own command line client says.
    pub(crate) async fn govc<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> String {
        let mut command = Command::new(referee("govc"));
        command.args(arguments).env_clear().env("HOME", self.folder.path());
        command.env("GOVC_URL", self.endpoint("url")).env("GOVC_USERNAME", self.endpoint("username"));
        command.env("GOVC_PASSWORD", self.endpoint("password")).env("GOVC_PERSIST_SESSION", "false");
        command
            .env("GOVC_TLS_CA_CERTS", self.folder.path().join("ca.pem"))
            .env("GOVC_SHOW_UNRELEASED", "true");
        let output = command.kill_on_drop(true).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A task that is queued until it is [set](Self::set_task).
    pub(crate) async fn task(&self) -> TaskRef {
        TaskRef::new(self.govc(["task.create", "com.vmware.govmomi.simulator.test"]).await.trim())
    }

    pub(crate) async fn set_task(&self, task: &TaskRef, arguments: &[&str]) {
        self.govc(["task.set"].iter().chain(arguments).copied().chain([task.value()])).await;
    }

    /// Calls its control endpoint.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &str) -> Value {
        let url = url::Url::parse(self.endpoint("controlUrl")).unwrap();
        let mut stream = TcpStream::connect(url.socket_addrs(|| None).unwrap()[0]).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{answer}");
        serde_json::from_str(body).unwrap()
    }

    /// How often each method was called.
    pub(crate) async fn calls(&self, method: &str) -> u64 {
        let stats = self.control("GET", "/stats", "").await;
        stats["calls"][method].as_u64().unwrap_or(0)
    }

    /// Open sessions of clients other than the one of this look.
    pub(crate) async fn sessions(&self) -> u64 {
        self.control("GET", "/stats", "").await["sessions"]["soap"].as_u64().unwrap()
    }
}

/// An address behind which now one server is and now another, as when one is restarted.
pub(crate) struct Detour {
    pub(crate) address: SocketAddr,
    to: Arc<Mutex<Option<SocketAddr>>>,
    open: Arc<Mutex<JoinSet<()>>>,
}

impl Detour {
    pub(crate) async fn to(first: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let to = Arc::new(Mutex::new(Some(first)));
        let open = Arc::new(Mutex::new(JoinSet::new()));
        let (target, all) = (to.clone(), open.clone());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let Some(address) = *target.lock().unwrap() else { continue };
                all.lock().unwrap().spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(address).await {
                        tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
            }
        });
        Self { address, to, open }
    }

    /// Breaks all connections; from now on they go there, or nowhere.
    pub(crate) fn turn(&self, to: Option<SocketAddr>) {
        *self.to.lock().unwrap() = to;
        self.open.lock().unwrap().abort_all();
    }
}
