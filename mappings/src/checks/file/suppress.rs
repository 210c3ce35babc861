//! One `[[suppress]]`.

use jiff::Timestamp;
use jiff::civil::Date;
use toml::de::DeValue;

use super::table::{Found, Told, View};
use crate::checks::rule::Family;
use crate::checks::suppress::{Scope, Suppression, end_of_day};
use crate::glob::NamePattern;
use crate::selector::Selector;

/// The longest reason, in characters.
const LONGEST_REASON: usize = 400;
/// The longest selector.
const LONGEST_SELECTOR: usize = 4096;

pub(super) fn suppression(told: &mut Told<'_>, view: &View<'_>) -> Option<Suppression> {
    view.only(told, &["rule", "family", "objects", "reason", "until"]);
    let scope = match (view.get("rule"), view.get("family")) {
        (Some(found), None) => found
            .read(told, 80, NamePattern::new, "the name of a rule, or a pattern such as `vm-device-*`")
            .map(|pattern| Scope::Rules(vec![pattern])),
        (None, Some(found)) => found.text(told, 80).and_then(|text| {
            let family = Family::new(text);
            if family.is_none() {
                found.wrong(told, format!("`{text}` is not a family"), "for example `devices`");
            }
            family.map(Scope::Family)
        }),
        _ => {
            told.at(
                Some(&view.span),
                Some("rule"),
                "it is not said what is suppressed",
                "give either `rule` or `family`",
            );
            None
        }
    };
    let objects = view.needed(told, "objects", "\"folder=/Lab/**\"").and_then(|found| {
        found.read(told, LONGEST_SELECTOR, str::parse::<Selector>, "docs/selectors.md has the form")
    });
    let reason = view
        .needed(told, "reason", "\"replaced in spring, ticket 4711\"")
        .and_then(|found| found.text(told, LONGEST_REASON));
    let until = view.needed(told, "until", "2027-03-31").and_then(|found| until(told, &found));
    let reason = reason.map(|reason| reason.trim().into());
    Some(Suppression { name: None, scope: scope?, objects: objects?, reason: reason?, until: until? })
}

/// A day (it holds until that day ends in UTC), or a time with an offset.
fn until(told: &mut Told<'_>, found: &Found<'_>) -> Option<Timestamp> {
    let text = match found.value {
        DeValue::Datetime(time) => time.to_string(),
        DeValue::String(text) => text.to_string(),
        _ => String::new(),
    };
    let day = (text.len() == 10).then(|| text.parse::<Date>().ok().and_then(end_of_day)).flatten();
    let read = day.or_else(|| text.parse::<Timestamp>().ok());
    if read.is_none() {
        found.wrong(
            told,
            "this is not a day",
            "for example until = 2027-03-31, or a time such as 2027-03-31T18:00:00Z",
        );
    }
    read
}
