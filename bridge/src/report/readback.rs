//! What Systems Manager says of every managed node, in bulk: pages of lists, and patch states of many nodes at a time.
//!
//! Of inventory two types are read that have one short row for a node: what its own agent gathers, and what it is told of its VM.
//! Their capture times say how old the inventory of a node is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mappings::compliance::table::{Associations, Inventory, Patches};
use mappings::inventory::VM_TYPE;

use crate::aws::{
    AwsErrorKind, ComplianceType, Ec2Node, ManagedNodeId, PATCH_STATES_AT_ONCE, Reports, Services, TargetName,
};
use crate::cloud::Cloud;
use crate::observe::aws::listing;

use super::window::Windows;

/// What an agent gathers of its machine where State Manager has it gather inventory (`AWS-GatherSoftwareInventory`). Other types are of
/// the same time and have many rows, all of which would be sent.
const GATHERED: &str = "AWS:InstanceDetailedInformation";
/// The types of inventory that are read.
const TYPES: [&str; 2] = [GATHERED, VM_TYPE];

/// What was read of all targets.
#[derive(Debug, Default)]
pub struct ReadBack {
    pub(super) targets: BTreeMap<TargetName, TargetRead>,
    /// The windows that a report is narrowed to. None: it is not, or nobody could be asked.
    pub(super) windows: Option<Windows>,
}

/// What was read of one target. What failed says why.
#[derive(Debug)]
pub(super) struct TargetRead {
    pub(super) ec2: Result<Vec<Ec2Node>, String>,
    pub(super) associations: Result<BTreeMap<ManagedNodeId, Associations>, String>,
    pub(super) patches: Result<BTreeMap<ManagedNodeId, Patches>, String>,
    pub(super) inventory: Result<BTreeMap<ManagedNodeId, Vec<Inventory>>, String>,
}

impl TargetRead {
    /// What could not be read, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            self.ec2.as_ref().err().map(|why| ("its EC2 instances", why.as_str())),
            self.associations.as_ref().err().map(|why| ("the compliance of its associations", why.as_str())),
            self.patches.as_ref().err().map(|why| ("its patch states", why.as_str())),
            self.inventory.as_ref().err().map(|why| ("its inventory", why.as_str())),
        ]
        .into_iter()
        .flatten()
    }
}

impl ReadBack {
    /// Reads all targets at once. Which hybrid nodes there are is known from the cloud.
    pub(crate) async fn read(reports: Vec<(TargetName, Arc<dyn Reports>)>, cloud: &Cloud) -> Self {
        let reading = reports.into_iter().map(|(name, reports)| {
            let hybrid: Vec<ManagedNodeId> = cloud
                .target(&name)
                .into_iter()
                .flat_map(|view| view.nodes.keys())
                .filter_map(|node| ManagedNodeId::parse(node.as_str()).ok())
                .collect();
            async move { (name, target(&*reports, hybrid).await) }
        });
        let targets = futures_util::future::join_all(reading).await.into_iter().collect();
        Self { targets, windows: None }
    }

    /// The same with the windows of this name, if there is one.
    pub(crate) async fn with_window(self, services: Vec<(TargetName, Services)>, name: Option<&str>) -> Self {
        let windows = match name {
            Some(name) => Some(Windows::read(services, name).await),
            None => None,
        };
        Self { windows, ..self }
    }
}

async fn target(reports: &dyn Reports, hybrid: Vec<ManagedNodeId>) -> TargetRead {
    let ec2 = listing("managed EC2 instances", |next| reports.ec2_nodes(next)).await;
    let ec2 = ec2.map_err(|error| error.to_string());
    let wanted = [ComplianceType::Association.as_str()];
    let summaries = listing("summaries of compliance", |next| reports.compliance(&wanted, next)).await;
    let associations = summaries.map_err(|error| error.to_string()).map(|summaries| {
        summaries
            .into_iter()
            .filter(|summary| summary.kind == ComplianceType::Association)
            .map(|summary| {
                let counts =
                    Associations { compliant: summary.compliant, non_compliant: summary.non_compliant };
                (summary.node, counts)
            })
            .collect()
    });
    let nodes: BTreeSet<ManagedNodeId> =
        hybrid.into_iter().chain(ec2.iter().flatten().map(|node| node.id.clone())).collect();
    let nodes: Vec<ManagedNodeId> = nodes.into_iter().collect();
    let patches = patches(reports, &nodes).await;
    let inventory = inventory(reports).await;
    TargetRead { ec2, associations, patches, inventory }
}

async fn inventory(reports: &dyn Reports) -> Result<BTreeMap<ManagedNodeId, Vec<Inventory>>, String> {
    let mut all: BTreeMap<ManagedNodeId, Vec<Inventory>> = BTreeMap::new();
    for type_name in TYPES {
        let seen = match listing("inventory", |next| reports.inventory(type_name, next)).await {
            Ok(seen) => seen,
            // Systems Manager knows no such type: no node has any of it.
            Err(error) if error.kind == AwsErrorKind::Invalid => continue,
            Err(error) => return Err(error.to_string()),
        };
        for one in seen.into_iter().filter(|one| one.rows > 0) {
            let known = Inventory { type_name, captured: one.captured, hash: one.content_hash };
            all.entry(one.node).or_default().push(known);
        }
    }
    Ok(all)
}

async fn patches(
    reports: &dyn Reports,
    nodes: &[ManagedNodeId],
) -> Result<BTreeMap<ManagedNodeId, Patches>, String> {
    let mut all = BTreeMap::new();
    for some in nodes.chunks(PATCH_STATES_AT_ONCE) {
        let states = listing("patch states", |next| reports.patches(some, next)).await;
        all.extend(states.map_err(|error| error.to_string())?);
    }
    Ok(all)
}
