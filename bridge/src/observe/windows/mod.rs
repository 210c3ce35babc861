//! Observes the maintenance windows of one target: seldom as long as none is near, every minute while one is.
//!
//! What is read, with [`WindowPace::of`] and `poll_slow` at its default of ten minutes:
//!
//! | what | when | calls |
//! |---|---|---|
//! | the listing of windows | every `poll_slow` | 1 for 100 windows |
//! | openings, targets and tasks of a window that is switched on | every six hours; every hour when it opens within a day; every minute in the last 15 minutes; when the listing says something new | 3, and 1 for each task that patches |
//! | each resource group that its targets name | with that | 1 for 50 nodes |
//! | executions of a window | once at the start; from its opening every minute, until its execution is over | 1 |
//! | tasks and invocations of an execution | once, after its end | 1, and 1 for each task |
//! | patch states | every minute, of the nodes for which somebody waits | 1 for 50 nodes |
//!
//! Twenty weekly windows with two tasks, one of which patches, so cost about 6 + 14 calls in an hour in which none opens within
//! a day. When nobody needs windows, nothing of this is read. A window that cannot be read has a problem, and the others are
//! read all the same; it is tried again with the next listing, and every minute while it is near.

mod due;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

pub use self::due::WindowPace;
use super::aws::{AT_ONCE, Watcher, listing, said};
use crate::aws::{
    AwsError, AwsErrorKind, NodeId, PATCH_STATES_AT_ONCE, PatchState, TargetName, WindowExecution, WindowId,
    WindowIdentity,
};
use crate::cloud::WantedPatchStates;
use crate::cloud::window::{
    Execution, Group, NodeOutcome, PatchReading, Window, WindowsView, needs_parameters,
};

/// Executions are asked for that began so long ago: the longest window, and what comes after it.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(26);
/// No pause is shorter, whatever is due.
const SHORTEST: Duration = Duration::from_secs(1);

