//! What findings say, how they live, and that they are never more than Security Hub takes.

mod adopt;
mod finding;
mod hub;
mod life;
mod limits;
mod patches;
mod sequence;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::life::{Book, Change, ChangeKind, Outcome, Plan, Policy, Record, Sight, plan, settle};
use super::{
    Advice, Class, FindingId, Kind, Node, Object, Owner, Problem, RuleId, Severity, Status, Subject, Tag,
    Target,
};

const VCENTER: &str = "5d2a3c2e-6f0c-4d0e-9f4e-0123456789ab";

fn owner() -> Owner {
    "0a1b2c3d".into()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn start() -> Timestamp {
    at("2026-11-28T10:00:00.123456Z")
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn target() -> Target {
    Target { partition: "aws".into(), account: "111122220001".into(), region: "eu-central-1".into() }
}

fn subject() -> Subject {
    let tag = |category: &str, name: &str| Tag { category: category.into(), name: name.into() };
    Subject {
        object: Object {
            kind: Kind::Vm,
            vcenter: VCENTER.into(),
            moref: "vm-1042".into(),
            instance: Some("50111111-2222-3333-4444-555555555555".into()),
        },
        name: "web-01".into(),
        vcenter_name: "onprem".into(),
        datacenter: Some("Frankfurt".into()),
        cluster: Some("prod-a".into()),
        host: Some("esx-07.example.com".into()),
        folder: Some("/Frankfurt/vm/web".into()),
        guest_os: Some("Debian GNU/Linux 12 (64-bit)".into()),
        tags: vec![tag("team", "shop"), tag("team", "Größe & more"), tag("aws:env", "prod")],
        owner: Some("shop".into()),
        node: Some(Node {
            id: "mi-0123456789abcdef0".into(),
            account: "111122220001".into(),
            region: "eu-central-1".into(),
        }),
    }
}

fn problem_of(subject: &Arc<Subject>, rule: &str, severity: Severity) -> Problem {
    Problem {
        rule: rule.into(),
        family: "vm-hardening".into(),
        class: Class::Hardening,
        subject: Arc::clone(subject),
        target: Arc::new(target()),
        title: format!("Rule {rule} does not pass").into(),
        description: "Text can be copied out of the guest.".into(),
        severity,
        status: Status::Failed,
        advice: Some(Advice {
            text: "Set isolation.tools.copy.disable to TRUE.".into(),
            url: Some("https://docs.example.com/copy".into()),
        }),
        requirements: vec!["STIG VMCH-80-000189".into(), "CIS 8.1".into()],
        evidence: BTreeMap::from([("isolation.tools.copy.disable".into(), "unset".into())]),
    }
}

fn problem(rule: &str, severity: Severity) -> Problem {
    problem_of(&Arc::new(subject()), rule, severity)
}

fn seen(_: &Object, _: &RuleId) -> Sight {
    Sight::Seen
}

/// Records what Security Hub took of a plan.
fn accept(book: &mut Book, plan: &Plan, now: Timestamp) {
    outcome(book, plan, &Outcome::Accepted, now);
}

fn outcome(book: &mut Book, plan: &Plan, outcome: &Outcome, now: Timestamp) {
    for change in &plan.changes {
        if let Some(record) = settle(change, outcome, now) {
            book.records.insert(record.id.clone(), record);
        }
    }
    for id in &plan.forget {
        book.records.remove(id);
    }
}

fn kinds(plan: &Plan) -> Vec<ChangeKind> {
    plan.changes.iter().map(|change| change.kind).collect()
}

fn planned(problems: &[Problem], book: &Book, policy: &Policy, now: Timestamp) -> Plan {
    plan(problems, book, seen, &owner(), policy, now)
}

fn ids(changes: &[Change]) -> Vec<FindingId> {
    changes.iter().map(|change| change.record.id.clone()).collect()
}

fn one() -> Vec<Problem> {
    vec![problem("vm.copy", Severity::Medium)]
}

fn created(policy: &Policy) -> Book {
    let mut book = Book::default();
    let plan = planned(&one(), &book, policy, start());
    assert_eq!(kinds(&plan), [ChangeKind::Create]);
    accept(&mut book, &plan, start());
    assert!(planned(&one(), &book, policy, start()).is_empty());
    book
}

fn only(book: &Book) -> &Record {
    book.records.values().next().unwrap()
}

fn plan_with(
    problems: &[Problem],
    book: &Book,
    sight: impl Fn(&Object, &RuleId) -> Sight,
    now: Timestamp,
) -> Plan {
    plan(problems, book, sight, &owner(), &Policy::default(), now)
}
