//! Errors as the vAPI endpoint of a vCenter writes them: the same content in two envelopes.

use serde_json::json;

use crate::net::{Reply, Request};

use super::Dialect;

const CHALLENGE: &str = "Basic realm=\"VAPI endpoint\",SIGN realm=simulator,service=\"VAPI endpoint\"";

/// Why a call was refused.
#[derive(Debug)]
pub(crate) struct Error {
    status: u16,
    /// As `/api` writes it; `/rest` has it in lower case in a name of its own.
    kind: &'static str,
    id: &'static str,
    message: String,
    args: Vec<String>,
}

impl Error {
    fn new(status: u16, kind: &'static str, id: &'static str, message: &str) -> Self {
        Self { status, kind, id, message: message.to_owned(), args: Vec::new() }
    }

    fn about(mut self, what: &str) -> Self {
        self.args.push(what.to_owned());
        self
    }

    /// No session, or one that has ended, or wrong credentials: vCenter does not tell which.
    pub(super) fn unauthenticated() -> Self {
        let id = "com.vmware.vapi.endpoint.method.authentication.required";
        Self::new(401, "UNAUTHENTICATED", id, "Authentication required.")
    }

    pub(super) fn too_many_sessions(limit: usize) -> Self {
        let message = format!("User session count is limited to {limit}.");
        let id = "com.vmware.vapi.endpoint.session.limit";
        Self::new(503, "SERVICE_UNAVAILABLE", id, &message).about(&limit.to_string())
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(403, "UNAUTHORIZED", "vapi.security.authorization.invalid", "Unable to authorize user")
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        Self::new(404, "NOT_FOUND", "com.vmware.vapi.rest.httpNotFound", "Not found.").about(path)
    }

    pub(super) fn no_such_operation(request: &Request) -> Self {
        let id = "com.vmware.vapi.rest.operationsForUrlNotFound";
        Self::new(404, "OPERATION_NOT_FOUND", id, "There is no such operation at this path.")
            .about(&request.method)
            .about(&request.path)
    }

    pub(super) fn no_such_object(id: &str) -> Self {
        let message = format!("Tagging object with ID {id} was not found");
        Self::new(404, "NOT_FOUND", "cis.tagging.objectNotFound.error", &message).about(id)
    }

    pub(super) fn not_json() -> Self {
        let id = "com.vmware.vapi.rest.unsupportedMediaType";
        Self::new(415, "INVALID_REQUEST", id, "The content type must be application/json.")
    }

    pub(super) fn invalid_body(why: &str) -> Self {
        let message = format!("The request body cannot be converted: {why}");
        Self::new(400, "INVALID_ARGUMENT", "com.vmware.vapi.rest.invalidBody", &message).about(why)
    }

    pub(super) fn too_many_objects(count: usize, most: usize) -> Self {
        let message = format!("{count} objects were given, more than the {most} that are allowed");
        Self::new(400, "INVALID_ARGUMENT", "cis.tagging.invalidArgument.tooMany.error", &message)
            .about(&count.to_string())
    }

    /// The error that a fault rule asks for by the name of a SOAP fault.
    pub(crate) fn by_rule(name: &str) -> Self {
        let message = format!("{name} by fault rule");
        match name {
            "NotAuthenticated" | "InvalidLogin" => Self { message, ..Self::unauthenticated() },
            "NoPermission" => Self { message, ..Self::unauthorized() },
            "ManagedObjectNotFound" | "NotFound" => Self { message, ..Self::no_such_object(name) },
            _ => Self::new(500, "INTERNAL_SERVER_ERROR", "vapi.bindings.method.impl.unexpected", &message),
        }
    }

    pub(crate) fn reply(&self, dialect: Dialect) -> Reply {
        let messages = json!([{ "args": self.args, "default_message": self.message, "id": self.id }]);
        let unauthenticated = self.status == 401;
        let mut reply = match dialect {
            Dialect::Modern => {
                let mut body = json!({ "error_type": self.kind, "messages": messages });
                if unauthenticated {
                    body["challenge"] = CHALLENGE.into();
                }
                Reply::json(self.status, &body)
            }
            Dialect::Legacy => {
                let kind = format!("com.vmware.vapi.std.errors.{}", self.kind.to_ascii_lowercase());
                Reply::json(self.status, &json!({ "type": kind, "value": { "messages": messages } }))
            }
        };
        if unauthenticated {
            reply.header("www-authenticate", CHALLENGE);
        }
        reply
    }
}
