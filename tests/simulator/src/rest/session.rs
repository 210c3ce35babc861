//! Sessions of the REST interface. They share the limits of the SOAP sessions, but neither opens the other's door.

use std::sync::Arc;

use serde_json::json;

use crate::config::User;
use crate::net::{Reply, Request};
use crate::vcenter::Shared;

use super::Dialect;
use super::error::Error;

const HEADER: &str = "vmware-api-session-id";

/// The session that a request shows.
pub(crate) fn shown(request: &Request) -> Option<String> {
    if let Some(secret) = request.header(HEADER) {
        return Some(secret.to_owned());
    }
    // Browsers get a cookie from the older interface, for that one.
    if Dialect::of(&request.path) == Dialect::Modern {
        return None;
    }
    let pairs = request.header("cookie")?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.filter(|(name, _)| *name == HEADER).map(|(_, value)| value.to_owned()).next_back()
}

/// Who calls. The session counts as used.
pub(super) fn caller(shared: &Shared, request: &Request) -> Result<Arc<User>, Error> {
    let secret = shown(request).ok_or_else(Error::unauthenticated)?;
    let now = shared.world().now();
    let name = {
        let mut sessions = shared.sessions();
        let name = sessions.begin(&secret, true, now).map(|s| s.user.clone());
        sessions.end(&secret);
        name.ok_or_else(Error::unauthenticated)?
    };
    shared.user(&name).ok_or_else(Error::unauthenticated)
}

pub(super) fn create(shared: &Shared, request: &Request, dialect: Dialect) -> Result<Reply, Error> {
    let Some((name, password)) = request.basic_auth() else { return Err(Error::unauthenticated()) };
    let now = shared.world().now();
    let allowed = shared.authenticate(&name, &password);
    let mut sessions = shared.sessions();
    if !allowed {
        sessions.refused();
        return Err(Error::unauthenticated());
    }
    let agent = request.header("user-agent").unwrap_or_default();
    let secret = sessions
        .open(&name, agent, true, now)
        .ok_or_else(|| Error::too_many_sessions(shared.config.max_sessions))?;
    let mut reply = dialect.answer(201, &json!(secret));
    match dialect {
        Dialect::Modern => reply.header(HEADER, &secret),
        Dialect::Legacy => {
            reply.header("set-cookie", &format!("{HEADER}={secret};Path=/rest;Secure;HttpOnly"));
        }
    }
    Ok(reply)
}

pub(super) fn get(shared: &Shared, request: &Request, dialect: Dialect) -> Result<Reply, Error> {
    caller(shared, request)?;
    let secret = shown(request).ok_or_else(Error::unauthenticated)?;
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&secret).ok_or_else(Error::unauthenticated)?;
    let told = json!({
        "user": session.user,
        "created_time": session.login.to_string(),
        "last_accessed_time": session.last.to_string(),
    });
    Ok(dialect.answer(200, &told))
}

pub(super) fn delete(shared: &Shared, request: &Request, dialect: Dialect) -> Result<Reply, Error> {
    caller(shared, request)?;
    let secret = shown(request).ok_or_else(Error::unauthenticated)?;
    shared.sessions().logout(&secret);
    Ok(dialect.done())
}
