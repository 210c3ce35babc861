//! Items: the rows of one type for one node, within every limit.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::columns::{self, Column};
use super::facts::{HostFacts, VmFacts};
use super::hash::{ContentHash, Hasher};
use super::text::{json_size, time};
use super::{HOST_TYPE, LARGEST_ITEM, MOST_ROWS, SCHEMA_VERSION, VM_TYPE};

/// A row: values by the names of their columns.
pub type Row = BTreeMap<String, String>;

/// Room for what says how much was left out, in bytes.
const ROOM_FOR_LEFT_OUT: usize = 256;

/// What is put for one node and one type (`InventoryItem`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The type, such as [`VM_TYPE`].
    pub type_name: &'static str,
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
    fn new(type_name: &'static str, content: Vec<Row>, captured: Timestamp) -> Self {
        let content_hash = hash(type_name, &content);
        Self { type_name, schema_version: SCHEMA_VERSION, captured, content_hash, content }
    }

    /// An item without rows: what the node has of the type goes, and the type stays for all others.
    #[must_use]
    pub fn cleared(type_name: &'static str, captured: Timestamp) -> Self {
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

/// The rows of a VM: one of its own, and one for each disk, adapter and snapshot, in this order. What does not fit is counted in the
/// first one.
#[must_use]
pub fn vm_item(vm: &VmFacts<'_>, captured: Timestamp) -> Item {
    let common = filled(columns::COMMON, vm);
    let row = |row_type: &str, own: Row| {
        let mut row = common.clone();
        row.insert(columns::ROW_TYPE.to_owned(), row_type.to_owned());
        row.extend(own);
        row
    };
    let mut parts = Vec::new();
    // By what vSphere orders them itself; equal ones by their values, so that the order of the facts never shows.
    let mut part = |row_type: &'static str, mut rows: Vec<(_, Row)>| {
        rows.sort_unstable();
        parts.extend(rows.into_iter().map(|(_, own)| (row_type, own)));
    };
    part(
        columns::DISK_ROW,
        vm.disks.iter().map(|disk| ((None, disk.key), filled(columns::DISK, disk))).collect(),
    );
    part(
        columns::ADAPTER_ROW,
        vm.adapters.iter().map(|adapter| ((None, adapter.key), filled(columns::ADAPTER, adapter))).collect(),
    );
    let age = |snapshot: &super::SnapshotFacts<'_>| (snapshot.created, snapshot.number);
    part(
        columns::SNAPSHOT_ROW,
        vm.snapshots.iter().map(|snapshot| (age(snapshot), filled(columns::SNAPSHOT, snapshot))).collect(),
    );

    let mut content = vec![row(columns::VM_ROW, filled(columns::VM, vm))];
    let mut size = size_of(&content[0]) + ROOM_FOR_LEFT_OUT;
    let mut left_out = BTreeMap::<&str, usize>::new();
    for (row_type, own) in parts {
        let row = row(row_type, own);
        let more = size_of(&row);
        if size + more > LARGEST_ITEM || content.len() == MOST_ROWS {
            *left_out.entry(row_type).or_default() += 1;
        } else {
            size += more;
            content.push(row);
        }
    }
    if !left_out.is_empty() {
        let told = left_out.iter().map(|(row_type, count)| format!("{count} {row_type}"));
        content[0].insert(columns::LEFT_OUT.to_owned(), told.collect::<Vec<_>>().join(super::text::BETWEEN));
    }
    Item::new(VM_TYPE, content, captured)
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
