//! When something is put again.
//!
//! An idle fleet costs no calls: what AWS has is left alone as long as its hash is the same. There are two exceptions. What has just
//! been put is not put again at once, because a VM that restarts changes several times within minutes. And Systems Manager deletes
//! inventory that nobody confirmed for 30 days, so that an unchanged item is confirmed in time, by its hash alone.
//!
//! What AWS is seen to have lost, or to have something else in its place, is put again ([`is_lost`]).

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
    /// For compliance: whenever the content is another or is lost, and never else.
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

/// Nothing is judged sooner after it was put. Systems Manager may not show it yet; and where two programs write the same type, none
/// of them writes more than four times a day because of the other.
pub const LISTED_AFTER: SignedDuration = SignedDuration::from_hours(6);
/// Clocks may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// What a listing shows of something for a node, where it shows any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// Whether it is what was put, by its hash or run; nothing where none is shown.
    pub is_same: Option<bool>,
    /// When it was captured, as who put it says.
    pub at: Option<Timestamp>,
    /// Whether nothing is in it.
    pub is_empty: bool,
}

/// Whether AWS has lost what was put at a time, by a listing that began at another; or has something else in its place.
/// `was_empty`: what was put had nothing in it, so that it need not be shown.
#[must_use]
pub fn is_lost(
    put: Timestamp,
    was_empty: impl FnOnce() -> bool,
    listed: Option<&Listed>,
    read: Timestamp,
) -> bool {
    if read.duration_since(put) < LISTED_AFTER {
        return false;
    }
    match listed {
        Some(Listed { is_same: Some(true), .. }) => false,
        None | Some(Listed { is_empty: true, .. }) => !was_empty(),
        Some(Listed { is_same: Some(false), .. }) => true,
        // Somebody else put it without a hash, after us.
        Some(Listed { is_same: None, at, .. }) => at.is_some_and(|at| at.duration_since(put) > SKEW),
    }
}
