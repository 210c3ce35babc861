//! From changes to calls, filled to the limits of Security Hub.

use super::plan::{Change, ChangeKind};
use crate::findings::problem::Target;

/// Findings in one call, of either kind.
pub(crate) const MOST: usize = 100;
/// Bytes of one finding: 240 KB, taken as the smaller of what that can mean.
pub(crate) const LARGEST: usize = 240_000;
/// Bytes of one call: 6 MB, likewise, with room for what is around the findings.
pub(crate) const LARGEST_CALL: usize = 5_990_000;

/// Which call it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `BatchImportFindings`.
    Import,
    /// `GetFindings`, and `BatchUpdateFindings` for those that are to be closed.
    Close,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<'a> {
    /// Where.
    pub target: &'a Target,
    /// What.
    pub call: Call,
    /// Which changes.
    pub changes: Vec<&'a Change>,
}

/// The calls, and what fits in none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batches<'a> {
    /// In the order of the changes: the first of each place and kind decides.
    pub batches: Vec<Batch<'a>>,
    /// Findings larger than 240 KB. They are to be settled as refused, and told.
    pub too_large: Vec<&'a Change>,
}

/// As few calls as possible.
#[must_use]
pub fn batches(changes: &[Change]) -> Batches<'_> {
    let mut out = Batches::default();
    // The batches that are still open: place in the list, and bytes so far.
    let mut open: Vec<(usize, usize)> = Vec::new();
    for change in changes {
        let call = if change.kind == ChangeKind::Close { Call::Close } else { Call::Import };
        let size = change.finding().map_or(0, |finding| finding.json().len() + 1);
        if size > LARGEST {
            out.too_large.push(change);
            continue;
        }
        let place = open.iter().position(|(at, _)| {
            let batch = &out.batches[*at];
            (batch.target, batch.call) == (&change.record.target, call)
        });
        if let Some(place) = place {
            let (at, bytes) = &mut open[place];
            if out.batches[*at].changes.len() < MOST && *bytes + size <= LARGEST_CALL {
                out.batches[*at].changes.push(change);
                *bytes += size;
                continue;
            }
            open.swap_remove(place);
        }
        open.push((out.batches.len(), size));
        out.batches.push(Batch { target: &change.record.target, call, changes: vec![change] });
    }
    out
}
