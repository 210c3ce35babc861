//! An estate with guests in which programs really run: VMware's simulator with containers, our simulator's AWS, a mirror.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use vmbridge_simulator::{Aws, AwsActivation, AwsConfig, AwsNode, Simulator, SimulatorConfig};

use crate::docker::{self, Docker, IMAGE, Mirror};
use crate::estate::Estate;
use crate::program::Vmbridge;
use crate::vcsim::{Vcsim, go_program};

/// The Region of the account.
pub const REGION: &str = "eu-central-1";

/// A VM whose guest is a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Its name, which is the host name of the guest too.
    pub name: String,
    /// Its managed object id.
    pub moref: String,
    /// The container.
    pub container: String,
}

/// The estate. What is declared first ends first.
pub struct Contained {
    /// The configuration.
    pub estate: Estate,
    /// What stands in for AWS.
    pub simulator: Simulator,
    /// What stands in for vCenter.
    pub vcsim: Vcsim,
    /// The guests.
    pub guests: Vec<Guest>,
    /// SHA-256 of the package.
    pub package: String,
    /// The engine.
    pub docker: Docker,
    _mirror: Mirror,
    _scratch: TempDir,
}

impl Contained {
    /// With so many guests. `pin` makes the hash in the configuration of the true one.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn start(guests: usize, pin: impl FnOnce(&str) -> String, more: &str) -> Result<Self> {
        Self::start_with(guests, pin, more, None).await
    }

    /// The same with a package of another agent, such as the true one.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn start_with(
        guests: usize,
        pin: impl FnOnce(&str) -> String,
        more: &str,
        other: Option<&Path>,
    ) -> Result<Self> {
        let docker = Docker::start()?;
        let scratch = tempfile::tempdir()?;
        let folder = |name: &str| -> Result<_> {
            let path = scratch.path().join(name);
            std::fs::create_dir(&path)?;
            Ok(path)
        };
        let platform = format!("debian_{}", docker::architecture()?);
        let (files, served) = (folder("files")?, folder("mirror")?);
        let place = files.join(&platform).join("amazon-ssm-agent.deb");
        std::fs::create_dir(files.join(&platform))?;
        match other {
            Some(package) => std::fs::copy(package, &place).map(drop)?,
            None => docker::package(&go_program("amazon-ssm-agent")?, scratch.path(), &place)?,
        }
        let package = docker::sha256(&place)?;
        let mirror = Mirror::start(&files, &served).await?;
        let count = guests.to_string();
        let vcsim = Vcsim::start_with(
            &folder("vcsim")?,
            &["--vms", "20", "--container-image", IMAGE, "--container-vms", &count],
            &[("DOCKER_HOST", &docker.host())],
        )
        .await?;
        let config = SimulatorConfig { aws: Some(AwsConfig::default()), ..SimulatorConfig::single(1, 1) };
        let simulator = Simulator::start(config).await?;
        let aws = simulator.aws().context("AWS is configured")?;
        let mut estate = Estate::new()?;
        estate.vcsim("dc1", &vcsim)?;
        let ca = estate.secret("aws-ca.pem", aws.ca_pem())?;
        // All that an agent speaks to: nothing may leave this machine.
        let own = json!({ "Endpoint": aws.url() });
        let agent = json!({ "Ssm": own, "Mds": own, "Mgs": own, "S3": own, "Kms": own }).to_string();
        let agent = estate.secret("agent.json", &agent)?;
        let password = estate.secret("guest-password", vcsim.endpoint("guestPassword")?)?;
        estate.add(&format!(
            "[[aws]]\nname = \"main\"\nregion = \"{REGION}\"\nendpoint = \"{url}\"\nca_file = {ca:?}\nsettle = \"1s\"\npoll_fast = \"5s\"\n\n\
             [state]\ndirectory = \"state\"\n\n\
             [enrol]\nmode = \"observe\"\npackage_url = \"{mirror}/{{platform}}/{{file}}\"\nmirror_ca_file = {mirror_ca:?}\n\
             package_sha256 = [\"{platform}={pin}\"]\nagent_config = {agent:?}\nendpoints = [\"{url}\"]\nminimum_version = \"3.3.9000.0\"\n{more}\n\n\
             [[credentials]]\nname = \"linux\"\nvms = \"guest=linux\"\nusername = \"root\"\npassword = {{ file = {password:?} }}\n\n\
             [tags]\nmode = \"enforce\"\ndefaults = false\n\n[[tags.rule]]\nname = \"patch-group\"\ncategory = \"Patch Group\"\nkind = \"patch-group\"\n",
            url = aws.url(),
            mirror = mirror.url,
            mirror_ca = mirror.ca,
            pin = pin(&package),
        ));
        let guests: Vec<Guest> = vcsim
            .containers()
            .into_iter()
            .map(|(name, moref, container)| Guest { name, moref, container })
            .collect();
        for guest in &guests {
            trust(&docker, &guest.container, &ca)?;
        }
        Ok(Self { estate, simulator, vcsim, guests, package, docker, _mirror: mirror, _scratch: scratch })
    }

    /// AWS.
    #[must_use]
    #[expect(clippy::expect_used, reason = "it was started with it")]
    pub fn aws(&self) -> &Aws {
        self.simulator.aws().expect("AWS is configured")
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> String {
        self.aws().accounts().first().map(|account| account.id.clone()).unwrap_or_default()
    }

    /// The nodes that there are.
    #[must_use]
    pub fn nodes(&self) -> Vec<AwsNode> {
        self.aws().nodes(&self.account(), REGION)
    }

    /// The activations that there are.
    #[must_use]
    pub fn activations(&self) -> Vec<AwsActivation> {
        self.aws().activations(&self.account(), REGION)
    }

    /// Another password of guests from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn guest_password(&self, password: &str) -> Result<()> {
        self.estate.secret("guest-password", password).map(drop)
    }

    /// A command with the credentials of the account.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn vmbridge(&self, arguments: &[&str]) -> Result<Vmbridge> {
        let account = self.aws().accounts().first().cloned().context("an account")?;
        Ok(self
            .estate
            .vmbridge(arguments)?
            .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", account.secret_access_key.expose_secret())
            .env("AWS_EC2_METADATA_DISABLED", "true"))
    }

    /// The VM in the plan.
    ///
    /// # Errors
    /// When there is no plan, or no such VM in it.
    pub async fn planned(&self, guest: &Guest) -> Result<Value> {
        let ended = self.vmbridge(&["plan", "--json"])?.run().await?;
        let plan: Value = serde_json::from_str(&ended.stdout).with_context(|| format!("{ended:?}"))?;
        let vms = plan["vms"].as_array().context("VMs")?;
        vms.iter().find(|vm| vm["moref"] == *guest.moref).cloned().context("the VM is not in the plan")
    }

    /// A container that is no VM's guest, with this host name and with the agent's program, there called `impostor`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stranger(&self, name: &str) -> Result<String> {
        let hostname = format!("--hostname={name}");
        let run = ["run", "--detach", "--network=host", &hostname, IMAGE, "/bin/sleep", "infinity"];
        let container = self.docker.run(&run)?;
        self.docker.copy(&go_program("amazon-ssm-agent")?, &container, "/usr/bin/impostor")?;
        self.docker.shell(&container, "mkdir -p /etc/amazon/ssm")?;
        let config = self.estate.folder().join("agent.json");
        self.docker.copy(&config, &container, "/etc/amazon/ssm/amazon-ssm-agent.json")?;
        trust(&self.docker, &container, &self.estate.folder().join("aws-ca.pem"))?;
        Ok(container)
    }

    /// Whether nothing of ours is in a guest, but what the installer says that it leaves there.
    ///
    /// # Errors
    /// When something is.
    pub fn clean(&self, guest: &Guest) -> Result<()> {
        let line = "find / -xdev \\( -name '*vmbridge*' -o -name 'install-ssm-agent*' -o -name '*.vmware-upload' \\) \
                    -not -path '/proc/*' -not -path /var/lib/amazon/ssm/vmbridge-activation";
        let left = self.docker.shell(&guest.container, line)?;
        ensure!(left.is_empty(), "left in {}: {left}", guest.name);
        Ok(())
    }
}

/// A guest that trusts the authority of our AWS, as one trusts that of a private endpoint: it is in its image.
fn trust(docker: &Docker, container: &str, ca: &Path) -> Result<()> {
    docker.copy(ca, container, "/usr/local/share/ca-certificates/endpoint.crt")?;
    docker.shell(container, "update-ca-certificates >/dev/null 2>&1").map(drop)
}
