//! One copy of what thousands of VMs have in common: names of guest systems, hardware versions, references to hosts.

use std::sync::Arc;

use foldhash::HashSet;
use vsphere_client::ids::MoRef;

/// Strings and references of one part.
#[derive(Debug, Default)]
pub(super) struct Interner {
    strings: HashSet<Arc<str>>,
    refs: HashSet<MoRef>,
}

impl Interner {
    /// The shared copy of `text`.
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        if let Some(shared) = self.strings.get(text) {
            return shared.clone();
        }
        let shared: Arc<str> = text.into();
        self.strings.insert(shared.clone());
        shared
    }

    /// The shared copy of a reference to something that many VMs refer to.
    pub(super) fn reference(&mut self, reference: MoRef) -> MoRef {
        if let Some(shared) = self.refs.get(&reference) {
            return shared.clone();
        }
        self.refs.insert(reference.clone());
        reference
    }

    /// Forgets strings that nobody uses any more. References to infrastructure stay: there are few.
    pub(super) fn purge(&mut self) {
        self.strings.retain(|text| Arc::strong_count(text) > 1);
        self.strings.shrink_to_fit();
    }
}
