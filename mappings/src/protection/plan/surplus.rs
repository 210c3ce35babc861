//! Snapshots of earlier attempts that come to light after all, and those of which nothing is known.

use jiff::Timestamp;

use super::records::{is_claimed, known};
use super::{CLOCKS, Planner};
use crate::protection::record::add;
use crate::protection::subject::Seen;
use crate::protection::{Event, Record, RecordId, Say, Stage};

impl Planner<'_> {
    /// Takes what an earlier attempt left for what it is: ours, and not needed. All else that carries our mark is a copy of one,
    /// or from a memory that was lost, and stays as it is.
    pub(super) fn surplus(&mut self, at: usize) {
        let subject = &self.subjects[at];
        for found in known(subject) {
            if is_claimed(subject, found) {
                continue;
            }
            let of = |owner: &&&Record| owner.id == found.record || owner.former.contains(&found.record);
            let owner = subject.records.iter().find(of);
            // One that still waits for its snapshot takes it.
            if owner.is_some_and(|owner| owner.stage.is_active() && owner.snapshot.is_none()) {
                continue;
            }
            // What was there before the attempt is none of it, whatever its description says.
            let is_attempt = |owner: &&&Record| {
                owner.awaits(&found.record)
                    && found.created >= add(owner.began, -CLOCKS)
                    && !subject.records.iter().any(|other| {
                        other.key() != owner.key() && other.id == found.record && other.snapshot.is_some()
                    })
            };
            let Some(owner) = owner.filter(is_attempt) else {
                self.say(at, Say::Orphan { snapshot: found.snapshot.clone() });
                continue;
            };
            // What is being done now ends with a record as it was when that was begun.
            if self.is_taken[at] || subject.under_way.is_some() {
                continue;
            }
            let key = self.maker.id(at, owner, number_of(owner, found));
            self.step(at, late(owner, key, found, self.now));
            let mut told = (*owner).clone();
            told.surfaced.push(found.record.clone());
            self.step(at, told);
        }
    }
}

/// A number that no attempt has: attempts are counted from 0.
fn number_of(owner: &Record, found: &Seen) -> u32 {
    let attempts = owner.former.iter().chain([&owner.id]);
    let place = attempts.take_while(|id| **id != found.record).count();
    u32::MAX - u32::try_from(place).unwrap_or(u32::MAX)
}

/// The record of a snapshot that came too late. It is kept by an id of its own, since that of its attempt is the owner's.
fn late(owner: &Record, key: RecordId, found: &Seen, now: Timestamp) -> Record {
    let late = Record {
        id: found.record.clone(),
        former: vec![key.clone()],
        surfaced: vec![key],
        stage: Stage::Kept,
        since: now,
        snapshot: Some(found.snapshot.clone()),
        created: Some(found.created),
        took: None,
        failures: 0,
        retry_at: None,
        trouble: None,
        judgement: None,
        judged: None,
        ..owner.clone()
    };
    late.after(Event::Due, now)
}
