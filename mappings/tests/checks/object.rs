//! An object of vSphere, made of TOML: its properties as vCenter would send them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use mappings::checks::{Kind, Pick, Read, Reading, RuleSet, Tree};
use mappings::selector::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};
use toml::{Table, Value};

/// A value as the wire has it: a leaf, or a record with named children.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) text: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) children: Vec<(String, Node)>,
}

impl Tree for &Node {
    fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    fn type_name(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    fn children(&self, each: &mut dyn FnMut(&str, Self)) {
        for (name, child) in &self.children {
            each(name, child);
        }
    }
}

/// Lists whose elements have a `key`. In fixtures they are tables, from the key to its value.
const KEYED: &[&str] =
    &["config.extraConfig", "config.option", "config.service.service", "config.firewall.ruleset"];

impl Node {
    pub(crate) fn leaf(text: &str) -> Self {
        Self { text: Some(text.to_owned()), kind: None, children: Vec::new() }
    }

    pub(crate) fn record(children: Vec<(String, Self)>) -> Self {
        Self { text: None, kind: None, children }
    }

    /// The value of a property.
    pub(crate) fn property(path: &str, value: &Value) -> Self {
        match value {
            Value::Table(table) if KEYED.contains(&path) => {
                let element = |(key, value): (&String, &Value)| {
                    let mut children = vec![("key".to_owned(), Self::leaf(key))];
                    match value {
                        Value::Table(fields) => children.extend(Self::of_table(fields).children),
                        other => children.push(("value".to_owned(), Self::of(other))),
                    }
                    ("element".to_owned(), Self::record(children))
                };
                Self::record(table.iter().map(element).collect())
            }
            Value::Array(items) => {
                Self::record(items.iter().map(|item| ("element".to_owned(), Self::of(item))).collect())
            }
            other => Self::of(other),
        }
    }

    fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::leaf(text),
            Value::Table(table) => Self::of_table(table),
            Value::Array(items) => {
                Self::record(items.iter().map(|item| ("element".to_owned(), Self::of(item))).collect())
            }
            Value::Boolean(value) => Self::leaf(if *value { "true" } else { "false" }),
            Value::Integer(number) => Self::leaf(&number.to_string()),
            Value::Float(_) | Value::Datetime(_) => panic!("write {value:?} as a string"),
        }
    }

    fn of_table(table: &Table) -> Self {
        let mut node = Self::record(Vec::new());
        for (key, value) in table {
            match value {
                Value::String(text) if key == "@type" => node.kind = Some(text.clone()),
                // A list within a record is several children with one name.
                Value::Array(items) => {
                    node.children.extend(items.iter().map(|item| (key.clone(), Self::of(item))));
                }
                value => node.children.push((key.clone(), Self::of(value))),
            }
        }
        node
    }
}

/// What every object has that is there at all; fixtures need not say it.
pub(crate) const ANCHORS: &[&str] =
    &["config.instanceUuid", "config.product", "configurationEx", "config.key"];

/// The readings of an object of which nothing is set but what all have.
pub(crate) fn bare(rules: &RuleSet, kind: Kind) -> Vec<Reading> {
    readings(rules, kind, &Table::new(), &BTreeSet::new())
}

/// The readings of an object, by slot.
pub(crate) fn readings(
    rules: &RuleSet,
    kind: Kind,
    properties: &Table,
    unreadable: &BTreeSet<String>,
) -> Vec<Reading> {
    let reading = |read: &Read| match properties.get(&*read.path) {
        _ if unreadable.contains(&*read.path) => Reading::Unreadable,
        Some(value) => read.take(&Node::property(&read.path, value)),
        None if ANCHORS.contains(&&*read.path) && read.pick == Pick::Whole => Reading::One("x".into()),
        None => Reading::Missing,
    };
    rules.reads(kind).iter().map(reading).collect()
}

/// What suppressions may ask.
pub(crate) struct Facts {
    pub(crate) name: &'static str,
    pub(crate) folder: Fact<&'static str>,
}

impl Default for Facts {
    fn default() -> Self {
        Self { name: "web-01", folder: Fact::Known("/Prod/Web") }
    }
}

impl VmFacts for Facts {
    fn vcenter(&self) -> &str {
        "dc1"
    }

    fn name(&self) -> Fact<&str> {
        Fact::Known(self.name)
    }

    fn folder(&self) -> Fact<&str> {
        self.folder
    }

    fn datacenter(&self) -> Fact<&str> {
        Fact::Known("Frankfurt")
    }

    fn cluster(&self) -> Fact<&str> {
        Fact::Known("prod-a")
    }

    fn guest_family(&self) -> Fact<GuestFamily> {
        Fact::Absent
    }

    fn power_state(&self) -> Fact<PowerState> {
        Fact::Absent
    }

    fn is_template(&self) -> Fact<bool> {
        Fact::Absent
    }

    fn visit_tags<'a>(&'a self, _: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        TagsKnown::Yes
    }

    fn custom_attribute(&self, _: &str) -> Fact<&str> {
        Fact::Absent
    }
}
