//! Keeping a node out of a window until its VM has its snapshot.
//!
//! A node is kept out by taking tags of ours from it without which the window does not reach it, or by a tag that the hook of
//! the window looks for before it installs anything. Which tags a node is to have is decided in one place, [tag
//! sync](super::super::tags): this only says which of them it must not have now. Where neither works, that is said.

use std::sync::Arc;

use mappings::protection::{Decisions, Run};

use super::runs::Reach;
use super::subjects::Gathered;
use super::{Scene, Snapshots};
use crate::aws::{NodeId, Place};
use crate::config::Mode;
use crate::plan::reason::Note;
use crate::plan::tags::MARK;
use crate::snapshot::HoldBy;
use crate::store::{Holder, VmId};

/// A VM that is kept out of a run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plan) struct Hold {
    run: Run,
    by: HoldBy,
}

impl Hold {
    /// The tags that its node must not have.
    pub(in crate::plan) fn keys(&self) -> &[Arc<str>] {
        match &self.by {
            HoldBy::Tags { keys, .. } => keys,
            HoldBy::Hook | HoldBy::Cannot { .. } | HoldBy::NotAsked => &[],
        }
    }

    /// The value of the tag that the hook of the window looks for.
    pub(in crate::plan) fn hook(&self) -> Option<&str> {
        matches!(self.by, HoldBy::Hook | HoldBy::Tags { hook: true, .. }).then_some(&*self.run.window)
    }

    /// What is to be said of it.
    pub(super) fn notes(&self) -> Vec<Note> {
        let window = &self.run.name;
        match &self.by {
            HoldBy::Tags { keys, .. } => {
                keys.iter().map(|name| Note::Held { name: name.clone(), window: window.clone() }).collect()
            }
            HoldBy::Hook => {
                vec![Note::Held { name: crate::plan::tags::HOLD_TAG.into(), window: window.clone() }]
            }
            HoldBy::Cannot { why } => vec![Note::CannotHold { window: window.clone(), why: why.clone() }],
            HoldBy::NotAsked => Vec::new(),
        }
    }
}

/// How a VM is kept out of a run that reaches it.
pub(super) fn by(
    scene: &Scene<'_, '_>,
    vm: &VmId,
    reach: &Reach<'_>,
    node: Option<(&Place, &NodeId)>,
) -> HoldBy {
    let cannot = |why: &str| HoldBy::Cannot { why: why.into() };
    let known = reach.scope.and_then(|scope| scope.member(vm)).map(|member| &member.hold);
    let Some(reached) = &reach.reached else {
        // What was found when the scope froze holds, as long as nothing else can be seen.
        return match known.filter(|known| **known != HoldBy::NotAsked) {
            Some(known) => known.clone(),
            None => {
                cannot("Systems Manager does not know the window, so nothing there keeps the VM out of it")
            }
        };
    };
    let Some((place, node)) = node else { return cannot("it is not a managed node") };
    if scene.policy.tags != Mode::Enforce {
        return cannot("`mode` of [tags] is not `enforce`, and its tags are what would have to change");
    }
    let taken: &[Arc<str>] = match known {
        Some(HoldBy::Tags { keys, .. }) => keys,
        _ => &[],
    };
    let owned = scene.memory.owned_by(&Holder::node(place, node));
    // What we have taken already need not be there; what somebody else has put there since is theirs.
    let removable = |key: &str| {
        key != MARK
            && (reach.withheld.iter().any(|withheld| **withheld == *key)
                || owned
                    .and_then(|owned| owned.get(key))
                    .is_some_and(|owned| owned.value.is_some() || taken.iter().any(|taken| **taken == *key)))
    };
    let holds = |hook: &str| hook == scene.policy.snapshots.hold_document;
    match reached.to_close(removable, holds) {
        Ok(keys) if keys.is_empty() && taken.is_empty() => HoldBy::Hook,
        Ok(mut keys) => {
            keys.extend(taken.iter().cloned());
            let hook = reached.ways.iter().any(|way| way.hook.as_deref().is_some_and(holds));
            HoldBy::Tags { keys: keys.into_iter().collect(), hook }
        }
        Err(way) => {
            use crate::cloud::window::By;
            cannot(match &way.by {
                By::Id => {
                    "the window names its node by id; name targets by a tag that vmbridge syncs, or use the hook"
                }
                By::Group(_) => {
                    "the window reaches it through a resource group; use a tag that vmbridge syncs, or the hook"
                }
                By::Tags(_) => {
                    "the tags by which the window reaches it are not vmbridge's; let a rule write them, or use the hook"
                }
            })
        }
    }
}

/// Who is kept out of a window now.
pub(super) fn holds(
    scene: &Scene<'_, '_>,
    gathered: &Gathered<'_>,
    decisions: &Decisions,
    out: &mut Snapshots,
) {
    // Who only observes changes no tag.
    if scene.policy.snapshots.mode != Mode::Enforce {
        return;
    }
    for (subject, run) in &decisions.held {
        let hold = Hold { run: run.clone(), by: gathered.hold_by(*subject, run) };
        out.holds.entry(gathered.vms[*subject].clone()).or_default().push(hold);
    }
}
