//! What is to be sent to Security Hub now.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::record::{Record, State, WorkflowDue, later};
use crate::findings::asff::{Finding, to_millis};
use crate::findings::build::{Resolution, build};
use crate::findings::fnv;
use crate::findings::fold::{Folding, Group, groups};
use crate::findings::ids::{FindingId, Owner, RuleId};
use crate::findings::name::{Scope, finding_id};
use crate::findings::problem::{Kind, Object, Problem, Severity, Target};

/// What is known now of a subject and a rule for which there is no problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It was looked at: there is none. Also where the rule is not asked for any more.
    Seen,
    /// The subject is surely not there any more.
    Gone,
    /// The subject is surely not there any more: it is another object now, about which is told under its own name.
    Moved,
    /// It cannot be seen now (vCenter not connected, list of nodes too old, property not readable): the finding stays.
    Unknown,
}

/// How findings are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// How problems become findings.
    pub folding: Folding,
    /// An open finding is sent again after so long. Security Hub forgets one 90 days after its last update. The time is cut by up
    /// to a quarter, differently for each finding, so that those that began together are not all sent together.
    pub refresh_after: SignedDuration,
    /// A resolved finding is forgotten after so long: Security Hub forgets archived ones after 30 days.
    pub forget_after: SignedDuration,
    /// After the workflow status was set, a finding is not reopened for so long: setting takes minutes, and would otherwise hide
    /// the problem that has come back.
    pub workflow_settles: SignedDuration,
    /// At most so many changes at once; the others wait for the next plan.
    pub most_per_cycle: NonZeroUsize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            folding: Folding::Folded,
            refresh_after: SignedDuration::from_hours(24 * 60),
            forget_after: SignedDuration::from_hours(24 * 30),
            workflow_settles: SignedDuration::from_mins(10),
            most_per_cycle: NonZeroUsize::new(5_000).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// All that is remembered.
#[derive(Debug, Clone, Default)]
pub struct Book {
    /// The findings that are ours.
    pub records: BTreeMap<FindingId, Record>,
    /// Findings under names that would be ours, which another installation owns.
    pub foreign: BTreeSet<FindingId>,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// The problem has come back.
    Reopen,
    /// The problem has appeared.
    Create,
    /// The problem is over.
    Resolve(Resolution),
    /// The problem is another now, or nobody knows whether the last update arrived.
    Update,
    /// The problem is over, and the workflow status is to be set: see [`closing`](super::closing).
    Close,
    /// Nothing has changed; it is sent so that it is not forgotten.
    Refresh,
}

/// One finding that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Why.
    pub kind: ChangeKind,
    /// The record as it is when Security Hub has taken it.
    pub record: Record,
    /// The record as it was.
    pub before: Option<Arc<Record>>,
}

impl Change {
    /// What is imported; nothing when only the workflow status is to be set.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        (self.kind != ChangeKind::Close).then(|| self.record.finding())
    }
}

/// A finding that Security Hub refuses for as long as it says the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which one.
    pub id: FindingId,
    /// The code of the error.
    pub code: Arc<str>,
    /// What Security Hub said.
    pub message: Arc<str>,
}

/// A finding that another installation owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Which one.
    pub id: FindingId,
}

/// What is to be done, and why not more.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// What is to be sent, the most urgent first.
    pub changes: Vec<Change>,
    /// Records of findings that Security Hub does not have any more, or never had.
    pub forget: Vec<FindingId>,
    /// What is permanently refused.
    pub refused: Vec<Refused>,
    /// What another installation tells already.
    pub foreign: Vec<Foreign>,
    /// How many have to wait before they are tried again.
    pub waiting: usize,
    /// How many there are beyond `most_per_cycle`.
    pub held_back: usize,
    /// How many findings stay as they are because their subject cannot be seen.
    pub unseen: usize,
    /// When there is something to do even if nothing changes.
    pub next: Option<Timestamp>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.forget.is_empty()
    }

    fn at(&mut self, time: Timestamp) {
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }
}

struct Planner<'a, S> {
    sight: S,
    owner: &'a Owner,
    policy: &'a Policy,
    now: Timestamp,
    plan: Plan,
}

