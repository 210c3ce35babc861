//! Selectors: which VMs something applies to.
//!
//! Every capability asks the same question ("is this VM mine?") in the same words, so that an operator learns them
//! once. A selector is compiled once and then matched against tens of thousands of VMs without allocating.
//!
//! - A [`Clause`] is a set of conditions that must all hold; a key with several values needs one of them.
//! - A [`Selector`] takes a VM when any `include` clause does (or there are none) and no `exclude` clause does.
//! - A fact that cannot be read never counts as "no": the [`Verdict`] is then [`Verdict::Unknown`], so that a caller
//!   can refuse to remove anything on a guess.
//!
//! ```
//! use mappings::selector::Selector;
//! let selector: Selector = "folder=/Prod/** and tag=Env:prod|stage:* except name=*-test".parse()?;
//! assert_eq!(selector.include().len(), 1);
//! # Ok::<(), mappings::selector::SyntaxError>(())
//! ```

mod condition;
mod facts;
mod text;

use std::fmt;

pub use condition::{Key, ValueError};
pub use facts::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};
pub use text::SyntaxError;

use condition::{Outcome, Test};

/// The most clauses in one list of a selector.
pub const MAX_CLAUSES: usize = 256;
/// The most values of one key in one clause.
pub const MAX_VALUES: usize = 256;

/// All values that one key may have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    key: Key,
    any_of: Vec<Test>,
}

impl Condition {
    fn outcome(&self, vm: &dyn VmFacts) -> Outcome {
        let mut best = Outcome::No;
        for test in &self.any_of {
            best = best.max(test.outcome(vm));
            if best == Outcome::Yes {
                break;
            }
        }
        best
    }
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    conditions: Vec<Condition>,
}

impl Clause {
    /// Starts a clause without conditions.
    #[must_use]
    pub fn builder() -> ClauseBuilder {
        ClauseBuilder { conditions: Vec::new() }
    }

    /// The keys of this clause, in the order in which they were given.
    pub fn keys(&self) -> impl Iterator<Item = Key> {
        self.conditions.iter().map(|condition| condition.key)
    }

    fn outcome(&self, vm: &dyn VmFacts) -> Outcome {
        let mut worst = Outcome::Yes;
        for condition in &self.conditions {
            worst = worst.min(condition.outcome(vm));
            if worst == Outcome::No {
                break;
            }
        }
        worst
    }
}

/// Collects the conditions of one [`Clause`]. Each value is judged by itself, so that a caller who walks a file can
/// report every mistake at its own place.
#[derive(Debug, Clone)]
pub struct ClauseBuilder {
    conditions: Vec<Condition>,
}

impl ClauseBuilder {
    /// Adds one value that `key` may have. Several values of one key mean: any of them.
    ///
    /// # Errors
    /// When the key does not accept the value; the clause stays as it was.
    pub fn add(&mut self, key: Key, value: &str) -> Result<(), ValueError> {
        let test = Test::new(key, value)?;
        let condition = match self.conditions.iter().position(|condition| condition.key == key) {
            Some(at) => &mut self.conditions[at],
            None => {
                self.conditions.push(Condition { key, any_of: Vec::new() });
                let last = self.conditions.len() - 1;
                &mut self.conditions[last]
            }
        };
        if condition.any_of.len() >= MAX_VALUES {
            return Err(ValueError {
                offset: 0,
                message: format!("more than {MAX_VALUES} values of one key"),
                suggestion: None,
            });
        }
        condition.any_of.push(test);
        Ok(())
    }

    /// Whether any value was added for `key`.
    #[must_use]
    pub fn has(&self, key: Key) -> bool {
        self.conditions.iter().any(|condition| condition.key == key)
    }

    /// The clause, or `None` when it has no condition (a clause that says nothing is a mistake, not "everything").
    #[must_use]
    pub fn build(self) -> Option<Clause> {
        (!self.conditions.is_empty()).then_some(Clause { conditions: self.conditions })
    }
}

/// Include and exclude lists of clauses. The default selects every VM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector {
    include: Vec<Clause>,
    exclude: Vec<Clause>,
}

/// What a selector says about a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// Selected.
    Selected,
    /// No `include` clause takes it.
    NotIncluded,
    /// This `exclude` clause takes it.
    Excluded(&'a Clause),
    /// It depends on a fact that is not known.
    Unknown(Key),
}

impl Selector {
    /// A selector from its lists.
    #[must_use]
    pub fn new(include: Vec<Clause>, exclude: Vec<Clause>) -> Self {
        Self { include, exclude }
    }

    /// The clauses of which one must take the VM. Empty: every VM.
    #[must_use]
    pub fn include(&self) -> &[Clause] {
        &self.include
    }

    /// The clauses of which none may take the VM.
    #[must_use]
    pub fn exclude(&self) -> &[Clause] {
        &self.exclude
    }

    /// Whether this selector takes every VM, whatever its facts.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether the VM is certainly selected.
    #[must_use]
    pub fn selects(&self, vm: &dyn VmFacts) -> bool {
        self.verdict(vm) == Verdict::Selected
    }

    /// What this selector says about the VM, with the reason. An exclude clause that certainly takes the VM decides
    /// even if the include list could not be judged.
    #[must_use]
    pub fn verdict(&self, vm: &dyn VmFacts) -> Verdict<'_> {
        let mut unknown = None;
        for clause in &self.exclude {
            match clause.outcome(vm) {
                Outcome::Yes => return Verdict::Excluded(clause),
                Outcome::Unknown(key) => unknown = unknown.or(Some(key)),
                Outcome::No => {}
            }
        }
        let mut included = if self.include.is_empty() { Outcome::Yes } else { Outcome::No };
        for clause in &self.include {
            included = included.max(clause.outcome(vm));
            if included == Outcome::Yes {
                break;
            }
        }
        match (included, unknown) {
            (Outcome::No, _) => Verdict::NotIncluded,
            (Outcome::Unknown(key), _) | (Outcome::Yes, Some(key)) => Verdict::Unknown(key),
            (Outcome::Yes, None) => Verdict::Selected,
        }
    }
}

impl std::str::FromStr for Selector {
    type Err = SyntaxError;

    /// Reads the text form, e.g. `folder=/Prod/** and tag=Env:prod except name=*-test`.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        text::selector(text)
    }
}

impl std::str::FromStr for Clause {
    type Err = SyntaxError;

    /// Reads one clause of the text form, without `or` and `except`.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        text::clause(text)
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, condition) in self.conditions.iter().enumerate() {
            write!(f, "{}{}=", if i == 0 { "" } else { " and " }, condition.key)?;
            for (j, test) in condition.any_of.iter().enumerate() {
                if j > 0 {
                    f.write_str("|")?;
                }
                text::write_value(f, &test.to_string())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Selector {
    /// The text form; reading it gives an equal selector. Everything is written as `all`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, clauses: &[Clause]| {
            clauses
                .iter()
                .enumerate()
                .try_for_each(|(i, clause)| write!(f, "{}{clause}", if i == 0 { "" } else { " or " }))
        };
        if self.include.is_empty() {
            f.write_str("all")?;
        }
        list(f, &self.include)?;
        if !self.exclude.is_empty() {
            f.write_str(" except ")?;
            list(f, &self.exclude)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
