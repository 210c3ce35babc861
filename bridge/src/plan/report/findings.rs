//! Findings: what Security Hub is told.

use super::{Look, Reports};
use crate::plan::Plan;

/// Plans what is told.
pub(super) fn plan(look: &Look<'_, '_, '_>, plan: &mut Plan, out: &mut Reports) {
    let _ = (look, plan, out);
}
