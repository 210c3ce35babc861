//! What Systems Manager shows of what it was told of nodes: so that what somebody deleted there, or wrote over, is noticed.
//!
//! It is kept short, since there may be seven types for each of tens of thousands of nodes: of a hash only enough to tell it from
//! others.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use foldhash::HashMap;
use jiff::Timestamp;
use mappings::inventory::Listed;

use super::hub::Known;
use crate::aws::NodeId;

/// What is shown of one type for one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    mark: Option<u64>,
    /// When it was captured, or found, as who put it says.
    pub at: Option<Timestamp>,
    /// Whether it has no rows or items.
    pub is_empty: bool,
}

impl Shown {
    /// From the hash of inventory or the run of compliance, where one is shown.
    #[must_use]
    pub fn new(mark: Option<&str>, at: Option<Timestamp>, is_empty: bool) -> Self {
        Self { mark: mark.map(short), at, is_empty }
    }

    /// The same, compared with the hash or run that was put.
    #[must_use]
    pub fn against(&self, put: &str) -> Listed {
        Listed { is_same: self.mark.map(|mark| mark == short(put)), at: self.at, is_empty: self.is_empty }
    }
}

fn short(text: &str) -> u64 {
    // Its keys are fixed, so that the same text is the same number for as long as the program runs.
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What is shown of one type. Nodes that have nothing of it are not in it.
pub type OfNodes = HashMap<NodeId, Shown>;

/// What is shown of one target, by the name of the type. Each type is read by itself, so that one that cannot be read says nothing
/// about the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToldView {
    /// The types that are read.
    pub types: BTreeMap<&'static str, Known<OfNodes>>,
}
