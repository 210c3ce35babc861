//! What was really changed, in order: every mutating call that was applied, on AWS and on vCenters. Tests that kill a
//! client count here whether anything was done twice.
//!
//! A call that was refused, or held and never let through, is not here.

use std::sync::Mutex;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::vcenter::lock;

/// A change that was applied.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// 1, 2, 3, … in the order of the changes. Clearing the ledger does not start anew.
    pub seq: u64,
    /// When it was applied.
    pub time: Timestamp,
    /// `ssm`, `sts`, `securityhub`, or `vcenter`.
    pub service: String,
    /// The operation as fault rules name it, without the service: `AddTagsToResource`, `SetField`.
    pub operation: String,
    /// The AWS account, or the name of the vCenter.
    pub account: String,
    /// The AWS Region; empty for a vCenter.
    pub region: String,
    /// What was changed: a node id, an activation id, a finding's id, a MoRef.
    pub resource: String,
    /// What was written: keys and values, as the service understood them.
    pub detail: Value,
    /// Whether anything is different from before: writing what is there already changes nothing.
    pub effective: bool,
}

#[derive(Debug, Default)]
struct Inner {
    last: u64,
    effects: Vec<Effect>,
}

/// All changes of a simulated world.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Inner>);

/// Where a change happened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// `ssm`, `vcenter`, …
    pub(crate) service: &'a str,
    /// The AWS account or the name of the vCenter.
    pub(crate) account: &'a str,
    /// The AWS Region; empty for a vCenter.
    pub(crate) region: &'a str,
}

impl Ledger {
    /// Writes down a change that was just applied; call it while the state that was changed is still locked, so that
    /// the order is the true one. Calls of a vCenter find the ledger in [`crate::vcenter::Shared::ledger`], or shorter,
    /// use [`crate::vcenter::Shared::record`].
    pub(crate) fn record(
        &self,
        place: Place<'_>,
        operation: &str,
        resource: &str,
        detail: Value,
        effective: bool,
    ) {
        let mut inner = lock(&self.0);
        inner.last += 1;
        let seq = inner.last;
        inner.effects.push(Effect {
            seq,
            time: crate::clock::now(0),
            service: place.service.to_owned(),
            operation: operation.to_owned(),
            account: place.account.to_owned(),
            region: place.region.to_owned(),
            resource: resource.to_owned(),
            detail,
            effective,
        });
    }

    pub(crate) fn effects(&self) -> Vec<Effect> {
        lock(&self.0).effects.clone()
    }

    pub(crate) fn clear(&self) {
        lock(&self.0).effects.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_clearing() {
        let ledger = Ledger::default();
        let place = Place { service: "vcenter", account: "dc1", region: "" };
        ledger.record(place, "SetField", "vm-1", Value::Null, true);
        ledger.clear();
        ledger.record(place, "SetField", "vm-1", Value::Null, false);
        let effects = ledger.effects();
        assert_eq!((effects.len(), effects[0].seq, effects[0].effective), (1, 2, false));
    }
}
