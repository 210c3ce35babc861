//! What a value should be.

use std::cmp::Ordering;
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use super::reading::Reading;
use super::rule::Missing;
use crate::glob::NamePattern;

/// One demand on a value. Of several values each has to meet it. Texts are compared without regard to case and to white
/// space around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Predicate {
    /// It is this.
    Equals(Box<str>),
    /// It is one of these.
    OneOf(Box<[Box<str>]>),
    /// It is none of these.
    NoneOf(Box<[Box<str>]>),
    /// It is true (`true`, `yes`, `on`, `1`), or false (`false`, `no`, `off`, `0`).
    Is(bool),
    /// It is a whole number, and not less.
    AtLeast(i64),
    /// It is a whole number, and not more.
    AtMost(i64),
    /// It matches one of these.
    Matches(Vec<NamePattern>),
    /// It matches none of these.
    NotMatches(Vec<NamePattern>),
    /// There is a value.
    Present,
    /// There is none.
    Absent,
    /// It is a version (numbers with dots, with or without a word before them as in `vmx-19`), and not an older one.
    AtLeastVersion(Box<str>),
    /// It is a time, and at least so many days from now.
    DaysAhead(u32),
    /// It is a time, and at most so many days ago.
    DaysAgo(u32),
    /// It is a list, with commas or white space between, and all of these are in it.
    ListsAll(Box<[Box<str>]>),
    /// It says how long passwords have to be, as `Security.PasswordQualityControl` of a host does, and no password may have fewer
    /// characters than these.
    ShortestPassword(u32),
}

impl Predicate {
    /// The name of it in rules.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Equals(_) => "equals",
            Self::OneOf(_) => "one_of",
            Self::NoneOf(_) => "none_of",
            Self::Is(_) => "is",
            Self::AtLeast(_) => "at_least",
            Self::AtMost(_) => "at_most",
            Self::Matches(_) => "matches",
            Self::NotMatches(_) => "not_matches",
            Self::Present => "present",
            Self::Absent => "absent",
            Self::AtLeastVersion(_) => "at_least_version",
            Self::DaysAhead(_) => "at_least_days_ahead",
            Self::DaysAgo(_) => "at_most_days_ago",
            Self::ListsAll(_) => "lists_all",
            Self::ShortestPassword(_) => "shortest_password",
        }
    }

    /// Whether a value, which is not empty, meets it.
    fn is_met(&self, value: &str, now: Timestamp) -> bool {
        let same = |wanted: &str| wanted.eq_ignore_ascii_case(value);
        match self {
            Self::Equals(wanted) => same(wanted),
            Self::OneOf(allowed) => allowed.iter().any(|wanted| same(wanted)),
            Self::NoneOf(refused) => !refused.iter().any(|unwanted| same(unwanted)),
            Self::Is(wanted) => truth(value) == Some(*wanted),
            Self::AtLeast(least) => value.parse::<i64>().is_ok_and(|number| number >= *least),
            Self::AtMost(most) => value.parse::<i64>().is_ok_and(|number| number <= *most),
            Self::Matches(patterns) => patterns.iter().any(|pattern| pattern.matches(value)),
            Self::NotMatches(patterns) => !patterns.iter().any(|pattern| pattern.matches(value)),
            Self::Present => true,
            Self::Absent => false,
            Self::AtLeastVersion(least) => compare_versions(value, least).is_some_and(Ordering::is_ge),
            Self::DaysAhead(days) => {
                value.parse::<Timestamp>().is_ok_and(|time| time.duration_since(now) >= of_days(*days))
            }
            Self::DaysAgo(days) => {
                value.parse::<Timestamp>().is_ok_and(|time| now.duration_since(time) <= of_days(*days))
            }
            Self::ListsAll(wanted) => {
                let has = |wanted: &str| {
                    let mut words =
                        value.split(|character: char| character == ',' || character.is_whitespace());
                    words.any(|word| word.eq_ignore_ascii_case(wanted))
                };
                wanted.iter().all(|wanted| has(wanted))
            }
            Self::ShortestPassword(least) => passwords_are_long(value, *least),
        }
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(wanted) => write!(f, "`{wanted}`"),
            Self::OneOf(allowed) => listed(f, "", "or", allowed.iter().map(|word| &**word)),
            Self::NoneOf(refused) => listed(f, "not ", "or", refused.iter().map(|word| &**word)),
            Self::Is(wanted) => write!(f, "{wanted}"),
            Self::AtLeast(least) => write!(f, "at least {least}"),
            Self::AtMost(most) => write!(f, "at most {most}"),
            Self::Matches(patterns) => listed(f, "like ", "or", patterns.iter().map(NamePattern::as_str)),
            Self::NotMatches(patterns) => {
                listed(f, "not like ", "or", patterns.iter().map(NamePattern::as_str))
            }
            Self::Present => f.write_str("set"),
            Self::Absent => f.write_str("not set"),
            Self::AtLeastVersion(least) => write!(f, "{least} or newer"),
            Self::DaysAhead(days) => write!(f, "at least {days} days ahead"),
            Self::DaysAgo(days) => write!(f, "at most {days} days ago"),
            Self::ListsAll(wanted) => listed(f, "a list with ", "and", wanted.iter().map(|word| &**word)),
            Self::ShortestPassword(least) => {
                write!(f, "such that every password has at least {least} characters")
            }
        }
    }
}

