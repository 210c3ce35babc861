//! A small estate whose first VMs are managed nodes: what tag sync and write-back are tried on.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vmbridge_simulator::{
    Aws, AwsActivation, AwsConfig, AwsMutation, AwsNode, Effect, Mutation, Simulator, SimulatorConfig, User,
    Vcenter,
};

use crate::estate::Estate;
use crate::program::{Ended, Vmbridge};

/// What write-back needs in vCenter beyond reading.
pub const WRITEBACK_PRIVILEGES: [&str; 2] = ["Global.ManageCustomFields", "Global.SetCustomField"];
/// The categories that tags of this estate are in; each is the key of a rule.
pub const CATEGORIES: [&str; 2] = ["Crash", "Patch Group"];
/// The values in each category.
pub const VALUES: [&str; 3] = ["red", "green", "blue"];

/// Where the password of guests is.
const GUEST_PASSWORD_FILE: &str = "guest-password";

const RULES: &str = "\
[[tags.rule]]
name = \"crash\"
category = \"Crash\"

[[tags.rule]]
name = \"patch-group\"
category = \"Patch Group\"
kind = \"patch-group\"
";

/// One VM that is a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedVm {
    /// Its managed object id.
    pub moref: String,
    /// Its name.
    pub name: String,
    /// The node.
    pub node: String,
}

/// The estate.
pub struct Managed {
    /// What stands in for the remote systems.
    pub simulator: Simulator,
    /// The configuration.
    pub estate: Estate,
    /// The VMs that are nodes.
    pub vms: Vec<ManagedVm>,
    /// What each of them should be tagged with, by what was attached: category and value.
    attached: BTreeMap<(String, String), String>,
}

