//! The findings of Patch Manager itself, about hybrid nodes that are VMs of ours.
//!
//! Patch Manager sends one for every run that finds a node not compliant, calls the node an EC2 instance, and never touches a
//! finding again. So a VM has a finding for each bad night, none says which VM it is, and all stay open when it is patched.
//! Here is decided what is added and which are closed; people's notes and decisions stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::asff::RecordState;
use super::ids::{FindingId, NodeId};
use super::life::WorkflowStatus;
use super::problem::Subject;
use super::text::{fit, some};

/// Who our notes are from (`Note.UpdatedBy`).
pub const AUTHOR: &str = "vmbridge";
/// The name of the product: what is listed is filtered by it.
pub const PRODUCT: &str = "ssm-patch-manager";
/// Findings of one call of `BatchUpdateFindings`.
const MOST: usize = 100;
/// The longest note, in characters.
const NOTE: usize = 512;
/// The longest value of a user-defined field that we write; 1,024 are allowed.
const FIELD: usize = 512;
/// Entries of `UserDefinedFields`.
const FIELDS: usize = 50;
/// What our user-defined fields begin with.
const OURS: &str = "vmbridge/";

/// A note on a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The note.
    pub text: String,
    /// Who wrote it.
    pub updated_by: String,
}

/// A finding of Patch Manager, as Security Hub shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchFinding {
    /// Which one.
    pub id: FindingId,
    /// Its product; part of what it is called.
    pub product_arn: Arc<str>,
    /// The node: the id of its resource, bare or at the end of an ARN.
    pub resource: Arc<str>,
    /// When it was sent.
    pub updated_at: Timestamp,
    /// Whether somebody has dealt with it.
    pub workflow: WorkflowStatus,
    /// Whether it is there still.
    pub record_state: RecordState,
    /// The note on it.
    pub note: Option<Note>,
    /// What people have added to it.
    pub user_fields: BTreeMap<String, String>,
}

impl PatchFinding {
    /// Whether it is one at all, whatever it was listed by.
    fn is_of_patch_manager(&self) -> bool {
        self.product_arn.rsplit_once('/').is_some_and(|(_, name)| name == PRODUCT)
    }

    /// The node that it is about.
    #[must_use]
    pub fn node(&self) -> NodeId {
        let resource: &str = &self.resource;
        resource.rsplit('/').next().unwrap_or(resource).into()
    }
}

/// The patches of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchState {
    /// All that its baseline asks for is there.
    Compliant {
        /// By a scan that ended then.
        scanned_at: Timestamp,
    },
    /// Some of it is missing.
    NonCompliant,
    /// Nobody knows, or what is known is too old.
    Unknown,
}

/// A node that is a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedNode {
    /// The VM.
    pub vm: Arc<Subject>,
    /// Its patches.
    pub patches: PatchState,
}

/// What is said of a VM on all findings about its node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Words {
    /// The note, from [`AUTHOR`].
    pub note: String,
    /// The user-defined fields that are ours; those of others stay beside them.
    pub fields: BTreeMap<String, String>,
}

/// What a finding is to have. What has to be changed for that depends on what is on it, which is read just before: see [`calls`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchWish {
    /// Which finding.
    pub id: FindingId,
    /// Its product; part of what it is called.
    pub product_arn: Arc<str>,
    /// When the finding was sent that this was decided for. One that was sent again since tells of another run.
    pub updated_at: Timestamp,
    /// What is said of the VM.
    pub words: Arc<Words>,
    /// Whether the workflow status is to be `RESOLVED`.
    pub resolve: bool,
}

/// What one call of `BatchUpdateFindings` changes: the same in all of its findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchUpdate {
    /// Which findings, by id and product; at most 100.
    pub findings: Vec<(FindingId, Arc<str>)>,
    /// The note, from [`AUTHOR`].
    pub note: Option<String>,
    /// All user-defined fields, those of others among them: the call replaces the whole map.
    pub user_fields: Option<BTreeMap<String, String>>,
    /// Whether the workflow status becomes `RESOLVED`.
    pub resolve: bool,
}

type What = (Option<String>, Option<BTreeMap<String, String>>, bool);

