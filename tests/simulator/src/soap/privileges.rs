//! Who may do what: the AuthorizationManager's questions.

use crate::config::User;
use crate::vcenter::Shared;
use crate::world::{Entity, World};
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::select::{object, sees};
use super::{Answer, Caller};

fn granted(world: &World, user: &User, entity: &Node, privilege: &str) -> Result<bool, Fault> {
    let id = object(world, entity)?;
    let at = world.get(id).and_then(Entity::container);
    Ok(user.has(privilege) && sees(world, user, id, at))
}

/// HasPrivilegeOnEntities and HasPrivilegeOnEntity: about a session, by its key.
pub(super) fn of_session(shared: &Shared, _caller: &Caller, call: &Node) -> Answer {
    let key = call.str("sessionId").unwrap_or_default();
    let name = shared.sessions().all().find(|s| s.key == key).map(|s| s.user.clone());
    let name = name.ok_or_else(|| Fault::invalid_argument("sessionId"))?;
    let user = shared.user(&name).ok_or_else(|| Fault::invalid_argument("sessionId"))?;
    answer(shared, &user, call, "entity", call.name == "HasPrivilegeOnEntity")
}

/// HasUserPrivilegeOnEntities: about a user by name.
pub(super) fn of_user(shared: &Shared, _caller: &Caller, call: &Node) -> Answer {
    let user = shared.user(call.str("userName").unwrap_or_default());
    let user = user.ok_or_else(|| Fault::invalid_argument("userName"))?;
    answer(shared, &user, call, "entities", false)
}

fn answer(shared: &Shared, user: &User, call: &Node, tag: &str, flat: bool) -> Answer {
    let world = shared.world();
    let mut xml = Xml::new();
    for entity in call.all(tag) {
        if flat {
            for privilege in call.all("privId") {
                xml.val("returnval", granted(&world, user, entity, &privilege.text)?);
            }
            continue;
        }
        xml.open("returnval");
        xml.named_ref("entity", entity.type_name.as_deref().unwrap_or_default(), entity.text.trim());
        for privilege in call.all("privId") {
            let granted = granted(&world, user, entity, &privilege.text)?;
            xml.open("privAvailability");
            xml.text("privId", &privilege.text);
            xml.val("isGranted", granted);
            xml.close("privAvailability");
        }
        xml.close("returnval");
    }
    Ok(xml.into_string())
}

/// FetchUserPrivilegeOnEntities: every privilege that a user has.
pub(super) fn all_of_user(shared: &Shared, _caller: &Caller, call: &Node) -> Answer {
    let user = shared.user(call.str("userName").unwrap_or_default());
    let user = user.ok_or_else(|| Fault::invalid_argument("userName"))?;
    let world = shared.world();
    let mut xml = Xml::new();
    for entity in call.all("entities") {
        let visible = granted(&world, &user, entity, "System.View")?;
        xml.open("returnval");
        xml.named_ref("entity", entity.type_name.as_deref().unwrap_or_default(), entity.text.trim());
        if visible {
            for privilege in KNOWN.iter().filter(|p| user.has(p)) {
                xml.text("privileges", privilege);
            }
        }
        xml.close("returnval");
    }
    Ok(xml.into_string())
}

/// The privileges that an administrator is shown to have: those that an integration may ask for.
const KNOWN: &[&str] = &[
    "System.Anonymous",
    "System.View",
    "System.Read",
    "Sessions.ValidateSession",
    "Sessions.TerminateSession",
    "Global.ManageCustomFields",
    "Global.SetCustomField",
    "Global.CancelTask",
    "InventoryService.Tagging.AttachTag",
    "InventoryService.Tagging.ObjectAttachable",
    "VirtualMachine.GuestOperations.Execute",
    "VirtualMachine.GuestOperations.Modify",
    "VirtualMachine.GuestOperations.Query",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.State.RevertToSnapshot",
    "VirtualMachine.Interact.PowerOff",
    "VirtualMachine.Interact.PowerOn",
];
