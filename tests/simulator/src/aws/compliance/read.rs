//! ListComplianceItems, ListResourceComplianceSummaries and ListComplianceSummaries.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::vcenter::lock;

use super::super::error::Error;
use super::super::paging::page;
use super::super::service::Call;
use super::super::state::Region;
use super::{Counts, Item, Report, report, status, types};

/// One filter: any of the values.
struct Filter<'a> {
    key: &'a str,
    values: Vec<&'a str>,
    operator: &'a str,
}

impl Filter<'_> {
    fn fits(&self, value: &str) -> bool {
        let mut values = self.values.iter();
        match self.operator {
            "NOT_EQUAL" => values.all(|wanted| value != *wanted),
            "BEGIN_WITH" => values.any(|wanted| value.starts_with(wanted)),
            "LESS_THAN" => values.any(|wanted| value < *wanted),
            "GREATER_THAN" => values.any(|wanted| value > *wanted),
            _ => values.any(|wanted| value == *wanted),
        }
    }
}

/// The filters of a request, if they have no other keys than these.
fn filters<'a>(call: &'a Call<'_>, known: &[&str]) -> Result<Vec<Filter<'a>>, Error> {
    let read = |filter: &'a Value| {
        let key = filter["Key"].as_str().unwrap_or_default();
        if !known.contains(&key) {
            return Err(Error::bad("InvalidFilter", format!("{key} is not a valid filter key")));
        }
        let values = filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let operator = filter["Type"].as_str().unwrap_or("EQUAL");
        Ok(Filter { key, values: values.collect(), operator })
    };
    call.list("Filters").iter().map(read).collect()
}

/// Whether filters on what a report is about, and what came of it, are met. Keys that are not of the report are met.
fn fits(filters: &[Filter<'_>], node: &str, name: &str, report: &Report) -> bool {
    filters.iter().all(|filter| match filter.key {
        "ComplianceType" => filter.fits(name),
        "ResourceId" | "AWS:InstanceInformation.InstanceId" => filter.fits(node),
        "ResourceType" => filter.fits("ManagedInstance"),
        "Status" => filter.fits(report.status()),
        "OverallSeverity" => filter.fits(report.severity()),
        _ => true,
    })
}

/// Node and type, in order, from the node of a key on.
fn keys<'a>(held: Option<&'a Region>, after: Option<&str>) -> impl Iterator<Item = String> + use<'a> {
    let first = after.and_then(|after| after.split_once('/')).map(|(node, _)| node.to_owned());
    let start = first.map_or(Bound::Unbounded, Bound::Included);
    held.into_iter().flat_map(move |held| {
        let nodes = held.nodes.range((start.clone(), Bound::Unbounded)).map(|(node, _)| node);
        nodes.flat_map(|node| types(held, node).into_iter().map(move |name| format!("{node}/{name}")))
    })
}

/// The report with a key.
fn found<'a>(
    held: Option<&Region>,
    key: &'a str,
    (moment, now): (Duration, Timestamp),
) -> Option<(&'a str, &'a str, Arc<Report>)> {
    let (node, name) = key.split_once('/')?;
    Some((node, name, report(held?, node, name, moment, now)?))
}

/// ListResourceComplianceSummaries.
pub(in super::super) fn resources(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(
        call,
        &[
            "ComplianceType",
            "ResourceId",
            "ResourceType",
            "Status",
            "OverallSeverity",
            "AWS:InstanceInformation.InstanceId",
        ],
    )?;
    let state = lock(&call.shared.state);
    let when = (state.seen(|delay| delay.ssm), state.window_time());
    let held = state.region(&call.caller.account, &call.caller.region);
    page(
        call,
        "ResourceComplianceSummaryItems",
        |after| keys(held, after),
        |key| {
            let (node, name, report) = found(held, key, when)?;
            fits(&filters, node, name, &report).then(|| {
                json!({
                    "ComplianceType": name, "ResourceType": "ManagedInstance", "ResourceId": node,
                    "Status": report.status(), "OverallSeverity": report.severity(),
                    "ExecutionSummary": report.summary,
                    "CompliantSummary": report.counts(true).told("CompliantCount"),
                    "NonCompliantSummary": report.counts(false).told("NonCompliantCount"),
                })
            })
        },
    )
}

