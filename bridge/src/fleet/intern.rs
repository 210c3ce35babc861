//! One copy of what thousands of VMs have in common: names of guest systems, hardware versions, references to hosts, how they are
//! set up.

use std::sync::Arc;

use foldhash::HashSet;
use mappings::checks::Reading;
use vsphere_client::ids::MoRef;

/// Strings, references and readings of one part.
#[derive(Debug, Default)]
pub(super) struct Interner {
    strings: HashSet<Arc<str>>,
    refs: HashSet<MoRef>,
    readings: HashSet<Arc<[Reading]>>,
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

    /// The shared copy of some readings of an object. Those that are new share their texts with all others.
    pub(super) fn readings(&mut self, readings: &[Reading]) -> Arc<[Reading]> {
        if let Some(shared) = self.readings.get(readings) {
            return shared.clone();
        }
        let shared: Arc<[Reading]> = readings
            .iter()
            .map(|reading| match reading {
                Reading::One(text) => Reading::One(self.text(text)),
                Reading::Many(texts) => Reading::Many(texts.iter().map(|text| self.text(text)).collect()),
                Reading::Missing => Reading::Missing,
                Reading::Unreadable => Reading::Unreadable,
            })
            .collect();
        self.readings.insert(shared.clone());
        shared
    }

    /// Forgets strings that nobody uses any more. References to infrastructure stay: there are few.
    pub(super) fn purge(&mut self) {
        self.readings.retain(|readings| Arc::strong_count(readings) > 1);
        self.readings.shrink_to_fit();
        self.strings.retain(|text| Arc::strong_count(text) > 1);
        self.strings.shrink_to_fit();
    }
}
