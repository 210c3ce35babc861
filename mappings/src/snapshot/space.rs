//! Room on datastores: what a snapshot may come to take, and what many of one window take together.
//!
//! A snapshot begins small and grows with what the guest writes, up to the size of its disks. A datastore that is full stops every
//! VM on it, so room is reckoned beforehand: every VM that is planned reserves what it may need above a floor that stays free.
//!
//! ```
//! use jiff::SignedDuration;
//! use mappings::snapshot::space::{Disk, DatastoreId, Floor, Ledger, estimate};
//!
//! const GIB: i64 = 1 << 30;
//! let fast = DatastoreId::new("vc1/datastore-12");
//! let disks = [Disk { datastore: fast.clone(), capacity: 100 * GIB }];
//! // 10 % of a disk changes in a day, and the snapshot is kept for two.
//! let one = estimate(&disks, None, 10, SignedDuration::from_hours(48));
//!
//! let mut ledger = Ledger::default();
//! ledger.set(fast, 1000 * GIB, 145 * GIB);
//! let floor = Floor { percent: 10, bytes: 20 << 30 };
//! assert!(ledger.reserve(&one, floor).is_ok());
//! assert!(ledger.reserve(&one, floor).is_ok());
//! assert!(ledger.reserve(&one, floor).is_err());
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::SignedDuration;

/// What a snapshot of one disk takes at once, whatever is written: the first extent of the new file, its descriptor and its
/// tables.
const AT_ONCE: u64 = 32 << 20;
/// A snapshot's file needs tables for what it holds: at most this percentage of it.
const TABLES_PERCENT: u64 = 2;
/// Seconds of a day.
const DAY: u64 = 24 * 60 * 60;

/// A datastore. `MoRef`s repeat between vCenters: make it of both, the vCenter and the `MoRef`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatastoreId(Arc<str>);

impl DatastoreId {
    /// An id that is the same whenever the datastore is.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatastoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A disk that a snapshot covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Where it is, and its snapshot too.
    pub datastore: DatastoreId,
    /// Its size in bytes, as vSphere says it (`capacityInBytes`). Below zero: as if nothing.
    pub capacity: i64,
}

/// Memory that goes into a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Where it is written: the VM's own folder.
    pub datastore: DatastoreId,
    /// The memory's size in bytes. Below zero: as if nothing.
    pub size: i64,
}

/// How much of a datastore must stay free: the greater of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Of its capacity; more than 100 counts as 100.
    pub percent: u8,
    /// In bytes.
    pub bytes: u64,
}

impl Default for Floor {
    /// A tenth, and never less than 20 GiB: below a tenth vSphere itself begins to warn.
    fn default() -> Self {
        Self { percent: 10, bytes: 20 << 30 }
    }
}

impl Floor {
    /// What must stay free of a datastore of this capacity, in bytes.
    #[must_use]
    pub fn of(self, capacity: u64) -> u64 {
        percent_of(capacity, self.percent.min(100).into()).max(self.bytes)
    }
}

/// Bytes as vSphere says them (`xsd:long`): below zero, as if nothing.
#[must_use]
pub fn bytes(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// What a snapshot may come to take on each datastore until it is removed, in the order of their ids.
///
/// `growth_percent` of each disk is written anew in a day, and the snapshot is there for `keep`, a day at least: an afternoon of
/// patches writes as much as a day without. No snapshot of a disk is greater than the disk, but for its tables.
#[must_use]
pub fn estimate(
    disks: &[Disk],
    memory: Option<&Memory>,
    growth_percent: u32,
    keep: SignedDuration,
) -> Vec<(DatastoreId, u64)> {
    let keep = bytes(keep.as_secs()).max(DAY);
    let mut all = BTreeMap::<&DatastoreId, u64>::new();
    let mut add = |datastore, more| {
        let sum = all.entry(datastore).or_default();
        *sum = sum.saturating_add(more);
    };
    for disk in disks {
        let capacity = bytes(disk.capacity);
        // Saturated, it is over the disk's size all the same.
        let product = u128::from(capacity).saturating_mul(growth_percent.into()).saturating_mul(keep.into());
        let written = product / u128::from(100 * DAY);
        let written = u64::try_from(written).unwrap_or(u64::MAX).min(capacity);
        let tables = percent_of(written, TABLES_PERCENT);
        add(&disk.datastore, written.saturating_add(tables).saturating_add(AT_ONCE));
    }
    if let Some(memory) = memory {
        add(&memory.datastore, bytes(memory.size));
    }
    all.into_iter().map(|(datastore, sum)| (datastore.clone(), sum)).collect()
}

/// Rounded up.
fn percent_of(whole: u64, percent: u64) -> u64 {
    u64::try_from((u128::from(whole) * u128::from(percent)).div_ceil(100)).unwrap_or(u64::MAX)
}

/// A datastore that has no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no room on {datastore}: {}", lack(*.free, *.floor, *.needed))]
pub struct Shortage {
    /// Which.
    pub datastore: DatastoreId,
    /// What is free, less what is reserved, in bytes. `None`: not known.
    pub free: Option<u64>,
    /// What must stay free, in bytes.
    pub floor: u64,
    /// What was to be reserved, in bytes.
    pub needed: u64,
}

fn lack(free: Option<u64>, floor: u64, needed: u64) -> String {
    let (floor, needed) = (Gib(floor), Gib(needed));
    match free {
        Some(free) => format!("{} are free, {needed} are needed and {floor} must stay free", Gib(free)),
        None => format!("{needed} are needed, and what is free is not known"),
    }
}

/// Bytes for people.
pub(super) struct Gib(pub(super) u64);

impl fmt::Display for Gib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In tenths, so that no float is needed: a datastore may be greater than a float counts exactly.
        let tenths = u128::from(self.0) * 10 / (1 << 30);
        write!(f, "{}.{} GiB", tenths / 10, tenths % 10)
    }
}

