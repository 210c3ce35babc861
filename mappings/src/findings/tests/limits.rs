//! Every finding is within all limits, whatever vCenter, people and rules say.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;

use super::super::life::{Call, Policy, batches};
use super::super::{Advice, Class, Folding, Severity, Status, Subject, Tag};
use super::*;
use crate::findings::Scope;
use crate::findings::text::{fit, part, unpart};

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The limits of the format, written down once more.
fn check(finding: &Value) {
    let text = |pointer: &str| finding.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    for (pointer, most) in [
        ("/Id", 512),
        ("/GeneratorId", 512),
        ("/Title", 256),
        ("/Description", 1024),
        ("/ProductArn", 2048),
        ("/FindingProviderFields/Severity/Original", 64),
    ] {
        assert!((1..=most).contains(&units(text(pointer))), "{pointer} {}", text(pointer));
    }
    assert!(units(text("/Remediation/Recommendation/Text")) <= 512);
    map(&finding["ProductFields"], 50, 128, 2048);
    for resource in finding["Resources"].as_array().unwrap() {
        map(&resource["Details"]["Other"], 50, 127, 1023);
        map(&resource["Tags"], 50, 128, 256);
        assert!(units(resource["Id"].as_str().unwrap()) <= 512);
    }
    let requirements = finding["Compliance"]["RelatedRequirements"].as_array().map_or(0, Vec::len);
    assert!(requirements <= 32);
    assert!((1..=2).contains(&finding["Resources"].as_array().unwrap().len()));
    for name in ["Workflow", "Note", "UserDefinedFields", "VerificationState", "Severity", "Types"] {
        assert!(finding.get(name).is_none(), "{name} belongs to people");
    }
    assert!(finding.to_string().len() <= 240_000, "{} bytes", finding.to_string().len());
    seen(finding);
}

fn map(value: &Value, most: usize, key_most: usize, value_most: usize) {
    let Some(map) = value.as_object() else { return };
    assert!(map.len() <= most);
    for (key, value) in map {
        assert!((1..=key_most).contains(&units(key)), "{key}");
        assert!((1..=value_most).contains(&units(value.as_str().unwrap())), "{value}");
    }
}

/// Nothing is empty, and nothing hides.
fn seen(value: &Value) {
    match value {
        Value::String(text) => {
            assert!(text.chars().any(|character| !character.is_whitespace()), "an empty text");
            assert!(
                !text.chars().any(|character| character.is_control() || character == '\u{202e}'),
                "{text:?}"
            );
        }
        Value::Array(all) => all.iter().for_each(seen),
        Value::Object(all) => all.values().for_each(seen),
        _ => {}
    }
}

fn longest() -> String {
    "\u{1F600}".repeat(3000)
}

#[test]
fn the_longest_of_everything_fits() {
    for text in [longest(), "\"\\".repeat(3000), "\u{7}".repeat(3000), "\u{ffff}ü".repeat(2000)] {
        let text: Arc<str> = text.into();
        let some = Some(Arc::clone(&text));
        let mut subject = Subject {
            name: Arc::clone(&text),
            vcenter_name: Arc::clone(&text),
            datacenter: some.clone(),
            cluster: some.clone(),
            host: some.clone(),
            folder: some.clone(),
            guest_os: some.clone(),
            owner: some,
            ..subject()
        };
        let object = &mut subject.object;
        (object.vcenter, object.moref) = (text.as_ref().into(), text.as_ref().into());
        object.instance = Some(text.as_ref().into());
        let tag = |at: u32| Tag { category: format!("{at}{text}").into(), name: Arc::clone(&text) };
        subject.tags = (0..80).map(tag).collect();
        let subject = Arc::new(subject);
        let problems: Vec<Problem> = (0..90)
            .map(|at| Problem {
                rule: format!("{at}{text}").as_str().into(),
                family: text.as_ref().into(),
                title: Arc::clone(&text),
                description: Arc::clone(&text),
                advice: Some(Advice {
                    text: Arc::clone(&text),
                    url: Some(format!("https://x/{text}").into()),
                }),
                requirements: (0..50).map(|at| format!("{at}{text}").into()).collect(),
                evidence: (0..90).map(|at| (format!("{at}{text}").into(), Arc::clone(&text))).collect(),
                ..problem_of(&subject, "x", Severity::Critical)
            })
            .collect();
        for folding in [Folding::Full, Folding::Folded] {
            let policy = Policy { folding, ..Policy::default() };
            let plan = planned(&problems, &Book::default(), &policy, start());
            assert_eq!(plan.changes.len(), if folding == Folding::Full { 90 } else { 1 });
            for change in &plan.changes {
                check(&serde_json::to_value(change.finding()).unwrap());
            }
            let batches = batches(&plan.changes);
            assert!(batches.too_large.is_empty());
            let sent: usize = batches.batches.iter().map(|batch| batch.changes.len()).sum();
            assert_eq!(sent, plan.changes.len());
        }
    }
}

