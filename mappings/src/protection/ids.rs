//! Identifiers of this module, so that one kind can never be passed for another.

use crate::text_ids;

text_ids! {
    /// What tells a record from all others. It is part of the description of its snapshot.
    RecordId,
    /// The value of the managed object reference of a snapshot; means something in its vCenter only.
    SnapshotId,
    /// The value of the managed object reference of a task; means something in its vCenter only.
    TaskId,
}