impl Managed {
    /// With `nodes` managed nodes; `sections` says how far the capabilities go.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub async fn new(nodes: usize, sections: &str) -> Result<Self> {
        Self::with_privileges(nodes, sections, &WRITEBACK_PRIVILEGES).await
    }

    /// The same with these privileges in vCenter beyond reading.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub async fn with_privileges(nodes: usize, sections: &str, privileges: &[&str]) -> Result<Self> {
        let mut config =
            SimulatorConfig { aws: Some(AwsConfig::default()), ..SimulatorConfig::single(nodes * 3 + 8, 1) };
        let user = User::read_only("vmbridge@vsphere.local", "secret");
        config.vcenters[0].users = vec![user.with_privileges(privileges)];
        let simulator = Simulator::start(config).await?;
        let mut estate = Estate::new()?;
        estate.simulated("dc1", &simulator.vcenters()[0], "")?;
        let aws = simulator.aws().context("AWS is configured")?;
        let ca = estate.secret("aws-ca.pem", aws.ca_pem())?;
        estate.add(&format!(
            "[[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\nca_file = \"{}\"\nsettle = \"1s\"\npoll_fast = \"5s\"\n\n\
             [state]\ndirectory = \"state\"\n\n{sections}\n{RULES}",
            aws.url(),
            ca.display()
        ));
        let mut managed = Self { simulator, estate, vms: Vec::new(), attached: BTreeMap::new() };
        for category in CATEGORIES {
            // The fleet may have a category of this name already.
            let _ = managed.vcenter().mutate(&Mutation::DeleteCategory { category: category.to_owned() });
            let made = Mutation::CreateCategory { name: category.to_owned(), single: false };
            managed.mutate(&made)?;
            for name in VALUES {
                let (category, name) = (category.to_owned(), name.to_owned());
                managed.mutate(&Mutation::CreateTag { category, name })?;
            }
        }
        managed.register(nodes).await?;
        Ok(managed)
    }

    /// Lets enrolment go so far, with this password of guests.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn credentials(&mut self, mode: &str, password: &str) -> Result<()> {
        self.credentials_with(mode, password, "")
    }

    /// The same, with more in `[enrol]`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn credentials_with(&mut self, mode: &str, password: &str, more: &str) -> Result<()> {
        let file = self.estate.secret(GUEST_PASSWORD_FILE, password)?;
        self.estate.add(&format!(
            "[enrol]\nmode = \"{mode}\"\nverify_within = \"1m\"\npackage_sha256 = [\"debian_amd64={1}\"]\n{more}\n\n[[credentials]]\nname = \"linux\"\nvms = \"guest=linux\"\nusername = \"root\"\npassword = {{ file = \"{0}\" }}\n\n\
             [[credentials]]\nname = \"windows\"\nvms = \"guest=windows\"\nusername = \"Administrator\"\npassword = {{ file = \"{0}\" }}\n",
            file.display(), "0".repeat(64)
        ));
        Ok(())
    }

    /// Another password of guests from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn guest_password(&self, password: &str) -> Result<()> {
        self.estate.secret(GUEST_PASSWORD_FILE, password).map(drop)
    }

    fn vcenter(&self) -> &Vcenter {
        &self.simulator.vcenters()[0]
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
        self.aws().nodes(&self.account(), "eu-central-1")
    }

    /// The activations that there are.
    #[must_use]
    pub fn activations(&self) -> Vec<AwsActivation> {
        self.aws().activations(&self.account(), "eu-central-1")
    }

    /// Changes vCenter.
    ///
    /// # Errors
    /// When it is refused.
    pub fn mutate(&self, mutation: &Mutation) -> Result<()> {
        self.vcenter().mutate(mutation).map(drop).map_err(|error| anyhow::anyhow!("{mutation:?}: {error}"))
    }

    /// Changes AWS behind vmbridge's back.
    ///
    /// # Errors
    /// When it is refused.
    pub fn mutate_aws(&self, mutation: Value) -> Result<Option<String>> {
        let mutation: AwsMutation = serde_json::from_value(mutation)?;
        self.aws().mutate(&mutation).map_err(|error| anyhow::anyhow!("{mutation:?}: {error}"))
    }

    /// Registers nodes in the first VMs that can be some, each with an activation of its own.
    async fn register(&mut self, count: usize) -> Result<()> {
        let inventory: Value = serde_json::from_str(&self.ran(&["inventory", "--json"]).await?.stdout)?;
        let vms = inventory["vms"].as_array().context("VMs")?;
        let suitable = vms.iter().filter(|vm| {
            vm["template"] == false && vm["managedBy"].is_null() && vm["instanceUuid"].is_string()
        });
        for vm in suitable.take(count) {
            let text = |key: &str| vm[key].as_str().unwrap_or_default();
            let description = format!(
                "vmbridge vcenter={} vm={} instance={}",
                text("vcenterUuid"),
                text("moref"),
                text("instanceUuid")
            );
            let activation = self.mutate_aws(json!({ "op": "addActivation", "description": description }))?;
            let node =
                self.mutate_aws(json!({ "op": "addNode", "activation": activation, "computerName": "web" }))?;
            self.vms.push(ManagedVm {
                moref: text("moref").to_owned(),
                name: text("name").to_owned(),
                node: node.context("a node has an id")?,
            });
        }
        if self.vms.len() != count {
            bail!("only {} of {count} VMs can be nodes", self.vms.len());
        }
        Ok(())
    }

    /// Gives a VM this value in a category, or none.
    ///
    /// # Errors
    /// When vCenter refuses.
    pub fn tag(&mut self, vm: usize, category: &str, value: Option<&str>) -> Result<()> {
        let id = self.vms[vm].moref.clone();
        let place = (id.clone(), category.to_owned());
        if let Some(before) = self.attached.remove(&place) {
            self.mutate(&Mutation::DetachTag { id: id.clone(), tag: format!("{category}:{before}") })?;
        }
        if let Some(value) = value {
            self.mutate(&Mutation::AttachTag { id, tag: format!("{category}:{value}") })?;
            self.attached.insert(place, value.to_owned());
        }
        Ok(())
    }

    /// The tags that the rules want on the node of a VM, without our mark.
    #[must_use]
    pub fn wanted(&self, vm: usize) -> BTreeMap<String, String> {
        let id = &self.vms[vm].moref;
        let mine = self.attached.iter().filter(|((moref, _), _)| moref == id);
        mine.map(|((_, category), value)| (category.clone(), value.clone())).collect()
    }

    /// The tags that are on the node of a VM, without our mark.
    #[must_use]
    pub fn tags(&self, vm: usize) -> BTreeMap<String, String> {
        let mut tags = self.aws().tags(&self.vms[vm].node).unwrap_or_default();
        tags.remove("vmbridge:owner");
        tags
    }

    /// A command with the credentials of the account.
    ///
    /// # Errors
    /// When it has not been built.
    pub fn vmbridge(&self, arguments: &[&str]) -> Result<Vmbridge> {
        let account = self.aws().accounts()[0].clone();
        Ok(self
            .estate
            .vmbridge(arguments)?
            .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", account.secret_access_key.expose_secret())
            .env("AWS_EC2_METADATA_DISABLED", "true"))
    }

    /// Runs a command to its end. What could not run at all is an error.
    ///
    /// # Errors
    /// When it ends with 2, or hangs.
    pub async fn ran(&self, arguments: &[&str]) -> Result<Ended> {
        let ended = self.vmbridge(arguments)?.run().await?;
        if ended.code == Some(2) || ended.stderr.contains("panicked") {
            bail!("{arguments:?}: {}", ended.stderr);
        }
        Ok(ended)
    }

    /// The plan, and how the command ended.
    ///
    /// # Errors
    /// When it cannot be had.
    pub async fn plan(&self) -> Result<(Option<i32>, Value)> {
        let ended = self.ran(&["plan", "--json"]).await?;
        Ok((ended.code, serde_json::from_str(&ended.stdout)?))
    }

    /// The journal, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn journal(&self) -> Result<Vec<Value>> {
        // There is none before anything was done.
        let ended = self.vmbridge(&["audit", "--json"])?.run().await?;
        Ok(ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    }

    /// What was changed through this operation.
    #[must_use]
    pub fn effects(&self, operation: &str) -> Vec<Effect> {
        let mut effects = self.simulator.effects();
        effects.retain(|effect| effect.operation == operation);
        effects
    }
}