/// One datastore in a [`Ledger`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Store {
    capacity: u64,
    free: u64,
    reserved: u64,
}

/// What is free on datastores, less what was reserved by those that were planned before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    stores: BTreeMap<DatastoreId, Store>,
}

impl Ledger {
    /// Tells capacity and free space of a datastore in bytes, as vSphere says them. What is reserved there stays so.
    pub fn set(&mut self, datastore: DatastoreId, capacity: i64, free: i64) {
        let (capacity, free) = (bytes(capacity), bytes(free));
        let reserved = self.stores.get(&datastore).map_or(0, |store| store.reserved);
        self.stores.insert(datastore, Store { capacity, free, reserved });
    }

    /// What is free on a datastore, less what is reserved, in bytes; nothing for one that is not known.
    #[must_use]
    pub fn free(&self, datastore: &DatastoreId) -> Option<u64> {
        self.stores.get(datastore).map(|store| store.free.saturating_sub(store.reserved))
    }

    /// Reserves what one VM may need, on all its datastores or on none.
    ///
    /// # Errors
    /// When one of them would then have less than the floor, or is not known: the first of them in the estimate.
    pub fn reserve(&mut self, estimate: &[(DatastoreId, u64)], floor: Floor) -> Result<(), Shortage> {
        let sums = sums(estimate);
        for (datastore, needed) in &sums {
            let store = self.stores.get(*datastore);
            let free = self.free(datastore);
            let floor = floor.of(store.map_or(0, |store| store.capacity));
            let wanted = needed.saturating_add(floor);
            if free.is_none_or(|free| free < wanted) {
                return Err(Shortage { datastore: (*datastore).clone(), free, floor, needed: *needed });
            }
        }
        for (datastore, needed) in sums {
            if let Some(store) = self.stores.get_mut(datastore) {
                store.reserved = store.reserved.saturating_add(needed);
            }
        }
        Ok(())
    }

    /// Reserves whether there is room or not: for snapshots that are there already and go on growing.
    pub fn take(&mut self, estimate: &[(DatastoreId, u64)]) {
        for (datastore, needed) in sums(estimate) {
            if let Some(store) = self.stores.get_mut(datastore) {
                store.reserved = store.reserved.saturating_add(needed);
            }
        }
    }

    /// Gives back what was reserved.
    pub fn release(&mut self, estimate: &[(DatastoreId, u64)]) {
        for (datastore, needed) in sums(estimate) {
            if let Some(store) = self.stores.get_mut(datastore) {
                store.reserved = store.reserved.saturating_sub(needed);
            }
        }
    }
}

