//! Compares what Tools report as a guest's host name with what SSM Agent reports as its computer name.

use std::borrow::Cow;

/// How well two names fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// They are the same.
    Exact,
    /// The hosts are the same, and at most one of the two says its domain.
    ShortOnly,
    /// They differ.
    No,
}

/// In lower case. Most names are, and then nothing is copied: a planner asks this of every VM of a large fleet.
fn lower(name: &str) -> Cow<'_, str> {
    let name = name.trim().trim_end_matches('.');
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.to_lowercase())
}

/// The host and its domain, of a name in lower case.
fn parts(name: &str) -> (&str, Option<&str>) {
    match name.split_once('.') {
        Some((host, domain)) if domain != "workgroup" && !domain.is_empty() => (host, Some(domain)),
        Some((host, _)) => (host, None),
        None => (name, None),
    }
}

/// The host without its domain, for an index.
#[must_use]
pub fn short_key(name: &str) -> Cow<'_, str> {
    match lower(name) {
        Cow::Borrowed(name) => Cow::Borrowed(parts(name).0),
        Cow::Owned(name) => Cow::Owned(parts(&name).0.to_owned()),
    }
}

/// Compares two names.
#[must_use]
pub fn same(one: &str, other: &str) -> Match {
    let (one, other) = (lower(one), lower(other));
    let (one, other) = (parts(&one), parts(&other));
    if one.0 != other.0 || one.0.is_empty() {
        return Match::No;
    }
    match (one.1, other.1) {
        (Some(one), Some(other)) if one == other => Match::Exact,
        (Some(_), Some(_)) => Match::No,
        (None, None) => Match::Exact,
        _ => Match::ShortOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_same_host() {
        assert_eq!(same("web-1", "WEB-1.WORKGROUP"), Match::Exact);
        assert_eq!(same("web-1.example.com.", "Web-1.Example.com"), Match::Exact);
        assert_eq!(same("web-1", "web-1.example.com"), Match::ShortOnly);
        assert_eq!(same("web-1.example.com", "web-1.example.org"), Match::No);
        assert_eq!(same("web-1", "web-2"), Match::No);
        assert_eq!(same("", ""), Match::No);
        assert_eq!(short_key("WEB-1.example.com"), "web-1");
    }
}
