//! Mistakes in rules.

use std::fmt;

/// One mistake in one rule, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// Which rule, from 0.
    pub index: usize,
    /// The rule's name as it is written, which may be empty.
    pub rule: String,
    /// The field of [`RuleSpec`](super::RuleSpec) that the mistake is in.
    pub field: &'static str,
    /// Which entry of the field, from 0, where it is a list.
    pub item: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl std::error::Error for SpecError {}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {}", self.index + 1)?;
        if !self.rule.is_empty() {
            write!(f, " (`{}`)", self.rule)?;
        }
        write!(f, ", `{}`", self.field)?;
        if let Some(item) = self.item {
            write!(f, " entry {}", item + 1)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        Ok(())
    }
}