impl Watcher {
    /// Reads windows until stopped, or at once not at all.
    pub(super) async fn follow_windows(&self, stop: &CancellationToken) {
        let Some(pace) = self.windows else { return };
        let name = TargetName::from(self.target.name.as_str());
        let mut wants = self.cloud.wants();
        loop {
            tokio::select! {
                biased;
                _ = self.read_windows() => {}
                () = stop.cancelled() => return,
            }
            let pause = {
                let cloud = self.cloud.read();
                match cloud.target(&name).filter(|view| view.place.is_some()) {
                    // Whose windows these would be is not known yet.
                    None => self.target.poll_fast,
                    Some(view) => {
                        let due = due::anything(&view.windows, &self.cloud.wanted_patch_states(&name), &pace);
                        Duration::try_from(due.duration_since(self.clock.now())).unwrap_or_default()
                    }
                }
            };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause.max(SHORTEST)) => {}
                Ok(()) = wants.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Reads what is due of the windows; says whether anything is different from before.
    pub(super) async fn read_windows(&self) -> bool {
        let Some(pace) = self.windows else { return false };
        let name = TargetName::from(self.target.name.as_str());
        let cloud = self.cloud.read();
        let Some(before) = cloud.target(&name).filter(|view| view.place.is_some()) else { return false };
        let wanted = self.cloud.wanted_patch_states(&name);
        let now = self.clock.now();
        let mut view = WindowsView::clone(&before.windows);
        if due::listing(&view, &pace) <= now {
            self.list(&mut view, now).await;
        }
        self.read_each(&mut view, &pace, now).await;
        self.read_patch_states(&mut view, &wanted, &pace, now).await;
        let changed = !same(&view, &before.windows);
        if view.error != before.windows.error {
            match &view.error {
                Some(error) => {
                    tracing::warn!(target = %name, error, "the maintenance windows could not be read");
                }
                None => tracing::info!(target = %name, "the maintenance windows can be read again"),
            }
        }
        self.cloud.update(&name, |known| {
            known.windows = Arc::new(view);
            changed
        });
        changed
    }

    async fn list(&self, view: &mut WindowsView, now: Timestamp) {
        view.tried = Some(now);
        match listing("maintenance windows", |next| self.services.ssm.windows(next)).await {
            Ok(identities) => {
                let mut before = std::mem::take(&mut view.known);
                let known = |identity: WindowIdentity| {
                    let id = identity.id.clone();
                    let window = match before.remove(&id) {
                        None => Arc::new(Window::new(identity)),
                        Some(known) if known.identity == identity => known,
                        Some(known) => {
                            let window = Window::clone(&known);
                            Arc::new(Window { identity, stale: true, ..window })
                        }
                    };
                    (id, window)
                };
                view.known = identities.into_iter().map(known).collect();
                view.as_of = Some(now);
                view.error = None;
            }
            Err(error) => view.error = Some(said(&error)),
        }
    }

    /// Reads each window that is due, and the groups that they name.
    async fn read_each(&self, view: &mut WindowsView, pace: &WindowPace, now: Timestamp) {
        let is_due = |due: Option<Timestamp>| due.is_some_and(|due| due <= now);
        let due = view.known.values().filter_map(|window| {
            let details = is_due(due::details(window, pace));
            let executions = is_due(due::executions(window, pace));
            (details || executions).then(|| (window.clone(), details, executions))
        });
        let asked: Vec<_> = due
            .map(|(window, details, executions)| self.read_one(window, (details, executions), pace, now))
            .collect();
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut groups = BTreeSet::new();
        while let Some((id, window)) = answers.next().await {
            match window {
                Some(window) => {
                    if window.details_as_of == Some(now) {
                        groups.extend(window.group_names().map(Arc::<str>::from));
                    }
                    view.known.insert(id, Arc::new(window));
                }
                // It was deleted after it had been listed.
                None => drop(view.known.remove(&id)),
            }
        }
        drop(answers);
        let named: BTreeSet<&str> = view.known.values().flat_map(|window| window.group_names()).collect();
        view.groups.retain(|name, _| named.contains(&**name));
        for name in named {
            let known = view.groups.get(name);
            let failed = known.is_some_and(|group| {
                group.problem.is_some()
                    && group.tried.is_none_or(|tried| due::later(tried, pace.listing) <= now)
            });
            if known.is_none() || failed {
                groups.insert(name.into());
            }
        }
        for name in groups {
            let group = self.read_group(&name, view.groups.get(&name).map(|group| &**group), now).await;
            view.groups.insert(name, Arc::new(group));
        }
    }

    /// Reads one window; `None` when there is no such window any more.
    async fn read_one(
        &self,
        known: Arc<Window>,
        (details, executions): (bool, bool),
        pace: &WindowPace,
        now: Timestamp,
    ) -> (WindowId, Option<Window>) {
        let id = known.id().clone();
        let mut window = Window::clone(&known);
        let words = |error: AwsError| {
            tracing::debug!(target = self.target.name, window = %id, %error, "a window could not be read");
            said(&error)
        };
        if details {
            window.tried = Some(now);
            window.problem = match self.read_details(&mut window, pace, now).await {
                Ok(()) => None,
                Err(error) if error.kind == AwsErrorKind::NotFound => return (id, None),
                Err(error) => Some(words(error)),
            };
        }
        if executions {
            window.executions_tried = Some(now);
            window.executions_problem = self.read_executions(&mut window, now).await.err().map(words);
        }
        (id, Some(window))
    }

    /// Openings, targets and tasks, all or nothing of it.
    async fn read_details(
        &self,
        window: &mut Window,
        pace: &WindowPace,
        now: Timestamp,
    ) -> Result<(), AwsError> {
        let id = window.id().clone();
        let ssm = &self.services.ssm;
        let targets = listing("targets of a maintenance window", |next| ssm.window_targets(&id, next));
        let tasks = listing("tasks of a maintenance window", |next| ssm.window_tasks(&id, next));
        let (coming, targets, mut tasks) = tokio::try_join!(ssm.window_schedule(&id), targets, tasks)?;
        for task in tasks.iter_mut().filter(|task| needs_parameters(task)) {
            task.parameters = Some(ssm.window_task(&id, &task.id).await?);
        }
        let passed = window.coming.iter().chain(&window.opened).copied();
        let opened: BTreeSet<Timestamp> = passed
            .filter(|opening| *opening <= now && due::later(window.end_of(*opening), pace.after) > now)
            .collect();
        window.opened = opened.into_iter().collect();
        (window.coming, window.targets, window.tasks) = (coming, targets, tasks);
        (window.details_as_of, window.stale) = (Some(now), false);
        Ok(())
    }

    async fn read_executions(&self, window: &mut Window, now: Timestamp) -> Result<(), AwsError> {
        let id = window.id().clone();
        let after = now.checked_sub(LOOK_BACK).unwrap_or(Timestamp::MIN);
        let ssm = &self.services.ssm;
        let told =
            listing("executions of a maintenance window", |next| ssm.window_executions(&id, after, next))
                .await?;
        let (mut executions, mut failed) = (Vec::new(), None);
        for told in told {
            let before = window.executions.iter().find(|known| known.told.id == told.id);
            let known = before.filter(|known| known.told.status.is_final());
            let outcomes = match known.and_then(|known| known.outcomes.clone()) {
                Some(outcomes) => Some(outcomes),
                // How it ended is worth knowing, even where nothing more is told.
                None if told.status.is_final() => match self.outcomes(&told).await {
                    Ok(outcomes) => Some(outcomes),
                    Err(error) => {
                        failed = Some(error);
                        None
                    }
                },
                None => None,
            };
            executions.push(Execution { told, outcomes });
        }
        executions.sort_by(|one, other| {
            (one.told.started, &one.told.id).cmp(&(other.told.started, &other.told.id))
        });
        window.executions = executions;
        window.executions_as_of = Some(now);
        failed.map_or(Ok(()), Err)
    }

    /// How each task of an execution ended on each node that it names.
    async fn outcomes(&self, execution: &WindowExecution) -> Result<Vec<NodeOutcome>, AwsError> {
        let ssm = &self.services.ssm;
        let id = &execution.id;
        let tasks = listing("tasks of an execution", |next| ssm.execution_tasks(id, next)).await?;
        let mut outcomes = Vec::new();
        for task in tasks {
            let invocations =
                listing("invocations of a task", |next| ssm.execution_invocations(id, &task.id, next))
                    .await?;
            for invocation in invocations {
                let outcome = |node: NodeId| NodeOutcome {
                    node,
                    document: task.document.clone(),
                    status: invocation.status,
                };
                outcomes.extend(invocation.nodes.into_iter().map(outcome));
            }
        }
        Ok(outcomes)
    }

    async fn read_group(&self, name: &str, known: Option<&Group>, now: Timestamp) -> Group {
        match listing("members of a resource group", |next| self.services.groups.nodes_of(name, next)).await {
            Ok(nodes) => Group {
                nodes: nodes.into_iter().collect(),
                as_of: Some(now),
                tried: Some(now),
                problem: None,
            },
            Err(error) => {
                tracing::debug!(target = self.target.name, group = name, %error, "a group could not be read");
                // That groups may not be read is no reason to leave windows alone: it is a problem of the group.
                let known = known.cloned().unwrap_or_default();
                Group { tried: Some(now), problem: Some(said(&error)), ..known }
            }
        }
    }

    async fn read_patch_states(
        &self,
        view: &mut WindowsView,
        wanted: &WantedPatchStates,
        pace: &WindowPace,
        now: Timestamp,
    ) {
        view.patch_states.retain(|node, _| wanted.contains_key(node));
        if wanted.is_empty() {
            (view.patch_error, view.patch_tried) = (None, None);
            return;
        }
        // After a failure nothing is asked before its time.
        let failed = view.patch_error.is_some();
        if failed && view.patch_tried.is_some_and(|tried| due::later(tried, pace.near) > now) {
            return;
        }
        let is_due = |(node, since): &(&NodeId, &Timestamp)| {
            due::patch_state(view.patch_states.get(*node), **since, pace).is_some_and(|due| due <= now)
        };
        let nodes: Vec<NodeId> = wanted.iter().filter(is_due).map(|(node, _)| node.clone()).collect();
        if nodes.is_empty() {
            return;
        }
        let asked = nodes.chunks(PATCH_STATES_AT_ONCE).map(|nodes| async move {
            let ssm = &self.services.ssm;
            (nodes, listing("patch states", |next| ssm.patch_states(nodes, next)).await)
        });
        let asked: Vec<_> = asked.collect();
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut error = None;
        while let Some((nodes, answer)) = answers.next().await {
            match answer {
                Ok(states) => {
                    let mut states: BTreeMap<NodeId, PatchState> = states.into_iter().collect();
                    for node in nodes {
                        let state = states.remove(node).map(Arc::new);
                        view.patch_states.insert(node.clone(), PatchReading { as_of: now, state });
                    }
                }
                Err(failed) => error = Some(said(&failed)),
            }
        }
        drop(answers);
        if error.is_some() && error != view.patch_error {
            tracing::warn!(target = self.target.name, error, "patch states could not be read");
        }
        (view.patch_error, view.patch_tried) = (error, Some(now));
    }
}

/// Whether two views tell the same, whenever they were read.
fn same(view: &WindowsView, before: &WindowsView) -> bool {
    let window = |one: &Window, other: &Window| {
        let Window { details_as_of, executions_as_of, stale, tried, executions_tried, .. } = other;
        let aside = Window {
            details_as_of: *details_as_of,
            executions_as_of: *executions_as_of,
            stale: *stale,
            tried: *tried,
            executions_tried: *executions_tried,
            ..one.clone()
        };
        // That something was read for the first time is something new.
        let first = |one: &Window| (one.details_as_of.is_some(), one.executions_as_of.is_some());
        aside == *other && first(one) == first(other)
    };
    let group = |one: &Group, other: &Group| (&one.nodes, &one.problem) == (&other.nodes, &other.problem);
    view.as_of.is_some() == before.as_of.is_some()
        && (&view.error, &view.patch_error) == (&before.error, &before.patch_error)
        && view.known.len() == before.known.len()
        && view.known.values().zip(before.known.values()).all(|(one, other)| window(one, other))
        && view.groups.len() == before.groups.len()
        && view
            .groups
            .iter()
            .zip(&before.groups)
            .all(|((name, one), (other_name, other))| name == other_name && group(one, other))
        && view.patch_states.len() == before.patch_states.len()
        && view
            .patch_states
            .iter()
            .all(|(node, one)| before.patch_states.get(node).is_some_and(|other| other.state == one.state))
}
