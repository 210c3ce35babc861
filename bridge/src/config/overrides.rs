//! `VMBRIDGE_*` environment variables: settings that take precedence over the file.
//!
//! `VMBRIDGE_LOG__LEVEL` is `level` in `[log]`; `VMBRIDGE_VCENTER__DC1__URL` is `url` of the `[[vcenter]]` named `dc1`.
//! Case does not matter, and `_` stands for a `-` in a name. A variable that fits nothing is a mistake like any other:
//! a misspelt override that is silently ignored is found only when it is too late.

use super::environment::Environment;
use super::error::Problem;
use super::node::{Node, Origin, Table, Value};
use super::schema::{Section, Shape};
use super::words;

const PREFIX: &str = "VMBRIDGE_";

/// Variables with our prefix that the program reads itself.
pub const PROGRAM_VARIABLES: &[&str] = &["VMBRIDGE_CONFIG"];

/// A variable that fits no setting.
pub(super) struct Unmatched {
    pub(super) variable: String,
    help: String,
}

/// What applying the variables gave besides the changed table.
#[derive(Default)]
pub(super) struct Applied {
    pub(super) problems: Vec<Problem>,
    pub(super) unmatched: Vec<Unmatched>,
}

impl Unmatched {
    pub(super) fn problem(self) -> Problem {
        let origin = Origin::Variable(self.variable);
        Problem::new(Some(origin), "", "this environment variable is no setting").with_help(self.help)
    }
}

/// One step from a table to a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Table(&'static str),
    /// The entry of a `[[section]]` at this index.
    Entry(&'static str, usize),
    Key(&'static str),
    /// A part of a key's value, and whether it replaces a value from the file.
    Part {
        key: &'static str,
        part: &'static str,
        replace: bool,
    },
}

/// Writes every override into `table`, the configuration of section `root`.
pub(super) fn apply(root: &'static Section, table: &mut Table, environment: &Environment) -> Applied {
    let mut applied = Applied::default();
    let mut taken: Vec<(Vec<Step>, String)> = Vec::new();
    for (name, value) in environment.iter() {
        let shown = name.to_string_lossy();
        let upper = shown.to_ascii_uppercase();
        let Some(rest) = upper.strip_prefix(PREFIX) else { continue };
        if PROGRAM_VARIABLES.contains(&upper.as_str()) || is_service_link(rest) {
            continue;
        }
        let variable = shown.into_owned();
        let Some(steps) = locate(root, table, rest) else {
            let help = help(root, table, rest);
            applied.unmatched.push(Unmatched { variable, help });
            continue;
        };
        let mut problem = |message: String| {
            applied.problems.push(Problem::new(Some(Origin::Variable(variable.clone())), "", message));
        };
        if let Some((_, other)) = taken.iter().find(|(other, _)| *other == steps) {
            problem(format!("{other} sets the same setting"));
            continue;
        }
        match value.to_str() {
            Some(value) => set(table, &steps, &variable, value),
            None => problem("the value is not UTF-8 text".to_owned()),
        }
        taken.push((steps, variable));
    }
    applied
}

/// Variables that Kubernetes and Docker set in every container next to a service that is named `vmbridge`.
fn is_service_link(rest: &str) -> bool {
    let port = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    rest == "SERVICE_HOST"
        || rest == "SERVICE_PORT"
        || rest.starts_with("SERVICE_PORT_")
        || rest == "PORT"
        || rest.strip_prefix("PORT_").is_some_and(port)
}

/// How a key, a section or a name is written in a variable.
fn form(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

/// What follows `name` and its separator in `rest`.
fn after<'r>(rest: &'r str, name: &str) -> Option<&'r str> {
    rest.strip_prefix(form(name).as_str())?.strip_prefix("__")
}

/// The tables of a `[[section]]` that have a name, with their indices.
fn entries<'t>(table: Option<&'t Table>, section: &Section) -> Vec<(usize, &'t str, &'t Table)> {
    let items = match table.and_then(|table| table.get(section.name)).map(|entry| &entry.node.value) {
        Some(Value::Array(items)) => items.as_slice(),
        _ => &[],
    };
    let named = |(i, item): (usize, &'t Node)| match &item.value {
        Value::Table(table) => match &table.get("name")?.node.value {
            Value::String(name) => Some((i, name.as_str(), table)),
            _ => None,
        },
        _ => None,
    };
    items.iter().enumerate().filter_map(named).collect()
}

fn table_in<'t>(table: Option<&'t Table>, section: &Section) -> Option<&'t Table> {
    match &table?.get(section.name)?.node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

fn locate(root: &'static Section, table: &Table, rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    locate_in(root, Some(table), rest, &mut steps).then_some(steps)
}

