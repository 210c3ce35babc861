//! `expect = { equals = "off", missing = "pass" }`, or a list of such tables with `versions`.

use super::table::{Found, Told, View, listed};
use crate::checks::expect::{Expect, Predicate, is_version};
use crate::checks::rule::{Case, Missing};
use crate::checks::version::Versions;
use crate::glob::NamePattern;

/// The longest text that a value is compared with.
const LONGEST: usize = 1024;
/// The most texts that a value is compared with.
const MOST_VALUES: usize = 64;
/// The most cases of a rule.
const MOST_CASES: usize = 16;
/// The most days.
const MOST_DAYS: i64 = 36_500;
/// The longest password that can be demanded; no host takes longer ones.
const LONGEST_PASSWORD: i64 = 256;

pub(super) const PREDICATES: &[&str] = &[
    "equals",
    "one_of",
    "none_of",
    "is",
    "at_least",
    "at_most",
    "between",
    "matches",
    "not_matches",
    "present",
    "absent",
    "at_least_version",
    "at_least_days_ahead",
    "at_most_days_ago",
    "lists_all",
    "shortest_password",
];

/// The cases of a rule.
pub(super) fn cases(told: &mut Told<'_>, view: &View<'_>) -> Option<Vec<Case>> {
    let found = view.needed(told, "expect", "{ is = true, missing = \"fail\" }")?;
    let mut cases = Vec::new();
    for item in found.items(told, MOST_CASES)? {
        let view = item.table(told)?;
        let versions = match view.get("versions") {
            Some(found) => found.read(told, 80, str::parse, "write `>=7.0`, `<8.0` or `>=7.0, <8.0`")?,
            None => Versions::default(),
        };
        if cases.iter().any(|case: &Case| case.versions.is_everything()) {
            told.at(
                Some(&view.span),
                Some(&view.key("versions")),
                "an earlier entry is about every version already",
                "put the one without `versions` last",
            );
        }
        cases.push(Case { versions, expect: expect(told, &view, &["versions"])? });
    }
    Some(cases)
}

