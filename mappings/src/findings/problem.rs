//! What is wrong with what: the input of findings, whoever found it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::{AccountId, Family, InstanceId, MoRef, NodeId, Region, RuleId, VcenterId};

/// How bad it is. The order is that of Security Hub (`Severity.Label`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Nothing is wrong.
    Informational,
    /// It needs no action on its own.
    Low,
    /// It has to be dealt with, but not now.
    Medium,
    /// It has to be dealt with first.
    High,
    /// It has to be dealt with now.
    Critical,
}

impl Severity {
    /// The label in Security Hub.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Informational => "INFORMATIONAL",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    pub(super) fn from_label(label: &str) -> Option<Self> {
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical]
            .into_iter()
            .find(|severity| severity.label() == label)
    }
}

/// What a check came to (`Compliance.Status`). Greater is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// All is well.
    Passed,
    /// It could not be found out.
    NotAvailable,
    /// Some of it is missing, or could not be checked.
    Warning,
    /// It is not as it should be.
    Failed,
}

impl Status {
    /// The word in Security Hub.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Passed => "PASSED",
            Self::NotAvailable => "NOT_AVAILABLE",
            Self::Warning => "WARNING",
            Self::Failed => "FAILED",
        }
    }

    pub(super) fn from_label(label: &str) -> Option<Self> {
        [Self::Passed, Self::NotAvailable, Self::Warning, Self::Failed]
            .into_iter()
            .find(|status| status.label() == label)
    }
}

/// What a problem is about; decides the type of its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Class {
    /// A setting is not as a guide asks.
    Hardening,
    /// A VM is not managed, or its agent does not answer.
    Management,
    /// Snapshots are missing, too old, or belong to nobody.
    Protection,
    /// Patches are missing.
    Patching,
}

impl Class {
    /// The finding type: namespace/category/classifier. The namespaces are a closed list.
    #[must_use]
    pub fn finding_type(self) -> &'static str {
        match self {
            Self::Hardening => {
                "Software and Configuration Checks/Industry and Regulatory Standards/vSphere Hardening"
            }
            Self::Management => "Software and Configuration Checks/Systems Management/Managed Node",
            Self::Protection => "Software and Configuration Checks/Backup and Recovery/Snapshot",
            // The type of Patch Manager's own findings, so that one filter finds both.
            Self::Patching => "Software and Configuration Checks/Patch Management",
        }
    }
}

/// What kind of object of vSphere something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A virtual machine.
    Vm,
    /// An ESXi host.
    Host,
    /// A cluster.
    Cluster,
    /// A port group, of a standard or a distributed switch.
    Portgroup,
}

impl Kind {
    /// The word for it in ids.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Host => "host",
            Self::Cluster => "cluster",
            Self::Portgroup => "portgroup",
        }
    }

    /// The words for people.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Vm => "VM",
            Self::Host => "host",
            Self::Cluster => "cluster",
            Self::Portgroup => "port group",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Vm, Self::Host, Self::Cluster, Self::Portgroup].into_iter().find(|kind| kind.word() == word)
    }
}

/// What tells an object from all others. Names do not, and a `MoRef` repeats across vCenters. A vCenter that was taken back to an
/// older backup may give a `MoRef` again, to another VM; the instance UUID tells that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// Its vCenter.
    pub vcenter: VcenterId,
    /// Its reference there.
    pub moref: MoRef,
    /// The instance UUID of a VM, as long as it can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
}

impl Object {
    /// Whether both are the same object, as far as is known: same place, and no two different instance UUIDs.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind, &self.vcenter, &self.moref) == (other.kind, &other.vcenter, &other.moref)
            && !matches!((&self.instance, &other.instance), (Some(one), Some(two)) if one != two)
    }
}

/// The managed node that a VM is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The account that it is registered in.
    pub account: AccountId,
    /// The Region that it is registered in.
    pub region: Region,
}

/// A tag of vSphere.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// The category. A VM may have several tags of one.
    pub category: Arc<str>,
    /// The tag.
    pub name: Arc<str>,
}

/// What has a problem, and where it is. Only `object` decides anything; all else is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What it is.
    pub object: Object,
    /// Its name.
    pub name: Arc<str>,
    /// The name of its vCenter in the configuration.
    pub vcenter_name: Arc<str>,
    /// Its datacenter.
    pub datacenter: Option<Arc<str>>,
    /// Its cluster.
    pub cluster: Option<Arc<str>>,
    /// The host that it runs on.
    pub host: Option<Arc<str>>,
    /// The path of its folder.
    pub folder: Option<Arc<str>>,
    /// The operating system of the guest.
    pub guest_os: Option<Arc<str>>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Who it belongs to, by a tag that the configuration names.
    pub owner: Option<Arc<str>>,
    /// The managed node that it is, if it is one.
    pub node: Option<Node>,
}

/// Where findings of something go: one account and Region. Each object has one target, so that none is told twice, not even
/// where an aggregation Region shows the findings of all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// The partition: `aws`, `aws-cn`, `aws-us-gov`, …
    pub partition: Arc<str>,
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
}

impl Target {
    /// The product that custom findings of an account belong to.
    #[must_use]
    pub fn product_arn(&self) -> String {
        let Self { partition, account, region } = self;
        format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default")
    }
}

/// How a problem is dealt with (`Remediation.Recommendation`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// What to do.
    pub text: Arc<str>,
    /// A page about it; `https` or `http`.
    pub url: Option<Arc<str>>,
}

/// One thing that is wrong with one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What found it.
    pub rule: RuleId,
    /// What it is told together with when findings are folded.
    pub family: Family,
    /// What it is about.
    pub class: Class,
    /// What has it.
    pub subject: Arc<Subject>,
    /// Where it is told.
    pub target: Arc<Target>,
    /// What is wrong, in a few words, without the name of the subject: it is the same for all.
    pub title: Arc<str>,
    /// What is wrong, and why that matters.
    pub description: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// What the check came to. [`Status::Passed`] is no problem, and makes no finding.
    pub status: Status,
    /// How it is dealt with.
    pub advice: Option<Advice>,
    /// What guides and standards ask for it.
    pub requirements: Vec<Arc<str>>,
    /// What was read, and what was expected. It must not hold times of reading: each change is an update.
    pub evidence: BTreeMap<Arc<str>, Arc<str>>,
}
