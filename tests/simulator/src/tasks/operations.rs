//! What each operation does to its VM when its time has come.

use super::engine::Aftermath;
use super::refusal::{file_locked, no_snapshot};
use super::{Job, Operation, TaskOutcome, TouchedSnapshot};
use crate::MutateError;
use crate::soap::fault::Fault;
use crate::world::vm::{Power, Snapshot};
use crate::world::{Entity, Kind, ObjId, World};

/// A change that the inventory refuses in the middle of an operation.
fn refused(error: &MutateError) -> Fault {
    Fault::new("InvalidState", &error.to_string())
}

impl World {
    fn touched(&self, snapshot: &Snapshot) -> TouchedSnapshot {
        TouchedSnapshot {
            snapshot: ObjId::new(Kind::Snapshot, snapshot.num).to_string(),
            name: snapshot.name.to_string(),
            made_by: self.tasks.maker(snapshot.num).cloned(),
        }
    }

    /// A removal takes its snapshots out of the tree; their disks are merged afterwards.
    pub(super) fn take_out(&mut self, job: &mut Job) -> Result<(), Fault> {
        let (roots, children) = match &job.operation {
            Operation::Remove { snapshot, children, .. } => (vec![*snapshot], *children),
            Operation::RemoveAll { .. } => {
                let tree = self.get(job.vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
                (tree.into_iter().flat_map(|tree| &tree.roots).map(|root| root.num).collect(), true)
            }
            _ => return Ok(()),
        };
        for root in roots {
            let tree = self.get(job.vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
            let found = tree.and_then(|tree| tree.find(root)).ok_or_else(|| no_snapshot(root))?;
            let mut gone = vec![found];
            let mut at = 0;
            while let Some(snapshot) = gone.get(at).copied().filter(|_| children) {
                gone.extend(&snapshot.children);
                at += 1;
            }
            job.touched.extend(gone.iter().map(|snapshot| self.touched(snapshot)));
            job.removed.extend(gone.iter().map(|snapshot| snapshot.num));
            self.remove_snapshot(job.vm, root, children).map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    /// The disks of what a removal took out are merged, or wait for consolidation.
    pub(super) fn settle_disks(&mut self, job: &mut Job, merged: bool) {
        let removed = std::mem::take(&mut job.removed);
        if removed.is_empty() {
            return;
        }
        self.drop_deltas(removed, merged);
        if !merged {
            // The VM may be gone.
            let _ = self.set_consolidation_needed(job.vm, true);
        }
    }

    /// Does what a job is for. It gives the snapshot that was made.
    pub(super) fn complete(
        &mut self,
        job: &mut Job,
        after: &mut Vec<Aftermath>,
    ) -> Result<Option<ObjId>, Fault> {
        let vm = job.vm;
        match job.operation.clone() {
            Operation::Create { name, description, memory, quiesce, .. } => {
                let quiesced = quiesce && self.can_quiesce(vm);
                let machine = self.get(vm).and_then(Entity::vm);
                let on = machine.is_some_and(|machine| machine.power == Power::On);
                let megabytes =
                    machine.and_then(|vm| vm.config.as_ref()).map_or(0, |c| u64::from(c.memory_mb));
                let saved = if memory && on { megabytes << 20 } else { 0 };
                let bytes = self.tasks.rules.snapshot_bytes;
                if self.free_on(self.home_of(vm)) < bytes.saturating_add(saved) {
                    return Err(self.no_space(vm));
                }
                let made = self.create_snapshot(vm, &name, &description, memory && on, quiesced);
                let num = made.map_err(|error| refused(&error))?;
                self.add_delta(vm, num, bytes, saved);
                self.tasks.makers.insert(num, job.by.clone());
                let id = ObjId::new(Kind::Snapshot, num);
                let made_by = Some(job.by.clone());
                job.touched.push(TouchedSnapshot { snapshot: id.to_string(), name, made_by });
                let tree = self.get(vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
                let level = tree.map_or(0, |tree| tree.level());
                if level > self.tasks.truth.deepest_chain {
                    self.tasks.truth.deepest_chain = level;
                    self.tasks.truth.deepest_vm = Some(vm.to_string());
                }
                after.push(Aftermath::Saved { vm, snapshot: num });
                Ok(Some(id))
            }
            Operation::Remove { consolidate, .. } | Operation::RemoveAll { consolidate } => {
                after.push(Aftermath::Forgotten(job.removed.clone()));
                let stuck = match job.outcome {
                    Some(TaskOutcome::ConsolidationNeeded { stuck }) => Some(stuck),
                    _ => None,
                };
                if let Some(stuck) = stuck {
                    self.tasks.stuck.insert(vm, stuck);
                    if job.removed.is_empty() {
                        let _ = self.set_consolidation_needed(vm, true);
                    }
                }
                self.settle_disks(job, consolidate && stuck.is_none());
                Ok(None)
            }
            Operation::Revert { snapshot, suppress_power_on } => {
                let tree = self.get(vm).and_then(Entity::vm).and_then(|vm| vm.snapshots.as_ref());
                let missing = || no_snapshot(snapshot.unwrap_or_default());
                let tree = tree.ok_or_else(missing)?;
                let left = tree.current;
                let num = snapshot.or(tree.current).ok_or_else(missing)?;
                let found = tree.find(num).ok_or_else(missing)?;
                let state = match found.state {
                    Power::On if suppress_power_on => Power::Off,
                    state => state,
                };
                job.touched.push(self.touched(found));
                let bytes = self.tasks.rules.snapshot_bytes;
                for emptied in [left, Some(num)].into_iter().flatten() {
                    self.empty_delta(emptied, bytes);
                }
                self.revert_to(vm, num, state).map_err(|error| refused(&error))?;
                if self.tasks.rules.stale_after_revert {
                    self.tasks.stale.insert(vm);
                }
                after.push(Aftermath::Reverted { vm, snapshot: num });
                if state == Power::On {
                    after.push(Aftermath::Started(vm));
                }
                Ok(None)
            }
            Operation::Consolidate => {
                if let Some(left) = self.tasks.stuck.get_mut(&vm).filter(|left| **left > 0) {
                    *left -= 1;
                    let name = self.get(vm).map(|entity| entity.name.to_string()).unwrap_or_default();
                    return Err(file_locked(&name));
                }
                self.tasks.stuck.remove(&vm);
                self.merge_leftovers(vm);
                self.set_consolidation_needed(vm, false).map_err(|error| refused(&error))?;
                Ok(None)
            }
            Operation::PowerOn => {
                self.set_power(vm, Power::On).map_err(|error| refused(&error))?;
                // A guest that starts anew is not frozen any more.
                self.tasks.later.retain(|(_, later)| !matches!(later, super::Later::Thaw(one) if *one == vm));
                after.push(Aftermath::Started(vm));
                Ok(None)
            }
            Operation::PowerOff => {
                self.set_power(vm, Power::Off).map_err(|error| refused(&error))?;
                after.push(Aftermath::Stopped(vm));
                Ok(None)
            }
        }
    }
}
