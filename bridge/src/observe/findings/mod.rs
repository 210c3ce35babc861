//! Observes what findings need to know of one target, seldom.
//!
//! | what | when | calls |
//! |---|---|---|
//! | whether Security Hub is enabled | every 15 minutes | 1 |
//! | how findings are copied from Region to Region | at the start, and once a day | 2 |
//! | findings of ours | at the start, when Security Hub was enabled anew, and once a day | 1 for 100 findings |
//! | findings of Patch Manager that are open, to name their VMs | every 15 minutes, and 5 minutes after a window | 1 for 100 |
//! | patches of nodes, if somebody needs to know | every hour, and 5 minutes after a window | 1 for 50 nodes |
//!
//! An hour in which nothing happens so costs 8 calls and 1 more for every 50 nodes. What failed is tried again after five minutes.
//! When there are to be no findings, nothing of this is read.

#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use mappings::compliance::table::NodeId as ManagedNodeId;
use tokio_util::sync::CancellationToken;

use super::aws::{AT_ONCE, Watcher, listing, said};
use crate::aws::{
    AwsErrorKind, FindingFilter, FindingSeen, HubState, NodeId, PATCH_STATES_AT_ONCE, Place, TargetName,
};
use crate::cloud::TargetView;
use crate::cloud::hub::{HubView, Known, PatchesOfNodes};
use crate::config::{FindingsSettings, Mode};

/// No pause is shorter, whatever is due.
const SHORTEST: Duration = Duration::from_secs(1);

/// How often what findings need is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubPace {
    /// Whether Security Hub is enabled, and findings of Patch Manager.
    pub state: Duration,
    /// What is seldom different: how findings are copied, and those of ours.
    pub whole: Duration,
    /// Patches of nodes.
    pub patches: Duration,
    /// What failed.
    pub failed: Duration,
    /// How long after the end of a window patches and findings of Patch Manager are read again.
    pub after_window: Duration,
    /// Whether patches of nodes are read.
    pub needs_patches: bool,
}

