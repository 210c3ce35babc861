//! Explain: everything that vmbridge knows of one VM, what it would do about it, and why not more.
//!
//! It only puts together what the plan, the memory and the journal say; it decides nothing of its own.

mod text;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use text::write_explanation;

use crate::aws::{NodeId, Place};
use crate::control::{Found, Refusal, SnapshotDocument, WindowDocument, find, snapshots_of, windows_of};
use crate::fleet::VmView;
use crate::plan::{ActionDocument, HeldDocument, View, VmDocument};
use crate::store::{Holder, Outcome, Query, Reader, StoreError, VmId};

/// The form of the document.
pub const EXPLAIN_SCHEMA: &str = "vmbridge.explain/1";
/// The latest so many entries of the journal are told, of the node and of the VM each.
const ENTRIES: u32 = 10;

/// Everything about one VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `vmbridge.explain/1`.
    pub schema: String,
    /// As of when.
    pub time: String,
    /// What is true of everything and keeps anything from being done.
    pub problems: Vec<String>,
    /// How current its vCenter's data is, in a word.
    pub vcenter_state: String,
    /// What each capability says.
    pub vm: VmDocument,
    /// What vSphere says, in the form of `vmbridge inventory --json`.
    pub inventory: serde_json::Value,
    /// What AWS says, if it is a node.
    pub node: Option<NodeExplanation>,
    /// The tags of the node, and those that it should have.
    pub tags: Vec<TagExplanation>,
    /// What would be done.
    pub actions: Vec<ActionDocument>,
    /// What of it waits for a person.
    pub held: Vec<HeldDocument>,
    /// The windows that reach it, each with this VM only.
    pub windows: Vec<WindowDocument>,
    /// The snapshots that vmbridge takes, has or had of it, oldest first.
    pub snapshots: Vec<SnapshotDocument>,
    /// What was done lately, oldest first.
    pub journal: Vec<EntryExplanation>,
}

/// What AWS says of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeExplanation {
    /// Its id.
    pub id: String,
    /// Account and Region.
    pub place: String,
    /// What the agent calls the machine.
    pub computer_name: Option<String>,
    /// The agent's address.
    pub ip_address: Option<String>,
    /// How the agent is, in words.
    pub ping: String,
    /// When it was last heard of.
    pub last_ping: Option<String>,
    /// The agent's version.
    pub agent_version: Option<String>,
    /// The activation that it was registered with.
    pub activation: Option<String>,
}

/// A tag of a node, or one that it should have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TagExplanation {
    /// Its key.
    pub key: String,
    /// Its value as it was read.
    pub value: Option<String>,
    /// What the rules want.
    pub wanted: Option<String>,
    /// The rule that wants it, or that it came from.
    pub rule: Option<String>,
    /// `vmbridge`, `others`, or `nobody` while it is not there.
    pub owner: String,
}

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EntryExplanation {
    /// Its number.
    pub id: i64,
    /// When it was intended.
    pub intended: String,
    /// What kind of action.
    pub kind: String,
    /// Of what.
    pub object: String,
    /// How it ended; `open` as long as that is not known.
    pub outcome: String,
    /// Why it failed.
    pub error: Option<String>,
}

