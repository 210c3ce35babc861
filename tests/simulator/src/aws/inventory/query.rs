//! Filters and aggregators of inventory queries. What is not played is refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::error::Error;
use super::Row;

/// One filter: any of the values of an attribute.
#[derive(Debug)]
pub(super) struct Filter {
    /// Empty where the type is that of the request.
    pub(super) kind: String,
    attribute: String,
    values: Vec<String>,
    operator: String,
}

/// The type and attribute of `Custom:Type.Attribute`.
fn split(key: &str) -> Option<(&str, &str)> {
    let (kind, attribute) = key.rsplit_once('.')?;
    let named = (kind.starts_with("AWS:") || kind.starts_with("Custom:")) && !attribute.is_empty();
    named.then_some((kind, attribute))
}

impl Filter {
    /// `typed`: keys name their type.
    pub(super) fn read(list: &[Value], typed: bool) -> Result<Vec<Self>, Error> {
        let bad = |text: String| Error::bad("InvalidFilter", text);
        let read = |filter: &Value| {
            let key = filter["Key"].as_str().unwrap_or_default();
            let (kind, attribute) = match (split(key), typed) {
                (Some(parts), _) => parts,
                (None, false) => ("", key),
                (None, true) => return Err(bad(format!("{key} is not a type and an attribute"))),
            };
            let operator = filter["Type"].as_str().unwrap_or("Equal").to_owned();
            if operator == "Exists" {
                return Err(bad("Exists goes with aggregators only".to_owned()));
            }
            let values = filter["Values"].as_array().into_iter().flatten().filter_map(Value::as_str);
            Ok(Self {
                kind: kind.to_owned(),
                attribute: attribute.to_owned(),
                values: values.map(str::to_owned).collect(),
                operator,
            })
        };
        list.iter().map(read).collect()
    }

    pub(super) fn fits(&self, row: &Row) -> bool {
        let Some(value) = row.get(&self.attribute) else { return false };
        let number = |text: &str| text.parse::<f64>().ok();
        let less = |one: &str, other: &str| match (number(one), number(other)) {
            (Some(one), Some(other)) => one < other,
            _ => one < other,
        };
        let mut values = self.values.iter();
        match self.operator.as_str() {
            "NotEqual" => values.all(|wanted| value != wanted),
            "BeginWith" => values.any(|wanted| value.starts_with(wanted.as_str())),
            "LessThan" => values.any(|wanted| less(value, wanted)),
            "GreaterThan" => values.any(|wanted| less(wanted, value)),
            _ => values.any(|wanted| value == wanted),
        }
    }
}

/// Counts the values of one attribute.
#[derive(Debug)]
pub(super) struct Aggregator {
    pub(super) kind: String,
    attribute: String,
    counts: BTreeMap<String, usize>,
}

impl Aggregator {
    pub(super) fn read(list: &[Value]) -> Result<Option<Self>, Error> {
        let bad = |text: &str| Error::bad("InvalidAggregatorException", text);
        let Some(first) = list.first() else { return Ok(None) };
        let given = |member: &str| first.get(member).is_some_and(|value| !value.is_null());
        if list.len() > 1 || given("Aggregators") || given("Groups") {
            return Err(bad("the simulator plays one aggregator without groups and without others in it"));
        }
        let expression = first["Expression"].as_str().unwrap_or_default();
        let (kind, attribute) = split(expression).ok_or_else(|| bad("it is not a type and an attribute"))?;
        Ok(Some(Self { kind: kind.to_owned(), attribute: attribute.to_owned(), counts: BTreeMap::new() }))
    }

    pub(super) fn count(&mut self, row: &Row) {
        if let Some(value) = row.get(&self.attribute) {
            *self.counts.entry(value.clone()).or_default() += 1;
        }
    }

    pub(super) fn told(&self) -> Value {
        let rows: Vec<Value> = self
            .counts
            .iter()
            .map(|(value, count)| json!({ self.attribute.as_str(): value, "Count": count.to_string() }))
            .collect();
        json!({ "Data": { self.kind.as_str(): {
            "TypeName": self.kind, "SchemaVersion": "1.0", "Content": rows,
        } } })
    }
}
