//! What is remembered of a finding.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::asff::{Content, ContentHash, Finding, Times, to_millis};
use super::super::fold::Part;
use super::super::ids::FindingId;
use super::super::name::Scope;
use super::super::problem::{Object, Target};

/// Whether the problem of a finding is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum State {
    /// It is.
    Open,
    /// It is over, and Security Hub knows.
    Resolved {
        /// Since when.
        since: Timestamp,
        /// What is to be done about the workflow status.
        workflow: WorkflowDue,
    },
}

/// What is to be done about the workflow status of a finding whose problem is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkflowDue {
    /// It is to be read, and set if nobody has decided otherwise.
    Look,
    /// Nothing.
    Done,
}

/// Why a finding could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// How often in a row.
    pub attempts: u32,
    /// Not to be tried again before.
    pub retry_at: Timestamp,
    /// Whether it will be refused for as long as the finding says the same.
    pub permanent: bool,
    /// What was refused.
    pub hash: ContentHash,
    /// The code of the error.
    pub code: Arc<str>,
    /// What Security Hub said.
    pub message: Arc<str>,
}

/// What we know of one finding in Security Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// What it is called.
    pub id: FindingId,
    /// Where it is.
    pub target: Target,
    /// What it is about.
    pub object: Object,
    /// Which rule or family.
    pub scope: Scope,
    /// The rules that it names.
    pub parts: Vec<Part>,
    /// What it says. It is needed whole when the problem is over: an import always sends everything, and by then the subject
    /// may be gone.
    pub content: Arc<Content>,
    /// The hash of that.
    pub hash: ContentHash,
    /// Whether the problem is there.
    pub state: State,
    /// Since when.
    pub first_observed: Timestamp,
    /// The last `UpdatedAt` that was sent. The next is later, whatever the clock says: others are ignored.
    pub updated_at: Timestamp,
    /// When Security Hub last took it. None: never yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported_at: Option<Timestamp>,
    /// Whether something was sent and its answer lost, so that nobody knows what Security Hub has.
    #[serde(default)]
    pub in_doubt: bool,
    /// When its workflow status was last set by us. Security Hub takes minutes to do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_at: Option<Timestamp>,
    /// What failed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Record {
    /// What is sent.
    #[must_use]
    pub fn finding(&self) -> Finding {
        let updated_at = to_millis(self.updated_at);
        let first = to_millis(self.first_observed).min(updated_at);
        let times =
            Times { first_observed_at: first, last_observed_at: updated_at, created_at: first, updated_at };
        Finding { content: Content::clone(&self.content), times }
    }

    /// The next `UpdatedAt`.
    pub(super) fn next_update(&self, now: Timestamp) -> Timestamp {
        next_update(self.updated_at, now)
    }

    /// When Security Hub last took it, as far as that can be said now: see [`past`].
    pub(super) fn taken(&self, now: Timestamp) -> Option<Timestamp> {
        self.imported_at.and_then(|at| past(at, now))
    }

    /// Whether Security Hub may have it.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        self.imported_at.is_some() || self.in_doubt
    }
}

impl Failure {
    /// Until when it is not tried again; none if it may be tried now. What is farther away than any distance between attempts was
    /// written by a clock that was ahead.
    pub(super) fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.retry_at).filter(|at| *at > now && *at <= later(now, LONGEST_WAIT))
    }
}

/// The longest distance between attempts.
pub(super) const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(6);
/// How far a clock is put back without anything being wrong: corrections of every day, far below this.
const SKEW: SignedDuration = SignedDuration::from_hours(1);

/// A time that was written down, as the clock of now has it. All times that are remembered are read through this. A clock that was
/// ahead and was set back leaves times that are yet to come, perhaps in years; they say nothing of when it was, so there is none,
/// and nothing may wait for them.
pub(super) fn past(at: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (at <= later(now, SKEW)).then(|| at.min(now))
}

/// The first `UpdatedAt` that is taken where there is one already: now, or just after it if the clock has gone back.
pub(super) fn next_update(last: Timestamp, now: Timestamp) -> Timestamp {
    to_millis(now).max(later(to_millis(last), SignedDuration::from_millis(1)))
}

/// So much later, or as late as can be said.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
