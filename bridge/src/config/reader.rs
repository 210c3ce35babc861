//! Reading sections: typed values out, mistakes collected on the way.
//!
//! Nothing stops at the first mistake. A reader asks for all its keys, and only then gives up if one of them could not
//! be had.

use std::cell::RefCell;
use std::path::Path;

use super::environment::Environment;
use super::error::Problem;
use super::node::{Entry, Node, Origin, Table, Value};
use super::schema::{Key, Kind, Need, Section, Shape};
use super::source::SourceText;
use super::words;

/// What all readers of one configuration share.
pub(super) struct Context<'a> {
    pub(super) environment: &'a Environment,
    /// The directory that relative paths start from.
    pub(super) base: &'a Path,
    pub(super) source: RefCell<SourceText>,
    pub(super) problems: RefCell<Vec<Problem>>,
    /// Names of environment variables that secrets are read from: they are not overrides.
    pub(super) secret_variables: RefCell<Vec<String>>,
    /// Whether parts of the file could not be parsed. What looks like a key or a
    /// harmless value may then be part of a secret.
    pub(super) misread: bool,
}

impl Context<'_> {
    pub(super) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// Takes note of one key: lets messages show it, and reports it if it is none of those that are allowed.
    fn key(&self, setting: &str, entry: &Entry, allowed: &[&str]) {
        let known = allowed.contains(&entry.key.as_str());
        let shown = known || !self.misread || words::closest(&entry.key, allowed).is_some();
        if shown {
            self.allow(&entry.key_origin);
        }
        if known {
            return;
        }
        // Keys in quotes can hold anything.
        let key: String = entry.key.chars().take(60).collect();
        let message =
            if shown { format!("unknown key `{}`", key.escape_debug()) } else { "unknown key".to_owned() };
        let problem = Problem::new(Some(entry.key_origin.clone()), setting, message);
        self.report(problem.with_help(words::suggestion(&entry.key, allowed)));
    }

    fn allow(&self, origin: &Origin) {
        if let Origin::File(span) = origin {
            self.source.borrow_mut().allow(span.clone());
        }
    }
}

/// One value that is being read.
pub(super) struct Cell<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) node: &'a Node,
    /// The setting's full name, such as `vcenter.dc1.url`.
    pub(super) setting: String,
}

impl<'a> Cell<'a> {
    /// Reports a mistake in this value. Gives `None`, so that a reader can return it.
    pub(super) fn wrong<T>(&self, message: impl Into<String>, help: impl Into<String>) -> Option<T> {
        let help = Some(help.into()).filter(|help| !help.is_empty());
        let problem = Problem::new(Some(self.node.origin.clone()), &self.setting, message);
        self.context.report(Problem { help, ..problem });
        None
    }

    /// Declares that this value cannot be secret, so that messages may show it. Says nothing about what is within it.
    pub(super) fn allow(&self) {
        let scalar = !matches!(self.node.value, Value::Array(_) | Value::Table(_) | Value::TooDeep);
        if scalar && !self.context.misread {
            self.context.allow(&self.node.origin);
        }
    }

    /// Reports that this is of the wrong type.
    pub(super) fn wrong_type<T>(&self, wanted: &str, example: &str) -> Option<T> {
        self.wrong(
            format!("expected {wanted}, found {}", self.node.value.what()),
            format!("for example: {example}"),
        )
    }

    /// The text of a string.
    pub(super) fn text(&self, example: &str) -> Option<&'a str> {
        match &self.node.value {
            Value::String(text) | Value::Text(text) => Some(text),
            _ => self.wrong_type("a string", example),
        }
    }

    /// The items of a list. An environment variable gives them separated by commas.
    pub(super) fn items(&self, example: &str) -> Option<Vec<Node>> {
        match &self.node.value {
            Value::Array(items) => Some(items.clone()),
            Value::Text(text) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(|item| Node {
                        value: Value::Text(item.to_owned()),
                        origin: self.node.origin.clone(),
                    })
                    .collect(),
            ),
            _ => self.wrong_type("a list", example),
        }
    }

    /// A value within this one.
    pub(super) fn inner<'n>(&self, node: &'n Node, part: &str) -> Cell<'n>
    where
        'a: 'n,
    {
        Cell { context: self.context, node, setting: format!("{}{part}", self.setting) }
    }

    /// Reports every key of a table value that is not among `allowed`.
    pub(super) fn refuse_unknown(&self, table: &Table, allowed: &[&str]) {
        for entry in &table.entries {
            self.context.key(&self.setting, entry, allowed);
        }
    }
}

/// One table that is being read by its section's declaration.
pub(super) struct TableReader<'a> {
    context: &'a Context<'a>,
    section: &'static Section,
    table: &'a Table,
    origin: Origin,
    /// The full name, such as `vcenter.dc1`.
    path: String,
}

