//! Applies rules to one VM.
//!
//! The tags of a VM are visited once for all rules, and what they say is kept in one buffer: a fleet of tens of thousands of
//! VMs is evaluated in every cycle.

use std::borrow::Cow;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::OWN_PREFIX;
use super::chars;
use super::desired::{Desired, DesiredTag};
use super::facts::TagFacts;
use super::key;
use super::name::{Half, TagKey, TagValue};
use super::natural;
use super::policy::Changed;
use super::problem::{Cause, Problem, ProblemKind, Undetermined};
use super::rule::{Rule, RuleId, Source};
use super::schedule::looks_like_schedule;
use super::set::RuleSet;
use super::spec::{Kind, Several};
use super::template::Rendered;
use crate::selector::{Fact, TagsKnown, Verdict};

/// The tags of a VM that some rule reads.
#[derive(Default)]
struct Tags {
    /// Whether these are all.
    known: bool,
    /// Categories and names, one after the other.
    text: String,
    hits: Vec<Hit>,
}

/// A tag that a rule reads.
struct Hit {
    rule: u16,
    category: Range<usize>,
    name: Range<usize>,
}

impl Tags {
    fn read(rules: &RuleSet, facts: &dyn TagFacts) -> Self {
        let mut tags = Self { known: true, text: String::with_capacity(96), hits: Vec::with_capacity(8) };
        let known = facts.visit_tags(&mut |category, name| {
            let mut at: Option<(Range<usize>, Range<usize>)> = None;
            for (rule, pattern) in rules.categories() {
                if !pattern.takes(category) {
                    continue;
                }
                let (category, name) = at.get_or_insert_with(|| {
                    let start = tags.text.len();
                    tags.text.push_str(category);
                    let middle = tags.text.len();
                    tags.text.push_str(name);
                    (start..middle, middle..tags.text.len())
                });
                tags.hits.push(Hit { rule: rule.0, category: category.clone(), name: name.clone() });
            }
            ControlFlow::Continue(())
        });
        tags.known = known == TagsKnown::Yes;
        tags
    }

    /// Category and name of each tag that the rule reads.
    fn of(&self, rule: RuleId) -> impl Iterator<Item = (&str, &str)> {
        let hits = self.hits.iter().filter(move |hit| hit.rule == rule.0);
        hits.map(|hit| (&self.text[hit.category.clone()], &self.text[hit.name.clone()]))
    }
}

impl RuleSet {
    /// What the rules want for one VM. The same facts always give the same answer, in whatever order they are visited.
    #[must_use]
    pub fn desired(&self, facts: &dyn TagFacts) -> Desired {
        let tags = if self.reads_tags() { Tags::read(self, facts) } else { Tags::default() };
        let out = Desired { tags: Vec::with_capacity(self.len()), ..Desired::default() };
        let mut evaluation = Evaluation { rules: self, out };
        for (id, rule) in self.numbered() {
            evaluation.rule(id, rule, facts, &tags);
        }
        evaluation.out
    }
}

struct Evaluation<'a> {
    rules: &'a RuleSet,
    out: Desired,
}

