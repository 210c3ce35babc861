//! DeleteInventory, which takes a custom type from all nodes of the account in a Region, and what is told of it later.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::uptime;
use crate::soap::session::random_uuid;
use crate::vcenter::lock;

use super::super::error::Error;
use super::super::paging::page;
use super::super::service::Call;
use super::super::state::seconds;
use super::Deletion;

/// How long it is told to be in progress. What there was is gone from the start.
const TAKES: SignedDuration = SignedDuration::from_secs(2);

fn summary(counts: &BTreeMap<String, usize>, over: bool) -> Value {
    let left = |count: usize| if over { 0 } else { count };
    let total: usize = counts.values().sum();
    let items: Vec<Value> = counts
        .iter()
        .map(|(version, count)| json!({ "Version": version, "Count": count, "RemainingCount": left(*count) }))
        .collect();
    json!({ "TotalCount": total, "RemainingCount": left(total), "SummaryItems": items })
}

impl Deletion {
    fn told(&self, now: Timestamp) -> Value {
        let end = self.started + TAKES;
        let over = end <= now;
        json!({
            "DeletionId": self.id, "TypeName": self.name, "DeletionStartTime": seconds(self.started),
            "LastStatus": if over { "Complete" } else { "InProgress" },
            "LastStatusMessage": if over { "The delete is complete." } else { "The delete is in progress." },
            "LastStatusUpdateTime": seconds(if over { end } else { self.started }),
            "DeletionSummary": summary(&self.counts, over),
        })
    }
}

pub(in super::super) fn delete(call: &Call<'_>) -> Result<Value, Error> {
    let name = call.text("TypeName").unwrap_or_default();
    let mut state = lock(&call.shared.state);
    let (keep, now) = (state.keep(), state.window_time());
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let unknown =
        || Error::bad("InvalidTypeNameException", format!("{name} is not a custom type that there is"));
    let held = held.ok_or_else(unknown)?;
    let token = call.text("ClientToken").map(|token| (token.to_owned(), call.input.clone()));
    if let Some((token, input)) = &token {
        let mut before = held.inventory.deletions.iter();
        let before = before.find(|deletion| deletion.token.as_ref().is_some_and(|(known, _)| known == token));
        if let Some(before) = before {
            if before.token.as_ref().is_none_or(|(_, known)| known != input) {
                let text = "The token was used for another request";
                return Err(Error::bad("InvalidDeleteInventoryParametersException", text));
            }
            let summary = summary(&before.counts, false);
            return Ok(json!({ "DeletionId": before.id, "TypeName": name, "DeletionSummary": summary }));
        }
    }
    if !held.inventory.schemas.contains_key(name) {
        return Err(unknown());
    }
    let mut counts = BTreeMap::new();
    let registered: Vec<String> =
        held.nodes.iter().filter(|(_, node)| node.info.now().is_some()).map(|(id, _)| id.clone()).collect();
    for item in registered.iter().filter_map(|id| held.inventory.now(id, name)) {
        *counts.entry(item.version.clone()).or_default() += 1;
    }
    if call.input.get("DryRun").and_then(Value::as_bool) == Some(true) {
        return Ok(json!({ "TypeName": name, "DeletionSummary": summary(&counts, false) }));
    }
    let option = call.text("SchemaDeleteOption");
    let inventory = &mut held.inventory;
    for line in inventory.items.values_mut().filter_map(|items| items.get_mut(name)) {
        if line.now().is_some() {
            line.set(uptime(), keep, None);
        }
    }
    match option {
        Some("DeleteSchema") => {
            inventory.schemas.remove(name);
        }
        Some(_) => {
            if let Some(schema) = inventory.schemas.get_mut(name) {
                schema.disabled = schema.versions.keys().next_back().copied();
            }
        }
        None => {}
    }
    let deletion =
        Deletion { id: random_uuid(), name: name.to_owned(), token, started: now, counts: counts.clone() };
    let answer =
        json!({ "DeletionId": deletion.id, "TypeName": name, "DeletionSummary": summary(&counts, false) });
    inventory.deletions.push(deletion);
    let items: usize = counts.values().sum();
    let effective = items > 0 || option.is_some();
    call.record(name, json!({ "option": option, "items": items }), effective);
    Ok(answer)
}

pub(in super::super) fn deletions(call: &Call<'_>) -> Result<Value, Error> {
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let held = state.region(&call.caller.account, &call.caller.region);
    let all = held.map(|held| held.inventory.deletions.as_slice()).unwrap_or_default();
    let wanted = call.text("DeletionId");
    if let Some(id) = wanted.filter(|id| !all.iter().any(|deletion| deletion.id == *id)) {
        return Err(Error::bad("InvalidDeletionIdException", format!("There is no deletion {id}")));
    }
    let keys = (0..all.len()).map(|at| format!("{at:09}"));
    page(
        call,
        "InventoryDeletions",
        |_| keys,
        |key| {
            let deletion = all.get(key.parse::<usize>().ok()?)?;
            wanted.is_none_or(|wanted| wanted == deletion.id).then(|| deletion.told(now))
        },
    )
}
