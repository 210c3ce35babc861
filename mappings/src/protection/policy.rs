//! What the operator wants for the snapshots of some VMs.

use std::sync::Arc;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// What is done when the snapshot that is asked for cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum IfImpossible {
    /// The VM is patched without one, and that is reported.
    #[default]
    Report,
    /// The VM is not patched: it is kept out of the window until it has its snapshot.
    Hold,
}

impl IfImpossible {
    /// The word for it in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Hold => "hold",
        }
    }
}

/// How long a snapshot is kept. It is copied into each record, so that a change of the configuration takes no snapshot away
/// earlier, nor keeps one for longer, than was promised when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Keep {
    /// After a VM was found to be patched and well.
    pub success: SignedDuration,
    /// After the window, when patching failed or nobody knows.
    pub failure: SignedDuration,
    /// The hard limit, since it was taken.
    pub max_age: SignedDuration,
}

impl Default for Keep {
    /// The vendor advises to keep none for more than 72 hours.
    fn default() -> Self {
        Self {
            success: SignedDuration::from_hours(4),
            failure: SignedDuration::from_hours(48),
            max_age: SignedDuration::from_hours(72),
        }
    }
}

impl Keep {
    /// How long before the hard limit the removal begins: it is paced, and takes its time.
    #[must_use]
    pub fn reserve(&self) -> SignedDuration {
        (self.max_age / 12).min(SignedDuration::from_hours(6))
    }
}

/// The policy for some VMs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The first snapshot of a window is taken so long before it opens at the earliest. Then its scope freezes.
    pub lead: SignedDuration,
    /// All snapshots of a window are to be there so long before it opens.
    pub deadline: SignedDuration,
    /// How long snapshots are kept.
    pub keep: Keep,
    /// What is done when a snapshot cannot be taken.
    pub if_impossible: IfImpossible,
    /// Whether disks that are left over are consolidated after a removal.
    pub consolidate: bool,
}
