//! Changes to what AWS holds that nobody asked for through its API, as values: nodes that register and go offline, tags
//! that somebody else sets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::MutateError;
use crate::clock::{now, uptime};
use crate::soap::session::random_uuid;
use crate::vcenter::lock;

use super::aggregation::AwsAggregation;
use super::associations::AwsAssociationStatus;
use super::findings::{Moment, Owner};
use super::registration::{self, Newcomer, Refused};
use super::seed::{self, Machine};
use super::state::{AwsActivation, AwsNode, AwsVm, Node, Parameter, State};
use super::timeline::Timeline;
use super::windows::{AwsPatchOutcome, AwsWindow, Group, Hook};
use super::{Aws, nodes, tags, windows};

/// One change. Where account and Region are left out, the first Region of the first account is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields say what they are; the variants say what happens")]
pub enum AwsMutation {
    /// Registers a node, as an agent would; returns its id. What is not given comes from the VM, where there is one,
    /// and name, role and tags from the activation.
    AddNode {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        #[serde(default)]
        vm: Option<AwsVm>,
        #[serde(default)]
        computer_name: Option<String>,
        #[serde(default)]
        ip_address: Option<String>,
        /// `Linux` or `Windows`
        #[serde(default)]
        platform_type: Option<String>,
        #[serde(default)]
        activation: Option<String>,
        #[serde(default)]
        tags: BTreeMap<String, String>,
    },
    /// Deregisters a node.
    RemoveNode { node: String },
    /// Changes what the agent of a node reports; absent parts stay.
    SetNode {
        node: String,
        #[serde(default)]
        ping_status: Option<String>,
        #[serde(default)]
        computer_name: Option<String>,
        #[serde(default)]
        ip_address: Option<String>,
        #[serde(default)]
        agent_version: Option<String>,
    },
    /// Somebody sets a tag.
    Tag { node: String, key: String, value: String },
    /// Somebody removes a tag.
    Untag { node: String, key: String },
    /// Makes an activation; returns its id.
    AddActivation {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        #[serde(default)]
        description: Option<String>,
        #[serde(default)]
        registration_limit: Option<u32>,
        #[serde(default)]
        tags: BTreeMap<String, String>,
        #[serde(default)]
        expires_in_seconds: Option<i64>,
    },
    /// Deletes an activation.
    RemoveActivation { activation: String },
    /// Writes a new version of a parameter.
    SetParameter {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        name: String,
        value: String,
        #[serde(default)]
        secure: bool,
    },
    /// Somebody else's product, such as Patch Manager, writes a finding; returns its id.
    AddFinding {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        finding: Value,
    },
    /// Somebody changes a finding: its `Workflow.Status`, its record state, or the note on it.
    SetFinding {
        finding: String,
        #[serde(default)]
        workflow: Option<String>,
        #[serde(default)]
        note: Option<String>,
        #[serde(default)]
        record_state: Option<String>,
    },
    /// The next writes of findings fail, one by one: `BatchImportFindings` or `BatchUpdateFindings`, of ids that are given or begin
    /// so (`*` at the end).
    FailFindings {
        id: String,
        #[serde(default = "import")]
        operation: String,
        #[serde(default = "once")]
        times: u32,
        #[serde(default = "internal")]
        code: String,
    },
    /// Switches Patch Manager's own findings on or off.
    SetPatchFindings {
        #[serde(default)]
        account: Option<String>,
        on: bool,
    },
    /// Says which Region sees the findings of others; `null`: none does.
    SetAggregation {
        #[serde(default)]
        account: Option<String>,
        aggregation: Option<AwsAggregation>,
    },
    /// An EC2 instance becomes a managed node; returns its id.
    AddInstance {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        #[serde(default)]
        computer_name: Option<String>,
        #[serde(default)]
        ip_address: Option<String>,
        /// `Linux` or `Windows`
        #[serde(default)]
        platform_type: Option<String>,
        #[serde(default)]
        tags: BTreeMap<String, String>,
    },
    /// A node is scanned or patched, at once.
    Patch { node: String, outcome: AwsPatchOutcome },
    /// An association ran on a node, or is to run; `null`: it is no more.
    SetAssociation {
        node: String,
        /// The document.
        document: String,
        status: Option<AwsAssociationStatus>,
        /// `CRITICAL` … `UNSPECIFIED`
        #[serde(default = "unspecified")]
        severity: String,
    },
    /// Ends all sessions of assumed roles.
    ExpireSessions,
    /// Somebody makes a maintenance window with one target and one task; returns its id.
    AddWindow {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        window: AwsWindow,
    },
    /// Somebody deletes a maintenance window. Executions that have begun go on.
    RemoveWindow { window: String },
    /// Says how patching goes from now on, on a node or on all that nothing else is said of.
    SetPatching {
        #[serde(default)]
        node: Option<String>,
        outcome: AwsPatchOutcome,
        #[serde(default)]
        seconds: Option<u32>,
    },
    /// Says how many patches a node lacks. AWS tells of it after the next run.
    SetMissing { node: String, missing: u32 },
    /// Says where a pre-install hook fails: on nodes that carry a tag with this key, and on these nodes.
    SetHook {
        document: String,
        #[serde(default)]
        tag: Option<String>,
        #[serde(default)]
        nodes: BTreeSet<String>,
    },
    /// Somebody makes or changes a resource group: of nodes with all these tags, and of these nodes.
    SetGroup {
        #[serde(default)]
        account: Option<String>,
        #[serde(default)]
        region: Option<String>,
        name: String,
        #[serde(default)]
        tags: BTreeMap<String, String>,
        #[serde(default)]
        nodes: BTreeSet<String>,
    },
    /// Moves the clock of maintenance windows, findings and compliance ahead; what is due meanwhile happens, in order.
    SkipTime { seconds: u32 },
}

