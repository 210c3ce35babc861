//! Snapshots of a VM.

use jiff::Timestamp;

use super::{PowerState, data_object};
use crate::ids::{MoRef, SnapshotRef};
use crate::xml::Named;

data_object! {
    /// All snapshots of a VM (`VirtualMachineSnapshotInfo`).
    pub struct SnapshotInfo {
        /// The snapshot that the VM runs on.
        "currentSnapshot" => current: opt MoRef,
        /// The first snapshots of each chain.
        "rootSnapshotList" => roots: many SnapshotTree,
    }
}

data_object! {
    /// One snapshot and those made after it (`VirtualMachineSnapshotTree`).
    pub struct SnapshotTree {
        /// The snapshot. Always sent; without it the snapshot cannot be acted on.
        "snapshot" => snapshot: opt MoRef,
        /// Name, escaped as in [`super::unescape_name`] when it comes from the server.
        "name" => name: one Box<str>,
        /// Description.
        "description" => description: one Box<str>,
        /// Number, unique in the VM.
        "id" => id: one i32,
        /// When it was made, by the host's clock.
        "createTime" => created: opt Timestamp,
        /// Power state of the VM then.
        "state" => state: opt Named<PowerState>,
        /// Whether the guest's file systems were quiesced.
        "quiesced" => quiesced: one bool,
        /// Snapshots made after it.
        "childSnapshotList" => children: many SnapshotTree,
    }
}

impl SnapshotInfo {
    /// All snapshots, each before those made after it.
    pub fn iter(&self) -> impl Iterator<Item = &SnapshotTree> {
        Walk { next: self.roots.iter().rev().collect() }
    }

    /// The snapshot with this reference.
    #[must_use]
    pub fn find(&self, snapshot: &SnapshotRef) -> Option<&SnapshotTree> {
        self.iter().find(|tree| tree.is(snapshot))
    }

    /// The snapshots from the first one of its chain down to this one, itself included; nothing when it is not there.
    #[must_use]
    pub fn path(&self, snapshot: &SnapshotRef) -> Option<Vec<&SnapshotTree>> {
        // Depth first: what is above the one that is looked at is what was entered and not left yet.
        let mut path: Vec<&SnapshotTree> = Vec::new();
        let mut rest: Vec<(usize, &SnapshotTree)> = self.roots.iter().map(|root| (0, root)).collect();
        while let Some((depth, tree)) = rest.pop() {
            path.truncate(depth);
            path.push(tree);
            if tree.is(snapshot) {
                return Some(path);
            }
            rest.extend(tree.children.iter().map(|child| (depth + 1, child)));
        }
        None
    }

    /// How many snapshots there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.iter().count()
    }

    /// Snapshots in the longest chain; 32 are the most that vSphere supports.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.roots.iter().map(SnapshotTree::depth).max().unwrap_or(0)
    }

    /// Snapshots in the chain that the VM runs on, whose disks each read goes through; 0 when it runs on none.
    #[must_use]
    pub fn current_depth(&self) -> usize {
        let current = self.current.clone().and_then(|current| SnapshotRef::try_from(current).ok());
        current.and_then(|current| self.path(&current)).map_or(0, |path| path.len())
    }
}

impl SnapshotTree {
    /// The snapshot, by the reference that it is acted on with.
    #[must_use]
    pub fn reference(&self) -> Option<SnapshotRef> {
        self.snapshot.clone()?.try_into().ok()
    }

    /// Itself and all snapshots made after it, each before those made after it.
    pub fn iter(&self) -> impl Iterator<Item = &SnapshotTree> {
        Walk { next: vec![self] }
    }

    /// Snapshots in the longest chain that begins with it, itself included.
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut rest = vec![(1, self)];
        while let Some((depth, tree)) = rest.pop() {
            deepest = deepest.max(depth);
            rest.extend(tree.children.iter().map(|child| (depth + 1, child)));
        }
        deepest
    }

    fn is(&self, snapshot: &SnapshotRef) -> bool {
        self.snapshot.as_ref() == Some(snapshot.as_moref())
    }
}

/// Goes through a tree without recursion, the first ones first.
struct Walk<'a> {
    next: Vec<&'a SnapshotTree>,
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a SnapshotTree;

    fn next(&mut self) -> Option<&'a SnapshotTree> {
        let tree = self.next.pop()?;
        self.next.extend(tree.children.iter().rev());
        Some(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MoKind;

    fn tree(value: &str, children: Vec<SnapshotTree>) -> SnapshotTree {
        let snapshot = Some(MoRef::of(MoKind::VirtualMachineSnapshot, value));
        SnapshotTree { snapshot, children, ..SnapshotTree::default() }
    }

    fn values<'a>(trees: impl IntoIterator<Item = &'a SnapshotTree>) -> Vec<&'a str> {
        trees.into_iter().filter_map(|tree| tree.snapshot.as_ref().map(MoRef::value)).collect()
    }

    #[test]
    fn a_tree_is_walked_searched_and_measured() {
        let chain = tree("b", vec![tree("c", vec![]), tree("d", vec![tree("e", vec![])])]);
        let info = SnapshotInfo {
            current: Some(MoRef::of(MoKind::VirtualMachineSnapshot, "c")),
            roots: vec![tree("a", vec![chain]), tree("f", vec![])],
        };
        assert_eq!(values(info.iter()), ["a", "b", "c", "d", "e", "f"]);
        assert_eq!(values(info.find(&SnapshotRef::new("b")).unwrap().iter()), ["b", "c", "d", "e"]);
        assert_eq!(values(info.path(&SnapshotRef::new("e")).unwrap()), ["a", "b", "d", "e"]);
        assert_eq!(values(info.path(&SnapshotRef::new("f")).unwrap()), ["f"]);
        assert_eq!((info.path(&SnapshotRef::new("x")), info.find(&SnapshotRef::new("x"))), (None, None));
        assert_eq!((info.count(), info.depth(), info.current_depth()), (6, 4, 3));
        let none = SnapshotInfo::default();
        assert_eq!((none.count(), none.depth(), none.current_depth()), (0, 0, 0));
    }

    #[test]
    fn what_is_no_snapshot_is_not_found_as_one() {
        let other = SnapshotTree { snapshot: Some(MoRef::new("Task", "a")), ..SnapshotTree::default() };
        assert_eq!(other.reference(), None);
        let info = SnapshotInfo { current: Some(MoRef::new("Task", "a")), roots: vec![other] };
        assert_eq!((info.find(&SnapshotRef::new("a")), info.current_depth()), (None, 0));
    }
}
