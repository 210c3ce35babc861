//! What Systems Manager tells of the patches of a node.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `DescribeInstancePatchStates` takes so many nodes at once.
pub const PATCH_STATES_AT_ONCE: usize = 50;

/// What the last patch operation of a node was, and what it left, from `DescribeInstancePatchStates`. Only the last one is
/// known: a scan after an installation hides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchState {
    /// Whether it looked or installed.
    pub operation: PatchOperation,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// Patches that the baseline approves and that are installed.
    pub installed: u32,
    /// Patches that are installed and not approved by the baseline.
    pub installed_other: u32,
    /// Patches that are installed and need a restart, which has not taken place.
    pub pending_reboot: u32,
    /// Patches that are installed and rejected.
    pub rejected: u32,
    /// Patches that are approved and not installed.
    pub missing: u32,
    /// Patches that could not be installed.
    pub failed: u32,
    /// When patches were last installed without a restart that they may need.
    pub last_without_reboot: Option<Timestamp>,
}

impl PatchState {
    /// Whether this is an installation that began at or after a moment. Systems Manager and we read different clocks, so a
    /// moment of its own, such as the beginning of an execution, is what to compare with.
    #[must_use]
    pub fn installed_since(&self, moment: Timestamp) -> bool {
        self.operation == PatchOperation::Install && self.started >= moment
    }

    /// Whether nothing failed, nothing is missing and nothing waits for a restart.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failed == 0 && self.missing == 0 && self.pending_reboot == 0
    }
}

/// What a patch operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PatchOperation {
    /// It looks what is missing.
    Scan,
    /// It installs.
    Install,
    /// Systems Manager says nothing that we know.
    Unknown,
}