fn import() -> String {
    "BatchImportFindings".to_owned()
}

fn once() -> u32 {
    1
}

fn internal() -> String {
    "InternalFailure".to_owned()
}

fn unspecified() -> String {
    "UNSPECIFIED".to_owned()
}

fn gone(what: &str) -> MutateError {
    MutateError::NoSuchObject(what.to_owned())
}

/// The account and Region that are meant.
pub(super) fn place(
    state: &State,
    account: Option<&String>,
    region: Option<&String>,
) -> Result<(String, String), MutateError> {
    let account = match account {
        Some(id) => state.account(id).ok_or_else(|| gone(id))?,
        None => state.accounts.first().ok_or_else(|| gone("account"))?,
    };
    let region = match region {
        Some(name) => account.regions.iter().find(|known| *known == name).ok_or_else(|| gone(name))?,
        None => account.regions.first().ok_or_else(|| gone("region"))?,
    };
    Ok((account.id.clone(), region.clone()))
}

/// A node that is registered, wherever it is.
fn find<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Node, MutateError> {
    let found = state
        .regions
        .values_mut()
        .find_map(|held| held.nodes.get_mut(id).filter(|node| node.info.now().is_some()));
    found.ok_or_else(|| gone(id))
}

impl AwsMutation {
    /// Registers a node in a VM, in the first Region of the first account, as its agent would.
    #[must_use]
    pub fn node_of(vcenter: &str, moref: &str) -> Self {
        let vm = AwsVm { vcenter: vcenter.to_owned(), moref: moref.to_owned() };
        Self::node(Some(vm), None)
    }

    /// Registers a node that no VM is known of.
    #[must_use]
    pub fn stray_node(computer_name: &str) -> Self {
        Self::node(None, Some(computer_name.to_owned()))
    }

    fn node(vm: Option<AwsVm>, computer_name: Option<String>) -> Self {
        Self::AddNode {
            account: None,
            region: None,
            vm,
            computer_name,
            ip_address: None,
            platform_type: None,
            activation: None,
            tags: BTreeMap::new(),
        }
    }

    /// Somebody sets a tag.
    #[must_use]
    pub fn tag(node: &str, key: &str, value: &str) -> Self {
        Self::Tag { node: node.to_owned(), key: key.to_owned(), value: value.to_owned() }
    }