fn locate_in(section: &'static Section, table: Option<&Table>, rest: &str, steps: &mut Vec<Step>) -> bool {
    for key in section.keys {
        // The name is what the variable itself goes by.
        if section.shape == Shape::Many && key.name() == "name" {
            continue;
        }
        if rest == form(key.name()) {
            steps.push(Step::Key(key.name()));
            return true;
        }
        let part =
            after(rest, key.name()).and_then(|part| key.parts().iter().find(|name| form(name) == part));
        if let Some(part) = part {
            steps.push(Step::Part { key: key.name(), part, replace: key.parts_replace() });
            return true;
        }
    }
    for inner in section.sections {
        let Some(rest) = after(rest, inner.name) else { continue };
        if inner.shape == Shape::One {
            steps.push(Step::Table(inner.name));
            if locate_in(inner, table_in(table, inner), rest, steps) {
                return true;
            }
            steps.pop();
            continue;
        }
        for (i, name, entry) in entries(table, inner) {
            let Some(rest) = after(rest, name) else { continue };
            steps.push(Step::Entry(inner.name, i));
            if locate_in(inner, Some(entry), rest, steps) {
                return true;
            }
            steps.pop();
        }
    }
    false
}

/// Writes one value. Where the file has something of another type on the way, that mistake is reported by its reader.
fn set(table: &mut Table, steps: &[Step], variable: &str, value: &str) {
    let origin = Origin::Variable(variable.to_owned());
    let text = Node { value: Value::Text(value.to_owned()), origin: origin.clone() };
    let empty = || Value::Table(Table::default());
    let Some((step, rest)) = steps.split_first() else { return };
    match step {
        Step::Key(key) => *table.get_or_insert(key, &origin, empty) = text,
        Step::Part { key, part, replace } => {
            let node = table.get_or_insert(key, &origin, empty);
            let foreign = *replace && matches!(node.origin, Origin::File(_));
            if foreign || !matches!(node.value, Value::Table(_)) {
                *node = Node { value: empty(), origin: origin.clone() };
            }
            if let Value::Table(parts) = &mut node.value {
                *parts.get_or_insert(part, &origin, empty) = text;
            }
        }
        Step::Table(name) => {
            if let Value::Table(inner) = &mut table.get_or_insert(name, &origin, empty).value {
                set(inner, rest, variable, value);
            }
        }
        Step::Entry(name, i) => {
            let items = table.get_or_insert(name, &origin, || Value::Array(Vec::new()));
            if let Value::Array(items) = &mut items.value
                && let Some(Node { value: Value::Table(inner), .. }) = items.get_mut(*i)
            {
                set(inner, rest, variable, value);
            }
        }
    }
}

/// What to say about a variable that fits nothing.
fn help(root: &'static Section, table: &Table, rest: &str) -> String {
    for section in root.sections.iter().filter(|section| section.shape == Shape::Many) {
        let Some(rest) = after(rest, section.name) else { continue };
        let named = entries(Some(table), section);
        if named.iter().any(|(_, name, _)| after(rest, name).is_some()) {
            continue;
        }
        let mut names: Vec<&str> = named.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        return if names.is_empty() {
            format!(
                "there is no [[{}]] with a name in the file; a variable can only change one that is there",
                section.name
            )
        } else {
            format!(
                "after `{PREFIX}{}__` comes the name of one of: {}",
                form(section.name),
                words::listed(&names)
            )
        };
    }
    let mut all = Vec::new();
    collect(root, Some(table), "", &mut all);
    match words::closest(rest, &all) {
        Some(meant) => format!("did you mean {PREFIX}{meant}?"),
        None => "variables are named VMBRIDGE_<SECTION>__<KEY> or VMBRIDGE_<SECTION>__<NAME>__<KEY>, see docs/configuration.md".to_owned(),
    }
}

/// Every variable that would be accepted, without the prefix of all.
fn collect(section: &'static Section, table: Option<&Table>, prefix: &str, all: &mut Vec<String>) {
    for key in section.keys {
        if section.shape == Shape::Many && key.name() == "name" {
            continue;
        }
        let variable = format!("{prefix}{}", form(key.name()));
        all.extend(key.parts().iter().map(|part| format!("{variable}__{}", form(part))));
        all.push(variable);
    }
    for inner in section.sections {
        let prefix = format!("{prefix}{}__", form(inner.name));
        match inner.shape {
            Shape::One => collect(inner, table_in(table, inner), &prefix, all),
            Shape::Many => {
                for (_, name, entry) in entries(table, inner) {
                    collect(inner, Some(entry), &format!("{prefix}{}__", form(name)), all);
                }
            }
        }
    }
}
