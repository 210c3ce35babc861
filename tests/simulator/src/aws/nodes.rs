//! SSM: the managed nodes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::uptime;
use crate::vcenter::lock;

use super::associations;
use super::error::Error;
use super::service::{Call, invalid};
use super::state::{AwsNode, Node};

/// A page looks at so many nodes at most; when few of them pass the filters it is a short page, with more to come.
const LOOKED_AT: usize = 1000;

/// One filter: any of the values.
#[derive(Debug, PartialEq, Eq)]
struct Filter {
    key: String,
    values: Vec<String>,
}

impl Filter {
    /// Reads the newer or the older list.
    fn read(call: &Call<'_>) -> Result<Vec<Self>, Error> {
        let (newer, older) = (call.list("Filters"), call.list("InstanceInformationFilterList"));
        if !newer.is_empty() && !older.is_empty() {
            return Err(invalid(
                call.service,
                "Filters and InstanceInformationFilterList can not be used together",
            ));
        }
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let read = |key: &Value, values: &Value| Self {
            key: key.as_str().unwrap_or_default().to_owned(),
            values: strings(values),
        };
        let filters: Vec<Self> = newer
            .iter()
            .map(|filter| read(&filter["Key"], &filter["Values"]))
            .chain(older.iter().map(|filter| read(&filter["key"], &filter["valueSet"])))
            .collect();
        for filter in &filters {
            filter.check()?;
        }
        let of_tags = filters.iter().filter(|filter| filter.is_about_tags()).count();
        if of_tags > 0 && of_tags < filters.len() {
            return Err(invalid(call.service, "Tag filters can't be combined with other filter types"));
        }
        Ok(filters)
    }

    fn is_about_tags(&self) -> bool {
        self.key == "tag-key" || self.key.starts_with("tag:")
    }

    fn check(&self) -> Result<(), Error> {
        let allowed: &[&str] = match self.key.as_str() {
            "PingStatus" => &["Online", "ConnectionLost", "Inactive"],
            "PlatformTypes" => &["Windows", "Linux", "MacOS"],
            "ResourceType" => &["EC2Instance", "ManagedInstance"],
            "AssociationStatus" => &["Success", "Pending", "Failed"],
            "ActivationIds" | "AgentVersion" | "IamRole" | "InstanceIds" | "SourceIds" | "SourceTypes" => &[],
            _ if self.is_about_tags() => &[],
            _ => return Err(Error::bad("InvalidFilterKey", "")),
        };
        let wrong = self.values.iter().find(|value| match self.key.as_str() {
            "InstanceIds" => !value.starts_with("mi-") && !value.starts_with("i-"),
            _ => !allowed.is_empty() && !allowed.contains(&value.as_str()),
        });
        match wrong {
            Some(value) => Err(Error::bad(
                "InvalidInstanceInformationFilterValue",
                format!("{value} is not a valid value of the filter {}", self.key),
            )),
            None => Ok(()),
        }
    }

    fn fits(
        &self,
        node: &AwsNode,
        tags: Option<&BTreeMap<String, String>>,
        associations: Option<&str>,
    ) -> bool {
        let any = |value: &str| self.values.iter().any(|wanted| wanted == value);
        let tags = || tags.into_iter().flatten();
        match self.key.as_str() {
            "ActivationIds" => node.activation_id.as_deref().is_some_and(any),
            "AgentVersion" => any(&node.agent_version),
            "IamRole" => node.iam_role.as_deref().is_some_and(any),
            "InstanceIds" | "SourceIds" => any(&node.instance_id),
            "PingStatus" => any(&node.ping_status),
            "PlatformTypes" => any(&node.platform_type),
            "ResourceType" => any(&node.resource_type),
            "SourceTypes" => {
                any(if node.is_managed() { "AWS::SSM::ManagedInstance" } else { "AWS::EC2::Instance" })
            }
            "tag-key" => tags().any(|(key, _)| any(key)),
            "AssociationStatus" => associations.is_some_and(any),
            key => {
                let name = key.strip_prefix("tag:").unwrap_or(key);
                tags().any(|(key, value)| key == name && any(value))
            }
        }
    }
}

pub(super) fn describe(call: &Call<'_>) -> Result<Value, Error> {
    let filters = Filter::read(call)?;
    let most = call.number("MaxResults").unwrap_or(10);
    let query = call.query(&["NextToken", "MaxResults"]);
    let after = match call.text("NextToken") {
        Some(token) => {
            let taken = call.shared.tokens.take(&query, token);
            Some(taken.ok_or_else(|| Error::bad("InvalidNextToken", "The specified token is not valid."))?)
        }
        None => None,
    };
    let state = lock(&call.shared.state);
    let moment = state.seen(|delay| delay.ssm);
    let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut list = Vec::new();
    let mut next = None;
    if let Some(held) = state.region(&call.caller.account, &call.caller.region) {
        let mut last = None;
        for (looked_at, (id, node)) in held.nodes.range::<str, _>((start, Bound::Unbounded)).enumerate() {
            if list.len() == most || looked_at == LOOKED_AT {
                next = last;
                break;
            }
            last = Some(id);
            let Some(Some(info)) = node.info.at(moment) else { continue };
            let tags = node.tags.at(moment).and_then(Option::as_deref);
            let associations = associations::status(&held.associations, id);
            if filters.iter().all(|filter| filter.fits(info, tags, associations)) {
                let mut told = info.told();
                if let (Value::Object(told), Some(Value::Object(more))) =
                    (&mut told, associations::told(&held.associations, id))
                {
                    told.extend(more);
                }
                list.push(told);
            }
        }
    }
    let mut answer = json!({ "InstanceInformationList": list });
    if let Some(last) = next {
        answer["NextToken"] = call.shared.tokens.give(&query, last).into();
    }
    Ok(answer)
}

pub(super) fn deregister(call: &Call<'_>) -> Result<Value, Error> {
    let id = call.text("InstanceId").unwrap_or_default();
    let mut state = lock(&call.shared.state);
    let keep = state.keep();
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let node = held.and_then(|held| held.nodes.get_mut(id)).filter(|node| node.info.now().is_some());
    let node = node.ok_or_else(|| {
        Error::bad("InvalidInstanceId", format!("The instance ID {id} is not registered in this Region"))
    })?;
    remove(node, uptime(), keep);
    call.record(id, json!({}), true);
    Ok(json!({}))
}

/// Takes a node away with its tags.
pub(crate) fn remove(node: &mut Node, now: Duration, keep: Duration) {
    node.info.set(now, keep, None);
    node.tags.set(now, keep, None);
}
