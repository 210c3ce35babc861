//! Compliance: what Systems Manager's compliance is told of a VM.
//!
//! Two lists, each put as a whole and only when it is another than before. A list that is not told any more, because the
//! configuration says so, is put once more without items, and then nothing is remembered of it.

mod hardening;
mod protection;

use std::sync::Arc;

use jiff::Timestamp;
use mappings::compliance::{Item, Kind, List};
use mappings::inventory::{Put, Refresh, needs_put};

use super::{Look, Reported, look_again, says, stored};
use crate::config::Mode;
use crate::plan::action::Told;
use crate::plan::snapshots::LastWindows;
use crate::plan::{Action, Capability, CapabilityVerdict, Plan, Reason, planned};
use crate::store::{Holder, OwnedChange};

/// What there is to tell of one list.
enum Wanted {
    /// This, and when it may be another without anything else happening.
    List { list: Arc<List>, until: Option<Timestamp> },
    /// Nothing, whatever was told before.
    Nothing,
    /// Nobody can say yet.
    NotRead(&'static str),
}

/// What is planned of compliance, with what several nodes are told.
pub(super) struct Compliance<'a> {
    hardening: hardening::Hardening,
    windows: LastWindows<'a>,
}

impl<'a> Compliance<'a> {
    pub(super) fn of(look: &Look<'_, 'a, '_>) -> Self {
        Self {
            hardening: hardening::Hardening::default(),
            windows: LastWindows::of(look.scene.memory, look.now),
        }
    }

    /// Plans what is told of one node.
    pub(super) fn plan(
        &mut self,
        look: &Look<'_, '_, '_>,
        one: &Reported<'_, '_>,
        plan: &mut Plan,
    ) -> CapabilityVerdict {
        let settings = &look.policy.compliance;
        if settings.mode == Mode::Off {
            return says(Reason::Off);
        }
        if let Some(reason) = look.hindered(Capability::Compliance, &one.holder) {
            return says(reason);
        }
        let (mut waits, mut not_read, mut acts) = (None::<Timestamp>, None, false);
        for kind in [Kind::Hardening, Kind::Protection] {
            let wanted = match kind {
                Kind::Hardening if settings.hardening => self.hardening.wanted(one, look.now),
                Kind::Protection if settings.protection => protection::wanted(look, one, &self.windows),
                Kind::Hardening | Kind::Protection => Wanted::Nothing,
            };
            let list = match wanted {
                Wanted::List { list, until } => {
                    until.into_iter().for_each(|until| look_again(plan, until));
                    Some(list)
                }
                Wanted::Nothing => None,
                Wanted::NotRead(what) => {
                    not_read = Some(what);
                    continue;
                }
            };
            match step(look, &one.holder, kind, list) {
                Step::Nothing => {}
                Step::Forget(change) => plan.housekeeping.push(change),
                Step::Wait(until) => {
                    look_again(plan, until);
                    waits = Some(waits.map_or(until, |known| known.min(until)));
                }
                Step::Put(told, list) => {
                    acts = true;
                    plan.actions.push(planned(Action::PutCompliance {
                        place: one.place.clone(),
                        node: one.node.clone(),
                        vm: one.vm.clone(),
                        label: Arc::clone(one.label),
                        told,
                        list: Some(list),
                    }));
                }
            }
        }
        let reason = match (acts, waits, not_read) {
            (true, ..) => None,
            (_, Some(until), _) => Some(Reason::ToldLately { until }),
            (_, _, Some(what)) => Some(Reason::NotRead(what)),
            _ => Some(Reason::InStep),
        };
        CapabilityVerdict { reason, notes: Vec::new() }
    }
}

/// What is known of the protection of one node; `None`: nobody can say.
pub(super) fn protection_of(
    look: &Look<'_, '_, '_>,
    one: &Reported<'_, '_>,
    windows: &LastWindows<'_>,
) -> Option<Arc<List>> {
    match protection::wanted(look, one, windows) {
        Wanted::List { list, .. } => Some(list),
        Wanted::Nothing | Wanted::NotRead(_) => None,
    }
}

/// Whether a list says nothing but that nothing could be read.
fn is_blind(list: &List) -> bool {
    !list.not_read.is_empty() && list.items.iter().all(Item::is_not_read)
}

/// What is to be done about one list of a node.
pub(super) enum Step {
    Nothing,
    /// What was told is gone, so that nothing is to be remembered.
    Forget(OwnedChange),
    Wait(Timestamp),
    Put(Told, Arc<List>),
}

/// Compares what is wanted of a list with what was told. `None`: nothing is to be told any more.
pub(super) fn step(look: &Look<'_, '_, '_>, holder: &Holder, kind: Kind, wanted: Option<Arc<List>>) -> Step {
    let owned = look.scene.memory.owned_by(holder).and_then(|owned| owned.get(kind.as_str()));
    let before = stored(owned);
    let list = match wanted {
        Some(list) => list,
        None if owned.is_none() => return Step::Nothing,
        None => {
            let empty = List::new(kind, []);
            if before.as_ref().is_some_and(|before| before.hash == empty.content_hash) {
                let name = kind.as_str().into();
                return Step::Forget(OwnedChange { holder: holder.clone(), name, owned: None });
            }
            Arc::new(empty)
        }
    };
    // Of a list that never was one nothing is to be said.
    if list.items.is_empty() && owned.is_none() {
        return Step::Nothing;
    }
    match needs_put(&list.content_hash, before.as_ref(), look.now, &Refresh::COMPLIANCE) {
        Put::Nothing => Step::Nothing,
        Put::NotBefore(until) => Step::Wait(until),
        Put::Whole | Put::HashOnly => Step::Put(
            Told {
                name: kind.as_str().into(),
                hash: list.content_hash.as_str().into(),
                before: before.map(|before| before.hash.as_str().into()),
                confirmed: false,
            },
            list,
        ),
    }
}
