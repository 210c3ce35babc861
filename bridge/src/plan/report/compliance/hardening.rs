//! The list of hardening rules of a VM.
//!
//! A rule that is not about the VM gives no item. One whose values cannot be read gives none either, and is named in the one item for
//! all of them. What somebody accepts for a time is compliant, and says who accepts what until when.
//!
//! Of a VM whose configuration vCenter itself cannot read, as while its datastore is gone, nothing is said: what was told stays.

use std::sync::Arc;

use foldhash::HashMap;
use jiff::Timestamp;
use mappings::checks::{self, ApiVersion, Kind as CheckKind, Outcome, RuleSet, Subject, Unread};
use mappings::compliance::{Check, Kind, List, NotRead, Severity, Status};

use super::{Wanted, is_blind};
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
        if !one.view.has_configuration() {
            return Wanted::NotRead("its configuration");
        }
        let Some(readings) = one.view.readings() else { return Wanted::NotRead("its settings") };
        let api = || one.part.about().and_then(|about| ApiVersion::parse(&about.api_version));
        let version = one.view.checked_version().or_else(api);
        // The fleet is being read all the while, so that the address of the rules stands for one and the same thing.
        let key = (Arc::as_ptr(rules), readings, version);
        if let Some(made) = self.made.get(&key) {
            return made.clone().wanted();
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
        made.wanted()
    }
}

impl Made {
    fn wanted(self) -> Wanted {
        let Self { list, until } = self;
        // Of a VM of which nothing at all is known, not even that is said.
        if is_blind(&list) { Wanted::NotRead("its settings") } else { Wanted::List { list, until } }
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
    let (mut until, mut is_general) = (None::<Timestamp>, true);
    let (mut made, mut not_read) = (Vec::new(), Vec::new());
    for outcome in rules.evaluate(subject, readings, now) {
        if let checks::Status::Suppressed { until: end, .. } = outcome.status {
            // It holds to the end of that moment.
            let over = end.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(end);
            until = Some(until.map_or(over, |known| known.min(over)));
        }
        let is_passed = matches!(outcome.status, checks::Status::Passed | checks::Status::NotApplicable(_));
        is_general &= is_passed || !may_differ;
        match check(&outcome) {
            Some(Ok(check)) => made.push(check),
            Some(Err(one)) => not_read.push(one),
            None => {}
        }
    }
    let list = List::with_not_read(Kind::Hardening, made, not_read);
    (Made { list: Arc::new(list), until }, is_general)
}

/// What is told of a rule, or why that is not known; nothing where it has nothing to say.
fn check(outcome: &Outcome<'_>) -> Option<Result<Check, NotRead>> {
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
        checks::Status::NotReadable(unread) => {
            let why = match unread {
                Unread::Value(_) | Unread::Version => outcome.evidence(),
                // What was found differs from VM to VM, and is not what is missing.
                Unread::Suppression(key) => {
                    format!("whether it is accepted is not known, since `{}` is not", key.as_str())
                }
            };
            return Some(Err(NotRead { id: outcome.rule.id.to_string(), why }));
        }
        checks::Status::NotApplicable(_) | checks::Status::ProviderManaged => return None,
    };
    detail("Evidence", outcome.evidence());
    Some(Ok(Check {
        id: outcome.rule.id.to_string(),
        title: outcome.rule.title.to_string(),
        severity,
        status,
        details,
    }))
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
