//! Security Hub's cross-Region aggregation: which Region sees the findings of others, and how a client learns of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::vcenter::lock;

use super::config::AwsAccount;
use super::error::Error;
use super::service::Call;

/// The finding aggregator of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsAggregation {
    /// The aggregation Region (home Region).
    pub region: String,
    /// The Regions whose findings it sees too; `None`: all of the account.
    #[serde(default)]
    pub linked: Option<Vec<String>>,
}

impl AwsAggregation {
    /// A Region in it that the account does not have.
    pub(super) fn unknown(&self, account: &AwsAccount) -> Option<&String> {
        let mut all = std::iter::once(&self.region).chain(self.linked.iter().flatten());
        all.find(|name| !account.regions.contains(name))
    }
}

impl AwsAccount {
    /// The Regions whose findings somebody in this Region sees, this one first.
    pub(super) fn seen_from(&self, region: &str) -> Vec<String> {
        let mut seen = vec![region.to_owned()];
        if let Some(aggregation) =
            self.aggregation.as_ref().filter(|aggregation| aggregation.region == region)
        {
            let linked =
                |name: &&String| aggregation.linked.as_ref().is_none_or(|linked| linked.contains(name));
            seen.extend(self.regions.iter().filter(|name| *name != region).filter(linked).cloned());
        }
        seen
    }

    fn aggregator(&self) -> Option<(String, &AwsAggregation)> {
        let aggregation = self.aggregation.as_ref()?;
        // There is one at most, so that its id can be made of the account's.
        let id = format!("01234567-89ab-4cde-8f01-{}", self.id);
        Some((
            format!("arn:aws:securityhub:{}:{}:finding-aggregator/{id}", aggregation.region, self.id),
            aggregation,
        ))
    }
}

/// ListFindingAggregators.
pub(super) fn list(call: &Call<'_>) -> Result<Value, Error> {
    if call.text("NextToken").is_some_and(|token| !token.is_empty()) {
        return Err(Error::bad("InvalidInputException", "The token is not valid for this request"));
    }
    let state = lock(&call.shared.state);
    super::hub::subscribed(&state, call)?;
    let aggregator = state.account(&call.caller.account).and_then(AwsAccount::aggregator);
    let all: Vec<Value> =
        aggregator.into_iter().map(|(arn, _)| json!({ "FindingAggregatorArn": arn })).collect();
    Ok(json!({ "FindingAggregators": all }))
}

/// GetFindingAggregator.
pub(super) fn get(call: &Call<'_>) -> Result<Value, Error> {
    let state = lock(&call.shared.state);
    super::hub::subscribed(&state, call)?;
    let asked = call.text("FindingAggregatorArn").unwrap_or_default();
    let aggregator = state.account(&call.caller.account).and_then(AwsAccount::aggregator);
    let Some((arn, aggregation)) = aggregator.filter(|(arn, _)| arn == asked) else {
        let text = "The finding aggregator that was specified in the request could not be found";
        return Err(Error::new(404, "ResourceNotFoundException", text));
    };
    let mut told = json!({ "FindingAggregatorArn": arn, "FindingAggregationRegion": aggregation.region });
    match &aggregation.linked {
        None => told["RegionLinkingMode"] = "ALL_REGIONS".into(),
        Some(linked) => {
            told["RegionLinkingMode"] = "SPECIFIED_REGIONS".into();
            told["Regions"] = json!(linked);
        }
    }
    Ok(told)
}
