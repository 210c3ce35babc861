use super::*;

fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn patterns(texts: &[&str]) -> Vec<NamePattern> {
    texts.iter().map(|text| NamePattern::new(text).unwrap()).collect()
}

fn met(predicate: &Predicate, value: &str) -> bool {
    let expect = Expect { all_of: vec![predicate.clone()], missing: Missing::Fail };
    match expect.judge(&Reading::One(value.into()), now()) {
        Judgement::Met => true,
        Judgement::NotMet => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_demand_takes_what_it_says() {
    let words = |words: &[&str]| -> Box<[Box<str>]> { words.iter().map(|word| Box::from(*word)).collect() };
    for (predicate, good, bad) in [
        (Predicate::Equals("Root".into()), &["root", " ROOT\n"][..], &["root,operator", "toor"][..]),
        (Predicate::OneOf(words(&["a", "b"])), &["A", "b"], &["c", "ab"]),
        (Predicate::NoneOf(words(&["a", "b"])), &["c", "ab"], &["A", "b"]),
        (Predicate::Is(true), &["true", "TRUE", "yes", "on", "1"], &["false", "2", "tru", "true!"]),
        (Predicate::Is(false), &["false", "No", "off", "0"], &["true", "00", "nope"]),
        (Predicate::AtLeast(-1), &["-1", "7", " 8 "], &["-2", "many", "1.5", "99999999999999999999"]),
        (Predicate::AtMost(0), &["0", "-5"], &["1", "none", "-99999999999999999999"]),
        (Predicate::Matches(patterns(&["ssl://*", "tls://*"])), &["SSL://a", "tls://b"], &["udp://a", "a"]),
        (Predicate::NotMatches(patterns(&["*udp:*"])), &["ssl://a"], &["ssl://a,udp://b"]),
        (Predicate::Present, &["x"], &[]),
        (Predicate::Absent, &[], &["x"]),
        (
            Predicate::AtLeastVersion("vmx-17".into()),
            &["vmx-17", "vmx-21", "17", "17.0.1"],
            &["vmx-9", "vmx-", "new", "vmx-16.9", "vmx-17x", "vmx 17"],
        ),
        (Predicate::AtLeastVersion("8.0.2".into()), &["8.0.2", "8.0.10", "9"], &["8", "8.0.1.9", "8..1", ""]),
        (
            Predicate::DaysAhead(30),
            &["2026-12-28T12:00:00Z", "2027-01-01T00:00:00+01:00"],
            &["2026-12-28T11:59:59Z", "2020-01-01T00:00:00Z", "tomorrow"],
        ),
        (
            Predicate::DaysAgo(365),
            &["2025-11-28T12:00:00Z", "2026-11-28T00:00:00.5Z", "2027-01-01T00:00:00Z"],
            &["2025-11-28T11:59:59Z", "never"],
        ),
        (
            Predicate::ListsAll(words(&["sslv3", "tlsv1", "tlsv1.1"])),
            &[
                "sslv3,tlsv1,tlsv1.1",
                "TLSv1.1, TLSv1 ,SSLv3",
                "tlsv1 tlsv1.1 sslv3",
                "tlsv1,tlsv1.1,tlsv1.2,sslv3",
            ],
            &["sslv3", "sslv3,tlsv1.1", "sslv3,tlsv1,tlsv1.10", "sslv3tlsv1tlsv1.1"],
        ),
        (
            Predicate::ShortestPassword(15),
            &[
                "similar=deny retry=3 min=disabled,disabled,disabled,disabled,15",
                "retry=3 min=disabled,15,15,15,15 max=64 similar=deny passphrase=3",
                "min=99,20,DISABLED,16,15",
                "min=1,1,1,1,1 Min=disabled,disabled,disabled,disabled,100",
                "min=disabled,disabled,disabled,disabled,15 enforce=everyone",
            ],
            &[
                "min=1,1,1,1,15",
                "min=disabled,disabled,disabled,14,15",
                "min=disabled,disabled,8,disabled,15",
                "retry=3 min=disabled,disabled,disabled,7,7",
                "min=disabled,disabled,disabled,disabled,14",
                "min=disabled,disabled,disabled,disabled,disabled",
                "min=disabled,disabled,disabled,15",
                "min=disabled,disabled,disabled,disabled,disabled,15",
                "min=15,15,15,15,-15",
                "min=99999999999,15,15,15,15",
                "min=",
                "min",
                "xmin=15,15,15,15,15",
                "retry=3",
                "min=disabled,disabled,disabled,disabled,15 enforce=none",
            ],
        ),
    ] {
        for value in good {
            assert!(met(&predicate, value), "{predicate} takes `{value}`");
        }
        for value in bad.iter().filter(|value| !value.is_empty()) {
            assert!(!met(&predicate, value), "{predicate} does not take `{value}`");
        }
    }
}

#[test]
fn every_value_has_to_meet_every_demand() {
    let between = vec![Predicate::AtLeast(1), Predicate::AtMost(900)];
    let expect = Expect { all_of: between, missing: Missing::Fail };
    let many = |values: &[&str]| Reading::Many(values.iter().map(|value| (*value).into()).collect());
    assert_eq!(expect.judge(&many(&["1", "900"]), now()), Judgement::Met);
    assert_eq!(expect.judge(&many(&["1", "901"]), now()), Judgement::NotMet);
    assert_eq!(expect.culprit(&many(&["1", "", "901"]), now()), Some("901"));
    assert_eq!(expect.to_string(), "at least 1 and at most 900");
}

/// vSphere does not tell an empty text from none.
#[test]
fn nothing_means_what_the_rule_says() {
    let none = [Reading::Missing, Reading::One("".into()), Reading::One("  ".into())];
    for (missing, wanted) in [
        (Missing::Pass, Judgement::Met),
        (Missing::Fail, Judgement::NotMet),
        (Missing::NotApplicable, Judgement::Nothing),
    ] {
        let expect = Expect { all_of: vec![Predicate::Is(true)], missing };
        for reading in &none {
            assert_eq!(expect.judge(reading, now()), wanted, "{reading:?}");
        }
        assert_eq!(expect.judge(&Reading::Unreadable, now()), Judgement::Unknown);
    }
}

#[test]
fn demands_are_said_in_words() {
    let words: Box<[Box<str>]> = ["a", "b", "c"].into_iter().map(Box::from).collect();
    for (predicate, wanted) in [
        (Predicate::OneOf(words.clone()), "`a`, `b` or `c`"),
        (Predicate::NoneOf(words), "not `a`, `b` or `c`"),
        (Predicate::Is(false), "false"),
        (Predicate::Matches(patterns(&["x*", "y*"])), "like `x*` or `y*`"),
        (Predicate::DaysAhead(30), "at least 30 days ahead"),
        (Predicate::ListsAll(["a".into(), "b".into()].into()), "a list with `a` and `b`"),
        (Predicate::ShortestPassword(15), "such that every password has at least 15 characters"),
    ] {
        assert_eq!(predicate.to_string(), wanted);
    }
}
