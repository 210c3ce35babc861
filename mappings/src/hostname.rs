//! Whether two host names are the same computer.
//!
//! VMware Tools and SSM Agent both report what a guest calls itself, each in its own way: with or without the domain, in
//! any case, with a dot at the end, and on Windows outside a domain as `NAME.WORKGROUP`. A name is evidence and no proof:
//! two computers in different domains share a short name all the time, and half of all clones are called `localhost`. So a
//! wrong "yes" is the failure that this module avoids; callers must ask for more evidence than a name.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::glob::fold;

/// How well two host names fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Match {
    /// They are different, or at least one of them says nothing (empty, `localhost`).
    No,
    /// The short names are the same, and at most one of them says in which domain.
    ShortOnly,
    /// They are the same, domain and all.
    Exact,
}

/// What stands in the place of a domain where there is none.
const NO_DOMAIN: [&str; 4] = ["workgroup", "localdomain", "localdomain4", "localdomain6"];
/// Short names that many computers have at the same time.
const NO_NAME: [&str; 4] = ["localhost", "localhost4", "localhost6", "(none)"];

/// Compares two host names as they were reported.
///
/// ```
/// use mappings::hostname::{Match, same};
/// assert_eq!(same("web-01.corp.example", "WEB-01.corp.example."), Match::Exact);
/// assert_eq!(same("web-01.corp.example", "WEB-01.WORKGROUP"), Match::ShortOnly);
/// assert_eq!(same("web-01.corp.example", "web-01.lab.example"), Match::No);
/// ```
#[must_use]
pub fn same(a: &str, b: &str) -> Match {
    let (Some(a), Some(b)) = (HostName::read(a), HostName::read(b)) else { return Match::No };
    if a.short != b.short {
        return Match::No;
    }
    match (a.domain, b.domain) {
        (None, None) => Match::Exact,
        (Some(a), Some(b)) if a == b => Match::Exact,
        (Some(_), Some(_)) => Match::No,
        (None, Some(_)) | (Some(_), None) => Match::ShortOnly,
    }
}

/// What names that could be the same have in common: the first label, in lower case. Two names for which [`same`] is not
/// [`Match::No`] have the same key; the opposite does not hold.
///
/// ```
/// assert_eq!(mappings::hostname::short_key("WEB-01.corp.example."), "web-01");
/// ```
#[must_use]
pub fn short_key(name: &str) -> String {
    let folded = folded(name);
    split(&folded).0.to_owned()
}

/// A name, folded and taken apart.
struct HostName {
    short: String,
    domain: Option<String>,
}

impl HostName {
    /// `None` when the name says nothing.
    fn read(name: &str) -> Option<Self> {
        let folded = folded(name);
        let (short, domain) = split(&folded);
        if short.is_empty() || NO_NAME.contains(&short) {
            return None;
        }
        let domain = domain.filter(|domain| !domain.is_empty() && !NO_DOMAIN.contains(domain));
        Some(Self { short: short.to_owned(), domain: domain.map(str::to_owned) })
    }
}

/// Without white space around it and dots at the end, and in one case.
fn folded(name: &str) -> Cow<'_, str> {
    let name = name.trim().trim_end_matches('.');
    if name.chars().all(|c| fold(c) == c) {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(name.chars().map(fold).collect())
    }
}

/// The short name and the domain. An address is one name: the first number of two addresses says nothing.
fn split(name: &str) -> (&str, Option<&str>) {
    if name.parse::<IpAddr>().is_ok() {
        return (name, None);
    }
    match name.split_once('.') {
        Some((short, domain)) => (short, Some(domain)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_as_tools_and_the_agent_write_them() {
        for (a, b, wanted) in [
            ("web-01", "web-01", Match::Exact),
            ("web-01", "WEB-01", Match::Exact),
            ("web-01.", "web-01", Match::Exact),
            (" web-01\n", "web-01", Match::Exact),
            ("web-01.corp.example", "Web-01.Corp.Example.", Match::Exact),
            ("WEB-01.WORKGROUP", "web-01", Match::Exact),
            ("WEB-01.workgroup", "WEB-01.WORKGROUP", Match::Exact),
            ("web-01.localdomain", "web-01", Match::Exact),
            ("BÜRO-1", "büro-1", Match::Exact),
            ("web-01", "web-01.corp.example", Match::ShortOnly),
            ("WEB-01.WORKGROUP", "web-01.corp.example", Match::ShortOnly),
            ("WEB-01.HOMEGROUP", "web-01", Match::ShortOnly),
            ("web-01.corp.example", "web-01.lab.example", Match::No),
            ("web-01.corp.example", "web-01.example", Match::No),
            ("web-01", "web-02", Match::No),
            ("web-01", "web-0", Match::No),
            ("localhost", "localhost", Match::No),
            ("localhost.localdomain", "localhost.localdomain", Match::No),
            ("(none)", "(none)", Match::No),
            ("", "", Match::No),
            (".", ".", Match::No),
            (".corp.example", ".corp.example", Match::No),
            ("10.0.0.1", "10.0.0.1", Match::Exact),
            ("10.0.0.1", "10.0.0.2", Match::No),
            ("10.0.0.1", "10", Match::No),
        ] {
            assert_eq!(same(a, b), wanted, "{a:?} {b:?}");
            assert_eq!(same(b, a), wanted, "{b:?} {a:?}");
        }
    }

    #[test]
    fn keys_are_short_and_folded() {
        for (name, key) in [
            ("WEB-01", "web-01"),
            ("web-01.corp.example.", "web-01"),
            ("NAME.WORKGROUP", "name"),
            ("10.0.0.1", "10.0.0.1"),
            ("", ""),
        ] {
            assert_eq!(short_key(name), key);
        }
    }

    proptest! {
        #[test]
        fn comparing_is_symmetric_and_found_by_the_key(a in "[aAbB.]{0,5}", b in "[aAbB.]{0,5}") {
            prop_assert_eq!(same(&a, &b), same(&b, &a));
            if same(&a, &b) != Match::No {
                prop_assert_eq!(short_key(&a), short_key(&b));
            }
        }

        #[test]
        fn a_name_is_itself_in_any_case(name in "[a-z][a-z0-9-]{0,14}(\\.[a-z]{2,8}){0,3}") {
            prop_assume!(!NO_NAME.iter().any(|word| name.starts_with(word)));
            prop_assert_eq!(same(&name, &name.to_uppercase()), Match::Exact);
        }
    }
}
