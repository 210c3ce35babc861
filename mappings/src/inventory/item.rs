//! Items: the rows of one type for one node, within every limit.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::columns::{self, Column};
use super::facts::{HostFacts, VmFacts};
use super::hash::{ContentHash, Hasher};
use super::text::{BETWEEN, json_size, time};
use super::{
    ADAPTER_TYPE, DISK_TYPE, HOST_TYPE, LARGEST_ITEM, MOST_ROWS, SCHEMA_VERSION, SNAPSHOT_TYPE, VM_TYPE,
};

/// A row: values by the names of their columns.
pub type Row = BTreeMap<String, String>;

/// What is put for one node and one type (`InventoryItem`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The type, such as [`VM_TYPE`].
    pub type_name: Cow<'static, str>,
    /// The version of its columns.
    pub schema_version: &'static str,
    /// When the facts were read. It is not part of the hash.
    pub captured: Timestamp,
    /// The hash of everything else.
    pub content_hash: ContentHash,
    /// The rows.
    pub content: Vec<Row>,
}

impl Item {
    fn new(type_name: impl Into<Cow<'static, str>>, content: Vec<Row>, captured: Timestamp) -> Self {
        let type_name = type_name.into();
        let content_hash = hash(&type_name, &content);
        Self { type_name, schema_version: SCHEMA_VERSION, captured, content_hash, content }
    }

    /// An item without rows: what the node has of the type goes, and the type stays for all others. The type may be one that this
    /// version knows no more.
    #[must_use]
    pub fn cleared(type_name: impl Into<Cow<'static, str>>, captured: Timestamp) -> Self {
        Self::new(type_name, Vec::new(), captured)
    }

    /// The time in the only form that `PutInventory` takes. It has two digits for the year within this century, so that the service
    /// refuses what an appliance says whose clock was never set.
    #[must_use]
    pub fn capture_time(&self) -> String {
        time(Some(self.captured))
    }

    /// Its size as [`LARGEST_ITEM`] counts it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.iter().map(size_of).sum()
    }
}

/// What is told of a VM: its own row, and the rows of its disks, adapters and snapshots. Always these four types in this order; one
/// without rows is the same as [`Item::cleared`]. How many rows did not fit is said in the VM's own.
#[must_use]
pub fn vm_items(vm: &VmFacts<'_>, captured: Timestamp) -> Vec<Item> {
    let common = filled(columns::COMMON, vm);
    // By what vSphere orders them itself; equal ones by their values, so that the order of the facts never shows.
    let disks = vm.disks.iter().map(|disk| (disk.key, filled(columns::DISK, disk)));
    let disks = Part::new(&common, disks);
    let adapters = vm.adapters.iter().map(|adapter| (adapter.key, filled(columns::ADAPTER, adapter)));
    let adapters = Part::new(&common, adapters);
    let snapshots = vm
        .snapshots
        .iter()
        .map(|snapshot| ((snapshot.created, snapshot.number), filled(columns::SNAPSHOT, snapshot)));
    let snapshots = Part::new(&common, snapshots);

    let left_out = [("Disk", &disks), ("NetworkAdapter", &adapters), ("Snapshot", &snapshots)];
    let left_out: Vec<String> = left_out
        .iter()
        .filter(|(_, part)| part.left_out > 0)
        .map(|(word, part)| format!("{} {word}", part.left_out))
        .collect();
    let mut own = common;
    own.extend(filled(columns::VM, vm));
    own.insert(columns::LEFT_OUT.to_owned(), left_out.join(BETWEEN));
    vec![
        Item::new(VM_TYPE, vec![own], captured),
        Item::new(DISK_TYPE, disks.rows, captured),
        Item::new(ADAPTER_TYPE, adapters.rows, captured),
        Item::new(SNAPSHOT_TYPE, snapshots.rows, captured),
    ]
}

/// The rows of one type that fit into an item.
struct Part {
    rows: Vec<Row>,
    left_out: usize,
}

impl Part {
    /// From rows with what they are ordered by; each gets the columns of its VM.
    fn new<K: Ord>(common: &Row, rows: impl Iterator<Item = (K, Row)>) -> Self {
        let mut ordered: Vec<(K, Row)> = rows.collect();
        ordered.sort_unstable();
        let (mut rows, mut size, mut left_out) = (Vec::new(), 0, 0);
        for (_, own) in ordered {
            let mut row = common.clone();
            row.extend(own);
            let more = size_of(&row);
            if size + more > LARGEST_ITEM || rows.len() == MOST_ROWS {
                left_out += 1;
            } else {
                size += more;
                rows.push(row);
            }
        }
        Self { rows, left_out }
    }
}

/// The row of the host that a VM is on. Its states (connected, in maintenance) are not in it: one host that is lost for a minute
/// would else be a call for each of its VMs.
#[must_use]
pub fn host_item(host: &HostFacts<'_>, captured: Timestamp) -> Item {
    Item::new(HOST_TYPE, vec![filled(columns::HOST, host)], captured)
}

/// A column of rows about an `S`.
type Of<S> = Column<fn(&S) -> String>;

/// All columns of one subject.
fn filled<S>(columns: &[Of<S>], subject: &S) -> Row {
    columns.iter().map(|column| (column.name.to_owned(), (column.value)(subject))).collect()
}

/// How many bytes a row takes in the JSON of a list.
fn size_of(row: &Row) -> usize {
    let entries = row.iter().map(|(key, value)| json_size(key) + json_size(value) + 2);
    entries.sum::<usize>() + 3
}

fn hash(type_name: &str, content: &[Row]) -> ContentHash {
    let mut hasher = Hasher::new();
    hasher.text(type_name);
    hasher.text(SCHEMA_VERSION);
    hasher.count(content.len());
    for row in content {
        hasher.count(row.len());
        for (key, value) in row {
            hasher.text(key);
            hasher.text(value);
        }
    }
    hasher.finish()
}
