//! The last opening of a window that a VM was in: what is left of it when it is over.

use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;
use mappings::protection::{IfImpossible, Run};

use super::subjects::Gathered;
use super::{REMEMBERED, Scene};
use crate::config::Mode;
use crate::memory::Memory;
use crate::snapshot::{Entered, HoldBy, Scope};
use crate::store::VmId;

/// How a VM went into a window that is open; nothing where no policy asks for a snapshot of it.
pub(super) fn entered(
    scene: &Scene<'_, '_>,
    gathered: &Gathered<'_>,
    subject: usize,
    run: &Run,
    hold: &HoldBy,
) -> Option<Entered> {
    let policy = gathered.subjects[subject].policy?;
    let records = &gathered.subjects[subject].records;
    let taken = records.iter().filter(|record| record.is_for(run)).filter_map(|record| record.created).min();
    let is_held = policy.if_impossible == IfImpossible::Hold
        && scene.policy.snapshots.mode == Mode::Enforce
        && matches!(hold, HoldBy::Tags { .. } | HoldBy::Hook);
    Some(match taken {
        Some(taken) if taken <= run.opens || !is_held => Entered::Protected { taken },
        _ if is_held => Entered::Held,
        _ => Entered::Unprotected,
    })
}

/// Whether the window has not opened again since.
pub(super) fn is_last(scene: &Scene<'_, '_>, scope: &Scope) -> bool {
    let later = (scope.run.window.clone(), scope.run.opens)..=(scope.run.window.clone(), scene.now);
    scope.run.opens > scene.now || scene.memory.scopes.range(later).count() <= 1
}

/// Whether a tag was taken from the node of a VM lately, to keep it out of a window.
pub(in crate::plan) fn was_withheld(memory: &Memory, vm: &VmId, key: &str, now: Timestamp) -> bool {
    memory.scopes.values().any(|scope| {
        scope.run.closes.checked_add(REMEMBERED).unwrap_or(Timestamp::MAX) >= now && scope.takes(vm, key)
    })
}

/// The last opening of a window that each VM was in and that a snapshot was asked for.
pub(in crate::plan) struct LastWindows<'a>(HashMap<&'a VmId, (&'a Run, Entered)>);

impl<'a> LastWindows<'a> {
    /// Those that are remembered.
    pub(in crate::plan) fn of(memory: &'a Memory, now: Timestamp) -> Self {
        let mut opened: Vec<&Scope> = memory.scopes.values().filter(|scope| scope.run.opens <= now).collect();
        let order = |scope: &&Scope| -> (Timestamp, Arc<str>) { (scope.run.opens, scope.run.window.clone()) };
        opened.sort_by_key(order);
        let mut last = HashMap::default();
        for scope in opened {
            let members = scope.members.iter();
            last.extend(members.filter_map(|member| Some((&member.vm, (&scope.run, member.entered?)))));
        }
        Self(last)
    }

    /// That of a VM.
    pub(in crate::plan) fn get(&self, vm: &VmId) -> Option<(&'a Run, Entered)> {
        self.0.get(vm).copied()
    }
}