/// What is asked of each datastore, however often it is named.
fn sums(estimate: &[(DatastoreId, u64)]) -> BTreeMap<&DatastoreId, u64> {
    let mut sums = BTreeMap::<_, u64>::new();
    for (datastore, needed) in estimate {
        let sum = sums.entry(datastore).or_default();
        *sum = sum.saturating_add(*needed);
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn id(id: &str) -> DatastoreId {
        DatastoreId::new(id)
    }

    fn disk(datastore: &str, gib: i64) -> Disk {
        Disk { datastore: id(datastore), capacity: gib << 30 }
    }

    fn hours(hours: i64) -> SignedDuration {
        SignedDuration::from_hours(hours)
    }

    #[test]
    fn a_snapshot_grows_with_time_and_never_over_its_disk() {
        let of = |growth, keep| estimate(&[disk("a", 100)], None, growth, hours(keep))[0].1;
        let with_tables = |gib: u64| gib * GIB + (gib * GIB).div_ceil(50) + AT_ONCE;
        assert_eq!(of(10, 24), with_tables(10));
        assert_eq!(of(10, 72), with_tables(30));
        // A day at least.
        assert_eq!(of(10, 1), with_tables(10));
        assert_eq!(of(10, -5), with_tables(10));
        assert_eq!(of(50, 24 * 30), with_tables(100));
        assert_eq!(of(0, 24), AT_ONCE);
    }

    #[test]
    fn datastores_are_summed_and_memory_counts() {
        let memory = Memory { datastore: id("b"), size: 8 << 30 };
        let all = estimate(&[disk("b", 100), disk("a", 10), disk("b", 0)], Some(&memory), 100, hours(24));
        let ids: Vec<&str> = all.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        assert_eq!(all[1].1, 100 * GIB + 2 * GIB + 2 * AT_ONCE + 8 * GIB);
    }

    #[test]
    fn many_vms_of_one_window_do_not_fill_a_datastore() {
        let mut ledger = Ledger::default();
        ledger.set(id("a"), 1000 << 30, 200 << 30);
        let floor = Floor { percent: 10, bytes: 20 << 30 };
        let one = [(id("a"), 30 * GIB)];
        let reserved = (0..10).filter(|_| ledger.reserve(&one, floor).is_ok()).count();
        assert_eq!(reserved, 3);
        assert_eq!(ledger.free(&id("a")), Some(110 * GIB));
        let shortage = ledger.reserve(&one, floor).unwrap_err();
        assert_eq!(
            shortage,
            Shortage { datastore: id("a"), free: Some(110 * GIB), floor: 100 * GIB, needed: 30 * GIB }
        );
        assert_eq!(
            shortage.to_string(),
            "no room on a: 110.0 GiB are free, 30.0 GiB are needed and 100.0 GiB must stay free"
        );
        ledger.release(&one);
        assert_eq!(ledger.reserve(&one, floor), Ok(()));
        // A new reading of the datastore does not forget what is reserved.
        ledger.set(id("a"), 1000 << 30, 190 << 30);
        assert_eq!(ledger.free(&id("a")), Some(100 * GIB));
        ledger.take(&[(id("a"), u64::MAX), (id("a"), 1)]);
        assert_eq!(ledger.free(&id("a")), Some(0));
    }

    #[test]
    fn it_is_all_datastores_or_none() {
        let mut ledger = Ledger::default();
        ledger.set(id("a"), 100 << 30, 100 << 30);
        ledger.set(id("b"), 100 << 30, 21 << 30);
        let before = ledger.clone();
        let wanted = [(id("a"), GIB), (id("b"), GIB), (id("b"), GIB)];
        assert_eq!(ledger.reserve(&wanted, Floor::default()).unwrap_err().needed, 2 * GIB);
        assert_eq!(ledger, before);
        let unknown = ledger.reserve(&[(id("a"), GIB), (id("c"), 1)], Floor::default()).unwrap_err();
        assert_eq!((unknown.datastore.as_str(), unknown.free), ("c", None));
        assert!(unknown.to_string().contains("not known"), "{unknown}");
        assert_eq!(ledger, before);
    }

    #[test]
    fn the_floor_is_the_greater_of_both() {
        let floor = Floor { percent: 10, bytes: 20 };
        assert_eq!((floor.of(100), floor.of(1000), floor.of(1001)), (20, 100, 101));
        assert_eq!(Floor { percent: 255, bytes: 0 }.of(u64::MAX), u64::MAX);
    }

    proptest! {
        #[test]
        fn no_number_from_outside_matters_to_it(
            capacity: i64, size: i64, growth: u32, keep: i64, total: i64, free: i64, percent: u8, floor: u64, more: u64,
        ) {
            let memory = Memory { datastore: id("a"), size };
            let disks = [disk("a", 1), Disk { datastore: id("a"), capacity }, Disk { datastore: id("a"), capacity }];
            let one = estimate(&disks, Some(&memory), growth, SignedDuration::from_secs(keep));
            let mut ledger = Ledger::default();
            ledger.set(id("a"), total, free);
            let floor = Floor { percent, bytes: floor };
            for wanted in [one, vec![(id("a"), more), (id("a"), more)]] {
                let before = ledger.free(&id("a")).unwrap();
                match ledger.reserve(&wanted, floor) {
                    Ok(()) => prop_assert!(ledger.free(&id("a")).unwrap() >= floor.of(bytes(total))),
                    Err(shortage) => prop_assert_eq!(shortage.free, Some(before)),
                }
            }
            ledger.take(&[(id("a"), more)]);
            ledger.release(&[(id("a"), u64::MAX)]);
            prop_assert_eq!(ledger.free(&id("a")), Some(bytes(free)));
        }
    }
}
