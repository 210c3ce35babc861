//! What callers see of a task: the managed object, and what was asked for.

use jiff::Timestamp;
use serde::Serialize;

use super::TaskKind;
use crate::soap::fault::Fault;
use crate::world::ObjId;

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    Create {
        name: String,
        description: String,
        memory: bool,
        quiesce: bool,
        /// By `CreateSnapshotEx_Task`.
        extended: bool,
    },
    Remove {
        snapshot: u32,
        children: bool,
        consolidate: bool,
    },
    RemoveAll {
        consolidate: bool,
    },
    Revert {
        /// `None`: to the current one.
        snapshot: Option<u32>,
        suppress_power_on: bool,
    },
    Consolidate,
    PowerOn,
    PowerOff,
}

impl Operation {
    pub(crate) fn kind(&self) -> TaskKind {
        match self {
            Self::Create { .. } => TaskKind::CreateSnapshot,
            Self::Remove { .. } => TaskKind::RemoveSnapshot,
            Self::RemoveAll { .. } => TaskKind::RemoveAllSnapshots,
            Self::Revert { .. } => TaskKind::Revert,
            Self::Consolidate => TaskKind::Consolidate,
            Self::PowerOn => TaskKind::PowerOn,
            Self::PowerOff => TaskKind::PowerOff,
        }
    }

    /// `name` and `descriptionId` of the task.
    pub(crate) fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Create { extended: false, .. } => ("CreateSnapshot_Task", "VirtualMachine.createSnapshot"),
            Self::Create { extended: true, .. } => {
                ("CreateSnapshotEx_Task", "VirtualMachine.createSnapshotEx")
            }
            Self::Remove { .. } => ("RemoveSnapshot_Task", "vm.Snapshot.remove"),
            Self::RemoveAll { .. } => ("RemoveAllSnapshots_Task", "VirtualMachine.removeAllSnapshots"),
            Self::Revert { snapshot: Some(_), .. } => ("RevertToSnapshot_Task", "vm.Snapshot.revert"),
            Self::Revert { snapshot: None, .. } => {
                ("RevertToCurrentSnapshot_Task", "VirtualMachine.revertToCurrentSnapshot")
            }
            Self::Consolidate => ("ConsolidateVMDisks_Task", "VirtualMachine.consolidateDisks"),
            Self::PowerOn => ("PowerOnVM_Task", "VirtualMachine.powerOn"),
            Self::PowerOff => ("PowerOffVM_Task", "VirtualMachine.powerOff"),
        }
    }

    /// Whether it may be cancelled while it runs: nothing has changed before its end.
    pub(crate) fn is_cancelable(&self) -> bool {
        matches!(self, Self::Create { .. })
    }
}

/// Who asked for something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Maker {
    /// The user.
    pub user: String,
    /// Key of the session; absent for what the simulator does by itself.
    pub session: Option<String>,
    /// Whether it was somebody else's product, by [`crate::Mutation::ForeignTask`].
    pub foreign: bool,
}

/// `TaskInfo.state`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskState {
    Queued,
    Running,
    Success,
    Error,
}

impl TaskState {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Success => "success",
            Self::Error => "error",
        }
    }

    pub(crate) fn is_over(self) -> bool {
        matches!(self, Self::Success | Self::Error)
    }
}

/// A task as vCenter keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) description_id: &'static str,
    pub(crate) entity: ObjId,
    pub(crate) entity_name: Box<str>,
    pub(crate) state: TaskState,
    pub(crate) cancelled: bool,
    pub(crate) cancelable: bool,
    pub(crate) error: Option<Fault>,
    /// The snapshot that was made.
    pub(crate) result: Option<ObjId>,
    /// Percent, while it runs.
    pub(crate) progress: Option<u32>,
    pub(crate) user: String,
    pub(crate) queued: Timestamp,
    pub(crate) started: Option<Timestamp>,
    pub(crate) completed: Option<Timestamp>,
}