    pub(super) fn apply(&self, aws: &Aws) -> Result<Option<String>, MutateError> {
        if let Self::AddNode { .. } = self {
            return self.add_node(aws).map(Some);
        }
        if let Some(done) = self.apply_report(aws) {
            return done;
        }
        let mut state = lock(&aws.shared.state);
        windows::advance(&mut state);
        let keep = state.keep();
        match self {
            // Made above.
            Self::AddNode { .. }
            | Self::FailFindings { .. }
            | Self::SetPatchFindings { .. }
            | Self::SetAggregation { .. }
            | Self::AddInstance { .. }
            | Self::Patch { .. }
            | Self::SetAssociation { .. } => {}
            Self::RemoveNode { node } => nodes::remove(find(&mut state, node)?, uptime(), keep),
            Self::SetNode { node, ping_status, computer_name, ip_address, agent_version } => {
                if ping_status
                    .as_deref()
                    .is_some_and(|status| !["Online", "ConnectionLost", "Inactive"].contains(&status))
                {
                    return Err(MutateError::NotPossible {
                        what: "setting that ping status",
                        object: node.clone(),
                    });
                }
                let node = find(&mut state, node)?;
                let Some(info) = node.info.now() else { return Ok(None) };
                let mut info = AwsNode::clone(info);
                for (field, new) in [
                    (&mut info.ping_status, ping_status),
                    (&mut info.computer_name, computer_name),
                    (&mut info.ip_address, ip_address),
                    (&mut info.agent_version, agent_version),
                ] {
                    if let Some(new) = new {
                        field.clone_from(new);
                    }
                }
                node.info.set(uptime(), keep, Some(Arc::new(info)));
            }
            Self::Tag { node, key, value } => {
                let set = BTreeMap::from([(key.clone(), value.clone())]);
                tags::change(find(&mut state, node)?, uptime(), keep, &set, &BTreeSet::new());
            }
            Self::Untag { node, key } => {
                let removed = BTreeSet::from([key.clone()]);
                tags::change(find(&mut state, node)?, uptime(), keep, &BTreeMap::new(), &removed);
            }
            Self::AddActivation {
                account,
                region,
                description,
                registration_limit,
                tags,
                expires_in_seconds,
            } => {
                let (account, region) = place(&state, account.as_ref(), region.as_ref())?;
                let role =
                    state.account(&account).and_then(|account| account.instance_roles.first().cloned());
                let created_date = now(0);
                let activation = AwsActivation {
                    activation_id: random_uuid(),
                    activation_code: random_uuid(),
                    description: description.clone(),
                    default_instance_name: None,
                    iam_role: role.unwrap_or_default(),
                    registration_limit: registration_limit.unwrap_or(1),
                    registrations_count: 0,
                    expiration_date: created_date
                        + SignedDuration::from_secs(expires_in_seconds.unwrap_or(86_400)),
                    created_date,
                    tags: tags.clone(),
                };
                let id = activation.activation_id.clone();
                if let Some(held) = state.region_mut(&account, &region) {
                    held.activations.insert(id.clone(), Timeline::new(uptime(), Some(Arc::new(activation))));
                }
                return Ok(Some(id));
            }
            Self::RemoveActivation { activation } => {
                let found = state.regions.values_mut().find_map(|held| held.activations.get_mut(activation));
                let line = found.filter(|line| line.now().is_some()).ok_or_else(|| gone(activation))?;
                line.set(uptime(), keep, None);
            }
            Self::SetParameter { account, region, name, value, secure } => {
                let (account, region) = place(&state, account.as_ref(), region.as_ref())?;
                if let Some(held) = state.region_mut(&account, &region) {
                    let fresh = Parameter { secure: *secure, versions: Vec::new() };
                    let parameter = held.parameters.entry(name.clone()).or_insert(fresh);
                    parameter.secure = *secure;
                    parameter.versions.push((now(0), SecretString::from(value.clone())));
                }
            }
            Self::AddFinding { account, region, finding } => {
                let (account, region) = place(&state, account.as_ref(), region.as_ref())?;
                let id = finding["Id"].as_str().ok_or_else(|| gone("Id"))?.to_owned();
                let owner = Owner { account: &account, region: &region };
                let moment = Moment { date: state.window_time(), now: uptime(), keep };
                if let Some(held) = state.region_mut(&account, &region) {
                    held.findings.import(finding.clone(), owner, moment);
                }
                return Ok(Some(id));
            }
            Self::SetFinding { finding, workflow, note, record_state } => {
                let date = state.window_time().to_string();
                let moment = Moment { date: state.window_time(), now: uptime(), keep };
                let found = state.regions.values_mut().find_map(|held| {
                    let key = held.findings.find(finding)?;
                    held.findings.update(&key, moment, |finding| {
                        if let Some(workflow) = workflow {
                            finding["Workflow"] = json!({ "Status": workflow });
                        }
                        if let Some(note) = note {
                            finding["Note"] = json!({ "Text": note, "UpdatedBy": "ada", "UpdatedAt": date });
                        }
                        if let Some(record_state) = record_state {
                            finding["RecordState"] = record_state.clone().into();
                        }
                    })
                });
                found.ok_or_else(|| gone(finding))?;
            }
            Self::AddWindow { account, region, window } => {
                let (account, region) = place(&state, account.as_ref(), region.as_ref())?;
                let now = state.window_time();
                let held = state.region_mut(&account, &region).ok_or_else(|| gone(&region))?;
                let made = held.windows.make(window, now);
                return made.map(Some).map_err(|object| MutateError::NotPossible {
                    what: "a maintenance window like that",
                    object,
                });
            }
            Self::RemoveWindow { window } => {
                let mut all = state.regions.values_mut();
                let found = all.find_map(|held| held.windows.windows.remove(window));
                found.ok_or_else(|| gone(window))?;
            }
            Self::SetPatching { node, outcome, seconds } => {
                for held in state.regions.values_mut() {
                    held.windows.scripts.set(node.as_deref(), *outcome, *seconds);
                }
            }
            Self::SetMissing { node, missing } => {
                let held = state.regions.values_mut().find(|held| held.node(node).is_some());
                let held = held.ok_or_else(|| gone(node))?;
                held.windows.patch_states.entry(node.clone()).or_default().missing = *missing;
            }
            Self::SetHook { document, tag, nodes } => {
                for held in state.regions.values_mut() {
                    let hook = Hook { tag: tag.clone(), nodes: nodes.clone() };
                    held.windows.hooks.insert(document.clone(), hook);
                }
            }
            Self::SetGroup { account, region, name, tags, nodes } => {
                let (account, region) = place(&state, account.as_ref(), region.as_ref())?;
                let held = state.region_mut(&account, &region).ok_or_else(|| gone(&region))?;
                let group = Group { nodes: nodes.clone(), tags: tags.clone() };
                held.windows.groups.insert(name.clone(), group);
            }
            Self::SkipTime { seconds } => {
                state.skipped += SignedDuration::from_secs(i64::from(*seconds));
                windows::advance(&mut state);
            }
            Self::ExpireSessions => {
                let now = uptime();
                for session in state.sessions.values_mut() {
                    session.until = session.until.min(now);
                }
            }
        }
        Ok(None)
    }

