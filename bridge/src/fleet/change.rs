//! Changes of the fleet, for those who want to see them as they happen.
//!
//! A change is what differs between two documents of the same object, so that what `vmbridge watch` prints and what `vmbridge
//! inventory` prints can never disagree about what a VM is.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{State, VcenterName};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When it was noticed.
    pub time: Timestamp,
    /// The part of the fleet.
    pub vcenter: VcenterName,
    /// What changed.
    pub what: What,
}

/// What changed.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// An object.
    Object(ObjectChange),
    /// How far the part can be relied on.
    Source(SourceChange),
}

/// The kinds of objects whose changes are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ObjectType {
    /// A VM or template.
    Vm,
    /// A host.
    Host,
    /// A cluster.
    Cluster,
    /// A datastore.
    Datastore,
}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vm => "vm",
            Self::Host => "host",
            Self::Cluster => "cluster",
            Self::Datastore => "datastore",
        })
    }
}

/// A change of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectChange {
    /// Its kind.
    pub kind: ObjectType,
    /// Its managed object id.
    pub moref: String,
    /// Its name, after the change if it still exists.
    pub name: Option<String>,
    /// What happened to it.
    pub event: ObjectEvent,
}

/// What happened to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectEvent {
    /// It appeared, or came into scope; its document.
    Appeared(Value),
    /// These fields changed.
    Changed(Vec<FieldChange>),
    /// It disappeared, or left the scope; its last document.
    Disappeared(Value),
}

impl ObjectEvent {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Appeared(_) => "appeared",
            Self::Changed(_) => "changed",
            Self::Disappeared(_) => "disappeared",
        }
    }
}

/// A change of how far a part can be relied on.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceChange {
    /// The state now.
    pub state: State,
    /// Why it is not current.
    pub error: Option<String>,
    /// VMs of the part.
    pub vms: usize,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FieldChange {
    /// Its path in the document, such as `guest.ipAddress`.
    pub field: String,
    /// Its value before.
    pub before: Value,
    /// Its value now.
    pub after: Value,
}

impl ObjectChange {
    /// The change from one document to the other; nothing if they tell the same.
    pub(super) fn between(
        kind: ObjectType,
        moref: &str,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Option<Self> {
        let name = |document: &Value| document.get("name")?.as_str().map(str::to_owned);
        let (name, event) = match (before, after) {
            (None, None) => return None,
            (None, Some(after)) => (name(&after), ObjectEvent::Appeared(after)),
            (Some(before), None) => (name(&before), ObjectEvent::Disappeared(before)),
            (Some(before), Some(after)) => {
                let mut fields = Vec::new();
                differences("", &before, &after, &mut fields);
                if fields.is_empty() {
                    return None;
                }
                (name(&after), ObjectEvent::Changed(fields))
            }
        };
        Some(Self { kind, moref: moref.to_owned(), name, event })
    }
}

fn differences(path: &str, before: &Value, after: &Value, out: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after)
        // A reference is one value: half of one says nothing.
        && (path.is_empty() || !old.contains_key("moref"))
    {
        let keys = old.keys().chain(new.keys().filter(|key| !old.contains_key(*key)));
        for key in keys {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let value = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
            differences(&path, &value(old), &value(new), out);
        }
        return;
    }
    out.push(FieldChange { field: path.to_owned(), before: before.clone(), after: after.clone() });
}
