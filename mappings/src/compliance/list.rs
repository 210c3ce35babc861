//! A list of compliance items within the limits of `PutComplianceItems`.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Check, Kind, LARGEST_LIST, LONGEST_DETAIL, LONGEST_ID, LONGEST_KEY, LONGEST_TITLE, MOST_DETAILS,
    MOST_ITEMS, NotRead, Severity, Status,
};
use crate::inventory::text::{fit, json_size, list_within};
use crate::inventory::{ContentHash, Hasher};

/// The id of the item that says how many were left out.
pub(super) const LEFT_OUT: &str = "vmbridge-left-out";
/// The id of the item that names the checks that could not be made.
pub(super) const NOT_READ: &str = "not-read";
/// Room for the item that says how many were left out, in bytes.
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
    /// The checks that could not be made; one more item names them.
    pub not_read: Vec<NotRead>,
    /// The hash of kind and items, without any time.
    pub content_hash: ContentHash,
}

impl List {
    /// The list of these checks, in whatever order they come.
    #[must_use]
    pub fn new(kind: Kind, checks: impl IntoIterator<Item = Check>) -> Self {
        Self::with_not_read(kind, checks, [])
    }

    /// The list of these checks, and of those that could not be made, in whatever order they come.
    #[must_use]
    pub fn with_not_read(
        kind: Kind,
        checks: impl IntoIterator<Item = Check>,
        not_read: impl IntoIterator<Item = NotRead>,
    ) -> Self {
        let not_read: BTreeSet<NotRead> = not_read.into_iter().collect();
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
        let named = Item::of_not_read(&not_read);
        let left_out = leave_out(&mut items, named.as_ref());
        items.extend(named);
        let content_hash = hash(kind, &items);
        Self { kind, items, left_out, not_read: not_read.into_iter().collect(), content_hash }
    }

    /// What is said of the call that puts it.
    #[must_use]
    pub fn execution(&self, time: Timestamp) -> ExecutionSummary {
        ExecutionSummary { time, id: Self::run_of(self.content_hash.as_str()), kind: "vmbridge" }
    }

    /// The run of a list with this hash, by which it is found in AWS.
    #[must_use]
    pub fn run_of(hash: &str) -> String {
        format!("vmbridge-{}", hash.get(..ID_HASH).unwrap_or(hash))
    }

    /// Its size as [`LARGEST_LIST`] counts it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.items.iter().map(Item::size).sum()
    }
}

/// Keeps the worst that fit beside one more, and adds an item that says how many did not.
fn leave_out(items: &mut Vec<Item>, besides: Option<&Item>) -> usize {
    let (most, largest) = besides.map_or((MOST_ITEMS, LARGEST_LIST), |item| {
        (MOST_ITEMS - 1, LARGEST_LIST.saturating_sub(item.size()))
    });
    let size: usize = items.iter().map(Item::size).sum();
    if size <= largest && items.len() <= most {
        return 0;
    }
    let mut room = largest.saturating_sub(ROOM_FOR_LEFT_OUT);
    let fit = items.iter().take(most - 1).take_while(|item| {
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

    /// The item that names the checks that could not be made. It is well in itself: of these checks nothing is known.
    fn of_not_read(not_read: &BTreeSet<NotRead>) -> Option<Self> {
        let count = not_read.len();
        let reasons: BTreeSet<&str> = not_read.iter().map(|one| one.why.as_str()).collect();
        let title = match count {
            0 => return None,
            1 => "1 check could not be made".to_owned(),
            more => format!("{more} checks could not be made"),
        };
        Some(Self {
            id: NOT_READ.to_owned(),
            title,
            severity: Severity::Informational,
            status: Status::Compliant,
            details: BTreeMap::from([
                ("Count".to_owned(), count.to_string()),
                ("Ids".to_owned(), list_within(not_read.iter().map(|one| &one.id), LONGEST_DETAIL)),
                ("Why".to_owned(), list_within(reasons, LONGEST_DETAIL)),
            ]),
        })
    }

    /// The order of a list: what failed before what did not, the worst first; then by id and content, so that it is always the same.
    fn worse_first(&self) -> impl Ord + '_ {
        (self.status, self.severity, &self.id, Reverse(&self.title), &self.details)
    }

    /// Whether it is no check, but the item that names those that could not be made.
    #[must_use]
    pub fn is_not_read(&self) -> bool {
        self.id == NOT_READ
    }

    fn size(&self) -> usize {
        let details = self.details.iter().map(|(key, value)| json_size(key) + json_size(value) + 2);
        AROUND + json_size(&self.id) + json_size(&self.title) + details.sum::<usize>()
    }
}

/// An id that was cut keeps a hash of the whole, so that two never become one.
fn fit_id(id: &str) -> String {
    let fitted = fit(id, LONGEST_ID);
    // The ids of items that we add are not for others.
    if !id.is_empty() && id != LEFT_OUT && id != NOT_READ && fitted == fit(id, 2 * LONGEST_ID) {
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
