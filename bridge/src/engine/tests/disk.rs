//! A disk of a test: what is written on it outlives the program that wrote it, and it can be slow and full.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use mappings::findings::FindingId;
use mappings::findings::life::Record as FindingRecord;
use mappings::protection::RecordId;

use super::*;
use crate::snapshot::Scope;
use crate::store::FindingChange;
use crate::store::{
    Contents, FailureChange, Identity, OwnedChange, Protection, ScopeChange, StoreProblem, VmId,
};

/// How long a write takes before it is on the disk, and how long after that it takes to say so.
const LATENCY: Duration = Duration::from_millis(2);

/// What goes wrong with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not written.
    Before,
    /// It is written, and an error is told all the same.
    After,
}

#[derive(Default)]
struct State {
    identities: BTreeMap<(Place, NodeId, VmId), Identity>,
    owned: BTreeMap<(Holder, Arc<str>), OwnedChange>,
    journal: Vec<Entry>,
    failures: BTreeMap<Failing, FailureChange>,
    approvals: Vec<Approval>,
    enrolments: BTreeMap<VmId, Enrolment>,
    protections: BTreeMap<(VmId, RecordId), Protection>,
    scopes: BTreeMap<(Arc<str>, Timestamp), Scope>,
    findings: BTreeMap<FindingId, FindingRecord>,
    refused: BTreeMap<(VmId, Arc<str>), crate::store::Refusal>,
    refusals: VecDeque<Refusal>,
}

/// Clones share it, as the program before a crash and the one after it do.
#[derive(Clone)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
    writer: Arc<tokio::sync::Mutex<()>>,
    installation: &'static str,
    former: Vec<Arc<str>>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self::of("0123abcd", &[])
    }

    /// That of another installation, which was these before.
    pub(super) fn of(installation: &'static str, former: &[&str]) -> Self {
        let former = former.iter().map(|id| Arc::from(*id)).collect();
        Self { state: Arc::default(), writer: Arc::default(), installation, former }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The next writes go wrong like this.
    pub(super) fn refuse(&self, refusals: impl IntoIterator<Item = Refusal>) {
        self.lock().refusals.extend(refusals);
    }

    pub(super) fn heal(&self) {
        self.lock().refusals.clear();
    }

    pub(super) fn journal(&self) -> Vec<Entry> {
        self.lock().journal.clone()
    }

    /// How far enrolments are.
    pub(super) fn enrolments(&self) -> BTreeMap<VmId, Enrolment> {
        self.lock().enrolments.clone()
    }

    /// Which nodes are which VMs.
    pub(super) fn identities(&self) -> Vec<Identity> {
        self.lock().identities.values().cloned().collect()
    }

    /// What is owned of a node that has a value.
    pub(super) fn owned(&self, node: &str) -> BTreeMap<String, String> {
        let state = self.lock();
        let owned = state.owned.iter().filter(|((holder, _), _)| *holder.object == *node);
        owned
            .filter_map(|((_, name), change)| {
                Some((name.to_string(), change.owned.as_ref()?.value.as_ref()?.to_string()))
            })
            .collect()
    }

    async fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, StoreError> {
        let full =
            || StoreError { doing: "writing to the disk of the test".into(), problem: StoreProblem::Full };
        let _turn = self.writer.lock().await;
        tokio::time::sleep(LATENCY).await;
        let (written, refusal) = {
            let mut state = self.lock();
            let refusal = state.refusals.pop_front();
            if refusal == Some(Refusal::Before) {
                return Err(full());
            }
            (change(&mut state), refusal)
        };
        tokio::time::sleep(LATENCY).await;
        if refusal == Some(Refusal::After) { Err(full()) } else { Ok(written) }
    }
}

impl State {
    fn put_owned(&mut self, change: &OwnedChange) {
        let key = (change.holder.clone(), change.name.clone());
        match &change.owned {
            Some(_) => self.owned.insert(key, change.clone()),
            None => self.owned.remove(&key),
        };
    }

    fn put_identity(&mut self, identity: &Identity) {
        let key = (identity.place.clone(), identity.node.clone(), identity.vm.clone());
        self.identities.insert(key, identity.clone());
    }

    fn put_step(&mut self, step: &Step) {
        match &step.enrolment {
            Some(enrolment) => self.enrolments.insert(step.vm.clone(), enrolment.clone()),
            None => self.enrolments.remove(&step.vm),
        };
        step.identity.iter().for_each(|identity| self.put_identity(identity));
        step.owned.iter().for_each(|change| self.put_owned(change));
    }

    fn put_finding(&mut self, change: &FindingChange) {
        match &change.record {
            Some(record) => self.findings.insert(change.id.clone(), record.clone()),
            None => self.findings.remove(&change.id),
        };
    }

