//! What Systems Manager tells of managed nodes and activations.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ActivationId, NodeId};

/// The tags of a node as they are in AWS, whoever wrote them.
pub type NodeTags = BTreeMap<Arc<str>, Arc<str>>;

/// A managed node, from `DescribeInstanceInformation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// What the guest calls itself; on Windows with `.WORKGROUP` or the domain behind it.
    pub computer_name: Option<Box<str>>,
    /// The address that the agent reports.
    pub ip_address: Option<IpAddr>,
    /// Its platform.
    pub platform: Option<Platform>,
    /// Version of SSM Agent.
    pub agent_version: Option<Arc<str>>,
    /// Whether the agent reports.
    pub ping: Ping,
    /// When it last did.
    pub last_ping: Option<Timestamp>,
    /// The activation that it was registered with.
    pub activation: Option<ActivationId>,
    /// When it was registered.
    pub registered: Option<Timestamp>,
}

/// The platforms of managed nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Linux
    Linux,
    /// Windows
    Windows,
    /// macOS
    MacOs,
}

/// Whether the agent of a node reports (`PingStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ping {
    /// It does.
    Online,
    /// It has not for five minutes or longer.
    ConnectionLost,
    /// It has not for long, or never did.
    Inactive,
    /// Systems Manager says nothing that we know.
    Unknown,
}

impl Ping {
    /// The words for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::ConnectionLost => "connection lost",
            Self::Inactive => "inactive",
            Self::Unknown => "state unknown",
        }
    }
}

/// An activation, from `DescribeActivations`. Its code is told once, when it is made, and never here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Its id.
    pub id: ActivationId,
    /// What its maker wrote.
    pub description: Option<Box<str>>,
    /// How many nodes may be registered with it.
    pub limit: i32,
}
