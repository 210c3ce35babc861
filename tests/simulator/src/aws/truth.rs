//! What AWS really holds, for tests: without delay, and with what AWS itself does not know.

use serde_json::{Value, json};

use super::state::{Region, State};

pub(super) fn truth(state: &State) -> Value {
    let accounts: Vec<Value> = state
        .accounts
        .iter()
        .map(|account| {
            let regions = account.regions.iter().filter_map(|name| {
                let held = state.region(&account.id, name)?;
                Some(region(name, held))
            });
            json!({ "id": account.id, "regions": regions.collect::<Vec<_>>() })
        })
        .collect();
    json!({ "accounts": accounts, "mistakes": state.mistakes })
}

fn region(name: &str, held: &Region) -> Value {
    let nodes: Vec<Value> = held
        .nodes
        .values()
        .filter_map(|node| {
            let mut told = json!(node.info.now().as_deref()?);
            told["tags"] = json!(node.tags_now());
            told["everTagged"] = node.tags.now().is_some().into();
            Some(told)
        })
        .collect();
    let activations: Vec<Value> =
        held.activations.values().filter_map(|line| Some(json!(line.now().as_deref()?))).collect();
    json!({
        "region": name, "nodes": nodes, "activations": activations, "findings": held.findings.all(),
        "patchRuns": held.windows.runs, "inventory": held.inventory.truth(held),
        "compliance": held.compliance.truth(held), "associations": held.associations,
    })
}
