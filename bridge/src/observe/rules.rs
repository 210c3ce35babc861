//! The hardening rules that hold now, as everybody who follows a vCenter sees them.
//!
//! Rules change more often than what they read: somebody accepts a finding, or a text is put better. Then nobody has to ask vCenter
//! anything, and whoever follows one goes on.

use std::sync::{Arc, PoisonError, RwLock};

use crate::fleet::Reads;

/// The rules and what they read; nothing while none are checked. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Arc<RwLock<Option<Arc<Reads>>>>);

impl Rules {
    pub(super) fn new(reads: Option<Arc<Reads>>) -> Self {
        Self(Arc::new(RwLock::new(reads)))
    }

    /// Those that hold now.
    pub(super) fn now(&self) -> Option<Arc<Reads>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does something with those that hold now; others take their place only afterwards. For what must not be overtaken by them.
    pub(super) fn while_they_hold<T>(&self, act: impl FnOnce(Option<&Arc<Reads>>) -> T) -> T {
        act(self.0.read().unwrap_or_else(PoisonError::into_inner).as_ref())
    }

    /// Puts others in their place.
    pub(super) fn set(&self, reads: Option<Arc<Reads>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reads;
    }
}

/// Whether what is read for the ones serves the others too.
pub(super) fn read_the_same(one: Option<&Arc<Reads>>, other: Option<&Arc<Reads>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.reads_the_same(other),
        (one, other) => one.is_none() && other.is_none(),
    }
}
