//! A person wants all findings closed that are open: before the capability is turned off, or after it was.

use mappings::findings::life::{self, Book, Record, State, WorkflowDue};

use super::reach::Reach;
use super::steps::Steps;
use super::{busy, send};
use crate::cloud::Cloud;
use crate::plan::Plan;
use crate::plan::snapshots::Scene;
use crate::store::FindingChange;

/// Plans their end, wherever some target reaches them.
pub(super) fn plan(scene: &Scene<'_, '_>, cloud: &Cloud, plan: &mut Plan) {
    let (book, busy) = (&scene.memory.findings, busy(scene.memory));
    let reach = Reach::of(scene.policy, cloud);
    let mut steps = Steps::of(plan);
    let (mut changes, mut waits) = (Vec::new(), None);
    let within_reach =
        book.records.values().filter(|record| reach.has(&record.target) && !busy.contains(&record.id));
    for record in within_reach {
        if record.state == State::Open && !record.may_exist() {
            // Security Hub never had it.
            steps.put(book, FindingChange { id: record.id.clone(), record: None });
        } else if let Some(change) = life::withdraw(record, scene.now) {
            changes.push(change);
        } else if let Some(failure) = record.failure.as_ref().filter(|failure| !failure.permanent) {
            waits = [waits, Some(failure.retry_at)].into_iter().flatten().min();
        }
    }
    changes.truncate(scene.policy.report.findings.most_per_cycle);
    let first = plan.actions.len();
    send(scene, book, &changes, &mut steps, plan);
    // It is asked for, whatever the capability may do by itself.
    plan.actions[first..].iter_mut().for_each(|planned| planned.asked = true);
    steps.into(plan);
    plan.next = [plan.next, waits].into_iter().flatten().min();
}

/// What is left of it: findings in accounts that some target has, which are open or whose workflow status is due; and open ones in
/// other accounts.
pub(crate) fn left(book: &Book, reach: &Reach) -> (usize, usize) {
    let is_due = |record: &Record| match record.state {
        State::Open => true,
        State::Resolved { workflow, .. } => workflow == WorkflowDue::Look,
    };
    let within = book.records.values().filter(|record| reach.has(&record.target) && is_due(record));
    (within.count(), book.records.values().filter(|record| reach.lacks(record)).count())
}
