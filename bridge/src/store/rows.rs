//! What is kept, as the rest of the program sees it.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::{NodeId, Place};
use crate::enrol::Enrolment;
use crate::snapshot::Scope;
use mappings::findings::FindingId;
use mappings::findings::life::Record as FindingRecord;
use mappings::protection::Record;
use vsphere_client::ids::{InstanceUuid, VcenterUuid};

/// A VM for as long as it exists: the vCenter's instance UUID and the reference in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VmId {
    /// The vCenter.
    pub vcenter: VcenterUuid,
    /// The managed object id, such as `vm-42`.
    pub vm: Arc<str>,
}

/// Why a node is taken for a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Basis {
    /// Host name, address and platform fitted exactly one VM and one node.
    Matched,
    /// An activation that was made for exactly this VM.
    Activation,
    /// We enrolled it.
    Enrolled,
    /// A person said so.
    Linked,
}

impl Basis {
    /// The word for it in the database.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Activation => "activation",
            Self::Enrolled => "enrolled",
            Self::Linked => "linked",
        }
    }

    /// What it means, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Matched => "by host name, address and platform",
            Self::Activation => "by the activation that was made for the VM",
            Self::Enrolled => "because vmbridge enrolled it",
            Self::Linked => "because a person linked them",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Matched, Self::Activation, Self::Enrolled, Self::Linked]
            .into_iter()
            .find(|basis| basis.word() == word)
    }
}

/// That a node is a VM, or that it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Where the node is.
    pub place: Place,
    /// The node.
    pub node: NodeId,
    /// The VM.
    pub vm: VmId,
    /// The VM's instance UUID when this was written; it stays when the VM moves to another vCenter.
    pub instance: Option<InstanceUuid>,
    /// Why; nothing: a person said that they are not the same.
    pub basis: Option<Basis>,
    /// Since when.
    pub since: Timestamp,
}

/// The kinds of things that vmbridge owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum OwnedKind {
    /// A tag of a managed node.
    NodeTag,
    /// The value of a custom attribute of a VM.
    VmAttribute,
    /// What Systems Manager was told of a node: the hash of what it has of a type of inventory or compliance.
    NodeReport,
    /// What we wrote on a finding of Patch Manager.
    Finding,
}

impl OwnedKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NodeTag => "node-tag",
            Self::VmAttribute => "vm-attribute",
            Self::NodeReport => "node-report",
            Self::Finding => "finding",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::NodeTag, Self::VmAttribute, Self::NodeReport, Self::Finding]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

/// Something that holds named values that vmbridge may own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// What kind of values.
    pub kind: OwnedKind,
    /// The account and Region, or the vCenter's instance UUID.
    pub place: Arc<str>,
    /// The node, or the VM's managed object id.
    pub object: Arc<str>,
}

impl Holder {
    /// The tags of a node.
    #[must_use]
    pub fn node(place: &Place, node: &NodeId) -> Self {
        Self { kind: OwnedKind::NodeTag, place: place.as_str().into(), object: node.as_str().into() }
    }

    /// What is told of a node.
    #[must_use]
    pub fn report(place: &Place, node: &NodeId) -> Self {
        Self { kind: OwnedKind::NodeReport, ..Self::node(place, node) }
    }

    /// Findings of which this is the first.
    #[must_use]
    pub fn findings(place: &Place, first: &str) -> Self {
        Self { kind: OwnedKind::Finding, place: place.as_str().into(), object: first.into() }
    }

    /// The custom attributes of a VM.
    #[must_use]
    pub fn vm(vm: &VmId) -> Self {
        Self { kind: OwnedKind::VmAttribute, place: vm.vcenter.to_string().into(), object: vm.vm.clone() }
    }
}

/// A value that vmbridge wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// The value; nothing: it was removed, and maybe is not seen to be gone yet.
    pub value: Option<Arc<str>>,
    /// The rule that it came from.
    pub rule: Arc<str>,
    /// When.
    pub written: Timestamp,
}

/// A change of what is owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedChange {
    /// What holds the value.
    pub holder: Holder,
    /// Its name.
    pub name: Arc<str>,
    /// What it is now; nothing: it is no longer ours.
    pub owned: Option<Owned>,
}

/// The number of an entry of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(pub i64);

