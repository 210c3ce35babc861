//! Enrolment: how a VM becomes a managed node, as one persisted record for each VM.
//!
//! The record says how far it is. What moves it on is an [`Event`]: an action that ended, a program in the guest that
//! ended, what AWS shows. The steps are pure and in [`machine`](self); they start nothing and read no clock. What goes
//! wrong is a [`Problem`] with a word, a sentence and the fix, and whatever was left in the guest or in AWS is cleaned up
//! before the record comes to rest.

mod machine;
mod report;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use vsphere_client::ids::InstanceUuid;

use crate::aws::{ActivationId, NodeId, Place};
use crate::config::{EnrolSettings, Source};
use crate::plan::TagWrite;

pub use machine::Event;
pub use report::{LONGEST as LONGEST_REPORT, Registration, Report, ReportError};

/// Where a guest's operating system belongs, as far as starting a program in it is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum System {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

/// How far an enrolment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Stage {
    /// The guest is to be looked at, and the agent installed.
    Prepare,
    /// That is being done in the guest.
    Preparing {
        /// The process in the guest.
        process: i64,
    },
    /// It is to be decided whether the registration that the guest has is taken over.
    Decide,
    /// An activation is to be made.
    Activate,
    /// The agent is to be registered.
    Register,
    /// That is being done in the guest.
    Registering {
        /// The process in the guest.
        process: i64,
    },
    /// AWS is to show the node online.
    Verify,
    /// The activation is to be deleted.
    Withdraw,
    /// The guest is to be cleaned up.
    Clean,
    /// It is a managed node.
    Enrolled,
    /// It failed.
    Failed {
        /// When it may be tried again.
        retry_at: Timestamp,
    },
    /// It failed in a way, or so often, that only a person can say that it be tried again.
    Quarantined,
}

impl Stage {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Preparing { .. } => "preparing",
            Self::Decide => "decide",
            Self::Activate => "activate",
            Self::Register => "register",
            Self::Registering { .. } => "registering",
            Self::Verify => "verify",
            Self::Withdraw => "withdraw",
            Self::Clean => "clean",
            Self::Enrolled => "enrolled",
            Self::Failed { .. } => "failed",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether the enrolment is under way.
    #[must_use]
    pub fn is_active(self) -> bool {
        !matches!(self, Self::Enrolled | Self::Failed { .. } | Self::Quarantined)
    }

    /// Whether something is done in the guest, which vCenter and the host have to bear.
    #[must_use]
    pub fn is_in_guest(self) -> bool {
        self.is_active() && !matches!(self, Self::Verify | Self::Withdraw | Self::Clean)
    }

    /// The process in the guest that is waited for.
    #[must_use]
    pub fn process(self) -> Option<i64> {
        match self {
            Self::Preparing { process } | Self::Registering { process } => Some(process),
            _ => None,
        }
    }
}

/// Why an enrolment fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The word for it, which does not change between versions.
    pub word: Arc<str>,
    /// One sentence.
    pub sentence: Arc<str>,
    /// What to do.
    pub fix: Option<Arc<str>>,
    /// Whether trying again may help without anybody doing anything.
    pub passes: bool,
}

impl Problem {
    /// A problem that may pass by itself.
    #[must_use]
    pub fn passing(word: &str, sentence: impl Into<Arc<str>>) -> Self {
        Self { word: word.into(), sentence: sentence.into(), fix: None, passes: true }
    }

    /// A problem that somebody has to see to.
    #[must_use]
    pub fn lasting(word: &str, sentence: impl Into<Arc<str>>, fix: &str) -> Self {
        Self { word: word.into(), sentence: sentence.into(), fix: Some(fix.into()), passes: false }
    }
}

/// What an attempt is for. Each further attempt to bring an agent back does more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// The VM is to become a node.
    #[default]
    Enrol,
    /// The agent does not report: its service is started again.
    Restart,
    /// Starting it again did not help: it is installed anew.
    Reinstall,
    /// That did not help either, or the VM belongs elsewhere now: it is registered anew.
    Reregister,
    /// The agent is older than it may be.
    Update,
}

impl Purpose {
    /// What the program in the guest is to do, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Enrol => "prepare the guest",
            Self::Restart => "start the agent again, which does not report",
            Self::Reinstall => "install the agent anew, which does not report",
            Self::Reregister => "prepare the guest for another registration",
            Self::Update => "update the agent",
        }
    }

    /// Whether an agent that is there is installed all the same.
    #[must_use]
    pub fn installs(self) -> bool {
        matches!(self, Self::Reinstall | Self::Update)
    }
}

/// A node that we registered and that another one takes the place of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Former {
    /// Where it is.
    pub place: Place,
    /// The node.
    pub node: NodeId,
}

/// How the node came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// We registered it.
    Registered,
    /// It was there, and its agent was found in the guest.
    Adopted,
}

/// The enrolment of one VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Enrolment {
    /// The account and Region.
    pub place: Place,
    /// The VM's name.
    pub label: Arc<str>,
    /// vCenter's id for the VM, by which it is known after a move.
    pub instance: Option<InstanceUuid>,
    /// What tells this attempt from all others: it is part of the name of the directory in the guest and of the
    /// description of the activation.
    pub mark: Arc<str>,
    /// What this attempt is for.
    #[serde(default)]
    pub purpose: Purpose,
    /// Failures in a row before this attempt.
    pub failures: u32,
    /// How far it is.
    pub stage: Stage,
    /// Since when.
    pub since: Timestamp,
    /// The entry of `[[credentials]]`.
    pub credentials: Arc<str>,
    /// The guest's operating system.
    pub system: System,
    /// Our directory in the guest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Arc<str>>,
    /// What the guest told of itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// Our activation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<ActivationId>,
    /// The tags that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagWrite>,
    /// Whether a registration that the guest has is replaced.
    #[serde(default)]
    pub reregister: bool,
    /// The node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// How it came to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// The node that it was before, until that is deregistered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<Former>,
    /// Since when its VM has been gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Timestamp>,
    /// Why it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// How long stages may take, and what comes of failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For preparing.
    pub prepare: Duration,
    /// For registering.
    pub register: Duration,
    /// For the node to be online.
    pub verify: Duration,
    /// The pause after the first failure.
    pub retry: Duration,
    /// Failures in a row before only a person can go on.
    pub quarantine: u32,
    /// The package is put into the guest, so it has to be known first which one.
    pub push: bool,
}

impl Limits {
    /// The limits of a configuration.
    #[must_use]
    pub fn of(settings: &EnrolSettings) -> Self {
        Self {
            prepare: settings.prepare_within,
            register: settings.register_within,
            verify: settings.verify_within,
            retry: settings.retry_after,
            quarantine: u32::try_from(settings.quarantine_after).unwrap_or(u32::MAX),
            push: settings.source == Source::Push,
        }
    }
}

/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// How long an action of an enrolment may be tried before the enrolment is given up.
const ACTING: Duration = Duration::from_secs(3600);
