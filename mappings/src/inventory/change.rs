//! When something is put again.
//!
//! An idle fleet costs no calls: what AWS has is left alone as long as its hash is the same. There are two exceptions. What has just
//! been put is not put again at once, because a VM that restarts changes several times within minutes. And Systems Manager deletes
//! inventory that nobody confirmed for 30 days, so that an unchanged item is confirmed in time, by its hash alone.

use jiff::{SignedDuration, Timestamp};

use super::ContentHash;

/// What AWS was told last. Nothing is known where nothing was put, or where AWS is seen to have it no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The hash of it.
    pub hash: ContentHash,
    /// When.
    pub at: Timestamp,
}

/// How often is often enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refresh {
    /// A change is not told sooner after the last one.
    pub settle: SignedDuration,
    /// What did not change is confirmed within this time; never, if there is none. The calls for a fleet that was put at once are spread
    /// over the last quarter of it.
    pub confirm_after: Option<SignedDuration>,
}

impl Refresh {
    /// For inventory, of which Systems Manager keeps what is at most 30 days old.
    pub const INVENTORY: Self = Self {
        settle: SignedDuration::from_mins(5),
        confirm_after: Some(SignedDuration::from_hours(24 * 20)),
    };
    /// For compliance: whenever the content is another, and never else.
    pub const COMPLIANCE: Self = Self { settle: SignedDuration::from_mins(5), confirm_after: None };
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Nothing: AWS has it.
    Nothing,
    /// Nothing before this time: the last put was only just.
    NotBefore(Timestamp),
    /// Put all of it.
    Whole,
    /// Confirm it: the same item without its content, and with the hash that AWS has. If AWS answers
    /// `ItemContentMismatchException` it has something else, and all of it is put.
    HashOnly,
}

/// Whether something with this hash is to be put.
#[must_use]
pub fn needs_put(hash: &ContentHash, stored: Option<&Stored>, now: Timestamp, refresh: &Refresh) -> Put {
    let Some(stored) = stored else { return Put::Whole };
    // A clock that was put back: nothing waits for a time that is only ahead because the old one was wrong.
    let age = now.duration_since(stored.at).max(SignedDuration::ZERO);
    let ahead = stored.at > now;
    if *hash != stored.hash {
        return match stored.at.checked_add(refresh.settle) {
            Ok(until) if !ahead && age < refresh.settle => Put::NotBefore(until),
            _ => Put::Whole,
        };
    }
    match refresh.confirm_after {
        Some(after) if age >= spread(after, hash) => Put::HashOnly,
        _ => Put::Nothing,
    }
}

/// Three quarters of the time and a share of the last one.
fn spread(after: SignedDuration, hash: &ContentHash) -> SignedDuration {
    let quarter = after / 4;
    after - quarter + quarter / 255 * i32::from(hash.spread())
}
