//! From reports to records: what a report leaves as it was, sets or clears.

use vsphere_client::ids::MoRef;
use vsphere_client::property::{Change, Properties};

use super::intern::Interner;

/// How a report is to be taken into a record.
pub(super) struct Take<'a> {
    /// Whether the report says everything about the object, so that what it does not mention has no value.
    pub(super) whole: bool,
    /// Shared strings and references.
    pub(super) intern: &'a mut Interner,
}

impl Take<'_> {
    /// Takes one property into its place.
    pub(super) fn put<T, U>(&mut self, change: Change<T>, place: &mut Option<U>, make: impl FnOnce(T) -> U) {
        self.try_put(change, place, |value| Some(make(value)));
    }

    /// The same where not every value means something.
    pub(super) fn try_put<T, U>(
        &mut self,
        change: Change<T>,
        place: &mut Option<U>,
        make: impl FnOnce(T) -> Option<U>,
    ) {
        match change {
            Change::NotMentioned if !self.whole => {}
            Change::NotMentioned | Change::Unset | Change::Unreadable => *place = None,
            Change::Set(value) => *place = make(value),
        }
    }

    /// Takes a text that many objects have.
    pub(super) fn shared(&mut self, change: Change<Box<str>>, place: &mut Option<std::sync::Arc<str>>) {
        let change = change.map(|text| self.intern.text(&text));
        self.put(change, place, |text| text);
    }

    /// Takes a reference to something that many objects refer to.
    pub(super) fn reference(&mut self, change: Change<MoRef>, place: &mut Option<MoRef>) {
        let change = change.map(|reference| self.intern.reference(reference));
        self.put(change, place, |reference| reference);
    }

    /// Takes a list; one without value is empty.
    pub(super) fn list<T, U>(
        &mut self,
        change: Change<Vec<T>>,
        place: &mut Box<[U]>,
        mut make: impl FnMut(&mut Interner, T) -> U,
    ) {
        match change {
            Change::NotMentioned if !self.whole => {}
            Change::NotMentioned | Change::Unset | Change::Unreadable => *place = Box::default(),
            Change::Set(values) => {
                *place = values.into_iter().map(|value| make(self.intern, value)).collect();
            }
        }
    }

    /// Takes a list of references, sorted, so that the order in which a server happens to tell them is no change.
    pub(super) fn references(&mut self, change: Change<Vec<MoRef>>, place: &mut Box<[MoRef]>) {
        let mentioned = change.is_mentioned();
        self.list(change, place, Interner::reference);
        if mentioned {
            place.sort_unstable();
        }
    }
}

/// Property paths of one object that the account may not read; nearly always none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Unreadable(Box<[&'static str]>);

impl Unreadable {
    /// Takes over what a report says.
    pub(super) fn take(&mut self, report: &impl Properties, whole: bool) {
        let mut paths = if whole { Vec::new() } else { self.0.to_vec() };
        report.mentioned(&mut |path, readable| {
            paths.retain(|known| *known != path);
            if !readable {
                paths.push(path);
            }
        });
        self.0 = paths.into();
    }

    /// Whether this path cannot be read.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains(&path)
    }

    /// The paths.
    pub(super) fn paths(&self) -> &[&'static str] {
        &self.0
    }
}