impl HubPace {
    /// What the configuration needs; nothing if there are to be no findings.
    #[must_use]
    pub fn of(settings: &FindingsSettings) -> Option<Self> {
        (settings.mode != Mode::Off).then_some(Self {
            state: Duration::from_secs(15 * 60),
            whole: Duration::from_secs(24 * 3600),
            patches: Duration::from_secs(3600),
            failed: Duration::from_secs(5 * 60),
            after_window: Duration::from_secs(5 * 60),
            needs_patches: settings.patches || settings.resolve_patch_manager,
        })
    }
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// When something is to be read again that is read so often.
fn due<T>(known: &Known<T>, every: Duration, pace: &HubPace) -> Timestamp {
    match known.tried {
        None => Timestamp::MIN,
        Some(tried) if known.error.is_some() => later(tried, pace.failed.min(every)),
        Some(tried) => later(tried, every),
    }
}

/// The same of something that windows change.
fn due_after_windows<T>(known: &Known<T>, every: Duration, view: &TargetView, pace: &HubPace) -> Timestamp {
    let due = due(known, every, pace);
    let Some(tried) = known.tried else { return due };
    let executions = view.windows.known.values().flat_map(|window| &window.executions);
    let ended = executions.filter_map(|execution| execution.told.ended);
    let after = ended.map(|ended| later(ended, pace.after_window)).filter(|after| *after > tried).min();
    after.map_or(due, |after| due.min(after))
}

/// When each is due: whether Security Hub is enabled, how findings are copied, ours, those of Patch Manager, patches.
fn dues(view: &TargetView, pace: &HubPace) -> [Timestamp; 5] {
    let hub = &view.hub;
    // Nothing more can be asked of a Security Hub that is not enabled.
    let enabled = hub.state.value.as_deref() == Some(&HubState::Enabled);
    let only = |condition: bool, due: Timestamp| if condition { due } else { Timestamp::MAX };
    [
        due(&hub.state, pace.state, pace),
        only(enabled, due(&hub.aggregation, pace.whole, pace)),
        only(enabled, due(&hub.ours, pace.whole, pace)),
        only(enabled, due_after_windows(&hub.patch_manager, pace.state, view, pace)),
        only(
            enabled && pace.needs_patches && view.as_of.is_some(),
            due_after_windows(&hub.patches, pace.patches, view, pace),
        ),
    ]
}

impl Watcher {
    /// Reads what findings need until stopped, or at once not at all.
    pub(super) async fn follow_hub(&self, stop: &CancellationToken) {
        let Some(pace) = self.hub else { return };
        let name = TargetName::from(self.target.name.as_str());
        let mut revisions = self.cloud.revisions();
        loop {
            tokio::select! {
                biased;
                _ = self.read_hub() => {}
                () = stop.cancelled() => return,
            }
            let pause = match self.cloud.read().target(&name).filter(|view| view.place.is_some()) {
                // Whose findings these would be is not known yet.
                None => self.target.poll_fast,
                Some(view) => {
                    let due = dues(view, &pace).into_iter().min().unwrap_or(Timestamp::MAX);
                    Duration::try_from(due.duration_since(self.clock.now())).unwrap_or_default()
                }
            };
            revisions.mark_unchanged();
            // Nodes that become known, and windows that end, bring readings forward.
            let news = async {
                tokio::time::sleep(SHORTEST).await;
                let _ = revisions.changed().await;
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause.max(SHORTEST)) => {}
                () = news => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Reads what is due for findings; says whether anything is different from before.
    pub(super) async fn read_hub(&self) -> bool {
        let Some(pace) = self.hub else { return false };
        let name = TargetName::from(self.target.name.as_str());
        let cloud = self.cloud.read();
        let Some(before) = cloud.target(&name).filter(|view| view.place.is_some()) else { return false };
        let Some(nodes_at) = before.place.clone() else { return false };
        let place = Place::new(nodes_at.account(), self.target.hub_region());
        let now = self.clock.now();
        let mut view = HubView::clone(&before.hub);
        if view.place.as_ref() != Some(&place) {
            view = HubView { place: Some(place.clone()), ..HubView::default() };
        }
        let mut with = TargetView { hub: view.into(), ..before.clone() };
        if dues(&with, &pace).into_iter().all(|due| due > now) && with.hub.place == before.hub.place {
            return false;
        }
        let mut changed = with.hub.place != before.hub.place;
        let mut view = HubView::clone(&with.hub);
        if dues(&with, &pace)[0] <= now {
            changed |= self.read_state(&mut view, now).await;
            with.hub = view.clone().into();
        }
        let [_, aggregation, ours, patch_manager, patches] = dues(&with, &pace).map(|due| due <= now);
        if aggregation {
            let read = self.services.hub.aggregation().await;
            // It is told to people, and needed by nothing.
            let read = match read {
                Err(error) if error.kind == AwsErrorKind::Denied => Ok(None),
                read => read.map_err(|error| said(&error)),
            };
            changed |= view.aggregation.put(read, now);
        }
        if ours {
            let filter = FindingFilter::ours(&place);
            let read = listing("findings", |next| self.services.hub.findings(&filter, next)).await;
            let whole = |one: FindingSeen| {
                if one.whole.is_none() {
                    tracing::warn!(target = %name, finding = %one.key.id, "a finding under our names does not have their form");
                }
                one.whole.map(|whole| *whole)
            };
            let read = read.map(|all| all.into_iter().filter_map(whole).collect());
            changed |= view.ours.put(read.map_err(|error| said(&error)), now);
        }
        if patch_manager {
            let filter = FindingFilter::of_patch_manager(&nodes_at);
            let read =
                listing("findings of Patch Manager", |next| self.services.hub.findings(&filter, next)).await;
            let read = read.map(|all| all.iter().filter_map(FindingSeen::patch_finding).collect());
            changed |= view.patch_manager.put(read.map_err(|error| said(&error)), now);
        }
        if patches {
            changed |= view.patches.put(self.read_patches(before).await, now);
        }
        self.tell(&name, &before.hub, &view);
        self.cloud.update(&name, |known| {
            // What was used up meanwhile stays so.
            if known.hub.ours.value.is_none() && known.hub.ours.as_of == view.ours.as_of {
                view.ours.value = None;
            }
            known.hub = view.into();
            changed
        });
        changed
    }

    /// Whether Security Hub is enabled. Says whether that is something new.
    async fn read_state(&self, view: &mut HubView, now: Timestamp) -> bool {
        let was = view.state.value.as_deref().copied();
        let changed = view.state.put(self.services.hub.hub().await.map_err(|error| said(&error)), now);
        if was == Some(HubState::NotEnabled) && view.state.value.as_deref() == Some(&HubState::Enabled) {
            // What it had is gone, or is there again.
            view.ours = Known::default();
        }
        changed
    }

    /// The patches of all nodes.
    async fn read_patches(&self, view: &TargetView) -> Result<PatchesOfNodes, String> {
        let nodes: Vec<ManagedNodeId> =
            view.nodes.keys().filter_map(|node| ManagedNodeId::parse(node.as_str()).ok()).collect();
        let asked: Vec<_> = nodes
            .chunks(PATCH_STATES_AT_ONCE)
            .map(|nodes| listing("patch states", |next| self.services.reports.patches(nodes, next)))
            .collect();
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut patches = PatchesOfNodes::new();
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|error| said(&error))?;
            patches.extend(answer.into_iter().map(|(node, patches)| (NodeId::from(node.as_str()), patches)));
        }
        Ok(patches)
    }

    /// Tells what begins to go wrong, and what is well again, once.
    fn tell(&self, name: &TargetName, before: &HubView, view: &HubView) {
        let errors = |view: &HubView| {
            [
                ("whether Security Hub is enabled", view.state.error.clone()),
                ("the findings that are there", view.ours.error.clone()),
                ("the findings of Patch Manager", view.patch_manager.error.clone()),
                ("the patches of nodes", view.patches.error.clone()),
            ]
        };
        for ((what, was), (_, is)) in errors(before).into_iter().zip(errors(view)) {
            match is {
                Some(error) if was.as_ref() != Some(&error) => {
                    tracing::warn!(target = %name, what, error, "something cannot be read");
                }
                None if was.is_some() => tracing::info!(target = %name, what, "it can be read again"),
                _ => {}
            }
        }
        let not_enabled = |view: &HubView| view.state.value.as_deref() == Some(&HubState::NotEnabled);
        if not_enabled(view) && !not_enabled(before) {
            let fix = AwsErrorKind::NotEnabled.fix().unwrap_or_default();
            tracing::warn!(target = %name, fix, "Security Hub is not enabled: no findings are sent");
        } else if not_enabled(before) && !not_enabled(view) {
            tracing::info!(target = %name, "Security Hub is enabled");
        }
    }
}
