//! Which VMs, and which SDDCs.

use mappings::glob::NamePattern;
use mappings::selector::{Clause, Key, Selector};

use super::super::node::{Node, Table, Value};
use super::super::reader::Cell;
use super::super::schema::Kind;
use super::super::words;

const LISTS: &[&str] = &["include", "exclude"];

/// A selector: as text, or as a table with `include` and `exclude`.
pub(in super::super) struct Scope;

impl Kind for Scope {
    type Value = Selector;

    fn read(&self, cell: &Cell<'_>) -> Option<Selector> {
        match &cell.node.value {
            Value::String(text) | Value::Text(text) => {
                cell.allow();
                match text.parse() {
                    Ok(selector) => Some(selector),
                    Err(error) => cell.wrong(format!("selector: {error}"), "see docs/selectors.md"),
                }
            }
            Value::Table(table) => {
                cell.refuse_unknown(table, LISTS);
                let include = list(cell, table, "include", clause);
                let exclude = list(cell, table, "exclude", clause);
                Some(Selector::new(include?, exclude?))
            }
            _ => cell.wrong_type("a selector", self.example()),
        }
    }

    fn allowed(&self) -> String {
        "a [selector](selectors.md): text, or a table with the lists `include` and `exclude`".to_owned()
    }
}

impl Scope {
    fn example(&self) -> &'static str {
        "\"folder=/Prod/** except tag=Patch:never\""
    }
}

/// Reads the list `name` of a table, all of its items, whatever is wrong with some. Absent: empty.
fn list<T>(
    cell: &Cell<'_>,
    table: &Table,
    name: &str,
    read: impl Fn(&Cell<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(entry) = table.get(name) else { return Some(Vec::new()) };
    let outer = cell.inner(&entry.node, &format!(".{name}"));
    let items = outer.items("[ … ]")?;
    if items.len() > mappings::selector::MAX_CLAUSES {
        return outer.wrong(format!("more than {} entries", mappings::selector::MAX_CLAUSES), "");
    }
    let read: Vec<Option<T>> =
        items.iter().enumerate().map(|(i, item)| read(&outer.inner(item, &format!("[{}]", i + 1)))).collect();
    read.into_iter().collect()
}

fn clause(cell: &Cell<'_>) -> Option<Clause> {
    let table = match &cell.node.value {
        Value::String(text) | Value::Text(text) => {
            cell.allow();
            return match text.parse() {
                Ok(clause) => Some(clause),
                Err(error) => cell.wrong(format!("selector: {error}"), "see docs/selectors.md"),
            };
        }
        Value::Table(table) => table,
        _ => return cell.wrong_type("a table of conditions", "{ folder = \"/Prod/**\", power = \"on\" }"),
    };
    cell.refuse_unknown(table, Key::WORDS);
    let mut builder = Clause::builder();
    let mut complete = true;
    for entry in &table.entries {
        let Some(key) = Key::from_word(&entry.key) else {
            complete = false;
            continue;
        };
        let cell = cell.inner(&entry.node, &format!(".{key}"));
        let values: &[Node] = match &entry.node.value {
            Value::Array(items) => items,
            _ => std::slice::from_ref(&entry.node),
        };
        if values.is_empty() {
            complete = false;
            cell.wrong::<()>(
                "an empty list is met by no VM",
                "leave the key out, or list at least one value",
            );
        }
        for value in values {
            let cell = cell.inner(value, "");
            cell.allow();
            let text = match &value.value {
                Value::String(text) | Value::Text(text) => text,
                Value::Boolean(true) if key == Key::Template => "yes",
                Value::Boolean(false) if key == Key::Template => "no",
                _ => {
                    complete = false;
                    cell.wrong_type::<()>("a string", &format!("{key} = \"{}\"", key.example()));
                    continue;
                }
            };
            if let Err(error) = builder.add(key, text) {
                complete = false;
                let help = match error.suggestion {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("allowed: {}, for example \"{}\"", key.takes(), key.example()),
                };
                cell.wrong::<()>(error.message, help);
            }
        }
    }
    if !complete {
        return None;
    }
    builder.build().or_else(|| {
        cell.wrong(
            "a clause without conditions",
            format!("give at least one of {}", words::listed(Key::WORDS)),
        )
    })
}

/// Which names: any of the `include` patterns (or all, if there are none) and none of the `exclude` patterns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameFilter {
    /// A name must match one of these, if there are any.
    pub include: Vec<NamePattern>,
    /// A name must match none of these.
    pub exclude: Vec<NamePattern>,
}

impl NameFilter {
    /// Whether `name` is selected.
    #[must_use]
    pub fn selects(&self, name: &str) -> bool {
        let any = |patterns: &[NamePattern]| patterns.iter().any(|pattern| pattern.matches(name));
        (self.include.is_empty() || any(&self.include)) && !any(&self.exclude)
    }
}

/// A [`NameFilter`], written as a table with the lists `include` and `exclude`.
pub(in super::super) struct NameFilterKind;

impl Kind for NameFilterKind {
    type Value = NameFilter;

    fn read(&self, cell: &Cell<'_>) -> Option<NameFilter> {
        let Value::Table(table) = &cell.node.value else {
            return cell.wrong_type("a table", "{ include = [\"prod-*\"] }");
        };
        cell.refuse_unknown(table, LISTS);
        let include = list(cell, table, "include", pattern);
        let exclude = list(cell, table, "exclude", pattern);
        Some(NameFilter { include: include?, exclude: exclude? })
    }

    fn allowed(&self) -> String {
        "a table with the lists `include` and `exclude` of name patterns (`*`, `?`, `[a-z]`)".to_owned()
    }

    fn parts(&self) -> &'static [&'static str] {
        LISTS
    }
}

/// A list of patterns of names.
pub(in super::super) struct NamePatterns;

impl Kind for NamePatterns {
    type Value = Vec<NamePattern>;

    fn read(&self, cell: &Cell<'_>) -> Option<Vec<NamePattern>> {
        let items = cell.items("[\"prod-*\"]")?;
        let patterns: Vec<Option<NamePattern>> = items
            .iter()
            .enumerate()
            .map(|(i, item)| pattern(&cell.inner(item, &format!("[{}]", i + 1))))
            .collect();
        patterns.into_iter().collect()
    }

    fn allowed(&self) -> String {
        "a list of name patterns (`*`, `?`, `[a-z]`)".to_owned()
    }
}

fn pattern(cell: &Cell<'_>) -> Option<NamePattern> {
    let text = cell.text("\"prod-*\"")?;
    cell.allow();
    match NamePattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(error) => cell.wrong(error.to_string(), ""),
    }
}
