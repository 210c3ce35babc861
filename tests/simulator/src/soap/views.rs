//! List views: sets of objects that a caller keeps itself, so that one filter can follow any number of tasks.

use std::sync::Arc;

use crate::vcenter::Shared;
use crate::world::{Change, ObjId, World};
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::select::object;
use super::session::{ListView, random_uuid};
use super::{Answer, Caller};

fn gone() -> Fault {
    Fault::not_authenticated("ViewManager", "ViewManager")
}

/// The objects that a parameter names, and the references that name none.
fn objects(world: &World, call: &Node, parameter: &str) -> (Vec<ObjId>, Vec<Node>) {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for node in call.all(parameter) {
        match object(world, node) {
            Ok(id) => found.push(id),
            Err(_) => missing.push(node.clone()),
        }
    }
    (found, missing)
}

fn add(members: &mut Vec<ObjId>, more: Vec<ObjId>) {
    for id in more {
        if !members.contains(&id) {
            members.push(id);
        }
    }
}

/// CreateListView: every object must exist.
pub(super) fn create(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let world = shared.world();
    let found: Vec<ObjId> = call.all("obj").map(|node| object(&world, node)).collect::<Result<_, _>>()?;
    let list = ListView::default();
    list.change(|members| add(members, found));
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    let id = format!("session[{}]{}", session.key, random_uuid());
    session.lists.insert(id.clone(), Arc::new(list));
    let mut xml = Xml::new();
    xml.named_ref("returnval", "ListView", &id);
    Ok(xml.into_string())
}

fn list(shared: &Shared, caller: &Caller, call: &Node) -> Result<Arc<ListView>, Fault> {
    let id = call.children[0].text.trim();
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    session.lists.get(id).cloned().ok_or_else(|| Fault::no_such_object("ListView", id))
}

fn answer(missing: &[Node]) -> Answer {
    let mut xml = Xml::new();
    for node in missing {
        xml.named_ref("returnval", node.type_name.as_deref().unwrap_or_default(), node.text.trim());
    }
    Ok(xml.into_string())
}

/// ModifyListView: tells the references that name nothing.
pub(super) fn modify(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let list = list(shared, caller, call)?;
    shared.change(|world| {
        let (added, missing) = objects(world, call, "add");
        // What is gone can still be taken out.
        let removed: Vec<ObjId> =
            call.all("remove").filter_map(|node| ObjId::parse(node.text.trim())).collect();
        list.change(|members| {
            add(members, added);
            members.retain(|id| !removed.contains(id));
        });
        world.log.push(Change::Views);
        answer(&missing)
    })
}

/// ResetListView: other members altogether.
pub(super) fn reset(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let list = list(shared, caller, call)?;
    shared.change(|world| {
        let (found, missing) = objects(world, call, "obj");
        list.change(|members| {
            members.clear();
            add(members, found);
        });
        world.log.push(Change::Views);
        answer(&missing)
    })
}

/// DestroyView, of either kind.
pub(super) fn destroy(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let this = &call.children[0];
    let id = this.text.trim();
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    let known = session.views.remove(id).is_some() | session.lists.remove(id).is_some();
    let type_name = this.type_name.as_deref().unwrap_or("View");
    if known { Ok(String::new()) } else { Err(Fault::no_such_object(type_name, id)) }
}
