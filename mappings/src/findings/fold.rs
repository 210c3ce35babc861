//! Which problems become one finding.
//!
//! Security Hub charges for each finding that is imported. Folded, a VM with thirty failed checks of one family is one
//! finding, and its description and product fields name them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::RuleId;
use super::name::{Scope, finding_id};
use super::problem::{Object, Problem, Severity, Status, Target};
use super::text::{part, unpart};

/// How problems become findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Folding {
    /// One for each subject and rule.
    Full,
    /// One for each subject and family of rules.
    #[default]
    Folded,
}

/// What a finding says of one rule. It is remembered, so that a rule that cannot be read now stays told when another changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The rule.
    pub rule: RuleId,
    /// How bad it is.
    pub severity: Severity,
    /// What it came to.
    pub status: Status,
    /// Its title; empty when that is not known any more.
    pub title: Arc<str>,
}

impl Part {
    fn of(problem: &Problem) -> Self {
        let Problem { rule, severity, status, title, .. } = problem;
        Self { rule: rule.clone(), severity: *severity, status: *status, title: Arc::clone(title) }
    }

    /// How much it counts: what could not be found out is no problem yet.
    pub(super) fn weight(&self) -> Severity {
        match self.status {
            Status::Failed | Status::Warning => self.severity,
            Status::NotAvailable | Status::Passed => Severity::Informational,
        }
    }

    pub(super) fn label(&self) -> &str {
        if self.title.trim().is_empty() { self.rule.as_str() } else { &self.title }
    }

    /// As it stands in the product field `vmbridge/rules`: `rule:SEVERITY:STATUS`.
    pub(super) fn word(&self) -> String {
        format!("{}:{}:{}", part(self.rule.as_str(), 128), self.severity.label(), self.status.label())
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        let mut words = word.split(':');
        let rule = unpart(words.next().filter(|rule| !rule.is_empty())?).into();
        let severity = Severity::from_label(words.next()?)?;
        let status = Status::from_label(words.next()?)?;
        words.next().is_none().then_some(Self { rule, severity, status, title: "".into() })
    }
}

/// Problems that are one finding, the worst first.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    pub target: &'a Target,
    pub object: &'a Object,
    pub scope: Scope,
    pub problems: Vec<&'a Problem>,
}

impl<'a> Group<'a> {
    pub(super) fn worst(&self) -> &'a Problem {
        self.problems[0]
    }

    /// One for each rule, in the order of their ids.
    pub(super) fn parts(&self) -> Vec<Part> {
        let mut parts: BTreeMap<&RuleId, Part> = BTreeMap::new();
        for problem in &self.problems {
            parts.entry(&problem.rule).or_insert_with(|| Part::of(problem));
        }
        parts.into_values().collect()
    }
}

/// What a problem is told in.
pub(super) fn scope(problem: &Problem, folding: Folding) -> Scope {
    match folding {
        Folding::Full => Scope::Rule(problem.rule.clone()),
        Folding::Folded => Scope::Family(problem.family.clone()),
    }
}

/// The findings that there have to be. The order of the problems does not matter.
pub(super) fn groups(problems: &[Problem], folding: Folding) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<(&Target, &Object, Scope), Vec<&Problem>> = BTreeMap::new();
    for problem in problems.iter().filter(|problem| problem.status != Status::Passed) {
        let key = (&*problem.target, &problem.subject.object, scope(problem, folding));
        groups.entry(key).or_default().push(problem);
    }
    let groups = groups.into_iter().map(|((target, object, scope), mut problems)| {
        problems.sort_by(|one, two| worst_first(one, two));
        Group { target, object, scope, problems }
    });
    groups.collect()
}

fn worst_first(one: &Problem, two: &Problem) -> Ordering {
    let weight = |problem: &Problem| Reverse((Part::of(problem).weight(), problem.status));
    let text =
        |problem: &Problem| (problem.title.clone(), problem.description.clone(), problem.evidence.clone());
    (weight(one), &one.rule).cmp(&(weight(two), &two.rule)).then_with(|| text(one).cmp(&text(two)))
}

/// How many findings there would be.
#[must_use]
pub fn count(problems: &[Problem], folding: Folding) -> usize {
    let ids = problems.iter().filter(|problem| problem.status != Status::Passed);
    let ids =
        ids.map(|problem| finding_id(&problem.target, &problem.subject.object, &scope(problem, folding)));
    ids.collect::<BTreeSet<_>>().len()
}
