//! What is remembered of findings, compared with what Security Hub has: after a start, since the store may be lost or be an older
//! copy, and now and then.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;
use mappings::findings::life::{Book, adopt};
use mappings::findings::{FindingId, Target};

use super::Sink;
use super::told::{FindingStep, Reconciled};
use crate::memory::Memory;
use crate::plan::Plan;
use crate::store::FindingChange;

/// The book to plan with. What differs from the one that is remembered is to be written down. `busy`: findings that are being sent;
/// what comes of that is known better by whoever sends them.
pub(super) fn book<'m>(
    memory: &'m Memory,
    sinks: &[Option<Sink<'_>>],
    busy: &BTreeSet<FindingId>,
    now: Timestamp,
    plan: &mut Plan,
) -> Cow<'m, Book> {
    let mut book = Cow::Borrowed(&memory.findings);
    for sink in sinks.iter().flatten() {
        let ours = &sink.hub.ours;
        let (Some(listed), Some(read)) = (&ours.value, ours.as_of) else { continue };
        let of_place = |reconciled: &&Reconciled| reconciled.place == sink.place;
        let done = memory.reconciled.get(&sink.place).copied();
        let done = done.max(plan.reconciled.iter().find(of_place).map(|reconciled| reconciled.read));
        if done.is_some_and(|done| done >= read) {
            continue;
        }
        let adopted = adopt(listed, &sink.target, &memory.finding_owners());
        let others = adopted.others.clone();
        book.to_mut().reconcile(adopted, &sink.target, read, now);
        plan.reconciled.push(Reconciled {
            target: sink.name.clone(),
            place: sink.place.clone(),
            read,
            of: Target::clone(&sink.target),
            others,
        });
    }
    let Cow::Owned(new) = &mut book else { return book };
    let old = &memory.findings.records;
    for id in busy {
        match old.get(id) {
            Some(record) => drop(new.records.insert(id.clone(), record.clone())),
            None => drop(new.records.remove(id)),
        }
    }
    for (id, record) in &new.records {
        let before = old.get(id);
        if before != Some(record) {
            plan.finding_steps.push(FindingStep {
                before: before.cloned(),
                change: FindingChange { id: id.clone(), record: Some(record.clone()) },
            });
        }
    }
    for (id, record) in old.iter().filter(|(id, _)| !new.records.contains_key(*id)) {
        plan.finding_steps.push(FindingStep {
            before: Some(record.clone()),
            change: FindingChange { id: id.clone(), record: None },
        });
    }
    book
}
