//! The space that snapshots take: at once, and more with time. It is taken from, and given back to, the datastore that a VM
//! is at home on, so that everybody sees `summary.freeSpace` change.

use std::collections::BTreeMap;

use crate::world::{Body, Entity, Kind, ObjId, World};

/// What was written since a snapshot was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delta {
    pub(crate) vm: ObjId,
    /// Where the space was taken.
    pub(crate) datastore: Option<ObjId>,
    pub(crate) bytes: u64,
    /// The saved memory.
    pub(crate) memory: u64,
}

/// All space that snapshots take.
#[derive(Debug, Default)]
pub(crate) struct Disks {
    /// By snapshot number.
    deltas: BTreeMap<u32, Delta>,
    /// Space of disks that were not merged, by VM.
    leftovers: BTreeMap<ObjId, (Option<ObjId>, u64)>,
}

impl Disks {
    pub(crate) fn delta(&self, snapshot: u32) -> Option<&Delta> {
        self.deltas.get(&snapshot)
    }

    /// Whether there is anything that grows.
    pub(super) fn grow(&self) -> bool {
        !self.deltas.is_empty()
    }

    /// VMs that have space here.
    pub(super) fn vms(&self) -> Vec<ObjId> {
        let mut vms: Vec<ObjId> =
            self.deltas.values().map(|delta| delta.vm).chain(self.leftovers.keys().copied()).collect();
        vms.sort_unstable();
        vms.dedup();
        vms
    }
}

impl World {
    /// The datastore that a VM is at home on.
    pub(crate) fn home_of(&self, vm: ObjId) -> Option<ObjId> {
        let machine = self.get(vm).and_then(Entity::vm)?;
        let first =
            machine.config.as_ref().and_then(|config| config.disks.first()).map(|disk| disk.datastore);
        first.or_else(|| machine.datastores.first().copied())
    }

    /// Bytes that are free on a datastore.
    pub(super) fn free_on(&self, datastore: Option<ObjId>) -> u64 {
        match datastore.and_then(|id| self.get(id)).map(|entity| &entity.body) {
            Some(Body::Datastore(store)) => store.free,
            _ => 0,
        }
    }

    /// Takes at most so many bytes, and says how many there were.
    pub(super) fn take_space(&mut self, datastore: Option<ObjId>, bytes: u64) -> u64 {
        let (Some(id), free) = (datastore, self.free_on(datastore)) else { return 0 };
        let taken = bytes.min(free);
        // It is a datastore, or nothing was free on it.
        let _ = self.set_free_space(id, free - taken);
        taken
    }

    pub(super) fn give_space(&mut self, datastore: Option<ObjId>, bytes: u64) {
        if let Some(id) = datastore.filter(|_| bytes > 0) {
            let free = self.free_on(datastore);
            // The datastore may be gone meanwhile.
            let _ = self.set_free_space(id, free.saturating_add(bytes));
        }
    }

    /// A snapshot takes its space.
    pub(super) fn add_delta(&mut self, vm: ObjId, snapshot: u32, bytes: u64, memory: u64) {
        let datastore = self.home_of(vm);
        let taken = self.take_space(datastore, bytes.saturating_add(memory));
        let memory = memory.min(taken);
        self.tasks.disks.deltas.insert(snapshot, Delta { vm, datastore, bytes: taken - memory, memory });
    }

    /// Snapshots are gone; their disks are merged, or wait for that.
    pub(super) fn drop_deltas(&mut self, snapshots: impl IntoIterator<Item = u32>, merged: bool) {
        for snapshot in snapshots {
            let Some(delta) = self.tasks.disks.deltas.remove(&snapshot) else { continue };
            if merged {
                self.give_space(delta.datastore, delta.bytes + delta.memory);
            } else {
                self.give_space(delta.datastore, delta.memory);
                let left = self.tasks.disks.leftovers.entry(delta.vm).or_insert((delta.datastore, 0));
                left.1 += delta.bytes;
            }
        }
    }

