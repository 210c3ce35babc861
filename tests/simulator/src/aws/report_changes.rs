//! Changes that only findings, compliance and inventory are about, made without calls.

use std::sync::Arc;

use crate::MutateError;
use crate::clock::{now, uptime};
use crate::soap::session::random_uuid;
use crate::vcenter::lock;

use super::associations::Association;
use super::change::{AwsMutation, place};
use super::findings::Failing;
use super::patch_findings::Due;
use super::seed::{self, Machine};
use super::state::{Node, Region, State};
use super::windows::{AwsPatchOutcome, PatchState};
use super::{Aws, windows};

fn gone(what: &str) -> MutateError {
    MutateError::NoSuchObject(what.to_owned())
}

fn impossible(what: &'static str, object: &str) -> MutateError {
    MutateError::NotPossible { what, object: object.to_owned() }
}

/// The Region where a node is registered.
fn region_of<'a>(state: &'a mut State, node: &str) -> Result<&'a mut Region, MutateError> {
    let held = state.regions.values_mut().find(|held| held.node(node).is_some());
    held.ok_or_else(|| gone(node))
}

impl AwsMutation {
    /// Makes the change; `None` when it is not one of these.
    pub(super) fn apply_report(&self, aws: &Aws) -> Option<Result<Option<String>, MutateError>> {
        let mut state = lock(&aws.shared.state);
        let done = match self {
            Self::FailFindings { id, operation, times, code } => {
                if !["BatchImportFindings", "BatchUpdateFindings"].contains(&operation.as_str()) {
                    return Some(Err(impossible("failing findings of that operation", operation)));
                }
                state.failing.push(Failing {
                    operation: operation.clone(),
                    id: id.clone(),
                    times: *times,
                    code: code.clone(),
                    message: "Internal service failure".to_owned(),
                });
                state.failing.retain(|failing| failing.times > 0);
                Ok(None)
            }
            Self::SetPatchFindings { account, on } => place(&state, account.as_ref(), None).map(|(id, _)| {
                let found = state.accounts.iter_mut().find(|account| account.id == id);
                found.into_iter().for_each(|account| account.patch_findings = *on);
                None
            }),
            Self::SetAggregation { account, aggregation } => {
                place(&state, account.as_ref(), None).and_then(|(id, _)| {
                    let found = state.accounts.iter_mut().find(|account| account.id == id);
                    let found = found.ok_or_else(|| gone(&id))?;
                    if let Some(unknown) = aggregation.as_ref().and_then(|wanted| wanted.unknown(found)) {
                        return Err(gone(unknown));
                    }
                    found.aggregation.clone_from(aggregation);
                    Ok(None)
                })
            }
            Self::AddInstance { .. } => self.add_instance(&mut state).map(Some),
            Self::Patch { node, outcome } => patch(&mut state, node, *outcome).map(|()| None),
            Self::SetAssociation { node, document, status, severity } => {
                let ran = state.window_time();
                region_of(&mut state, node).map(|held| {
                    let all = held.associations.entry(node.clone()).or_default();
                    let id = all.get(document).map_or_else(random_uuid, |known| known.id.clone());
                    match status {
                        Some(status) => {
                            let status = *status;
                            let association = Association { id, status, severity: severity.clone(), ran };
                            all.insert(document.clone(), association);
                        }
                        None => {
                            all.remove(document);
                        }
                    }
                    None
                })
            }
            _ => return None,
        };
        Some(done)
    }

    fn add_instance(&self, state: &mut State) -> Result<String, MutateError> {
        let Self::AddInstance { account, region, computer_name, ip_address, platform_type, tags } = self
        else {
            return Err(gone("instance"));
        };
        let (account, region) = place(state, account.as_ref(), region.as_ref())?;
        let mut machine = Machine::of_platform(platform_type.as_deref().unwrap_or("Linux"));
        if let Some(name) = computer_name {
            machine.computer_name.clone_from(name);
        }
        if let Some(ip) = ip_address {
            machine.ip_address.clone_from(ip);
        }
        let id = seed::node_id(&random_uuid()).replacen("mi-", "i-", 1);
        let mut info = machine.node(&id, now(0));
        "EC2Instance".clone_into(&mut info.resource_type);
        info.registration_date = None;
        info.iam_role = None;
        let tags = (!tags.is_empty()).then(|| Arc::new(tags.clone()));
        let held = state.region_mut(&account, &region).ok_or_else(|| gone(&region))?;
        held.nodes.insert(id.clone(), Node::new(uptime(), info, tags));
        Ok(id)
    }
}

/// Scans or patches a node now.
fn patch(state: &mut State, node: &str, outcome: AwsPatchOutcome) -> Result<(), MutateError> {
    windows::advance(state);
    let now = state.window_time();
    let held = region_of(state, node)?;
    let group = held.node(node).map(|(node, _)| node.tags_now()).unwrap_or_default();
    let group = group.get("Patch Group").or_else(|| group.get("PatchGroup")).cloned().unwrap_or_default();
    let known = held.windows.patch_states.entry(node.to_owned()).or_default();
    known.group = group;
    known.patched(outcome, now, now);
    if !matches!(outcome, AwsPatchOutcome::Refused | AwsPatchOutcome::Undeliverable) {
        let leaves = PatchState { before: None, ..known.clone() };
        held.windows.due.push(Due { at: now, node: node.to_owned(), leaves });
    }
    windows::advance(state);
    Ok(())
}
