//! Changes as a person writes them: short words, and names instead of MoRefs.

use serde_json::{Map, Value, json};

use crate::handle::Vcenter;
use crate::mutation::Mutation;
use crate::world::{ObjId, unescape_name};

use super::Refused;

/// Members whose value is an object of the inventory.
const OBJECTS: &[&str] = &["id", "host", "folder", "parent", "from", "datastore"];

/// Does what `{"op": …, "vm": …, …}` says. `op` is a short word of this file or the name of a [`Mutation`].
pub(super) fn apply(vcenter: &Vcenter, change: Value) -> Result<Value, Refused> {
    let Value::Object(mut change) = change else {
        return Err(Refused::new(400, "a change is an object"));
    };
    let op = text(&mut change, "op")?;
    for other in ["vm", "object"] {
        if let Some(value) = change.remove(other) {
            change.insert("id".to_owned(), value);
        }
    }
    for member in OBJECTS {
        if let Some(Value::String(name)) = change.get(*member) {
            let id = resolve(vcenter, name)?;
            change.insert((*member).to_owned(), id.into());
        }
    }
    if op == "create" {
        return create(vcenter, change);
    }
    let op = match op.as_str() {
        "power" => match text(&mut change, "state")?.as_str() {
            "on" | "poweredOn" => "powerOn",
            "off" | "poweredOff" => "powerOff",
            "suspended" | "suspend" => "suspend",
            other => return Err(Refused::new(400, format!("{other} is no power state"))),
        },
        "annotation" => "annotate",
        "tag" => "attachTag",
        "untag" => "detachTag",
        "delete" => "remove",
        "snapshot" => "createSnapshot",
        other => other,
    };
    let made = mutate(vcenter, op, change)?;
    Ok(json!({ "made": made }))
}

fn mutate(vcenter: &Vcenter, op: &str, mut change: Map<String, Value>) -> Result<Option<String>, Refused> {
    change.insert("do".to_owned(), op.into());
    let mutation: Mutation =
        serde_json::from_value(change.into()).map_err(|error| Refused::new(400, error.to_string()))?;
    Ok(vcenter.mutate(&mutation)?)
}

/// A new VM is a copy of an ordinary one, with identities of its own, powered off.
fn create(vcenter: &Vcenter, mut change: Map<String, Value>) -> Result<Value, Refused> {
    let name = text(&mut change, "name")?;
    let from = match change.remove("from") {
        Some(from) => from,
        None => {
            let world = vcenter.shared.world();
            let ordinary = world.vms().find(|(entity, vm)| {
                entity.parent.is_some()
                    && vm.config.as_ref().is_some_and(|c| !c.template && c.managed_by.is_none())
            });
            let (entity, _) = ordinary.ok_or_else(|| Refused::new(409, "there is no VM to copy"))?;
            entity.id.to_string().into()
        }
    };
    let folder = change.remove("folder");
    if let Some(unknown) = change.keys().next() {
        return Err(Refused::new(400, format!("`create` has no `{unknown}`")));
    }
    let copy = Map::from_iter([("id".to_owned(), from), ("name".to_owned(), name.into())]);
    let made = mutate(vcenter, "clone", copy)?;
    if let (Some(id), Some(folder)) = (&made, folder) {
        let place = Map::from_iter([("id".to_owned(), id.clone().into()), ("folder".to_owned(), folder)]);
        mutate(vcenter, "move", place)?;
    }
    Ok(json!({ "made": made }))
}

fn text(change: &mut Map<String, Value>, member: &str) -> Result<String, Refused> {
    match change.remove(member) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Refused::new(400, format!("`{member}` is missing or no text"))),
    }
}

/// The MoRef of an object given by MoRef or by its name, as a person typed it.
fn resolve(vcenter: &Vcenter, name: &str) -> Result<String, Refused> {
    let world = vcenter.shared.world();
    if ObjId::parse(name).is_some_and(|id| world.get(id).is_some()) {
        return Ok(name.to_owned());
    }
    let mut found = world.all().filter(|entity| unescape_name(&entity.name) == name);
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id.to_string()),
        (Some(_), Some(_)) => {
            Err(Refused::new(409, format!("several objects are called {name:?}; use a MoRef")))
        }
        (None, _) => Err(Refused::new(404, format!("there is no object {name:?}"))),
    }
}
