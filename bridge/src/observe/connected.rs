//! The vCenters whose sessions are open, for whoever has something to do there: one session serves to observe and to write.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use vsphere_client::vcenter::Vcenter;

use crate::fleet::VcenterName;

/// The vCenters that are connected now, by their names in the fleet. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Connected(Arc<RwLock<BTreeMap<VcenterName, Vcenter>>>);

impl Connected {
    /// The client of one, while its observer is connected.
    #[must_use]
    pub fn get(&self, name: &VcenterName) -> Option<Vcenter> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Adds one, or replaces its client.
    pub(super) fn put(&self, name: &VcenterName, client: &Vcenter) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), client.clone());
    }

    /// Takes one away: it is about to be closed, or its account was refused and must not be tried again and again.
    pub fn remove(&self, name: &VcenterName) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
