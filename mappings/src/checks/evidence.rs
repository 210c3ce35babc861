//! What was found, in words. Values come from outside and may hold anything.

use std::fmt::Write as _;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

use super::expect::Predicate;
use super::outcome::{Inapplicable, Outcome, Status, Unread};
use super::read::Pick;
use super::reading::Reading;
use super::rule::Missing;

/// The longest evidence, in bytes.
pub const LONGEST: usize = 512;
/// The longest value within it, in bytes.
const LONGEST_VALUE: usize = 120;
/// The most values that are named.
const MOST_VALUES: usize = 5;

pub(super) fn sentence(outcome: &Outcome<'_>) -> String {
    let rule = outcome.rule;
    let sentence = match &outcome.status {
        Status::Passed | Status::Failed => found(outcome),
        Status::Suppressed { reason, until, .. } => {
            let until = until.strftime("%Y-%m-%d");
            format!("{}; accepted until {until}: {}", found(outcome), shown(reason))
        }
        Status::NotReadable(Unread::Value(read)) => format!("`{read}` cannot be read"),
        Status::NotReadable(Unread::Version) => "the version of vSphere is not known".to_owned(),
        Status::NotReadable(Unread::Suppression(key)) => {
            format!(
                "{}; whether that is accepted is not known, since `{}` is not",
                found(outcome),
                key.as_str()
            )
        }
        Status::NotApplicable(Inapplicable::Version(version)) => {
            format!("the rule is not about vSphere {version}")
        }
        Status::NotApplicable(Inapplicable::Condition(why)) => (*why).to_owned(),
        Status::NotApplicable(Inapplicable::NotSet) => format!("`{}` is not set", rule.read),
        Status::ProviderManaged => "the provider looks after it".to_owned(),
    };
    cut(&sentence, LONGEST)
}

/// What was found, and, where it is not good, what was expected.
fn found(outcome: &Outcome<'_>) -> String {
    let mut out = format!("`{}` ", outcome.rule.read);
    let culprit = outcome.case.and_then(|case| case.expect.culprit(outcome.reading, outcome.now));
    match (outcome.reading, culprit) {
        (Reading::Many(values), Some(culprit)) => {
            let _ = write!(out, "has `{}` among {} values", shown(culprit), values.len());
        }
        (Reading::Many(values), None) => {
            out.push_str("is ");
            for (at, value) in values.iter().take(MOST_VALUES).enumerate() {
                let _ = write!(out, "{}`{}`", if at > 0 { ", " } else { "" }, shown(value));
            }
            if values.len() > MOST_VALUES {
                let _ = write!(out, " and {} more", values.len() - MOST_VALUES);
            }
        }
        (Reading::One(value), _) if !value.trim().is_empty() => {
            let _ = write!(out, "is `{}`", shown(value));
        }
        // What is looked up is not set by anybody.
        _ if outcome.rule.read.pick == Pick::BuildReleased => out.push_str("is not known"),
        _ => out.push_str("is not set"),
    }
    let failed = !matches!(outcome.status, Status::Passed);
    if failed && let Some(case) = outcome.case {
        let only_presence = case.expect.all_of.iter().all(|one| matches!(one, Predicate::Present));
        let or_unset = if case.expect.missing == Missing::Pass
            && !case.expect.all_of.contains(&Predicate::Absent)
            && outcome.rule.read.pick != Pick::BuildReleased
        {
            " or not set"
        } else {
            ""
        };
        let _ = if only_presence {
            write!(out, ", and should be")
        } else {
            write!(out, "; it should be {}{or_unset}", case.expect)
        };
    }
    out
}

/// A value as people may see it: what cannot be seen is escaped, and what is too long is cut.
fn shown(value: &str) -> String {
    let mut out = String::new();
    for character in value.trim().chars() {
        let unseen = character != ' '
            && matches!(
                character.general_category_group(),
                GeneralCategoryGroup::Other | GeneralCategoryGroup::Separator
            );
        if unseen || character == '`' || character == '\\' {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
        if out.len() > LONGEST_VALUE {
            break;
        }
    }
    cut(&out, LONGEST_VALUE)
}

/// At most so many bytes, with `…` where something was cut.
fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most - '…'.len_utf8();
    let end = (0..=room).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[cfg(test)]
mod tests;