/// Which findings are to have something that they have not, as they were listed. Only active ones that nobody has resolved or
/// suppressed are touched, and only those of hybrid nodes that are linked to a VM. After it was done, there is nothing more to do.
///
/// With `resolve` off (`resolve_patch_manager = false`) findings are told apart, and none is closed.
#[must_use]
pub fn plan(listed: &[PatchFinding], nodes: &BTreeMap<NodeId, LinkedNode>, resolve: bool) -> Vec<PatchWish> {
    let mut by_node: BTreeMap<NodeId, Vec<&PatchFinding>> = BTreeMap::new();
    for finding in listed.iter().filter(|finding| finding.is_of_patch_manager()) {
        by_node.entry(finding.node()).or_default().push(finding);
    }
    let mut wishes = Vec::new();
    for (node, findings) in by_node {
        let Some(linked) = nodes.get(&node).filter(|_| node.is_hybrid()) else { continue };
        let words = Arc::new(Words::of(&linked.vm));
        // Superseded is what an active finding stands behind that is newer; of two that are equal one remains.
        let active = findings.iter().filter(|finding| finding.record_state == RecordState::Active);
        let newest = active.clone().max_by_key(|finding| (finding.updated_at, &finding.id));
        for finding in active {
            let superseded = newest.is_some_and(|newest| newest.id != finding.id);
            let wish = PatchWish {
                id: finding.id.clone(),
                product_arn: Arc::clone(&finding.product_arn),
                updated_at: finding.updated_at,
                words: Arc::clone(&words),
                resolve: resolve && (superseded || is_cured(finding, linked)),
            };
            if wish.change(finding).is_some() {
                wishes.push(wish);
            }
        }
    }
    wishes
}

/// The calls that make wishes true on findings as they were just read, as few as possible. A note, a field or a decision of a
/// person is kept also when it came after the plan was made; a finding that was not found needs nothing.
#[must_use]
pub fn calls(wishes: &[PatchWish], read: &[PatchFinding]) -> Vec<PatchUpdate> {
    let read: BTreeMap<(&FindingId, &str), &PatchFinding> =
        read.iter().map(|finding| ((&finding.id, &*finding.product_arn), finding)).collect();
    let mut updates: BTreeMap<What, Vec<(FindingId, Arc<str>)>> = BTreeMap::new();
    for wish in wishes {
        let there = read.get(&(&wish.id, &*wish.product_arn));
        if let Some(what) = there.and_then(|there| wish.change(there)) {
            updates.entry(what).or_default().push((wish.id.clone(), Arc::clone(&wish.product_arn)));
        }
    }
    let mut calls = Vec::new();
    for ((note, user_fields, resolve), findings) in updates {
        for findings in findings.chunks(MOST) {
            let (note, user_fields) = (note.clone(), user_fields.clone());
            calls.push(PatchUpdate { findings: findings.to_vec(), note, user_fields, resolve });
        }
    }
    calls
}

/// Whether a scan after the finding found the node compliant. One before it proves nothing.
fn is_cured(finding: &PatchFinding, linked: &LinkedNode) -> bool {
    matches!(linked.patches, PatchState::Compliant { scanned_at } if scanned_at > finding.updated_at)
}

impl PatchWish {
    /// What has to be changed in the finding for it to be as wished; nothing if it is, or is not to be touched.
    fn change(&self, there: &PatchFinding) -> Option<What> {
        if there.record_state != RecordState::Active || !there.workflow.is_open() {
            return None;
        }
        let Words { note, fields } = &*self.words;
        let note = match &there.note {
            Some(there) if there.updated_by != AUTHOR || there.text == *note => None,
            _ => Some(note.clone()),
        };
        let mut all = there.user_fields.clone();
        all.retain(|key, _| !key.starts_with(OURS));
        all.extend(fields.iter().map(|(key, value)| (key.clone(), value.clone())));
        // None of ours, if there is no room for them.
        let fields = Some(all).filter(|all| all.len() <= FIELDS && *all != there.user_fields);
        let resolve = self.resolve && there.updated_at <= self.updated_at;
        (note.is_some() || fields.is_some() || resolve).then_some((note, fields, resolve))
    }
}

impl Words {
    fn of(vm: &Subject) -> Self {
        let places = places(vm);
        let mut fields: BTreeMap<String, String> =
            places.iter().map(|(key, value)| (format!("{OURS}{key}"), value.clone())).collect();
        fields.extend(some(vm.object.moref.as_str(), FIELD).map(|moref| (format!("{OURS}moRef"), moref)));
        let places: Vec<String> =
            places.iter().map(|(key, value)| format!("{key} {}", fit(value, 80))).collect();
        let note = format!("This is no EC2 instance but a VM of vSphere: {}.", places.join(", "));
        Self { note: fit(&note, NOTE), fields }
    }
}

/// Where the VM is, as names and values.
fn places(vm: &Subject) -> Vec<(&'static str, String)> {
    let all = [
        ("vm", Some(&vm.name)),
        ("vCenter", Some(&vm.vcenter_name)),
        ("datacenter", vm.datacenter.as_ref()),
        ("cluster", vm.cluster.as_ref()),
        ("folder", vm.folder.as_ref()),
        ("owner", vm.owner.as_ref()),
    ];
    all.into_iter().filter_map(|(key, value)| Some((key, some(value?, FIELD)?))).collect()
}