/// ListComplianceSummaries: how many nodes are compliant, type by type.
pub(in super::super) fn summaries(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["ComplianceType", "ResourceType", "Status", "OverallSeverity"])?;
    let state = lock(&call.shared.state);
    let when = (state.seen(|delay| delay.ssm), state.window_time());
    let held = state.region(&call.caller.account, &call.caller.region);
    let mut all: BTreeMap<String, (Counts, Counts)> = BTreeMap::new();
    for key in keys(held, None) {
        let Some((node, name, report)) = found(held, &key, when) else { continue };
        if fits(&filters, node, name, &report) {
            let counts = all.entry(name.to_owned()).or_default();
            let of_status = if report.status() == status(true) { &mut counts.0 } else { &mut counts.1 };
            of_status.add(report.severity());
        }
    }
    page(
        call,
        "ComplianceSummaryItems",
        |_| all.keys().cloned(),
        |name| {
            let (compliant, other) = all.get(name)?;
            Some(json!({
                "ComplianceType": name, "CompliantSummary": compliant.told("CompliantCount"),
                "NonCompliantSummary": other.told("NonCompliantCount"),
            }))
        },
    )
}

/// ListComplianceItems: of one node.
pub(in super::super) fn items(call: &Call<'_>) -> Result<Value, Error> {
    let filters = filters(call, &["ComplianceType", "Id", "Severity", "Status", "Title"])?;
    if call.list("ResourceTypes").iter().any(|kind| kind != "ManagedInstance") {
        return Err(Error::bad("InvalidResourceType", "The only resource type is ManagedInstance"));
    }
    let [node] = call.list("ResourceIds") else {
        return Err(Error::bad("InvalidResourceId", "One resource ID is needed, and no more than one"));
    };
    let node = node.as_str().unwrap_or_default();
    let state = lock(&call.shared.state);
    let when = (state.seen(|delay| delay.ssm), state.window_time());
    let held = state.region(&call.caller.account, &call.caller.region);
    let Some(held) = held.filter(|held| held.node(node).is_some()) else {
        return Err(Error::bad("InvalidResourceId", format!("{node} is not a managed node of this Region")));
    };
    let mut all = BTreeMap::new();
    for name in types(held, node) {
        let report = report(held, node, &name, when.0, when.1);
        for at in 0..report.as_ref().map_or(0, |report| report.items.len()) {
            let report = report.clone();
            all.insert(format!("{name}/{at:09}"), (name.clone(), at, report));
        }
    }
    let wanted = |name: &str, item: &Item| {
        filters.iter().all(|filter| match filter.key {
            "ComplianceType" => filter.fits(name),
            "Id" => filter.fits(&item.id),
            "Severity" => filter.fits(&item.severity),
            "Title" => filter.fits(item.title.as_deref().unwrap_or_default()),
            _ => filter.fits(status(item.compliant)),
        })
    };
    page(
        call,
        "ComplianceItems",
        |_| all.keys().cloned(),
        |key| {
            let (name, at, report) = all.get(key)?;
            let report = report.as_ref()?;
            let item = report.items.get(*at)?;
            wanted(name, item).then(|| {
            let mut told = json!({
                "ComplianceType": name, "ResourceType": "ManagedInstance", "ResourceId": node, "Id": item.id,
                "Status": status(item.compliant), "Severity": item.severity,
                "ExecutionSummary": report.summary, "Details": item.details,
            });
            if let Some(title) = &item.title {
                told["Title"] = title.clone().into();
            }
            told
        })
        },
    )
}
