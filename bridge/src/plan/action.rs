//! Actions: what can be done, each one short call with one effect.
//!
//! An action holds all that is needed to do it, to find out whether it was done, and to tell a person about it. It is
//! written to the journal as it is, so its form only changes together with a migration.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use mappings::compliance::List;
use mappings::findings::life::{Change, ChangeKind};
use mappings::findings::patches::PatchWish;
use mappings::findings::{FindingId, Resolution};
use mappings::inventory::Item;
use mappings::protection::{Act, Record};
use mappings::tags::{TagKey, TagValue};
use serde::{Deserialize, Serialize};
use vsphere_client::ids::VcenterUuid;

use super::Capability;
use crate::aws::{NodeId, Place};
use crate::enrol::{Enrolment, Purpose};
use crate::store::{Holder, Owned, OwnedChange, OwnedKind, VmId};

/// A tag that is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagWrite {
    /// The key.
    pub key: TagKey,
    /// The value.
    pub value: TagValue,
    /// The value that is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Arc<str>>,
    /// The rule that it comes from.
    pub rule: Arc<str>,
    /// Why it is written.
    pub why: Why,
}

impl TagWrite {
    /// Whether it is about keeping a node out of a window, and nothing else.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        self.why == Why::PutBack || &*self.rule == super::tags::HOLD_RULE
    }
}

/// A tag that is to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TagRemoval {
    /// The key.
    pub key: TagKey,
    /// The value that is there now.
    pub before: Arc<str>,
    /// The rule that it came from.
    pub rule: Arc<str>,
}

/// Why something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// It is not there yet.
    New,
    /// What it is made from changed.
    Changed,
    /// Somebody else changed or removed what we wrote.
    Drift,
    /// Somebody else wrote it, and the configuration says that it is ours from now on.
    Adopted,
    /// It is our mark.
    Mark,
    /// It was taken to keep the node out of a window.
    PutBack,
}

/// What a node is told to have of a type of inventory or compliance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// The type, such as `Custom:VSphereHost`.
    pub name: Arc<str>,
    /// The hash of what is told.
    pub hash: Arc<str>,
    /// The hash of what was told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Arc<str>>,
    /// Nothing has changed: it is only confirmed, so that Systems Manager keeps it.
    #[serde(default)]
    pub confirmed: bool,
}

/// A finding that is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// Which one.
    pub id: FindingId,
    /// `create`, `update`, `refresh`, `resolve`, `gone` (it is resolved because what it is about is gone), `reopen`, `close`.
    pub why: Arc<str>,
    /// Its new `UpdatedAt`.
    pub updated_at: Timestamp,
}

impl Sent {
    /// What is written down of a change.
    #[must_use]
    pub fn of(change: &Change) -> Self {
        let why = match change.kind {
            ChangeKind::Create => "create",
            ChangeKind::Update => "update",
            ChangeKind::Refresh => "refresh",
            ChangeKind::Reopen => "reopen",
            ChangeKind::Resolve(Resolution::Gone) => GONE,
            ChangeKind::Resolve(_) => "resolve",
            ChangeKind::Close => "close",
        };
        Self { id: change.record.id.clone(), why: why.into(), updated_at: change.record.updated_at }
    }

    /// Whether it ends because what it is about is gone.
    fn is_gone(&self) -> bool {
        &*self.why == GONE
    }

    /// By which its end is approved, whatever other findings it is sent with.
    pub(super) fn gone_fingerprint(&self, place: &Place) -> String {
        short_hash(&format!("{GONE}\n{place}\n{}", self.id))
    }
}

