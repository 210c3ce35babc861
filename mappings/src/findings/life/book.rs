//! All that is remembered of findings, and how it is corrected by what Security Hub shows.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::adopt::Adopted;
use super::record::{Record, State, later, past};
use crate::findings::ids::{FindingId, Owner, VcenterId};
use crate::findings::problem::Target;

/// All that is remembered.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The findings that are ours.
    pub records: BTreeMap<FindingId, Record>,
    /// What else is there under names of ours.
    pub others: Others,
}

/// Findings under names of ours that are not ours, or of no use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Those of other installations.
    pub foreign: BTreeMap<FindingId, Stranger>,
    /// Those that say they are ours and cannot be taken over.
    pub unusable: BTreeMap<FindingId, Unusable>,
}

/// A finding of another installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// Where it is.
    pub target: Target,
    /// The installation; none: it does not say.
    pub owner: Option<Owner>,
    /// The vCenter that it is about, if it says.
    pub vcenter: Option<VcenterId>,
    /// Whether it is active. One that is over is nobody's: whoever has the problem next tells it.
    pub is_open: bool,
    /// Its `UpdatedAt`.
    pub updated_at: Timestamp,
}

/// A finding that says that it is ours, and cannot be taken over. Where its name is needed it is written anew; else it stays as it
/// is until Security Hub forgets it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("finding {id} cannot be taken over: {why}; it stays as it is until Security Hub forgets it")]
pub struct Unusable {
    /// Which one.
    pub id: FindingId,
    /// Where it is.
    pub target: Target,
    /// Why.
    pub why: &'static str,
    /// Its `UpdatedAt`.
    pub updated_at: Timestamp,
}

impl Others {
    /// What was last shown of one account and Region takes the place of what was shown there before.
    pub fn replace(&mut self, target: &Target, shown: Self) {
        self.foreign.retain(|_, stranger| stranger.target != *target);
        self.unusable.retain(|_, unusable| unusable.target != *target);
        self.foreign.extend(shown.foreign);
        self.unusable.extend(shown.unusable);
    }

    /// Open findings of other installations, but for those that were taken over since.
    pub fn strangers<'o>(
        &'o self,
        records: &'o BTreeMap<FindingId, Record>,
    ) -> impl Iterator<Item = (&'o FindingId, &'o Stranger)> {
        self.foreign.iter().filter(|(id, one)| one.is_open && !records.contains_key(*id))
    }

    /// Findings that say they are ours, cannot be taken over, and were not written anew since.
    pub fn unusable<'o>(
        &'o self,
        records: &'o BTreeMap<FindingId, Record>,
    ) -> impl Iterator<Item = &'o Unusable> {
        let is_as_it_was =
            |one: &&Unusable| records.get(&one.id).is_none_or(|record| record.updated_at <= one.updated_at);
        self.unusable.values().filter(is_as_it_was)
    }

    /// The last `UpdatedAt` of what is there under a name that we may write.
    pub(super) fn last_update(&self, id: &FindingId) -> Option<Timestamp> {
        let foreign = self.foreign.get(id).map(|stranger| stranger.updated_at);
        foreign.max(self.unusable.get(id).map(|unusable| unusable.updated_at))
    }
}

/// How long Security Hub may take to show what it has taken.
const LAG: SignedDuration = SignedDuration::from_hours(1);
/// Two `UpdatedAt` that are closer than this are the same, should Security Hub keep fewer digits than are sent.
const PRECISION: SignedDuration = SignedDuration::from_secs(1);

impl Book {
    /// Corrects what is remembered of one account and Region by what Security Hub shows there: after a start, since the store may
    /// be lost or be an older copy, and now and then, since somebody may have switched Security Hub off and on. All of the
    /// findings have to have been read, and the reading to have begun at `read`; now it is `now`.
    pub fn reconcile(&mut self, adopted: Adopted, target: &Target, read: Timestamp, now: Timestamp) {
        let Adopted { records, others } = adopted;
        self.records.retain(|id, record| {
            if record.target != *target || records.contains_key(id) {
                return true;
            }
            if let Some(stranger) = others.foreign.get(id) {
                // Theirs is newer, or ours never came.
                return record.may_exist() && record.updated_at > stranger.updated_at;
            }
            // What was taken at a time that nobody knows was taken long ago.
            let long_ago = |at: Timestamp| past(at, now).is_none_or(|at| later(at, LAG) < read);
            let shown = others.unusable.contains_key(id);
            shown || record.in_doubt || !record.imported_at.is_some_and(long_ago)
        });
        for (id, unusable) in &others.unusable {
            // Somebody has written over it. It is sent again, and has to be newer.
            if let Some(known) =
                self.records.get_mut(id).filter(|known| known.updated_at < unusable.updated_at)
            {
                known.updated_at = unusable.updated_at;
                known.in_doubt = true;
            }
        }
        self.others.replace(target, others);
        for (id, mut record) in records {
            match self.records.get_mut(&id) {
                Some(known) if known.is_as_shown(&record) => known.confirm(&record, read),
                // It has not come to light yet.
                Some(known)
                    if known.updated_at > record.updated_at && !known.never_came(&record, read, now) => {}
                _ => {
                    // An archived one is forgotten 30 days after its last update, and it is there still.
                    if record.state != State::Open {
                        record.imported_at = Some(read);
                    }
                    self.records.insert(id, record);
                }
            }
        }
        let Self { records, others } = self;
        others.foreign.retain(|id, _| !records.contains_key(id));
    }
}

impl Record {
    /// Whether what is shown is what was sent last, by the hash that it carries. Its fields need not be the same letter for letter:
    /// were Security Hub to write one of them in another way, everything would be sent again after every reading.
    fn is_as_shown(&self, shown: &Self) -> bool {
        self.says_what(shown)
            && shown.updated_at >= self.updated_at
            && shown.updated_at.duration_since(self.updated_at) < PRECISION
    }

    fn says_what(&self, shown: &Self) -> bool {
        shown.content.seal() == Some(self.hash.as_str())
            && (shown.state == State::Open) == (self.state == State::Open)
    }

    /// Whether something else is shown, although the last attempt is so long ago that it would be shown. What is shown is what is
    /// there then; the end of anything else may be refused for what it says.
    fn never_came(&self, shown: &Self, read: Timestamp, now: Timestamp) -> bool {
        !self.says_what(shown) && past(self.updated_at, now).is_none_or(|at| later(at, LAG) < read)
    }

    /// Security Hub has it.
    fn confirm(&mut self, shown: &Self, read: Timestamp) {
        self.updated_at = self.updated_at.max(shown.updated_at);
        if self.in_doubt {
            self.in_doubt = false;
            self.imported_at = Some(shown.updated_at.min(read));
            self.failure = self.failure.take().filter(|failure| failure.permanent);
        }
    }
}
