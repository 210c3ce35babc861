//! The plan as the outside sees it: what `vmbridge plan --json` prints and what the control socket answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mappings::protection::Act;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::action::Told;
use super::{Action, Capability, EnrolStep, Held, HubPlan, Plan, Planned, Policy, VmPlan, Why};
use crate::config::Mode;

/// The form of the document.
pub const PLAN_SCHEMA: &str = "vmbridge.plan/1";

/// A plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanDocument {
    /// `vmbridge.plan/1`.
    pub schema: String,
    /// As of when.
    pub time: String,
    /// Whether all that the plan depends on could be seen. What could not is a reason of its VMs.
    pub complete: bool,
    /// For how many VMs something is to be done that has to wait, because it failed lately or is under way.
    pub waiting: usize,
    /// What is true of everything and keeps anything from being done.
    pub problems: Vec<String>,
    /// How far each capability may go, and what it has to say about how many VMs.
    pub capabilities: Vec<CapabilityDocument>,
    /// What is to be done.
    pub actions: Vec<ActionDocument>,
    /// What waits for `vmbridge approve`.
    pub held: Vec<HeldDocument>,
    /// The VMs.
    pub vms: Vec<VmDocument>,
    /// Nodes that belong to no VM.
    pub nodes_without_vm: Vec<LoneNodeDocument>,
    /// How many findings there are and would be, by account and Region; nothing while `[findings]` is off.
    #[serde(default)]
    pub findings: Vec<FindingsDocument>,
}

/// The findings of an account and Region.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingsDocument {
    /// The account and Region that they go to.
    pub place: String,
    /// What is wrong now: an object and a rule each.
    pub problems: usize,
    /// How many findings that makes with `folding = "folded"`.
    pub folded: usize,
    /// How many with `folding = "full"`. Security Hub charges by finding.
    pub full: usize,
    /// How many are open there.
    pub open: usize,
    /// How many are to be sent or changed now.
    pub changes: usize,
    /// One sentence.
    pub sentence: String,
    /// Why nothing can be sent, with the fix.
    pub trouble: Option<String>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

/// A capability in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityDocument {
    /// Its word.
    pub capability: String,
    /// `off`, `observe` or `enforce`.
    pub mode: String,
    /// Numbers of VMs by the reason why nothing is to be done; `planned`: something is.
    pub vms: BTreeMap<String, usize>,
}

/// An action in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionDocument {
    /// The capability.
    pub capability: String,
    /// `addTags`, `removeTags`, `defineAttribute`, `setAttribute`.
    pub kind: String,
    /// The account and Region, or the vCenter's instance UUID.
    pub place: String,
    /// The node, or the VM's managed object id.
    pub object: String,
    /// The VM's name, or the vCenter's for a definition.
    pub label: String,
    /// What changes.
    pub changes: Vec<ChangeDocument>,
    /// `ready`, `observed` (the mode is `observe`), `held` (it waits for approval), `approved`.
    pub state: String,
    /// What tells this change from every other.
    pub fingerprint: String,
}

/// One value that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeDocument {
    /// Key of the tag, or name of the attribute.
    pub name: String,
    /// The value that is there now.
    pub before: Option<String>,
    /// The value that will be there; `null`: none.
    pub after: Option<String>,
    /// `new`, `changed`, `drift`, `adopted`, `mark`, `removed`, `defined`.
    pub why: String,
}

/// Changes that wait for approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldDocument {
    /// For `vmbridge approve`.
    pub id: String,
    /// The capability.
    pub capability: String,
    /// The account and Region, or the vCenter's instance UUID.
    pub place: String,
    /// Why.
    pub reason: String,
    /// How many changes.
    pub changes: usize,
}

/// A VM in the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmDocument {
    /// Its vCenter's name.
    pub vcenter: String,
    /// Its managed object id.
    pub moref: String,
    /// Its name.
    pub name: String,
    /// The target that it belongs to.
    pub target: Option<String>,
    /// The node that it is.
    pub node: Option<LinkDocument>,
    /// What each capability says, by its word.
    pub capabilities: BTreeMap<String, ReasonDocument>,
}

/// The node that a VM is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkDocument {
    /// Its id.
    pub id: String,
    /// `enrolled`, `linked`, `activation`, `matched`.
    pub basis: String,
    /// The same in words.
    pub because: String,
}

/// What a capability says of a VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonDocument {
    /// `planned`, or the word for why nothing is to be done.
    pub reason: String,
    /// One sentence.
    pub sentence: String,
    /// What to do.
    pub fix: Option<String>,
    /// Whether a person should look at it.
    pub problem: bool,
    /// What else there is to know.
    pub notes: Vec<NoteDocument>,
}

