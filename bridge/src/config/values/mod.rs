//! The kinds of values that settings take.

mod aws;
mod day;
mod network;
mod path;
mod scope;
mod secret;

use std::time::Duration;

use jiff::SignedDuration;

use super::node::Value;
use super::reader::Cell;
use super::schema::Kind;
use super::words;

pub(super) use aws::{Account, Region, RoleArn};
pub(super) use day::Day;
pub(super) use network::{Listen, Thumbprints, VcenterUrl, WebUrl};
pub(super) use path::{FilePath, FilePaths};
pub use scope::NameFilter;
pub(super) use scope::{NameFilterKind, NamePatterns, Scope};
pub(super) use secret::Secret;

/// Whether this is a name that a vCenter or an organisation may have in the configuration.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    bytes.next().is_some_and(alphanumeric)
        && name.len() <= 63
        && bytes.all(|byte| alphanumeric(byte) || byte == b'-')
}

/// The name of an entry of a `[[section]]`.
pub(super) struct Name;

impl Kind for Name {
    type Value = String;

    fn read(&self, cell: &Cell<'_>) -> Option<String> {
        let text = cell.text("name = \"dc1\"")?;
        cell.allow();
        if is_name(text) {
            return Some(text.to_owned());
        }
        cell.wrong("not a name that can be used here", format!("allowed: {}", self.allowed()))
    }

    fn allowed(&self) -> String {
        "1 to 63 of `a`-`z`, `0`-`9` and `-`, not beginning with `-`".to_owned()
    }
}

/// Any text that is not empty. Not for secrets.
pub(super) struct Text;

impl Kind for Text {
    type Value = String;

    fn read(&self, cell: &Cell<'_>) -> Option<String> {
        let text = cell.text("\"some text\"")?;
        cell.allow();
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return cell.wrong("must not be empty or hold control characters", "");
        }
        Some(text.to_owned())
    }

    fn allowed(&self) -> String {
        "text, not empty".to_owned()
    }
}

/// A list of texts. Not for secrets.
pub(super) struct Texts;

impl Kind for Texts {
    type Value = Vec<String>;

    fn read(&self, cell: &Cell<'_>) -> Option<Vec<String>> {
        let items = cell.items("[\"prod-*\"]")?;
        let texts: Vec<Option<String>> = items
            .iter()
            .enumerate()
            .map(|(i, item)| Text.read(&cell.inner(item, &format!("[{}]", i + 1))))
            .collect();
        texts.into_iter().collect()
    }

    fn allowed(&self) -> String {
        "a list of texts".to_owned()
    }
}

/// `true` or `false`.
pub(super) struct Boolean;

impl Kind for Boolean {
    type Value = bool;

    fn read(&self, cell: &Cell<'_>) -> Option<bool> {
        cell.allow();
        match &cell.node.value {
            Value::Boolean(value) => Some(*value),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::String(_) | Value::Text(_) => {
                cell.wrong("expected `true` or `false`", "write it without quotes")
            }
            _ => cell.wrong_type("`true` or `false`", "true"),
        }
    }

    fn allowed(&self) -> String {
        "`true` or `false`".to_owned()
    }
}

/// A whole number within limits, both included.
pub(super) struct Integer {
    pub(super) min: usize,
    pub(super) max: usize,
}

impl Kind for Integer {
    type Value = usize;

    fn read(&self, cell: &Cell<'_>) -> Option<usize> {
        let number = match &cell.node.value {
            Value::Integer(number) => number.and_then(|number| usize::try_from(number).ok()),
            Value::Text(text) => text.trim().parse().ok(),
            _ => return cell.wrong_type("a whole number", &self.min.to_string()),
        };
        cell.allow();
        match number {
            Some(number) if (self.min..=self.max).contains(&number) => Some(number),
            Some(_) | None => cell.wrong("out of range", format!("allowed: {}", self.allowed())),
        }
    }

    fn allowed(&self) -> String {
        format!("a whole number from {} to {}", self.min, self.max)
    }
}

/// A length of time within limits, both included.
pub(super) struct Span {
    pub(super) min: Duration,
    pub(super) max: Duration,
}

impl Kind for Span {
    type Value = Duration;

    fn read(&self, cell: &Cell<'_>) -> Option<Duration> {
        let help = || format!("allowed: {}", self.allowed());
        let text = match &cell.node.value {
            Value::String(text) | Value::Text(text) => text,
            Value::Integer(_) | Value::Float => {
                cell.allow();
                return cell
                    .wrong("a length of time needs a unit", "write it as text: \"90s\", \"5m\", \"1h 30m\"");
            }
            _ => return cell.wrong_type("a length of time", "\"5m\""),
        };
        cell.allow();
        let Some(length) =
            text.parse::<SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok())
        else {
            return cell.wrong("not a length of time", help());
        };
        if (self.min..=self.max).contains(&length) {
            Some(length)
        } else {
            cell.wrong("out of range", help())
        }
    }

    fn allowed(&self) -> String {
        format!(
            "a length of time such as `90s`, `5m`, `1h 30m`, from {} to {}",
            written(self.min),
            written(self.max)
        )
    }
}

/// A duration in the largest unit that gives a whole number.
fn written(length: Duration) -> String {
    match length.as_secs() {
        s if s >= 3600 && s.is_multiple_of(3600) => format!("{} h", s / 3600),
        s if s >= 60 && s.is_multiple_of(60) => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// One of a few words.
pub(super) struct OneOf<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy + Sync + 'static> OneOf<T> {
    fn words(&self) -> Vec<&'static str> {
        self.0.iter().map(|(word, _)| *word).collect()
    }
}

impl<T: Copy + Sync + 'static> Kind for OneOf<T> {
    type Value = T;

    fn read(&self, cell: &Cell<'_>) -> Option<T> {
        let words = self.words();
        let text = cell.text(&format!("\"{}\"", words.first().unwrap_or(&"")))?;
        cell.allow();
        match self.0.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(*value),
            None => cell.wrong("not one of the words that are allowed", words::suggestion(text, &words)),
        }
    }

    fn allowed(&self) -> String {
        words::listed(&self.words())
    }
}

/// What is logged: a level, or levels by module, in the syntax of `tracing_subscriber::EnvFilter`.
pub(super) struct LogFilter;

const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace", "off"];

impl Kind for LogFilter {
    type Value = String;

    fn read(&self, cell: &Cell<'_>) -> Option<String> {
        let text = cell.text("\"info\"")?;
        cell.allow();
        // A word that is no level would silently be taken for the name of a module.
        for directive in text.split(',').map(str::trim) {
            let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
            if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
                let shown: String = level.chars().take(40).collect();
                return cell.wrong(
                    format!("`{}` is not a level", shown.escape_debug()),
                    words::suggestion(level, LEVELS),
                );
            }
        }
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) => Some(text.to_owned()),
            Err(error) => {
                cell.wrong(format!("not a log filter: {error}"), format!("allowed: {}", self.allowed()))
            }
        }
    }

    fn allowed(&self) -> String {
        format!("a level ({}) or levels by module: `info,vsphere_client=debug`", words::listed(LEVELS))
    }
}
