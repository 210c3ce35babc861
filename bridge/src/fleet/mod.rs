//! The fleet: everything that is known of the VMs of all configured vCenters, in one model in memory.
//!
//! Each vCenter is one [`Part`], written by its own observer and read by everybody: commands, metrics, and the planners.
//! Parts share nothing, because managed object references, and after clones and restores even UUIDs, occur in several
//! vCenters; the key of a VM is always the pair of its vCenter and its reference. What is known is kept when a connection
//! is lost, and each part says how old it is, so that nobody has to guess what an empty or quiet part means.

mod change;
mod document;
mod facts;
mod hazards;
mod intern;
mod node;
mod part;
mod place;
mod readings;
mod report;
mod setup;
mod shared;
mod take;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod update;
mod vm;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::selector::Selector;
use serde::Serialize;

pub use change::{Change, FieldChange, ObjectChange, ObjectEvent, ObjectType, SourceChange, What};
pub(crate) use document::Reference;
pub use document::{
    CHANGE_SCHEMA, ClusterDocument, DatastoreDocument, HostDocument, INVENTORY_SCHEMA, OrganisationDocument,
    VcenterDocument, VmDocument,
};
pub use facts::VmView;
pub use part::{Counts, Part, Trouble};
pub use readings::Reads;
pub use report::{ReportIds, ToolsAge};
pub use setup::{SetupView, VmsThere};
pub use shared::{Changes, Reading, SharedFleet};
pub use update::{FleetUpdate, TagName, TagUpdate, VmTags};

/// Name of a part of the fleet: a vCenter's name in the configuration, or `<organisation>/<SDDC>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct VcenterName(Arc<str>);

impl VcenterName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `wanted` names this vCenter, or the organisation that it belongs to.
    #[must_use]
    pub fn is_or_belongs_to(&self, wanted: &str) -> bool {
        match self.0.strip_prefix(wanted) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl From<&str> for VcenterName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for VcenterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for VcenterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a part of the fleet can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing was read yet.
    Connecting,
    /// It is being read for the first time.
    Loading,
    /// What is known is current.
    Current,
    /// The connection is lost; what is known may be out of date.
    Interrupted,
    /// What is known has not been confirmed for longer than `limits.stale_after`.
    Stale,
    /// Nothing could be read yet, and the last attempt failed.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Connecting, Self::Loading, Self::Current, Self::Interrupted, Self::Stale, Self::Failed];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Loading => "loading",
            Self::Current => "current",
            Self::Interrupted => "interrupted",
            Self::Stale => "stale",
            Self::Failed => "failed",
        }
    }

    /// Whether what is known can be worked with.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Current | Self::Interrupted)
    }
}

/// All parts, by name.
#[derive(Debug, Default)]
pub struct Fleet {
    parts: BTreeMap<VcenterName, Part>,
    organisations: BTreeMap<VcenterName, Organisation>,
}

/// What is known of an organisation of VMware Cloud on AWS itself; its SDDCs are parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Organisation {
    /// When its SDDCs were last listed.
    pub as_of: Option<Timestamp>,
    /// Why they could not be listed the last time.
    pub error: Option<String>,
}

impl Fleet {
    /// The parts, by name.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.values()
    }

    /// One part.
    #[must_use]
    pub fn part(&self, name: &VcenterName) -> Option<&Part> {
        self.parts.get(name)
    }

    /// The organisations, by name.
    pub fn organisations(&self) -> impl Iterator<Item = (&VcenterName, &Organisation)> {
        self.organisations.iter()
    }

    /// Adds an empty part, or gives an existing one another scope.
    fn add(&mut self, name: &VcenterName, scope: &Selector) {
        match self.parts.get_mut(name) {
            Some(part) => part.set_scope(scope.clone()),
            None => {
                self.parts.insert(name.clone(), Part::new(name.clone(), scope.clone()));
            }
        }
    }

    /// Another part that shows the same vCenter as `name` does.
    fn twin(&self, name: &VcenterName) -> Option<&VcenterName> {
        let uuid = self.parts.get(name)?.uuid()?;
        self.parts
            .iter()
            .find(|(other, part)| *other != name && part.uuid() == Some(uuid))
            .map(|(other, _)| other)
    }
}
