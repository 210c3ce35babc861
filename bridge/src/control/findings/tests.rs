//! Findings of two VMs: one that Security Hub took, one that it refuses, and one that is over.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::findings::life::{Book, Outcome, Policy as Rules, Sight, Stranger, Unusable, plan, settle};
use mappings::findings::{Class, Object, Problem, Severity, Subject, Target};

use super::*;
use crate::cloud::Cloud;
use crate::config::Environment;
use crate::fleet::SharedFleet;
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::memory::Memory;
use crate::plan::Policy;

fn now() -> Timestamp {
    "2027-01-15T02:00:00Z".parse().unwrap()
}

fn problem(vcenter: &str, moref: &str, rule: &str, family: &str) -> Problem {
    let object = Object { kind: Kind::Vm, vcenter: vcenter.into(), moref: moref.into(), instance: None };
    let subject = Subject {
        object,
        name: moref.into(),
        vcenter_name: "dc1".into(),
        datacenter: None,
        cluster: None,
        host: None,
        folder: None,
        guest_os: None,
        tags: Vec::new(),
        owner: None,
        node: None,
    };
    Problem {
        rule: rule.into(),
        family: family.into(),
        class: Class::Hardening,
        subject: Arc::new(subject),
        target: Arc::new(Target {
            partition: "aws".into(),
            account: "111122223333".into(),
            region: "eu-central-1".into(),
        }),
        title: format!("{rule} does not pass").into(),
        description: "It is not as it should be.".into(),
        severity: Severity::High,
        status: Status::Failed,
        advice: None,
        requirements: Vec::new(),
        evidence: BTreeMap::new(),
    }
}

/// Sends everything that is planned; what is of this VM has another outcome.
fn send(book: &mut Book, problems: &[Problem], refused: Option<(&str, &Outcome)>) {
    let planned = plan(problems, book, |_, _| Sight::Seen, &"0123abcd".into(), &Rules::default(), now());
    for change in &planned.changes {
        let outcome = match refused {
            Some((moref, outcome)) if change.record.object.moref.as_str() == moref => outcome,
            _ => &Outcome::Accepted,
        };
        if let Some(record) = settle(change, outcome, now()) {
            book.records.insert(record.id.clone(), record);
        }
    }
}

#[test]
fn what_is_remembered_is_told_with_names_counts_and_remedies() {
    let fleet = SharedFleet::new();
    let vcenter = TestVcenter::new(&fleet, "dc1", 1);
    vcenter.read(&[TestVm::new(1, &[]), TestVm::new(2, &[])], now());
    let of = |moref: &str, rule: &str, family: &str| problem(&vcenter.uuid, moref, rule, family);
    let mut book = Book::default();
    let (one, two) = (of("vm-1", "vm-a", "boot"), of("vm-1", "vm-b", "boot"));
    let (over, refused) = (of("vm-1", "vm-c", "devices"), of("vm-2", "vm-a", "boot"));
    send(&mut book, &[one.clone(), two.clone(), over], None);
    let no = Outcome::Refused { code: "InvalidInput".into(), message: "Title is too long".into() };
    send(&mut book, &[one, two, refused], Some(("vm-2", &no)));
    let config =
        "[[vcenter]]\nname = \"dc1\"\nurl = \"https://a\"\nusername = \"u\"\npassword = { file = \"/x\" }\n";
    let config = crate::config::parse(config, Path::new("vmbridge.toml"), &Environment::default()).unwrap();
    let (policy, cloud) = (Policy::of(&config), Cloud::default());
    let mut memory = Memory { findings: book, ..Memory::default() };
    let target = Target::clone(&of("vm-1", "vm-a", "boot").target);
    for (id, vcenter) in [("a", &*vcenter.uuid), ("b", &*vcenter.uuid), ("c", "of somebody else")] {
        let updated_at = now();
        let owner = Some("0a0a0a0a".into());
        let (target, vcenter) = (target.clone(), Some(vcenter.into()));
        let stranger = Stranger { target, owner, vcenter, is_open: true, updated_at };
        memory.findings.others.foreign.insert(id.into(), stranger);
    }
    let unusable = Unusable { id: "d".into(), target, why: "it names no rules", updated_at: now() };
    memory.findings.others.unusable.insert("d".into(), unusable);
    let fleet = fleet.read();
    let view = View { fleet: &fleet, cloud: &cloud, memory: &memory, policy: &policy, now: now() };
    let ask = |query: FindingQuery| findings(&view, &query).unwrap();

    let all = ask(FindingQuery::default());
    let told: Vec<(&str, Option<&str>, &str)> = all
        .findings
        .iter()
        .map(|one| (one.state.as_str(), one.name.as_deref(), one.scope.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("refused", Some("web-2"), "family/boot"),
            ("open", Some("web-1"), "family/boot"),
            ("resolved", Some("web-1"), "family/devices"),
        ]
    );
    assert_eq!((all.open, all.resolved, all.refused), (1, 1, 1));
    let [foreign] = &all.foreign[..] else { panic!("{:?}", all.foreign) };
    assert_eq!((foreign.findings, &foreign.vcenters[..]), (2, &["dc1".to_owned()][..]));
    assert_eq!(
        foreign.sentence,
        "dc1: 2 findings are told by another installation, `0a0a0a0a`, and left alone; if that one is gone for good: \
         vmbridge state recover"
    );
    assert_eq!((all.unusable.len(), &*all.unusable[0].why), (1, "it names no rules"));
    assert_eq!(all.findings[1].rules, ["vm-a", "vm-b"]);
    assert_eq!(all.findings[1].object, "dc1/vm-1");
    assert!(all.findings[1].last_sent.is_some() && all.findings[0].last_sent.is_none());
    assert_eq!(all.findings[0].problem.as_deref(), Some("InvalidInput: Title is too long"));
    assert!(all.findings[0].fix.as_deref().unwrap().contains("says something else"));

    let query = |change: fn(&mut FindingQuery)| {
        let mut query = FindingQuery::default();
        change(&mut query);
        ask(query).findings.len()
    };
    assert_eq!(query(|query| query.selectors = vec!["name=web-2".into()]), 1);
    assert_eq!(query(|query| query.rule = Some("vm-b".into())), 1);
    assert_eq!(query(|query| query.rule = Some("boot".into())), 2);
    assert_eq!(query(|query| query.state = Some("resolved".into())), 1);
    findings(&view, &FindingQuery { state: Some("x".into()), ..FindingQuery::default() }).unwrap_err();
}
