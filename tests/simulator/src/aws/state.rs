//! What the accounts hold, Region by Region.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::uptime;

use super::associations::Associations;
use super::compliance::Compliance;
use super::config::{AwsAccount, AwsConfig, ReadDelay, Throttle};
use super::findings::{Failing, Findings};
use super::iam::Policy;
use super::inventory::Inventory;
use super::throttle::Buckets;
use super::timeline::Timeline;
use super::windows::Windows;

/// The most nodes of the standard tier in a Region.
pub(crate) const STANDARD_NODES: usize = 1000;

/// The VM that a node runs in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwsVm {
    /// Name of the vCenter in the simulation.
    pub vcenter: String,
    /// The VM there.
    pub moref: String,
}

/// A managed node, as SSM knows it now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsNode {
    /// `mi-…`, or `i-…` for an EC2 instance.
    pub instance_id: String,
    /// `ManagedInstance` or `EC2Instance`.
    pub resource_type: String,
    /// `Online`, `ConnectionLost` or `Inactive`.
    pub ping_status: String,
    /// When the agent was last heard of.
    pub last_ping: Timestamp,
    /// Version of SSM Agent.
    pub agent_version: String,
    /// Whether that is the latest.
    pub is_latest_version: bool,
    /// `Linux` or `Windows`.
    pub platform_type: String,
    /// Such as `Ubuntu`.
    pub platform_name: String,
    /// Such as `24.04`.
    pub platform_version: String,
    /// The activation by which it was registered.
    pub activation_id: Option<String>,
    /// Its service role.
    pub iam_role: Option<String>,
    /// When it was registered.
    pub registration_date: Option<Timestamp>,
    /// `DefaultInstanceName` of its activation.
    pub name: Option<String>,
    /// Address of its first network adapter, as the agent sees it.
    pub ip_address: String,
    /// Host name, as the agent sees it.
    pub computer_name: String,
    /// The VM that it runs in. AWS does not know this; tests do.
    pub vm: Option<AwsVm>,
}

impl AwsNode {
    /// The node as DescribeInstanceInformation tells it.
    pub(crate) fn told(&self) -> Value {
        let mut told = json!({
            "InstanceId": self.instance_id, "PingStatus": self.ping_status,
            "LastPingDateTime": seconds(self.last_ping), "AgentVersion": self.agent_version,
            "IsLatestVersion": self.is_latest_version, "PlatformType": self.platform_type,
            "PlatformName": self.platform_name, "PlatformVersion": self.platform_version,
            "ResourceType": self.resource_type, "IPAddress": self.ip_address, "ComputerName": self.computer_name,
            "SourceId": self.instance_id,
            "SourceType": if self.is_managed() { "AWS::SSM::ManagedInstance" } else { "AWS::EC2::Instance" },
        });
        let optional = [
            ("ActivationId", self.activation_id.clone().map(Value::from)),
            ("IamRole", self.iam_role.clone().map(Value::from)),
            ("RegistrationDate", self.registration_date.map(seconds)),
            ("Name", self.name.clone().map(Value::from)),
        ];
        for (member, value) in optional {
            if let Some(value) = value {
                told[member] = value;
            }
        }
        // What the agent has not told yet is left out.
        if let Value::Object(members) = &mut told {
            members.retain(|_, value| value != "");
        }
        told
    }

    pub(crate) fn is_managed(&self) -> bool {
        self.resource_type == "ManagedInstance"
    }
}

/// A moment as the JSON protocol writes it.
pub(crate) fn seconds(moment: Timestamp) -> Value {
    let milliseconds = moment.as_millisecond();
    if milliseconds % 1000 == 0 {
        (milliseconds / 1000).into()
    } else {
        (milliseconds as f64 / 1000.0).into()
    }
}

/// Keys and values; `None`: the resource never had a tag.
pub(crate) type Tags = Option<Arc<BTreeMap<String, String>>>;

