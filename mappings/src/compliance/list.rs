//! A list of compliance items within the limits of `PutComplianceItems`.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;

use super::{
    Check, Kind, LARGEST_LIST, LONGEST_DETAIL, LONGEST_ID, LONGEST_KEY, LONGEST_TITLE, MOST_DETAILS,
    MOST_ITEMS, Severity, Status,
};
use crate::inventory::text::{fit, json_size};
use crate::inventory::{ContentHash, Hasher};

/// The id of the item that says how many were left out.
pub(super) const LEFT_OUT: &str = "vmbridge-left-out";
/// Room for that item, in bytes.
const ROOM_FOR_LEFT_OUT: usize = 512;
/// What an item takes besides its texts, in bytes: its names, words and brackets.
const AROUND: usize = 160;
/// Digits of the hash at the end of an id that was cut.
const ID_HASH: usize = 16;

/// When, by what and in which run a list was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionSummary {
    /// When, to the second.
    pub time: Timestamp,
    /// Which run: the beginning of the content's hash, so that an item in AWS can be traced to what was said.
    pub id: String,
    /// By what.
    pub kind: &'static str,
}

/// An item as AWS has it (`ComplianceItemEntry`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id, unique in its list.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its severity.
    pub severity: Severity,
    /// Its status.
    pub status: Status,
    /// What was found.
    pub details: BTreeMap<String, String>,
}

/// All items of a type for one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The type.
    pub kind: Kind,
    /// The items, the worst first.
    pub items: Vec<Item>,
    /// How many checks are not among them.
    pub left_out: usize,
    /// The hash of kind and items, without any time.
    pub content_hash: ContentHash,
}

impl List {
    /// The list of these checks, in whatever order they come.
    #[must_use]
    pub fn new(kind: Kind, checks: impl IntoIterator<Item = Check>) -> Self {
        let mut by_id = BTreeMap::<String, Item>::new();
        for item in checks.into_iter().map(Item::new) {
            match by_id.entry(item.id.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(item);
                }
                Entry::Occupied(mut entry) => {
                    if item.worse_first() < entry.get().worse_first() {
                        entry.insert(item);
                    }
                }
            }
        }
        let mut items: Vec<Item> = by_id.into_values().collect();
        items.sort_by(|one, other| one.worse_first().cmp(&other.worse_first()));
        let left_out = leave_out(&mut items);
        let content_hash = hash(kind, &items);
        Self { kind, items, left_out, content_hash }
    }

    /// What is said of the call that puts it.
    #[must_use]
    pub fn execution(&self, time: Timestamp) -> ExecutionSummary {
        let id = format!("vmbridge-{}", &self.content_hash.as_str()[..ID_HASH]);
        ExecutionSummary { time, id, kind: "vmbridge" }
    }

    /// Its size as [`LARGEST_LIST`] counts it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.items.iter().map(Item::size).sum()
    }
}

/// Keeps the worst that fit, and adds an item that says how many did not.
fn leave_out(items: &mut Vec<Item>) -> usize {
    let size: usize = items.iter().map(Item::size).sum();
    if size <= LARGEST_LIST && items.len() <= MOST_ITEMS {
        return 0;
    }
    let mut room = LARGEST_LIST - ROOM_FOR_LEFT_OUT;
    let fit = items.iter().take(MOST_ITEMS - 1).take_while(|item| {
        let fits = item.size() <= room;
        room = room.saturating_sub(item.size());
        fits
    });
    let rest = items.split_off(fit.count());
    let of = |status| rest.iter().filter(|item| item.status == status).count();
    let failed = of(Status::NonCompliant);
    // What was left out is sorted: its first one is its worst.
    let (severity, status) =
        rest.first().map_or((Severity::Unspecified, Status::Compliant), |item| (item.severity, item.status));
    items.push(Item {
        id: LEFT_OUT.to_owned(),
        title: format!("{} more checks are not listed here; {failed} of them are not compliant", rest.len()),
        severity,
        status,
        details: BTreeMap::from([
            ("LeftOutCompliant".to_owned(), of(Status::Compliant).to_string()),
            ("LeftOutNonCompliant".to_owned(), failed.to_string()),
        ]),
    });
    rest.len()
}

impl Item {
    fn new(check: Check) -> Self {
        let mut details = BTreeMap::new();
        let mut sorted = check.details;
        sorted.sort_unstable();
        for (key, value) in sorted {
            if details.len() == MOST_DETAILS {
                break;
            }
            let key = if key.is_empty() { "Detail".to_owned() } else { fit(&key, LONGEST_KEY) };
            details.entry(key).or_insert_with(|| fit(&value, LONGEST_DETAIL));
        }
        Self {
            id: fit_id(&check.id),
            title: fit(&check.title, LONGEST_TITLE),
            severity: check.severity,
            status: check.status,
            details,
        }
    }

    /// The order of a list: what failed before what did not, the worst first; then by id and content, so that it is always the same.
    fn worse_first(&self) -> impl Ord + '_ {
        (self.status, self.severity, &self.id, Reverse(&self.title), &self.details)
    }

    fn size(&self) -> usize {
        let details = self.details.iter().map(|(key, value)| json_size(key) + json_size(value) + 2);
        AROUND + json_size(&self.id) + json_size(&self.title) + details.sum::<usize>()
    }
}

/// An id that was cut keeps a hash of the whole, so that two never become one.
fn fit_id(id: &str) -> String {
    let fitted = fit(id, LONGEST_ID);
    // The id of the item that we add is not for others.
    if !id.is_empty() && id != LEFT_OUT && fitted == fit(id, 2 * LONGEST_ID) {
        return fitted;
    }
    let mut hasher = Hasher::new();
    hasher.text(id);
    let hash = hasher.finish();
    let begin = fit(id, LONGEST_ID - ID_HASH - 1);
    format!("{begin}-{}", &hash.as_str()[..ID_HASH])
}

fn hash(kind: Kind, items: &[Item]) -> ContentHash {
    let mut hasher = Hasher::new();
    hasher.text(kind.as_str());
    hasher.count(items.len());
    for item in items {
        for text in [&item.id, &item.title, item.severity.as_str(), item.status.as_str()] {
            hasher.text(text);
        }
        hasher.count(item.details.len());
        for (key, value) in &item.details {
            hasher.text(key);
            hasher.text(value);
        }
    }
    hasher.finish()
}