/// Compares the problems of now with what Security Hub has. `sight` is asked for subjects and rules of findings for which there
/// is no problem. With the same problems, and after its changes were accepted, the next plan is empty.
#[must_use]
pub fn plan(
    problems: &[Problem],
    book: &Book,
    sight: impl Fn(&Object, &RuleId) -> Sight,
    owner: &Owner,
    policy: &Policy,
    now: Timestamp,
) -> Plan {
    let mut planner = Planner { sight, owner, policy, now, plan: Plan::default() };
    let groups = groups(problems, policy.folding);
    let index = index(&book.records);
    let mut matched: BTreeSet<&FindingId> = BTreeSet::new();
    for group in &groups {
        let id = finding_id(group.target, group.object, &group.scope);
        let record = book.records.get(&id).or_else(|| compatible(&index, group, &matched));
        if let Some(record) = record {
            matched.insert(&record.id);
            planner.wanted(group, record.id.clone(), Some(record));
        } else if book.foreign.contains(&id) {
            planner.plan.foreign.push(Foreign { id });
        } else {
            planner.wanted(group, id, None);
        }
    }
    let told = Told::of(problems);
    for record in book.records.values().filter(|record| !matched.contains(&record.id)) {
        planner.unwanted(record, &told);
    }
    planner.finish()
}

type Index<'a> = BTreeMap<(&'a Target, Kind, &'a str, &'a str, &'a Scope), Vec<&'a Record>>;

fn index(records: &BTreeMap<FindingId, Record>) -> Index<'_> {
    let mut index = Index::new();
    for record in records.values() {
        let Object { kind, vcenter, moref, .. } = &record.object;
        let key = (&record.target, *kind, vcenter.as_str(), moref.as_str(), &record.scope);
        index.entry(key).or_default().push(record);
    }
    index
}

/// The finding of a VM whose instance UUID cannot be read now, or could not be read then. The newest, if there are several.
fn compatible<'a>(
    index: &Index<'a>,
    group: &Group<'_>,
    matched: &BTreeSet<&FindingId>,
) -> Option<&'a Record> {
    let Object { kind, vcenter, moref, .. } = group.object;
    let records = index.get(&(group.target, *kind, vcenter.as_str(), moref.as_str(), &group.scope))?;
    let fits = |record: &&&Record| record.object.is_same(group.object) && !matched.contains(&record.id);
    records.iter().filter(fits).max_by_key(|record| record.updated_at).copied()
}

/// What has a problem now, wherever it is told.
struct Told<'a> {
    rules: BTreeSet<(&'a Object, &'a RuleId)>,
}

impl<'a> Told<'a> {
    fn of(problems: &'a [Problem]) -> Self {
        let rules = problems.iter().filter(|problem| problem.status != crate::findings::Status::Passed);
        Self { rules: rules.map(|problem| (&problem.subject.object, &problem.rule)).collect() }
    }
}

