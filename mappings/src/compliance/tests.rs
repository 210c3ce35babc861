use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::protection::{Agent, Before, Currency, Facts, LastWindow, OLD_AFTER, OldSnapshot, checks};
use super::*;
use crate::inventory::{Put, Refresh, Stored, needs_put};
use crate::selector::Fact;

fn now() -> Timestamp {
    "2026-11-28T17:30:00Z".parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn check(id: &str, severity: Severity, status: Status) -> Check {
    Check { id: id.to_owned(), title: format!("Title of {id}"), severity, status, details: Vec::new() }
}

/// All is well.
fn good<'a>() -> Facts<'a> {
    Facts {
        agent: Fact::Known(Agent::Online),
        tools_running: Fact::Known(true),
        tools: Fact::Known(Currency::Current("guestToolsCurrent")),
        last_window: Fact::Known(LastWindow {
            name: "Sundays",
            opened: hours_ago(40),
            snapshot: Before::Taken(hours_ago(41)),
        }),
        snapshots: Fact::Known(&[]),
        consolidation_needed: Fact::Known(false),
    }
}

fn protection(change: impl FnOnce(&mut Facts<'_>)) -> List {
    let mut facts = good();
    change(&mut facts);
    List::new(Kind::Protection, checks(&facts, now(), OLD_AFTER))
}

fn shown(list: &List) -> String {
    let mut out = format!("{} {}\n", list.kind, list.content_hash);
    for item in &list.items {
        out.push_str(&format!("{} {} {}: {}\n", item.status, item.severity, item.id, item.title));
        for (key, value) in &item.details {
            out.push_str(&format!("    {key}: {value}\n"));
        }
    }
    out
}

/// Ids of what is not compliant.
fn failing(list: &List) -> Vec<&str> {
    let failing = list.items.iter().filter(|item| item.status == Status::NonCompliant);
    failing.map(|item| item.id.as_str()).collect()
}

#[test]
fn a_protected_vm() {
    insta::assert_snapshot!(shown(&protection(|_| ())));
}

#[test]
fn a_vm_of_which_everything_is_wrong() {
    let snapshots = [
        OldSnapshot { name: "before upgrade; by hand", created: Some(hours_ago(73)) },
        OldSnapshot { name: "young", created: Some(hours_ago(71)) },
        OldSnapshot { name: "of no time", created: None },
    ];
    let facts = Facts {
        agent: Fact::Known(Agent::Offline(Some(hours_ago(5)))),
        tools_running: Fact::Known(false),
        tools: Fact::Known(Currency::Old("guestToolsTooOld")),
        last_window: Fact::Known(LastWindow {
            name: "Sundays",
            opened: hours_ago(40),
            snapshot: Before::Missing,
        }),
        snapshots: Fact::Known(&snapshots),
        consolidation_needed: Fact::Known(true),
    };
    let list = List::new(Kind::Protection, checks(&facts, now(), OLD_AFTER));
    assert_eq!(list.items.len(), 6);
    insta::assert_snapshot!(shown(&list));
    // An hour later nothing has happened, so that nothing is put.
    let later = checks(&facts, now() + SignedDuration::from_mins(30), OLD_AFTER);
    assert_eq!(List::new(Kind::Protection, later).content_hash, list.content_hash);
}

type Change = (&'static str, fn(&mut Facts<'_>));

#[test]
fn each_protection_fails_by_itself() {
    let changes: [Change; 9] = [
        ("agent-online", |facts| facts.agent = Fact::Known(Agent::Offline(None))),
        ("agent-online", |facts| facts.agent = Fact::Unknown),
        ("tools-running", |facts| facts.tools_running = Fact::Known(false)),
        ("tools-current", |facts| facts.tools = Fact::Known(Currency::Missing)),
        ("snapshot-before-window", |facts| {
            let snapshot = Before::Taken(hours_ago(39));
            facts.last_window = Fact::Known(LastWindow { name: "late", opened: hours_ago(40), snapshot });
        }),
        ("snapshot-before-window", |facts| facts.last_window = Fact::Unknown),
        ("no-old-snapshot", |facts| {
            const UNKNOWN: &[OldSnapshot<'static>] = &[OldSnapshot { name: "x", created: None }];
            facts.snapshots = Fact::Known(UNKNOWN);
        }),
        ("no-consolidation-needed", |facts| facts.consolidation_needed = Fact::Known(true)),
        ("no-consolidation-needed", |facts| facts.consolidation_needed = Fact::Unknown),
    ];
    assert_eq!(failing(&protection(|_| ())), [""; 0]);
    for (id, change) in changes {
        assert_eq!(failing(&protection(change)), [id]);
    }
}

#[test]
fn what_does_not_apply_is_not_listed_and_what_is_not_known_is() {
    let off = protection(|facts| {
        facts.agent = Fact::Absent;
        facts.tools_running = Fact::Absent;
        facts.last_window = Fact::Absent;
    });
    assert_eq!(off.items.len(), 3);
    assert_eq!(failing(&off), [""; 0]);
    let unknown = protection(|facts| facts.tools_running = Fact::Unknown);
    let item = &unknown.items[0];
    assert_eq!((item.status, item.severity), (Status::NonCompliant, Severity::Unspecified));
    assert_eq!(item.details["State"], "cannot be read");
    let held = protection(|facts| {
        let snapshot = Before::Held;
        facts.last_window = Fact::Known(LastWindow { name: "w", opened: hours_ago(1), snapshot });
    });
    assert_eq!(failing(&held), [""; 0]);
}

#[test]
fn the_worst_comes_first() {
    let list = List::new(
        Kind::Hardening,
        [
            check("e", Severity::Critical, Status::Compliant),
            check("d", Severity::Unspecified, Status::NonCompliant),
            check("c", Severity::Low, Status::NonCompliant),
            check("b", Severity::Critical, Status::NonCompliant),
            check("a", Severity::Critical, Status::NonCompliant),
        ],
    );
    assert_eq!(list.items.iter().map(|item| &*item.id).collect::<String>(), "abcde");
    let execution = list.execution(now());
    assert_eq!(execution.id, format!("vmbridge-{}", &list.content_hash.as_str()[..16]));
    assert!(execution.id.len() <= 100 && execution.kind.len() <= 50);
}

#[test]
fn of_two_with_the_same_id_the_worse_is_told() {
    let good = check("a", Severity::Critical, Status::Compliant);
    let bad = check("a", Severity::Low, Status::NonCompliant);
    for checks in [[good.clone(), bad.clone()], [bad, good]] {
        let list = List::new(Kind::Hardening, checks);
        assert_eq!(failing(&list), ["a"]);
        assert_eq!(list.items.len(), 1);
    }
}

#[test]
fn what_is_too_much_is_left_out_and_counted() {
    let checks = (0..1500).map(|number| {
        let status = if number % 10 == 0 { Status::NonCompliant } else { Status::Compliant };
        check(&format!("rule-{number:04}"), Severity::High, status)
    });
    let list = List::new(Kind::Hardening, checks);
    assert!(list.items.len() <= MOST_ITEMS && list.size() <= LARGEST_LIST, "{}", list.size());
    assert_eq!(failing(&list).len(), 150);
    let last = list.items.last().unwrap();
    assert_eq!(
        (&*last.id, last.status, last.severity),
        ("vmbridge-left-out", Status::Compliant, Severity::High)
    );
    assert_eq!(last.details["LeftOutCompliant"], list.left_out.to_string());
    assert_eq!(last.details["LeftOutNonCompliant"], "0");
    assert_eq!(list.items.len() - 1 + list.left_out, 1500);

    let bad = (0..1500).map(|number| {
        let mut check = check(&format!("rule-{number:04}"), Severity::Medium, Status::NonCompliant);
        check.details = vec![("Value".to_owned(), "x".repeat(3000))];
        check
    });
    let list = List::new(Kind::Hardening, bad);
    let last = list.items.last().unwrap();
    assert_eq!((last.status, last.severity), (Status::NonCompliant, Severity::Medium));
    assert!(list.size() <= LARGEST_LIST && last.title.starts_with(&format!("{} more checks", list.left_out)));
}

#[test]
fn ids_that_are_cut_stay_different() {
    let long = "x".repeat(150);
    let ids = ["", " ", "vmbridge-left-out", &format!("{long}1"), &format!("{long}2"), &"é".repeat(60)];
    let list = List::new(Kind::Hardening, ids.map(|id| check(id, Severity::Low, Status::Compliant)));
    let fitted: BTreeSet<&str> = list.items.iter().map(|item| &*item.id).collect();
    assert_eq!(fitted.len(), ids.len());
    assert!(!fitted.contains("vmbridge-left-out"));
    assert!(fitted.iter().all(|id| (1..=LONGEST_ID).contains(&id.len())), "{fitted:?}");
}

#[test]
fn put_only_when_it_changed() {
    let list = protection(|_| ());
    let stored = Stored { hash: list.content_hash.clone(), at: hours_ago(24 * 365) };
    assert_eq!(needs_put(&list.content_hash, Some(&stored), now(), &Refresh::COMPLIANCE), Put::Nothing);
    let other = protection(|facts| facts.tools_running = Fact::Known(false));
    assert_eq!(needs_put(&other.content_hash, Some(&stored), now(), &Refresh::COMPLIANCE), Put::Whole);
    // The other type of the same node has another hash, even of nothing.
    let empty = |kind| List::new(kind, []).content_hash;
    assert_ne!(empty(Kind::Hardening), empty(Kind::Protection));
}

fn any_check() -> impl Strategy<Value = Check> {
    let text = || {
        prop_oneof![
            3 => "[a-z-]{0,12}",
            1 => "\\PC{0,300}",
            1 => proptest::collection::vec(any::<char>(), 0..800).prop_map(String::from_iter),
        ]
    };
    let severity = proptest::sample::select(Severity::ALL);
    let status = proptest::sample::select(Status::ALL);
    let details = proptest::collection::vec((text(), text()), 0..30);
    (text(), text(), severity, status, details).prop_map(|(id, title, severity, status, details)| Check {
        id,
        title,
        severity,
        status,
        details,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_checks_make_a_list_within_the_limits(
        checks in proptest::collection::vec(any_check(), 0..60),
        by in 0..60_usize,
    ) {
        let list = List::new(Kind::Hardening, checks.clone());
        prop_assert!(list.items.len() <= MOST_ITEMS && list.size() <= LARGEST_LIST);
        let mut ids = BTreeSet::new();
        for item in &list.items {
            prop_assert!((1..=LONGEST_ID).contains(&item.id.len()), "{:?}", item.id);
            prop_assert!(item.title.len() <= LONGEST_TITLE && item.details.len() <= MOST_DETAILS);
            prop_assert!(ids.insert(&item.id));
            for (key, value) in &item.details {
                prop_assert!((1..=LONGEST_KEY).contains(&key.len()) && value.len() <= LONGEST_DETAIL);
                prop_assert!(![key, value].iter().any(|text| text.chars().any(char::is_control)));
            }
        }
        // What fails never stands behind what does not.
        prop_assert!(list.items.is_sorted_by_key(|item| item.status) || list.left_out > 0);

        let mut other = checks;
        if !other.is_empty() {
            let by = by % other.len();
            other.rotate_left(by);
            other[by..].reverse();
        }
        for check in &mut other {
            check.details.reverse();
        }
        prop_assert_eq!(List::new(Kind::Hardening, other), list);
    }

    #[test]
    fn what_differs_hashes_differently(one in any_check(), other in any_check()) {
        let list = |check| List::new(Kind::Hardening, [check]);
        let (one, other) = (list(one), list(other));
        prop_assert_eq!(one.items == other.items, one.content_hash == other.content_hash);
    }
}