/// Why a finding ends whose object is gone.
const GONE: &str = "gone";

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Action {
    /// `ssm:AddTagsToResource`
    AddTags {
        /// Where the node is.
        place: Place,
        /// The node.
        node: NodeId,
        /// The VM that it is.
        vm: VmId,
        /// The VM's name.
        label: Arc<str>,
        /// The tags.
        tags: Vec<TagWrite>,
    },
    /// `ssm:RemoveTagsFromResource`
    RemoveTags {
        /// Where the node is.
        place: Place,
        /// The node.
        node: NodeId,
        /// The VM that it is.
        vm: VmId,
        /// The VM's name.
        label: Arc<str>,
        /// The tags.
        tags: Vec<TagRemoval>,
    },
    /// `CustomFieldsManager.AddCustomFieldDef`
    DefineAttribute {
        /// The vCenter.
        vcenter: VcenterUuid,
        /// Its name in the configuration.
        label: Arc<str>,
        /// Name of the attribute.
        name: Arc<str>,
    },
    /// `CustomFieldsManager.SetField`
    SetAttribute {
        /// The VM.
        vm: VmId,
        /// Its name.
        label: Arc<str>,
        /// Name of the attribute.
        name: Arc<str>,
        /// The value; an empty one removes it.
        value: Arc<str>,
        /// The value that is there now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Arc<str>>,
        /// Why it is written.
        why: Why,
    },
    /// One step of making a VM a managed node.
    Enrol {
        /// The VM.
        vm: VmId,
        /// The step.
        step: EnrolStep,
        /// How far its enrolment is.
        enrolment: Box<Enrolment>,
    },
    /// One step of the snapshot of a VM.
    Snapshot {
        /// The VM.
        vm: VmId,
        /// The description of its snapshot, by which it is found again.
        #[serde(default, skip_serializing_if = "str::is_empty")]
        mark: Arc<str>,
        /// What is done.
        act: Act,
        /// How far it is.
        record: Box<Record>,
    },
    /// `ssm:PutInventory`
    PutInventory {
        /// Where the node is.
        place: Place,
        /// The node.
        node: NodeId,
        /// The VM that it is.
        vm: VmId,
        /// The VM's name.
        label: Arc<str>,
        /// What it is told.
        told: Vec<Told>,
        /// The same in full. What was begun is looked for by its hash alone.
        #[serde(skip)]
        items: Arc<[Item]>,
    },
    /// `ssm:PutComplianceItems`
    PutCompliance {
        /// Where the node is.
        place: Place,
        /// The node.
        node: NodeId,
        /// The VM that it is.
        vm: VmId,
        /// The VM's name.
        label: Arc<str>,
        /// What it is told.
        told: Told,
        /// The same in full. What was begun is looked for by its hash alone.
        #[serde(skip)]
        list: Option<Arc<List>>,
    },
    /// `securityhub:BatchImportFindings`
    ImportFindings {
        /// Where they go.
        place: Place,
        /// How many and of whom, for people.
        label: Arc<str>,
        /// Which.
        findings: Vec<Sent>,
        /// The same in full. Their records say what was begun.
        #[serde(skip)]
        changes: Arc<[Change]>,
    },
    /// `securityhub:BatchUpdateFindings` of findings of ours whose problem is over and that nobody has dealt with.
    CloseFindings {
        /// Where they are.
        place: Place,
        /// How many and of whom, for people.
        label: Arc<str>,
        /// Which.
        findings: Vec<Sent>,
        /// The same in full. Their records say what was begun.
        #[serde(skip)]
        changes: Arc<[Change]>,
    },
    /// `securityhub:BatchUpdateFindings` of findings of Patch Manager.
    UpdatePatchFindings {
        /// Where they are.
        place: Place,
        /// How many, for people.
        label: Arc<str>,
        /// Which, and the hash of what each is to have.
        findings: Vec<(FindingId, Arc<str>)>,
        /// Whether they are resolved, besides being told apart.
        resolve: bool,
        /// The same in full. What was begun is looked for, and done again if it is not there.
        #[serde(skip)]
        wishes: Arc<[PatchWish]>,
    },
    /// `ssm:DeregisterManagedInstance`
    DeregisterNode {
        /// Where the node is.
        place: Place,
        /// The node.
        node: NodeId,
        /// The VM that it was.
        vm: VmId,
        /// The VM's name.
        label: Arc<str>,
    },
}

/// A step of an enrolment that has an effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EnrolStep {
    /// Put the installer into the guest and start it.
    Prepare,
    /// `ssm:CreateActivation`
    Activate {
        /// The IAM role of the node.
        role: Arc<str>,
        /// When the activation ends.
        expires: Timestamp,
        /// The tags that the node gets.
        tags: Vec<TagWrite>,
    },
    /// Start the registration in the guest.
    Register,
    /// `ssm:DeleteActivation`
    Withdraw,
    /// Delete our directory in the guest.
    Clean,
}

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $word:literal,)+) => {
        /// The kinds of actions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "camelCase")]
        pub enum ActionKind {
            $($(#[$meta])* $kind,)+
        }

        impl ActionKind {
            /// Every kind. What must hold for all of them is tested for all of these.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The word for it in the journal.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)+ }
            }
        }
    };
}

