//! What Systems Manager tells of maintenance windows: what is registered with them, and how their executions went.
//!
//! These are answers of the API, one type for each operation. What follows from them for a node is in
//! [`cloud::window`](crate::cloud::window).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{NodeId, TaskExecutionId, WindowExecutionId, WindowId, WindowTargetId, WindowTaskId};

/// So many coming openings of a window are asked for.
pub const COMING: usize = 10;

/// A maintenance window, from `DescribeMaintenanceWindows`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowIdentity {
    /// Its id.
    pub id: WindowId,
    /// Its name, which need not be the only one of its kind.
    pub name: Box<str>,
    /// Whether it opens at all.
    pub enabled: bool,
    /// The schedule as people wrote it, `cron(…)`, `rate(…)` or `at(…)`: to be shown, never to be computed with.
    pub schedule: Box<str>,
    /// The time zone of the schedule by its IANA name; UTC where there is none.
    pub time_zone: Option<Box<str>>,
    /// How long it is open: whole hours, at most 24.
    pub duration: Duration,
    /// How long before its end no more tasks begin: whole hours.
    pub cutoff: Duration,
    /// When it opens next, as AWS writes it. A change of it says that the schedule is to be read again.
    pub next: Option<Box<str>>,
}

/// One condition of a target, from `Targets`. All the conditions of one target have to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSet {
    /// `InstanceIds`, `tag:KEY`, `tag-key`, `WindowTargetIds`, `resource-groups:Name` or
    /// `resource-groups:ResourceTypeFilters`.
    pub key: Box<str>,
    /// Any of these.
    pub values: Vec<Box<str>>,
}

/// A target that is registered with a window, from `DescribeMaintenanceWindowTargets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowTarget {
    /// Its id.
    pub id: WindowTargetId,
    /// The name that people gave it.
    pub name: Option<Box<str>>,
    /// What it takes, all of which has to hold.
    pub sets: Vec<TargetSet>,
}

/// What kind of task a window runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// `RUN_COMMAND`: a command document, on nodes.
    RunCommand,
    /// `AUTOMATION`: a runbook.
    Automation,
    /// `LAMBDA`, `STEP_FUNCTIONS`, or what we do not know.
    Other,
}

/// A task of a window, from `DescribeMaintenanceWindowTasks`, with what `GetMaintenanceWindowTask` adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowTask {
    /// Its id.
    pub id: WindowTaskId,
    /// The name that people gave it.
    pub name: Option<Box<str>>,
    /// What kind it is.
    pub kind: TaskKind,
    /// The document: its name or its ARN.
    pub document: Arc<str>,
    /// What it runs on: `WindowTargetIds` or `InstanceIds`. None: it is not about nodes.
    pub sets: Vec<TargetSet>,
    /// Its parameters; `None` while they have not been read.
    pub parameters: Option<TaskParameters>,
}

/// Parameters of a task, from `GetMaintenanceWindowTask`. Only these are kept: others may hold secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskParameters {
    /// `Operation`: `Scan` or `Install`.
    pub operation: Option<Box<str>>,
    /// `PreInstallHookDocName` of `AWS-RunPatchBaselineWithHooks`.
    pub pre_install_hook: Option<Arc<str>>,
    /// `RebootOption`: `RebootIfNeeded` or `NoReboot`.
    pub reboot: Option<Box<str>>,
    /// `SnapshotId`: the patch baseline snapshot, which has nothing to do with snapshots of VMs.
    pub baseline_snapshot: Option<Box<str>>,
}

/// How far an execution of a window, of a task or on a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ExecutionStatus {
    /// It has not begun.
    Pending,
    /// It is under way.
    InProgress,
    /// It went well.
    Success,
    /// It failed.
    Failed,
    /// It was not done in time.
    TimedOut,
    /// Somebody cancels it.
    Cancelling,
    /// Somebody cancelled it.
    Cancelled,
    /// It did not take place, because the one before was not over.
    SkippedOverlapping,
    /// Systems Manager says nothing that we know.
    Unknown,
}

impl ExecutionStatus {
    /// Whether it stays as it is.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Success | Self::Failed | Self::TimedOut | Self::Cancelled | Self::SkippedOverlapping => {
                true
            }
            Self::Pending | Self::InProgress | Self::Cancelling | Self::Unknown => false,
        }
    }

    /// The words for it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::InProgress => "in progress",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::Cancelling => "being cancelled",
            Self::Cancelled => "cancelled",
            Self::SkippedOverlapping => "skipped, because the one before was not over",
            Self::Unknown => "state unknown",
        }
    }
}

/// One execution of a window, from `DescribeMaintenanceWindowExecutions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowExecution {
    /// Its id.
    pub id: WindowExecutionId,
    /// How far it is.
    pub status: ExecutionStatus,
    /// What AWS adds to that.
    pub details: Option<Box<str>>,
    /// When it began.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub ended: Option<Timestamp>,
}

/// What one task did in an execution, from `DescribeMaintenanceWindowExecutionTasks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionTask {
    /// Its id, which is not that of the task.
    pub id: TaskExecutionId,
    /// The document: its name or its ARN.
    pub document: Arc<str>,
    /// How far it is.
    pub status: ExecutionStatus,
}

/// What a task did for one of its targets, from `DescribeMaintenanceWindowExecutionTaskInvocations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// How far it is.
    pub status: ExecutionStatus,
    /// What AWS adds to that.
    pub details: Option<Box<str>>,
    /// The registered target that it was for.
    pub target: Option<WindowTargetId>,
    /// The nodes that it names. One for a target of tags names none: it stands for many nodes, and how it went says nothing of
    /// each.
    pub nodes: Vec<NodeId>,
}