    fn put_protection(&mut self, protection: &Protection) {
        let key = (protection.vm.clone(), protection.record.key().clone());
        self.protections.insert(key, protection.clone());
    }

    fn put_failure(&mut self, change: &FailureChange) {
        match &change.failure {
            Some(_) => self.failures.insert(change.failing.clone(), change.clone()),
            None => self.failures.remove(&change.failing),
        };
    }
}

impl Records for Disk {
    fn installation(&self) -> &str {
        self.installation
    }

    fn is_copied(&self) -> bool {
        false
    }

    async fn contents(&self) -> Result<Contents, StoreError> {
        let state = self.lock();
        Ok(Contents {
            identities: state.identities.values().cloned().collect(),
            owned: state.owned.values().cloned().collect(),
            open: state.journal.iter().filter(|entry| entry.outcome.is_none()).cloned().collect(),
            failures: state.failures.values().cloned().collect(),
            approvals: state.approvals.clone(),
            enrolments: state.enrolments.clone().into_iter().collect(),
            refusals: state.refused.values().cloned().collect(),
            protections: state.protections.values().cloned().collect(),
            scopes: state.scopes.values().cloned().collect(),
            findings: state.findings.values().cloned().collect(),
            former: self.former.clone(),
        })
    }

    async fn journal_since(&self, since: Timestamp) -> Result<Vec<Entry>, StoreError> {
        Ok(self.lock().journal.iter().filter(|entry| entry.intended >= since).cloned().collect())
    }

    async fn begin(&self, entry: &Entry) -> Result<EntryId, StoreError> {
        self.write(|state| {
            let id = EntryId(i64::try_from(state.journal.len() + 1).unwrap());
            state.journal.push(Entry { id, ..entry.clone() });
            id
        })
        .await
    }

    async fn conclude(&self, id: EntryId, conclusion: &Conclusion) -> Result<(), StoreError> {
        self.write(|state| {
            let entry = state.journal.iter_mut().find(|entry| entry.id == id).unwrap();
            entry.outcome = Some(conclusion.outcome);
            entry.ended = Some(conclusion.ended);
            entry.duration_micros = i64::try_from(conclusion.duration.as_micros()).ok();
            entry.error.clone_from(&conclusion.error);
            conclusion.owned.iter().for_each(|change| state.put_owned(change));
            conclusion.failures.iter().for_each(|change| state.put_failure(change));
            conclusion.step.iter().for_each(|step| state.put_step(step));
            conclusion.protection.iter().for_each(|protection| state.put_protection(protection));
            conclusion.findings.iter().for_each(|change| state.put_finding(change));
            if let Some(refusal) = &conclusion.refusal {
                let key = (refusal.vm.clone(), refusal.credentials.clone());
                state.refused.insert(key, refusal.clone());
            }
        })
        .await
    }

    async fn put_owned(&self, changes: &[OwnedChange]) -> Result<(), StoreError> {
        self.write(|state| changes.iter().for_each(|change| state.put_owned(change))).await
    }

    async fn put_identities(&self, identities: &[Identity]) -> Result<(), StoreError> {
        self.write(|state| {
            identities.iter().for_each(|identity| state.put_identity(identity));
        })
        .await
    }

    async fn forget_identities(&self, place: &Place, node: &NodeId) -> Result<(), StoreError> {
        self.write(|state| state.identities.retain(|(at, known, _), _| (at, known) != (place, node))).await
    }

    async fn approve(&self, approval: &Approval) -> Result<(), StoreError> {
        self.write(|state| state.approvals.push(approval.clone())).await
    }

    async fn put_failure(&self, change: &FailureChange) -> Result<(), StoreError> {
        self.write(|state| state.put_failure(change)).await
    }

    async fn put_steps(&self, steps: &[Step]) -> Result<(), StoreError> {
        self.write(|state| steps.iter().for_each(|step| state.put_step(step))).await
    }

    async fn put_protections(&self, protections: &[Protection]) -> Result<(), StoreError> {
        self.write(|state| protections.iter().for_each(|protection| state.put_protection(protection))).await
    }

    async fn put_findings(&self, changes: &[FindingChange]) -> Result<(), StoreError> {
        self.write(|state| changes.iter().for_each(|change| state.put_finding(change))).await
    }

    async fn put_scopes(&self, changes: &[ScopeChange]) -> Result<(), StoreError> {
        self.write(|state| {
            for change in changes {
                match change {
                    ScopeChange::Put(scope) => state.scopes.insert(scope.key(), scope.clone()),
                    ScopeChange::Forget { window, opens } => state.scopes.remove(&(window.clone(), *opens)),
                };
            }
        })
        .await
    }

    async fn forget_refusals(&self, vm: &VmId) -> Result<(), StoreError> {
        self.write(|state| state.refused.retain(|(refused, _), _| refused != vm)).await
    }

    async fn claim(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
