//! Findings where no target sends any now: its Region was changed, or it was taken out of the configuration.
//!
//! Where an account has a target still, they are closed with the credentials of that one. Where none has, nothing can be done, and
//! a person has to know.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mappings::findings::life::{Book, Record, State};
use mappings::findings::{FindingId, Target};

use super::Sink;
use super::reach::{self, Reach};
use crate::aws::Place;

/// Security Hub forgets a finding so long after its last update.
const FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What is known of places where no target sends findings now.
pub(super) struct Former<'s> {
    /// Where findings go now.
    here: BTreeSet<&'s Target>,
    /// Accounts in which findings can be sent now, by partition and number.
    well: BTreeSet<(&'s str, &'s str)>,
    /// Whether it is known of all targets where their findings go.
    is_complete: bool,
    reach: Reach,
}

/// Findings that Security Hub has surely forgotten.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    pub ids: BTreeSet<FindingId>,
    /// When there are more.
    pub next: Option<Timestamp>,
}

impl<'s> Former<'s> {
    pub(super) fn of(sinks: &'s [Option<Sink<'_>>], reach: Reach) -> Self {
        let known = || sinks.iter().flatten();
        let well = known().filter(|sink| sink.hub.trouble().is_none());
        Self {
            here: known().map(|sink| &*sink.target).collect(),
            well: well.map(|sink| (&*sink.target.partition, sink.target.account.as_str())).collect(),
            is_complete: sinks.iter().all(Option::is_some),
            reach,
        }
    }

    fn is_former(&self, target: &Target) -> bool {
        self.is_complete && !self.here.contains(target)
    }

    /// Whether findings went there before and can be closed. Not while those that take their place cannot be sent.
    pub(super) fn is_within_reach(&self, target: &Target) -> bool {
        self.is_former(target) && self.well.contains(&(&*target.partition, target.account.as_str()))
    }

    /// Open findings that no target reaches, by account and Region.
    pub(super) fn out_of_reach(&self, book: &Book) -> BTreeMap<Place, usize> {
        let mut counts = BTreeMap::new();
        for record in book.records.values().filter(|record| self.reach.lacks(record)) {
            *counts.entry(reach::place(&record.target)).or_default() += 1;
        }
        counts
    }

    /// What a person should know of findings that are open there.
    pub(super) fn warning(&self, target: &Target) -> Option<String> {
        if !self.is_former(target) {
            return None;
        }
        Some(if self.reach.has(target) {
            "no target sends findings here any more: those that are open are closed".to_owned()
        } else {
            format!(
                "no target sends findings here any more, and those that are open stay: {}",
                reach::way_out(target)
            )
        })
    }

    /// Open findings there that were not sent for so long that Security Hub has none of them any more.
    pub(super) fn forgotten(&self, book: &Book, now: Timestamp) -> Forgotten {
        let mut out = Forgotten::default();
        let open = |record: &&Record| record.state == State::Open && self.is_former(&record.target);
        for record in book.records.values().filter(open) {
            // What was tried in vain since does not count.
            let last = record.imported_at.unwrap_or(record.first_observed);
            let over = last.checked_add(FORGOTTEN_AFTER).unwrap_or(Timestamp::MAX);
            if over <= now {
                out.ids.insert(record.id.clone());
            } else {
                out.next = Some(out.next.map_or(over, |next| next.min(over)));
            }
        }
        out
    }
}
