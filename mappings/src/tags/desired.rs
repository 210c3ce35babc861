//! What the rules say of one VM.

use std::borrow::Cow;
use std::fmt;
use std::ops::ControlFlow;

use crate::glob::{NamePattern, same_name};
use crate::selector::{Fact, TagsKnown, Verdict};

use super::rule::{KeySource, Kind, Rule, RuleId, RuleSet, Several, Source};
use super::text::{TagKey, TextError};
use super::value::Mapped;
use super::{TagFacts, TagValue};

/// A tag that the node should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DesiredTag {
    /// Its key.
    pub key: TagKey,
    /// Its value.
    pub value: TagValue,
    /// The rule.
    pub rule: RuleId,
    /// What had to be done to the value.
    pub changed: Option<Mapped>,
}

/// A rule of which nothing can be said now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undetermined {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub name: String,
    /// The key, if it is only one.
    pub key: Option<TagKey>,
    /// What is not known.
    pub what: &'static str,
}

impl Undetermined {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        "undetermined"
    }
}

impl fmt::Display for Undetermined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule `{}`: {} not known, so what is there stays; see to the permissions in vCenter",
            self.name, self.what
        )
    }
}

/// A value that a rule cannot use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub name: String,
    /// The key, if it could be made.
    pub key: Option<TagKey>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// The VM has several tags of the category.
    Several(Vec<String>),
    /// AWS does not accept the value.
    Value(TextError),
    /// AWS does not accept the key.
    Key(TextError),
    /// The value looks like the schedule of a window.
    Schedule,
    /// An earlier rule writes this key.
    Conflict(String),
}

