//! The control socket: how commands ask a running daemon, and tell it what a person decided.
//!
//! A Unix socket in the state directory, for the user that the daemon runs as and for root. One connection is one request, a
//! line of JSON, and one answer. What answers is the [`Desk`]; a command that finds no daemon makes a desk of its own, so that
//! both do the same. Whoever connects can make the daemon wait for nothing: requests are short, few at a time, and given up
//! when they take too long to arrive.

mod client;
mod compliance;
mod desk;
mod documents;
mod find;
mod findings;
mod protect;
mod rollback;
mod selection;
mod server;
mod snapshots;
#[cfg(test)]
mod tests;
mod windows;
mod withdraw;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use client::{Client, ClientError};
pub use desk::Desk;
pub(crate) use desk::plan_document;
pub use documents::{Asked, EnrolmentDocument, NodeDocument};
pub use find::{Found, find};
pub(crate) use findings::findings;
pub use findings::{FindingDocument, FindingQuery, FindingsDocument, ForeignFindings, UnusableFinding};
pub use protect::{
    Begun, HazardDocument, NodeProgress, RefusedVmDocument, SnapshotProgress, TakeQuery, TakenDocument,
    TakenVmDocument,
};
pub use rollback::{LaterDocument, RollbackDocument, RollbackQuery, RollbackVmDocument};
pub use server::Server;
pub use snapshots::{ForeignDocument, SnapshotDocument, SnapshotQuery, SnapshotsDocument};
pub(crate) use snapshots::{snapshots, snapshots_of};
pub use windows::{WindowDocument, WindowQuery, WindowVmDocument};
pub(crate) use windows::{windows, windows_of};
pub use withdraw::WithdrawnDocument;

use crate::plan::Capability;
use crate::report::{AuditQuery, ComplianceQuery};

/// Name of the socket in the state directory.
pub const SOCKET: &str = "control.sock";

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// What is to be done: a [`PlanDocument`](crate::plan::PlanDocument).
    Plan(PlanQuery),
    /// Everything about one VM: an [`Explanation`](crate::explain::Explanation).
    Explain {
        /// The VM, as a person names it.
        vm: String,
    },
    /// Allow what the guard holds under this id.
    Approve {
        /// The id.
        id: String,
    },
    /// A node is this VM.
    Link {
        /// The VM, as a person names it.
        vm: String,
        /// The node.
        node: String,
    },
    /// A node is not the VM that it is taken for.
    Unlink {
        /// The node.
        node: String,
        /// The VM, if it is another one than the node is taken for now.
        vm: Option<String>,
        /// Forget all that was ever said of the node, so that it is matched anew.
        forget: bool,
    },
    /// Try again at once what failed.
    Retry {
        /// VMs and nodes, as a person names them; all that failed if there are none.
        objects: Vec<String>,
    },
    /// Make VMs managed nodes although the capability is only observed: an [`Asked`].
    Enrol {
        /// VMs, as a person names them.
        vms: Vec<String>,
        /// VMs that any of these selects.
        selectors: Vec<String>,
        /// Forget first that they failed.
        retry: bool,
    },
    /// How far enrolments are: a list of [`EnrolmentDocument`]s.
    Enrolments,
    /// All nodes: a list of [`NodeDocument`]s.
    Nodes,
    /// The windows that come: a list of [`WindowDocument`]s.
    Windows(WindowQuery),
    /// The snapshots: a [`SnapshotsDocument`].
    Snapshots(SnapshotQuery),
    /// Take snapshots: a [`TakenDocument`].
    TakeSnapshots(TakeQuery),
    /// Remove snapshots of vmbridge's: a [`Begun`].
    RemoveSnapshots {
        /// Ids of records; VMs, as a person names them, that have one.
        what: Vec<String>,
    },
    /// Take over a snapshot that has no record: a sentence.
    AdoptSnapshot {
        /// The VM, as a person names it.
        vm: String,
        /// The snapshot: its managed object id or its name.
        snapshot: String,
        /// How long it is kept from now on.
        keep: Duration,
        /// Although it does not carry the mark of this installation.
        foreign: bool,
    },
    /// What taking VMs back means: a [`RollbackDocument`].
    Rollback(RollbackQuery),
    /// Take VMs back: a [`Begun`].
    Revert {
        /// Ids of records.
        records: Vec<String>,
    },
    /// How far snapshots are: a list of [`SnapshotProgress`].
    SnapshotProgress {
        /// Ids of records.
        records: Vec<String>,
        /// With the nodes of their VMs.
        nodes: bool,
    },
    /// The table of machines: a [`ComplianceDocument`](crate::report::ComplianceDocument).
    Compliance(ComplianceQuery),
    /// The auditor's report: an [`AuditDocument`](crate::report::AuditDocument).
    Audit(AuditQuery),
    /// What Security Hub has of ours: a [`FindingsDocument`].
    Findings(FindingQuery),
    /// Close all findings of ours, whatever became of their problems: a [`WithdrawnDocument`].
    WithdrawFindings,
    /// This machine is the one that the state belongs to.
    Claim,
    /// Read everything anew and do what is to be done; answered when it is done: a [`Progress`](crate::engine::Progress).
    Sync,
    /// How far the engine is: a [`Progress`](crate::engine::Progress).
    Progress,
}

/// Which part of the plan is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanQuery {
    /// These capabilities; all if there are none.
    pub capabilities: Vec<Capability>,
    /// VMs that any of these selects; all if there are none.
    pub selectors: Vec<String>,
    /// VMs of these vCenters or organisations; all if there are none.
    pub vcenters: Vec<String>,
}

/// Why something that was asked cannot be done. The text is for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{0}")]
pub struct Refusal(pub String);

/// An answer on the wire.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    /// What was asked for.
    Done(serde_json::Value),
    /// It cannot be.
    Refused(Refusal),
}
