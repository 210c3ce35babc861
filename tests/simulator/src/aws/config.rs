//! What of AWS to simulate.

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::aggregation::AwsAggregation;

/// AWS: its accounts, and what lags or is scarce there.
#[derive(Debug, Clone)]
pub struct AwsConfig {
    /// The accounts; at least one.
    pub accounts: Vec<AwsAccount>,
    /// Managed nodes for VMs of the vCenters; `None`: none at the start.
    pub nodes: Option<NodeSeeding>,
    /// How long reads go on seeing what was there before a write.
    pub read_delay: ReadDelay,
    /// How many calls pass; `None`: any number.
    pub throttle: Option<Throttle>,
    /// Whether calls of Security Hub are limited as its documentation says, beside the throttle.
    pub documented_rates: bool,
}

impl Default for AwsConfig {
    fn default() -> Self {
        Self {
            accounts: vec![AwsAccount::numbered(1)],
            nodes: None,
            read_delay: ReadDelay::default(),
            throttle: None,
            documented_rates: false,
        }
    }
}

impl AwsConfig {
    /// One account with nodes for a share of the VMs.
    pub fn with_nodes(share_percent: u8, seed: u64) -> Self {
        let nodes = NodeSeeding { share_percent, seed, ..NodeSeeding::default() };
        Self { nodes: Some(nodes), ..Self::default() }
    }
}

impl AwsConfig {
    /// What contradicts itself.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.accounts.is_empty() {
            return Some("AWS has no account".to_owned());
        }
        for (at, account) in self.accounts.iter().enumerate() {
            if account.id.len() != 12 || !account.id.bytes().all(|byte| byte.is_ascii_digit()) {
                return Some(format!("{} is no AWS account: those have twelve digits", account.id));
            }
            if account.regions.is_empty() {
                return Some(format!("the AWS account {} has no Region", account.id));
            }
            let same =
                |other: &AwsAccount| other.id == account.id || other.access_key_id == account.access_key_id;
            if self.accounts.iter().take(at).any(same) {
                return Some(format!("the AWS account {} or its key is there twice", account.id));
            }
            if let Some(region) =
                account.aggregation.as_ref().and_then(|aggregation| aggregation.unknown(account))
            {
                let id = &account.id;
                return Some(format!(
                    "findings of the AWS account {id} meet in or come from {region}, which it has not"
                ));
            }
        }
        let places = self.nodes.iter().flat_map(|nodes| &nodes.places);
        let known = |(id, region): &&(String, String)| {
            self.accounts.iter().any(|account| account.id == *id && account.regions.contains(region))
        };
        let unknown = places.into_iter().find(|place| !known(place));
        unknown.map(|(id, region)| {
            format!("nodes are to be in {region} of the AWS account {id}, which is not there")
        })
    }
}

/// An account.
#[derive(Clone)]
pub struct AwsAccount {
    /// Twelve digits.
    pub id: String,
    /// The Regions that are switched on, the main one first; each has its own state.
    pub regions: Vec<String>,
    /// The access key of its user `vmbridge`, `AKIA…`.
    pub access_key_id: String,
    /// The secret that belongs to it.
    pub secret_access_key: SecretString,
    /// Roles that can be assumed.
    pub roles: Vec<AwsRole>,
    /// Names of the service roles that activations may give to nodes.
    pub instance_roles: Vec<String>,
    /// Parameters in the Parameter Store of every Region.
    pub parameters: Vec<AwsParameter>,
    /// Whether more than 1,000 nodes may be registered in a Region, which the account pays for.
    pub advanced_tier: bool,
    /// Whether Security Hub is switched on.
    pub security_hub: bool,
    /// Whether Patch Manager writes a finding for each run that leaves a node non-compliant.
    pub patch_findings: bool,
    /// Which Region sees the findings of others too; `None`: none does.
    pub aggregation: Option<AwsAggregation>,
}

impl fmt::Debug for AwsAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsAccount")
            .field("id", &self.id)
            .field("regions", &self.regions)
            .field("access_key_id", &self.access_key_id)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

