//! What Systems Manager says of every managed node, in bulk: pages of lists, and patch states of many nodes at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mappings::compliance::table::{Associations, Patches};

use crate::aws::{
    ComplianceType, Ec2Node, ManagedNodeId, PATCH_STATES_AT_ONCE, Reports, Services, TargetName,
};
use crate::cloud::Cloud;
use crate::observe::aws::listing;

use super::window::Windows;

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
}

impl TargetRead {
    /// What could not be read, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            self.ec2.as_ref().err().map(|why| ("its EC2 instances", why.as_str())),
            self.associations.as_ref().err().map(|why| ("the compliance of its associations", why.as_str())),
            self.patches.as_ref().err().map(|why| ("its patch states", why.as_str())),
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
    let summaries = listing("summaries of compliance", |next| reports.compliance(next)).await;
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
    TargetRead { ec2, associations, patches }
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
