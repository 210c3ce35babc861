//! What Systems Manager tells of every managed node at once, hybrid nodes and EC2 instances alike, and what is put there.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::compliance::{Severity, Status};
use mappings::inventory::Item;

use super::{ManagedNodeId, Ping, Platform};

/// `PutInventory` takes so many items at once.
pub const INVENTORY_ITEMS_AT_ONCE: usize = 30;

/// An item of inventory that is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InventoryPut<'a> {
    /// All of it.
    Whole(&'a Item),
    /// The time and the hash of an item that Systems Manager has already, so that it is not deleted as too old. If it has something
    /// else, the call fails with [`AwsErrorKind::OtherContent`](super::AwsErrorKind::OtherContent), and all of it is to be put.
    Confirmed(&'a Item),
}

/// An EC2 instance that is a managed node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ec2Node {
    /// Its id, `i-…`.
    pub id: ManagedNodeId,
    /// What the guest calls itself.
    pub computer_name: Option<Box<str>>,
    /// The platform.
    pub platform: Option<Platform>,
    /// The name and the version of the operating system.
    pub system: Option<Box<str>>,
    /// Version of SSM Agent.
    pub agent_version: Option<Arc<str>>,
    /// Whether the agent reports.
    pub ping: Ping,
    /// When it last did.
    pub last_ping: Option<Timestamp>,
}

/// What a summary of compliance is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ComplianceType {
    /// Patches, from Patch Manager.
    Patch,
    /// Associations, from State Manager.
    Association,
    /// Something else: ours, or anybody's `Custom:…`.
    Other(Arc<str>),
}

impl ComplianceType {
    /// As Systems Manager calls it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Patch => "Patch",
            Self::Association => "Association",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for ComplianceType {
    fn from(name: String) -> Self {
        match name.as_str() {
            "Patch" => Self::Patch,
            "Association" => Self::Association,
            _ => Self::Other(name.into()),
        }
    }
}

/// The compliance of one node of one type, from `ListResourceComplianceSummaries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComplianceSummary {
    /// The node.
    pub node: ManagedNodeId,
    /// What it is about.
    pub kind: ComplianceType,
    /// Whether all is as it should be. None: Systems Manager says nothing that we know.
    pub status: Option<Status>,
    /// The worst of what is not.
    pub severity: Option<Severity>,
    /// How many items are as they should be.
    pub compliant: u32,
    /// How many are not.
    pub non_compliant: u32,
    /// How many are not, by severity.
    pub by_severity: BTreeMap<Severity, u32>,
    /// When this was found.
    pub at: Option<Timestamp>,
    /// The run (`ExecutionId`) in which it was.
    pub run: Option<Box<str>>,
}

/// What the inventory of a node has of one type, from `GetInventory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventorySeen {
    /// The node.
    pub node: ManagedNodeId,
    /// The version of the type.
    pub schema_version: Box<str>,
    /// When it was captured.
    pub captured: Option<Timestamp>,
    /// The hash that was put with it.
    pub content_hash: Option<Box<str>>,
    /// How many rows it has. The rows themselves are not kept: there may be many, and nothing is made of them.
    pub rows: usize,
}
