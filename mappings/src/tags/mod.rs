//! Tag rules: from what vSphere says of a VM to the tags that its managed node should have.
//!
//! A rule takes a tag category, a custom attribute or a template of facts, and gives one key a value. What goes wrong is of
//! two kinds. A rule that can never work is a [`SpecError`] before anything starts. A VM of which a rule cannot say anything
//! now is told in [`Desired`]: what is not known, and what cannot be a value. Neither is the same as "no tag": what is there
//! then stays.

mod desired;
mod rule;
mod template;
#[cfg(test)]
mod tests;
mod text;
mod value;

use crate::selector::{Fact, VmFacts};

pub use desired::{Desired, DesiredTag, Problem, ProblemKind, Undetermined, fit};
pub use rule::{Case, Invalid, Kind, Long, RuleId, RuleSet, RuleSpec, Several, SpecError};
pub use text::{LONGEST_KEY, LONGEST_VALUE, TagKey, TagValue, TextError, is_allowed};
pub use value::{Mapped, decode, encode};

/// The rules that come with the program, in the form of the configuration.
pub const DEFAULTS: &str = include_str!("../../defaults/tags.toml");

/// What rules may ask about a VM beyond what selectors may.
pub trait TagFacts: VmFacts {
    /// The resource pool's name.
    fn resource_pool(&self) -> Fact<&str>;
    /// The full name of the guest's operating system, as the guest or else the configuration says.
    fn guest_os(&self) -> Fact<&str>;
    /// What the guest calls itself.
    fn host_name(&self) -> Fact<&str>;
}
