//! PutInventory. A call that is refused for one item changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::uptime;
use crate::vcenter::lock;

use super::super::error::Error;
use super::super::service::Call;
use super::super::timeline::Timeline;
use super::{CUSTOM_TYPES, Inventory, Item, Row, Schema, Version};

/// Bytes of one item. AWS does not publish them; older agents keep to these two.
const LARGEST_ITEM: usize = 200 << 10;
/// Bytes of all items of a call.
const LARGEST: usize = 1 << 20;
/// Attributes of a type.
const ATTRIBUTES: usize = 50;

/// An item as it was sent.
struct Sent {
    name: String,
    version: Version,
    captured: String,
    hash: Option<String>,
    /// `None`: only the hash was sent, or nothing.
    content: Option<Vec<Row>>,
}

/// An error that tells of which type it is.
fn of_type(code: &str, name: &str, text: &str) -> Error {
    let mut error = Error::bad(code, format!("{name}: {text}"));
    error.members.insert("TypeName".to_owned(), name.into());
    error
}

fn rows(content: &Value) -> Vec<Row> {
    let row = |row: &Value| {
        let cells = row.as_object().into_iter().flatten();
        cells.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    content.as_array().into_iter().flatten().map(row).collect()
}

impl Sent {
    fn read(item: &Value) -> Result<Self, Error> {
        let text = |member: &str| item[member].as_str().map(str::to_owned);
        let name = text("TypeName").unwrap_or_default();
        if name.strip_prefix("Custom:").is_none_or(|rest| rest.trim().is_empty()) {
            let text = format!("{name} is not a custom type: those begin with Custom:");
            return Err(Error::bad("InvalidTypeNameException", text));
        }
        if item.get("Context").is_some_and(|context| !context.is_null()) {
            let text = "a custom type has no context";
            return Err(of_type("UnsupportedInventoryItemContextException", &name, text));
        }
        if item.to_string().len() > LARGEST_ITEM {
            return Err(of_type("ItemSizeLimitExceededException", &name, "the item is larger than 200 KB"));
        }
        let version = item["SchemaVersion"].as_str().and_then(Version::read);
        let version = version.ok_or_else(|| {
            of_type("UnsupportedInventorySchemaVersionException", &name, "the version is not understood")
        })?;
        let content = item.get("Content").filter(|content| !content.is_null()).map(rows);
        let sent = Self {
            version,
            captured: text("CaptureTime").unwrap_or_default(),
            hash: text("ContentHash"),
            content,
            name,
        };
        if sent.content.is_none() && sent.hash.is_none() {
            let text = "neither content nor its hash is there";
            return Err(of_type("InvalidItemContentException", &sent.name, text));
        }
        // The pattern lets the 31st of February pass.
        if sent.captured.parse::<jiff::Timestamp>().is_err() {
            return Err(of_type(
                "InvalidItemContentException",
                &sent.name,
                "CaptureTime is no date and time",
            ));
        }
        Ok(sent)
    }

    /// The attributes of all rows.
    fn attributes(&self) -> BTreeSet<String> {
        self.content.iter().flatten().flat_map(Row::keys).cloned().collect()
    }

    /// Nothing is kept of it: its version was disabled.
    fn is_ignored(&self, schema: Option<&Schema>) -> bool {
        schema.and_then(|schema| schema.disabled).is_some_and(|disabled| self.version <= disabled)
    }
}

/// Whether all of it can be taken.
fn check(inventory: &Inventory, node: &str, items: &[Sent]) -> Result<(), Error> {
    let mut names: BTreeSet<&str> = inventory.schemas.keys().map(String::as_str).collect();
    let mut here = BTreeSet::new();
    for item in items {
        if !here.insert(&item.name) {
            return Err(of_type("InvalidItemContentException", &item.name, "the type is there twice"));
        }
        let schema = inventory.schemas.get(&item.name);
        if item.content.is_none() && !item.is_ignored(schema) {
            let known = inventory.now(node, &item.name);
            if known.is_none_or(|known| known.hash != item.hash) {
                let text = "the content was not sent, and its hash is not that of what is known";
                return Err(of_type("ItemContentMismatchException", &item.name, text));
            }
        }
        let mut attributes = item.attributes();
        let known = schema.and_then(|schema| schema.versions.get(&item.version));
        attributes.extend(known.into_iter().flatten().cloned());
        if attributes.len() > ATTRIBUTES {
            let text = "a type has no more than 50 attributes";
            return Err(of_type("InvalidItemContentException", &item.name, text));
        }
        names.insert(&item.name);
    }
    if names.len() > CUSTOM_TYPES {
        let text = "An account has no more than 20 custom inventory types";
        return Err(Error::bad("CustomSchemaCountLimitExceededException", text));
    }
    Ok(())
}

pub(in super::super) fn put(call: &Call<'_>) -> Result<Value, Error> {
    let id = call.text("InstanceId").unwrap_or_default();
    let mut state = lock(&call.shared.state);
    let keep = state.keep();
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let held = held.filter(|held| held.node(id).is_some()).ok_or_else(|| {
        Error::bad("InvalidInstanceId", format!("The instance ID {id} is not registered in this Region"))
    })?;
    if call.input["Items"].to_string().len() > LARGEST {
        return Err(Error::bad("TotalSizeLimitExceededException", "The items are larger than 1 MB together"));
    }
    let items = call.list("Items").iter().map(Sent::read).collect::<Result<Vec<_>, _>>()?;
    let inventory = &mut held.inventory;
    check(inventory, id, &items)?;
    for item in items {
        let ignored = item.is_ignored(inventory.schemas.get(&item.name));
        let before = inventory.now(id, &item.name).cloned();
        // What has the hash that is known already is not looked at.
        let same = before.as_ref().filter(|before| item.hash.is_some() && before.hash == item.hash);
        let after = Item {
            version: same.map_or_else(|| item.version.to_string(), |same| same.version.clone()),
            captured: item.captured.clone(),
            hash: item.hash.clone(),
            content: match same {
                Some(same) => same.content.clone(),
                None => item.content.clone().unwrap_or_default(),
            },
        };
        let effective = !ignored && before.as_deref() != Some(&after);
        let detail = json!({
            "type": item.name, "schemaVersion": item.version.to_string(), "captureTime": item.captured,
            "contentHash": item.hash, "rows": item.content.as_ref().map(Vec::len),
            "contentChanged": !ignored && before.as_ref().is_none_or(|before| before.content != after.content),
        });
        if !ignored {
            let schema = inventory.schemas.entry(item.name.clone()).or_default();
            let attributes = item.attributes();
            schema.versions.entry(item.version).or_default().extend(attributes);
        }
        if effective {
            let after = Some(Arc::new(after));
            let of_node = inventory.items.entry(id.to_owned()).or_default();
            match of_node.get_mut(&item.name) {
                Some(line) => line.set(uptime(), keep, after),
                None => {
                    of_node.insert(item.name.clone(), Timeline::new(uptime(), after));
                }
            }
        }
        call.record(id, detail, effective);
    }
    Ok(json!({}))
}