kinds! {
    /// Add tags to a node, or change them.
    AddTags = "addTags",
    /// Remove tags from a node.
    RemoveTags = "removeTags",
    /// Define a custom attribute in a vCenter.
    DefineAttribute = "defineAttribute",
    /// Set a custom attribute of a VM.
    SetAttribute = "setAttribute",
    /// Put the installer into a guest and start it.
    PrepareGuest = "prepareGuest",
    /// Make an activation.
    CreateActivation = "createActivation",
    /// Start the registration in a guest.
    RegisterAgent = "registerAgent",
    /// Delete an activation.
    DeleteActivation = "deleteActivation",
    /// Delete our directory in a guest.
    CleanGuest = "cleanGuest",
    /// Deregister a node.
    DeregisterNode = "deregisterNode",
    /// Take a snapshot.
    CreateSnapshot = "createSnapshot",
    /// Remove a snapshot of ours.
    RemoveSnapshot = "removeSnapshot",
    /// Consolidate disks that a snapshot left over.
    ConsolidateDisks = "consolidateDisks",
    /// Take a VM back to a snapshot of ours.
    RevertToSnapshot = "revertToSnapshot",
    /// Power a VM on again that was taken back.
    PowerOn = "powerOn",
    /// Tell Systems Manager's inventory of a node.
    PutInventory = "putInventory",
    /// Tell Systems Manager's compliance of a node.
    PutCompliance = "putCompliance",
    /// Send findings.
    ImportFindings = "importFindings",
    /// Say of findings that they are dealt with.
    CloseFindings = "closeFindings",
    /// Say in findings of Patch Manager which VMs they mean, and that they are dealt with.
    UpdatePatchFindings = "updatePatchFindings",
}

impl Action {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ActionKind {
        match self {
            Self::AddTags { .. } => ActionKind::AddTags,
            Self::RemoveTags { .. } => ActionKind::RemoveTags,
            Self::DefineAttribute { .. } => ActionKind::DefineAttribute,
            Self::SetAttribute { .. } => ActionKind::SetAttribute,
            Self::Enrol { step, .. } => match step {
                EnrolStep::Prepare => ActionKind::PrepareGuest,
                EnrolStep::Activate { .. } => ActionKind::CreateActivation,
                EnrolStep::Register => ActionKind::RegisterAgent,
                EnrolStep::Withdraw => ActionKind::DeleteActivation,
                EnrolStep::Clean => ActionKind::CleanGuest,
            },
            Self::DeregisterNode { .. } => ActionKind::DeregisterNode,
            Self::PutInventory { .. } => ActionKind::PutInventory,
            Self::PutCompliance { .. } => ActionKind::PutCompliance,
            Self::ImportFindings { .. } => ActionKind::ImportFindings,
            Self::CloseFindings { .. } => ActionKind::CloseFindings,
            Self::UpdatePatchFindings { .. } => ActionKind::UpdatePatchFindings,
            Self::Snapshot { act, .. } => match act {
                Act::Create => ActionKind::CreateSnapshot,
                Act::Remove => ActionKind::RemoveSnapshot,
                Act::Consolidate => ActionKind::ConsolidateDisks,
                Act::Revert => ActionKind::RevertToSnapshot,
                Act::PowerOn => ActionKind::PowerOn,
            },
        }
    }

    /// The capability that it belongs to.
    #[must_use]
    pub fn capability(&self) -> Capability {
        match self {
            Self::AddTags { .. } | Self::RemoveTags { .. } => Capability::Tags,
            Self::DefineAttribute { .. } | Self::SetAttribute { .. } => Capability::Writeback,
            Self::Enrol { .. } | Self::DeregisterNode { .. } => Capability::Enrol,
            Self::Snapshot { .. } => Capability::Snapshots,
            Self::PutInventory { .. } => Capability::Inventory,
            Self::PutCompliance { .. } => Capability::Compliance,
            Self::ImportFindings { .. } | Self::CloseFindings { .. } | Self::UpdatePatchFindings { .. } => {
                Capability::Findings
            }
        }
    }

    /// What it changes. Actions on the same holder follow each other in the order of the plan.
    #[must_use]
    pub fn holder(&self) -> Holder {
        match self {
            Self::AddTags { place, node, .. }
            | Self::RemoveTags { place, node, .. }
            | Self::DeregisterNode { place, node, .. } => Holder::node(place, node),
            Self::PutInventory { place, node, .. } | Self::PutCompliance { place, node, .. } => {
                Holder::report(place, node)
            }
            // Calls that are about different findings need not wait for each other.
            Self::ImportFindings { place, findings, .. } | Self::CloseFindings { place, findings, .. } => {
                Holder::findings(place, findings.first().map_or("", |sent| sent.id.as_str()))
            }
            Self::UpdatePatchFindings { place, findings, .. } => {
                Holder::findings(place, findings.first().map_or("", |(id, _)| id.as_str()))
            }
            Self::DefineAttribute { vcenter, .. } => Holder {
                kind: OwnedKind::VmAttribute,
                place: vcenter.to_string().into(),
                // No object has such an id.
                object: "definitions".into(),
            },
            Self::SetAttribute { vm, .. } | Self::Enrol { vm, .. } | Self::Snapshot { vm, .. } => {
                Holder::vm(vm)
            }
        }
    }

