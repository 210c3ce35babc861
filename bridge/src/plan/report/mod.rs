//! Reporting: what AWS is told of VMs, their hosts, clusters and networks.
//!
//! Going through everything that is reported takes longer than all other planning together, and nothing of it is urgent: the
//! engine asks for it more rarely than for the rest.

mod compliance;
mod findings;
mod former;
mod heal;
mod inventory;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use mappings::checks::RuleSet;
use mappings::compliance::List;
use mappings::inventory::{ContentHash, Stored};

use super::snapshots::{LastWindows, Scene};
use super::{Capability, CapabilityVerdict, Plan, Reason, hindered};
use crate::aws::{NodeId, Place};
use crate::cloud::TargetView;
use crate::config::{ComplianceSettings, Config, FindingsSettings, InventorySettings, Mode};
use crate::fleet::{Part, VmView};
use crate::store::{Holder, Owned, OwnedChange, VmId};

/// What the operator wants to be told to AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportPolicy {
    /// Systems Manager's inventory.
    pub inventory: InventorySettings,
    /// Systems Manager's compliance.
    pub compliance: ComplianceSettings,
    /// Security Hub.
    pub findings: FindingsSettings,
    /// What VMs, hosts, clusters and port groups are held against.
    pub rules: Arc<RuleSet>,
}

impl ReportPolicy {
    /// That of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            inventory: config.inventory.clone(),
            compliance: config.compliance.clone(),
            findings: config.findings.clone(),
            rules: Arc::clone(&config.rules),
        }
    }

    /// Nothing is reported.
    #[cfg(test)]
    pub(crate) fn off() -> Self {
        Self {
            inventory: InventorySettings::off(),
            compliance: ComplianceSettings::off(),
            findings: FindingsSettings::off(),
            rules: Arc::default(),
        }
    }
}

/// What a plan has to say of reports about VMs.
#[derive(Default)]
pub(super) struct Reports {
    /// By the number of the candidate.
    verdicts: HashMap<usize, [CapabilityVerdict; 3]>,
}

impl Reports {
    /// What is said of a candidate: of inventory, compliance and findings.
    pub(super) fn verdicts(&mut self, number: usize) -> [CapabilityVerdict; 3] {
        self.verdicts.remove(&number).unwrap_or_else(|| [(); 3].map(|()| says(Reason::Off)))
    }
}

fn says(reason: Reason) -> CapabilityVerdict {
    CapabilityVerdict { reason: Some(reason), notes: Vec::new() }
}

/// A VM that is a managed node, both as current as can be.
struct Reported<'a, 'f> {
    /// The number of its part of the fleet.
    part_number: usize,
    view: &'a VmView<'f>,
    part: &'f Part,
    vm: &'a VmId,
    label: &'a Arc<str>,
    place: &'a Place,
    node: &'a NodeId,
    /// The node again, as the one who holds what was told.
    holder: Holder,
    cloud: &'a TargetView,
}

/// What all reports are made of.
struct Look<'s, 'a, 'f> {
    scene: &'s Scene<'a, 'f>,
    policy: &'a ReportPolicy,
    busy: HashSet<Holder>,
    now: Timestamp,
}

impl Look<'_, '_, '_> {
    fn hindered(&self, capability: Capability, holder: &Holder) -> Option<Reason> {
        hindered(self.scene.memory, &self.busy, capability, holder, self.now)
    }
}

/// Plans all reports.
pub(super) fn plan(scene: &Scene<'_, '_>, plan: &mut Plan) -> Reports {
    let policy = &scene.policy.report;
    let mut out = Reports::default();
    let modes = [policy.inventory.mode, policy.compliance.mode, policy.findings.mode];
    if modes == [Mode::Off; 3] {
        return out;
    }
    let look = Look { scene, policy, busy: scene.memory.busy(), now: scene.now };
    let (mut inventory, mut compliance) =
        (inventory::Inventory::default(), compliance::Compliance::of(&look));
    for number in 0..scene.candidates.len() {
        let verdicts = match reported(scene, number) {
            Ok(one) => {
                let inventory = inventory.plan(&look, &one, plan);
                let compliance = compliance.plan(&look, &one, plan);
                [inventory, compliance, says(Reason::InStep)]
            }
            Err(reason) => [(); 3].map(|()| says(reason.clone())),
        };
        out.verdicts.insert(number, verdicts);
    }
    former::plan(&look, plan);
    heal::plan(&look, plan);
    for (verdicts, mode) in [0, 1, 2].into_iter().zip(modes) {
        if mode == Mode::Off {
            out.verdicts.values_mut().for_each(|said| said[verdicts] = says(Reason::Off));
        }
    }
    out
}

/// The protection of every VM that is a managed node, whether it is told or not; `None` where nobody can say.
pub(super) fn protections(scene: &Scene<'_, '_>) -> HashMap<VmId, Option<Arc<List>>> {
    let policy = &scene.policy.report;
    let look = Look { scene, policy, busy: HashSet::new(), now: scene.now };
    let windows = LastWindows::of(scene.memory, scene.now);
    (0..scene.candidates.len())
        .filter_map(|number| reported(scene, number).ok())
        .map(|one| (one.vm.clone(), compliance::protection_of(&look, &one, &windows)))
        .collect()
}

/// Plans findings, which follow from what all capabilities say of VMs.
pub(super) use findings::plan as plan_findings;
pub(crate) use findings::strangers;
pub(in crate::plan) use findings::strangers::told_by_others;
pub use findings::{FindingStep, FindingsPlan, HubPlan, Reconciled};
pub(crate) use findings::{reach, withdraw};

/// The node that a candidate is, or why nothing can be told of it.
fn reported<'s, 'f>(scene: &'s Scene<'_, 'f>, number: usize) -> Result<Reported<'s, 'f>, Reason> {
    let candidate = &scene.candidates[number];
    let target = *candidate.route.as_ref().map_err(Clone::clone)?;
    let (part, stale) = &scene.parts[candidate.part];
    if let Some(stale) = stale {
        return Err(stale.clone());
    }
    let (place, cloud, matching) = scene.matchings[target].as_ref().map_err(|why| {
        Reason::TargetUnreadable { target: scene.policy.targets[target].name.clone(), why: why.clone() }
    })?;
    let link = matching.links.get(&number).ok_or_else(|| match matching.disputed.get(&number) {
        Some(nodes) => Reason::SeveralNodes(nodes.clone()),
        None => Reason::NotManaged,
    })?;
    Ok(Reported {
        part_number: candidate.part,
        view: &candidate.view,
        part,
        vm: &candidate.id,
        label: &candidate.label,
        place,
        node: &link.node,
        holder: Holder::report(place, &link.node),
        cloud,
    })
}

/// What a node was told of a type, as far as it can be understood.
fn stored(owned: Option<&Owned>) -> Option<Stored> {
    let owned = owned?;
    Some(Stored { hash: ContentHash::parse(owned.value.as_deref()?).ok()?, at: owned.written })
}

/// Nothing is to be remembered of something that a node was told.
fn forgotten(holder: &Holder, name: &Arc<str>) -> OwnedChange {
    OwnedChange { holder: holder.clone(), name: Arc::clone(name), owned: None }
}

/// There may be something to do at this time.
fn look_again(plan: &mut Plan, at: Timestamp) {
    plan.next = Some(plan.next.map_or(at, |next| next.min(at)));
}
