//! GetInventory, ListInventoryEntries and GetInventorySchema.

use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::vcenter::lock;

use super::super::error::Error;
use super::super::paging::page;
use super::super::service::Call;
use super::super::state::Region;
use super::query::{Aggregator, Filter};
use super::{Item, OF_NODES, of_node};

/// What a node that was registered at a moment had of a type then.
fn item(held: &Region, node: &str, name: &str, moment: Duration) -> Option<Arc<Item>> {
    let info = held.nodes.get(node)?.info.at(moment)?.as_ref()?;
    if name == OF_NODES {
        Some(Arc::new(of_node(info)))
    } else {
        held.inventory.seen(node, name, moment).cloned()
    }
}

/// Whether the filters are met: each by a row of its type.
fn fits(held: &Region, node: &str, filters: &[Filter], moment: Duration) -> bool {
    filters.iter().all(|filter| {
        let item = item(held, node, &filter.kind, moment);
        item.is_some_and(|item| item.content.iter().any(|row| filter.fits(row)))
    })
}

fn known(held: Option<&Region>, name: &str) -> bool {
    name == OF_NODES || held.is_some_and(|held| held.inventory.schemas.contains_key(name))
}

pub(in super::super) fn get(call: &Call<'_>) -> Result<Value, Error> {
    let filters = Filter::read(call.list("Filters"), true)?;
    let aggregator = Aggregator::read(call.list("Aggregators"))?;
    let wanted = call.list("ResultAttributes").first().and_then(|attribute| attribute["TypeName"].as_str());
    let name = wanted.unwrap_or(OF_NODES);
    let state = lock(&call.shared.state);
    let moment = state.seen(|delay| delay.ssm);
    let held = state.region(&call.caller.account, &call.caller.region);
    if !known(held, name) {
        return Err(Error::bad("InvalidResultAttributeException", format!("There is no type {name}")));
    }
    let nodes = |after: Option<&str>| {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_owned()));
        held.into_iter().flat_map(move |held| held.nodes.range((start.clone(), Bound::Unbounded)))
    };
    let nodes = |after: Option<&str>| nodes(after).map(|(node, _)| node.clone());
    if let (Some(mut aggregator), Some(held)) = (aggregator, held) {
        for node in nodes(None).filter(|node| fits(held, node, &filters, moment)) {
            let item = item(held, &node, &aggregator.kind, moment);
            item.iter().flat_map(|item| &item.content).for_each(|row| aggregator.count(row));
        }
        return Ok(json!({ "Entities": [aggregator.told()] }));
    }
    page(call, "Entities", nodes, |node| {
        let held = held?;
        held.nodes.get(node)?.info.at(moment)?.as_ref()?;
        if !fits(held, node, &filters, moment) {
            return None;
        }
        let mut entity = json!({ "Id": node, "Data": {} });
        if let Some(item) = item(held, node, name, moment) {
            let mut told = json!({
                "TypeName": name, "SchemaVersion": item.version, "CaptureTime": item.captured,
                "Content": item.content,
            });
            if let Some(hash) = &item.hash {
                told["ContentHash"] = hash.clone().into();
            }
            entity["Data"][name] = told;
        }
        Some(entity)
    })
}

pub(in super::super) fn entries(call: &Call<'_>) -> Result<Value, Error> {
    let (id, name) = (call.text("InstanceId").unwrap_or_default(), call.text("TypeName").unwrap_or_default());
    let filters = Filter::read(call.list("Filters"), false)?;
    if let Some(odd) = filters.iter().find(|filter| !filter.kind.is_empty() && filter.kind != name) {
        return Err(Error::bad("InvalidFilter", format!("{} is not the type of the request", odd.kind)));
    }
    let state = lock(&call.shared.state);
    let moment = state.seen(|delay| delay.ssm);
    let held = state.region(&call.caller.account, &call.caller.region);
    let Some(held) = held.filter(|held| held.node(id).is_some()) else {
        let text = format!("The instance ID {id} is not registered in this Region");
        return Err(Error::bad("InvalidInstanceId", text));
    };
    if !known(Some(held), name) {
        return Err(Error::bad("InvalidTypeNameException", format!("There is no type {name}")));
    }
    let found = item(held, id, name, moment);
    let rows: Vec<_> = found.iter().flat_map(|item| &item.content).collect();
    let keys = (0..rows.len()).map(|at| format!("{at:09}"));
    let mut answer = page(
        call,
        "Entries",
        |_| keys,
        |key| {
            let row = rows.get(key.parse::<usize>().ok()?)?;
            filters.iter().all(|filter| filter.fits(row)).then(|| json!(row))
        },
    )?;
    answer["InstanceId"] = id.into();
    answer["TypeName"] = name.into();
    if let Some(item) = found {
        answer["SchemaVersion"] = item.version.clone().into();
        answer["CaptureTime"] = item.captured.clone().into();
    }
    Ok(answer)
}

pub(in super::super) fn schema(call: &Call<'_>) -> Result<Value, Error> {
    let wanted = call.text("TypeName").filter(|name| !name.is_empty());
    if call.input.get("SubType").and_then(Value::as_bool) == Some(true) {
        return Err(Error::bad("InvalidTypeNameException", "The simulator has no types with sub-types"));
    }
    let state = lock(&call.shared.state);
    let held = state.region(&call.caller.account, &call.caller.region);
    if let Some(name) = wanted.filter(|name| !known(held, name)) {
        return Err(Error::bad("InvalidTypeNameException", format!("There is no type {name}")));
    }
    let schemas = held.map(|held| &held.inventory.schemas);
    let custom = schemas.into_iter().flatten().map(|(name, _)| name.clone());
    let names = std::iter::once(OF_NODES.to_owned()).chain(custom);
    page(
        call,
        "Schemas",
        |_| names.filter(|name| wanted.is_none_or(|wanted| wanted == name)),
        |name| {
            if name == OF_NODES {
                let attributes = [
                    "AgentType",
                    "AgentVersion",
                    "ComputerName",
                    "InstanceId",
                    "InstanceStatus",
                    "IpAddress",
                    "PlatformName",
                    "PlatformType",
                    "PlatformVersion",
                    "ResourceType",
                ];
                let attributes = attributes.map(|name| json!({ "Name": name, "DataType": "string" }));
                return Some(json!({ "TypeName": name, "Version": "1.0", "Attributes": attributes }));
            }
            // The newest version stands for all.
            let (version, attributes) = schemas?.get(name)?.versions.last_key_value()?;
            let attributes: Vec<Value> =
                attributes.iter().map(|name| json!({ "Name": name, "DataType": "string" })).collect();
            // A type whose items never had a row has no attributes, which the model does not allow to be told.
            if attributes.is_empty() {
                return None;
            }
            Some(json!({ "TypeName": name, "Version": version.to_string(), "Attributes": attributes }))
        },
    )
}
