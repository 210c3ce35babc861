//! The configuration as a tree in which every value still knows where it came from.
//!
//! The `toml` crate gives spans; environment variables have none. Both end here, so that the readers of the sections
//! need not know which of the two a value came from.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Deeper trees are refused: no setting needs them, and a hostile file must not exhaust the stack.
const DEEPEST: usize = 16;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the file, at these bytes.
    File(Range<usize>),
    /// In this environment variable.
    Variable(String),
}

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A TOML value, or the text of an environment variable that the reader of the key makes sense of.
#[derive(Debug, Clone)]
pub(super) enum Value {
    String(String),
    /// `None` when it does not fit.
    Integer(Option<i64>),
    Float,
    Boolean(bool),
    /// As it is written.
    Datetime(String),
    Array(Vec<Node>),
    Table(Table),
    /// From an environment variable or a default: may stand for any scalar or list.
    Text(String),
    /// Nested too deeply to be looked at.
    TooDeep,
}

impl Value {
    /// What this is, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Datetime(_) => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::TooDeep => "something nested too deeply",
        }
    }
}

/// A table's entries in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// One key of a table with its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_origin: Origin,
    pub(super) node: Node,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The value of `key`, made with `make` if there is none yet.
    pub(super) fn get_or_insert(
        &mut self,
        key: &str,
        origin: &Origin,
        make: impl FnOnce() -> Value,
    ) -> &mut Node {
        let at = self.entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            let node = Node { value: make(), origin: origin.clone() };
            self.entries.push(Entry { key: key.to_owned(), key_origin: origin.clone(), node });
            self.entries.len() - 1
        });
        &mut self.entries[at].node
    }

    /// Converts what the `toml` crate parsed.
    pub(super) fn from_toml(table: &DeTable<'_>) -> Self {
        Self::at_depth(table, 0)
    }

    fn at_depth(table: &DeTable<'_>, depth: usize) -> Self {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_origin: Origin::File(key.span()),
                node: Node::at_depth(value, depth + 1),
            })
            .collect();
        entries.sort_by_key(|entry| match &entry.key_origin {
            Origin::File(span) => span.start,
            Origin::Variable(_) => usize::MAX,
        });
        Self { entries }
    }
}

impl Node {
    fn at_depth(value: &Spanned<DeValue<'_>>, depth: usize) -> Self {
        let origin = Origin::File(value.span());
        let value = match value.get_ref() {
            _ if depth > DEEPEST => Value::TooDeep,
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Integer(number) => {
                Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Float(_) => Value::Float,
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(moment) => Value::Datetime(moment.to_string()),
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| Self::at_depth(item, depth + 1)).collect())
            }
            DeValue::Table(table) => Value::Table(Table::at_depth(table, depth)),
        };
        Self { value, origin }
    }
}
