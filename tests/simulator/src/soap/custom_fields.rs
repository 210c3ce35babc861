//! Custom attributes: the CustomFieldsManager's methods that change something.

use serde_json::json;

use crate::props;
use crate::vcenter::Shared;
use crate::world::Entity;
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::select::{object, sees};
use super::{Answer, Caller};

const MANAGER: &str = "CustomFieldsManager";

/// AddCustomFieldDef.
pub(super) fn define(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    const PRIVILEGE: &str = "Global.ManageCustomFields";
    let name = call.str("name").unwrap_or_default();
    if name.is_empty() {
        return Err(Fault::invalid_argument("name"));
    }
    let managed_type = match call.str("moType").map(str::trim) {
        None => None,
        Some(of) => Some(props::entity_type(of).ok_or_else(|| Fault::invalid_argument("moType"))?),
    };
    if !caller.user.has(PRIVILEGE) {
        return Err(Fault::no_permission(shared.world().root, PRIVILEGE));
    }
    shared.change(|world| {
        let made = world.define_field(name, managed_type);
        let key = made.ok_or_else(|| Fault::duplicate_name(name, MANAGER, MANAGER))?;
        let detail = json!({ "name": name, "key": key, "managedObjectType": managed_type });
        shared.record("AddCustomFieldDef", MANAGER, detail, true);
        let mut xml = Xml::new();
        if let Some(field) = world.fields.iter().find(|field| field.key == key) {
            props::field_definition(field, "returnval", &mut xml);
        }
        Ok(xml.into_string())
    })
}

/// SetField.
pub(super) fn set(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    const PRIVILEGE: &str = "Global.SetCustomField";
    let entity = call.child("entity").ok_or_else(|| Fault::invalid_argument("entity"))?;
    let key = call.int("key").and_then(|key| i32::try_from(key).ok());
    let key = key.ok_or_else(|| Fault::invalid_argument("key"))?;
    let value = call.str("value").unwrap_or_default();
    shared.change(|world| {
        let id = object(world, entity)?;
        if world.get(id).is_none() {
            return Err(Fault::invalid_argument("entity"));
        }
        let at = world.get(id).and_then(Entity::container);
        if !caller.user.has(PRIVILEGE) || !sees(world, &caller.user, id, at) {
            return Err(Fault::no_permission(id, PRIVILEGE));
        }
        let field = world.fields.iter().find(|field| field.key == key && field.is_for(id.kind));
        let name = field.ok_or_else(|| Fault::invalid_argument("key"))?.name.clone();
        let missing = |_| Fault::no_such_object(id.kind.type_name(), &id.to_string());
        let effective = world.set_field(id, key, value).map_err(missing)?;
        let detail = json!({ "field": name, "key": key, "value": value });
        shared.record("SetField", &id.to_string(), detail, effective);
        Ok(String::new())
    })
}
