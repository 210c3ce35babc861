//! Whether a VM can be patched, and undone afterwards: the items of [`Kind::Protection`](super::Kind::Protection).
//!
//! A check that does not apply gives no item: nobody expects Tools to run in a VM that is off. What *cannot be read* gives none
//! either, neither a good nor a bad one, and is named among what was [not read](NotRead). While a vCenter cannot be reached, or
//! nothing at all can be read, nothing is checked; what AWS has stays as it is.

use jiff::{SignedDuration, Timestamp};

use super::{Check, NotRead, Severity, Status};
use crate::inventory::text::{list, time};
use crate::selector::Fact;

/// How SSM Agent stands to Systems Manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// It answers.
    Online,
    /// It has not answered since then, if that is known.
    Offline(Option<Timestamp>),
}

/// What VMware Tools are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Currency<'a> {
    /// As new as they need to be, or looked after by the guest's distribution.
    Current(&'a str),
    /// Too old; the word that vCenter has for it.
    Old(&'a str),
    /// Not installed.
    Missing,
}

/// Whether a snapshot was there when a window opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// There was one, made then.
    Taken(Timestamp),
    /// The VM was kept out of the window, since there was none.
    Held,
    /// There was none, and the VM was in the window.
    Missing,
}

/// The last window of a VM whose policy asks for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastWindow<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it opened.
    pub opened: Timestamp,
    /// What there was.
    pub snapshot: Before,
}

/// A snapshot of the VM, whoever made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldSnapshot<'a> {
    /// Its name.
    pub name: &'a str,
    /// When it was made. Nobody can say how old one is of which that is not known.
    pub created: Option<Timestamp>,
}

/// What is known of a VM. [`Fact::Absent`] is what does not apply: Tools of a VM that is off, a window where there was none.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Its agent.
    pub agent: Fact<Agent>,
    /// Whether Tools run.
    pub tools_running: Fact<bool>,
    /// Whether they are current.
    pub tools: Fact<Currency<'a>>,
    /// Its last window.
    pub last_window: Fact<LastWindow<'a>>,
    /// All its snapshots.
    pub snapshots: Fact<&'a [OldSnapshot<'a>]>,
    /// Whether its disks are to be consolidated.
    pub consolidation_needed: Fact<bool>,
}

/// How old a snapshot may become. VMware's advice is 72 hours.
pub const OLD_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// The checks of a VM, and those that could not be made. A snapshot is old when it was made longer than `old_after` ago.
#[must_use]
pub fn checks(facts: &Facts<'_>, now: Timestamp, old_after: SignedDuration) -> (Vec<Check>, Vec<NotRead>) {
    let checks = [
        check("agent-online", "SSM Agent is online", Severity::High, facts.agent, agent),
        check("tools-running", "VMware Tools run", Severity::Medium, facts.tools_running, |&running| {
            (running, Vec::new())
        }),
        check("tools-current", "VMware Tools are current", Severity::Medium, facts.tools, currency),
        check(
            "snapshot-before-window",
            "There was a snapshot before the last maintenance window",
            Severity::High,
            facts.last_window,
            before,
        ),
        check("no-old-snapshot", "No snapshot is too old", Severity::Medium, facts.snapshots, |snapshots| {
            old(snapshots, now, old_after)
        }),
        check(
            "no-consolidation-needed",
            "No disks are left to be consolidated",
            Severity::Medium,
            facts.consolidation_needed,
            |&needed| (!needed, Vec::new()),
        ),
    ];
    let (mut made, mut not_read) = (Vec::new(), Vec::new());
    for check in checks.into_iter().flatten() {
        match check {
            Ok(check) => made.push(check),
            Err(one) => not_read.push(one),
        }
    }
    (made, not_read)
}

type Found = (bool, Vec<(&'static str, String)>);

fn check<T>(
    id: &str,
    title: &str,
    severity: Severity,
    seen: Fact<T>,
    found: impl FnOnce(&T) -> Found,
) -> Option<Result<Check, NotRead>> {
    let (good, details) = match seen {
        Fact::Known(known) => found(&known),
        Fact::Absent => return None,
        Fact::Unknown => {
            return Some(Err(NotRead { id: id.to_owned(), why: "what it looks at is not known".to_owned() }));
        }
    };
    Some(Ok(Check {
        id: id.to_owned(),
        title: title.to_owned(),
        severity,
        status: if good { Status::Compliant } else { Status::NonCompliant },
        details: details.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }))
}

fn agent(agent: &Agent) -> Found {
    match agent {
        Agent::Online => (true, Vec::new()),
        Agent::Offline(since) => {
            (false, since.iter().map(|&since| ("LastPing", time(Some(since)))).collect())
        }
    }
}

fn currency(tools: &Currency<'_>) -> Found {
    match *tools {
        Currency::Current(word) => (true, vec![("ToolsVersionStatus", word.to_owned())]),
        Currency::Old(word) => (false, vec![("ToolsVersionStatus", word.to_owned())]),
        Currency::Missing => (false, vec![("ToolsVersionStatus", "not installed".to_owned())]),
    }
}

fn before(window: &LastWindow<'_>) -> Found {
    let mut details = vec![("Window", window.name.to_owned()), ("WindowOpened", time(Some(window.opened)))];
    let good = match window.snapshot {
        Before::Taken(at) => {
            details.push(("SnapshotTime", time(Some(at))));
            at <= window.opened
        }
        Before::Held => {
            details.push(("Held", "kept out of the window, since there was no snapshot".to_owned()));
            true
        }
        Before::Missing => false,
    };
    (good, details)
}

fn old(snapshots: &[OldSnapshot<'_>], now: Timestamp, old_after: SignedDuration) -> Found {
    let is_old = |created: Timestamp| now.duration_since(created) > old_after;
    let old: Vec<_> = snapshots.iter().filter(|snapshot| snapshot.created.is_none_or(is_old)).collect();
    if old.is_empty() {
        return (true, Vec::new());
    }
    let made = |created: Option<Timestamp>| match created {
        Some(created) => time(Some(created)),
        None => "at an unknown time".to_owned(),
    };
    let told = list(old.iter().map(|snapshot| format!("{} ({})", snapshot.name, made(snapshot.created))));
    let oldest = old.iter().filter_map(|snapshot| snapshot.created).min();
    (
        false,
        vec![
            ("OldSnapshotCount", old.len().to_string()),
            ("OldSnapshots", told),
            ("OldestSnapshotTime", time(oldest)),
        ],
    )
}
