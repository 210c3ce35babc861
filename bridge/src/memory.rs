//! What the planner remembers: ownership, identities, what is under way, what failed, what was approved.
//!
//! It is the store's contents in memory, kept in step by whoever writes to the store. The planner only reads it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use mappings::findings::Owner;
use mappings::findings::life::Book;
use mappings::protection::{Record, RecordId};

use crate::aws::{NodeId, Place};
use crate::enrol::Enrolment;
use crate::plan::{Action, Capability};
use crate::snapshot::Scope;
use crate::store::{
    Approval, Contents, EntryId, Failing, Failure, FailureChange, FindingChange, Holder, Identity, Owned,
    OwnedChange, Protection, Refusal, ScopeChange, Step, VmId,
};
use crate::texts::Texts;

/// What was intended and whose end is not known.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// What it is.
    pub action: Action,
    /// When it may have been done at the latest: when its answer was lost, or when the program was started again. It may
    /// have waited for its turn long after it was intended.
    pub latest: Timestamp,
    /// Whether it is being done now. If not, how it ended has to be found out first.
    pub running: bool,
}

/// A change of something that existed, for the guard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// When.
    pub time: Timestamp,
    /// Of which capability.
    pub capability: Capability,
    /// Where.
    pub place: Arc<str>,
    /// Of which node or VM.
    pub object: Arc<str>,
    /// The names that were changed or removed.
    pub names: Vec<Arc<str>>,
}

/// A TCP port of a VM: the vCenter by its name, the VM's managed object id, and the port.
pub type Port = (Arc<str>, Arc<str>, u16);

/// What the planner remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The id of this installation, in the mark on what it owns.
    pub installation: Arc<str>,
    /// Installations that this one was before.
    pub former: Vec<Arc<str>>,
    /// The state was last used on another machine: nothing is done until a person claims it.
    pub copied: bool,
    /// Which nodes are which VMs, or are not.
    pub identities: HashMap<(Place, NodeId), Vec<Identity>>,
    /// What is owned.
    pub owned: HashMap<Holder, BTreeMap<Arc<str>, Owned>>,
    /// What is under way.
    pub open: BTreeMap<EntryId, Open>,
    /// What fails.
    pub failures: HashMap<Failing, Failure>,
    /// How far enrolments are.
    pub enrolments: HashMap<VmId, Enrolment>,
    /// Snapshots that we take, have or had, by VM and the id of the first attempt.
    pub protections: BTreeMap<VmId, BTreeMap<RecordId, Record>>,
    /// Whether ports of VMs answered, by vCenter, VM and port, and when they were asked.
    pub ports: HashMap<Port, (Timestamp, bool)>,
    /// Openings of windows, by window and time.
    pub scopes: BTreeMap<(Arc<str>, Timestamp), Scope>,
    /// What Security Hub has of our findings.
    pub findings: Book,
    /// When the readings began with which they were compared last, by account and Region.
    pub reconciled: HashMap<Place, Timestamp>,
    /// VMs whose enrolment a person asked for.
    pub asked: HashSet<VmId>,
    /// A person wants all findings closed that are open. It holds until that is done, or findings are enforced.
    pub withdrawing: bool,
    /// Credentials that guests refused, by VM and entry.
    pub refusals: HashMap<VmId, BTreeMap<Arc<str>, Refusal>>,
    /// What tells whether the user or password of an entry of `[[credentials]]` is another now; why it cannot be had.
    pub keys: BTreeMap<Arc<str>, Result<Arc<str>, Arc<str>>>,
    /// What a person allowed: fingerprints and until when.
    pub approvals: HashMap<String, Timestamp>,
    /// What was changed lately.
    pub recent: Vec<Recent>,
    /// Nothing can be written; why.
    pub store_error: Option<String>,
    /// What is owned has few names and many copies of them.
    pub(crate) texts: Texts,
}

impl Memory {
    /// What the store holds, at the start of the program.
    #[must_use]
    pub fn of(contents: Contents, installation: &str, copied: bool, now: Timestamp) -> Self {
        let former = contents.former;
        let mut memory = Self { installation: installation.into(), former, copied, ..Self::default() };
        for identity in contents.identities {
            memory.put_identity(identity);
        }
        for change in contents.owned {
            memory.put_owned(change);
        }
        for change in contents.failures {
            memory.put_failure(change);
        }
        for approval in contents.approvals {
            memory.approve(&approval);
        }
        memory.enrolments.extend(contents.enrolments);
        memory.scopes.extend(contents.scopes.into_iter().map(|scope| (scope.key(), scope)));
        for protection in contents.protections {
            memory.put_protection(protection);
        }
        memory
            .findings
            .records
            .extend(contents.findings.into_iter().map(|record| (record.id.clone(), record)));
        for refusal in contents.refusals {
            memory.put_refusal(refusal);
        }
        for entry in contents.open {
            match serde_json::from_value::<Action>(entry.intent.clone()) {
                Ok(action) => {
                    memory.open.insert(entry.id, Open { action, latest: now, running: false });
                }
                // Cannot happen within one version, and migrations see to it between versions.
                Err(error) => {
                    tracing::error!(entry = entry.id.0, %error, "an open entry of the journal cannot be understood");
                }
            }
        }
        memory
    }

    /// Whether what is known now overrules what a plan found: somebody with more right has decided since.
    pub(crate) fn overrules(&self, found: &Identity) -> bool {
        let Some(basis) = found.basis else { return false };
        let known = self.identities.get(&(found.place.clone(), found.node.clone()));
        known.into_iter().flatten().any(|known| match known.basis {
            None => known.vm == found.vm,
            Some(other) => other > basis,
        })
    }

