//! What is to be sent to Security Hub now.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::book::{Book, Stranger};
use super::kin::{Kin, Told};
use super::record::{Failure, Record, State, WorkflowDue, later, next_update, past};
use crate::findings::asff::{Finding, to_millis};
use crate::findings::build::{Resolution, build};
use crate::findings::fnv;
use crate::findings::fold::{Folding, Group, groups};
use crate::findings::ids::{FindingId, Owner, RuleId};
use crate::findings::name::finding_id;
use crate::findings::problem::{Object, Problem, Severity, Target};

/// What is known now of a subject and a rule for which there is no problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It was looked at: there is none.
    Seen,
    /// It was looked at, and somebody accepts what is wrong.
    Accepted,
    /// Nobody asks: the rule is switched off or does not apply, somebody else looks after the subject, or it was left out.
    NotAsked,
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

/// A finding that another installation owns, about a problem that we would tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Which one.
    pub id: FindingId,
    /// Where.
    pub target: Target,
    /// What it is about.
    pub object: Object,
    /// The installation; none: it does not say.
    pub owner: Option<Owner>,
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
    let kin = Kin::of(&book.records);
    let mut matched: BTreeSet<&FindingId> = BTreeSet::new();
    for group in &groups {
        let id = finding_id(group.target, group.object, &group.scope);
        let record = kin.of_group(group, &id, &matched);
        if let Some(record) = record {
            matched.insert(&record.id);
            planner.wanted(group, record.id.clone(), Some(record), None);
            continue;
        }
        match book.others.foreign.get(&id) {
            Some(Stranger { is_open: true, owner, .. }) => {
                let (target, object, owner) = (group.target.clone(), group.object.clone(), owner.clone());
                planner.plan.foreign.push(Foreign { id, target, object, owner });
            }
            Some(_) | None => {
                let last = book.others.last_update(&id);
                planner.wanted(group, id, None, last);
            }
        }
    }
    let told = Told::of(problems);
    for record in book.records.values().filter(|record| !matched.contains(&record.id)) {
        planner.unwanted(record, &told);
    }
    planner.finish()
}

/// Ends findings although their problems may be there, because a person wants none of them any more: first the findings themselves,
/// then their workflow status. After that was done, the next plan is empty.
#[must_use]
pub fn withdraw<'r>(
    records: impl IntoIterator<Item = &'r Record>,
    owner: &Owner,
    policy: &Policy,
    now: Timestamp,
) -> Plan {
    // It does not matter what can be seen of them.
    let sight = |_: &Object, _: &RuleId| Sight::Unknown;
    let mut planner = Planner { sight, owner, policy, now, plan: Plan::default() };
    for record in records {
        match record.state {
            State::Open => planner.end(record, Resolution::Withdrawn),
            State::Resolved { since, workflow } => planner.over(record, since, workflow),
        }
    }
    planner.finish()
}