/// What is expected, with the keys of one more thing that may stand in the table.
pub(super) fn expect(told: &mut Told<'_>, view: &View<'_>, besides: &[&'static str]) -> Option<Expect> {
    let keys: Vec<&str> = PREDICATES.iter().chain(&["missing"]).chain(besides).copied().collect();
    let before = told.mistakes.len();
    view.only(told, &keys);
    let mut all_of = Vec::new();
    for key in view.given(PREDICATES) {
        predicate(told, view, key, &mut all_of);
    }
    if told.mistakes.len() > before {
        return None;
    }
    if all_of.is_empty() {
        told.at(
            Some(&view.span),
            Some(&view.key("equals")),
            "nothing is expected",
            format!("give at least one of {}", listed(PREDICATES)),
        );
        return None;
    }
    let missing = missing(told, view, &all_of)?;
    Some(Expect { all_of, missing })
}

/// What a missing value means. `present` and `absent` have said it.
fn missing(told: &mut Told<'_>, view: &View<'_>, all_of: &[Predicate]) -> Option<Missing> {
    let said = if all_of.contains(&Predicate::Absent) {
        Some(("absent", Missing::Pass))
    } else {
        all_of.contains(&Predicate::Present).then_some(("present", Missing::Fail))
    };
    match (view.get("missing"), said) {
        (None, Some((_, missing))) => Some(missing),
        (None, None) => {
            let help = "say what it means when there is no value: `missing = \"pass\"`, `\"fail\"` or `\"not-applicable\"`";
            told.at(Some(&view.span), Some(&view.key("missing")), "it is missing", help);
            None
        }
        (Some(found), said) => {
            let missing = found.word(told, Missing::WORDS, Missing::ALL)?;
            match said {
                Some((word, said)) if said != missing && missing != Missing::NotApplicable => {
                    found.wrong(told, format!("it contradicts `{word}`"), "leave it out");
                    None
                }
                _ => Some(missing),
            }
        }
    }
}

fn predicate(told: &mut Told<'_>, view: &View<'_>, key: &str, all_of: &mut Vec<Predicate>) -> Option<()> {
    let found = view.get(key)?;
    let read = match key {
        "equals" => Predicate::Equals(found.text(told, LONGEST)?.trim().into()),
        "one_of" | "none_of" | "lists_all" => {
            let texts = found.texts(told, LONGEST, MOST_VALUES)?;
            let texts = texts.into_iter().map(|text| text.trim().into()).collect();
            match key {
                "one_of" => Predicate::OneOf(texts),
                "none_of" => Predicate::NoneOf(texts),
                _ => Predicate::ListsAll(texts),
            }
        }
        "shortest_password" => {
            let length = found.integer(told)?;
            let length = u32::try_from(length).ok().filter(|_| (1..=LONGEST_PASSWORD).contains(&length));
            let Some(length) = length else {
                let help = format!("give 1 to {LONGEST_PASSWORD}");
                found.wrong(told, "this is not a number of characters", help);
                return None;
            };
            Predicate::ShortestPassword(length)
        }
        "is" => Predicate::Is(found.boolean(told)?),
        "at_least" => Predicate::AtLeast(found.integer(told)?),
        "at_most" => Predicate::AtMost(found.integer(told)?),
        "between" => {
            let items = found.items(told, 2)?;
            let [least, most] = &items[..] else {
                found.wrong(told, "it has one number", "give two: `between = [1, 900]`");
                return None;
            };
            let (least, most) = (least.integer(told)?, most.integer(told)?);
            if least > most {
                found.wrong(told, "no number is between", "give the smaller one first");
                return None;
            }
            if !view.given(&["at_least", "at_most"]).is_empty() {
                found.wrong(told, "`between` excludes `at_least` and `at_most`", "keep one of them");
                return None;
            }
            all_of.push(Predicate::AtLeast(least));
            Predicate::AtMost(most)
        }
        "matches" | "not_matches" => {
            let items = found.items(told, MOST_VALUES)?;
            let read = |item: &Found<'_>| {
                item.read(
                    told,
                    LONGEST,
                    |text| NamePattern::new(text.trim()),
                    "a pattern with `*`, `?` and `[a-z]`",
                )
            };
            let patterns = items.iter().map(read).collect::<Option<_>>()?;
            if key == "matches" { Predicate::Matches(patterns) } else { Predicate::NotMatches(patterns) }
        }
        "present" | "absent" => {
            if !found.boolean(told)? {
                let other = if key == "present" { "absent" } else { "present" };
                found.wrong(
                    told,
                    format!("`{key} = false` is hard to read"),
                    format!("write `{other} = true`"),
                );
                return None;
            }
            if view.given(PREDICATES).len() > 1 {
                found.wrong(
                    told,
                    format!("`{key}` stands alone"),
                    "the other demands say whether a value may be missing by `missing`",
                );
                return None;
            }
            if key == "present" { Predicate::Present } else { Predicate::Absent }
        }
        "at_least_version" => {
            let text = found.text(told, 80)?;
            if !is_version(text) {
                found.wrong(told, format!("`{text}` is not a version"), "for example `8.0.3` or `vmx-19`");
                return None;
            }
            Predicate::AtLeastVersion(text.into())
        }
        _ => {
            let days = u32::try_from(found.integer(told)?).ok().filter(|days| i64::from(*days) <= MOST_DAYS);
            let Some(days) = days else {
                found.wrong(told, "this is not a number of days", format!("give 0 to {MOST_DAYS}"));
                return None;
            };
            if key == "at_least_days_ahead" { Predicate::DaysAhead(days) } else { Predicate::DaysAgo(days) }
        }
    };
    all_of.push(read);
    Some(())
}
