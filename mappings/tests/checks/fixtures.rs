//! Every rule says of its fixtures what they say that it says.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mappings::checks::{ApiVersion, Kind, LONGEST_EVIDENCE, Reading, Rule, RuleSet, Sources, Subject, Take};
use mappings::checks::{Missing, Pick};
use serde::Deserialize;

use crate::object::{Facts, readings};

/// One object, and what a rule says of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    pub(crate) rule: String,
    pub(crate) status: String,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) properties: toml::Table,
    #[serde(default)]
    pub(crate) unreadable: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    fixture: Vec<Fixture>,
}

const FILES: &[(Kind, &str)] = &[
    (Kind::Vm, include_str!("vm.toml")),
    (Kind::Host, include_str!("host.toml")),
    (Kind::Cluster, include_str!("cluster.toml")),
    (Kind::Portgroup, include_str!("portgroup.toml")),
];

pub(crate) fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

pub(crate) fn all() -> Vec<(Kind, Fixture)> {
    let of_file = |(kind, text): &(Kind, &str)| {
        let file: File = toml::from_str(text).unwrap();
        file.fixture.into_iter().map(|fixture| (*kind, fixture)).collect::<Vec<_>>()
    };
    FILES.iter().flat_map(of_file).collect()
}

pub(crate) fn defaults() -> RuleSet {
    RuleSet::new(Sources::default()).unwrap_or_else(|mistakes| {
        panic!("{}", mistakes.iter().map(|mistake| format!("{mistake}\n")).collect::<String>())
    })
}

fn find<'a>(rules: &'a RuleSet, kind: Kind, id: &str) -> &'a Rule {
    let rule = rules.rules(kind).find(|rule| rule.id.as_str() == id);
    rule.unwrap_or_else(|| panic!("a fixture is about `{id}`, which is no rule about a {kind}"))
}

#[test]
fn rules_say_of_fixtures_what_they_should() {
    let rules = defaults();
    let facts = Facts::default();
    let mut wrong = Vec::new();
    for (kind, fixture) in all() {
        find(&rules, kind, &fixture.rule);
        let version = ApiVersion::parse(&fixture.version);
        assert!(version.is_some(), "{fixture:?}");
        let subject = Subject { kind, version, is_provider_managed: false, facts: &facts };
        let readings = readings(&rules, kind, &fixture.properties, &fixture.unreadable);
        let outcome = rules
            .evaluate(&subject, &readings, now())
            .find(|outcome| outcome.rule.id.as_str() == fixture.rule)
            .unwrap();
        let evidence = outcome.evidence();
        assert!(!evidence.is_empty() && evidence.len() <= LONGEST_EVIDENCE, "{evidence}");
        if outcome.status.word() != fixture.status {
            wrong.push(format!("{}: {} ({evidence}): {fixture:?}\n", fixture.rule, outcome.status.word()));
        }
    }
    assert!(wrong.is_empty(), "{} of the fixtures are not so:\n{}", wrong.len(), wrong.concat());
}

/// A rule without one of these could be wrong and nobody would see it.
#[test]
fn every_rule_has_fixtures_that_pass_fail_and_cannot_be_read() {
    let rules = defaults();
    let mut seen: BTreeMap<String, Vec<Fixture>> = BTreeMap::new();
    for (_, fixture) in all() {
        seen.entry(fixture.rule.clone()).or_default().push(fixture);
    }
    for rule in rules.all() {
        let fixtures = seen.get(rule.id.as_str()).map_or(&[][..], Vec::as_slice);
        let has = |status: &str, within: &dyn Fn(&Fixture) -> bool| {
            fixtures.iter().any(|fixture| fixture.status == status && within(fixture))
        };
        for status in ["passed", "failed", "not-readable"] {
            assert!(has(status, &|_| true), "{} has no fixture that is {status}", rule.id);
        }
        // What is expected of some versions only is shown at such a version, both ways.
        for case in rule.cases.iter().filter(|_| rule.cases.len() > 1) {
            let of_case = |fixture: &Fixture| rule.case(ApiVersion::parse(&fixture.version)) == Some(case);
            assert!(has("passed", &of_case) && has("failed", &of_case), "{}: {}", rule.id, case.versions);
        }
        let conditional = !rule.when.is_empty() || !rule.applies.is_everything();
        let may_be_silent = rule.cases.iter().any(|case| case.expect.missing == Missing::NotApplicable);
        if conditional || may_be_silent {
            assert!(
                has("not-applicable", &|_| true),
                "{} has no fixture to which it does not apply",
                rule.id
            );
        }
        // A count is never missing.
        let counts = matches!(&rule.read.pick, Pick::Elements { take: Take::Count, .. });
        let missing = |fixture: &Fixture| {
            let readings = readings(&rules, rule.kind, &fixture.properties, &fixture.unreadable);
            let slot = rules.reads(rule.kind).binary_search(&rule.read).unwrap();
            readings[slot].values().iter().all(|value| value.trim().is_empty())
                && readings[slot] != Reading::Unreadable
        };
        assert!(counts || fixtures.iter().any(missing), "{} has no fixture without a value", rule.id);
    }
}
