//! What `vmbridge inventory` and `vmbridge watch` print: the fleet and its changes, as JSON, CSV, a table, lines of text.
//!
//! Everything is written while it is being looked at, so that a large fleet needs no second copy in memory. Names come from
//! outside and may hold anything: what goes to a terminal or a spreadsheet is made harmless first (see [`text`]).

mod changes;
mod csv;
mod json;
pub mod schema;
mod table;
pub mod text;

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use mappings::selector::{Selector, Verdict};

pub use changes::{ChangeDocument, write_change_json, write_change_text};
pub use csv::write_csv;
pub use json::write_json;
pub use table::write_table;

use crate::fleet::{Fleet, Organisation, Part, State, VcenterName, VmView};

/// Which VMs are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these selectors has to select a VM; none selects all.
    pub selectors: Vec<Selector>,
    /// Names of vCenters or organisations; none means all.
    pub vcenters: Vec<String>,
}

/// Whether a VM is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// What this depends on is not known.
    Undecided,
}

impl Filter {
    /// Whether this part is asked for.
    #[must_use]
    pub fn takes(&self, part: &Part) -> bool {
        self.vcenters.is_empty() || self.vcenters.iter().any(|wanted| part.name().is_or_belongs_to(wanted))
    }

    /// Whether this organisation, or one of its SDDCs, is asked for.
    fn takes_organisation(&self, name: &VcenterName) -> bool {
        let asks = |wanted: &String| VcenterName::from(wanted.as_str()).is_or_belongs_to(name.as_str());
        self.vcenters.is_empty() || self.vcenters.iter().any(asks)
    }

    /// Whether this VM is asked for, in a part that is.
    #[must_use]
    pub fn asks_for(&self, vm: &VmView<'_>) -> Asked {
        if self.selectors.is_empty() {
            return Asked::Yes;
        }
        let mut answer = Asked::No;
        for selector in &self.selectors {
            match selector.verdict(vm) {
                Verdict::Selected => return Asked::Yes,
                Verdict::Unknown(_) => answer = Asked::Undecided,
                Verdict::NotIncluded | Verdict::Excluded(_) => {}
            }
        }
        answer
    }

    /// The VMs of `part` that are asked for, in order; those that nobody can say it of are counted.
    fn vms<'a>(&self, part: &'a Part, undecided: &mut usize) -> Vec<VmView<'a>> {
        let mut vms = part.vms_in_order();
        vms.retain(|vm| match self.asks_for(vm) {
            Asked::Yes => true,
            Asked::No => false,
            Asked::Undecided => {
                *undecided += 1;
                false
            }
        });
        vms
    }
}

/// A picture of the fleet to print.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// The fleet.
    pub fleet: &'a Fleet,
    /// What is asked for.
    pub filter: &'a Filter,
    /// Now.
    pub now: Timestamp,
    /// How old data may be before it counts as stale.
    pub stale_after: Duration,
}

/// What was printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Printed {
    /// VMs.
    pub vms: usize,
    /// VMs that may or may not have been asked for, because what the selectors ask about is not known.
    pub undecided: usize,
}

impl<'a> Picture<'a> {
    fn parts(&self) -> impl Iterator<Item = &'a Part> {
        let filter = self.filter;
        self.fleet.parts().filter(move |part| filter.takes(part))
    }

    fn organisations(&self) -> impl Iterator<Item = (&'a VcenterName, &'a Organisation)> {
        let filter = self.filter;
        self.fleet.organisations().filter(move |(name, _)| filter.takes_organisation(name))
    }

    fn state(&self, part: &Part) -> State {
        part.state(self.now, self.stale_after)
    }

    /// Whether every part that is asked for was read in full and is current.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.problems().is_empty()
    }

    /// What of the picture cannot be relied on: the name of the source, and why.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'a str, String)> {
        let organisations = self
            .organisations()
            .filter_map(|(name, organisation)| Some((name.as_str(), organisation.error.clone()?)));
        let parts = self.parts().filter_map(|part| {
            let why = match (self.state(part), part.trouble(), part.tags_error()) {
                (State::Current, _, None) => return None,
                (State::Current, _, Some(error)) => format!("its tags could not be read: {error}"),
                (_, Some(trouble), _) => trouble.error.clone(),
                (state, None, _) => format!("it is {}", state.word()),
            };
            Some((part.name().as_str(), why))
        });
        organisations.chain(parts).collect()
    }

    /// The VMs that are asked for, by part and reference, without regard to those that nobody can say it of.
    #[must_use]
    pub fn asked_for(&self) -> HashSet<(String, String)> {
        let key = |vm: &VmView<'_>| (vm.vcenter_name().as_str().to_owned(), vm.moref().value().to_owned());
        self.parts()
            .flat_map(Part::vms)
            .filter(|vm| self.filter.asks_for(vm) == Asked::Yes)
            .map(|vm| key(&vm))
            .collect()
    }
}
