//! Why a tag is not decided: facts that are not known, and values that cannot be used.

use std::fmt;
use std::sync::Arc;

use super::name::{Half, TagKey, shown};
use super::policy::clipped;
use super::rule::RuleId;
use super::{OWN_PREFIX, Placeholder};
use crate::selector;

/// A tag that may or may not be wanted, or whose value is not known. What is there stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undetermined {
    /// The rule.
    pub rule: RuleId,
    /// The rule's name.
    pub rule_name: Arc<str>,
    /// The key, or `None` for every key that the rule could write.
    pub key: Option<TagKey>,
    /// What is not known.
    pub why: Cause,
}

/// What is not known of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its tags.
    Tags,
    /// The custom attribute with this name.
    Attribute(Arc<str>),
    /// This fact.
    Fact(Placeholder),
    /// What the rule's `include` or `exclude` asks with this key.
    Selection(selector::Key),
    /// What this earlier rule wants, which could write the same key and would win.
    EarlierRule(Arc<str>),
}

impl Undetermined {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self.why {
            Cause::Tags => "tagsUnknown",
            Cause::Attribute(_) => "attributeUnknown",
            Cause::Fact(_) => "factUnknown",
            Cause::Selection(_) => "selectionUnknown",
            Cause::EarlierRule(_) => "earlierRuleUndecided",
        }
    }
}

impl fmt::Display for Undetermined {
    /// One sentence, with what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`: ", self.rule_name)?;
        match &self.key {
            Some(key) => write!(f, "`{key}` stays as it is, since ")?,
            None => f.write_str("its tags stay as they are, since ")?,
        }
        match &self.why {
            Cause::Tags => f.write_str("the tags of the VM cannot be read"),
            Cause::Attribute(name) => write!(f, "the custom attribute `{name}` of the VM cannot be read"),
            Cause::Fact(placeholder) => write!(f, "`{placeholder}` of the VM is not known"),
            Cause::Selection(key) => {
                write!(f, "it is for VMs with a certain `{key}`, and that of this VM is not known")
            }
            Cause::EarlierRule(name) => {
                write!(f, "the earlier rule `{name}` could write it too and is not decided")
            }
        }?;
        match &self.why {
            Cause::EarlierRule(_) => Ok(()),
            _ => f.write_str(" (`vmbridge check` shows what vmbridge's account may not read)"),
        }
    }
}

/// A tag that a rule wants and cannot have. What is there stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The rule.
    pub rule: RuleId,
    /// The rule's name.
    pub rule_name: Arc<str>,
    /// The key, or `None` when that is what cannot be had.
    pub key: Option<TagKey>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// Why a tag cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// Several values, and the rule says that this is an error.
    SeveralValues {
        /// The values, sorted.
        values: Vec<String>,
    },
    /// Characters that AWS does not accept, and the rule says that this is an error.
    Characters {
        /// Key or value.
        half: Half,
        /// The text.
        text: String,
        /// Each of the characters once.
        characters: String,
    },
    /// It begins with `aws:`, and the rule says that this is an error.
    Reserved {
        /// Key or value.
        half: Half,
        /// The text.
        text: String,
    },
    /// It is too long, and the rule says that this is an error.
    Long {
        /// Key or value.
        half: Half,
        /// The text.
        text: String,
        /// Its length in UTF-16 code units.
        length: usize,
    },
    /// The category has no name that a key could be made of.
    EmptyKey,
    /// The key is one that this rule may not write.
    KeptKey,
    /// An earlier rule, or an earlier category, writes this key with another value.
    Conflict {
        /// The rule that wins.
        winner: Arc<str>,
    },
    /// A schedule instead of the name of a maintenance window.
    Schedule {
        /// The value.
        value: String,
    },
}

impl Problem {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match &self.kind {
            ProblemKind::SeveralValues { .. } => "severalValues",
            ProblemKind::Characters { half: Half::Key, .. } => "keyCharacters",
            ProblemKind::Characters { half: Half::Value, .. } => "valueCharacters",
            ProblemKind::Reserved { half: Half::Key, .. } => "keyReserved",
            ProblemKind::Reserved { half: Half::Value, .. } => "valueReserved",
            ProblemKind::Long { half: Half::Key, .. } => "keyLong",
            ProblemKind::Long { half: Half::Value, .. } => "valueLong",
            ProblemKind::EmptyKey => "keyEmpty",
            ProblemKind::KeptKey => "keyKept",
            ProblemKind::Conflict { .. } => "keyConflict",
            ProblemKind::Schedule { .. } => "schedule",
        }
    }
}

impl fmt::Display for Problem {
    /// One sentence, with what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`: ", self.rule_name)?;
        if let Some(key) = &self.key {
            write!(f, "`{key}`: ")?;
        }
        match &self.kind {
            ProblemKind::SeveralValues { values } => {
                write!(f, "the VM has several values, ")?;
                for (i, value) in values.iter().take(MOST_SHOWN).enumerate() {
                    write!(f, "{}`{}`", if i == 0 { "" } else { ", " }, clipped(value))?;
                }
                if values.len() > MOST_SHOWN {
                    write!(f, " and {} more", values.len() - MOST_SHOWN)?;
                }
                f.write_str(" (remove all but one in vSphere, or set `several`)")
            }
            ProblemKind::Characters { half, text, characters } => {
                let list: Vec<String> = characters.chars().take(MOST_SHOWN).map(shown).collect();
                let (text, list) = (clipped(text), list.join(" "));
                write!(f, "the {half} `{text}` has characters that AWS does not accept: {list} (rename it in vSphere, or set `invalid`)")
            }
            ProblemKind::Reserved { half, text } => write!(
                f,
                "the {half} `{}` begins with `aws:`, which AWS keeps for itself (rename it in vSphere, or set `invalid`)",
                clipped(text)
            ),
            ProblemKind::Long { half, text, length } => write!(
                f,
                "the {half} `{}` has {length} characters, and there is room for fewer: {} in all (rename it in vSphere, or set `long`)",
                clipped(text),
                half.limit()
            ),
            ProblemKind::EmptyKey => f.write_str("a category without a name makes no key (rename it in vSphere)"),
            ProblemKind::KeptKey => write!(
                f,
                "a rule with a pattern cannot write this key (`Patch Group` needs a rule of kind `patch-group`, `{OWN_PREFIX}` is vmbridge's own; add the category to `except_category`)"
            ),
            ProblemKind::Conflict { winner } if **winner == *self.rule_name => {
                f.write_str("two categories make the same key with different values; the first in alphabetical order is taken (rename one in vSphere)")
            }
            ProblemKind::Conflict { winner } => write!(
                f,
                "the earlier rule `{winner}` writes this key with another value (add the category to `except_category`)"
            ),
            ProblemKind::Schedule { value } => write!(
                f,
                "`{}` is a schedule, which a tag cannot hold (name the window by a word such as `sunday-0200`, and target the tag in the window)",
                clipped(value)
            ),
        }
    }
}

/// The most values and characters in one sentence.
const MOST_SHOWN: usize = 5;
