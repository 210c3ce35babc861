//! How the installer in a guest ends.

use std::sync::LazyLock;

use serde::Deserialize;

/// The table, as it is shipped.
const TABLE: &str = include_str!("../../defaults/guest-reasons.toml");

/// Where the cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// In the guest.
    Guest,
    /// On the way from the guest.
    Network,
    /// At AWS.
    Aws,
    /// In what somebody decided.
    Policy,
}

/// One way to end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The exit code.
    pub code: i32,
    /// The word for it, which does not change between versions.
    pub word: String,
    /// Where the cause is.
    pub class: Class,
    /// Whether trying again may help without anybody doing anything.
    pub retry: bool,
    /// One sentence.
    pub sentence: String,
    /// What to do.
    pub fix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    reason: Vec<Reason>,
}

// The table is part of the program, and a test reads it.
static REASONS: LazyLock<Vec<Reason>> =
    LazyLock::new(|| toml::from_str::<Table>(TABLE).map(|table| table.reason).unwrap_or_default());

/// Every way to end but the good one.
#[must_use]
pub fn reasons() -> &'static [Reason] {
    &REASONS
}

/// What an exit code means; nothing for 0 and for codes that the installer does not use.
///
/// ```
/// let reason = mappings::guest::reason(12).unwrap();
/// assert_eq!((reason.word.as_str(), reason.retry), ("disk-full", true));
/// assert!(mappings::guest::reason(0).is_none());
/// ```
#[must_use]
pub fn reason(code: i32) -> Option<&'static Reason> {
    REASONS.iter().find(|reason| reason.code == code)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_is_whole() {
        let table: Table = toml::from_str(TABLE).unwrap();
        assert_eq!(table.reason.len(), 20);
        let codes: BTreeSet<i32> = table.reason.iter().map(|reason| reason.code).collect();
        let words: BTreeSet<&str> = table.reason.iter().map(|reason| reason.word.as_str()).collect();
        assert_eq!((codes.len(), words.len()), (20, 20));
        for reason in &table.reason {
            assert!((1..=99).contains(&reason.code), "{reason:?}");
            assert!(!reason.sentence.is_empty() && !reason.fix.is_empty(), "{reason:?}");
            assert!(!reason.sentence.ends_with('.') && !reason.fix.ends_with('.'), "{reason:?}");
        }
    }
}
