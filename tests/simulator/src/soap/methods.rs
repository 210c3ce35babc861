//! Methods of the service and its sessions and views.

use std::sync::Arc;

use crate::net::Request;
use crate::vcenter::Shared;
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::select::{object, sees};
use super::session::{View, random_uuid};
use super::{Answer, Caller, service, session_cookie};

/// What came of a log-in.
pub(crate) enum Login {
    /// A session was opened.
    Done { secret: String, answer: String },
    /// There are too many sessions.
    Full,
}

pub(super) fn service_content(shared: &Shared, call: &Node) -> Answer {
    let this = call.children[0].text.trim();
    if this != "ServiceInstance" {
        return Err(Fault::no_such_object("ServiceInstance", this));
    }
    let mut xml = Xml::new();
    xml.open("returnval");
    service::service_content(shared.config.version, &shared.world(), &mut xml);
    xml.close("returnval");
    Ok(xml.into_string())
}

pub(super) fn login(shared: &Shared, request: &Request, call: &Node) -> Result<Login, Fault> {
    let name = call.str("userName").unwrap_or_default();
    let password = call.str("password").unwrap_or_default();
    let now = shared.world().now();
    let already = session_cookie(request);
    let mut sessions = shared.sessions();
    sessions.expire();
    let logged_in = already.is_some_and(|secret| sessions.get_mut(&secret).is_some());
    if logged_in || !shared.authenticate(name, password) {
        sessions.refused();
        return Err(Fault::invalid_login());
    }
    let agent = request.header("user-agent").unwrap_or_default();
    let Some(secret) = sessions.open(name, agent, false, now) else { return Ok(Login::Full) };
    let mut xml = Xml::new();
    xml.open("returnval");
    if let Some(session) = sessions.get_mut(&secret) {
        service::user_session(session, &mut xml);
    }
    xml.close("returnval");
    Ok(Login::Done { secret, answer: xml.into_string() })
}

/// Everything small.
pub(super) fn other(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    match call.name.as_str() {
        "Logout" => {
            shared.sessions().logout(&caller.secret);
            Ok(String::new())
        }
        "CurrentTime" => {
            let mut xml = Xml::new();
            xml.val("returnval", shared.world().now());
            Ok(xml.into_string())
        }
        "SessionIsActive" => session_is_active(shared, caller, call),
        "TerminateSession" => terminate(shared, caller, call),
        "CreateContainerView" => create_view(shared, caller, call),
        // The shape check let it through, so it has a row there and must have one here.
        name => Err(Fault::new("NotSupported", &format!("The simulator does not implement {name}"))),
    }
}

fn session_is_active(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    if !caller.user.has("Sessions.ValidateSession") {
        let root = shared.world().root;
        return Err(Fault::no_permission(root, "Sessions.ValidateSession"));
    }
    let (key, user) = (call.str("sessionID"), call.str("userName"));
    let active =
        shared.sessions().all().any(|s| Some(s.key.as_str()) == key && Some(s.user.as_str()) == user);
    Ok(format!("<returnval>{active}</returnval>"))
}

fn terminate(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    if !caller.user.has("Sessions.TerminateSession") {
        return Err(Fault::no_permission_on("SessionManager", "SessionManager", "Sessions.TerminateSession"));
    }
    for id in call.all("sessionId") {
        let own = shared.sessions().get_mut(&caller.secret).is_some_and(|s| s.key == id.text);
        if own {
            return Err(Fault::invalid_argument("sessionId"));
        }
        if !shared.sessions().terminate_key(&id.text) {
            return Err(Fault::new("NotFound", "The object or item referred to could not be found."));
        }
    }
    Ok(String::new())
}

fn create_view(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let world = shared.world();
    let node = call.child("container").ok_or_else(|| Fault::invalid_argument("container"))?;
    let container = object(&world, node)?;
    let can_contain = container.kind.is_folder()
        || ["Datacenter", "ComputeResource", "ResourcePool", "HostSystem"]
            .iter()
            .any(|t| container.kind.is_a(t));
    if !can_contain {
        return Err(Fault::invalid_argument("container"));
    }
    let visible = container == world.root || {
        let at = world.get(container).and_then(crate::world::Entity::container);
        sees(&world, &caller.user, container, at)
    };
    if !visible {
        return Err(Fault::no_permission(container, "System.View"));
    }
    let types: Vec<String> = call.all("type").map(|t| t.text.trim().to_owned()).collect();
    if let Some(unknown) = types.iter().find(|t| !crate::props::is_known_type(t)) {
        return Err(Fault::invalid_type(unknown));
    }
    let view = View { container, types, recursive: call.bool("recursive") };
    let mut sessions = shared.sessions();
    let session = sessions
        .get_mut(&caller.secret)
        .ok_or_else(|| Fault::not_authenticated("ViewManager", "ViewManager"))?;
    let id = format!("session[{}]{}", session.key, random_uuid());
    session.views.insert(id.clone(), Arc::new(view));
    let mut xml = Xml::new();
    xml.named_ref("returnval", "ContainerView", &id);
    Ok(xml.into_string())
}