/// Explains the VM that `text` names, all but the journal.
///
/// # Errors
/// When it names none, or several.
pub fn explain(view: &View<'_>, text: &str) -> Result<Explanation, Refusal> {
    let plan = view.plan();
    let Found { vcenter, moref } = find(view.fleet, &plan, text)?;
    let part = view.fleet.part(&vcenter);
    let Some((part, vm)) = part.and_then(|part| Some((part, part.vm(&moref)?))) else {
        return Err(Refusal(format!("{text} has just gone")));
    };
    let planned = plan.vms.iter().find(|planned| planned.vcenter == vcenter && *planned.vm.vm == *moref);
    let Some(planned) = planned else {
        return Err(Refusal(format!("the vCenter {} has not been reached yet", vcenter.as_str())));
    };
    let target = planned.target.as_ref().and_then(|target| view.cloud.target(target));
    let place = target.and_then(|target| target.place.as_ref());
    let node = planned.link.as_ref().and_then(|link| target?.nodes.get(&link.node));
    let mine = |id: Option<&VmId>| id == Some(&planned.vm);
    let actions: Vec<_> = plan.actions.iter().filter(|action| mine(action.action.vm())).collect();
    let held = actions.iter().filter_map(|action| plan.held.get(action.held?));
    let mut held: Vec<HeldDocument> = held.map(HeldDocument::of).collect();
    held.dedup_by(|a, b| a.id == b.id);
    Ok(Explanation {
        schema: EXPLAIN_SCHEMA.to_owned(),
        time: view.now.to_string(),
        problems: plan.problems.clone(),
        vcenter_state: part.state(view.now, view.policy.stale_after).word().to_owned(),
        vm: VmDocument::of(planned),
        inventory: serde_json::json!(vm.document()),
        node: node.zip(place).map(|(node, place)| NodeExplanation {
            id: node.id.to_string(),
            place: place.to_string(),
            computer_name: node.computer_name.as_deref().map(str::to_owned),
            ip_address: node.ip_address.map(|address| address.to_string()),
            ping: node.ping.words().to_owned(),
            last_ping: node.last_ping.map(|time| time.to_string()),
            agent_version: node.agent_version.as_deref().map(str::to_owned),
            activation: node.activation.as_ref().map(ToString::to_string),
        }),
        tags: match node.zip(place) {
            Some((node, place)) => {
                tags(view, &vm, target.and_then(|it| it.tags.get(&node.id)), place, &node.id)
            }
            None => Vec::new(),
        },
        actions: actions.into_iter().map(|action| ActionDocument::of(action, view.policy)).collect(),
        held,
        windows: windows_of(&plan, &planned.vm, view.now),
        snapshots: snapshots_of(view, &planned.vm),
        journal: Vec::new(),
    })
}

/// The tags that are there and those that are wanted, by key.
fn tags(
    view: &View<'_>,
    vm: &VmView<'_>,
    observed: Option<&std::sync::Arc<crate::aws::NodeTags>>,
    place: &Place,
    node: &NodeId,
) -> Vec<TagExplanation> {
    let desired = view.policy.rules.desired(vm);
    let owned = view.memory.owned_by(&Holder::node(place, node));
    let mut keys: std::collections::BTreeSet<&str> =
        desired.tags.iter().map(|tag| tag.key.as_str()).collect();
    keys.extend(observed.iter().flat_map(|tags| tags.keys().map(|key| &**key)));
    let explained = keys.into_iter().map(|key| {
        let value = observed.and_then(|tags| tags.get(key)).map(ToString::to_string);
        let wanted = desired.tags.iter().find(|tag| tag.key.as_str() == key);
        let ours = owned.and_then(|owned| owned.get(key)).filter(|owned| owned.value.is_some());
        let rule = wanted.map(|tag| view.policy.rules.name(tag.rule).to_owned());
        let owner = match (&value, ours) {
            (None, None) => "nobody",
            (_, Some(_)) => "vmbridge",
            (Some(_), None) => "others",
        };
        TagExplanation {
            key: key.to_owned(),
            value,
            wanted: wanted.map(|tag| tag.value.as_str().to_owned()),
            rule: rule.or_else(|| ours.map(|owned| owned.rule.to_string())),
            owner: owner.to_owned(),
        }
    });
    explained.collect()
}

impl Explanation {
    /// Adds what the journal says of the VM and of its node.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn read_journal(&mut self, reader: &Reader) -> Result<(), StoreError> {
        let uuid = self.inventory["vcenterUuid"].as_str().unwrap_or_default().to_owned();
        let objects = [Some((uuid, self.vm.moref.clone()))]
            .into_iter()
            .chain([self.node.as_ref().map(|node| (node.place.clone(), node.id.clone()))])
            .flatten();
        let mut entries = Vec::new();
        for (place, object) in objects {
            let query = Query { object: Some(object.clone()), limit: Some(ENTRIES), ..Query::default() };
            // The same object id can be elsewhere too, and so can a VM of this name.
            let found = reader.journal(&query).await?;
            entries.extend(found.into_iter().filter(|entry| entry.object == object && entry.place == place));
        }
        entries.sort_by_key(|entry| entry.id.0);
        self.journal = entries
            .into_iter()
            .map(|entry| EntryExplanation {
                id: entry.id.0,
                intended: Timestamp::to_string(&entry.intended),
                kind: entry.kind,
                object: entry.object,
                outcome: entry.outcome.map_or("open", Outcome::word).to_owned(),
                error: entry.error,
            })
            .collect();
        Ok(())
    }
}

/// Whether the plan has anything to say of this VM that a person should look at.
#[must_use]
pub fn has_problem(explanation: &Explanation) -> bool {
    explanation.vm.capabilities.values().any(|said| said.problem) || !explanation.problems.is_empty()
}
