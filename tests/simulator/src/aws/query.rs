//! `awsQuery`: requests are forms with dotted names, answers are XML.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::net::Request;
use crate::soap::session::random_uuid;
use crate::xml::Xml;

use super::error::Error;
use super::model::{Kind, Member, Model};

/// Reads a form into a value, led by the shape of the operation's input. Names that no member has become members, so
/// that validation finds them; so do values that are not of the member's type.
pub(crate) fn input(model: &Model, operation: &str, form: &str) -> Result<Value, Error> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in Request::parameters(form) {
        if fields.insert(name.clone(), value).is_some() {
            return Err(Error::bad("MalformedQueryString", format!("{name} is there twice")));
        }
    }
    fields.remove("Action");
    match fields.remove("Version") {
        Some(version) if version == model.metadata.api_version => {}
        version => {
            let version = version.unwrap_or_default();
            return Err(Error::bad(
                "InvalidAction",
                format!("Could not find operation {operation} for version {version}"),
            ));
        }
    }
    let shape = model.operations.get(operation).and_then(|operation| operation.input.as_deref());
    let mut value = match shape {
        Some(shape) => read(model, shape, "", &mut fields).unwrap_or(Value::Object(Map::new())),
        None => Value::Object(Map::new()),
    };
    if let Value::Object(members) = &mut value {
        members.extend(fields.into_iter().map(|(name, value)| (name, Value::String(value))));
    }
    Ok(value)
}

/// Takes what belongs to `prefix` out of the fields.
fn read(model: &Model, shape: &str, prefix: &str, fields: &mut BTreeMap<String, String>) -> Option<Value> {
    let shape = model.shapes.get(shape)?;
    match shape.kind {
        Kind::Structure => {
            let mut out = Map::new();
            for (name, member) in &shape.members {
                let inner = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                if let Some(value) = read(model, &member.shape, &inner, fields) {
                    out.insert(name.clone(), value);
                }
            }
            (prefix.is_empty() || !out.is_empty()).then_some(Value::Object(out))
        }
        Kind::List => {
            let member = &shape.member.as_ref()?.shape;
            let mut out = Vec::new();
            while let Some(value) = read(model, member, &format!("{prefix}.member.{}", out.len() + 1), fields)
            {
                out.push(value);
            }
            // An empty list is written as an empty field.
            let empty = fields.get(prefix).is_some_and(String::is_empty);
            if empty {
                fields.remove(prefix);
            }
            (empty || !out.is_empty()).then_some(Value::Array(out))
        }
        _ => {
            let text = fields.remove(prefix)?;
            Some(match shape.kind {
                Kind::Integer | Kind::Long => text.parse::<i64>().map_or(Value::String(text), Into::into),
                Kind::Boolean => match text.as_str() {
                    "true" => true.into(),
                    "false" => false.into(),
                    _ => Value::String(text),
                },
                _ => Value::String(text),
            })
        }
    }
}

/// A good answer.
pub(crate) fn answer(model: &Model, operation: &str, value: &Value) -> String {
    let described = model.operations.get(operation);
    let wrapper = described.and_then(|operation| operation.result_wrapper.clone());
    let wrapper = wrapper.unwrap_or_else(|| format!("{operation}Result"));
    let namespace = model.metadata.xml_namespace.as_deref().unwrap_or_default();
    let mut xml = Xml::new();
    xml.raw(&format!("<{operation}Response xmlns=\"{namespace}\">"));
    xml.open(&wrapper);
    let shape =
        described.and_then(|operation| operation.output.as_deref()).and_then(|name| model.shapes.get(name));
    if let (Value::Object(members), Some(shape)) = (value, shape) {
        for (name, value) in members {
            write(model, shape.members.get(name), name, value, &mut xml);
        }
    }
    xml.close(&wrapper);
    xml.open("ResponseMetadata");
    xml.text("RequestId", &random_uuid());
    xml.close("ResponseMetadata");
    xml.raw(&format!("</{operation}Response>\n"));
    xml.into_string()
}

fn write(model: &Model, member: Option<&Member>, name: &str, value: &Value, xml: &mut Xml) {
    let shape = member.and_then(|member| model.shapes.get(&member.shape));
    match value {
        Value::Null => {}
        Value::Object(members) => {
            xml.open(name);
            for (name, value) in members {
                write(model, shape.and_then(|shape| shape.members.get(name)), name, value, xml);
            }
            xml.close(name);
        }
        Value::Array(list) => {
            xml.open(name);
            for value in list {
                write(model, shape.and_then(|shape| shape.member.as_ref()), "member", value, xml);
            }
            xml.close(name);
        }
        Value::String(text) => xml.text(name, text),
        Value::Number(number) if shape.is_some_and(|shape| shape.kind == Kind::Timestamp) => {
            let moment = Timestamp::from_second(number.as_i64().unwrap_or(0)).unwrap_or_default();
            xml.text(name, &moment.to_string());
        }
        other => xml.text(name, &other.to_string()),
    }
}

/// An error.
pub(crate) fn error(error: &Error) -> String {
    let mut xml = Xml::new();
    xml.raw("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">");
    xml.open("Error");
    xml.text("Type", if error.status < 500 { "Sender" } else { "Receiver" });
    xml.text("Code", &error.code);
    // What a client sent may be in it, and XML cannot hold every character.
    let message: String =
        error.message.chars().map(|c| if c.is_control() && !c.is_whitespace() { '?' } else { c }).collect();
    xml.text("Message", &message);
    xml.close("Error");
    xml.text("RequestId", &random_uuid());
    xml.raw("</ErrorResponse>\n");
    xml.into_string()
}