/// An entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// The plan that it was part of.
    pub plan: String,
    /// The capability.
    pub capability: String,
    /// The kind of action.
    pub kind: String,
    /// The account and Region, or the vCenter's instance UUID.
    pub place: String,
    /// The node, or the VM's managed object id.
    pub object: String,
    /// The VM's name at that time.
    pub label: String,
    /// What was intended.
    pub intent: serde_json::Value,
    /// When.
    pub intended: Timestamp,
    /// How it ended, if that is known.
    pub outcome: Option<Outcome>,
    /// When that was known.
    pub ended: Option<Timestamp>,
    /// How long it took, in microseconds.
    pub duration_micros: Option<i64>,
    /// Why it failed.
    pub error: Option<String>,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was done, as was found out after its answer was lost or the program was ended.
    FoundDone,
    /// It did not take place, as was found out after its answer was lost or the program was ended.
    FoundNotDone,
    /// It was refused, or could not be tried.
    Failed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Done, Self::FoundDone, Self::FoundNotDone, Self::Failed];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::FoundDone => "found-done",
            Self::FoundNotDone => "found-not-done",
            Self::Failed => "failed",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// What is known of an action when it has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// How it ended.
    pub outcome: Outcome,
    /// When.
    pub ended: Timestamp,
    /// How long it took.
    pub duration: std::time::Duration,
    /// Why it failed.
    pub error: Option<String>,
    /// What is owned now.
    pub owned: Vec<OwnedChange>,
    /// What is known of failures of its objects now.
    pub failures: Vec<FailureChange>,
    /// How far an enrolment is now.
    pub step: Option<Step>,
    /// That a guest refused credentials.
    pub refusal: Option<Refusal>,
    /// How far a snapshot is now.
    pub protection: Option<Protection>,
    /// What Security Hub has of findings now.
    pub findings: Vec<FindingChange>,
}

/// What is known of a finding from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingChange {
    /// Which one.
    pub id: FindingId,
    /// What Security Hub has of it. Nothing: it does not have it any more.
    pub record: Option<FindingRecord>,
}

/// What is remembered of an opening of a window from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeChange {
    /// This.
    Put(Scope),
    /// Nothing any more.
    Forget {
        /// The window.
        window: Arc<str>,
        /// When it opens.
        opens: Timestamp,
    },
}

/// A snapshot of a VM that we take, have or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// The VM.
    pub vm: VmId,
    /// How far it is.
    pub record: Record,
}

/// A step of an enrolment, and what is known because of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The VM.
    pub vm: VmId,
    /// How far it is now; nothing: there is none any more.
    pub enrolment: Option<Enrolment>,
    /// Which node it is.
    pub identity: Option<Identity>,
    /// What is owned now.
    pub owned: Vec<OwnedChange>,
}

/// That a guest refused credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The VM.
    pub vm: VmId,
    /// The entry of `[[credentials]]`.
    pub credentials: Arc<str>,
    /// Tells whether user or password are others now.
    pub fingerprint: Arc<str>,
    /// Since when.
    pub since: Timestamp,
}

/// What fails: a capability on an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Failing {
    /// The capability.
    pub capability: Arc<str>,
    /// The account and Region, or the vCenter's instance UUID.
    pub place: Arc<str>,
    /// The node, or the VM's managed object id.
    pub object: Arc<str>,
}

/// Failures in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How many.
    pub failures: u32,
    /// When the first was.
    pub since: Timestamp,
    /// Not before this is it tried again.
    pub retry_at: Timestamp,
    /// What was said the last time.
    pub reason: String,
}

/// A change of what fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureChange {
    /// What.
    pub failing: Failing,
    /// How it is now; nothing: it fails no longer.
    pub failure: Option<Failure>,
}

/// Changes that a person allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The plan that was shown.
    pub plan: String,
    /// Fingerprints of the changes.
    pub changes: Vec<String>,
    /// When.
    pub approved: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// Everything but the closed part of the journal.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Who is what.
    pub identities: Vec<Identity>,
    /// What is owned.
    pub owned: Vec<OwnedChange>,
    /// What was intended and whose end is not known.
    pub open: Vec<Entry>,
    /// What fails.
    pub failures: Vec<FailureChange>,
    /// What is approved.
    pub approvals: Vec<Approval>,
    /// How far enrolments are.
    pub enrolments: Vec<(VmId, Enrolment)>,
    /// Credentials that guests refused.
    pub refusals: Vec<Refusal>,
    /// Snapshots that we take, have or had.
    pub protections: Vec<Protection>,
    /// Openings of windows.
    pub scopes: Vec<Scope>,
    /// What Security Hub has of our findings.
    pub findings: Vec<FindingRecord>,
    /// Installations that this one was before, as a person said: what they told Security Hub is ours.
    pub former: Vec<Arc<str>>,
}