/// Something to know about one tag or attribute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoteDocument {
    /// The word for it.
    pub note: String,
    /// One sentence.
    pub sentence: String,
    /// Whether a person should look at it.
    pub problem: bool,
}

/// A node that belongs to no VM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoneNodeDocument {
    /// The target.
    pub target: String,
    /// The node.
    pub node: String,
    /// One sentence.
    pub sentence: String,
    /// What to do.
    pub fix: String,
}

impl PlanDocument {
    /// The document of a plan, of the VMs that `selected` names and of all actions on them.
    #[must_use]
    pub fn of(plan: &Plan, policy: &Policy, now: Timestamp, selected: impl Fn(&VmPlan) -> bool) -> Self {
        let vms: Vec<&VmPlan> = plan.vms.iter().filter(|vm| selected(vm)).collect();
        let ids: std::collections::HashSet<_> = vms.iter().map(|vm| &vm.vm).collect();
        let capabilities = Capability::ALL.iter().enumerate().map(|(at, capability)| CapabilityDocument {
            capability: capability.word().to_owned(),
            mode: policy.mode(*capability).word().to_owned(),
            vms: super::tally(vms.iter().map(|vm| word(&vm.verdicts[at]))),
        });
        let reasons =
            || plan.vms.iter().flat_map(|vm| &vm.verdicts).filter_map(|verdict| verdict.reason.as_ref());
        let actions =
            plan.actions.iter().filter(|planned| planned.action.vm().is_none_or(|vm| ids.contains(vm)));
        Self {
            schema: PLAN_SCHEMA.to_owned(),
            time: now.to_string(),
            complete: !reasons().any(super::Reason::is_blind),
            waiting: reasons().filter(|reason| reason.is_waiting()).count(),
            problems: plan.problems.clone(),
            capabilities: capabilities.collect(),
            actions: actions.map(|planned| ActionDocument::of(planned, policy)).collect(),
            held: plan.held.iter().map(HeldDocument::of).collect(),
            vms: vms.into_iter().map(VmDocument::of).collect(),
            nodes_without_vm: plan
                .lone
                .iter()
                .map(|(target, node, why)| LoneNodeDocument {
                    target: target.to_string(),
                    node: node.to_string(),
                    sentence: why.sentence(),
                    fix: why.fix().to_owned(),
                })
                .collect(),
            findings: plan.findings.iter().flat_map(|plan| &plan.hubs).map(FindingsDocument::of).collect(),
        }
    }
}

impl FindingsDocument {
    fn of(hub: &HubPlan) -> Self {
        Self {
            place: hub.place.to_string(),
            problems: hub.problems,
            folded: hub.folded,
            full: hub.full,
            open: hub.open,
            changes: hub.changes,
            sentence: hub.sentence(),
            trouble: hub.trouble.clone(),
            warnings: hub.warnings.clone(),
        }
    }
}

impl ActionDocument {
    /// The document of an action.
    #[must_use]
    pub fn of(planned: &Planned, policy: &Policy) -> Self {
        let (action, holder) = (&planned.action, planned.action.holder());
        let state = match policy.mode(action.capability()) {
            Mode::Observe if planned.asked => "ready",
            Mode::Off | Mode::Observe => "observed",
            Mode::Enforce if planned.held.is_some() => "held",
            Mode::Enforce if planned.approved => "approved",
            Mode::Enforce => "ready",
        };
        Self {
            capability: action.capability().word().to_owned(),
            kind: action.kind().word().to_owned(),
            place: holder.place.to_string(),
            object: holder.object.to_string(),
            label: action.label().to_string(),
            changes: changes(action),
            state: state.to_owned(),
            fingerprint: planned.fingerprint.clone(),
        }
    }
}

impl HeldDocument {
    /// The document of what waits.
    #[must_use]
    pub fn of(held: &Held) -> Self {
        Self {
            id: held.id.clone(),
            capability: held.capability.word().to_owned(),
            place: held.place.clone(),
            reason: held.reason.clone(),
            changes: held.fingerprints.len(),
        }
    }
}

fn word(verdict: &super::CapabilityVerdict) -> &'static str {
    verdict.reason.as_ref().map_or("planned", super::Reason::word)
}

