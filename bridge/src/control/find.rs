//! Finding the VM that a person means.

use mappings::selector::{Fact, VmFacts as _};

use super::Refusal;
use crate::fleet::{Fleet, Part, VcenterName, VmView};
use crate::plan::Plan;

/// A VM that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its vCenter's name.
    pub vcenter: VcenterName,
    /// Its managed object id.
    pub moref: String,
}

/// More than this are not listed when a name fits several.
const MOST_LISTED: usize = 10;

/// The one VM that `text` names: `<vCenter>/<managed object id>`, a node of the plan, a name, a managed object id, an
/// instance UUID or BIOS UUID, or what the guest calls itself. The first of these that fits any VM decides.
///
/// # Errors
/// When no VM fits, or several do.
pub fn find(fleet: &Fleet, plan: &Plan, text: &str) -> Result<Found, Refusal> {
    let found = |view: &VmView<'_>| Found {
        vcenter: view.vcenter_name().clone(),
        moref: view.moref().value().to_owned(),
    };
    if let Some((vcenter, moref)) = text.rsplit_once('/')
        && let Some(view) = fleet.part(&vcenter.into()).and_then(|part| part.vm(moref))
    {
        return Ok(found(&view));
    }
    let by_node = plan.vms.iter().find(|vm| vm.link.as_ref().is_some_and(|link| link.node.as_str() == text));
    if let Some(vm) = by_node {
        return Ok(Found { vcenter: vm.vcenter.clone(), moref: vm.vm.vm.to_string() });
    }
    let lower = text.to_lowercase();
    let tests: [&dyn Fn(&VmView<'_>) -> bool; 5] = [
        &|view| view.name() == Fact::Known(text),
        &|view| view.moref().value() == text,
        &|view| view.instance_uuid().is_some_and(|uuid| uuid.to_string() == lower),
        &|view| view.bios_uuid().is_some_and(|uuid| uuid.to_string() == lower),
        &|view| view.guest_host_name().is_some_and(|name| name.eq_ignore_ascii_case(text)),
    ];
    for test in tests {
        let fitting: Vec<Found> =
            fleet.parts().flat_map(Part::vms).filter(|view| test(view)).map(|view| found(&view)).collect();
        match &fitting[..] {
            [] => {}
            [one] => return Ok(one.clone()),
            several => return Err(ambiguous(text, several)),
        }
    }
    Err(Refusal(format!(
        "no VM is called `{text}`; `vmbridge inventory` lists them, and <vCenter>/<managed object id> always works"
    )))
}

fn ambiguous(text: &str, several: &[Found]) -> Refusal {
    let mut names: Vec<String> =
        several.iter().map(|found| format!("{}/{}", found.vcenter.as_str(), found.moref)).collect();
    names.sort();
    let more = names.len().saturating_sub(MOST_LISTED);
    names.truncate(MOST_LISTED);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    Refusal(format!("`{text}` fits {} VMs; say which: {}{rest}", several.len(), names.join(", ")))
}