/// A node with its past.
#[derive(Debug)]
pub(crate) struct Node {
    /// `None`: it was deregistered.
    pub(crate) info: Timeline<Option<Arc<AwsNode>>>,
    pub(crate) tags: Timeline<Tags>,
    /// What its agent proves itself with; `None`: no agent registered it.
    pub(crate) key: Option<AgentKey>,
}

/// What an agent told when it registered.
#[derive(Debug, Clone)]
pub(crate) struct AgentKey {
    /// The public key, in DER form (`SubjectPublicKeyInfo`).
    pub(crate) public: Vec<u8>,
    /// What it took from the machine.
    pub(crate) fingerprint: String,
}

impl Node {
    pub(crate) fn new(since: Duration, info: AwsNode, tags: Tags) -> Self {
        Self { info: Timeline::new(since, Some(Arc::new(info))), tags: Timeline::new(since, tags), key: None }
    }

    /// The tags now, none where there never were any.
    pub(crate) fn tags_now(&self) -> BTreeMap<String, String> {
        self.tags.now().as_deref().cloned().unwrap_or_default()
    }
}

/// An activation.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsActivation {
    /// Its id.
    pub activation_id: String,
    /// What an agent shows beside the id.
    #[serde(skip)]
    pub activation_code: String,
    /// What was written about it.
    pub description: Option<String>,
    /// The name that its nodes get.
    pub default_instance_name: Option<String>,
    /// The service role that its nodes get.
    pub iam_role: String,
    /// How many nodes may use it.
    pub registration_limit: u32,
    /// How many have used it.
    pub registrations_count: u32,
    /// When it ends.
    pub expiration_date: Timestamp,
    /// When it was made.
    pub created_date: Timestamp,
    /// The tags that its nodes get.
    pub tags: BTreeMap<String, String>,
}

impl fmt::Debug for AwsActivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsActivation")
            .field("activation_id", &self.activation_id)
            .field("description", &self.description)
            .field("registration_limit", &self.registration_limit)
            .field("registrations_count", &self.registrations_count)
            .field("expiration_date", &self.expiration_date)
            .finish_non_exhaustive()
    }
}

impl AwsActivation {
    /// The activation as DescribeActivations tells it.
    pub(crate) fn told(&self, now: Timestamp) -> Value {
        let mut told = json!({
            "ActivationId": self.activation_id, "IamRole": self.iam_role, "RegistrationLimit": self.registration_limit,
            "RegistrationsCount": self.registrations_count, "ExpirationDate": seconds(self.expiration_date),
            "Expired": self.expiration_date <= now, "CreatedDate": seconds(self.created_date),
            "Tags": tag_list(&self.tags),
        });
        for (member, value) in
            [("Description", &self.description), ("DefaultInstanceName", &self.default_instance_name)]
        {
            if let Some(value) = value {
                told[member] = value.clone().into();
            }
        }
        told
    }
}

/// Tags as services write them.
pub(crate) fn tag_list(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// What one Region of an account holds.
#[derive(Debug, Default)]
pub(crate) struct Region {
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) activations: BTreeMap<String, Timeline<Option<Arc<AwsActivation>>>>,
    pub(crate) findings: Findings,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) windows: Windows,
    pub(crate) inventory: Inventory,
    pub(crate) compliance: Compliance,
    pub(crate) associations: Associations,
}

impl Region {
    /// A node that is registered now.
    pub(crate) fn node(&self, id: &str) -> Option<(&Node, &Arc<AwsNode>)> {
        let node = self.nodes.get(id)?;
        Some((node, node.info.now().as_ref()?))
    }

    /// How many nodes are registered that are no EC2 instances.
    pub(crate) fn registered(&self) -> usize {
        self.nodes
            .values()
            .filter_map(|node| node.info.now().as_ref())
            .filter(|info| info.is_managed())
            .count()
    }
}

/// A parameter and its versions, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) secure: bool,
    pub(crate) versions: Vec<(Timestamp, SecretString)>,
}

