//! What a plan is made of: one VM, as far as its protection is concerned.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Judgement, Policy, Record, RecordId, Run, SnapshotId};
use crate::snapshot::hazard::Preflight;
use crate::snapshot::pacing::Resource;
use crate::snapshot::space::DatastoreId;

/// A VM.
#[derive(Debug, Clone)]
pub struct Subject<'a> {
    /// Its name.
    pub label: Arc<str>,
    /// Where it is.
    pub place: Place,
    /// Whether it is there.
    pub presence: Presence,
    /// What the operator wants. None: no policy is for it.
    pub policy: Option<&'a Policy>,
    /// The runs that reach it and have not closed, by their opening; also while its vCenter cannot be read.
    pub runs: Vec<Run>,
    /// Its records: those that are active, those that are for one of `runs`, and those of which a snapshot may still come to
    /// light ([`Record::may_surface`]).
    pub records: Vec<&'a Record>,
    /// What is known of the VM at the end of the run of each of these records.
    pub judgements: Vec<Option<Judgement>>,
    /// Its snapshots that carry our mark. None: they are not known.
    pub seen: Option<Vec<Seen>>,
    /// Every snapshot that it has, by reference. Means something only where `seen` is known.
    pub all: Vec<SnapshotId>,
    /// Until when what is known of the VM is true.
    pub as_of: Timestamp,
    /// Whether it is fit for a snapshot now.
    pub preflight: Preflight,
    /// The space that a snapshot is expected to take: datastore and bytes.
    pub needs: Vec<(DatastoreId, u64)>,
    /// How long taking its snapshot is expected to take.
    pub expected: SignedDuration,
    /// Whether disks are left over (`runtime.consolidationNeeded`), if that is known.
    pub left_over: Option<bool>,
    /// What is being done to it by us, and has no outcome yet.
    pub under_way: Option<Act>,
    /// Something else is being done to it: it is enrolled, or another product works on it.
    pub busy: bool,
}

/// Where a VM is: numbers that stand for vCenters, hosts and datastores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The vCenter.
    pub vcenter: Resource,
    /// The host. None: not known, or it has none.
    pub host: Option<Resource>,
    /// The datastores of its disks.
    pub datastores: Vec<Resource>,
}

/// Whether a VM is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Here,
    /// It is certainly gone.
    Gone,
    /// Its vCenter cannot be read now.
    NotKnown,
}

/// A snapshot that carries our mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The record in the mark.
    pub record: RecordId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was taken.
    pub created: Timestamp,
}

/// One call that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Act {
    /// Take the snapshot.
    Create,
    /// Remove it.
    Remove,
    /// Consolidate disks that are left over.
    Consolidate,
    /// Take the VM back to it.
    Revert,
    /// Power the VM on.
    PowerOn,
}
