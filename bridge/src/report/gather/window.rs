//! Narrowing a report to a maintenance window.
//!
//! A window of AWS takes whom its targets take; who that is was read for this report. A window of the configuration, or of a tag
//! of vSphere, is known to the plan only, and takes VMs.

use std::collections::{BTreeSet, HashMap};

use mappings::compliance::table::Window;

use super::Gather;
use super::node::Membership;
use super::say::some;
use crate::control::Refusal;
use crate::plan::{Plan, VmPlan};
use crate::store::VmId;

/// What follows when a window cannot be read.
const SO: &str = "which of its machines are in the window is not known";

impl Gather<'_, '_> {
    /// The windows that come which each VM is in; of the one that is asked for only.
    ///
    /// # Errors
    /// When no window is called as asked.
    pub(super) fn windows(&self, plan: &Plan) -> Result<HashMap<VmId, Vec<Window>>, Refusal> {
        let mut windows: HashMap<VmId, Vec<Window>> = HashMap::new();
        let wanted = self.query.window.as_deref();
        let read = self.read.windows.iter().flat_map(|windows| windows.targets.values());
        let mut is_there = wanted.is_none() || read.flatten().any(|windows| !windows.called.is_empty());
        for window in &plan.windows {
            let run = &window.forecast.run;
            if wanted.is_some_and(|wanted| *run.window != *wanted && !run.name.eq_ignore_ascii_case(wanted)) {
                continue;
            }
            is_there = true;
            for member in &window.forecast.members {
                let Some(vm) = window.vms.get(*member).filter(|vm| !window.left.contains(vm)) else {
                    continue;
                };
                let of_vm = windows.entry(vm.clone()).or_default();
                if !of_vm.iter().any(|known| known.name == *run.name) {
                    of_vm.push(Window { name: run.name.to_string(), opens: Some(run.opens) });
                }
            }
        }
        match wanted {
            Some(wanted) if !is_there => Err(self.no_window(plan, wanted)),
            _ => Ok(windows),
        }
    }

    fn no_window(&self, plan: &Plan, wanted: &str) -> Refusal {
        let targets = || self.read.windows.iter().flat_map(|windows| &windows.targets);
        let unread: Vec<String> = targets()
            .filter_map(|(target, windows)| Some(format!("{target}: {}", windows.as_ref().err()?)))
            .collect();
        if !unread.is_empty() {
            let why = unread.join("; ");
            return Refusal(format!("no window that can be read is called `{wanted}`: {why}"));
        }
        let mut names: BTreeSet<String> =
            plan.windows.iter().map(|window| window.forecast.run.name.to_string()).collect();
        names.extend(
            targets().filter_map(|(_, windows)| windows.as_ref().ok()).flat_map(|one| one.names.clone()),
        );
        let mut names: Vec<String> = names.into_iter().collect();
        Refusal(match &names[..] {
            [] => format!("no window is called `{wanted}`: there is none"),
            _ => format!("no window is called `{wanted}`; there are {}", some(&mut names)),
        })
    }

    /// What of the window could not be read, and what follows.
    pub(super) fn window_gaps(&mut self) {
        if self.query.window.is_none() {
            return;
        }
        let mut gaps = Vec::new();
        for target in self.targets() {
            match self.read.windows.as_ref().and_then(|windows| windows.targets.get(target)) {
                Some(Ok(read)) => {
                    gaps.extend(read.failures().map(|(what, why)| {
                        format!("{target}: {what} cannot be read, so that {SO} of all: {why}")
                    }));
                }
                Some(Err(why)) => {
                    gaps.push(format!(
                        "{target}: its maintenance windows cannot be read, so that {SO}: {why}"
                    ));
                }
                None => {
                    gaps.push(format!("{target}: its maintenance windows were not asked for, so that {SO}"));
                }
            }
        }
        self.out.not_read.append(&mut gaps);
    }

    /// Whether a VM is in the window that is asked for.
    pub(super) fn is_in_window(
        &self,
        vm: &VmPlan,
        planned: Option<&Vec<Window>>,
        is_known: bool,
    ) -> Membership {
        let planned = planned.cloned().unwrap_or_default();
        if self.query.window.is_none() || !planned.is_empty() {
            return Membership::In(planned);
        }
        let Some((target, link)) = vm.target.as_ref().zip(vm.link.as_ref()) else {
            // A window of AWS takes nodes only.
            return if is_known || vm.target.is_none() { Membership::Out } else { Membership::Unknown };
        };
        let Some(at) = self.at.get(target) else { return Membership::Unknown };
        let known = self.view.cloud.target(target);
        let tags = known.and_then(|known| known.tags.get(&link.node));
        at.has_hybrid(link.node.as_str(), tags.map(|tags| &**tags))
    }
}
