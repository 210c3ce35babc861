//! What hardening rules read of the objects of a fleet, reduced to what they ask.
//!
//! The properties come with the watch. What they say is reduced as soon as it arrives, to one small reading for each thing that a rule
//! reads. Hardly two VMs are alike in all of them, but nearly all are in any few of them, so that runs of a few readings are kept
//! once and shared: for the 50 readings of the rules that come with the program 7 pointers a VM, 5 MB for 45,000 VMs.

use std::sync::Arc;

use mappings::checks::{self, Keep, Kind, Reading, RuleSet};
use vsphere_client::ids::MoKind;
use vsphere_client::property::{Extra, ExtraChange, ExtraPath, ExtraReport, TreeRef};

use super::intern::Interner;

/// What the rules read, and where each property goes: made once from the rules.
#[derive(Debug)]
pub struct Reads {
    rules: Arc<RuleSet>,
    /// For each kind the slots that each property fills, in the order of [`RuleSet::properties`].
    slots: [Box<[std::ops::Range<usize>]>; Kind::ALL.len()],
}

impl Reads {
    /// What these rules read.
    #[must_use]
    pub fn new(rules: Arc<RuleSet>) -> Self {
        let slots_of = |kind: Kind| {
            let reads = rules.reads(kind);
            let slots = |(path, _): (&str, Keep<'_>)| {
                // Both are sorted by path.
                let start = reads.partition_point(|read| &*read.path < path);
                let count = reads.iter().skip(start).take_while(|read| &*read.path == path).count();
                start..start + count
            };
            rules.properties(kind).map(slots).collect()
        };
        let slots =
            [slots_of(Kind::Vm), slots_of(Kind::Host), slots_of(Kind::Cluster), slots_of(Kind::Portgroup)];
        Self { rules, slots }
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Arc<RuleSet> {
        &self.rules
    }

    /// Whether other rules read the very same, so that what was read for these serves them too: rules that differ in words, in what
    /// they expect, or in what is suppressed.
    #[must_use]
    pub fn reads_the_same(&self, other: &Self) -> bool {
        Kind::ALL.iter().all(|kind| self.rules.reads(*kind) == other.rules.reads(*kind))
    }

    /// The properties that a watch is to read for them.
    #[must_use]
    pub fn properties(&self) -> Extra {
        Extra::new(Kind::ALL.iter().map(|kind| {
            let extra = |(path, keep): (&str, Keep<'_>)| ExtraPath {
                path: path.into(),
                keep: match keep {
                    Keep::Everything => None,
                    Keep::Keys(keys) => Some(keys.iter().collect()),
                },
            };
            (MoKind::from(kind.managed_type()), self.rules.properties(*kind).map(extra).collect())
        }))
    }
}

/// The kind of object that rules are about, if they are about any of this type.
pub(super) fn kind_of(kind: &MoKind) -> Option<Kind> {
    match kind {
        MoKind::VirtualMachine => Some(Kind::Vm),
        MoKind::HostSystem => Some(Kind::Host),
        MoKind::ClusterComputeResource => Some(Kind::Cluster),
        MoKind::DistributedVirtualPortgroup => Some(Kind::Portgroup),
        _ => None,
    }
}

/// The readings of one object, by slot; nothing while nobody reads them.
pub(super) type Readings = Option<Box<[Arc<[Reading]>]>>;

/// Readings that are shared together.
const RUN: usize = 8;

/// All readings, one after the other.
pub(super) fn all(readings: &Readings) -> Option<Vec<Reading>> {
    Some(readings.as_ref()?.iter().flat_map(|run| run.iter().cloned()).collect())
}

/// Whether the object has anything that could be read, before and after a report. vCenter gives no configuration of a VM whose
/// files it cannot reach, nor of a host that it never reached: that is not known, which differs from "not set".
#[derive(Debug, Clone, Copy)]
pub(super) struct Present {
    pub(super) before: bool,
    pub(super) after: bool,
}

/// Takes over what a report says of extra properties. `whole`: it says everything, so that what it does not mention is not set.
pub(super) fn take(
    reads: &Reads,
    kind: Kind,
    known: &Readings,
    report: Vec<ExtraReport>,
    (whole, present): (bool, Present),
    intern: &mut Interner,
) -> Readings {
    let wanted = reads.rules.reads(kind);
    if wanted.is_empty() {
        return None;
    }
    if !whole && report.is_empty() && present.before == present.after {
        return known.clone();
    }
    let mut readings: Vec<Reading> = if whole {
        vec![Reading::Missing; wanted.len()]
    } else {
        // A change of something of which there was no first report leaves all else unknown.
        all(known).unwrap_or_else(|| vec![Reading::Unreadable; wanted.len()])
    };
    let mut told = vec![false; wanted.len()];
    for ExtraReport { index, change } in report {
        let Some(slots) = reads.slots[kind as usize].get(index).cloned() else { continue };
        for slot in slots {
            let (Some(read), Some(reading), Some(told)) =
                (wanted.get(slot), readings.get_mut(slot), told.get_mut(slot))
            else {
                continue;
            };
            *told = true;
            *reading = match &change {
                ExtraChange::Set(tree) => {
                    tree.root().map_or(Reading::Missing, |root| read.take(Element(root)))
                }
                ExtraChange::Unset => Reading::Missing,
                ExtraChange::Unreadable(_) => Reading::Unreadable,
            };
        }
    }
    let appeared = !whole && present.after && !present.before;
    for (reading, told) in readings.iter_mut().zip(told) {
        match reading {
            Reading::Missing if !present.after => *reading = Reading::Unreadable,
            Reading::Unreadable if appeared && !told => *reading = Reading::Missing,
            _ => {}
        }
    }
    Some(readings.chunks(RUN).map(|run| intern.readings(run)).collect())
}

/// An element of a value, as rules look at it.
#[derive(Clone, Copy)]
struct Element<'a>(TreeRef<'a>);

impl checks::Tree for Element<'_> {
    fn text(&self) -> Option<&str> {
        self.0.text()
    }

    fn type_name(&self) -> Option<&str> {
        self.0.type_name()
    }

    fn children(&self, each: &mut dyn FnMut(&str, Self)) {
        for child in self.0.children() {
            each(child.name(), Element(child));
        }
    }
}

#[cfg(test)]
mod tests;
