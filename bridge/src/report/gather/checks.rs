//! What rules say of VMs, hosts, clusters and port groups, and what is said of the protection of VMs.

use mappings::checks::{ApiVersion, Kind, Outcome, RuleSet, Severity, Status, Subject};
use mappings::compliance::table::Checks;
use mappings::compliance::{List, Severity as Worst, Status as Item};
use mappings::selector::{Fact, Selector, Verdict};

use super::say::some;
use super::{Gather, named};
use crate::fleet::{Part, VmView};
use crate::plan::VmPlan;
use crate::report::ResultDocument;
use crate::report::protection;

impl Gather<'_, '_> {
    /// The vCenters that nothing is checked in, which must not look like those in which all is well.
    pub(super) fn unchecked(&mut self) {
        let rules = self.rules;
        if Kind::ALL.iter().all(|kind| rules.reads(*kind).is_empty()) {
            return;
        }
        let fleet = self.view.fleet;
        for part in fleet.parts().filter(|part| self.filter.takes(part) && part.reads().is_none()) {
            let name = part.name().as_str();
            self.out.not_read.push(format!(
                "{name}: hardening was not checked, because the running service does not read what the rules ask: neither \
                 [compliance] with `hardening` nor [findings] with `checks` is on; set `mode = \"observe\"` in one of them, which \
                 writes nothing"
            ));
        }
    }

    pub(super) fn hardening(&mut self, part: &Part, vm: &VmPlan, found: &VmView<'_>) -> Fact<Checks> {
        if self.rules.reads(Kind::Vm).is_empty() {
            return Fact::Absent;
        }
        let Some((rules, readings)) = part.reads().map(|reads| reads.rules()).zip(found.readings()) else {
            return Fact::Unknown;
        };
        let api = || part.about().and_then(|about| ApiVersion::parse(&about.api_version));
        let subject = Subject {
            kind: Kind::Vm,
            version: found.checked_version().or_else(api),
            is_provider_managed: part.is_provider_managed(),
            facts: found,
        };
        let mut checks = Checks::default();
        let mut failing: Vec<(Severity, String)> = Vec::new();
        let object = named(vm);
        for outcome in rules.evaluate(&subject, &readings, self.view.now) {
            match &outcome.status {
                Status::Passed | Status::Suppressed { .. } => checks.compliant += 1,
                Status::Failed => failing.push((outcome.rule.severity, outcome.rule.id.to_string())),
                Status::NotReadable(_) => checks.unreadable += 1,
                Status::NotApplicable(_) | Status::ProviderManaged => {}
            }
            self.note(rules, &outcome, &object, &vm.label);
        }
        failing.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        checks.worst = failing.first().map(|(severity, _)| worst(*severity));
        checks.failing = failing.into_iter().map(|(_, id)| id).collect();
        Fact::Known(checks)
    }

    /// What rules say of hosts, clusters and port groups.
    pub(super) fn setups(&mut self) {
        // They are in no target and no window.
        if self.query.target.is_some() || self.query.window.is_some() {
            return;
        }
        let mut unread = Vec::new();
        let fleet = self.view.fleet;
        for part in fleet.parts() {
            if !self.filter.takes(part) {
                continue;
            }
            // What was read fits the rules that it was read for, which are the former ones for a moment after a change.
            let Some(rules) = part.reads().map(|reads| reads.rules()) else { continue };
            let api = || part.about().and_then(|about| ApiVersion::parse(&about.api_version));
            for setup in part.setups() {
                let selected = |selector: &Selector| matches!(selector.verdict(&setup), Verdict::Selected);
                if !self.filter.selectors.is_empty() && !self.filter.selectors.iter().any(selected) {
                    continue;
                }
                if rules.reads(setup.kind()).is_empty() {
                    continue;
                }
                let Some(readings) = setup.readings() else {
                    unread.push(setup.label().to_owned());
                    continue;
                };
                let subject = Subject {
                    kind: setup.kind(),
                    version: setup.version().and_then(ApiVersion::parse).or_else(api),
                    is_provider_managed: setup.is_provider_managed(),
                    facts: &setup,
                };
                let object = format!("{}/{}", part.name().as_str(), setup.moref().value());
                for outcome in rules.evaluate(&subject, &readings, self.view.now) {
                    self.note(rules, &outcome, &object, setup.label());
                }
            }
        }
        if !unread.is_empty() {
            self.missing(format!("the settings of {} were not read", some(&mut unread)));
        }
    }

    /// Counts an outcome, and keeps it if it is to be told.
    fn note(&mut self, rules: &RuleSet, outcome: &Outcome<'_>, object: &str, name: &str) {
        let rule = outcome.rule;
        if self.query.rule.as_deref().is_some_and(|wanted| wanted != rule.id.as_str()) {
            return;
        }
        let word = outcome.status.word();
        if let Status::Suppressed { by, .. } = outcome.status {
            let at = rules.suppressions().iter().position(|one| std::ptr::eq(one, by));
            if let Some(covers) = at.and_then(|at| self.out.covers.get_mut(at)) {
                *covers += 1;
            }
        }
        let is_quiet =
            matches!(outcome.status, Status::Passed | Status::NotApplicable(_) | Status::ProviderManaged);
        self.keep(rule.id.as_str(), word, is_quiet, || ResultDocument {
            rule: rule.id.to_string(),
            severity: rule.severity.to_string(),
            status: word.to_owned(),
            kind: rule.kind.to_string(),
            object: object.to_owned(),
            name: name.to_owned(),
            evidence: outcome.evidence(),
        });
    }

    /// The same of the protection of a VM.
    pub(super) fn note_protection(&mut self, list: &List, vm: &VmPlan) {
        let made = list.items.iter().map(|item| {
            let (word, so) = match item.status {
                Item::Compliant => ("passed", "yes"),
                Item::NonCompliant => ("failed", "no"),
            };
            let details: Vec<String> =
                item.details.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            (item.id.as_str(), word, so, details.join("; "))
        });
        let not_read = list
            .not_read
            .iter()
            .map(|one| (one.id.as_str(), "not-readable", "nobody can say", one.why.clone()));
        for (id, word, so, details) in made.chain(not_read) {
            let Some(check) = protection::check(id) else { continue };
            if self.query.rule.as_deref().is_some_and(|wanted| wanted != id) {
                continue;
            }
            self.keep(check.id, word, word == "passed", || {
                let details = if details.is_empty() { details } else { format!(" ({details})") };
                ResultDocument {
                    rule: check.id.to_owned(),
                    severity: check.severity.to_owned(),
                    status: word.to_owned(),
                    kind: Kind::Vm.to_string(),
                    object: named(vm),
                    name: vm.label.to_string(),
                    evidence: format!("{}: {so}{details}", check.title),
                }
            });
        }
    }

    fn keep(
        &mut self,
        rule: &str,
        word: &'static str,
        is_quiet: bool,
        document: impl FnOnce() -> ResultDocument,
    ) {
        let counts = match self.out.counts.get_mut(rule) {
            Some(counts) => counts,
            None => self.out.counts.entry(rule.to_owned()).or_default(),
        };
        *counts.entry(word).or_default() += 1;
        if is_quiet && !self.all {
            return;
        }
        if self.out.results.len() < self.most {
            self.out.results.push(document());
        } else {
            self.out.left_out += 1;
        }
    }
}

fn worst(severity: Severity) -> Worst {
    match severity {
        Severity::Critical => Worst::Critical,
        Severity::High => Worst::High,
        Severity::Medium => Worst::Medium,
        Severity::Low => Worst::Low,
        Severity::Informational => Worst::Informational,
    }
}
