//! A finding ends although its problem may be there: a person wants none of them any more.

use std::sync::Arc;

use jiff::Timestamp;

use super::plan::{Change, ChangeKind};
use super::record::{Record, State, WorkflowDue};
use crate::findings::build::Resolution;

/// What ends a finding, step by step: first the finding itself, then its workflow status. Nothing: it is over, Security Hub never
/// had it, it refused the same already, or it is not time to try it again.
#[must_use]
pub fn withdraw(record: &Record, now: Timestamp) -> Option<Change> {
    let mut next = record.clone();
    let kind = match record.state {
        State::Open if record.may_exist() => {
            let (content, hash) = record.content.resolved(Resolution::Withdrawn);
            (next.content, next.hash) = (Arc::new(content), hash);
            next.state = State::Resolved { since: now, workflow: WorkflowDue::Look };
            next.updated_at = record.next_update(now);
            ChangeKind::Resolve(Resolution::Withdrawn)
        }
        State::Resolved { since, workflow: WorkflowDue::Look } => {
            next.state = State::Resolved { since, workflow: WorkflowDue::Done };
            ChangeKind::Close
        }
        State::Open | State::Resolved { .. } => return None,
    };
    let in_vain = record.failure.as_ref().is_some_and(|failure| {
        (failure.permanent && failure.hash == next.hash) || (!failure.permanent && failure.retry_at > now)
    });
    (!in_vain).then(|| Change { kind, record: next, before: Some(Arc::new(record.clone())) })
}
