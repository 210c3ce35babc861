//! Requests and answers against the service model: types, required members, lengths, ranges, patterns, choices, and
//! members that nobody knows, at every depth.

use serde_json::Value;

use super::model::{Kind, Model, Models, Shape};
use super::protocol::Service;

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is of another type; services cannot even read such a request.
    Type(String),
    /// There is a member that the model does not know. Real services overlook it; here it is a mistake of the client.
    Unknown(String),
    /// It breaks a constraint, told in the words of AWS.
    Constraint(String),
}

impl Fault {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Type(text) | Self::Unknown(text) | Self::Constraint(text) => text,
        }
    }
}

/// Everything that is wrong, in the order of the model.
pub(crate) fn check(model: &Model, shape: &str, value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    walk(model, shape, value, "", &mut faults);
    faults
}

/// What is wrong with a request of Systems Manager or Security Hub, by its service model: for tests of requests that are not
/// sent.
#[must_use]
pub fn request_faults(operation: &str, input: &Value) -> Vec<String> {
    let known = [Service::Ssm, Service::SecurityHub].into_iter().find_map(|service| {
        let model = Models::get().of(service);
        Some((model, model.operations.get(operation)?.input.as_deref()?))
    });
    let Some((model, shape)) = known else { return vec![format!("there is no operation {operation}")] };
    check(model, shape, input).iter().map(|fault| fault.text().to_owned()).collect()
}

/// The path of a member as AWS writes it: members begin with a small letter.
fn inner(path: &str, name: &str) -> String {
    let mut letters = name.chars();
    let name: String = letters.next().map(|c| c.to_ascii_lowercase()).into_iter().chain(letters).collect();
    if path.is_empty() { name } else { format!("{path}.{name}") }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn walk(model: &Model, name: &str, value: &Value, path: &str, faults: &mut Vec<Fault>) {
    let Some(shape) = model.shapes.get(name) else {
        faults.push(Fault::Type(format!("there is no shape {name}")));
        return;
    };
    let wrong_type =
        |wanted: &str| Fault::Type(format!("{} at '{path}' can not be converted to {wanted}", shown(value)));
    let mut broken = |text: String| {
        faults.push(Fault::Constraint(format!(
            "Value '{}' at '{path}' failed to satisfy constraint: {text}",
            shown(value)
        )));
    };
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            for required in &shape.required {
                if members.get(required).is_none_or(Value::is_null) {
                    faults.push(Fault::Constraint(format!(
                        "Value null at '{}' failed to satisfy constraint: Member must not be null",
                        inner(path, required)
                    )));
                }
            }
            for (member, value) in members {
                match shape.members.get(member) {
                    Some(_) if value.is_null() => {}
                    Some(known) => walk(model, &known.shape, value, &inner(path, member), faults),
                    None => faults
                        .push(Fault::Unknown(format!("'{}' is not a member of {name}", inner(path, member)))),
                }
            }
        }
        (Kind::List, Value::Array(list)) => {
            if let Some(text) = size(shape, list.len(), "length") {
                broken(text);
            }
            if let Some(member) = &shape.member {
                for (at, value) in list.iter().enumerate() {
                    walk(model, &member.shape, value, &format!("{path}.{}.member", at + 1), faults);
                }
            }
        }
        (Kind::Map, Value::Object(map)) => {
            if let Some(text) = size(shape, map.len(), "length") {
                broken(text);
            }
            if let (Some(key), Some(inner)) = (&shape.key, &shape.value) {
                for (name, value) in map {
                    walk(model, &key.shape, &Value::String(name.clone()), &format!("{path}.key"), faults);
                    walk(model, &inner.shape, value, &format!("{path}.{name}.member"), faults);
                }
            }
        }
        (Kind::String, Value::String(text)) => {
            if let Some(text) = size(shape, text.chars().count(), "length") {
                broken(text);
            }
            if !shape.choices.is_empty() && !shape.choices.contains(text) {
                broken(format!("Member must satisfy enum value set: [{}]", shape.choices.join(", ")));
            }
            if !shape.fits(text) {
                let pattern = shape.pattern.as_deref().unwrap_or_default();
                broken(format!("Member must satisfy regular expression pattern: {pattern}"));
            }
        }
        (Kind::Integer | Kind::Long, Value::Number(number)) => {
            let Some(whole) = number.as_i64() else {
                faults.push(wrong_type("a whole number"));
                return;
            };
            if shape.kind == Kind::Integer && i32::try_from(whole).is_err() {
                faults.push(wrong_type("an Integer"));
                return;
            }
            range(shape, number.as_f64().unwrap_or(0.0), &mut broken);
        }
        (Kind::Double | Kind::Float, Value::Number(number)) => {
            range(shape, number.as_f64().unwrap_or(0.0), &mut broken);
        }
        (Kind::Boolean, Value::Bool(_))
        | (Kind::Timestamp, Value::Number(_))
        | (Kind::Blob, Value::String(_)) => {}
        (wanted, _) => faults.push(wrong_type(&format!("{wanted:?}"))),
    }
}

fn size(shape: &Shape, length: usize, what: &str) -> Option<String> {
    let length = length as f64;
    match (shape.min, shape.max) {
        (Some(min), _) if length < min => {
            Some(format!("Member must have {what} greater than or equal to {min}"))
        }
        (_, Some(max)) if length > max => {
            Some(format!("Member must have {what} less than or equal to {max}"))
        }
        _ => None,
    }
}

fn range(shape: &Shape, number: f64, broken: &mut impl FnMut(String)) {
    if let Some(min) = shape.min.filter(|min| number < *min) {
        broken(format!("Member must have value greater than or equal to {min}"));
    }
    if let Some(max) = shape.max.filter(|max| number > *max) {
        broken(format!("Member must have value less than or equal to {max}"));
    }
}

/// All constraints that are broken, in one sentence, as AWS says it.
pub(crate) fn sentence(faults: &[Fault]) -> String {
    let count = faults.len();
    let plural = if count == 1 { "" } else { "s" };
    let texts: Vec<&str> = faults.iter().map(Fault::text).collect();
    format!("{count} validation error{plural} detected: {}", texts.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::model::Models;
    use crate::aws::protocol::Service;

    fn faults(shape: &str, value: &Value) -> Vec<String> {
        check(Models::get().of(Service::Ssm), shape, value)
            .iter()
            .map(|fault| fault.text().to_owned())
            .collect()
    }

    #[test]
    fn constraints_are_told_as_aws_tells_them() {
        let tags =
            |tags: Value| json!({ "ResourceType": "ManagedInstance", "ResourceId": "mi-1", "Tags": tags });
        assert!(faults("AddTagsToResourceRequest", &tags(json!([{ "Key": "a", "Value": "" }]))).is_empty());
        assert_eq!(
            faults("AddTagsToResourceRequest", &tags(json!([{ "Key": "a,b", "Value": "" }, { "Key": "c" }]))),
            [
                "Value 'a,b' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: ^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
                "Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null",
            ]
        );
        assert_eq!(
            faults("DescribeInstanceInformationRequest", &json!({ "MaxResults": 51, "Max": 1 })),
            [
                "'max' is not a member of DescribeInstanceInformationRequest",
                "Value '51' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 50",
            ]
        );
        assert_eq!(faults("DescribeInstanceInformationRequest", &json!({ "MaxResults": "5" })).len(), 1);
        assert!(faults("DescribeInstanceInformationRequest", &json!({ "MaxResults": null })).is_empty());
    }
}
