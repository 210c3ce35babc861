//! The list of a VM's protection: its agent, VMware Tools, its last window and its snapshots.
//!
//! vCenter shows no snapshots of a VM whose files it cannot reach, nor what Tools say: while it has no configuration of the VM,
//! nothing is said, and what was told stays.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::compliance::protection::{
    Agent, Before, Currency, Facts, LastWindow, OLD_AFTER, OldSnapshot, checks,
};
use mappings::compliance::{Kind, List};
use mappings::selector::{Fact, PowerState, VmFacts as _};

use super::{Wanted, is_blind};
use crate::aws::{Node, Ping};
use crate::fleet::ToolsAge;
use crate::plan::report::{Look, Reported};
use crate::plan::snapshots::LastWindows;
use crate::snapshot::Entered;

/// A machine that restarts is silent for longer than the five minutes after which Systems Manager says that a connection is lost.
const SILENT_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// What there is to tell of one VM.
pub(super) fn wanted(look: &Look<'_, '_, '_>, one: &Reported<'_, '_>, windows: &LastWindows<'_>) -> Wanted {
    let now = look.now;
    let view = one.view;
    if !view.has_configuration() {
        return Wanted::NotRead("its configuration");
    }
    let power = view.power_state();
    let node = one.cloud.nodes.get(one.node).map(|node| &**node);
    let (agent, silent_at) = agent(power, node, view.boot_time(), now);
    let snapshots: Fact<Vec<OldSnapshot<'_>>> = match view.snapshots() {
        Fact::Unknown => Fact::Unknown,
        Fact::Absent => Fact::Known(Vec::new()),
        Fact::Known(info) => {
            let told = info.iter().map(|tree| OldSnapshot { name: &tree.name, created: tree.created });
            Fact::Known(told.collect())
        }
    };
    let last_window = windows.get(one.vm).map_or(Fact::Absent, |(run, entered)| {
        let snapshot = match entered {
            Entered::Protected { taken } => Before::Taken(taken),
            Entered::Held => Before::Held,
            Entered::Unprotected => Before::Missing,
        };
        Fact::Known(LastWindow { name: &run.name, opened: run.opens, snapshot })
    });
    let facts = Facts {
        agent,
        tools_running: view.tools_running(),
        tools: match view.tools_age() {
            Fact::Known(ToolsAge::Current(word)) => Fact::Known(Currency::Current(word)),
            Fact::Known(ToolsAge::NotCurrent(word)) => Fact::Known(Currency::Old(word)),
            Fact::Known(ToolsAge::Missing) => Fact::Known(Currency::Missing),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        },
        last_window,
        snapshots: match &snapshots {
            Fact::Known(snapshots) => Fact::Known(snapshots),
            Fact::Absent => Fact::Absent,
            Fact::Unknown => Fact::Unknown,
        },
        consolidation_needed: view.needs_consolidation().map_or(Fact::Unknown, Fact::Known),
    };
    let (checks, not_read) = checks(&facts, now, OLD_AFTER);
    let list = List::with_not_read(Kind::Protection, checks, not_read);
    if is_blind(&list) {
        return Wanted::NotRead("its protection");
    }
    // The next snapshot that becomes old makes another list.
    let ages = match &snapshots {
        Fact::Known(snapshots) => {
            snapshots.iter().filter_map(|snapshot| old_at(snapshot.created?, now)).min()
        }
        Fact::Absent | Fact::Unknown => None,
    };
    let until = ages.into_iter().chain(silent_at).min();
    Wanted::List { list: Arc::new(list), until }
}

/// When a snapshot becomes old, if it is not yet.
fn old_at(created: Timestamp, now: Timestamp) -> Option<Timestamp> {
    // A check takes what is older than that.
    let old = created.checked_add(OLD_AFTER + SignedDuration::from_nanos(1)).ok()?;
    (old > now).then_some(old)
}

/// How the agent stands to Systems Manager, and when that may be another without anything else happening.
fn agent(
    power: Fact<PowerState>,
    node: Option<&Node>,
    booted: Option<Timestamp>,
    now: Timestamp,
) -> (Fact<Agent>, Option<Timestamp>) {
    let node = match (power, node) {
        (Fact::Known(PowerState::On), Some(node)) => node,
        // Nobody expects an answer of a VM that is off.
        (Fact::Known(PowerState::Off | PowerState::Suspended), _) => return (Fact::Absent, None),
        _ => return (Fact::Unknown, None),
    };
    match node.ping {
        Ping::Online => (Fact::Known(Agent::Online), None),
        Ping::Unknown => (Fact::Unknown, None),
        Ping::ConnectionLost | Ping::Inactive => {
            // One that was powered on just now has had no time to answer.
            let silent = node.last_ping.max(booted).and_then(|last| last.checked_add(SILENT_AFTER).ok());
            match silent.filter(|silent| *silent > now) {
                Some(silent) => (Fact::Known(Agent::Online), Some(silent)),
                None => (Fact::Known(Agent::Offline(node.last_ping)), None),
            }
        }
    }
}
