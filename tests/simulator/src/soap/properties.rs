//! The property collector's one-shot reads, and the making and ending of filters and collectors.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::vcenter::{Shared, lock};
use crate::xml::Xml;

use super::collector::{Collector, Page, write_content};
use super::fault::Fault;
use super::request::Node;
use super::select::{Spec, Target};
use super::service::{self, Reader};
use super::session::random_uuid;
use super::{Answer, Caller};

fn gone() -> Fault {
    Fault::not_authenticated("PropertyCollector", "propertyCollector")
}

/// The collector that a call is about. The default one of the session exists as soon as somebody uses it.
pub(super) fn collector(
    shared: &Shared,
    caller: &Caller,
    call: &Node,
) -> Result<Arc<Mutex<Collector>>, Fault> {
    let id = call.children[0].text.trim();
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    if id == "propertyCollector" {
        return Ok(Arc::clone(session.collectors.entry(id.to_owned()).or_default()));
    }
    session.collectors.get(id).cloned().ok_or_else(|| Fault::no_such_object("PropertyCollector", id))
}

pub(super) fn create_collector(shared: &Shared, caller: &Caller) -> Answer {
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    let id = format!("session[{}]{}", session.key, random_uuid());
    session.collectors.insert(id.clone(), Arc::default());
    let mut xml = Xml::new();
    xml.named_ref("returnval", "PropertyCollector", &id);
    Ok(xml.into_string())
}

pub(super) fn destroy_collector(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let id = call.children[0].text.trim();
    if id == "propertyCollector" {
        return Err(Fault::new("NotSupported", "The default property collector cannot be destroyed."));
    }
    let removed = shared.sessions().get_mut(&caller.secret).ok_or_else(gone)?.collectors.remove(id);
    let removed = removed.ok_or_else(|| Fault::no_such_object("PropertyCollector", id))?;
    lock(&removed).cancel_wait();
    Ok(String::new())
}

