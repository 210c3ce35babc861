//! The list of hardening rules of a VM.
//!
//! A rule that is not about the VM gives no item. What cannot be read gives one that is not compliant and has no severity, as in the
//! list of its protection. What somebody accepts for a time is compliant, and says who accepts what until when.

use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;
use mappings::checks::{self, ApiVersion, Kind as CheckKind, Outcome, RuleSet, Subject};
use mappings::compliance::{Check, Kind, List, Severity, Status};

use super::Wanted;
use crate::plan::report::Reported;

/// The lists that were made, by the rules and the readings that they were made of, which most VMs share, and the version.
#[derive(Debug, Default)]
pub(super) struct Hardening {
    made: HashMap<Key, Made>,
}

type Key = (*const RuleSet, Vec<checks::Reading>, Option<ApiVersion>);

#[derive(Debug, Clone)]
struct Made {
    list: Arc<List>,
    /// When it may be another without anything else happening.
    until: Option<Timestamp>,
}

impl Hardening {
    /// What there is to tell of one VM.
    pub(super) fn wanted(&mut self, one: &Reported<'_, '_>, now: Timestamp) -> Wanted {
        // Where nothing is read for rules, nothing is checked, and there is nothing to tell.
        let Some(reads) = one.part.reads() else { return Wanted::Nothing };
        let rules = reads.rules();
        if rules.reads(CheckKind::Vm).is_empty() {
            return Wanted::Nothing;
        }
        let Some(readings) = one.view.readings() else { return Wanted::NotRead("its settings") };
        let api = || one.part.about().and_then(|about| ApiVersion::parse(&about.api_version));
        let version = one.view.checked_version().or_else(api);
        // The fleet is being read all the while, so that the address of the rules stands for one and the same thing.
        let key = (Arc::as_ptr(rules), readings, version);
        if let Some(Made { list, until }) = self.made.get(&key).cloned() {
            return Wanted::List { list, until };
        }
        let subject = Subject {
            kind: CheckKind::Vm,
            version,
            is_provider_managed: one.part.is_provider_managed(),
            facts: one.view,
        };
        let (made, is_general) = list(rules, &subject, &key.1, now);
        if is_general {
            self.made.insert(key, made.clone());
        }
        Wanted::List { list: made.list, until: made.until }
    }
}

/// The list of one VM, and whether it is that of all VMs with the same readings: what a suppression selects is a matter of each.
fn list(
    rules: &RuleSet,
    subject: &Subject<'_>,
    readings: &[checks::Reading],
    now: Timestamp,
) -> (Made, bool) {
    let may_differ = !rules.suppressions().is_empty();
    let (mut until, mut is_general, mut all) = (None::<Timestamp>, true, Vec::new());
    for outcome in rules.evaluate(subject, readings, now) {
        if let checks::Status::Suppressed { until: end, .. } = outcome.status {
            // It holds to the end of that moment.
            let over = end.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(end);
            until = Some(until.map_or(over, |known| known.min(over)));
        }
        let is_passed = matches!(outcome.status, checks::Status::Passed | checks::Status::NotApplicable(_));
        is_general &= is_passed || !may_differ;
        all.extend(check(&outcome));
    }
    (Made { list: Arc::new(List::new(Kind::Hardening, all)), until }, is_general)
}

/// What is told of a rule; nothing where it has nothing to say.
pub(super) fn check(outcome: &Outcome<'_>) -> Option<Check> {
    let mut details = vec![("Family".to_owned(), outcome.rule.family.to_string())];
    let mut detail = |key: &str, value: String| details.push((key.to_owned(), value));
    let severity = severity(outcome.rule.severity);
    let (severity, status) = match &outcome.status {
        checks::Status::Passed => (severity, Status::Compliant),
        checks::Status::Failed => (severity, Status::NonCompliant),
        checks::Status::Suppressed { reason, until, .. } => {
            detail("State", "accepted".to_owned());
            detail("AcceptedUntil", format!("{until:.0}"));
            detail("AcceptedBecause", (*reason).to_owned());
            (severity, Status::Compliant)
        }
        checks::Status::NotReadable(_) => {
            detail("State", "cannot be read".to_owned());
            (Severity::Unspecified, Status::NonCompliant)
        }
        checks::Status::NotApplicable(_) | checks::Status::ProviderManaged => return None,
    };
    detail("Evidence", outcome.evidence());
    Some(Check {
        id: outcome.rule.id.to_string(),
        title: outcome.rule.title.to_string(),
        severity,
        status,
        details,
    })
}

fn severity(severity: checks::Severity) -> Severity {
    match severity {
        checks::Severity::Critical => Severity::Critical,
        checks::Severity::High => Severity::High,
        checks::Severity::Medium => Severity::Medium,
        checks::Severity::Low => Severity::Low,
        checks::Severity::Informational => Severity::Informational,
    }
}
