//! Records: what the engine writes down and reads back, as one trait.
//!
//! The program has one implementation, the [`Store`]. The trait is there because a database does its work on threads of its
//! own, whose pace no test commands: with a disk in memory, the order of everything is a matter of the seed alone.

use jiff::Timestamp;

use crate::aws::{NodeId, Place};
use crate::store::{
    Approval, Conclusion, Contents, Entry, EntryId, FailureChange, FindingChange, Identity, OwnedChange,
    Protection, ScopeChange, Step, Store, StoreError, VmId,
};

/// What has been written when a function returns is still there after a crash.
pub trait Records: Send + Sync + 'static {
    /// The id of the installation.
    fn installation(&self) -> &str;
    /// Whether the state was last used on another machine.
    fn is_copied(&self) -> bool;
    /// Everything but the closed part of the journal.
    fn contents(&self) -> impl Future<Output = Result<Contents, StoreError>> + Send;
    /// Entries of the journal since a moment.
    fn journal_since(&self, since: Timestamp) -> impl Future<Output = Result<Vec<Entry>, StoreError>> + Send;
    /// Writes what is intended.
    fn begin(&self, entry: &Entry) -> impl Future<Output = Result<EntryId, StoreError>> + Send;
    /// Writes how an action ended, and what follows from that, at once.
    fn conclude(
        &self,
        id: EntryId,
        conclusion: &Conclusion,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes changes of what is owned.
    fn put_owned(&self, changes: &[OwnedChange]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes which nodes are which VMs.
    fn put_identities(&self, identities: &[Identity]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Forgets which VMs a node is and is not.
    fn forget_identities(
        &self,
        place: &Place,
        node: &NodeId,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes that a person allowed changes.
    fn approve(&self, approval: &Approval) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes what fails, or no longer does.
    fn put_failure(&self, change: &FailureChange) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes how far enrolments are, and what is known because of that.
    fn put_steps(&self, steps: &[Step]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes how far snapshots are.
    fn put_protections(
        &self,
        protections: &[Protection],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes what Security Hub has of findings.
    fn put_findings(&self, changes: &[FindingChange]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Writes what is remembered of openings of windows.
    fn put_scopes(&self, changes: &[ScopeChange]) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Forgets that the guest of a VM refused credentials.
    fn forget_refusals(&self, vm: &VmId) -> impl Future<Output = Result<(), StoreError>> + Send;
    /// Makes this machine the one that the state belongs to.
    fn claim(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl Records for Store {
    fn installation(&self) -> &str {
        self.installation()
    }

    fn is_copied(&self) -> bool {
        self.is_copied()
    }

    async fn contents(&self) -> Result<Contents, StoreError> {
        self.contents().await
    }

    async fn journal_since(&self, since: Timestamp) -> Result<Vec<Entry>, StoreError> {
        self.journal_since(since).await
    }

    async fn begin(&self, entry: &Entry) -> Result<EntryId, StoreError> {
        self.begin(entry).await
    }

    async fn conclude(&self, id: EntryId, conclusion: &Conclusion) -> Result<(), StoreError> {
        self.conclude(id, conclusion).await
    }

    async fn put_owned(&self, changes: &[OwnedChange]) -> Result<(), StoreError> {
        self.put_owned(changes).await
    }

    async fn put_identities(&self, identities: &[Identity]) -> Result<(), StoreError> {
        self.put_identities(identities).await
    }

    async fn forget_identities(&self, place: &Place, node: &NodeId) -> Result<(), StoreError> {
        self.forget_identities(place, node).await
    }

    async fn approve(&self, approval: &Approval) -> Result<(), StoreError> {
        self.approve(approval).await
    }

    async fn put_failure(&self, change: &FailureChange) -> Result<(), StoreError> {
        self.put_failure(change).await
    }

    async fn put_steps(&self, steps: &[Step]) -> Result<(), StoreError> {
        self.put_steps(steps).await
    }

    async fn put_protections(&self, protections: &[Protection]) -> Result<(), StoreError> {
        self.put_protections(protections).await
    }

    async fn put_findings(&self, changes: &[FindingChange]) -> Result<(), StoreError> {
        self.put_findings(changes).await
    }

    async fn put_scopes(&self, changes: &[ScopeChange]) -> Result<(), StoreError> {
        self.put_scopes(changes).await
    }

    async fn forget_refusals(&self, vm: &VmId) -> Result<(), StoreError> {
        self.forget_refusals(vm).await
    }

    async fn claim(&self) -> Result<(), StoreError> {
        self.claim().await
    }
}
