//! The files through which programs find a running simulator.
//!
//! `endpoints.json` comes last and at once: who sees it can connect. Where something is a secret only the owner may read it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Value, json};
use vmbridge_simulator::{GUEST_PASSWORD, Simulator, Vcenter};

use super::args::PASSWORD;

const ENDPOINTS: &str = "endpoints.json";
/// Everything that is written, in the order in which it is removed.
const ALL: &[&str] = &[ENDPOINTS, "demo.env", "token", "guest-password", "password", "ca.pem"];

/// The files in one folder.
#[derive(Debug)]
pub(crate) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Prepares the folder. What an earlier run left there is removed, so that nobody takes it for this one's.
    pub(crate) fn in_folder(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
        let folder =
            folder.canonicalize().with_context(|| format!("finding the folder {}", folder.display()))?;
        let files = Self { folder };
        files.remove();
        Ok(files)
    }

    /// Writes them all.
    pub(crate) fn write(&mut self, simulator: &Simulator, control: &str) -> anyhow::Result<()> {
        self.put("ca.pem", 0o644, simulator.ca_pem())?;
        self.put("password", 0o600, PASSWORD)?;
        self.put("guest-password", 0o600, GUEST_PASSWORD)?;
        if let Some(vmc) = simulator.vmc() {
            self.put("token", 0o600, vmc.refresh_token())?;
        }
        // It has a secret key in it where there is AWS.
        let mode = if simulator.aws().is_some() { 0o600 } else { 0o644 };
        self.put("demo.env", mode, &self.environment(simulator))?;
        let endpoints = serde_json::to_string_pretty(&self.endpoints(simulator, control))?;
        self.put(ENDPOINTS, 0o600, &format!("{endpoints}\n"))
    }

    /// Removes them all. One that cannot be removed is reported, and does no harm.
    pub(crate) fn remove(&self) {
        for name in ALL {
            let path = self.folder.join(name);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    tracing::warn!(%error, path = %path.display(), "cannot remove a file");
                }
                _ => {}
            }
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// Writes a file whole or not at all.
    fn put(&self, name: &str, mode: u32, content: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        let draft = self.folder.join(format!(".{name}.{}", std::process::id()));
        let write = || -> std::io::Result<()> {
            let mut file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
            file.write_all(content.as_bytes())?;
            std::fs::rename(&draft, &path)
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    /// Environment variables that turn `examples/demo.toml` into a configuration for this simulator.
    fn environment(&self, simulator: &Simulator) -> String {
        let mut lines = String::new();
        let export = |lines: &mut String, name: &str, value: &str| {
            let quoted = value.replace('\'', "'\\''");
            lines.push_str(&format!("export {name}='{quoted}'\n"));
        };
        let mut set = |name: String, value: &str| export(&mut lines, &format!("VMBRIDGE_{name}"), value);
        let (ca, password) = (self.path("ca.pem"), self.path("password"));
        for vcenter in own(simulator) {
            let section = format!("VCENTER__{}", vcenter.name().to_ascii_uppercase());
            set(format!("{section}__URL"), &vcenter.url());
            set(format!("{section}__CA_FILE"), &ca);
            set(format!("{section}__PASSWORD__FILE"), &password);
        }
        if let Some(vmc) = simulator.vmc() {
            set("VMC__CLOUD__CSP_URL".to_owned(), &vmc.url());
            set("VMC__CLOUD__VMC_URL".to_owned(), &vmc.url());
            set("VMC__CLOUD__CA_FILE".to_owned(), &ca);
            set("VMC__CLOUD__REFRESH_TOKEN__FILE".to_owned(), &self.path("token"));
            set("VMC__CLOUD__VCENTER__CA_FILE".to_owned(), &ca);
        }
        if let Some(aws) = simulator.aws() {
            set("AWS__MAIN__ENDPOINT".to_owned(), &aws.url());
            set("AWS__MAIN__CA_FILE".to_owned(), &ca);
            for system in ["LINUX", "WINDOWS"] {
                set(format!("CREDENTIALS__{system}__PASSWORD__FILE"), &self.path("guest-password"));
            }
            if let Some(account) = aws.accounts().first() {
                export(&mut lines, "AWS_ACCESS_KEY_ID", &account.access_key_id);
                export(&mut lines, "AWS_SECRET_ACCESS_KEY", account.secret());
            }
            export(&mut lines, "AWS_EC2_METADATA_DISABLED", "true");
        }
        lines
    }

    fn endpoints(&self, simulator: &Simulator, control: &str) -> Value {
        let ca = self.path("ca.pem");
        let entry = |vcenter: &Vcenter| {
            json!({
                "name": vcenter.name(), "url": vcenter.url(), "username": vcenter.username(),
                "password": vcenter.password(), "thumbprint": vcenter.thumbprint(), "caFile": ca,
                "controlUrl": control, "instanceUuid": vcenter.instance_uuid(),
            })
        };
        let vmc = simulator.vmc().map(|vmc| {
            let sddcs: Vec<Value> = vmc
                .sddcs()
                .iter()
                .filter_map(|sddc| {
                    let vcenter = simulator.vcenter(&sddc.vcenter)?;
                    Some(json!({ "id": sddc.id, "name": sddc.name, "vcenter": entry(vcenter) }))
                })
                .collect();
            let (id, secret) = vmc.client();
            json!({
                "url": vmc.url(), "orgId": vmc.org_id(), "refreshToken": vmc.refresh_token(),
                "oauthAppId": id, "oauthAppSecret": secret, "caFile": ca, "sddcs": sddcs,
            })
        });
        let aws = simulator.aws().map(|aws| {
            let accounts: Vec<Value> = aws
                .accounts()
                .iter()
                .map(|account| {
                    json!({
                        "id": account.id, "accessKeyId": account.access_key_id, "secretAccessKey": account.secret(),
                        "regions": account.regions, "userArn": account.user_arn(),
                        "roleArn": account.roles.first().map(|role| account.role_arn(&role.name)),
                    })
                })
                .collect();
            json!({ "url": aws.url(), "caFile": ca, "accounts": accounts })
        });
        let vcenters: Vec<Value> = own(simulator).map(entry).collect();
        json!({
            "caFile": ca, "controlUrl": control, "vcenters": vcenters, "vmc": vmc, "aws": aws,
            "pid": std::process::id(),
        })
    }
}

/// The vCenters that are not behind VMware Cloud.
fn own(simulator: &Simulator) -> impl Iterator<Item = &Vcenter> {
    let behind: Vec<String> =
        simulator.vmc().map(|vmc| vmc.sddcs().into_iter().map(|s| s.vcenter).collect()).unwrap_or_default();
    simulator.vcenters().iter().filter(move |vcenter| !behind.iter().any(|name| name == vcenter.name()))
}

/// What a person wants to know at the start.
pub(crate) fn summary(simulator: &Simulator, control: &str) -> Vec<String> {
    let mut lines: Vec<String> = simulator
        .vcenters()
        .iter()
        .map(|v| format!("{}: {} with {} VMs, user {}", v.name(), v.url(), v.vm_ids().len(), v.username()))
        .collect();
    lines.extend(
        simulator
            .vmc()
            .map(|vmc| format!("VMware Cloud on AWS: {}, organisation {}", vmc.url(), vmc.org_id())),
    );
    lines.extend(simulator.aws().map(|aws| {
        let accounts = aws.accounts();
        let nodes: usize = accounts
            .iter()
            .flat_map(|account| account.regions.iter().map(|region| aws.nodes(&account.id, region).len()))
            .sum();
        format!("AWS: {} with {nodes} managed nodes in {} accounts", aws.url(), accounts.len())
    }));
    lines.push(format!("control: {control}"));
    lines
}
