//! The form in which sections declare their keys.
//!
//! A section is one module with one `static SECTION`. That table is all there is: it drives the reading, the check for
//! unknown keys, the suggestions, the environment variables and the generated reference, so that none of them can
//! disagree with another.

use super::reader::Cell;

/// A kind of value: how it is read, and how it is explained.
pub(super) trait Kind: Sync + 'static {
    /// What reading gives.
    type Value;

    /// Reads a value; `None` when a mistake was reported to the cell.
    fn read(&self, cell: &Cell<'_>) -> Option<Self::Value>;

    /// The values that are allowed, for the reference.
    fn allowed(&self) -> String;

    /// Keys of the table that this value may be written as, for environment variables.
    fn parts(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a part set by an environment variable replaces the value from the file instead of adding to it.
    fn parts_replace(&self) -> bool {
        false
    }
}

/// Whether a key has to be there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// It has to be written.
    Required,
    /// It may be left out, which means what the description says.
    Optional,
    /// It may be left out, which means this. Read in the same way as an environment variable.
    Default(&'static str),
}

/// One key of a section.
pub(super) struct Key<K> {
    pub(super) name: &'static str,
    pub(super) kind: K,
    pub(super) need: Need,
    /// What it means, for an operator: full sentences, Markdown.
    pub(super) doc: &'static str,
    /// A value, written as in TOML.
    pub(super) example: &'static str,
}

/// A key of any kind.
pub(super) trait AnyKey: Sync {
    fn name(&self) -> &'static str;
    fn need(&self) -> Need;
    fn doc(&self) -> &'static str;
    fn example(&self) -> &'static str;
    fn allowed(&self) -> String;
    fn parts(&self) -> &'static [&'static str];
    fn parts_replace(&self) -> bool;
}

impl<K: Kind> AnyKey for Key<K> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn need(&self) -> Need {
        self.need
    }
    fn doc(&self) -> &'static str {
        self.doc
    }
    fn example(&self) -> &'static str {
        self.example
    }
    fn allowed(&self) -> String {
        self.kind.allowed()
    }
    fn parts(&self) -> &'static [&'static str] {
        self.kind.parts()
    }
    fn parts_replace(&self) -> bool {
        self.kind.parts_replace()
    }
}

/// How a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `[name]`, at most once.
    One,
    /// `[[name]]`, any number; each has a key `name` that tells it from the others.
    Many,
}

/// A table of the configuration.
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What it is for: full sentences, Markdown.
    pub(super) doc: &'static str,
    pub(super) keys: &'static [&'static dyn AnyKey],
    /// Tables within this one.
    pub(super) sections: &'static [&'static Section],
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static dyn AnyKey> {
        self.keys.iter().copied().find(|key| key.name() == name)
    }

    pub(super) fn section(&self, name: &str) -> Option<&'static Section> {
        self.sections.iter().copied().find(|section| section.name == name)
    }

    /// Every key and table that may stand in this one.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.keys
            .iter()
            .map(|key| key.name())
            .chain(self.sections.iter().map(|section| section.name))
            .collect()
    }

    /// The full names of all tables within this one.
    pub(super) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for section in self.sections {
            paths.push(section.name.to_owned());
            paths.extend(section.paths().iter().map(|inner| format!("{}.{inner}", section.name)));
        }
        paths
    }
}