    /// The space of snapshots of a VM that somebody took out without a task comes back.
    pub(crate) fn drop_lost_deltas(&mut self, vm: ObjId) {
        let tree = self.get(vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
        let known = |num: &u32| {
            tree.is_some_and(|tree| tree.find(*num).is_some())
                || self.tasks.jobs.values().any(|job| job.removed.contains(num))
        };
        let of_vm = self.tasks.disks.deltas.iter().filter(|(_, delta)| delta.vm == vm);
        let lost: Vec<u32> = of_vm.map(|(num, _)| *num).filter(|num| !known(num)).collect();
        self.drop_deltas(lost, true);
    }

    /// The disks that were not merged are merged now.
    pub(super) fn merge_leftovers(&mut self, vm: ObjId) {
        if let Some((datastore, bytes)) = self.tasks.disks.leftovers.remove(&vm) {
            self.give_space(datastore, bytes);
        }
    }

    /// What was written since a snapshot is thrown away.
    pub(super) fn empty_delta(&mut self, snapshot: u32, bytes: u64) {
        let Some(delta) = self.tasks.disks.deltas.get_mut(&snapshot) else { return };
        let (datastore, more) = (delta.datastore, delta.bytes.saturating_sub(bytes));
        delta.bytes -= more;
        self.give_space(datastore, more);
    }

    /// Everything of a VM goes to another datastore, or is gone with the VM.
    pub(crate) fn move_space(&mut self, vm: ObjId, to: Option<ObjId>) {
        let numbers: Vec<u32> =
            self.tasks.disks.deltas.iter().filter(|(_, delta)| delta.vm == vm).map(|(num, _)| *num).collect();
        for num in numbers {
            let Some(delta) = self.tasks.disks.deltas.remove(&num) else { continue };
            self.give_space(delta.datastore, delta.bytes + delta.memory);
            if to.is_some() {
                let taken = self.take_space(to, delta.bytes.saturating_add(delta.memory));
                let memory = delta.memory.min(taken);
                let moved = Delta { datastore: to, bytes: taken - memory, memory, ..delta };
                self.tasks.disks.deltas.insert(num, moved);
            }
        }
        if let Some((datastore, bytes)) = self.tasks.disks.leftovers.remove(&vm) {
            self.give_space(datastore, bytes);
            if to.is_some() {
                let taken = self.take_space(to, bytes);
                self.tasks.disks.leftovers.insert(vm, (to, taken));
            }
        }
    }

    /// So much more is written on every VM with a snapshot. The free space of a datastore changes once.
    pub(super) fn grow_deltas(&mut self, bytes: u64) {
        let current: Vec<u32> = self
            .tasks
            .disks
            .deltas
            .iter()
            .filter(|(num, delta)| {
                let tree = self.get(delta.vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
                tree.is_some_and(|tree| tree.current == Some(**num))
            })
            .map(|(num, _)| *num)
            .collect();
        let mut taken: BTreeMap<ObjId, u64> = BTreeMap::new();
        for num in current {
            let Some(datastore) = self.tasks.disks.deltas.get(&num).and_then(|delta| delta.datastore) else {
                continue;
            };
            let so_far = taken.entry(datastore).or_default();
            let room = match self.get(datastore).map(|entity| &entity.body) {
                Some(Body::Datastore(store)) => store.free.saturating_sub(*so_far),
                _ => 0,
            };
            let more = bytes.min(room);
            *so_far += more;
            if let Some(delta) = self.tasks.disks.deltas.get_mut(&num) {
                delta.bytes += more;
            }
        }
        for (datastore, bytes) in taken.into_iter().filter(|(_, bytes)| *bytes > 0) {
            self.take_space(Some(datastore), bytes);
        }
    }

    /// The VM that a snapshot belongs to.
    pub(crate) fn vm_of_snapshot(&self, snapshot: ObjId) -> Option<ObjId> {
        if snapshot.kind != Kind::Snapshot {
            return None;
        }
        let has = |vm: &crate::world::vm::Vm| {
            vm.snapshots.as_ref().is_some_and(|tree| tree.find(snapshot.num).is_some())
        };
        self.vms().find(|(_, vm)| has(vm)).map(|(entity, _)| entity.id)
    }
}
