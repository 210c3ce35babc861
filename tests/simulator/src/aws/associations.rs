//! State Manager associations of nodes, as far as they are told: their last status. Nothing runs; tests say how they went.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::vcenter::lock;

use super::error::Error;
use super::paging::page;
use super::service::Call;
use super::state::seconds;

/// How an association went on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AwsAssociationStatus {
    /// It did what it should: compliant.
    Success,
    /// It could not: not compliant.
    Failed,
    /// It has not run yet: not compliant.
    Pending,
}

impl AwsAssociationStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Failed => "Failed",
            Self::Pending => "Pending",
        }
    }
}

/// The last run of an association on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Association {
    pub(super) id: String,
    pub(super) status: AwsAssociationStatus,
    /// `CRITICAL` … `UNSPECIFIED`.
    pub(super) severity: String,
    pub(super) ran: Timestamp,
}

/// By node and document.
pub(crate) type Associations = BTreeMap<String, BTreeMap<String, Association>>;

/// What DescribeInstanceInformation tells of the associations of a node; nothing where it has none.
pub(super) fn told(held: &Associations, node: &str) -> Option<Value> {
    let all = held.get(node).filter(|all| !all.is_empty())?;
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for association in all.values() {
        *counts.entry(association.status.name()).or_default() += 1;
    }
    let overall = status(held, node)?;
    let last = all.values().map(|association| association.ran).max()?;
    let good = all.values().filter(|association| association.status == AwsAssociationStatus::Success);
    let mut told = json!({
        "AssociationStatus": overall, "LastAssociationExecutionDate": seconds(last),
        "AssociationOverview": {
            "DetailedStatus": overall, "InstanceAssociationStatusAggregatedCount": counts,
        },
    });
    if let Some(good) = good.map(|association| association.ran).max() {
        told["LastSuccessfulAssociationExecutionDate"] = seconds(good);
    }
    Some(told)
}

/// The worst status of the associations of a node.
pub(super) fn status(held: &Associations, node: &str) -> Option<&'static str> {
    let statuses = held.get(node)?.values().map(|association| association.status);
    let worst = statuses.max_by_key(|status| match status {
        AwsAssociationStatus::Success => 0,
        AwsAssociationStatus::Pending => 1,
        AwsAssociationStatus::Failed => 2,
    });
    worst.map(AwsAssociationStatus::name)
}

/// DescribeInstanceAssociationsStatus.
pub(super) fn describe(call: &Call<'_>) -> Result<Value, Error> {
    let id = call.text("InstanceId").unwrap_or_default();
    let state = lock(&call.shared.state);
    let held = state.region(&call.caller.account, &call.caller.region);
    let Some(held) = held.filter(|held| held.node(id).is_some()) else {
        let text = format!("The instance ID {id} is not registered in this Region");
        return Err(Error::bad("InvalidInstanceId", text));
    };
    let all = held.associations.get(id);
    let documents = all.into_iter().flat_map(|all| all.keys()).cloned();
    page(
        call,
        "InstanceAssociationStatusInfos",
        |_| documents,
        |document| {
            let association = all?.get(document)?;
            let status = association.status.name();
            Some(json!({
                "AssociationId": association.id, "Name": document, "DocumentVersion": "1",
                "AssociationVersion": "1", "InstanceId": id, "ExecutionDate": seconds(association.ran),
                "Status": status, "DetailedStatus": status,
                "ExecutionSummary": format!("1 out of 1 plugin processed, {status}."),
            }))
        },
    )
}