    fn add_node(&self, aws: &Aws) -> Result<String, MutateError> {
        let Self::AddNode { account, region, vm, computer_name, ip_address, platform_type, activation, tags } =
            self
        else {
            return Err(gone("node"));
        };
        // Worlds are looked at before AWS is locked, as everywhere.
        let mut machine = match vm {
            Some(vm) => seed::machine(&aws.vcenters, vm)?,
            None => Machine::plain(),
        };
        if platform_type.as_deref().is_some_and(|platform| platform != machine.platform_type) {
            let vm = machine.vm.take();
            machine = Machine::of_platform(platform_type.as_deref().unwrap_or_default());
            machine.vm = vm;
        }
        if let Some(name) = computer_name {
            machine.computer_name.clone_from(name);
        }
        if let Some(ip) = ip_address {
            machine.ip_address.clone_from(ip);
        }
        let mut state = lock(&aws.shared.state);
        windows::advance(&mut state);
        let (account, region) = place(&state, account.as_ref(), region.as_ref())?;
        let newcomer = Newcomer {
            info: machine.node(&seed::node_id(&random_uuid()), now(0)),
            tags: tags.clone(),
            activation: activation.clone(),
            key: None,
        };
        let shown = activation.clone().unwrap_or_default();
        registration::register(&mut state, &account, &region, newcomer).map_err(|refused| match refused {
            Refused::Unknown => gone(&shown),
            Refused::Full => MutateError::NotPossible {
                what: "registering more than 1,000 nodes of the standard tier",
                object: region.clone(),
            },
            Refused::UsedUp | Refused::Expired => MutateError::NotPossible {
                what: "registering with an activation that is used up or has expired",
                object: shown.clone(),
            },
        })
    }
}
