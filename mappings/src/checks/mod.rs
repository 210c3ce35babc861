//! Hardening checks: what a rule reads of a vSphere object, what it expects, and what came of it.
//!
//! Rules are data (`mappings/defaults/checks/*.toml`, and files of the operator in the same form). This module turns them
//! into a [`RuleSet`], which says beforehand which properties have to be read ([`RuleSet::properties`]), so that reading
//! them costs no call of its own: they come with the watch. What arrives is reduced at once to small [`Reading`]s, one for
//! each [`Read`] of the object's kind ([`RuleSet::reads`] is the order of the slots), and the rest is thrown away.
//!
//! An object of which vCenter knows no configuration (a VM whose files cannot be reached, a host that was never connected)
//! has no values that could be missing: every set of rules also reads one thing that each such object has, and without it
//! nothing is known of the rest.
//!
//! A value that could not be read is never taken for a good or a bad one: the outcome then is [`Status::NotReadable`], and
//! whoever keeps findings leaves them as they are.

mod build;
mod catalogue;
mod certificate;
mod evidence;
mod expect;
mod file;
mod kind;
mod mistake;
mod outcome;
mod read;
mod reading;
mod rule;
mod set;
mod suppress;
mod version;

pub use catalogue::markdown as catalogue;
pub use evidence::LONGEST as LONGEST_EVIDENCE;
pub use expect::{Expect, Predicate};
pub use file::{LONGEST as LONGEST_FILE, RuleFile, parse};
pub use kind::Kind;
pub use mistake::Mistake;
pub use outcome::{Inapplicable, Outcome, Status, Unread};
pub use read::{FieldPath, Pick, Read, Take, Tree};
pub use reading::Reading;
pub use rule::{Case, Condition, Family, Missing, References, Rule, RuleId, Severity};
pub use set::{Keep, RuleSet, Sources, Subject, defaults};
pub use suppress::{Scope, Suppression, end_of_day};
pub use version::{ApiVersion, Versions, VersionsError};

/// The rules that come with the program: the name of each file and its text.
pub const DEFAULTS: &[(&str, &str)] = &[
    ("vm.toml", include_str!("../../defaults/checks/vm.toml")),
    ("host.toml", include_str!("../../defaults/checks/host.toml")),
    ("cluster.toml", include_str!("../../defaults/checks/cluster.toml")),
    ("portgroup.toml", include_str!("../../defaults/checks/portgroup.toml")),
];