impl<S: Fn(&Object, &RuleId) -> Sight> Planner<'_, S> {
    fn wanted(&mut self, group: &Group<'_>, id: FindingId, record: Option<&Record>) {
        let mut parts = group.parts();
        if let Some(record) = record.filter(|record| record.state == State::Open) {
            let known: BTreeSet<RuleId> = parts.iter().map(|part| part.rule.clone()).collect();
            let lost = record.parts.iter().filter(|part| !known.contains(&part.rule));
            let kept = lost.filter(|part| (self.sight)(&record.object, &part.rule) == Sight::Unknown);
            parts.extend(kept.cloned());
            parts.sort();
        }
        let (content, hash) = build(group, &id, self.owner, &parts);
        let first_observed = record.map_or(self.now, |record| record.first_observed);
        let mut next = Record {
            id,
            target: group.target.clone(),
            object: group.object.clone(),
            scope: group.scope.clone(),
            parts,
            content: Arc::new(content),
            hash,
            state: State::Open,
            first_observed: to_millis(first_observed),
            updated_at: to_millis(self.now),
            imported_at: None,
            in_doubt: false,
            workflow_at: None,
            failure: None,
        };
        let Some(record) = record else {
            self.change(ChangeKind::Create, next, None);
            return;
        };
        if next.object.instance.is_none() {
            next.object.instance.clone_from(&record.object.instance);
        }
        let kind = match record.state {
            State::Resolved { .. } => {
                let ready = record.workflow_at.map(|at| later(at, self.policy.workflow_settles));
                if let Some(ready) = ready.filter(|ready| *ready > self.now) {
                    self.plan.waiting += 1;
                    self.plan.at(ready);
                    return;
                }
                ChangeKind::Reopen
            }
            State::Open if !record.may_exist() => ChangeKind::Create,
            State::Open if record.in_doubt || record.hash != next.hash => ChangeKind::Update,
            State::Open if self.is_due(record) => ChangeKind::Refresh,
            State::Open => return,
        };
        self.change(kind, next, Some(record));
    }

    /// There is no problem for it now.
    fn unwanted(&mut self, record: &Record, told: &Told<'_>) {
        match record.state {
            State::Open => {
                let resolution = self.resolution(record, told);
                match resolution {
                    Some(_) if !record.may_exist() => self.plan.forget.push(record.id.clone()),
                    Some(resolution) => self.resolve(record, resolution),
                    None => {
                        self.plan.unseen += 1;
                        self.keep(record);
                    }
                }
            }
            State::Resolved { since, workflow } => {
                let forgotten = later(record.imported_at.unwrap_or(since), self.policy.forget_after);
                if forgotten <= self.now {
                    self.plan.forget.push(record.id.clone());
                } else if workflow == WorkflowDue::Look {
                    let mut next = record.clone();
                    next.state = State::Resolved { since, workflow: WorkflowDue::Done };
                    self.change(ChangeKind::Close, next, Some(record));
                } else {
                    self.plan.at(forgotten);
                }
            }
        }
    }

    /// Why it is over; none if that is not sure.
    fn resolution(&self, record: &Record, told: &Told<'_>) -> Option<Resolution> {
        let mut resolution = Resolution::Fixed;
        let folded = self.policy.folding == Folding::Folded;
        if folded != record.scope.is_folded() {
            resolution = Resolution::Replaced;
        }
        for part in &record.parts {
            if told.rules.contains(&(&record.object, &part.rule)) {
                resolution = Resolution::Replaced;
                continue;
            }
            match (self.sight)(&record.object, &part.rule) {
                Sight::Unknown => return None,
                Sight::Gone if resolution == Resolution::Fixed => resolution = Resolution::Gone,
                Sight::Moved => resolution = Resolution::Replaced,
                Sight::Gone | Sight::Seen => {}
            }
        }
        Some(resolution)
    }

    fn resolve(&mut self, record: &Record, resolution: Resolution) {
        let (content, hash) = record.content.resolved(resolution);
        let mut next = record.clone();
        (next.content, next.hash) = (Arc::new(content), hash);
        next.state = State::Resolved { since: self.now, workflow: WorkflowDue::Look };
        self.change(ChangeKind::Resolve(resolution), next, Some(record));
    }

    /// It stays as it is, but is not forgotten.
    fn keep(&mut self, record: &Record) {
        if record.in_doubt || !record.may_exist() {
            self.change(ChangeKind::Update, record.clone(), Some(record));
        } else if self.is_due(record) {
            self.change(ChangeKind::Refresh, record.clone(), Some(record));
        }
    }

    fn is_due(&mut self, record: &Record) -> bool {
        let after = self.policy.refresh_after;
        let spread = i64::try_from(fnv::hash(record.id.as_str().as_bytes()) % 1024).unwrap_or(0);
        let early = SignedDuration::from_secs(after.as_secs() / 4 / 1024 * spread);
        let due = record.imported_at.map_or(self.now, |at| later(at, after - early));
        if due > self.now {
            self.plan.at(due);
        }
        due <= self.now
    }

    fn change(&mut self, kind: ChangeKind, mut record: Record, before: Option<&Record>) {
        if let Some(failure) = before.and_then(|before| before.failure.as_ref()) {
            if failure.permanent && failure.hash == record.hash {
                let (code, message) = (Arc::clone(&failure.code), Arc::clone(&failure.message));
                self.plan.refused.push(Refused { id: record.id, code, message });
                return;
            }
            if !failure.permanent && failure.retry_at > self.now {
                self.plan.waiting += 1;
                self.plan.at(failure.retry_at);
                return;
            }
        }
        if let (Some(before), true) = (before, kind != ChangeKind::Close) {
            record.updated_at = before.next_update(self.now);
            record.imported_at = before.imported_at;
        }
        self.plan.changes.push(Change {
            kind,
            record,
            before: before.map(|before| Arc::new(before.clone())),
        });
    }

    fn finish(mut self) -> Plan {
        self.plan.changes.sort_by(|one, two| urgency(one).cmp(&urgency(two)));
        let most = self.policy.most_per_cycle.get();
        self.plan.held_back = self.plan.changes.len().saturating_sub(most);
        self.plan.changes.truncate(most);
        self.plan
    }
}

/// What has to be sent first comes first: new problems before all else, the worst of them before others.
fn urgency(change: &Change) -> (ChangeKind, std::cmp::Reverse<Severity>, &FindingId) {
    let severity = change.record.content.finding_provider_fields.severity.label;
    (change.kind, std::cmp::Reverse(severity), &change.record.id)
}
