//! What observers tell the fleet.

use std::sync::Arc;

use jiff::Timestamp;
use vsphere_client::ids::MoRef;
use vsphere_client::model::{AboutInfo, CustomFieldDef};
use vsphere_client::property::ObjectReport;

use super::readings::Reads;

/// One piece of news on one part of the fleet.
#[derive(Debug)]
pub enum FleetUpdate {
    /// How the vCenter will be followed. Comes before anything else; what was known stays, but for readings of other rules.
    Setup {
        /// What is read for hardening rules, if they are checked.
        reads: Option<Arc<Reads>>,
        /// Whether a provider looks after the hosts (VMware Cloud on AWS).
        is_provider_managed: bool,
    },
    /// Other rules hold from now on. Where they read the same, what was read serves them.
    Rules(Arc<Reads>),
    /// Everything is about to be reported from the beginning.
    Started {
        /// The server.
        about: AboutInfo,
    },
    /// Objects that are new, changed or gone.
    Objects(Vec<ObjectReport>),
    /// The definitions of custom attributes were read by themselves, apart from the watch.
    Definitions(Vec<CustomFieldDef>),
    /// Everything has been reported since the last start: what was not does not exist.
    Complete,
    /// Nothing more has changed up to now.
    Current,
    /// Tags were read.
    Tags(TagUpdate),
    /// Tags could not be read; those that are known may be old.
    TagsFailed {
        /// Why.
        error: String,
    },
    /// Nothing is known to be current any more.
    Interrupted {
        /// Why.
        error: String,
        /// When the next attempt is made, if there will be one.
        retry_at: Option<Timestamp>,
    },
}

/// Tags that were read.
#[derive(Debug)]
pub enum TagUpdate {
    /// The tags of all VMs.
    Full(Vec<VmTags>),
    /// The tags of these VMs.
    ForObjects(Vec<VmTags>),
}

/// The tags of a VM; nothing where they could not be made out.
pub type VmTags = (MoRef, Option<Vec<TagName>>);

/// A tag as people call it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TagName {
    /// Its category.
    pub category: Arc<str>,
    /// Its name, unique in the category only.
    pub name: Arc<str>,
}