pub(super) fn create_filter(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let collector = collector(shared, caller, call)?;
    let node = call.child("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
    let (spec, key) = {
        let world = shared.world();
        let mut sessions = shared.sessions();
        let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
        (Spec::parse(&world, session, node)?, session.key.clone())
    };
    let id = format!("session[{key}]{}", random_uuid());
    lock(&collector).add_filter(id.clone(), spec);
    // A wait that is under way must notice the new filter.
    shared.wake();
    let mut xml = Xml::new();
    xml.named_ref("returnval", "PropertyFilter", &id);
    Ok(xml.into_string())
}

pub(super) fn destroy_filter(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let id = call.children[0].text.trim();
    let collectors: Vec<_> = {
        let mut sessions = shared.sessions();
        sessions.get_mut(&caller.secret).ok_or_else(gone)?.collectors.values().cloned().collect()
    };
    if collectors.iter().any(|c| lock(c).remove_filter(id)) {
        return Ok(String::new());
    }
    Err(Fault::no_such_object("PropertyFilter", id))
}

/// RetrievePropertiesEx: the first page.
pub(super) fn retrieve(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    collector(shared, caller, call)?;
    let wanted = call.child("options").and_then(|o| o.int("maxObjects"));
    let size = match wanted {
        Some(..0) => return Err(Fault::invalid_argument("options.maxObjects")),
        Some(0) | None => shared.config.retrieve_page,
        Some(n) => usize::try_from(n).unwrap_or(usize::MAX).min(shared.config.retrieve_page),
    };
    let (specs, targets) = selected(shared, caller, call)?;
    page(shared, caller, Page { specs: Arc::new(specs), rest: targets.into(), size: size.max(1) })
}

/// The older RetrieveProperties: everything in one answer.
pub(super) fn retrieve_all(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    collector(shared, caller, call)?;
    let (specs, targets) = selected(shared, caller, call)?;
    let world = shared.world();
    let reader = Reader { world: &world, user: &caller.user, shared, secret: &caller.secret };
    let mut xml = Xml::new();
    for target in &targets {
        write_content(&reader, &specs, target, "returnval", &mut xml);
    }
    Ok(xml.into_string())
}

fn selected(shared: &Shared, caller: &Caller, call: &Node) -> Result<(Vec<Spec>, Vec<Target>), Fault> {
    let world = shared.world();
    let specs: Vec<Spec> = {
        let mut sessions = shared.sessions();
        let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
        call.all("specSet").map(|node| Spec::parse(&world, session, node)).collect::<Result<_, _>>()?
    };
    let mut targets: Vec<Target> = Vec::new();
    for spec in &specs {
        let chosen = spec.select(&world, &caller.user)?;
        targets.extend(chosen.into_iter().filter(|t| spec.paths(t).is_some()));
    }
    let mut seen = std::collections::HashSet::new();
    targets.retain(|t| seen.insert(t.clone()));
    Ok((specs, targets))
}

fn page(shared: &Shared, caller: &Caller, mut page: Page) -> Answer {
    let now: VecDeque<Target> = page.rest.drain(..page.size.min(page.rest.len())).collect();
    let mut xml = Xml::new();
    if now.is_empty() {
        return Ok(String::new());
    }
    let specs = Arc::clone(&page.specs);
    xml.open("returnval");
    if !page.rest.is_empty() {
        let token = random_uuid();
        xml.text("token", &token);
        shared.sessions().get_mut(&caller.secret).ok_or_else(gone)?.pages.insert(token, page);
    }
    let world = shared.world();
    let reader = Reader { world: &world, user: &caller.user, shared, secret: &caller.secret };
    for target in &now {
        write_content(&reader, &specs, target, "objects", &mut xml);
    }
    xml.close("returnval");
    Ok(xml.into_string())
}

fn take_page(shared: &Shared, caller: &Caller, call: &Node) -> Result<Page, Fault> {
    let token = call.str("token").unwrap_or_default();
    let taken = shared.sessions().get_mut(&caller.secret).ok_or_else(gone)?.pages.remove(token);
    taken.ok_or_else(|| Fault::invalid_property("token"))
}

pub(super) fn continue_retrieve(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    collector(shared, caller, call)?;
    let next = take_page(shared, caller, call)?;
    page(shared, caller, next)
}

pub(super) fn cancel_retrieve(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    collector(shared, caller, call)?;
    take_page(shared, caller, call)?;
    Ok(String::new())
}

/// The undocumented Fetch that pyVmomi uses: one property of one object.
pub(super) fn fetch(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let this = &call.children[0];
    let prop = call.str("prop").unwrap_or_default();
    let type_name = this.type_name.as_deref().unwrap_or_default();
    let (view, list) = {
        let mut sessions = shared.sessions();
        let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
        let id = this.text.trim();
        (session.views.get(id).cloned(), session.lists.get(id).cloned())
    };
    let world = shared.world();
    let reader = Reader { world: &world, user: &caller.user, shared, secret: &caller.secret };
    let mut xml = Xml::new();
    if let Some(view) = view {
        if !service::write_view(&reader, &view, prop, "returnval", &mut xml) {
            return Err(Fault::invalid_property(prop));
        }
        return Ok(xml.into_string());
    }
    if let Some(list) = list {
        if prop != "view" {
            return Err(Fault::invalid_property(prop));
        }
        xml.moref_array("returnval", list.members().into_iter().filter(|id| world.exists(*id)));
        return Ok(xml.into_string());
    }
    // The same checks as for a specification that asks for this one property.
    let text =
        |name: &str, text: &str| Node { name: name.to_owned(), text: text.to_owned(), ..Node::default() };
    let own_type = match crate::world::ObjId::parse(this.text.trim()) {
        Some(id) if id.kind.is_a(type_name) => id.kind.type_name(),
        _ => type_name,
    };
    let prop_set = Node {
        name: "propSet".to_owned(),
        children: vec![text("type", own_type), text("pathSet", prop)],
        ..Node::default()
    };
    let object_set = Node {
        name: "objectSet".to_owned(),
        children: vec![Node { name: "obj".to_owned(), ..this.clone() }],
        ..Node::default()
    };
    let node = Node { name: "specSet".to_owned(), children: vec![prop_set, object_set], ..Node::default() };
    let spec = {
        let mut sessions = shared.sessions();
        let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
        Spec::parse(&world, session, &node)?
    };
    for target in spec.select(&world, &caller.user)? {
        if let Target::Object(id) = &target {
            super::select::may_read(&world, &caller.user, *id, prop)?;
        }
        service::write_value(&reader, &target, prop, "returnval", &mut xml);
    }
    Ok(xml.into_string())
}
