//! SSM: tags of managed nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::uptime;
use crate::vcenter::lock;

use super::error::Error;
use super::service::{Call, invalid};
use super::state::{Node, State, tag_list};

/// The most tags of a resource.
pub(crate) const MOST: usize = 50;

/// The tags of a request: no key twice, none that is reserved.
pub(super) fn read(call: &Call<'_>, member: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut tags = BTreeMap::new();
    for tag in call.list(member) {
        let (key, value) =
            (tag["Key"].as_str().unwrap_or_default(), tag["Value"].as_str().unwrap_or_default());
        reserved(call, key)?;
        if value.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(call.service, "Tag values can't start with 'aws:'"));
        }
        if tags.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(invalid(call.service, format!("The tag key '{key}' is there more than once")));
        }
    }
    Ok(tags)
}

fn reserved(call: &Call<'_>, key: &str) -> Result<(), Error> {
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(invalid(call.service, format!("Tag keys can't start with 'aws:', as '{key}' does")));
    }
    Ok(())
}

/// The id of the node that a request is about.
fn node_id<'a>(call: &'a Call<'_>) -> Result<&'a str, Error> {
    let id = call.text("ResourceId").unwrap_or_default();
    // Other things than nodes are not played, so there are none.
    if call.text("ResourceType") != Some("ManagedInstance") || !id.starts_with("mi-") {
        return Err(gone());
    }
    Ok(id)
}

fn gone() -> Error {
    Error::bad(
        "InvalidResourceId",
        "The resource ID is not valid. Verify that you entered the correct ID and try again.",
    )
}

fn node<'a>(state: &'a mut State, call: &Call<'_>, id: &str) -> Result<&'a mut Node, Error> {
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let node = held.and_then(|held| held.nodes.get_mut(id));
    node.filter(|node| node.info.now().is_some()).ok_or_else(gone)
}

/// Changes the tags of a node; false when that leaves them as they are.
pub(crate) fn change(
    node: &mut Node,
    now: Duration,
    keep: Duration,
    set: &BTreeMap<String, String>,
    remove: &BTreeSet<String>,
) -> bool {
    let before = node.tags_now();
    let mut after = before.clone();
    after.extend(set.clone());
    after.retain(|key, _| !remove.contains(key));
    let changed = after != before;
    if changed {
        node.tags.set(now, keep, Some(Arc::new(after)));
    }
    changed
}

pub(super) fn add(call: &Call<'_>) -> Result<Value, Error> {
    let tags = read(call, "Tags")?;
    let id = node_id(call)?;
    let mut state = lock(&call.shared.state);
    let keep = state.keep();
    let node = node(&mut state, call, id)?;
    let mut keys: BTreeSet<String> = node.tags_now().into_keys().collect();
    keys.extend(tags.keys().cloned());
    if keys.len() > MOST {
        return Err(Error::bad("TooManyTagsError", ""));
    }
    let effective = change(node, uptime(), keep, &tags, &BTreeSet::new());
    let set: Map<String, Value> = tags.into_iter().map(|(key, value)| (key, value.into())).collect();
    call.record(id, json!({ "set": set }), effective);
    Ok(json!({}))
}

pub(super) fn remove(call: &Call<'_>) -> Result<Value, Error> {
    let keys: BTreeSet<String> =
        call.list("TagKeys").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    keys.iter().try_for_each(|key| reserved(call, key))?;
    let id = node_id(call)?;
    let mut state = lock(&call.shared.state);
    let keep = state.keep();
    let node = node(&mut state, call, id)?;
    let effective = change(node, uptime(), keep, &BTreeMap::new(), &keys);
    call.record(id, json!({ "removed": keys }), effective);
    Ok(json!({}))
}

pub(super) fn list(call: &Call<'_>) -> Result<Value, Error> {
    let id = node_id(call)?;
    let mut state = lock(&call.shared.state);
    let moment = state.seen(|delay| delay.ssm);
    let node = node(&mut state, call, id)?;
    let tags = node.tags.at(moment).and_then(Option::as_deref);
    Ok(json!({ "TagList": tags.map_or_else(|| json!([]), tag_list) }))
}