impl Evaluation<'_> {
    fn rule(&mut self, id: RuleId, rule: &Rule, facts: &dyn TagFacts, tags: &Tags) {
        let undecided = match rule.selector.verdict(facts) {
            Verdict::Selected => None,
            Verdict::NotIncluded | Verdict::Excluded(_) => return,
            Verdict::Unknown(key) => Some(Cause::Selection(key)),
        };
        match &rule.source {
            Source::Value(template) => match template.render(facts, rule.keep_empty) {
                Rendered::Text(text) => self.group(id, rule, "", std::iter::once(&*text), undecided),
                Rendered::Absent => {}
                Rendered::Unknown(placeholder) => self.unknown(id, rule, None, Cause::Fact(placeholder)),
            },
            Source::Attribute(name) => match facts.custom_attribute(name) {
                Fact::Known(value) => self.group(id, rule, "", std::iter::once(value), undecided),
                Fact::Absent => self.group(id, rule, "", std::iter::once(""), undecided),
                Fact::Unknown => self.unknown(id, rule, None, Cause::Attribute(name.clone())),
            },
            Source::Category(_) if !tags.known => self.unknown(id, rule, None, Cause::Tags),
            Source::Category(_) if rule.key.fixed().is_some() => {
                self.group(id, rule, "", tags.of(id).map(|(_, name)| name), undecided);
            }
            Source::Category(_) => {
                let mut found: Vec<(&str, &str)> = tags.of(id).collect();
                found.sort_unstable();
                for group in found.chunk_by(|a, b| a.0 == b.0) {
                    let values = group.iter().map(|(_, name)| *name);
                    self.group(id, rule, group[0].0, values, undecided.clone());
                }
            }
        }
    }

    /// The values that one tag is made of.
    fn group<'t>(
        &mut self,
        id: RuleId,
        rule: &'t Rule,
        category: &str,
        values: impl Iterator<Item = &'t str>,
        undecided: Option<Cause>,
    ) {
        let combined = match combine(rule, values) {
            Ok(None) => return,
            Ok(Some(value)) => Ok(value),
            Err(problem) => Err(problem),
        };
        let (key, key_change) = match rule.key.make(&rule.policy, category) {
            Ok(made) => made,
            Err(problem) => return self.problem(id, rule, None, problem),
        };
        if let Some(cause) = undecided {
            return self.unknown(id, rule, Some(key), cause);
        }
        if self.rules.can_conflict()
            && let Some(earlier) = self.undecided_before(id, &key)
        {
            return self.unknown(id, rule, Some(key), Cause::EarlierRule(earlier));
        }
        let shaped = combined.and_then(|value| {
            if rule.kind == Kind::MaintenanceWindow && looks_like_schedule(&value) {
                return Err(ProblemKind::Schedule { value: value.into_owned() });
            }
            match rule.policy.shape(&value, Half::Value, chars::MAX_VALUE, true) {
                // Nothing is left of it, which is not what `empty` is about.
                Ok((shaped, Some(_))) if shaped.is_empty() => {
                    let (text, characters) = (value.to_string(), value.to_string());
                    Err(ProblemKind::Characters { half: Half::Value, text, characters })
                }
                Ok((shaped, change)) => Ok((TagValue::made(&shaped), change)),
                Err(refused) => Err(key::refusal(refused, Half::Value, &value)),
            }
        });
        let (value, value_change) = match shaped {
            Ok(shaped) => shaped,
            Err(problem) => return self.problem(id, rule, Some(key), problem),
        };
        if self.rules.can_conflict() {
            if let Some(earlier) = self.out.tags.iter().find(|tag| tag.key == key) {
                if earlier.value != value {
                    let winner = self.rules.shared_name(earlier.rule);
                    self.problem(id, rule, Some(key), ProblemKind::Conflict { winner });
                }
                return;
            }
            if rule.key.fixed().is_none() && is_kept(key.as_str()) {
                return self.problem(id, rule, Some(key), ProblemKind::KeptKey);
            }
        }
        let changed = Changed::new(key_change, value_change);
        self.out.tags.push(DesiredTag { key, value, rule: id, changed });
    }

    /// An earlier rule that could write the key and is not decided: it would win if it were, so that nobody can say yet
    /// what the value is.
    fn undecided_before(&self, id: RuleId, key: &TagKey) -> Option<Arc<str>> {
        let concerns = |rule: RuleId, concerned: Option<&TagKey>| match concerned {
            Some(concerned) => concerned == key,
            None => rule < id && self.rules.could_write(rule, key),
        };
        let unknown = self.out.undetermined.iter().find(|entry| concerns(entry.rule, entry.key.as_ref()));
        let problem = || self.out.problems.iter().find(|entry| concerns(entry.rule, entry.key.as_ref()));
        unknown
            .map(|entry| entry.rule_name.clone())
            .or_else(|| problem().map(|entry| entry.rule_name.clone()))
    }

    fn unknown(&mut self, id: RuleId, rule: &Rule, key: Option<TagKey>, why: Cause) {
        let key = key.or_else(|| rule.key.fixed().cloned());
        self.out.undetermined.push(Undetermined { rule: id, rule_name: rule.name.clone(), key, why });
    }

    fn problem(&mut self, id: RuleId, rule: &Rule, key: Option<TagKey>, kind: ProblemKind) {
        self.out.problems.push(Problem { rule: id, rule_name: rule.name.clone(), key, kind });
    }
}

/// Puts the values of one tag together. `None`: there is none.
fn combine<'t>(
    rule: &'t Rule,
    values: impl Iterator<Item = &'t str>,
) -> Result<Option<Cow<'t, str>>, ProblemKind> {
    let mut values = values.filter_map(|value| rule.prepare(value));
    let Some(first) = values.next() else { return Ok(None) };
    let Some(second) = values.next() else { return Ok(Some(first)) };
    let mut all = vec![first, second];
    all.extend(values);
    all.sort_by(|a, b| natural::compare(a, b));
    all.dedup();
    if all.len() == 1 {
        return Ok(all.pop());
    }
    match rule.several {
        Several::First => Ok(Some(all.swap_remove(0))),
        Several::Join => Ok(Some(Cow::Owned(all.join(&*rule.separator)))),
        Several::Error => {
            Err(ProblemKind::SeveralValues { values: all.into_iter().map(Cow::into_owned).collect() })
        }
    }
}

/// Keys that only rules that name them may write.
pub(super) fn is_kept(key: &str) -> bool {
    chars::begins(key, OWN_PREFIX) || is_patch_group(key)
}

/// Whether this is the key of the patch group, or looks like it.
pub(super) fn is_patch_group(key: &str) -> bool {
    ["Patch Group", "PatchGroup"].iter().any(|word| key.eq_ignore_ascii_case(word))
}
