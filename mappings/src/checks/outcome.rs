//! What came of a rule for an object.

use jiff::Timestamp;

use super::evidence;
use super::reading::Reading;
use super::rule::{Case, Rule};
use super::suppress::Suppression;
use super::version::ApiVersion;
use crate::selector::Key;

/// Why nothing is known. What was known before stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread<'a> {
    /// A value cannot be read: no permission, a property that this vCenter does not know, or not read yet.
    Value(&'a super::read::Read),
    /// The rule depends on the version of vSphere, and that is not known.
    Version,
    /// It would be a finding, but whether that is suppressed depends on a fact that is not known.
    Suppression(Key),
}

/// Why a rule is not about an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inapplicable<'a> {
    /// The version of vSphere is none of those that it is about.
    Version(ApiVersion),
    /// A condition does not hold; half a sentence says which.
    Condition(&'a str),
    /// What it is about is not set.
    NotSet,
}

/// What came of a rule for an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status<'a> {
    /// It is as it should be.
    Passed,
    /// It is not.
    Failed,
    /// It is not known.
    NotReadable(Unread<'a>),
    /// The rule has nothing to say.
    NotApplicable(Inapplicable<'a>),
    /// The provider looks after it (hosts, clusters and port groups in VMware Cloud on AWS).
    ProviderManaged,
    /// It is not as it should be, and somebody accepts that for a time.
    Suppressed {
        /// Why.
        reason: &'a str,
        /// From when on it counts again.
        until: Timestamp,
        /// By what.
        by: &'a Suppression,
    },
}

impl Status<'_> {
    /// One word for it, which does not change between versions.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotReadable(_) => "not-readable",
            Self::NotApplicable(_) => "not-applicable",
            Self::ProviderManaged => "provider-managed",
            Self::Suppressed { .. } => "suppressed",
        }
    }
}

/// What came of a rule, with what was found.
#[derive(Debug, Clone, Copy)]
pub struct Outcome<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// What came of it.
    pub status: Status<'a>,
    /// What was expected; nothing where it did not come to that.
    pub case: Option<&'a Case>,
    /// What was found.
    pub reading: &'a Reading,
    pub(super) now: Timestamp,
}

impl Outcome<'_> {
    /// What was found and what was expected, or why nothing is known, in one sentence without a full stop: at most
    /// [`LONGEST_EVIDENCE`](super::LONGEST_EVIDENCE) bytes, control characters escaped, whatever vCenter sent.
    #[must_use]
    pub fn evidence(&self) -> String {
        evidence::sentence(self)
    }
}