impl VmDocument {
    /// The document of a VM.
    #[must_use]
    pub fn of(vm: &VmPlan) -> Self {
        let capabilities = Capability::ALL.iter().zip(&vm.verdicts).map(|(capability, verdict)| {
            let reason = verdict.reason.as_ref();
            let document = ReasonDocument {
                reason: word(verdict).to_owned(),
                sentence: reason
                    .map_or_else(|| "there is something to do".to_owned(), super::Reason::sentence),
                fix: reason.and_then(super::Reason::fix).map(std::borrow::Cow::into_owned),
                problem: reason.is_some_and(super::Reason::is_problem)
                    || verdict.notes.iter().any(super::Note::is_problem),
                notes: verdict
                    .notes
                    .iter()
                    .map(|note| NoteDocument {
                        note: note.word().to_owned(),
                        sentence: note.sentence(),
                        problem: note.is_problem(),
                    })
                    .collect(),
            };
            (capability.word().to_owned(), document)
        });
        Self {
            vcenter: vm.vcenter.as_str().to_owned(),
            moref: vm.vm.vm.to_string(),
            name: vm.label.to_string(),
            target: vm.target.as_ref().map(ToString::to_string),
            node: vm.link.as_ref().map(|link| LinkDocument {
                id: link.node.to_string(),
                basis: link.basis.word().to_owned(),
                because: link.basis.words().to_owned(),
            }),
            capabilities: capabilities.collect(),
        }
    }
}

fn changes(action: &Action) -> Vec<ChangeDocument> {
    let why = |why: Why| match why {
        Why::New => "new",
        Why::Changed => "changed",
        Why::Drift => "drift",
        Why::Adopted => "adopted",
        Why::Mark => "mark",
        Why::PutBack => "putBack",
    };
    match action {
        Action::AddTags { tags, .. } => tags
            .iter()
            .map(|tag| ChangeDocument {
                name: tag.key.as_str().to_owned(),
                before: tag.before.as_deref().map(str::to_owned),
                after: Some(tag.value.as_str().to_owned()),
                why: why(tag.why).to_owned(),
            })
            .collect(),
        Action::RemoveTags { tags, .. } => tags
            .iter()
            .map(|tag| ChangeDocument {
                name: tag.key.as_str().to_owned(),
                before: Some(tag.before.to_string()),
                after: None,
                why: "removed".to_owned(),
            })
            .collect(),
        Action::DefineAttribute { name, .. } => vec![ChangeDocument {
            name: name.to_string(),
            before: None,
            after: None,
            why: "defined".to_owned(),
        }],
        Action::SetAttribute { name, value, before, why: reason, .. } => vec![ChangeDocument {
            name: name.to_string(),
            before: before.as_deref().map(str::to_owned),
            after: Some(value.to_string()).filter(|value| !value.is_empty()),
            why: why(*reason).to_owned(),
        }],
        Action::Enrol { step: EnrolStep::Activate { tags, .. }, .. } => tags
            .iter()
            .map(|tag| ChangeDocument {
                name: tag.key.as_str().to_owned(),
                before: None,
                after: Some(tag.value.as_str().to_owned()),
                why: why(tag.why).to_owned(),
            })
            .collect(),
        Action::Snapshot { act, record, .. } => vec![ChangeDocument {
            name: record.name.to_string(),
            before: record.snapshot.as_ref().filter(|_| *act != Act::Create).map(ToString::to_string),
            after: None,
            why: match act {
                Act::Create => "taken",
                Act::Remove => "removed",
                Act::Consolidate => "consolidated",
                Act::Revert => "reverted",
                Act::PowerOn => "poweredOn",
            }
            .to_owned(),
        }],
        Action::PutInventory { told, .. } => told.iter().map(self::told).collect(),
        Action::PutCompliance { told, .. } => vec![self::told(told)],
        Action::ImportFindings { findings, .. } | Action::CloseFindings { findings, .. } => findings
            .iter()
            .map(|sent| ChangeDocument {
                name: sent.id.as_str().to_owned(),
                before: None,
                after: None,
                why: sent.why.to_string(),
            })
            .collect(),
        Action::UpdatePatchFindings { findings, resolve, .. } => findings
            .iter()
            .map(|(id, _)| ChangeDocument {
                name: id.as_str().to_owned(),
                before: None,
                after: None,
                why: if *resolve { "resolve" } else { "annotate" }.to_owned(),
            })
            .collect(),
        Action::Enrol { .. } | Action::DeregisterNode { .. } => Vec::new(),
    }
}

/// What a node is told, by the beginnings of hashes: the content is in the report, not in the plan.
fn told(told: &Told) -> ChangeDocument {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    ChangeDocument {
        name: told.name.to_string(),
        before: told.before.as_deref().map(short),
        after: Some(short(&told.hash)),
        why: match &told.before {
            _ if told.confirmed => "confirmed",
            None => "new",
            Some(_) => "changed",
        }
        .to_owned(),
    }
}
