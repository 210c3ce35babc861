//! What Systems Manager's Inventory is told of a VM and of its host: five custom types, in rows of text.
//!
//! Disks, network adapters and snapshots have types of their own, because all rows of a type together may have no more than
//! [`MOST_COLUMNS`] columns.
//!
//! A row is flat, because it ends as a row of a table that people ask in SQL. The columns are a promise (`docs/ssm-inventory.md`):
//! they are only ever added, every row has all columns of its type, numbers are plain digits, times are
//! `YYYY-MM-DDTHH:MM:SSZ` in UTC, and an empty value is what vCenter gives none for or the account may not read.
//!
//! What changes all the time is not in them (free space, the time of the last boot, notes in which backup products leave their
//! last run): an [`Item`] is put again whenever its [`ContentHash`] is another, so that whoever adds such a column makes an idle
//! fleet write. The order in which vCenter lists things does not matter to it either.
//!
//! Every name comes from people or guests and may be anything. What cannot be seen is written as `\u{…}`, what is too long is
//! cut and says so, and the limits of `PutInventory` hold whatever comes.

mod change;
mod columns;
mod facts;
mod hash;
mod item;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_docs;
pub(crate) mod text;

pub use change::{LISTED_AFTER, Listed, Put, Refresh, Stored, is_lost, needs_put};
pub use columns::{ColumnDoc, columns};
pub use facts::{Adapter, Disk, HostFacts, SnapshotFacts, Tag, VmFacts};
pub(crate) use hash::Hasher;
pub use hash::{ContentHash, HashError};
pub use item::{Item, Row, host_item, vm_items};

/// The type of a VM's own row.
pub const VM_TYPE: &str = "Custom:VSphereVirtualMachine";
/// The type of the rows of a VM's disks.
pub const DISK_TYPE: &str = "Custom:VSphereDisk";
/// The type of the rows of a VM's network adapters.
pub const ADAPTER_TYPE: &str = "Custom:VSphereNetworkAdapter";
/// The type of the rows of a VM's snapshots.
pub const SNAPSHOT_TYPE: &str = "Custom:VSphereSnapshot";
/// The type of the row of the host that a VM is on.
pub const HOST_TYPE: &str = "Custom:VSphereHost";
/// All types of ours. An account may have 20 custom types in a Region (`PutInventory`, `CustomSchemaCountLimitExceededException`).
pub const TYPES: [&str; 5] = [VM_TYPE, DISK_TYPE, ADAPTER_TYPE, SNAPSHOT_TYPE, HOST_TYPE];
/// The version of the columns of all types; the second number grows when columns are added.
pub const SCHEMA_VERSION: &str = "1.0";

/// The longest value, in bytes. `PutInventory` allows 4,096 characters, and does not say of which encoding.
pub const LONGEST_VALUE: usize = 4096;
/// The most columns in a row (`InventoryItemEntry`), and in all rows of a type together (`InventoryItemAttributeList`).
pub const MOST_COLUMNS: usize = 50;
/// The longest name of a column (`AttributeName`).
pub const LONGEST_COLUMN: usize = 64;
/// The most rows of an item (`InventoryItemEntryList`).
pub const MOST_ROWS: usize = 10_000;
/// The largest item, as JSON in UTF-8. The service's quota for a custom type is 200 KB; text that is not ASCII may count double
/// there.
pub const LARGEST_ITEM: usize = 100_000;
