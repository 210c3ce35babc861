use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::checks::{Rule, parse};

fn rule(expect: &str) -> Rule {
    let text = format!(
        r#"
[[rule]]
id = "a"
kind = "vm"
title = "t"
severity = "low"
family = "f"
rationale = "r"
remediation = "r"
read = {{ path = "config.x" }}
expect = {expect}
"#
    );
    parse("a.toml", &text).unwrap().rules.remove(0).0
}

fn evidence(expect: &str, reading: &Reading) -> String {
    let rule = rule(expect);
    let outcome = Outcome {
        rule: &rule,
        status: Status::Failed,
        case: rule.cases.first(),
        reading,
        now: Timestamp::UNIX_EPOCH,
    };
    outcome.evidence()
}

#[test]
fn it_says_what_was_found_and_what_should_be() {
    let one = |text: &str| Reading::One(text.into());
    let many = |texts: &[&str]| Reading::Many(texts.iter().map(|text| (*text).into()).collect());
    for (expect, reading, wanted) in [
        ("{ is = true, missing = \"fail\" }", one("FALSE"), "`config.x` is `FALSE`; it should be true"),
        (
            "{ is = true, missing = \"pass\" }",
            one("FALSE"),
            "`config.x` is `FALSE`; it should be true or not set",
        ),
        (
            "{ between = [1, 9], missing = \"fail\" }",
            Reading::Missing,
            "`config.x` is not set; it should be at least 1 and at most 9",
        ),
        ("{ present = true }", one(" "), "`config.x` is not set, and should be"),
        ("{ absent = true }", one("salt"), "`config.x` is `salt`; it should be not set"),
        (
            "{ none_of = [\"b\"], missing = \"pass\" }",
            many(&["a", "b", "c"]),
            "`config.x` has `b` among 3 values; it should be not `b` or not set",
        ),
    ] {
        assert_eq!(evidence(expect, &reading), wanted);
    }
}

#[test]
fn what_vcenter_sends_cannot_do_harm() {
    let hostile = "a\u{1b}[31m\u{202e}`x`\r\nb\u{0}\\";
    assert_eq!(
        evidence("{ is = true, missing = \"fail\" }", &Reading::One(hostile.into())),
        r"`config.x` is `a\u{1b}[31m\u{202e}\u{60}x\u{60}\u{d}\u{a}b\u{0}\u{5c}`; it should be true"
    );
    let long = evidence("{ is = true, missing = \"fail\" }", &Reading::One("ö".repeat(2000).into()));
    assert_eq!(long, format!("`config.x` is `{}…`; it should be true", "ö".repeat(58)));
}

proptest! {
    #[test]
    fn it_is_never_too_long(value in "(.|\n){0,300}", wanted in "\\PC{1,600}") {
        let expect = format!("{{ equals = 'x{}', missing = \"fail\" }}", wanted.replace('\'', ""));
        let said = evidence(&expect, &Reading::One(value.as_str().into()));
        prop_assert!(said.len() <= LONGEST);
        prop_assert!(!said.contains(char::is_control));
    }
}
