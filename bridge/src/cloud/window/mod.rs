//! A maintenance window as a whole, and what follows from it for a node: is it patched by this window, and why.
//!
//! Everything here is pure. What cannot be known (a group that could not be read, a condition of a kind that we do not know)
//! is told as a [doubt](Window::doubts) and never guessed at. A node is *reached* by one or several [ways](Way); who wants to
//! keep it from being patched has to close all of them, and [`Reached::to_close`] says how.

mod reach;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::glob::NamePattern;

pub use self::reach::{By, Patching, Reached, Way};
pub(crate) use self::reach::{Gate, needs_parameters};
use self::reach::{document_name, is_patching};
use crate::aws::{
    ExecutionStatus, NodeId, PatchState, WindowExecution, WindowExecutionId, WindowId, WindowIdentity,
    WindowTarget, WindowTask,
};

/// Executions begin at their opening, give or take so much.
const PUNCTUALITY: SignedDuration = SignedDuration::from_mins(5);

/// What is known of the windows of one target, of the groups that they use, and of patches.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowsView {
    /// The windows.
    pub known: BTreeMap<WindowId, Arc<Window>>,
    /// When the last complete listing of the windows began; `None` before the first, and when nobody needs windows.
    pub as_of: Option<Timestamp>,
    /// When it was last tried to list the windows, however that went.
    pub tried: Option<Timestamp>,
    /// Why the windows could not be listed, or not be read any further, last time. What was known is kept.
    pub error: Option<String>,
    /// The resource groups that targets of windows name, by their names.
    pub groups: Groups,
    /// The patch states that were asked for.
    pub patch_states: HashMap<NodeId, PatchReading>,
    /// Why patch states could not be read last time.
    pub patch_error: Option<String>,
    /// When it was last tried to read patch states, however that went.
    pub patch_tried: Option<Timestamp>,
}

/// Resource groups by their names.
pub type Groups = BTreeMap<Arc<str>, Arc<Group>>;

/// A resource group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Its hybrid nodes, when they were last read.
    pub nodes: BTreeSet<NodeId>,
    /// When that reading began; `None`: it was never read.
    pub as_of: Option<Timestamp>,
    /// When it was last tried to read it, however that went.
    pub tried: Option<Timestamp>,
    /// Why it could not be read last time. What was known is kept.
    pub problem: Option<String>,
}

/// The patch state of a node and when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchReading {
    /// When the reading began.
    pub as_of: Timestamp,
    /// The state; `None`: the node was never scanned or patched.
    pub state: Option<Arc<PatchState>>,
}

/// A maintenance window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// What the listing says of it.
    pub identity: WindowIdentity,
    /// Its registered targets.
    pub targets: Vec<WindowTarget>,
    /// Its registered tasks.
    pub tasks: Vec<WindowTask>,
    /// When it opens next, the soonest first, at most [`COMING`](crate::aws::COMING) times. By the time somebody looks, the
    /// first may have passed.
    pub coming: Vec<Timestamp>,
    /// Openings that had been announced and have passed, the oldest first, as long as their outcome is looked for. Whether
    /// they took place, the executions say.
    pub opened: Vec<Timestamp>,
    /// Executions that began lately, the oldest first.
    pub executions: Vec<Execution>,
    /// When the last complete reading of openings, targets and tasks began.
    pub details_as_of: Option<Timestamp>,
    /// When the last reading of executions began.
    pub executions_as_of: Option<Timestamp>,
    /// Whether the listing has told something new since then.
    pub stale: bool,
    /// When it was last tried to read openings, targets and tasks, however that went.
    pub tried: Option<Timestamp>,
    /// Why they could not be read last time. What was known is kept.
    pub problem: Option<String>,
    /// When it was last tried to read executions, however that went.
    pub executions_tried: Option<Timestamp>,
    /// Why they could not be read last time. What was known is kept.
    pub executions_problem: Option<String>,
}

/// An execution of a window, and how it ended for the nodes that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// What the listing says of it.
    pub told: WindowExecution,
    /// How each task ended on each node that it names; `None` until that was read, which is after the end. Tasks on targets of
    /// tags name no nodes: only the patch state tells of those.
    pub outcomes: Option<Vec<NodeOutcome>>,
}

/// How a task ended on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeOutcome {
    /// The node.
    pub node: NodeId,
    /// The document of the task: its name or its ARN.
    pub document: Arc<str>,
    /// How it ended.
    pub status: ExecutionStatus,
}

impl Execution {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &WindowExecutionId {
        &self.told.id
    }

    /// How patching ended on a node: the worst of all its tasks that patch, by their documents. `None`: it does not say.
    #[must_use]
    pub fn outcome(&self, documents: &[NamePattern], node: &NodeId) -> Option<ExecutionStatus> {
        let of = self.outcomes.iter().flatten().filter(|outcome| outcome.node == *node);
        let patching = of.filter(|outcome| is_patching(document_name(&outcome.document), documents));
        patching.map(|outcome| outcome.status).max_by_key(|status| match status {
            ExecutionStatus::Success => 0,
            ExecutionStatus::SkippedOverlapping => 1,
            ExecutionStatus::Pending | ExecutionStatus::InProgress => 2,
            ExecutionStatus::Cancelling | ExecutionStatus::Cancelled => 3,
            ExecutionStatus::Unknown => 4,
            ExecutionStatus::TimedOut => 5,
            ExecutionStatus::Failed => 6,
        })
    }
}

impl Window {
    /// A window of which only the listing is known.
    #[must_use]
    pub fn new(identity: WindowIdentity) -> Self {
        Self {
            identity,
            targets: Vec::new(),
            tasks: Vec::new(),
            coming: Vec::new(),
            opened: Vec::new(),
            executions: Vec::new(),
            details_as_of: None,
            executions_as_of: None,
            stale: false,
            tried: None,
            problem: None,
            executions_tried: None,
            executions_problem: None,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &WindowId {
        &self.identity.id
    }

    /// The first opening after a moment; `None` when there is none, or none that is known, or the window is switched off.
    #[must_use]
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        let coming = self.coming.iter().copied().find(|opening| *opening > now);
        coming.filter(|_| self.identity.enabled)
    }

    /// When an opening ends.
    #[must_use]
    pub fn end_of(&self, opening: Timestamp) -> Timestamp {
        let duration = SignedDuration::try_from(self.identity.duration).unwrap_or(SignedDuration::MAX);
        opening.checked_add(duration).unwrap_or(Timestamp::MAX)
    }

    /// The execution that belongs to an opening: the first that began at the opening or, by the clock of AWS, about then.
    #[must_use]
    pub fn execution_of(&self, opening: Timestamp) -> Option<&Execution> {
        let about = opening.checked_sub(PUNCTUALITY).unwrap_or(Timestamp::MIN);
        let end = self.end_of(opening);
        let began = |execution: &&Execution| {
            execution.told.started.is_some_and(|started| started >= about && started <= end)
        };
        self.executions.iter().find(began)
    }
}