    /// The name that people know its object by.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        match self {
            Self::AddTags { label, .. }
            | Self::RemoveTags { label, .. }
            | Self::DefineAttribute { label, .. }
            | Self::SetAttribute { label, .. }
            | Self::PutInventory { label, .. }
            | Self::PutCompliance { label, .. }
            | Self::ImportFindings { label, .. }
            | Self::CloseFindings { label, .. }
            | Self::UpdatePatchFindings { label, .. }
            | Self::DeregisterNode { label, .. } => label,
            Self::Enrol { enrolment, .. } => &enrolment.label,
            Self::Snapshot { record, .. } => &record.label,
        }
    }

    /// The VM that it is about, if it is about one.
    #[must_use]
    pub fn vm(&self) -> Option<&VmId> {
        match self {
            Self::AddTags { vm, .. }
            | Self::RemoveTags { vm, .. }
            | Self::SetAttribute { vm, .. }
            | Self::Enrol { vm, .. }
            | Self::Snapshot { vm, .. }
            | Self::PutInventory { vm, .. }
            | Self::PutCompliance { vm, .. }
            | Self::DeregisterNode { vm, .. } => Some(vm),
            Self::DefineAttribute { .. }
            | Self::ImportFindings { .. }
            | Self::CloseFindings { .. }
            | Self::UpdatePatchFindings { .. } => None,
        }
    }

    /// The names of values that exist now and that it changes or removes. What it only adds is not among them, nor is our
    /// own mark.
    #[must_use]
    pub fn replaces(&self) -> Vec<Arc<str>> {
        match self {
            Self::AddTags { tags, .. } => tags
                .iter()
                .filter(|tag| {
                    tag.why != Why::Mark && tag.before.is_some() && &*tag.rule != super::tags::HOLD_RULE
                })
                .map(|tag| tag.key.as_str().into())
                .collect(),
            Self::RemoveTags { tags, .. } => tags
                .iter()
                // What keeps a node out of a window is put back when that is over.
                .filter(|tag| tag.key.as_str() != super::tags::MARK && &*tag.rule != super::tags::HOLD_RULE)
                .map(|tag| tag.key.as_str().into())
                .collect(),
            // A fleet that seems to be gone, or to belong elsewhere, must not lose its nodes.
            Self::DeregisterNode { .. } => vec!["node".into()],
            Self::Enrol { step: EnrolStep::Prepare, enrolment, .. }
                if enrolment.purpose == Purpose::Reregister =>
            {
                vec!["node".into()]
            }
            // What is removed is ours, and its record says that it is time; a person asked for what is taken back.
            Self::DefineAttribute { .. } | Self::Enrol { .. } | Self::Snapshot { .. } => Vec::new(),
            // What is reported is ours, and follows what it reports.
            Self::PutInventory { .. }
            | Self::PutCompliance { .. }
            | Self::ImportFindings { .. }
            | Self::CloseFindings { .. }
            | Self::UpdatePatchFindings { .. } => Vec::new(),
            // Our own display of what AWS says follows AWS; only what others wrote counts.
            Self::SetAttribute { name, why: Why::Adopted | Why::Drift, before: Some(_), .. } => {
                vec![name.clone()]
            }
            Self::SetAttribute { .. } => Vec::new(),
        }
    }

    /// What of it the guard counts: objects, and what they lose. Findings that end because what they are about is gone count each;
    /// those whose problem is over do not.
    #[must_use]
    pub fn guarded(&self) -> Vec<(Arc<str>, Arc<str>)> {
        if let Self::ImportFindings { findings, .. } = self {
            let gone = findings.iter().filter(|sent| sent.is_gone());
            return gone.map(|sent| (sent.id.as_str().into(), GONE.into())).collect();
        }
        let names = self.replaces();
        if names.is_empty() {
            return Vec::new();
        }
        let object = self.holder().object;
        names.into_iter().map(|name| (object.clone(), name)).collect()
    }

    /// By which the end of findings is approved that end because what they are about is gone: each by itself, since what they are
    /// sent with changes from plan to plan.
    pub(super) fn gone_fingerprints(&self) -> Vec<String> {
        match self {
            Self::ImportFindings { place, findings, .. } => {
                let gone = findings.iter().filter(|sent| sent.is_gone());
                gone.map(|sent| sent.gone_fingerprint(place)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether it does nothing but keep a node out of a window, or no longer.
    #[must_use]
    pub fn only_holds(&self) -> bool {
        match self {
            Self::AddTags { tags, .. } => tags.iter().all(TagWrite::is_hold),
            Self::RemoveTags { tags, .. } => tags.iter().all(|tag| &*tag.rule == super::tags::HOLD_RULE),
            _ => false,
        }
    }

    /// The keys of the tags that it writes or removes.
    pub(crate) fn tag_keys(&self) -> Vec<TagKey> {
        match self {
            Self::AddTags { tags, .. } => tags.iter().map(|tag| tag.key.clone()).collect(),
            Self::RemoveTags { tags, .. } => tags.iter().map(|tag| tag.key.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// The part of it that is about these tags.
    pub(crate) fn only(&self, keys: &[TagKey]) -> Self {
        let mut part = self.clone();
        match &mut part {
            Self::AddTags { tags, .. } => tags.retain(|tag| keys.contains(&tag.key)),
            Self::RemoveTags { tags, .. } => tags.retain(|tag| keys.contains(&tag.key)),
            _ => {}
        }
        part
    }

    /// What tells this change from every other: the same change of the same object has the same fingerprint in every plan,
    /// whatever the object is called and whatever value is there before.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let holder = self.holder();
        let mut text = format!("{}\n{}\n{}\n", self.kind().word(), holder.place, holder.object);
        let mut add = |name: &str, value: &str| {
            text.push_str(name);
            text.push('\n');
            text.push_str(value);
            text.push('\n');
        };
        match self {
            Self::AddTags { tags, .. } => {
                tags.iter().for_each(|tag| add(tag.key.as_str(), tag.value.as_str()));
            }
            Self::RemoveTags { tags, .. } => {
                tags.iter().for_each(|tag| add(tag.key.as_str(), ""));
            }
            Self::DefineAttribute { name, .. } => add(name, ""),
            Self::SetAttribute { name, value, .. } => add(name, value),
            Self::Snapshot { record, .. } => add(record.key().as_str(), ""),
            Self::PutInventory { told, .. } => told.iter().for_each(|told| add(&told.name, &told.hash)),
            Self::PutCompliance { told, .. } => add(&told.name, &told.hash),
            Self::ImportFindings { findings, .. } | Self::CloseFindings { findings, .. } => {
                findings.iter().for_each(|sent| add(sent.id.as_str(), &sent.why));
            }
            Self::UpdatePatchFindings { findings, .. } => {
                findings.iter().for_each(|(id, hash)| add(id.as_str(), hash));
            }
            Self::Enrol { .. } | Self::DeregisterNode { .. } => {}
        }
        short_hash(&text)
    }

    /// What is owned when it was done at `written`.
    #[must_use]
    pub fn owns(&self, written: Timestamp) -> Vec<OwnedChange> {
        let change = |name: &str, value: Option<&str>, rule: &Arc<str>| OwnedChange {
            holder: self.holder(),
            name: name.into(),
            owned: Some(Owned { value: value.map(Into::into), rule: rule.clone(), written }),
        };
        match self {
            Self::AddTags { tags, .. } => {
                tags.iter().map(|tag| change(tag.key.as_str(), Some(tag.value.as_str()), &tag.rule)).collect()
            }
            Self::RemoveTags { tags, .. } => {
                tags.iter().map(|tag| change(tag.key.as_str(), None, &tag.rule)).collect()
            }
            Self::DefineAttribute { name, .. } => vec![change(name, Some("defined"), &"writeback".into())],
            Self::SetAttribute { name, value, .. } => {
                vec![change(name, Some(&**value).filter(|value| !value.is_empty()), &"writeback".into())]
            }
            Self::PutInventory { told, .. } => {
                told.iter().map(|told| change(&told.name, Some(&told.hash), &"inventory".into())).collect()
            }
            Self::PutCompliance { told, .. } => {
                vec![change(&told.name, Some(&told.hash), &"compliance".into())]
            }
            Self::UpdatePatchFindings { place, findings, .. } => findings
                .iter()
                .map(|(id, hash)| OwnedChange {
                    holder: Holder::findings(place, id.as_str()),
                    ..change("update", Some(hash), &"findings".into())
                })
                .collect(),
            Self::Enrol { .. }
            | Self::Snapshot { .. }
            | Self::ImportFindings { .. }
            | Self::CloseFindings { .. }
            | Self::DeregisterNode { .. } => Vec::new(),
        }
    }
}

/// The first 16 hexadecimal digits of SHA-256.
#[must_use]
pub(crate) fn short_hash(text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    hash.as_ref()[..8].iter().flat_map(digits).flatten().collect()
}
