//! What hardening rules read of the objects of a fleet, reduced to what they ask.
//!
//! The properties come with the watch. What they say is reduced as soon as it arrives, to one small reading for each thing that a rule
//! reads; most objects of a kind have equal ones, which they share. With 45,000 VMs that is a pointer and a length for each VM,
//! and some kilobytes for each way in which VMs are set up.

use std::sync::Arc;

use mappings::checks::{self, Keep, Kind, Reading, RuleSet};
use vsphere_client::ids::MoKind;
use vsphere_client::property::{Extra, ExtraChange, ExtraPath, ExtraReport, TreeRef};

use super::intern::Interner;

/// What the rules read, and where each property goes: made once from the rules.
#[derive(Debug, PartialEq)]
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
pub(super) type Readings = Option<Arc<[Reading]>>;

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
    let mut readings: Vec<Reading> = match known {
        Some(known) if !whole && known.len() == wanted.len() => known.to_vec(),
        // A change of something of which there was no first report leaves all else unknown.
        _ if !whole => vec![Reading::Unreadable; wanted.len()],
        _ => vec![Reading::Missing; wanted.len()],
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
    Some(intern.readings(readings))
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
