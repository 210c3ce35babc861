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
    listed(&facts, now())
}

fn listed(facts: &Facts<'_>, now: Timestamp) -> List {
    let (made, not_read) = checks(facts, now, OLD_AFTER);
    List::with_not_read(Kind::Protection, made, not_read)
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
    let list = listed(&facts, now());
    assert_eq!(list.items.len(), 6);
    insta::assert_snapshot!(shown(&list));
    // An hour later nothing has happened, so that nothing is put.
    let later = listed(&facts, now() + SignedDuration::from_mins(30));
    assert_eq!(later.content_hash, list.content_hash);
}

type Change = (&'static str, fn(&mut Facts<'_>));

#[test]
fn each_protection_fails_by_itself() {
    let changes: [Change; 6] = [
        ("agent-online", |facts| facts.agent = Fact::Known(Agent::Offline(None))),
        ("tools-running", |facts| facts.tools_running = Fact::Known(false)),
        ("tools-current", |facts| facts.tools = Fact::Known(Currency::Missing)),
        ("snapshot-before-window", |facts| {
            let snapshot = Before::Taken(hours_ago(39));
            facts.last_window = Fact::Known(LastWindow { name: "late", opened: hours_ago(40), snapshot });
        }),
        ("no-old-snapshot", |facts| {
            const UNKNOWN: &[OldSnapshot<'static>] = &[OldSnapshot { name: "x", created: None }];
            facts.snapshots = Fact::Known(UNKNOWN);
        }),
        ("no-consolidation-needed", |facts| facts.consolidation_needed = Fact::Known(true)),
    ];
    assert_eq!(failing(&protection(|_| ())), [""; 0]);
    for (id, change) in changes {
        assert_eq!(failing(&protection(change)), [id]);
    }
}

#[test]
fn what_does_not_apply_is_not_listed() {
    let off = protection(|facts| {
        facts.agent = Fact::Absent;
        facts.tools_running = Fact::Absent;
        facts.last_window = Fact::Absent;
    });
    assert_eq!(off.items.len(), 3);
    assert_eq!(failing(&off), [""; 0]);
    let held = protection(|facts| {
        let snapshot = Before::Held;
        facts.last_window = Fact::Known(LastWindow { name: "w", opened: hours_ago(1), snapshot });
    });
    assert_eq!(failing(&held), [""; 0]);
}

#[test]
fn what_is_not_known_is_neither_good_nor_bad_and_is_named_once() {
    let changes: [Change; 6] = [
        ("agent-online", |facts| facts.agent = Fact::Unknown),
        ("tools-running", |facts| facts.tools_running = Fact::Unknown),
        ("tools-current", |facts| facts.tools = Fact::Unknown),
        ("snapshot-before-window", |facts| facts.last_window = Fact::Unknown),
        ("no-old-snapshot", |facts| facts.snapshots = Fact::Unknown),
        ("no-consolidation-needed", |facts| facts.consolidation_needed = Fact::Unknown),
    ];
    for (id, change) in changes {
        let list = protection(change);
        assert_eq!((list.items.len(), list.not_read.len(), failing(&list).len()), (6, 1, 0), "{id}");
        assert!(!list.items.iter().any(|item| item.id == id), "{id}");
        assert_eq!(list.items.last().unwrap().details["Ids"], id);
    }
    let several = protection(|facts| {
        facts.tools_running = Fact::Unknown;
        facts.snapshots = Fact::Unknown;
        facts.agent = Fact::Known(Agent::Offline(None));
    });
    insta::assert_snapshot!(shown(&several));
    // Whatever else was looked at and went well, it is not known to be well.
    let checks = table::Checks::of(&several);
    assert_eq!((checks.compliant, checks.unreadable, checks.failing.len()), (3, 2, 1));
}

#[test]
fn checks_that_could_not_be_made_are_named_as_far_as_they_fit() {
    let not_read = |number: u32| NotRead {
        id: format!("a-rule-with-a-long-name-{number:04}"),
        why: format!("`config.path{}` cannot be read", number % 3),
    };
    let bad = |number: u32| {
        let mut check = check(&format!("rule-{number:04}"), Severity::High, Status::NonCompliant);
        check.details = vec![("Value".to_owned(), "x".repeat(3000))];
        check
    };
    let list = List::with_not_read(Kind::Hardening, (0..1500).map(bad), (0..400).map(not_read));
    assert!(list.items.len() <= MOST_ITEMS && list.size() <= LARGEST_LIST, "{}", list.size());
    let [.., left_out, last] = &*list.items else { panic!("{}", list.items.len()) };
    assert_eq!((&*left_out.id, &*last.id), ("vmbridge-left-out", "not-read"));
    assert_eq!(list.items.len() - 2 + list.left_out, 1500);
    assert_eq!((list.not_read.len(), &*last.details["Count"]), (400, "400"));
    assert!(last.details["Ids"].ends_with(" more)") && last.details["Ids"].len() <= LONGEST_DETAIL);
    assert_eq!(
        last.details["Why"],
        [0, 1, 2].map(|number| format!("`config.path{number}` cannot be read")).join("; ")
    );
    let few = List::with_not_read(
        Kind::Hardening,
        (0..1000).map(|number| check(&format!("rule-{number:04}"), Severity::High, Status::Compliant)),
        [not_read(1)],
    );
    assert!(few.items.len() <= MOST_ITEMS && few.left_out > 0, "its item has room");
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
    let ids =
        ["", " ", "vmbridge-left-out", "not-read", &format!("{long}1"), &format!("{long}2"), &"é".repeat(60)];
    let list = List::new(Kind::Hardening, ids.map(|id| check(id, Severity::Low, Status::Compliant)));
    let fitted: BTreeSet<&str> = list.items.iter().map(|item| &*item.id).collect();
    assert_eq!(fitted.len(), ids.len());
    assert!(!fitted.contains("vmbridge-left-out") && !fitted.contains("not-read"));
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
        unread in proptest::collection::vec((".{0,120}", ".{0,120}"), 0..12),
        by in 0..60_usize,
    ) {
        let unread: Vec<NotRead> = unread.into_iter().map(|(id, why)| NotRead { id, why }).collect();
        let list = List::with_not_read(Kind::Hardening, checks.clone(), unread.clone());
        prop_assert_eq!(list.items.iter().filter(|item| item.is_not_read()).count(), usize::from(!list.not_read.is_empty()));
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
        let unread = unread.into_iter().rev();
        prop_assert_eq!(List::with_not_read(Kind::Hardening, other, unread), list);
    }

    #[test]
    fn what_differs_hashes_differently(one in any_check(), other in any_check()) {
        let list = |check| List::new(Kind::Hardening, [check]);
        let (one, other) = (list(one), list(other));
        prop_assert_eq!(one.items == other.items, one.content_hash == other.content_hash);
    }
}
