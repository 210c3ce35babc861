//! `[log]`: what is written to the log, and how.

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{LogFilter, OneOf};

/// What is written to the log, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A filter in the syntax of `tracing_subscriber::EnvFilter`; it has been checked.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

static LEVEL: Key<LogFilter> = Key {
    name: "level",
    kind: LogFilter,
    need: Need::Default("info"),
    doc: "What is logged.",
    example: "\"info,vsphere_client=debug\"",
};

static FORMAT: Key<OneOf<LogFormat>> = Key {
    name: "format",
    kind: OneOf(&[("text", LogFormat::Text), ("json", LogFormat::Json)]),
    need: Need::Default("text"),
    doc: "The form of a line: `text` for people, `json` for one JSON object a line.",
    example: "\"json\"",
};

pub(super) static SECTION: Section = Section {
    name: "log",
    shape: Shape::One,
    doc: "What is written to the log, and how. The log goes to standard error.",
    keys: &[&LEVEL, &FORMAT],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Log> {
    let level = table.get(&LEVEL);
    let format = table.get(&FORMAT);
    Some(Log { level: level?, format: format? })
}
