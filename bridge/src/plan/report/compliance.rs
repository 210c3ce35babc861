//! Compliance: what Systems Manager's compliance is told of a VM.

use super::{Look, Reported};
use crate::config::Mode;
use crate::plan::{CapabilityVerdict, Plan, Reason};

/// Plans what is told of one node.
pub(super) fn plan(look: &Look<'_, '_, '_>, one: &Reported<'_, '_>, plan: &mut Plan) -> CapabilityVerdict {
    let _ = (one, plan);
    if look.policy.compliance.mode == Mode::Off {
        return super::says(Reason::Off);
    }
    super::says(Reason::InStep)
}