#[test]
fn ninety_failing_rules_are_all_named() {
    let problems: Vec<Problem> =
        (0..90).map(|at| problem(&format!("vm.some-quite-long-rule-{at:02}"), Severity::Low)).collect();
    let plan = planned(&problems, &Book::default(), &Policy::default(), start());
    let finding = serde_json::to_value(plan.changes[0].finding()).unwrap();
    check(&finding);
    let fields = finding["ProductFields"].as_object().unwrap();
    let lists = fields.iter().filter(|(key, _)| key.starts_with("vmbridge/rules"));
    let named: usize = lists.map(|(_, list)| list.as_str().unwrap().split(',').count()).sum();
    assert_eq!(named, 90);
    assert!(finding["Description"].as_str().unwrap().contains("more, see the product field vmbridge/rules"));
}

#[test]
fn a_cut_is_marked_and_in_no_character() {
    assert_eq!(fit("web-01", 6), "web-01");
    assert_eq!(fit("web-001", 6), "web-0…");
    assert_eq!(fit("ab\u{1F600}", 4), "ab\u{1F600}");
    assert_eq!(fit("abc\u{1F600}", 4), "abc…");
    assert_eq!(fit("a\u{1F600}b", 3), "a…");
    assert_eq!(fit("a\nb", 100), "a\\nb");
    assert_eq!(fit("a\u{7}\u{7}", 9), "a\\u{7}…");
    assert_eq!(fit("  ", 10), "");
}

fn text() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        any::<String>(),
        "[a-z0-9.-]{0,40}",
        "[\\x00-\\x1f\u{200b}-\u{202f}äß中😀 ]{0,300}",
        "[😀中\"\\\\]{0,1100}",
    ]
    .prop_map(Into::into)
}

