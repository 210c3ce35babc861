//! The REST side of a vCenter: sessions and tagging, under `/api` and under the older `/rest`.
//!
//! Both speak of the same things and differ in paths, in how ids and actions are written, and in the envelope around
//! answers. What a real vCenter refuses is refused here with the same kind of error: see [`error`].

pub(crate) mod error;
pub(crate) mod session;
mod tagging;

use crate::net::{Reply, Request};
use crate::vcenter::Shared;

use self::error::Error;

/// How requests and answers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `/api`, since 7.0: bare answers.
    Modern,
    /// `/rest/com/vmware/cis`: answers in `{"value": …}`.
    Legacy,
}

impl Dialect {
    /// The dialect of a path, whether or not there is something at the path.
    pub(crate) fn of(path: &str) -> Self {
        if path.starts_with("/rest/") { Self::Legacy } else { Self::Modern }
    }

    fn action_key(self) -> &'static str {
        match self {
            Self::Modern => "action",
            Self::Legacy => "~action",
        }
    }

    /// A good answer with content.
    fn answer(self, status: u16, value: &serde_json::Value) -> Reply {
        match self {
            Self::Modern => Reply::json(status, value),
            // Everything that worked is 200 here.
            Self::Legacy => Reply::json(200, &serde_json::json!({ "value": value })),
        }
    }

    /// A good answer without content.
    fn done(self) -> Reply {
        Reply::empty(if self == Self::Modern { 204 } else { 200 })
    }
}

/// What there are lists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collection {
    Tags,
    Categories,
}

impl Collection {
    fn name(self) -> &'static str {
        match self {
            Self::Tags => "tag",
            Self::Categories => "category",
        }
    }
}

/// What is at a path.
#[derive(Debug, PartialEq, Eq)]
enum Resource {
    Session,
    List(Collection),
    One(Collection, String),
    Association,
}

fn resource(path: &str) -> Option<(Dialect, Resource)> {
    let (dialect, rest) = match path.strip_prefix("/api/") {
        Some(rest) => (Dialect::Modern, rest),
        None => (Dialect::Legacy, path.strip_prefix("/rest/com/vmware/cis/")?),
    };
    if rest == "session" {
        return Some((dialect, Resource::Session));
    }
    let rest = if dialect == Dialect::Modern { rest.strip_prefix("cis/")? } else { rest };
    let resource = match rest.strip_prefix("tagging/")? {
        "tag" => Resource::List(Collection::Tags),
        "category" => Resource::List(Collection::Categories),
        "tag-association" => Resource::Association,
        one => {
            let (collection, id) = one.split_once('/')?;
            let collection = match collection {
                "tag" => Collection::Tags,
                "category" => Collection::Categories,
                _ => return None,
            };
            let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
            let id = if dialect == Dialect::Legacy { id.strip_prefix("id:")? } else { &*id };
            if id.is_empty() || id.contains('/') {
                return None;
            }
            Resource::One(collection, id.to_owned())
        }
    };
    Some((dialect, resource))
}

/// What a call is named in counters and fault rules: method, path with ids replaced, and the action.
pub(crate) fn operation(request: &Request) -> String {
    let (method, path) = (&request.method, &request.path);
    match resource(path) {
        Some((dialect, Resource::One(collection, _))) => {
            let (base, id) = match dialect {
                Dialect::Modern => ("/api/cis", "{id}"),
                Dialect::Legacy => ("/rest/com/vmware/cis", "id:{id}"),
            };
            format!("{method} {base}/tagging/{}/{id}", collection.name())
        }
        Some((dialect, _)) => match request.parameter(dialect.action_key()) {
            Some(action) => format!("{method} {path}?{}={action}", dialect.action_key()),
            None => format!("{method} {path}"),
        },
        None => format!("{method} {path}"),
    }
}

/// Answers a REST call.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Reply {
    let in_api = request.path == "/api" || request.path.starts_with("/api/");
    if !(in_api && shared.config.version.has_api() || request.path.starts_with("/rest/")) {
        // Nobody who speaks vAPI listens there.
        return Reply::text(404, "text/html", "<html><body><h1>404 Not Found</h1></body></html>".to_owned());
    }
    let Some((dialect, resource)) = resource(&request.path) else {
        return Error::no_such_path(&request.path).reply(Dialect::of(&request.path));
    };
    answer(shared, request, dialect, &resource).unwrap_or_else(|error| error.reply(dialect))
}

fn answer(shared: &Shared, request: &Request, dialect: Dialect, resource: &Resource) -> Result<Reply, Error> {
    let action = request.parameter(dialect.action_key());
    match (request.method.as_str(), resource, action.as_deref()) {
        ("POST", Resource::Session, None) => session::create(shared, request, dialect),
        ("GET", Resource::Session, None) => session::get(shared, request, dialect),
        ("POST", Resource::Session, Some("get")) if dialect == Dialect::Legacy => {
            session::get(shared, request, dialect)
        }
        ("DELETE", Resource::Session, None) => session::delete(shared, request, dialect),
        ("GET", Resource::List(collection), None) => tagging::list(shared, request, dialect, *collection),
        ("GET", Resource::One(collection, id), None) => {
            tagging::get(shared, request, dialect, *collection, id)
        }
        ("POST", Resource::Association, Some("list-attached-tags-on-objects")) => {
            tagging::tags_on_objects(shared, request, dialect)
        }
        ("POST", Resource::Association, Some("list-attached-objects-on-tags")) => {
            tagging::objects_on_tags(shared, request, dialect)
        }
        _ => Err(Error::no_such_operation(request)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_writes_ids_in_its_own_way() {
        let id = "urn:vmomi:InventoryServiceTag:1:GLOBAL";
        let tag = |dialect| Some((dialect, Resource::One(Collection::Tags, id.to_owned())));
        assert_eq!(resource(&format!("/api/cis/tagging/tag/{id}")), tag(Dialect::Modern));
        let encoded = id.replace(':', "%3A");
        assert_eq!(resource(&format!("/api/cis/tagging/tag/{encoded}")), tag(Dialect::Modern));
        assert_eq!(resource(&format!("/rest/com/vmware/cis/tagging/tag/id:{id}")), tag(Dialect::Legacy));
        assert_eq!(resource(&format!("/rest/com/vmware/cis/tagging/tag/{id}")), None);
        assert_eq!(resource("/api/cis/tagging/tag/"), None);
        assert_eq!(resource("/api/com/vmware/cis/session"), None);
        assert_eq!(resource("/rest/session"), None);
    }
}
