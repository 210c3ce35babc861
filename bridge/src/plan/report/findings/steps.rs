//! What a plan writes down of findings without sending any, each once.

use std::collections::HashMap;

use mappings::findings::FindingId;
use mappings::findings::life::Book;

use super::told::FindingStep;
use crate::plan::Plan;
use crate::store::FindingChange;

/// The steps of a plan, by finding: a fleet whose folding was changed has tens of thousands.
#[derive(Debug)]
pub(super) struct Steps {
    all: Vec<FindingStep>,
    by_id: HashMap<FindingId, usize>,
}

impl Steps {
    /// Those that the plan has.
    pub(super) fn of(plan: &mut Plan) -> Self {
        let all = std::mem::take(&mut plan.finding_steps);
        let by_id = all.iter().enumerate().map(|(at, step)| (step.change.id.clone(), at)).collect();
        Self { all, by_id }
    }

    /// One more. What was just taken over from Security Hub is written down once, as what it becomes.
    pub(super) fn put(&mut self, book: &Book, change: FindingChange) {
        if let Some(known) = self.by_id.get(&change.id).and_then(|at| self.all.get_mut(*at)) {
            known.change = change;
            return;
        }
        let before = book.records.get(&change.id).cloned();
        self.by_id.insert(change.id.clone(), self.all.len());
        self.all.push(FindingStep { before, change });
    }

    /// Gives them back to the plan.
    pub(super) fn into(self, plan: &mut Plan) {
        plan.finding_steps = self.all;
    }
}
