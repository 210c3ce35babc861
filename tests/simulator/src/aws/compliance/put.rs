//! PutComplianceItems: the whole list of a type of a node, every time.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::uptime;
use crate::vcenter::lock;

use super::super::error::Error;
use super::super::service::Call;
use super::super::timeline::Timeline;
use super::{CUSTOM_TYPES, Item, Report};

/// Bytes of one item, and of the whole list. AWS does not publish them; they are those of inventory.
const LARGEST_ITEM: usize = 200 << 10;
const LARGEST: usize = 1 << 20;

fn content(name: &str, text: impl Into<String>) -> Error {
    let mut error = Error::bad("InvalidItemContentException", text);
    if name.starts_with("Custom:") {
        error.members.insert("TypeName".to_owned(), name.into());
    }
    error
}

fn read(name: &str, list: &[Value]) -> Result<Vec<Item>, Error> {
    let mut ids = BTreeSet::new();
    let mut items = Vec::new();
    for item in list {
        let id = item["Id"].as_str().unwrap_or_default().to_owned();
        if id.trim().is_empty() {
            return Err(content(name, "every item needs an Id"));
        }
        if !ids.insert(id.clone()) {
            return Err(content(name, format!("the item {id} is there twice")));
        }
        if item.to_string().len() > LARGEST_ITEM {
            let text = format!("the item {id} is larger than 200 KB");
            let mut error = Error::bad("ItemSizeLimitExceededException", text);
            error.members.insert("TypeName".to_owned(), name.into());
            return Err(error);
        }
        let details = item["Details"].as_object().into_iter().flatten();
        items.push(Item {
            id,
            title: item["Title"].as_str().map(str::to_owned),
            severity: item["Severity"].as_str().unwrap_or_default().to_owned(),
            compliant: item["Status"] == "COMPLIANT",
            details: details
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect(),
        });
    }
    items.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(items)
}

pub(in super::super) fn put(call: &Call<'_>) -> Result<Value, Error> {
    let (id, name) =
        (call.text("ResourceId").unwrap_or_default(), call.text("ComplianceType").unwrap_or_default());
    if call.text("ResourceType") != Some("ManagedInstance") {
        return Err(Error::bad("InvalidResourceType", "The only resource type is ManagedInstance"));
    }
    let mut state = lock(&call.shared.state);
    let keep = state.keep();
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let held = held.filter(|held| held.node(id).is_some()).ok_or_else(|| {
        Error::bad("InvalidResourceId", format!("{id} is not a managed node of this Region"))
    })?;
    if !name.starts_with("Custom:") {
        return Err(content(name, format!("{name} is a type of AWS: those of callers begin with Custom:")));
    }
    if call.text("UploadType") == Some("PARTIAL") {
        return Err(content(name, "PARTIAL is for associations only: send the whole list"));
    }
    if call.input["Items"].to_string().len() > LARGEST {
        return Err(Error::bad("TotalSizeLimitExceededException", "The items are larger than 1 MB together"));
    }
    let items = read(name, call.list("Items"))?;
    let compliance = &mut held.compliance;
    if !compliance.types.contains(name) && compliance.types.len() >= CUSTOM_TYPES {
        let text = "An account has no more than 10 custom compliance types";
        return Err(Error::bad("ComplianceTypeCountLimitExceededException", text));
    }
    let report = Report {
        hash: call.text("ItemContentHash").map(str::to_owned),
        summary: call.input["ExecutionSummary"].clone(),
        items,
    };
    let of_node = compliance.reports.entry(id.to_owned()).or_default();
    let before = of_node.get(name).map(|line| Arc::clone(line.now()));
    let same = before.as_ref().is_some_and(|before| before.hash.is_some() && before.hash == report.hash);
    let effective = !same && before.as_deref() != Some(&report);
    let failed = report.items.iter().filter(|item| !item.compliant).count();
    let detail = json!({
        "type": name, "hash": report.hash, "items": report.items.len(), "nonCompliant": failed,
        "ignored": same,
    });
    if effective {
        compliance.types.insert(name.to_owned());
        let report = Arc::new(report);
        match of_node.get_mut(name) {
            Some(line) => line.set(uptime(), keep, report),
            None => {
                of_node.insert(name.to_owned(), Timeline::new(uptime(), report));
            }
        }
    }
    call.record(id, detail, effective);
    Ok(json!({}))
}
