//! Which findings are about the same object. The instance UUID of a VM cannot be read at all times, so that one VM may be told
//! under two names.

use std::collections::{BTreeMap, BTreeSet};

use super::record::{Record, State};
use crate::findings::fold::Group;
use crate::findings::ids::{FindingId, InstanceId, RuleId};
use crate::findings::name::Scope;
use crate::findings::problem::{Kind, Object, Problem, Status, Target};

/// An object but for its instance UUID.
type Spot<'a> = (Kind, &'a str, &'a str);

fn spot(object: &Object) -> Spot<'_> {
    let Object { kind, vcenter, moref, .. } = object;
    (*kind, vcenter.as_str(), moref.as_str())
}

/// Records by what they are about.
pub(super) struct Kin<'a> {
    records: &'a BTreeMap<FindingId, Record>,
    by_spot: BTreeMap<(&'a Target, Spot<'a>, &'a Scope), Vec<&'a Record>>,
}

impl<'a> Kin<'a> {
    pub(super) fn of(records: &'a BTreeMap<FindingId, Record>) -> Self {
        let mut by_spot: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
        for record in records.values() {
            by_spot.entry((&record.target, spot(&record.object), &record.scope)).or_default().push(record);
        }
        Self { records, by_spot }
    }

    /// The finding in which a group is told: the one under its own name, or that of the same VM from when its instance UUID could
    /// not be read, or from before it could not. One that is open comes first, so that a VM is never told twice.
    pub(super) fn of_group(
        &self,
        group: &Group<'_>,
        id: &FindingId,
        matched: &BTreeSet<&FindingId>,
    ) -> Option<&'a Record> {
        if let Some(own) =
            self.records.get(id).filter(|own| own.state == State::Open && !matched.contains(id))
        {
            return Some(own);
        }
        let records = self.by_spot.get(&(group.target, spot(group.object), &group.scope))?;
        let fits = |record: &&&Record| record.object.is_same(group.object) && !matched.contains(&record.id);
        let rank = |record: &&&Record| (record.state == State::Open, record.id == *id, record.updated_at);
        records.iter().filter(fits).max_by_key(rank).copied()
    }
}

/// What has a problem now, wherever it is told.
pub(super) struct Told<'a> {
    rules: BTreeMap<(Spot<'a>, &'a RuleId), Option<&'a InstanceId>>,
}

impl<'a> Told<'a> {
    pub(super) fn of(problems: &'a [Problem]) -> Self {
        let there = problems.iter().filter(|problem| problem.status != Status::Passed);
        let rules = there.map(|problem| {
            let object = &problem.subject.object;
            ((spot(object), &problem.rule), object.instance.as_ref())
        });
        Self { rules: rules.collect() }
    }

    pub(super) fn has(&self, object: &Object, rule: &RuleId) -> bool {
        let Some(told) = self.rules.get(&(spot(object), rule)) else { return false };
        !matches!((told, &object.instance), (Some(one), Some(two)) if *one != two)
    }
}
