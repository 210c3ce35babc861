//! The VMs that a person asks for by selectors and vCenters.

use std::collections::HashSet;

use super::desk::filter;
use super::{PlanQuery, Refusal};
use crate::fleet::Fleet;
use crate::inventory::Asked;
use crate::store::VmId;

/// The VMs that are asked for. `None`: all.
pub(super) struct Selection(Option<HashSet<VmId>>);

impl Selection {
    /// The VMs that a query selects now. One of which nobody can say it is left out.
    pub(super) fn of(fleet: &Fleet, query: &PlanQuery) -> Result<Self, Refusal> {
        let filter = filter(query)?;
        if filter.selectors.is_empty() && filter.vcenters.is_empty() {
            return Ok(Self(None));
        }
        let mut vms = HashSet::new();
        for part in fleet.parts().filter(|part| filter.takes(part)) {
            let Some(vcenter) = part.uuid() else { continue };
            let selected = part.vms().filter(|view| filter.asks_for(view) == Asked::Yes);
            vms.extend(selected.map(|view| VmId { vcenter, vm: view.moref().shared_value() }));
        }
        Ok(Self(Some(vms)))
    }

    /// One VM.
    pub(super) fn only(vm: &VmId) -> Self {
        Self(Some(HashSet::from([vm.clone()])))
    }

    /// Whether everything is asked for.
    pub(super) fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this VM is.
    pub(super) fn has(&self, vm: &VmId) -> bool {
        self.0.as_ref().is_none_or(|vms| vms.contains(vm))
    }

    /// The VMs, where not everything is asked for.
    pub(super) fn into_vms(self) -> Option<HashSet<VmId>> {
        self.0
    }
}