/// A session of an assumed role.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) account: String,
    pub(crate) role: String,
    pub(crate) role_id: String,
    pub(crate) name: String,
    pub(crate) secret: SecretString,
    pub(crate) token: SecretString,
    /// Of [`uptime`].
    pub(crate) until: Duration,
    /// What the session may do at most.
    pub(crate) policy: Option<Policy>,
}

/// Everything.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) accounts: Vec<AwsAccount>,
    pub(crate) regions: BTreeMap<(String, String), Region>,
    pub(crate) sessions: HashMap<String, Session>,
    /// Policies of users and roles by ARN; who has none may do everything.
    pub(crate) policies: HashMap<String, Policy>,
    delay: ReadDelay,
    /// The moments that readers have seen already when the delay was changed.
    floor: ReadDelay,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) buckets: Buckets,
    /// Whether Security Hub's documented limits hold.
    pub(crate) documented_rates: bool,
    /// Findings whose next writes are to fail.
    pub(crate) failing: Vec<Failing>,
    /// Calls by operation, account and Region.
    pub(crate) calls: BTreeMap<(String, String, String), u64>,
    /// Answers that did not fit the service model: mistakes of the simulator.
    pub(crate) mistakes: Vec<String>,
    /// Actions that policies refused, in order.
    pub(crate) refused: Vec<String>,
    /// How far the clock of maintenance windows, findings and compliance is ahead.
    pub(crate) skipped: SignedDuration,
}

impl State {
    pub(crate) fn new(config: &AwsConfig) -> Self {
        let now = crate::clock::now(0);
        let mut regions = BTreeMap::new();
        for account in &config.accounts {
            for region in &account.regions {
                let parameters = account.parameters.iter().map(|parameter| {
                    let versions = vec![(now, parameter.value.clone())];
                    (parameter.name.clone(), Parameter { secure: parameter.secure, versions })
                });
                let held = Region { parameters: parameters.collect(), ..Region::default() };
                regions.insert((account.id.clone(), region.clone()), held);
            }
        }
        Self {
            accounts: config.accounts.clone(),
            regions,
            sessions: HashMap::new(),
            policies: HashMap::new(),
            delay: config.read_delay,
            floor: ReadDelay::default(),
            throttle: config.throttle.clone(),
            buckets: Buckets::default(),
            documented_rates: config.documented_rates,
            failing: Vec::new(),
            calls: BTreeMap::new(),
            mistakes: Vec::new(),
            refused: Vec::new(),
            skipped: SignedDuration::ZERO,
        }
    }

    pub(crate) fn account(&self, id: &str) -> Option<&AwsAccount> {
        self.accounts.iter().find(|account| account.id == id)
    }

    pub(crate) fn region(&self, account: &str, region: &str) -> Option<&Region> {
        self.regions.get(&(account.to_owned(), region.to_owned()))
    }

    pub(crate) fn region_mut(&mut self, account: &str, region: &str) -> Option<&mut Region> {
        self.regions.get_mut(&(account.to_owned(), region.to_owned()))
    }

    /// The time by the clock that tests move ahead: that of maintenance windows, findings and compliance.
    pub(crate) fn window_time(&self) -> Timestamp {
        let now = crate::clock::now(0);
        now.checked_add(self.skipped).unwrap_or(now)
    }

    /// What readers see is how it was at this moment. They never go back in time, also not when the delay grows.
    pub(crate) fn seen(&self, of: impl Fn(&ReadDelay) -> Duration) -> Duration {
        uptime().saturating_sub(of(&self.delay)).max(of(&self.floor))
    }

    pub(crate) fn set_delay(&mut self, delay: ReadDelay) {
        self.floor = ReadDelay {
            ssm: self.seen(|delay| delay.ssm),
            tagging: self.seen(|delay| delay.tagging),
            securityhub: self.seen(|delay| delay.securityhub),
        };
        self.delay = delay;
    }

    /// How long the past is needed.
    pub(crate) fn keep(&self) -> Duration {
        self.delay.longest()
    }
}
