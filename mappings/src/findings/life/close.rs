//! The workflow status of a finding whose problem is over.
//!
//! `BatchUpdateFindings` overwrites whatever is there, also what a person has decided. So the status is read first
//! (`GetFindings`), and only one that says that somebody still has to look at it is set to `RESOLVED`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Record;

/// The workflow status of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WorkflowStatus {
    /// Nobody has looked at it.
    New,
    /// The owner of the resource was told.
    Notified,
    /// A person decided that it is none.
    Suppressed,
    /// It was dealt with.
    Resolved,
}

impl WorkflowStatus {
    /// Whether somebody still has to look at it. Every other status is somebody's decision.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::New | Self::Notified)
    }
}

impl fmt::Display for WorkflowStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::New => "NEW",
            Self::Notified => "NOTIFIED",
            Self::Suppressed => "SUPPRESSED",
            Self::Resolved => "RESOLVED",
        })
    }
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// It is set to `RESOLVED`; the outcome is that of the call.
    Set,
    /// It stays as it is: [`Outcome::Left`](super::Outcome::Left).
    Leave,
    /// Security Hub does not show the finding, yet or any more: [`Outcome::Failed`](super::Outcome::Failed), to be looked for again.
    Wait,
}

/// How often a finding that Security Hub does not show is looked for.
const LOOKS: u32 = 5;

/// What to do about the workflow status of a finding that was resolved, by what was just read: none if it was not found.
#[must_use]
pub fn closing(record: &Record, read: Option<WorkflowStatus>) -> Closing {
    match read {
        Some(status) if status.is_open() => Closing::Set,
        Some(_) => Closing::Leave,
        None if record.failure.as_ref().is_some_and(|failure| failure.attempts >= LOOKS) => Closing::Leave,
        None => Closing::Wait,
    }
}
