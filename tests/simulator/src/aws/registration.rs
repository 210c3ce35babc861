//! How a node comes to be, whoever asks for it: an agent that speaks to SSM, or a test.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::{now, uptime};

use super::state::{AgentKey, AwsActivation, AwsNode, Node, Region, STANDARD_NODES, State};

/// Why a node cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no such activation.
    Unknown,
    /// It was used as often as it may be.
    UsedUp,
    /// It has ended.
    Expired,
    /// The Region has as many nodes as the standard tier allows.
    Full,
}

/// Who is to be registered.
pub(super) struct Newcomer {
    pub(super) info: AwsNode,
    pub(super) tags: BTreeMap<String, String>,
    /// The activation that it shows, if any.
    pub(super) activation: Option<String>,
    pub(super) key: Option<AgentKey>,
}

/// Registers a node in a Region of an account, and uses up its activation.
pub(super) fn register(
    state: &mut State,
    account: &str,
    region: &str,
    newcomer: Newcomer,
) -> Result<String, Refused> {
    let keep = state.keep();
    let advanced = state.account(account).is_some_and(|account| account.advanced_tier);
    let held = state.region_mut(account, region).ok_or(Refused::Unknown)?;
    let Newcomer { mut info, mut tags, activation, key } = newcomer;
    if !advanced && held.registered() >= STANDARD_NODES {
        return Err(Refused::Full);
    }
    if let Some(id) = activation {
        let known = usable(held, &id)?;
        let mut used = AwsActivation::clone(&known);
        used.registrations_count += 1;
        info.activation_id = Some(id.clone());
        info.iam_role = Some(used.iam_role.clone());
        info.name.clone_from(&used.default_instance_name);
        tags.extend(used.tags.clone());
        if let Some(line) = held.activations.get_mut(&id) {
            line.set(uptime(), keep, Some(Arc::new(used)));
        }
    }
    let id = info.instance_id.clone();
    let tags = (!tags.is_empty()).then(|| Arc::new(tags));
    let node = Node { key, ..Node::new(uptime(), info, tags) };
    held.nodes.insert(id.clone(), node);
    Ok(id)
}

/// An activation that can be used once more.
fn usable(held: &Region, id: &str) -> Result<Arc<AwsActivation>, Refused> {
    let known = held.activations.get(id).and_then(|line| line.now().clone()).ok_or(Refused::Unknown)?;
    if known.expiration_date <= now(0) {
        return Err(Refused::Expired);
    }
    if known.registrations_count >= known.registration_limit {
        return Err(Refused::UsedUp);
    }
    Ok(known)
}
