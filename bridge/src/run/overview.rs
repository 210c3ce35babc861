//! The state of the service in a few figures: what the health page, the metrics, systemd's status line and the log share.

use std::fmt::Write;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::aws::TargetName;
use crate::cloud::{Cloud, TargetView};
use crate::engine::Progress;
use crate::fleet::{Counts, Fleet, Part, State};

/// One vCenter, or an organisation of VMware Cloud on AWS whose SDDCs cannot be listed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceOverview {
    /// Its name: that of the configuration, or `<organisation>/<SDDC>`.
    pub name: String,
    /// How it is.
    pub state: State,
    /// Seconds since what is known of it was last known to be current.
    pub age_seconds: Option<u64>,
    /// What is in it.
    #[serde(flatten)]
    pub counts: Counts,
    /// Why it is not current.
    pub error: Option<String>,
    /// Why its tags could not be read the last time.
    pub tags_error: Option<String>,
}

impl SourceOverview {
    fn of(part: &Part, now: Timestamp, stale_after: Duration) -> Self {
        Self {
            name: part.name().as_str().to_owned(),
            state: part.state(now, stale_after),
            age_seconds: age(part.as_of(), now),
            counts: part.counts(),
            error: part.trouble().map(|trouble| trouble.error.clone()),
            tags_error: part.tags_error().map(str::to_owned),
        }
    }
}

fn age(as_of: Option<Timestamp>, now: Timestamp) -> Option<u64> {
    // A clock that was set back makes nothing younger than new.
    as_of.map(|as_of| u64::try_from(now.duration_since(as_of).as_secs()).unwrap_or(0))
}

/// One target of AWS.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetOverview {
    /// Its name in the configuration.
    pub name: String,
    /// Account and Region, once the account is known.
    pub place: Option<String>,
    /// Managed nodes.
    pub nodes: usize,
    /// Seconds since its last complete reading.
    pub age_seconds: Option<u64>,
    /// Why the last reading failed.
    pub error: Option<String>,
}

impl TargetOverview {
    fn of(name: &TargetName, view: &TargetView, now: Timestamp) -> Self {
        Self {
            name: name.to_string(),
            place: view.place.as_ref().map(ToString::to_string),
            nodes: view.nodes.len(),
            age_seconds: age(view.as_of, now),
            error: view.error.clone(),
        }
    }
}

/// All sources.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Overview {
    /// The sources, by name.
    pub sources: Vec<SourceOverview>,
    /// The targets of AWS, by name.
    pub targets: Vec<TargetOverview>,
    /// How far the engine is, if there is one.
    pub engine: Option<Progress>,
    /// Whether the first picture of every source is there, or known not to come.
    pub first_picture: bool,
}

impl Overview {
    /// The state of `fleet` at `now`.
    #[must_use]
    pub fn of(fleet: &Fleet, now: Timestamp, stale_after: Duration, first_picture: bool) -> Self {
        let mut sources: Vec<_> =
            fleet.parts().map(|part| SourceOverview::of(part, now, stale_after)).collect();
        // What an organisation consists of is told by its SDDCs; itself it is only told of if they cannot be listed.
        let organisations = fleet.organisations().filter(|(_, organisation)| organisation.error.is_some());
        sources.extend(organisations.map(|(name, organisation)| SourceOverview {
            name: name.as_str().to_owned(),
            state: if organisation.as_of.is_some() { State::Interrupted } else { State::Failed },
            age_seconds: age(organisation.as_of, now),
            counts: Counts::default(),
            error: organisation.error.clone(),
            tags_error: None,
        }));
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        Self { sources, first_picture, ..Self::default() }
    }

    /// The same with the targets of AWS and the engine.
    #[must_use]
    pub fn with_engine(mut self, cloud: &Cloud, engine: Progress, now: Timestamp) -> Self {
        self.targets = cloud.targets().map(|(name, view)| TargetOverview::of(name, view, now)).collect();
        self.engine = Some(engine);
        self
    }

    /// Whether the service can be relied on, and if not, why.
    ///
    /// One source that fails does not make the others useless, so the service is ready when any part of the fleet is.
    ///
    /// # Errors
    /// With the reason.
    pub fn ready(&self) -> Result<(), &'static str> {
        if !self.first_picture {
            return Err("the first picture of the fleet is not complete yet");
        }
        if !self.sources.is_empty() && !self.sources.iter().any(|source| source.state.is_usable()) {
            return Err("no source is current");
        }
        Ok(())
    }

    /// All VMs.
    #[must_use]
    pub fn vms(&self) -> usize {
        self.sources.iter().map(|source| source.counts.vms()).sum()
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!("{} VMs", self.vms());
        for state in State::ALL {
            let count = self.sources.iter().filter(|source| source.state == state).count();
            if count > 0 {
                let plural = if count == 1 { "source" } else { "sources" };
                // Writing to a string cannot fail.
                let _ = write!(line, ", {count} {plural} {}", state.word());
            }
        }
        line
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn source(name: &str, state: State) -> SourceOverview {
        let counts = Counts { on: 3, off: 1, suspended: 0, unknown: 0, hosts: 2, datastores: 1 };
        SourceOverview {
            name: name.into(),
            state,
            age_seconds: Some(4),
            counts,
            error: None,
            tags_error: None,
        }
    }

    #[test]
    fn ready_when_the_first_picture_is_there_and_any_part_of_it_is_usable() {
        let overview = |states: &[State], first_picture| Overview {
            sources: states.iter().map(|state| source("dc1", *state)).collect(),
            first_picture,
            ..Overview::default()
        };
        use State::{Current, Failed, Interrupted, Loading, Stale};
        assert!(overview(&[Current, Loading], false).ready().is_err());
        assert!(overview(&[Current, Failed, Stale], true).ready().is_ok());
        assert!(overview(&[Interrupted], true).ready().is_ok());
        assert_eq!(overview(&[Stale, Failed], true).ready(), Err("no source is current"));
        assert!(overview(&[], true).ready().is_ok(), "an organisation without SDDCs is no failure");
    }

    #[test]
    fn one_line() {
        let sources =
            vec![source("a", State::Current), source("b", State::Current), source("c", State::Stale)];
        let overview = Overview { sources, first_picture: true, ..Overview::default() };
        assert_eq!(overview.line(), "12 VMs, 2 sources current, 1 source stale");
    }
}