impl<S: Fn(&Object, &RuleId) -> Sight> Planner<'_, S> {
    /// There is a problem. `last`: the `UpdatedAt` of what is there under the name and is nobody's.
    fn wanted(&mut self, group: &Group<'_>, id: FindingId, record: Option<&Record>, last: Option<Timestamp>) {
        let mut parts = group.parts();
        if let Some(record) = record.filter(|record| record.state == State::Open) {
            let known: BTreeSet<RuleId> = parts.iter().map(|part| part.rule.clone()).collect();
            let lost = record.parts.iter().filter(|part| !known.contains(&part.rule));
            let kept = lost.filter(|part| (self.sight)(&record.object, &part.rule) == Sight::Unknown);
            parts.extend(kept.cloned());
            parts.sort();
        }
        let mut object = group.object.clone();
        if let Some(record) = record.filter(|_| object.instance.is_none()) {
            object.instance.clone_from(&record.object.instance);
        }
        let (content, hash) = build(group, &id, &object, self.owner, &parts);
        let first_observed = record.map_or(self.now, |record| record.first_observed);
        let next = Record {
            id,
            target: group.target.clone(),
            object,
            scope: group.scope.clone(),
            parts,
            content: Arc::new(content),
            hash,
            state: State::Open,
            first_observed: to_millis(first_observed),
            updated_at: last.map_or_else(|| to_millis(self.now), |last| next_update(last, self.now)),
            imported_at: None,
            in_doubt: false,
            workflow_at: None,
            failure: None,
        };
        let Some(record) = record else {
            self.change(ChangeKind::Create, next, None);
            return;
        };
        let kind = match record.state {
            State::Resolved { .. } => {
                let set = record.workflow_at.and_then(|at| past(at, self.now));
                let ready = set.map(|at| later(at, self.policy.workflow_settles));
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
            State::Open => match self.resolution(record, told) {
                Some(resolution) => self.end(record, resolution),
                None => {
                    self.plan.unseen += 1;
                    self.keep(record);
                }
            },
            State::Resolved { since, workflow } => self.over(record, since, workflow),
        }
    }

    /// It is over since then.
    fn over(&mut self, record: &Record, since: Timestamp, workflow: WorkflowDue) {
        match workflow {
            WorkflowDue::Look => {
                let mut next = record.clone();
                next.state = State::Resolved { since, workflow: WorkflowDue::Done };
                self.change(ChangeKind::Close, next, Some(record));
            }
            WorkflowDue::Done => {
                // Of one that ended at a time that nobody knows, the next reading tells whether it is forgotten.
                let Some(ended) = past(record.imported_at.unwrap_or(since), self.now) else { return };
                let forgotten = later(ended, self.policy.forget_after);
                if forgotten <= self.now {
                    self.plan.forget.push(record.id.clone());
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
            if told.has(&record.object, &part.rule) {
                resolution = Resolution::Replaced;
                continue;
            }
            resolution = resolution.max(match (self.sight)(&record.object, &part.rule) {
                Sight::Unknown => return None,
                Sight::Seen => Resolution::Fixed,
                Sight::Gone => Resolution::Gone,
                Sight::NotAsked => Resolution::NotAsked,
                Sight::Accepted => Resolution::Accepted,
                Sight::Moved => Resolution::Replaced,
            });
        }
        Some(resolution)
    }

    fn end(&mut self, record: &Record, resolution: Resolution) {
        if !record.may_exist() {
            self.plan.forget.push(record.id.clone());
            return;
        }
        let (content, hash) = record.content.owned_by(self.owner).resolved(resolution);
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
        // Of one that was sent at a time that nobody knows nobody knows either when it is forgotten.
        let due = record.taken(self.now).map_or(self.now, |at| later(at, after - early));
        if due > self.now {
            self.plan.at(due);
        }
        due <= self.now
    }

    fn change(&mut self, kind: ChangeKind, record: Record, before: Option<&Record>) {
        if let Some((before, failure)) = before.and_then(|before| Some((before, before.failure.as_ref()?))) {
            if failure.permanent && failure.hash == record.hash {
                let (code, message) = (Arc::clone(&failure.code), Arc::clone(&failure.message));
                self.plan.refused.push(Refused { id: record.id, code, message });
                if kind == ChangeKind::Update {
                    self.hold(before, failure);
                }
                return;
            }
            if !failure.permanent && self.waits(failure) {
                return;
            }
        }
        self.push(kind, Record { failure: None, ..record }, before);
    }

    /// What it is to say now is refused. What was taken last is kept from being forgotten, since the problem is there.
    fn hold(&mut self, before: &Record, failure: &Failure) {
        let is_there = before.imported_at.is_some() && before.hash != failure.hash;
        if is_there && (before.in_doubt || self.is_due(before)) && !self.waits(failure) {
            self.push(ChangeKind::Refresh, Record { in_doubt: false, ..before.clone() }, Some(before));
        }
    }

    /// Whether something has to wait since it failed lately.
    fn waits(&mut self, failure: &Failure) -> bool {
        let Some(until) = failure.waits_until(self.now) else { return false };
        self.plan.waiting += 1;
        self.plan.at(until);
        true
    }

    fn push(&mut self, kind: ChangeKind, mut record: Record, before: Option<&Record>) {
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
