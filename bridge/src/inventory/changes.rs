//! Changes of the fleet: one JSON object a line, or lines for people.

use std::fmt::Write as _;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::text::{for_terminal, shortened};
use crate::fleet::{CHANGE_SCHEMA, Change, FieldChange, ObjectEvent, What};

/// One change, as `vmbridge watch --json` prints it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeDocument<'a> {
    /// Name and version of this form: `vmbridge.change/1`.
    schema: &'static str,
    /// When the change was noticed.
    #[schemars(with = "String")]
    time: Timestamp,
    /// Name of the vCenter in the configuration.
    vcenter: &'a str,
    /// `vm`, `host`, `cluster`, `datastore`, or `source` when it is about the vCenter's part of the picture itself.
    r#type: String,
    /// `appeared`, `changed` or `disappeared`; for `source` its state now, such as `current` or `interrupted`.
    change: &'a str,
    /// Managed object id.
    moref: Option<&'a str>,
    /// Name of the object.
    name: Option<&'a str>,
    /// What differs, when it changed.
    fields: &'a [FieldChange],
    /// The object, as in an inventory: when it appeared, as it is; when it disappeared, as it was.
    object: Option<&'a Value>,
    /// For `source`: why it is not current.
    error: Option<&'a str>,
}

impl<'a> From<&'a Change> for ChangeDocument<'a> {
    fn from(change: &'a Change) -> Self {
        let base = Self {
            schema: CHANGE_SCHEMA,
            time: change.time,
            vcenter: change.vcenter.as_str(),
            r#type: "source".to_owned(),
            change: "",
            moref: None,
            name: None,
            fields: &[],
            object: None,
            error: None,
        };
        match &change.what {
            What::Object(object) => Self {
                r#type: object.kind.to_string(),
                change: object.event.word(),
                moref: Some(&object.moref),
                name: object.name.as_deref(),
                fields: match &object.event {
                    ObjectEvent::Changed(fields) => fields,
                    _ => &[],
                },
                object: match &object.event {
                    ObjectEvent::Appeared(document) | ObjectEvent::Disappeared(document) => Some(document),
                    ObjectEvent::Changed(_) => None,
                },
                ..base
            },
            What::Source(source) => {
                Self { change: source.state.word(), error: source.error.as_deref(), ..base }
            }
        }
    }
}

/// The change as one line of JSON, without the end of the line.
#[must_use]
pub fn write_change_json(change: &Change) -> Vec<u8> {
    // Texts and numbers can always be written.
    serde_json::to_vec(&ChangeDocument::from(change)).unwrap_or_default()
}

/// The change as lines for people, without the last end of a line.
#[must_use]
pub fn write_change_text(change: &Change) -> String {
    let time = change.time.strftime("%H:%M:%S");
    let mut text = format!("{time} {} ", for_terminal(change.vcenter.as_str()));
    // Writing to a string cannot fail.
    let _ = match &change.what {
        What::Source(source) => match &source.error {
            Some(error) => write!(text, "{}: {}", source.state.word(), for_terminal(error)),
            None => write!(text, "{}, {} VMs", source.state.word(), source.vms),
        },
        What::Object(object) => {
            let name = object.name.as_deref().unwrap_or("(no name)");
            let _ = write!(text, "{} {} {}", object.kind, object.moref, for_terminal(name));
            match &object.event {
                ObjectEvent::Changed(fields) => fields.iter().enumerate().try_for_each(|(index, field)| {
                    let FieldChange { field, before, after } = field;
                    let separator = if index == 0 { ": " } else { "; " };
                    write!(text, "{separator}{} {} -> {}", for_terminal(field), words(before), words(after))
                }),
                event => write!(text, " {}", event.word()),
            }
        }
    };
    text
}

/// Longest text of one value.
const LONGEST: usize = 120;

fn words(value: &Value) -> String {
    shortened(&for_terminal(&plain(value)), LONGEST).into_owned()
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "none".to_owned(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str);
            match (text("category"), text("name"), text("path").or(text("label")), text("moref")) {
                (Some(category), Some(name), ..) => format!("{category}:{name}"),
                (None, Some(name), ..) | (None, None, Some(name), _) | (None, None, None, Some(name)) => {
                    name.to_owned()
                }
                _ => value.to_string(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fleet::{ObjectChange, ObjectType, SourceChange, State};

    fn change(what: What) -> Change {
        let time = Timestamp::from_second(1_800_000_000).unwrap();
        Change { time, vcenter: "dc1".into(), what }
    }

    fn object(event: ObjectEvent) -> Change {
        let name = Some("we\u{1b}[31mb".to_owned());
        change(What::Object(ObjectChange { kind: ObjectType::Vm, moref: "vm-7".into(), name, event }))
    }

    fn field(field: &str, before: Value, after: Value) -> FieldChange {
        FieldChange { field: field.to_owned(), before, after }
    }

    #[test]
    fn lines_for_people_are_one_line_and_harmless() {
        let fields = vec![
            field("powerState", json!("poweredOff"), json!("poweredOn")),
            field(
                "host",
                json!({ "moref": "host-1", "name": "esx1" }),
                json!({ "moref": "host-2", "name": null }),
            ),
            field(
                "tags",
                json!([]),
                json!([{ "category": "Patch Group", "name": "web" }, { "category": "a", "name": "b" }]),
            ),
            field("annotation", json!(null), json!("two\nlines")),
            field(
                "folder",
                json!({ "moref": "group-v1", "path": "/" }),
                json!({ "moref": "group-v2", "path": "/Prod" }),
            ),
        ];
        assert_eq!(
            write_change_text(&object(ObjectEvent::Changed(fields))),
            "08:00:00 dc1 vm vm-7 we\\u{1b}[31mb: powerState poweredOff -> poweredOn; host esx1 -> host-2; \
             tags none -> Patch Group:web, a:b; annotation - -> two\\u{a}lines; folder / -> /Prod"
        );
        let gone = object(ObjectEvent::Disappeared(json!({})));
        assert_eq!(write_change_text(&gone), "08:00:00 dc1 vm vm-7 we\\u{1b}[31mb disappeared");
        let source = |error: Option<&str>, state| {
            write_change_text(&change(What::Source(SourceChange {
                state,
                error: error.map(str::to_owned),
                vms: 3,
            })))
        };
        assert_eq!(source(None, State::Current), "08:00:00 dc1 current, 3 VMs");
        assert_eq!(source(Some("reset"), State::Interrupted), "08:00:00 dc1 interrupted: reset");
    }

    #[test]
    fn a_json_line_is_one_line_with_every_key() {
        let appeared = object(ObjectEvent::Appeared(json!({ "name": "two\nlines" })));
        let line = String::from_utf8(write_change_json(&appeared)).unwrap();
        assert!(!line.contains('\n'), "{line}");
        let document: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(document["schema"], CHANGE_SCHEMA);
        assert_eq!((&document["type"], &document["change"]), (&json!("vm"), &json!("appeared")));
        assert_eq!((&document["object"]["name"], &document["fields"]), (&json!("two\nlines"), &json!([])));
        assert!(document.as_object().unwrap().contains_key("error"));
    }
}
