//! What the rules want for one VM.

use super::name::{TagKey, TagValue};
use super::policy::Changed;
use super::problem::{Problem, Undetermined};
use super::rule::RuleId;
use super::set::RuleSet;

/// A tag that the node of a VM should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTag {
    /// Its key; no other tag in the same [`Desired`] has it.
    pub key: TagKey,
    /// Its value.
    pub value: TagValue,
    /// The rule that wants it.
    pub rule: RuleId,
    /// What was done to key and value so that AWS accepts them.
    pub changed: Option<Box<Changed>>,
}

/// What the rules want for one VM. A key that is in none of the three lists is not wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// The tags, in the order of the rules; those of one rule by category.
    pub tags: Vec<DesiredTag>,
    /// What depends on something that is not known.
    pub undetermined: Vec<Undetermined>,
    /// What cannot be had.
    pub problems: Vec<Problem>,
}

impl Desired {
    /// Whether a tag of ours with this key has to stay as it is, although it may not be in `tags`: because it is not known
    /// whether it is wanted, or because what is wanted cannot be had. `rules` is the set that this came from.
    #[must_use]
    pub fn keeps(&self, rules: &RuleSet, key: &TagKey) -> bool {
        let concerns = |rule: RuleId, concerned: Option<&TagKey>| match concerned {
            Some(concerned) => concerned == key,
            None => rules.could_write(rule, key),
        };
        self.undetermined.iter().any(|entry| concerns(entry.rule, entry.key.as_ref()))
            || self.problems.iter().any(|entry| concerns(entry.rule, entry.key.as_ref()))
    }

    /// The tag with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&DesiredTag> {
        self.tags.iter().find(|tag| tag.key.as_str() == key)
    }
}

/// Divides the tags into those for which there is room and those that are left out. Earlier rules win.
///
/// `capacity` is what is left of the 50 tags of a resource after those of others, and after those of ours that stay
/// as they are without being in `desired` ([`Desired::keeps`]).
#[must_use]
pub fn fit(desired: &Desired, capacity: usize) -> (Vec<&DesiredTag>, Vec<&DesiredTag>) {
    let (kept, dropped) = desired.tags.split_at(capacity.min(desired.tags.len()));
    (kept.iter().collect(), dropped.iter().collect())
}