impl Problem {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self.kind {
            ProblemKind::Several(_) => "severalValues",
            ProblemKind::Value(_) => "invalidValue",
            ProblemKind::Key(_) => "invalidKey",
            ProblemKind::Schedule => "schedule",
            ProblemKind::Conflict(_) => "conflict",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}`: ", self.name)?;
        match &self.kind {
            ProblemKind::Several(values) => write!(
                f,
                "the VM has several tags ({}); keep one of them, or set `several` of the rule",
                values.join(", ")
            ),
            ProblemKind::Value(error) => {
                write!(f, "the value cannot be used: {error}; change it, or set `invalid` or `long` of the rule")
            }
            ProblemKind::Key(error) => write!(f, "the key cannot be used: {error}; give the rule another `key`"),
            ProblemKind::Schedule => f.write_str(
                "the value is a schedule, which a tag of AWS cannot hold; give the window a name and use that as the tag",
            ),
            ProblemKind::Conflict(other) => {
                write!(f, "rule `{other}` writes the same key and comes first; give one of them another `key`")
            }
        }
    }
}

/// What the rules say of one VM.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// The tags, in the order of the rules.
    pub tags: Vec<DesiredTag>,
    /// What is not known.
    pub undetermined: Vec<Undetermined>,
    /// What cannot be used.
    pub problems: Vec<Problem>,
}

impl Desired {
    /// Whether a tag with this key, if we wrote it, has to stay as it is, because it is not certain that no rule wants it.
    #[must_use]
    pub fn keeps(&self, rules: &RuleSet, key: &TagKey) -> bool {
        let fits = |rule: RuleId, own: &Option<TagKey>| match own {
            Some(own) => own == key,
            None => rules.could_write(rule, key),
        };
        self.undetermined.iter().any(|undetermined| fits(undetermined.rule, &undetermined.key))
            || self.problems.iter().any(|problem| fits(problem.rule, &problem.key))
    }
}

/// The tags that there is room for, and those that are left out: rules that come first win.
#[must_use]
pub fn fit(desired: &Desired, capacity: usize) -> (&[DesiredTag], &[DesiredTag]) {
    desired.tags.split_at(capacity.min(desired.tags.len()))
}

impl RuleSet {
    /// What the rules say of a VM.
    #[must_use]
    pub fn desired(&self, facts: &dyn TagFacts) -> Desired {
        let mut desired = Desired::default();
        for (number, rule) in (0..).zip(&self.rules) {
            let mut out = Findings { number, rule, desired: &mut desired, rules: self };
            match rule.vms.verdict(facts) {
                Verdict::Selected => out.evaluate(facts),
                Verdict::NotIncluded | Verdict::Excluded(_) => {}
                Verdict::Unknown(_) => out.unknown("whether it applies is"),
            }
        }
        desired
    }
}

struct Findings<'a> {
    number: RuleId,
    rule: &'a Rule,
    desired: &'a mut Desired,
    rules: &'a RuleSet,
}

impl Findings<'_> {
    fn fixed_key(&self) -> Option<TagKey> {
        match &self.rule.key {
            KeySource::Fixed(key) => Some(key.clone()),
            KeySource::Around(..) => None,
        }
    }

    fn unknown(&mut self, what: &'static str) {
        let key = self.fixed_key();
        let name = self.rule.name.clone();
        self.desired.undetermined.push(Undetermined { rule: self.number, name, key, what });
    }

    fn problem(&mut self, key: Option<TagKey>, kind: ProblemKind) {
        let name = self.rule.name.clone();
        self.desired.problems.push(Problem { rule: self.number, name, key, kind });
    }

    fn evaluate(&mut self, facts: &dyn TagFacts) {
        match &self.rule.source {
            Source::Category(pattern) => self.category(pattern, facts),
            Source::Attribute(name) => match facts.custom_attribute(name) {
                Fact::Known(value) => self.single(value),
                Fact::Absent => {}
                Fact::Unknown => self.unknown("the custom attributes are"),
            },
            Source::Template(template) => match template.fill(facts) {
                Fact::Known(value) => self.single(&value),
                Fact::Absent => {}
                Fact::Unknown => self.unknown("a fact in its value is"),
            },
        }
    }

    fn category(&mut self, pattern: &NamePattern, facts: &dyn TagFacts) {
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        let known = facts.visit_tags(&mut |category, name| {
            if pattern.matches(category) {
                match found.iter_mut().find(|(known, _)| same_name(known, category)) {
                    Some((_, names)) => names.push(name),
                    None => found.push((category, vec![name])),
                }
            }
            ControlFlow::Continue(())
        });
        if known == TagsKnown::No {
            return self.unknown("its tags are");
        }
        found.sort();
        for (category, values) in found {
            let key = match &self.rule.key {
                KeySource::Fixed(key) => Ok(key.clone()),
                KeySource::Around(before, after) => {
                    // A category's name is not made fit: two of them could then have the same key.
                    TagKey::new(&format!("{before}{category}{after}"))
                }
            };
            match key {
                Ok(key) => self.values(key, values),
                Err(error) => self.problem(None, ProblemKind::Key(error)),
            }
        }
    }

    fn single(&mut self, value: &str) {
        if let Some(key) = self.fixed_key() {
            self.values(key, vec![value]);
        }
    }

    fn values(&mut self, key: TagKey, mut values: Vec<&str>) {
        let rule = self.rule;
        let any =
            |patterns: &[NamePattern], value: &str| patterns.iter().any(|pattern| pattern.matches(value));
        values.retain(|value| {
            !value.is_empty() && (rule.only.is_empty() || any(&rule.only, value)) && !any(&rule.except, value)
        });
        values.sort();
        values.dedup();
        let value = match (&values[..], rule.several) {
            ([], _) => return,
            ([one], _) | ([one, ..], Several::First) => Cow::Borrowed(*one),
            (several, Several::Join) => Cow::Owned(several.join(&rule.separator)),
            (several, Several::Error) => {
                let values = several.iter().map(|&value| value.to_owned()).collect();
                return self.problem(Some(key), ProblemKind::Several(values));
            }
        };
        if rule.kind == Kind::MaintenanceWindow && is_schedule(&value) {
            return self.problem(Some(key), ProblemKind::Schedule);
        }
        if let Some(first) = self.desired.tags.iter().find(|tag| tag.key == key) {
            let other = self.rules.name(first.rule).to_owned();
            return self.problem(Some(key), ProblemKind::Conflict(other));
        }
        match rule.treatment.apply(&value) {
            Ok((value, changed)) => {
                self.desired.tags.push(DesiredTag { key, value, rule: self.number, changed });
            }
            Err(error) => self.problem(Some(key), ProblemKind::Value(error)),
        }
    }
}

fn is_schedule(value: &str) -> bool {
    let value = value.trim_start().to_ascii_lowercase();
    ["cron(", "rate(", "at("].iter().any(|start| value.starts_with(start))
}
