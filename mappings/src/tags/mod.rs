//! Tag rules: what vSphere knows about a VM, as tags of its managed node in Systems Manager.
//!
//! A person writes [`RuleSpec`]s; [`RuleSet::new`] checks all of them at once and compiles them; [`RuleSet::desired`] says
//! for one VM which tags its node should have. Nothing is decided on a guess: a fact that cannot be read makes a tag
//! *undetermined*, a value that cannot be used makes it a *problem*, and in both cases whoever acts on it has to leave
//! what is there as it is ([`Desired::keeps`]). Only what is known not to be wanted is absent.
//!
//! What goes wrong here is a mistake in a rule, told at start with the place and the fix, or a value in vSphere that the
//! rule refuses, told per VM.

mod chars;
mod compile;
mod desired;
mod encode;
mod evaluate;
mod facts;
mod key;
mod mistake;
mod name;
mod natural;
mod policy;
mod problem;
mod rule;
mod schedule;
mod set;
mod spec;
mod template;

pub use chars::{MAX_KEY, MAX_VALUE};
pub use desired::{Desired, DesiredTag, fit};
pub use encode::{DecodeError, decode, encode};
pub use facts::{Placeholder, TagFacts};
pub use mistake::SpecError;
pub use name::{Half, TagError, TagKey, TagValue};
pub use policy::{Change, Changed};
pub use problem::{Cause, Problem, ProblemKind, Undetermined};
pub use rule::RuleId;
pub use set::{MAX_RULES, RuleSet};
pub use spec::{Case, Empty, Invalid, Kind, Long, RuleSpec, Several};

/// Rules that suit most installations, as TOML with comments: an array of tables `rule`, whose keys are the fields of
/// [`RuleSpec`].
pub const DEFAULTS: &str = include_str!("../../defaults/tags.toml");

/// Beginning of the keys that vmbridge keeps for itself, in any case.
pub const OWN_PREFIX: &str = "vmbridge:";

#[cfg(test)]
mod tests;
