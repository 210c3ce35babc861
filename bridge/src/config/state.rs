//! `[state]`: what vmbridge remembers.

use std::path::PathBuf;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{FilePath, Integer};

/// What vmbridge remembers, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSettings {
    /// The directory. Absolute.
    pub directory: PathBuf,
    /// How long the journal keeps what is finished, in days.
    pub journal_days: usize,
}

static DIRECTORY: Key<FilePath> = Key {
    name: "directory",
    kind: FilePath,
    need: Need::Default("/var/lib/vmbridge"),
    doc: "The directory of the database, its lock and the control socket. One process writes to it at a time. It must be on a local disk.",
    example: "\"/var/lib/vmbridge\"",
};

static JOURNAL_DAYS: Key<Integer> = Key {
    name: "journal_days",
    kind: Integer { min: 1, max: 3650 },
    need: Need::Default("400"),
    doc: "How many days the journal keeps what is finished. What is open is never dropped.",
    example: "400",
};

pub(super) static SECTION: Section = Section {
    name: "state",
    shape: Shape::One,
    doc: "What vmbridge remembers: which node is which VM, what it owns, and a journal of everything that it did. It is used as soon as there is an `[[aws]]` target or write-back is turned on.",
    keys: &[&DIRECTORY, &JOURNAL_DAYS],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<StateSettings> {
    let directory = table.get(&DIRECTORY);
    let journal_days = table.get(&JOURNAL_DAYS);
    Some(StateSettings { directory: directory?, journal_days: journal_days? })
}
