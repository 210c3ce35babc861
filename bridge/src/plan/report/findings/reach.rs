//! Whether anything can still be done about findings where they are.
//!
//! What is remembered of a finding names its account and Region. A target may send its findings to another Region since, or may be
//! gone from the configuration. In an account that some target still has, its credentials reach every Region; in others nobody can
//! close anything.

use std::collections::BTreeSet;

use mappings::findings::Target;
use mappings::findings::life::{Record, State};

use crate::aws::{Place, partition_of};
use crate::cloud::Cloud;
use crate::plan::Policy;

/// The accounts of all targets.
#[derive(Debug)]
pub(crate) struct Reach {
    /// By partition and number.
    accounts: BTreeSet<(&'static str, String)>,
    /// Whether the account of every target is known.
    is_complete: bool,
}

impl Reach {
    /// That of the targets of the configuration.
    pub(crate) fn of(policy: &Policy, cloud: &Cloud) -> Self {
        let (mut accounts, mut is_complete) = (BTreeSet::new(), !policy.targets.is_empty());
        for target in &policy.targets {
            match cloud.target(&target.name).and_then(|view| view.place.as_ref()) {
                Some(place) => {
                    accounts.insert((partition_of(place.region()), place.account().to_owned()));
                }
                None => is_complete = false,
            }
        }
        Self { accounts, is_complete }
    }

    /// Whether some target has the account.
    pub(crate) fn has(&self, target: &Target) -> bool {
        self.accounts.iter().any(|(partition, account)| {
            *partition == &*target.partition && *account == target.account.as_str()
        })
    }

    /// Whether an open finding is surely in an account that no target has. It stays open until Security Hub forgets it, and nothing
    /// can be done about it from here.
    pub(crate) fn lacks(&self, record: &Record) -> bool {
        self.is_complete && record.state == State::Open && !self.has(&record.target)
    }
}

/// The account and Region of a place, for findings.
pub(crate) fn target(place: &Place) -> Target {
    Target {
        partition: partition_of(place.region()).into(),
        account: place.account().into(),
        region: place.region().into(),
    }
}

/// Where findings of a target go.
pub(super) fn place(target: &Target) -> Place {
    Place::new(target.account.as_str(), target.region.as_str())
}

/// What a person can do about findings in an account that no target has.
pub(crate) fn way_out(target: &Target) -> String {
    format!(
        "no `[[aws]]` target has the account {}: give one to it, and they are closed; otherwise Security Hub forgets each 90 days after it was last sent",
        target.account
    )
}
