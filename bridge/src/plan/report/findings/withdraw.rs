//! A person wants all findings closed that are open: before the capability is turned off, or after it was.

use mappings::findings::life::{self, Book, Record, State, WorkflowDue};

use super::reach::Reach;
use super::steps::Steps;
use super::{busy, life_policy, send};
use crate::cloud::Cloud;
use crate::plan::Plan;
use crate::plan::snapshots::Scene;
use crate::store::FindingChange;

/// Plans their end, wherever some target reaches them.
pub(super) fn plan(scene: &Scene<'_, '_>, cloud: &Cloud, plan: &mut Plan) {
    let (book, busy) = (&scene.memory.findings, busy(scene.memory));
    let reach = Reach::of(scene.policy, cloud);
    let settings = &scene.policy.report.findings;
    let within_reach =
        book.records.values().filter(|record| reach.has(&record.target) && !busy.contains(&record.id));
    let owner = (&*scene.memory.installation).into();
    let mut life = life::withdraw(within_reach, &owner, &life_policy(settings), scene.now);
    life.changes.truncate(settings.most_per_cycle);
    let mut steps = Steps::of(plan);
    for id in life.forget {
        steps.put(book, FindingChange { id, record: None });
    }
    let first = plan.actions.len();
    send(scene, book, &life.changes, &mut steps, plan);
    // It is asked for, whatever the capability may do by itself.
    plan.actions[first..].iter_mut().for_each(|planned| planned.asked = true);
    steps.into(plan);
    plan.next = [plan.next, life.next].into_iter().flatten().min();
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