fn arbitrary() -> impl Strategy<Value = Problem> {
    let optional = || proptest::option::of(text());
    let places = (text(), text(), optional(), optional(), optional(), optional(), optional(), optional());
    let tags = proptest::collection::vec((text(), text()), 0..60);
    let rest = (text(), text(), text(), 0..4_u8, 0..5_u8, proptest::option::of((text(), optional())));
    let lists = (
        proptest::collection::vec(text(), 0..40),
        proptest::collection::btree_map(text(), text(), 0..30),
        (text(), text(), optional()),
    );
    (places, tags, rest, lists).prop_map(|(places, tags, rest, (requirements, evidence, key))| {
        let (name, vcenter_name, datacenter, cluster, host, folder, guest_os, owner) = places;
        let tags = tags.into_iter().map(|(category, name)| Tag { category, name }).collect();
        let (rule, title, description, status, severity, advice) = rest;
        let object = Object {
            kind: Kind::Vm,
            vcenter: key.0.as_ref().into(),
            moref: key.1.as_ref().into(),
            instance: key.2.map(|instance| instance.as_ref().into()),
        };
        let node = subject().node;
        Problem {
            rule: rule.as_ref().into(),
            family: rule.as_ref().into(),
            class: Class::Patching,
            subject: Arc::new(Subject {
                object,
                name,
                vcenter_name,
                datacenter,
                cluster,
                host,
                folder,
                guest_os,
                tags,
                owner,
                node,
            }),
            target: Arc::new(target()),
            title,
            description,
            severity: [
                Severity::Informational,
                Severity::Low,
                Severity::Medium,
                Severity::High,
                Severity::Critical,
            ][usize::from(severity)],
            status: [Status::Failed, Status::Warning, Status::NotAvailable, Status::Passed]
                [usize::from(status)],
            advice: advice.map(|(text, url)| Advice { text, url }),
            requirements,
            evidence,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_finding_fits(problem in arbitrary(), folded: bool) {
        let folding = if folded { Folding::Folded } else { Folding::Full };
        let policy = Policy { folding, ..Policy::default() };
        let mut book = Book::default();
        let plan = planned(std::slice::from_ref(&problem), &book, &policy, start());
        prop_assert_eq!(plan.changes.len(), usize::from(problem.status != Status::Passed));
        for change in &plan.changes {
            check(&serde_json::to_value(change.finding()).unwrap());
        }
        accept(&mut book, &plan, start());
        let again = planned(std::slice::from_ref(&problem), &book, &policy, start());
        prop_assert!(again.is_empty());
        // Its end fits too.
        for change in &planned(&[], &book, &policy, start()).changes {
            check(&serde_json::to_value(change.finding()).unwrap());
        }
    }

    #[test]
    fn parts_can_be_read_back(text in ".{0,40}") {
        let part = part(&text, 200);
        prop_assert!(part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-%~".contains(&byte)));
        if !text.is_empty() && !part.contains('~') {
            prop_assert_eq!(unpart(&part), text);
        }
    }

    #[test]
    fn batches_are_full_and_never_too_full(sizes in proptest::collection::vec(0..3000_usize, 0..400)) {
        let problems: Vec<Problem> = sizes.iter().enumerate().map(|(at, size)| {
            let mut problem = problem(&format!("r{at}"), Severity::Low);
            problem.description = "😀".repeat(*size).into();
            if at % 3 == 0 {
                problem.target = Arc::new(Target { region: "us-east-1".into(), ..target() });
            }
            problem
        }).collect();
        let policy = Policy { folding: Folding::Full, ..Policy::default() };
        let plan = planned(&problems, &Book::default(), &policy, start());
        let batches = batches(&plan.changes).batches;
        for batch in &batches {
            prop_assert!(batch.changes.len() <= 100);
            prop_assert_eq!(batch.call, Call::Import);
            prop_assert!(batch.changes.iter().all(|change| change.record.target == *batch.target));
        }
        let ideal = sizes.len().div_ceil(3).div_ceil(100) + (sizes.len() - sizes.len().div_ceil(3)).div_ceil(100);
        prop_assert_eq!(batches.len(), ideal);
    }
}

#[test]
fn a_call_holds_no_more_than_six_megabytes() {
    let subject = Arc::new(Subject {
        tags: (0..50)
            .map(|at| Tag {
                category: format!("{at}{}", "x".repeat(120)).into(),
                name: "中".repeat(256).into(),
            })
            .collect(),
        ..subject()
    });
    let problems: Vec<Problem> = (0..250)
        .map(|at| {
            let mut problem = problem_of(&subject, &format!("r{at}"), Severity::Low);
            problem.evidence = (0..20)
                .map(|at| (format!("{at}").into(), "中".repeat(500).into()))
                .collect::<BTreeMap<_, _>>();
            problem
        })
        .collect();
    let policy = Policy { folding: Folding::Full, ..Policy::default() };
    let plan = planned(&problems, &Book::default(), &policy, start());
    let sizes: Vec<usize> = batches(&plan.changes)
        .batches
        .iter()
        .map(|batch| batch.changes.iter().map(|change| change.finding().unwrap().json().len() + 1).sum())
        .collect();
    assert!(sizes.iter().all(|size| *size < 6_000_000), "{sizes:?}");
    assert!(sizes.len() > 3, "three calls would hold 250 findings: {sizes:?}");
    let scope = Scope::Rule("x".into());
    assert_eq!(scope.generator(), "vmbridge/x");
}
