//! What people decide, and what they ask for.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::{CredentialKeys, Engine, Records};
use crate::aws::{NodeId, Place};
use crate::enrol::{Enrolment, Stage};
use crate::plan::Capability;
use crate::store::{Approval, Failing, FailureChange, Identity, Step, StoreError, VmId};

impl<S: Records> Engine<S> {
    /// Allows the changes that the guard holds under this id. Gives how many they are; nothing if there is no such id.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn approve(&self, id: &str) -> Result<Option<usize>, StoreError> {
        let plan = self.plan();
        let Some(held) = plan.held.into_iter().find(|held| held.id == id) else { return Ok(None) };
        let now = self.0.clock.now();
        let lifetime =
            SignedDuration::try_from(self.policy().guard.approval_lifetime).unwrap_or(SignedDuration::MAX);
        let approval = Approval {
            plan: held.id,
            changes: held.fingerprints,
            approved: now,
            expires: now.checked_add(lifetime).unwrap_or(Timestamp::MAX),
        };
        self.0.store.approve(&approval).await?;
        self.0.memory().approve(&approval);
        self.0.wake.notify_one();
        Ok(Some(approval.changes.len()))
    }

    /// Does only what belongs to this capability from now on: a command that was asked for one thing does no other.
    pub fn only(&self, capability: Capability) {
        let _ = self.0.only.set(capability);
    }

    /// Enrols these VMs although the capability is only observed.
    pub fn ask(&self, vms: impl IntoIterator<Item = VmId>) {
        self.0.memory().asked.extend(vms);
        self.0.wake.notify_one();
    }

    /// Compares what is remembered of findings with what was last read of them, as the next plan with reports would.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub(crate) async fn compare_findings(&self) -> Result<(), StoreError> {
        let plan = self.plan();
        self.0.record_findings(&plan).await
    }

    /// Begins to close all findings that are open, or goes on to act as the policy says.
    pub(crate) fn withdraw_findings(&self, begin: bool) {
        self.0.memory().withdrawing = begin;
        self.0.wake.notify_one();
    }

    /// What tells whether users and passwords of `[[credentials]]` are others now.
    pub fn set_keys(&self, keys: CredentialKeys) {
        let mut memory = self.0.memory();
        if memory.keys != keys {
            memory.keys = keys;
            drop(memory);
            self.0.wake.notify_one();
        }
    }

    /// Takes a person's word on who is what.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn link(&self, identity: Identity) -> Result<(), StoreError> {
        let _deciding = self.0.deciding.lock().await;
        self.0.store.put_identities(std::slice::from_ref(&identity)).await?;
        self.0.memory().put_identity(identity);
        self.0.wake.notify_one();
        Ok(())
    }

    /// Forgets who a node is and is not.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn forget(&self, place: &Place, node: &NodeId) -> Result<(), StoreError> {
        let _deciding = self.0.deciding.lock().await;
        self.0.store.forget_identities(place, node).await?;
        self.0.memory().identities.remove(&(place.clone(), node.clone()));
        self.0.wake.notify_one();
        Ok(())
    }

    /// Tries at once what failed: all of it, or what concerns these objects. Gives how many failures were dropped.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn retry(&self, objects: Option<&HashSet<String>>) -> Result<usize, StoreError> {
        let failing: Vec<Failing> = self
            .0
            .memory()
            .failures
            .keys()
            .filter(|failing| objects.is_none_or(|objects| objects.contains(&*failing.object)))
            .cloned()
            .collect();
        for failing in &failing {
            let change = FailureChange { failing: failing.clone(), failure: None };
            self.0.store.put_failure(&change).await?;
            self.0.memory().put_failure(change);
        }
        let is_asked = |vm: &VmId| objects.is_none_or(|objects| objects.contains(&*vm.vm));
        let now = self.0.clock.now();
        let (failed, refusing): (Vec<(VmId, Option<Enrolment>)>, Vec<VmId>) = {
            let memory = self.0.memory();
            let at_rest = |stage: Stage| matches!(stage, Stage::Failed { .. } | Stage::Quarantined);
            let failed = memory.enrolments.iter().filter(|(vm, one)| at_rest(one.stage) && is_asked(vm));
            let failed = failed.map(|(vm, one)| (vm.clone(), one.forgiven(now))).collect();
            (failed, memory.refusals.keys().filter(|vm| is_asked(vm)).cloned().collect())
        };
        for (vm, enrolment) in &failed {
            let step =
                Step { vm: vm.clone(), enrolment: enrolment.clone(), identity: None, owned: Vec::new() };
            self.0.store.put_steps(std::slice::from_ref(&step)).await?;
            self.0.memory().put_step(step);
        }
        for vm in &refusing {
            self.0.store.forget_refusals(vm).await?;
            self.0.memory().refusals.remove(vm);
        }
        self.0.wake.notify_one();
        Ok(failing.len() + failed.len() + refusing.len())
    }

    /// Makes this machine the one that the state belongs to.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub async fn claim(&self) -> Result<(), StoreError> {
        self.0.store.claim().await?;
        self.0.memory().copied = false;
        self.0.wake.notify_one();
        Ok(())
    }
}
