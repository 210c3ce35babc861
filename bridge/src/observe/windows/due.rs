//! When the windows are to be read again. Pure: everything follows from what is known and when it was read.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::cloud::WantedPatchStates;
use crate::cloud::window::{Execution, PatchReading, Window, WindowsView};
use crate::config::AwsTarget;

/// How often the windows of a target are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPace {
    /// The listing of all windows, and what failed.
    pub listing: Duration,
    /// Openings, targets and tasks of a window that opens within a day.
    pub day: Duration,
    /// The same of one that does not.
    pub far: Duration,
    /// The same of one that opens within [`lead`](Self::lead); executions and patch states while they are waited for.
    pub near: Duration,
    /// How long before its opening a window is near.
    pub lead: Duration,
    /// How long after the end of a window its execution is still waited for.
    pub after: Duration,
}

impl WindowPace {
    /// The pace for a target: the listing as often as its nodes while nothing changes (`poll_slow`).
    #[must_use]
    pub fn of(target: &AwsTarget) -> Self {
        Self {
            listing: target.poll_slow,
            day: Duration::from_secs(3600),
            far: Duration::from_secs(6 * 3600),
            near: Duration::from_secs(60).min(target.poll_slow),
            lead: Duration::from_secs(15 * 60),
            after: Duration::from_secs(2 * 3600),
        }
    }
}

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) fn later(moment: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn earlier(moment: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    moment.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// When the listing is due.
pub(super) fn listing(view: &WindowsView, pace: &WindowPace) -> Timestamp {
    view.tried.map_or(Timestamp::MIN, |tried| later(tried, pace.listing))
}

/// When openings, targets and tasks of a window are due; `None`: never, as it is.
pub(super) fn details(window: &Window, pace: &WindowPace) -> Option<Timestamp> {
    if !window.identity.enabled {
        return None;
    }
    let Some(tried) = window.tried else { return Some(Timestamp::MIN) };
    let last = window.details_as_of.unwrap_or(Timestamp::MIN);
    let opening = window.coming.iter().copied().find(|opening| *opening > last);
    if window.problem.is_some() || window.details_as_of.is_none() {
        let near = opening.is_some_and(|opening| tried >= earlier(opening, pace.lead));
        return Some(later(tried, if near { pace.near } else { pace.listing }));
    }
    let mut due = later(last, if window.stale { pace.near } else { pace.far });
    if let Some(opening) = opening {
        due = due.min(later(last, pace.day).max(earlier(opening, DAY)));
        due = due.min(later(last, pace.near).max(earlier(opening, pace.lead)));
    }
    Some(due)
}

/// When the executions of a window are due; `None`: nothing is waited for.
pub(super) fn executions(window: &Window, pace: &WindowPace) -> Option<Timestamp> {
    if !window.identity.enabled && window.executions_as_of.is_none() {
        return None;
    }
    let next = window.executions_tried.map_or(Timestamp::MIN, |tried| later(tried, pace.near));
    // What is under way when we begin to look is found by looking once.
    let Some(last) = window.executions_as_of else { return Some(next) };
    let under_way = window.executions.iter().any(|execution| !settled(execution));
    let openings = window.opened.iter().chain(&window.coming).copied();
    let waited_for = openings.filter(|opening| {
        last < later(window.end_of(*opening), pace.after)
            && !window.execution_of(*opening).is_some_and(settled)
    });
    let opening = waited_for.map(|opening| next.max(opening)).min();
    opening.into_iter().chain(under_way.then_some(next)).min()
}

/// Whether nothing more is to be learned of an execution.
pub(super) fn settled(execution: &Execution) -> bool {
    execution.told.status.is_final() && execution.outcomes.is_some()
}

/// When the patch state of a node is due that is wanted since a moment; `None`: it is known.
pub(super) fn patch_state(
    reading: Option<&PatchReading>,
    since: Timestamp,
    pace: &WindowPace,
) -> Option<Timestamp> {
    let Some(reading) = reading else { return Some(Timestamp::MIN) };
    let known = reading.state.as_ref().is_some_and(|state| state.installed_since(since));
    (!known).then(|| later(reading.as_of, pace.near))
}

/// When anything is due.
pub(super) fn anything(view: &WindowsView, wanted: &WantedPatchStates, pace: &WindowPace) -> Timestamp {
    let windows = view.known.values().flat_map(|window| [details(window, pace), executions(window, pace)]);
    let patches = wanted.iter().map(|(node, since)| {
        let due = patch_state(view.patch_states.get(node), *since, pace)?;
        Some(view.patch_tried.map_or(due, |tried| due.max(later(tried, pace.near))))
    });
    let first = windows.chain(patches).flatten().min();
    first.map_or_else(|| listing(view, pace), |first| first.min(listing(view, pace)))
}