impl AwsAccount {
    /// The `number`-th account of a simulation, counted from 1: Regions eu-central-1 and us-east-1, the role `vmbridge`,
    /// which every simulated account may assume, and the service role `vmbridge-node`.
    pub fn numbered(number: u16) -> Self {
        Self {
            id: format!("11112222{number:04}"),
            regions: vec!["eu-central-1".to_owned(), "us-east-1".to_owned()],
            access_key_id: format!("AKIASIMULATED{number:07}"),
            secret_access_key: SecretString::from(format!("simulated/secret+of/account/{number:012}")),
            roles: vec![AwsRole {
                name: "vmbridge".to_owned(),
                trusts: vec!["*".to_owned()],
                external_id: None,
            }],
            instance_roles: vec!["vmbridge-node".to_owned(), "SSMServiceRole".to_owned()],
            parameters: Vec::new(),
            advanced_tier: false,
            security_hub: true,
            patch_findings: false,
            aggregation: None,
        }
    }

    /// The secret access key, for tests that sign.
    pub fn secret(&self) -> &str {
        self.secret_access_key.expose_secret()
    }

    /// ARN of the account's user.
    pub fn user_arn(&self) -> String {
        format!("arn:aws:iam::{}:user/vmbridge", self.id)
    }

    /// ARN of a role of the account.
    pub fn role_arn(&self, role: &str) -> String {
        format!("arn:aws:iam::{}:role/{role}", self.id)
    }
}

/// A role that can be assumed.
#[derive(Debug, Clone)]
pub struct AwsRole {
    /// Its name.
    pub name: String,
    /// Account ids or ARNs of those who may assume it; `*`: everybody.
    pub trusts: Vec<String>,
    /// What they must say in addition.
    pub external_id: Option<String>,
}

/// A parameter of the Parameter Store.
#[derive(Clone)]
pub struct AwsParameter {
    /// Its name, with the slash where it has a path.
    pub name: String,
    /// Its value.
    pub value: SecretString,
    /// `SecureString` instead of `String`.
    pub secure: bool,
}

impl fmt::Debug for AwsParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsParameter").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Managed nodes made from VMs that are powered on and whose Tools run.
#[derive(Debug, Clone)]
pub struct NodeSeeding {
    /// How many of these VMs have a node, in percent.
    pub share_percent: u8,
    /// So many of them instead, spread evenly; the oddities come on top.
    pub count: Option<usize>,
    /// The same seed makes the same nodes for the same fleets.
    pub seed: u64,
    /// In which accounts and Regions, by turns; empty: the first Region of the first account.
    pub places: Vec<(String, String)>,
    /// Whether there are oddities too: a node without a VM, and two VMs with one host name and one node.
    pub oddities: bool,
    /// EC2 instances that SSM manages, beside the nodes.
    pub ec2_instances: usize,
}

impl Default for NodeSeeding {
    fn default() -> Self {
        Self { share_percent: 50, count: None, seed: 1, places: Vec::new(), oddities: true, ec2_instances: 0 }
    }
}

/// How long reads lag behind writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadDelay {
    /// Reads of SSM itself.
    pub ssm: Duration,
    /// Reads of the Resource Groups Tagging API.
    pub tagging: Duration,
    /// Reads of Security Hub.
    pub securityhub: Duration,
}

impl ReadDelay {
    /// The same for all.
    pub fn all(delay: Duration) -> Self {
        Self { ssm: delay, tagging: delay, securityhub: delay }
    }

    pub(crate) fn longest(self) -> Duration {
        self.ssm.max(self.tagging).max(self.securityhub)
    }
}

/// A token bucket for each operation of each account and Region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Throttle {
    /// Calls per second.
    pub rate: f64,
    /// Calls at once.
    pub burst: f64,
    /// The operations that are throttled, as in fault rules, with a `*` at the end for any rest.
    #[serde(default = "everything")]
    pub operation: String,
}

fn everything() -> String {
    "*".to_owned()
}
