//! What somebody accepts for a time.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::rule::{Family, Rule};
use crate::glob::NamePattern;
use crate::selector::Selector;

/// Which rules a suppression is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Rules whose names match any of these.
    Rules(Vec<NamePattern>),
    /// All rules of a family.
    Family(Family),
}

impl Scope {
    /// Whether a rule is meant.
    #[must_use]
    pub fn covers(&self, rule: &Rule) -> bool {
        match self {
            Self::Rules(patterns) => patterns.iter().any(|pattern| pattern.matches(rule.id.as_str())),
            Self::Family(family) => *family == rule.family,
        }
    }
}

/// The last moment of a day in UTC, as suppressions count it; none at the end of time.
#[must_use]
pub fn end_of_day(day: Date) -> Option<Timestamp> {
    TimeZone::UTC.to_timestamp(day.at(23, 59, 59, 999_999_999)).ok()
}

/// Findings that somebody accepts, why, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Its name, where it has one.
    pub name: Option<Box<str>>,
    /// Which rules.
    pub scope: Scope,
    /// Of which objects. What a selector asks that an object does not have (the power state of a host) does not select it.
    pub objects: Selector,
    /// Why, in a sentence for auditors.
    pub reason: Box<str>,
    /// The last moment at which it holds; after it the findings are back.
    pub until: Timestamp,
}

impl Suppression {
    /// Whether it still holds.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now <= self.until
    }
}
