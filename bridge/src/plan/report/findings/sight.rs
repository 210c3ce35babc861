//! Whether what a finding is about can be seen, where nothing is wrong with it now.
//!
//! A finding is closed only when it was looked at and nothing is wrong, or when what it is about is surely gone. While anything
//! that this depends on cannot be read, it stays.

use std::cell::OnceCell;

use foldhash::HashSet;
use mappings::findings::life::Sight;
use mappings::findings::{Kind, Object, RuleId};
use vsphere_client::ids::{InstanceUuid, VcenterUuid};

use super::gather::Gathered;
use super::rules;
use super::subject::{self, Spot};
use crate::fleet::{Fleet, Part};
use crate::plan::snapshots::Scene;

/// Looks at what findings are about.
pub(super) struct Sights<'s, 'a, 'f> {
    pub scene: &'s Scene<'a, 'f>,
    pub fleet: &'s Fleet,
    pub gathered: &'s Gathered,
    pub twins: &'s HashSet<VcenterUuid>,
    pub instances: OnceCell<HashSet<InstanceUuid>>,
    pub all_current: OnceCell<bool>,
}

impl Sights<'_, '_, '_> {
    /// What is known of an object and a rule that it has no problem with.
    pub(super) fn of(&self, object: &Object, rule: &RuleId) -> Sight {
        let Some(spot) = subject::spot(object) else { return Sight::Unknown };
        let of_vcenter = |(part, _): &&(&Part, _)| part.uuid() == Some(spot.1);
        let Some((part, stale)) = self.scene.parts.iter().find(of_vcenter) else {
            // Its vCenter is not in the configuration any more, if all that are have told who they are. What was there may be fixed
            // or not: nobody looks.
            return if self.all_current() { self.gone(object) } else { Sight::Unknown };
        };
        if stale.is_some() || self.twins.contains(&spot.1) || self.gathered.blind.contains(&spot) {
            return Sight::Unknown;
        }
        let is_there = match object.kind {
            Kind::Vm => match part.vm(object.moref.as_str()) {
                Some(view) => {
                    let instance = view.instance_uuid().map(|instance| instance.to_string());
                    // Another VM may have got its reference.
                    !matches!((&object.instance, instance), (Some(was), Some(is)) if *was.as_str() != *is)
                }
                // It is there, and nobody asks about it any more.
                None if part.vm_anywhere(object.moref.as_str()).is_some() => return Sight::NotAsked,
                None => false,
            },
            Kind::Host | Kind::Cluster | Kind::Portgroup => self.gathered.setups.contains(&spot),
        };
        if is_there { self.seen(spot, part, rule) } else { self.gone(object) }
    }

    fn seen(&self, spot: Spot, part: &Part, rule: &RuleId) -> Sight {
        let settings = &self.scene.policy.report.findings;
        if self.gathered.unasked.contains(&spot) || !rules::is_asked(settings, part, spot.0, rule.as_str()) {
            return Sight::NotAsked;
        }
        let Gathered { unknown, quiet, .. } = self.gathered;
        if unknown.is_empty() && quiet.is_empty() {
            return Sight::Seen;
        }
        let key = (spot, rule.as_str().into());
        if unknown.contains(&key) { Sight::Unknown } else { quiet.get(&key).copied().unwrap_or(Sight::Seen) }
    }

    /// It is not where it was. A VM that moved to another vCenter is told there.
    fn gone(&self, object: &Object) -> Sight {
        let instance = object.instance.as_ref().and_then(|instance| instance.as_str().parse().ok());
        let Some(instance) = instance else { return Sight::Gone };
        if self.instances().contains(&instance) {
            Sight::Moved
        } else if self.all_current() {
            Sight::Gone
        } else {
            Sight::Unknown
        }
    }

    fn instances(&self) -> &HashSet<InstanceUuid> {
        self.instances.get_or_init(|| {
            let is_current = |part: usize| self.scene.parts[part].1.is_none();
            let current = self.scene.candidates.iter().filter(|candidate| is_current(candidate.part));
            current.filter_map(|candidate| candidate.view.instance_uuid()).collect()
        })
    }

    /// Whether everything that is configured can be seen.
    fn all_current(&self) -> bool {
        *self.all_current.get_or_init(|| {
            self.scene.parts.iter().all(|(part, stale)| stale.is_none() && part.uuid().is_some())
                && self
                    .fleet
                    .organisations()
                    .all(|(_, organisation)| organisation.as_of.is_some() && organisation.error.is_none())
        })
    }
}
