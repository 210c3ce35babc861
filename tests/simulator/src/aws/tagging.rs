//! The Resource Groups Tagging API: the tags of all nodes in pages, without those that never had any.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Value, json};

use crate::vcenter::lock;

use super::access::node_arn;
use super::caller::Wish;
use super::error::Error;
use super::service::{Call, invalid};
use super::state::{AwsNode, tag_list};

/// A page looks at so many nodes at most, and may be short while there is more.
const LOOKED_AT: usize = 2000;

pub(super) fn wishes() -> Vec<Wish> {
    vec![Wish::new("tag:GetResources".to_owned(), "*".to_owned())]
}

/// What is asked for.
struct Wanted<'a> {
    /// `ssm`, `ssm:managed-instance`, …; empty: everything.
    types: Vec<&'a str>,
    /// Keys, each with values or with none for any.
    tags: Vec<(&'a str, Vec<&'a str>)>,
    arns: Vec<&'a str>,
}

impl<'a> Wanted<'a> {
    fn read(call: &'a Call<'_>) -> Result<Self, Error> {
        let bad = |text: &str| Err(invalid(call.service, text));
        let strings = |list: &'a [Value]| list.iter().filter_map(Value::as_str).collect::<Vec<_>>();
        let (types, arns) =
            (strings(call.list("ResourceTypeFilters")), strings(call.list("ResourceARNList")));
        let mut tags = Vec::new();
        for filter in call.list("TagFilters") {
            let Some(key) = filter.get("Key").and_then(Value::as_str) else {
                return bad("A tag filter needs a key");
            };
            let values = filter.get("Values").and_then(Value::as_array).map(Vec::as_slice);
            tags.push((key, strings(values.unwrap_or_default())));
        }
        if types.len() > 100 {
            return bad("ResourceTypeFilters can include up to 100 items");
        }
        let well_formed = |name: &&str| {
            let plain = |part: &str| {
                !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
            };
            match name.split_once(':') {
                Some((service, kind)) => plain(service) && plain(kind),
                None => plain(name),
            }
        };
        if let Some(odd) = types.iter().find(|name| !well_formed(name)) {
            return bad(&format!("{odd} is not a valid resource type"));
        }
        let has = |member: &str| call.input.get(member).is_some_and(|value| !value.is_null());
        let paging = ["ResourcesPerPage", "TagsPerPage", "PaginationToken"];
        if has("ResourceARNList") {
            let others = ["ResourceTypeFilters", "TagFilters"].iter().chain(&paging);
            if let Some(other) = others.into_iter().find(|member| has(member)) {
                return bad(&format!("ResourceARNList can not be used together with {other}"));
            }
            if let Some(odd) = arns.iter().find(|arn| !arn.starts_with("arn:")) {
                return bad(&format!("{odd} is not an ARN"));
            }
        }
        let flag = |member: &str| call.input.get(member).and_then(Value::as_bool).unwrap_or(false);
        if flag("ExcludeCompliantResources") && !flag("IncludeComplianceDetails") {
            return bad("ExcludeCompliantResources needs IncludeComplianceDetails");
        }
        Ok(Self { types, tags, arns })
    }

    fn fits(&self, node: &AwsNode, arn: &str, tags: &BTreeMap<String, String>) -> bool {
        let (service, kind) =
            if node.is_managed() { ("ssm", "ssm:managed-instance") } else { ("ec2", "ec2:instance") };
        (self.types.is_empty() || self.types.iter().any(|name| *name == service || *name == kind))
            && (self.arns.is_empty() || self.arns.contains(&arn))
            && self.tags.iter().all(|(key, values)| {
                tags.get(*key).is_some_and(|value| values.is_empty() || values.contains(&value.as_str()))
            })
    }
}

/// A number of the input that has to be in a range.
fn within(call: &Call<'_>, member: &str, least: i64, most: i64) -> Result<Option<usize>, Error> {
    let Some(number) = call.input.get(member).and_then(Value::as_i64) else { return Ok(None) };
    if !(least..=most).contains(&number) {
        return Err(invalid(call.service, format!("{member} must be between {least} and {most}")));
    }
    Ok(usize::try_from(number).ok())
}

pub(super) fn resources(call: &Call<'_>) -> Result<Value, Error> {
    let wanted = Wanted::read(call)?;
    let most = within(call, "ResourcesPerPage", 1, 100)?;
    let most_tags = within(call, "TagsPerPage", 100, 500)?;
    let most = if call.list("ResourceARNList").is_empty() { most.unwrap_or(50) } else { 100 };
    let query = call.query(&["PaginationToken", "ResourcesPerPage", "TagsPerPage"]);
    let after =
        match call.text("PaginationToken").filter(|token| !token.is_empty()) {
            Some(token) => {
                let taken = call.shared.tokens.take(&query, token);
                Some(taken.ok_or_else(|| {
                    invalid(call.service, "The PaginationToken is not valid for this request")
                })?)
            }
            None => None,
        };
    let details = call.input.get("IncludeComplianceDetails").and_then(Value::as_bool).unwrap_or(false);
    let hide = call.input.get("ExcludeCompliantResources").and_then(Value::as_bool).unwrap_or(false);
    let (account, region) = (&call.caller.account, &call.caller.region);
    let state = lock(&call.shared.state);
    let moment = state.seen(|delay| delay.tagging);
    let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let (mut list, mut tag_count) = (Vec::new(), 0);
    let mut next = None;
    if let Some(held) = state.region(account, region) {
        let mut last = None;
        for (looked_at, (id, node)) in held.nodes.range::<str, _>((start, Bound::Unbounded)).enumerate() {
            if list.len() == most || looked_at == LOOKED_AT {
                next = last;
                break;
            }
            if let (Some(Some(info)), Some(Some(tags))) = (node.info.at(moment), node.tags.at(moment)) {
                let arn = node_arn(account, region, id);
                // No tag policy is played, so everything is compliant.
                if !hide && wanted.fits(info, &arn, tags) {
                    tag_count += tags.len().max(1);
                    // A resource is never split; one that does not fit begins the next page.
                    if most_tags.is_some_and(|most| tag_count > most) {
                        next = last;
                        break;
                    }
                    let mut told = json!({ "ResourceARN": arn, "Tags": tag_list(tags) });
                    if details {
                        told["ComplianceDetails"] = json!({ "ComplianceStatus": true });
                    }
                    list.push(told);
                }
            }
            last = Some(id);
        }
    }
    let token = next.map_or_else(String::new, |last| call.shared.tokens.give(&query, last));
    Ok(json!({ "ResourceTagMappingList": list, "PaginationToken": token }))
}
