//! What a finding says.

use std::sync::Arc;

use super::super::life::Policy;
use super::super::{Folding, Severity, Status, Subject, count, finding_id, urn};
use super::*;
use crate::findings::Scope;

fn json(problems: &[Problem], folding: Folding) -> serde_json::Value {
    let policy = Policy { folding, ..Policy::default() };
    let plan = planned(problems, &Book::default(), &policy, start());
    let findings: Vec<_> =
        plan.changes.iter().map(|change| serde_json::to_value(change.finding()).unwrap()).collect();
    findings.into()
}

#[test]
fn full() {
    insta::assert_json_snapshot!(json(&[problem("vm.copy", Severity::Medium)], Folding::Full));
}

#[test]
fn folded() {
    let mut unread = problem("vm.paste", Severity::Critical);
    unread.status = Status::NotAvailable;
    let mut passed = problem("vm.well", Severity::Critical);
    passed.status = Status::Passed;
    let problems =
        [problem("vm.copy", Severity::Medium), problem("vm.disk, :50%", Severity::High), unread, passed];
    insta::assert_json_snapshot!(json(&problems, Folding::Folded));
}

#[test]
fn hosts_have_no_node() {
    let object = Object { kind: Kind::Host, moref: "host-9".into(), instance: None, ..subject().object };
    let host = Subject { object, name: "esx-07".into(), node: None, tags: vec![], owner: None, ..subject() };
    let mut ssh = problem_of(&Arc::new(host), "host.ssh", Severity::High);
    (ssh.advice, ssh.requirements) = (None, vec![]);
    insta::assert_json_snapshot!(json(&[ssh], Folding::Full));
}

#[test]
fn hostile_texts() {
    let mut subject = subject();
    subject.name = "\u{202e}gnp.exe\r\n\u{0}<script>alert('x')</script>\u{7}".into();
    subject.folder = Some(" \u{2028} ".into());
    subject.object.moref = "vm/../1 \n:~".into();
    subject.tags[0].category = "AWS:x".into();
    let mut problem = problem_of(&Arc::new(subject), "a/b\u{1F512}", Severity::Low);
    problem.description = "  ".into();
    problem.advice = Some(Advice { text: "x".into(), url: Some("javascript:alert(1)".into()) });
    insta::assert_json_snapshot!(json(&[problem], Folding::Full));
}

#[test]
fn names_and_places_do_not_change_the_id() {
    let scope = Scope::Rule("vm.copy".into());
    let id = finding_id(&target(), &subject().object, &scope);
    assert_eq!(
        id.as_str(),
        "vmbridge/111122220001/eu-central-1/vm/5d2a3c2e-6f0c-4d0e-9f4e-0123456789ab/vm-1042/\
         50111111-2222-3333-4444-555555555555/vm.copy"
    );
    assert_eq!(urn(&subject().object), format!("urn:vmbridge:vm:{VCENTER}:vm-1042"));
    let moved = Subject {
        name: "web-01-old".into(),
        host: Some("esx-08".into()),
        cluster: None,
        folder: Some("/Frankfurt/vm/old".into()),
        ..subject()
    };
    let policy = Policy::default();
    let before = planned(&[problem("vm.copy", Severity::Low)], &Book::default(), &policy, start());
    let after = [problem_of(&Arc::new(moved), "vm.copy", Severity::Low)];
    let after = planned(&after, &Book::default(), &policy, start());
    assert_eq!(ids(&before.changes), ids(&after.changes));
    assert_ne!(before.changes[0].record.hash, after.changes[0].record.hash);
}

#[test]
fn different_things_have_different_ids() {
    let object = subject().object;
    let scope = Scope::Rule("family/x".into());
    let mut other_region = target();
    other_region.region = "eu-west-1".into();
    let long =
        |end: &str| Object { moref: format!("{}{end}", "vm-".repeat(100)).as_str().into(), ..object.clone() };
    let all = [
        finding_id(&target(), &object, &scope),
        finding_id(&target(), &object, &Scope::Family("x".into())),
        finding_id(&other_region, &object, &scope),
        finding_id(&target(), &Object { kind: Kind::Host, ..object.clone() }, &scope),
        finding_id(&target(), &Object { instance: None, ..object.clone() }, &scope),
        finding_id(&target(), &Object { moref: "vm/1042".into(), ..object.clone() }, &scope),
        finding_id(&target(), &Object { moref: "vm%2F1042".into(), ..object.clone() }, &scope),
        finding_id(&target(), &long("1"), &scope),
        finding_id(&target(), &long("2"), &scope),
    ];
    let set: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(set.len(), all.len());
}

#[test]
fn the_order_of_problems_does_not_matter() {
    let mut problems: Vec<_> =
        ["a", "b", "c", "a"].map(|rule| problem(rule, Severity::Low)).into_iter().collect();
    problems[3].title = "another disk".into();
    problems[3].severity = Severity::High;
    let forward = json(&problems, Folding::Folded);
    problems.reverse();
    assert_eq!(forward, json(&problems, Folding::Folded));
    assert_eq!(forward[0]["FindingProviderFields"]["Severity"]["Label"], "HIGH");
    assert_eq!(forward[0]["ProductFields"]["vmbridge/rules"], "a:HIGH:FAILED,b:LOW:FAILED,c:LOW:FAILED");
}

#[test]
fn counting_is_what_would_be_created() {
    let other =
        Arc::new(Subject { object: Object { moref: "vm-2".into(), ..subject().object }, ..subject() });
    let mut problems = vec![
        problem("a", Severity::Low),
        problem("b", Severity::Low),
        problem("b", Severity::High),
        problem_of(&other, "a", Severity::Low),
        problem("passed", Severity::Low),
    ];
    problems[4].status = Status::Passed;
    for (folding, expected) in [(Folding::Full, 3), (Folding::Folded, 2)] {
        let policy = Policy { folding, ..Policy::default() };
        assert_eq!(count(&problems, folding), expected);
        assert_eq!(planned(&problems, &Book::default(), &policy, start()).changes.len(), expected);
    }
}
