//! SSM: maintenance windows that really open, and what they do to the nodes that they reach.
//!
//! Windows have a clock of their own: that of the simulation, moved ahead as far as tests have skipped. Nothing runs by itself:
//! whoever asks or changes anything in AWS first lets everything happen that is due by then ([`advance`]), opening by opening,
//! so that targets are evaluated by the tags of that moment. Reads of windows do not lag behind.

mod answers;
mod calls;
mod run;
pub(super) mod schedule;
mod setup;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use self::answers::{
    executions, groups_wishes, invocations, list, members, patch_states, schedule_of, target_list, task,
    task_list, tasks_of_execution,
};
pub(super) use self::calls::{create, delete, register_target, register_task, update};
pub(super) use self::run::advance;
use self::schedule::Schedule;
pub use self::setup::AwsWindow;
use super::patch_findings::Due;

/// The windows of a Region, and everything that belongs to them.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    pub(super) windows: BTreeMap<String, Window>,
    /// By their ids.
    pub(super) executions: BTreeMap<String, Execution>,
    pub(super) patch_states: BTreeMap<String, PatchState>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Hooks by the names of their documents.
    pub(super) hooks: BTreeMap<String, Hook>,
    pub(super) scripts: Scripts,
    pub(super) runs: Vec<AwsPatchRun>,
    /// Runs of which Patch Manager may have to write a finding when they are over.
    pub(super) due: Vec<Due>,
    /// What was answered to requests with a token.
    pub(super) answered: BTreeMap<(String, String), (Value, Value)>,
}

/// A window.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    /// Its members as DescribeMaintenanceWindows tells them, without `NextExecutionTime`.
    pub(super) told: Value,
    pub(super) schedule: Schedule,
    /// Openings count from here.
    pub(super) begin: Timestamp,
    pub(super) end: Option<Timestamp>,
    /// What was due up to here has taken place.
    pub(super) seen: Timestamp,
    pub(super) unassociated: bool,
    pub(super) targets: BTreeMap<String, Value>,
    /// As GetMaintenanceWindowTask tells them.
    pub(super) tasks: BTreeMap<String, Value>,
}

impl Window {
    pub(super) fn is_enabled(&self) -> bool {
        self.told["Enabled"] == true
    }

    pub(super) fn hours(&self, member: &str) -> SignedDuration {
        SignedDuration::from_hours(self.told[member].as_i64().unwrap_or(0))
    }

    /// The next opening after a moment.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let next = self.schedule.next(after, self.begin)?;
        (self.is_enabled() && self.end.is_none_or(|end| next < end)).then_some(next)
    }
}

/// An execution of a window. All of it is known when it begins; what is told depends on the time.
#[derive(Debug, Clone)]
pub(crate) struct Execution {
    pub(super) id: String,
    pub(super) window: String,
    pub(super) start: Timestamp,
    /// `SKIPPED_OVERLAPPING`: it does not take place.
    pub(super) skipped: bool,
    pub(super) tasks: Vec<TaskExecution>,
}

/// What a task does in an execution.
#[derive(Debug, Clone)]
pub(crate) struct TaskExecution {
    pub(super) id: String,
    pub(super) document: String,
    pub(super) kind: String,
    pub(super) start: Timestamp,
    /// It would begin after the cutoff, and does not.
    pub(super) too_late: bool,
    pub(super) invocations: Vec<Invocation>,
}

/// What a task does for one target, or for one node that is named.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(super) id: String,
    pub(super) target: Option<String>,
    /// The parameters of the command, as JSON in a text.
    pub(super) parameters: String,
    /// For each node, when it is done and how it ends.
    pub(super) nodes: Vec<NodeRun>,
}

/// What a task does on a node.
#[derive(Debug, Clone)]
pub(crate) struct NodeRun {
    pub(super) end: Timestamp,
    pub(super) ends: &'static str,
}

/// The patch state of a node, as far as it changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct PatchState {
    pub(super) installed: u32,
    pub(super) missing: u32,
    pub(super) failed: u32,
    pub(super) pending_reboot: u32,
    /// The last operation; `None`: only what is missing is known, to the test and not to AWS.
    pub(super) operation: Option<(&'static str, Timestamp, Timestamp)>,
    pub(super) group: String,
    /// What it was before that operation, which shows until it is over.
    pub(super) before: Option<Box<PatchState>>,
}

/// A resource group: these nodes, and those that have all these tags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Group {
    pub(super) nodes: BTreeSet<String>,
    pub(super) tags: BTreeMap<String, String>,
}

/// A pre-install hook: it fails on nodes that carry a tag with this key, and on these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hook {
    pub(super) tag: Option<String>,
    pub(super) nodes: BTreeSet<String>,
}

/// How patching goes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scripts {
    pub(super) all: Script,
    pub(super) nodes: BTreeMap<String, Script>,
}

impl Scripts {
    /// Says how it goes, on a node or on all that nothing else is said of.
    pub(super) fn set(&mut self, node: Option<&str>, outcome: AwsPatchOutcome, seconds: Option<u32>) {
        let script = match node {
            None => &mut self.all,
            Some(node) => self.nodes.entry(node.to_owned()).or_default(),
        };
        *script = Script { outcome, seconds: seconds.unwrap_or(script.seconds) };
    }
}

/// How patching goes on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Script {
    pub(super) outcome: AwsPatchOutcome,
    pub(super) seconds: u32,
}

impl Default for Script {
    fn default() -> Self {
        Self { outcome: AwsPatchOutcome::Installed, seconds: 300 }
    }
}

/// How a patch run on a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AwsPatchOutcome {
    /// Everything that was missing is installed.
    Installed,
    /// Everything is installed, and a restart has still to come.
    RebootPending,
    /// Something could not be installed.
    Failed,
    /// The pre-install hook failed, and nothing was installed.
    Refused,
    /// The agent was not there.
    Undeliverable,
    /// It was only looked.
    Scanned,
}

/// A patch run on a node: what really happened, for tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsPatchRun {
    /// When it began.
    pub time: Timestamp,
    /// When it ended or will end.
    pub ended: Timestamp,
    /// The node.
    pub node: String,
    /// The window.
    pub window: String,
    /// Its execution.
    pub execution: String,
    /// The document.
    pub document: String,
    /// How it ends.
    pub outcome: AwsPatchOutcome,
}
