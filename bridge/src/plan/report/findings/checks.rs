//! From what came of a check to the problem that is told, or to why nothing is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mappings::checks::{Outcome, Rule, Severity as RuleSeverity, Status as Found};
use mappings::findings::{Advice, Class, Problem, Severity, Status, Subject, Target};

/// The words of a rule, shared by all problems with it.
#[derive(Debug, Clone)]
pub(super) struct Words {
    title: Arc<str>,
    rationale: Arc<str>,
    advice: Advice,
    requirements: Vec<Arc<str>>,
}

/// The words of all rules that failed somewhere.
#[derive(Debug, Default)]
pub(super) struct Dictionary(HashMap<Box<str>, Words>);

impl Dictionary {
    fn of(&mut self, rule: &Rule) -> &Words {
        self.0.entry(rule.id.as_str().into()).or_insert_with(|| Words {
            title: (&*rule.title).into(),
            rationale: (&*rule.rationale).into(),
            advice: Advice { text: (&*rule.remediation).into(), url: rule.link.as_deref().map(Into::into) },
            requirements: rule.references.iter().map(Into::into).collect(),
        })
    }
}

/// What an outcome means for findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is a problem.
    Bad,
    /// There is nothing wrong.
    Good,
    /// It is wrong, and somebody accepts it.
    Accepted,
    /// Nobody asks: it does not apply, or somebody else looks after it.
    NotAsked,
    /// Nobody knows: what was told stays.
    Unknown,
}

/// What an outcome means.
pub(super) fn meaning(outcome: &Outcome<'_>) -> Meaning {
    match outcome.status {
        Found::Failed => Meaning::Bad,
        Found::NotReadable(_) => Meaning::Unknown,
        Found::Passed => Meaning::Good,
        Found::Suppressed { .. } => Meaning::Accepted,
        Found::NotApplicable(_) | Found::ProviderManaged => Meaning::NotAsked,
    }
}

/// The problem that a failed check is.
pub(super) fn problem(
    outcome: &Outcome<'_>,
    subject: &Arc<Subject>,
    target: &Arc<Target>,
    words: &mut Dictionary,
) -> Problem {
    let rule = outcome.rule;
    let words = words.of(rule);
    Problem {
        rule: rule.id.as_str().into(),
        family: rule.family.as_str().into(),
        class: Class::Hardening,
        subject: Arc::clone(subject),
        target: Arc::clone(target),
        title: Arc::clone(&words.title),
        description: Arc::clone(&words.rationale),
        severity: match rule.severity {
            RuleSeverity::Informational => Severity::Informational,
            RuleSeverity::Low => Severity::Low,
            RuleSeverity::Medium => Severity::Medium,
            RuleSeverity::High => Severity::High,
            RuleSeverity::Critical => Severity::Critical,
        },
        status: Status::Failed,
        advice: Some(words.advice.clone()),
        requirements: words.requirements.clone(),
        evidence: BTreeMap::from([("found".into(), outcome.evidence().into())]),
    }
}