fn listed<'a>(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    conjunction: &str,
    words: impl ExactSizeIterator<Item = &'a str>,
) -> fmt::Result {
    let last = words.len().saturating_sub(1);
    f.write_str(before)?;
    for (at, word) in words.enumerate() {
        match at {
            0 => {}
            _ if at == last => write!(f, " {conjunction} ")?,
            _ => f.write_str(", ")?,
        }
        write!(f, "`{word}`")?;
    }
    Ok(())
}

/// What a value should be: all of these demands, and what it means when there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expect {
    /// The demands, at least one.
    pub all_of: Vec<Predicate>,
    /// What a missing value means. An empty text counts as missing: vSphere does not tell the two apart.
    pub missing: Missing,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Met,
    NotMet,
    /// There is no value, and the rule then has nothing to say.
    Nothing,
    /// The value is not known.
    Unknown,
}

impl Expect {
    pub(super) fn judge(&self, reading: &Reading, now: Timestamp) -> Judgement {
        if *reading == Reading::Unreadable {
            return Judgement::Unknown;
        }
        let mut any = false;
        for value in reading.values() {
            let value = value.trim();
            if value.is_empty() {
                continue;
            }
            any = true;
            if !self.all_of.iter().all(|predicate| predicate.is_met(value, now)) {
                return Judgement::NotMet;
            }
        }
        match (any, self.missing) {
            (true, _) | (false, Missing::Pass) => Judgement::Met,
            (false, Missing::Fail) => Judgement::NotMet,
            (false, Missing::NotApplicable) => Judgement::Nothing,
        }
    }

    /// The value that does not meet it, if there is one.
    pub(super) fn culprit<'a>(&self, reading: &'a Reading, now: Timestamp) -> Option<&'a str> {
        let wrong = |value: &&str| {
            !value.is_empty() && !self.all_of.iter().all(|predicate| predicate.is_met(value, now))
        };
        reading.values().iter().map(|value| value.trim()).find(wrong)
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all_of
            .iter()
            .enumerate()
            .try_for_each(|(at, predicate)| write!(f, "{}{predicate}", if at > 0 { " and " } else { "" }))
    }
}

fn of_days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(days) * 24)
}

fn truth(value: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    if is(["true", "yes", "on", "1"]) {
        Some(true)
    } else if is(["false", "no", "off", "0"]) {
        Some(false)
    } else {
        None
    }
}

/// Whether a setting of `pam_passwdqc` lets no password with fewer characters pass. `min=N0,N1,N2,N3,N4` has the least length of
/// passwords of one, two, three and four kinds of characters, with that of passphrases in the middle; `disabled` refuses that sort.
/// Every sort counts: whoever may choose takes the shortest.
fn passwords_are_long(setting: &str, least: u32) -> bool {
    let mut lengths = None;
    for word in setting.split_whitespace() {
        match word.split_once('=') {
            Some((name, list)) if name.eq_ignore_ascii_case("min") => lengths = Some(list),
            // It is told then, and the password is taken all the same.
            Some((name, whom))
                if name.eq_ignore_ascii_case("enforce") && whom.eq_ignore_ascii_case("none") =>
            {
                return false;
            }
            _ => {}
        }
    }
    let Some(lengths) = lengths else { return false };
    let is_long = |length: &str| length.parse::<u32>().is_ok_and(|length| length >= least);
    let lengths: Vec<&str> = lengths.split(',').collect();
    match &lengths[..] {
        [others @ .., best] if others.len() == 4 => {
            is_long(best)
                && others.iter().all(|length| length.eq_ignore_ascii_case("disabled") || is_long(length))
        }
        _ => false,
    }
}

/// Compares two versions number by number; nothing if either is none. Missing numbers are zero.
fn compare_versions(one: &str, two: &str) -> Option<Ordering> {
    let (mut one, mut two) = (numbers(one)?, numbers(two)?);
    loop {
        match (one.next(), two.next()) {
            (None, None) => return Some(Ordering::Equal),
            (one, two) => {
                let order = one.unwrap_or(Some(0))?.cmp(&two.unwrap_or(Some(0))?);
                if order.is_ne() {
                    return Some(order);
                }
            }
        }
    }
}

/// The numbers of a version, after the word before them, if there is one.
fn numbers(version: &str) -> Option<impl Iterator<Item = Option<u64>>> {
    let digits = version.find(|character: char| character.is_ascii_digit())?;
    let (word, version) = version.split_at(digits);
    let word = word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
    word.then(|| {
        version.split('.').map(|part| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        })
    })
}

/// Whether this is a version that others can be compared with.
pub(super) fn is_version(text: &str) -> bool {
    numbers(text).is_some_and(|mut numbers| numbers.all(|number| number.is_some()))
}

#[cfg(test)]
mod tests;