impl<'a> TableReader<'a> {
    /// Starts reading `table`, and reports its unknown keys.
    pub(super) fn new(
        context: &'a Context<'a>,
        section: &'static Section,
        table: &'a Table,
        origin: Origin,
        path: String,
    ) -> Self {
        let allowed = section.names();
        for entry in &table.entries {
            context.key(&path, entry, &allowed);
        }
        Self { context, section, table, origin, path }
    }

    fn setting(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The line in which this table begins.
    pub(super) fn line(&self) -> Option<usize> {
        match &self.origin {
            Origin::File(span) => Some(self.context.source.borrow().place(span.start).line),
            Origin::Variable(_) => None,
        }
    }

    /// The text of the key `name`, if there is one.
    pub(super) fn name(&self) -> Option<&'a str> {
        match &self.table.get("name")?.node.value {
            Value::String(name) => Some(name),
            _ => None,
        }
    }

    /// Whether nothing was reported so far, about any part of the configuration.
    pub(super) fn flawless(&self) -> bool {
        self.context.problems.borrow().is_empty()
    }

    /// Whether a key or table is written.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.get(name).is_some()
    }

    /// Reports a mistake about one key, at that key if it is written, else at the table.
    pub(super) fn wrong(&self, name: &str, message: impl Into<String>, help: impl Into<String>) {
        let entry = self.table.get(name);
        let origin = entry.map_or_else(|| self.origin.clone(), |entry| entry.node.origin.clone());
        let mut problem = Problem::new(Some(origin), &self.setting(name), message).with_help(help);
        problem.missing = entry.is_none();
        self.context.report(problem);
    }

    fn cell(&self, entry: &'a Entry) -> Cell<'a> {
        Cell { context: self.context, node: &entry.node, setting: self.setting(&entry.key) }
    }

    /// The value of a key that is required or has a default. `None` when a mistake was reported.
    pub(super) fn get<K: Kind>(&self, key: &Key<K>) -> Option<K::Value> {
        debug_assert!(self.section.key(key.name).is_some(), "{} is not declared", key.name);
        if let Some(entry) = self.table.get(key.name) {
            return key.kind.read(&self.cell(entry));
        }
        match key.need {
            Need::Default(text) => {
                let node = Node { value: Value::Text(text.to_owned()), origin: self.origin.clone() };
                key.kind.read(&Cell { context: self.context, node: &node, setting: self.setting(key.name) })
            }
            Need::Required | Need::Optional => {
                self.wrong(
                    key.name,
                    format!("`{}` is missing", key.name),
                    format!("add, for example: {} = {}", key.name, key.example),
                );
                None
            }
        }
    }

    /// The value of a key that may be absent. Also `None` when a mistake was reported.
    pub(super) fn get_optional<K: Kind>(&self, key: &Key<K>) -> Option<K::Value> {
        debug_assert!(self.section.key(key.name).is_some(), "{} is not declared", key.name);
        key.kind.read(&self.cell(self.table.get(key.name)?))
    }

    /// The table of a section within this one, if it is written.
    pub(super) fn section(&self, section: &'static Section) -> Option<TableReader<'a>> {
        debug_assert!(section.shape == Shape::One && self.section.section(section.name).is_some());
        let entry = self.table.get(section.name)?;
        match &entry.node.value {
            Value::Table(table) => Some(TableReader::new(
                self.context,
                section,
                table,
                entry.key_origin.clone(),
                self.setting(section.name),
            )),
            _ => self.cell(entry).wrong_type("a table", &format!("[{}]", self.setting(section.name))),
        }
    }

    /// The same, with the defaults of an empty table if it is not written. `None` when a mistake was reported.
    pub(super) fn section_or_empty(&self, section: &'static Section) -> Option<TableReader<'a>> {
        static EMPTY: Table = Table { entries: Vec::new() };
        if self.has(section.name) {
            return self.section(section);
        }
        let path = self.setting(section.name);
        Some(TableReader::new(self.context, section, &EMPTY, self.origin.clone(), path))
    }

    /// The tables of a section that may be written any number of times.
    pub(super) fn sections(&self, section: &'static Section) -> Vec<TableReader<'a>> {
        debug_assert!(section.shape == Shape::Many && self.section.section(section.name).is_some());
        let Some(entry) = self.table.get(section.name) else { return Vec::new() };
        let written = format!("[[{}]]", self.setting(section.name));
        let Value::Array(items) = &entry.node.value else {
            self.cell(entry).wrong_type::<()>("a list of tables", &written);
            return Vec::new();
        };
        let mut readers = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let Value::Table(table) = &item.value else {
                let cell = Cell { context: self.context, node: item, setting: self.setting(section.name) };
                cell.wrong_type::<()>("a table", &written);
                continue;
            };
            let path = match table.get("name").map(|entry| &entry.node.value) {
                Some(Value::String(name)) if super::values::is_name(name) => {
                    self.setting(&format!("{}.{name}", section.name))
                }
                _ => self.setting(&format!("{}[{}]", section.name, i + 1)),
            };
            readers.push(TableReader::new(self.context, section, table, item.origin.clone(), path));
        }
        readers
    }
}