    /// Takes note of who is what.
    pub fn put_identity(&mut self, identity: Identity) {
        let known = self.identities.entry((identity.place.clone(), identity.node.clone())).or_default();
        known.retain(|other| other.vm != identity.vm);
        known.push(identity);
    }

    /// Takes note of what is owned, or no longer is.
    pub fn put_owned(&mut self, change: OwnedChange) {
        match change.owned {
            Some(owned) => {
                let texts = &mut self.texts;
                let owned = Owned {
                    value: owned.value.map(|value| texts.shared(value)),
                    rule: texts.shared(owned.rule),
                    ..owned
                };
                let name = texts.shared(change.name);
                self.owned.entry(change.holder).or_default().insert(name, owned);
            }
            None => {
                if let Some(known) = self.owned.get_mut(&change.holder) {
                    known.remove(&change.name);
                    if known.is_empty() {
                        self.owned.remove(&change.holder);
                    }
                }
            }
        }
    }

    /// Takes note of what fails, or no longer does.
    pub fn put_failure(&mut self, change: FailureChange) {
        match change.failure {
            Some(failure) => self.failures.insert(change.failing, failure),
            None => self.failures.remove(&change.failing),
        };
    }

    /// Takes note of a step of an enrolment.
    pub fn put_step(&mut self, step: Step) {
        match step.enrolment {
            Some(enrolment) => {
                if !enrolment.stage.is_active() {
                    self.asked.remove(&step.vm);
                }
                self.enrolments.insert(step.vm, enrolment)
            }
            None => self.enrolments.remove(&step.vm),
        };
        if let Some(identity) = step.identity {
            self.put_identity(identity);
        }
        step.owned.into_iter().for_each(|change| self.put_owned(change));
    }

    /// Takes note of how far a snapshot is.
    pub fn put_protection(&mut self, Protection { vm, record }: Protection) {
        self.protections.entry(vm).or_default().insert(record.key().clone(), record);
    }

    /// The marks on findings that are ours.
    #[must_use]
    pub fn finding_owners(&self) -> Vec<Owner> {
        [&self.installation].into_iter().chain(&self.former).map(|id| Owner::from(&**id)).collect()
    }

    /// Takes note of what Security Hub has of a finding.
    pub fn put_finding(&mut self, change: FindingChange) {
        match change.record {
            Some(record) => self.findings.records.insert(change.id, record),
            None => self.findings.records.remove(&change.id),
        };
    }

    /// Takes note of the opening of a window, or forgets it.
    pub fn put_scope(&mut self, change: ScopeChange) {
        match change {
            ScopeChange::Put(scope) => self.scopes.insert(scope.key(), scope),
            ScopeChange::Forget { window, opens } => self.scopes.remove(&(window, opens)),
        };
    }

    /// Takes note of credentials that a guest refused.
    pub fn put_refusal(&mut self, refusal: Refusal) {
        self.refusals.entry(refusal.vm.clone()).or_default().insert(refusal.credentials.clone(), refusal);
    }

    /// Takes note of an approval.
    pub fn approve(&mut self, approval: &Approval) {
        for change in &approval.changes {
            let until = self.approvals.entry(change.clone()).or_insert(approval.expires);
            *until = (*until).max(approval.expires);
        }
    }

    /// Takes note of what an action changes that existed.
    pub fn put_recent(&mut self, action: &Action, time: Timestamp) {
        let mut by_object: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        for (object, name) in action.guarded() {
            by_object.entry(object).or_default().push(name);
        }
        if !by_object.is_empty() {
            let (capability, place) = (action.capability(), action.holder().place);
            self.recent.extend(by_object.into_iter().map(|(object, names)| {
                let place = place.clone();
                Recent { time, capability, place, object, names }
            }));
        }
    }

    /// Forgets what is older than anybody asks for.
    pub fn trim(&mut self, now: Timestamp, window: std::time::Duration) {
        let window = jiff::SignedDuration::try_from(window).unwrap_or(jiff::SignedDuration::MAX);
        self.recent.retain(|recent| now.duration_since(recent.time) <= window);
        self.approvals.retain(|_, until| *until > now);
        self.texts.purge();
    }

    /// What is owned of one holder.
    #[must_use]
    pub fn owned_by(&self, holder: &Holder) -> Option<&BTreeMap<Arc<str>, Owned>> {
        self.owned.get(holder)
    }

    /// Holders of whom something is under way: nothing else is to be planned for them.
    #[must_use]
    pub fn busy(&self) -> HashSet<Holder> {
        self.open.values().map(|open| open.action.holder()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Place;
    use crate::store::{Basis, VmId};

    #[test]
    fn a_person_overrules_what_a_plan_found_and_not_the_other_way_round() {
        let identity = |vm: &str, basis| Identity {
            place: Place::new("111122223333", "eu-central-1"),
            node: "mi-0123456789abcdef0".into(),
            vm: VmId { vcenter: "6f1c6f3e-8a52-4c8e-9d5b-000000000001".parse().unwrap(), vm: vm.into() },
            instance: None,
            basis,
            since: Timestamp::UNIX_EPOCH,
        };
        let found = identity("vm-1", Some(Basis::Activation));
        for (known, overruled) in [
            (identity("vm-1", Some(Basis::Linked)), true),
            (identity("vm-2", Some(Basis::Linked)), true),
            (identity("vm-1", None), true),
            (identity("vm-2", None), false),
            (identity("vm-1", Some(Basis::Activation)), false),
            (identity("vm-2", Some(Basis::Matched)), false),
        ] {
            let contents = crate::store::Contents { identities: vec![known.clone()], ..Default::default() };
            let memory = Memory::of(contents, "test", false, Timestamp::UNIX_EPOCH);
            assert_eq!(memory.overrules(&found), overruled, "{known:?}");
            assert!(!memory.overrules(&identity("vm-1", None)));
        }
    }
}
