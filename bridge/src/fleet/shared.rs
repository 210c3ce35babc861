//! The fleet as it is shared by observers that write and everybody else who reads.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use jiff::Timestamp;
use mappings::selector::Selector;
use tokio::sync::{broadcast, watch};
use vsphere_client::ids::MoRef;

use super::change::Change;
use super::part::Gather;
use super::update::FleetUpdate;
use super::{Fleet, Organisation, VcenterName};

/// Batches of changes that a slow listener may fall behind.
const BACKLOG: usize = 256;

/// The fleet. Clones share it.
///
/// The lock is held for one short piece of work at a time and never across an await: to read, ask for it, look, let it go.
#[derive(Debug, Clone)]
pub struct SharedFleet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    fleet: RwLock<Fleet>,
    revision: watch::Sender<u64>,
    changes: broadcast::Sender<Arc<[Change]>>,
}

/// The fleet while it is being read. Let it go soon: nothing can be written meanwhile.
#[derive(Debug)]
pub struct Reading<'a>(RwLockReadGuard<'a, Fleet>);

impl Deref for Reading<'_> {
    type Target = Fleet;

    fn deref(&self) -> &Fleet {
        &self.0
    }
}

/// Changes as they happen.
#[derive(Debug)]
pub struct Changes(broadcast::Receiver<Arc<[Change]>>);

impl Changes {
    /// The next changes; `None` when this listener was too slow, so that some were missed and it has to look at the whole fleet.
    pub async fn next(&mut self) -> Option<Arc<[Change]>> {
        match self.0.recv().await {
            Ok(changes) => Some(changes),
            Err(broadcast::error::RecvError::Lagged(_)) => None,
            // The fleet is gone: nothing will ever change.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Default for SharedFleet {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedFleet {
    /// An empty fleet.
    #[must_use]
    pub fn new() -> Self {
        let inner = Inner {
            fleet: RwLock::default(),
            revision: watch::Sender::new(0),
            changes: broadcast::Sender::new(BACKLOG),
        };
        Self { inner: Arc::new(inner) }
    }

    /// The fleet, to read.
    #[must_use]
    pub fn read(&self) -> Reading<'_> {
        // A panic while it was written ends the observer that wrote; what the others wrote is whole.
        Reading(self.inner.fleet.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes from now on. They cost something, so they are only looked for while somebody listens.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.inner.changes.subscribe())
    }

    /// Told whenever anything was written: for those who look at the whole fleet again.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.inner.revision.subscribe()
    }

    /// Adds an empty part, or gives one that exists another scope.
    pub fn add(&self, name: &VcenterName, scope: &Selector) {
        self.write(|fleet| fleet.add(name, scope));
    }

    /// Removes a part that is no longer followed.
    pub fn remove(&self, name: &VcenterName) {
        self.write(|fleet| fleet.parts.remove(name));
    }

    /// Notes that the SDDCs of an organisation were listed, or why they could not be.
    pub fn listed(&self, organisation: &VcenterName, outcome: Result<(), String>, now: Timestamp) {
        self.write(|fleet| {
            let known = fleet.organisations.entry(organisation.clone()).or_default();
            match outcome {
                Ok(()) => *known = Organisation { as_of: Some(now), error: None },
                Err(error) => known.error = Some(error),
            }
        });
    }

    /// Removes an organisation that is no longer followed.
    pub fn remove_organisation(&self, organisation: &VcenterName) {
        self.write(|fleet| fleet.organisations.remove(organisation));
    }

    /// Takes a piece of news on one part. News on a part that is no longer followed is dropped.
    pub fn apply(&self, name: &VcenterName, update: FleetUpdate, now: Timestamp) {
        let mut gather = Gather::new(self.inner.changes.receiver_count() > 0, now);
        let started = matches!(update, FleetUpdate::Started { .. });
        self.write(|fleet| {
            if let Some(part) = fleet.parts.get_mut(name) {
                part.apply(update, &mut gather);
            }
            if let (true, Some(twin)) = (started, fleet.twin(name)) {
                tracing::warn!(vcenter = %name, %twin, "both have the same instance UUID: one vCenter configured twice, or a copy");
            }
        });
        let changes = gather.changes();
        if !changes.is_empty() {
            // Fails when the last listener has just gone.
            let _ = self.inner.changes.send(changes.into());
        }
    }

    /// Names of all parts.
    #[must_use]
    pub fn parts(&self) -> Vec<VcenterName> {
        self.read().parts.keys().cloned().collect()
    }

    /// References of all VMs of a part.
    #[must_use]
    pub fn vm_refs(&self, name: &VcenterName) -> Vec<MoRef> {
        self.read().part(name).map(super::Part::vm_refs).unwrap_or_default()
    }

    /// References of the VMs of a part that are known to have a tag of this name.
    #[must_use]
    pub fn vms_with_tag(&self, name: &VcenterName, tag: &str) -> Vec<MoRef> {
        self.read().part(name).map(|part| part.vms_with_tag(tag)).unwrap_or_default()
    }

    fn write<T>(&self, change: impl FnOnce(&mut Fleet) -> T) -> T {
        let result = change(&mut self.inner.fleet.write().unwrap_or_else(PoisonError::into_inner));
        self.inner.revision.send_modify(|revision| *revision += 1);
        result
    }
}
