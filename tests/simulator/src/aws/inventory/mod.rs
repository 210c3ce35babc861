//! SSM Inventory: what is known of nodes, type by type. Custom types are those of callers; `AWS:InstanceInformation` comes from the
//! nodes themselves. Other types of AWS are what agents collect, which is not played: nobody has any.

mod delete;
mod put;
mod query;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) use self::delete::{delete, deletions};
pub(super) use self::put::put;
pub(super) use self::read::{entries, get, schema};

use super::state::{AwsNode, Region};
use super::timeline::Timeline;

/// The type that every node has.
const OF_NODES: &str = "AWS:InstanceInformation";
/// The most custom types of an account in a Region.
const CUSTOM_TYPES: usize = 20;

/// A row: attributes and their values.
type Row = BTreeMap<String, String>;

/// What a node has of a type, with its past; `None`: it was deleted.
type Line = Timeline<Option<Arc<Item>>>;

/// What a node has of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    version: String,
    /// As the caller wrote it.
    captured: String,
    hash: Option<String>,
    content: Vec<Row>,
}

/// A custom type. It is there from the first item on, until it is deleted.
#[derive(Debug, Clone, Default)]
struct Schema {
    /// The attributes of each version that was ever put.
    versions: BTreeMap<Version, BTreeSet<String>>,
    /// What is put with this version or an earlier one is ignored.
    disabled: Option<Version>,
}

/// `1.2`, in the order of its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

impl Version {
    fn read(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// A type that somebody deleted, for good or only what there was of it.
#[derive(Debug, Clone)]
struct Deletion {
    id: String,
    name: String,
    token: Option<(String, Value)>,
    started: Timestamp,
    /// Items by the version that they had.
    counts: BTreeMap<String, usize>,
}

/// The inventory of a Region.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    schemas: BTreeMap<String, Schema>,
    /// By node and type.
    items: BTreeMap<String, BTreeMap<String, Line>>,
    deletions: Vec<Deletion>,
}

impl Inventory {
    /// What a node had of a custom type at a moment.
    fn seen(&self, node: &str, name: &str, moment: Duration) -> Option<&Arc<Item>> {
        self.items.get(node)?.get(name)?.at(moment)?.as_ref()
    }

    fn now(&self, node: &str, name: &str) -> Option<&Arc<Item>> {
        self.items.get(node)?.get(name)?.now().as_ref()
    }

    /// Everything that a node has now, and the custom types that there are, for tests.
    pub(crate) fn truth(&self, held: &Region) -> Value {
        let mut nodes = serde_json::Map::new();
        for (node, items) in &self.items {
            if held.node(node).is_none() {
                continue;
            }
            let items = items.iter().filter_map(|(name, line)| {
                let item = line.now().as_ref()?;
                let told = json!({
                    "schemaVersion": item.version, "captureTime": item.captured, "contentHash": item.hash,
                    "content": item.content,
                });
                Some((name.clone(), told))
            });
            nodes.insert(node.clone(), Value::Object(items.collect()));
        }
        let deletions = self.deletions.iter().map(|deletion| {
            json!({ "id": deletion.id, "type": deletion.name,
                "items": deletion.counts.values().sum::<usize>() })
        });
        json!({
            "types": self.schemas.keys().collect::<Vec<_>>(), "nodes": nodes,
            "deletions": deletions.collect::<Vec<_>>(),
        })
    }
}

/// What every node has, as the only row of its type.
fn of_node(node: &AwsNode) -> Item {
    let mut row = Row::new();
    let kind = if node.is_managed() { "ManagedInstance" } else { "EC2Instance" };
    let status = if node.ping_status == "Online" { "Active" } else { "ConnectionLost" };
    for (attribute, value) in [
        ("AgentType", "amazon-ssm-agent"),
        ("AgentVersion", &node.agent_version),
        ("ComputerName", &node.computer_name),
        ("InstanceId", &node.instance_id),
        ("InstanceStatus", status),
        ("IpAddress", &node.ip_address),
        ("PlatformName", &node.platform_name),
        ("PlatformType", &node.platform_type),
        ("PlatformVersion", &node.platform_version),
        ("ResourceType", kind),
    ] {
        row.insert(attribute.to_owned(), value.to_owned());
    }
    Item {
        version: "1.0".to_owned(),
        captured: node.last_ping.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        hash: None,
        content: vec![row],
    }
}
