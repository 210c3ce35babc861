//! How requests and answers are written: JSON with a target header, CBOR, forms answered by XML, and JSON over REST.
//!
//! Whatever the protocol, the rest of the simulator sees JSON values: members by the names of the service model, points
//! in time as seconds since 1970.

use serde_json::{Map, Value, json};

use crate::net::{Reply, Request};
use crate::soap::session::random_uuid;

use super::cbor;
use super::error::Error;
use super::model::{Kind, Model, Models, Shape};
use super::query;

/// The services that are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Sts,
    Ssm,
    Tagging,
    SecurityHub,
    Groups,
}

impl Service {
    /// The service in credential scopes, fault rules and counters.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::Ssm => "ssm",
            Self::Tagging => "tagging",
            Self::SecurityHub => "securityhub",
            Self::Groups => "resource-groups",
        }
    }
}

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// `awsJson1.1`: the operation in `X-Amz-Target`.
    Json,
    /// `smithy-rpc-v2-cbor`: the operation in the path.
    Cbor,
    /// `awsQuery`: a form, answered by XML.
    Query,
    /// `restJson1`: method and path are the operation.
    Rest,
}

impl Protocol {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Cbor => "application/cbor",
            Self::Query => "text/xml",
            Self::Rest => "application/json",
        }
    }

    fn reply(self, status: u16, body: Vec<u8>) -> Reply {
        let mut reply = Reply::text(status, self.content_type(), String::new());
        reply.steps = vec![crate::net::Step::Data(body.into())];
        reply.header("x-amzn-requestid", &random_uuid());
        if self == Self::Cbor {
            reply.header("smithy-protocol", "rpc-v2-cbor");
        }
        reply
    }

    /// An error with this code in the form of the protocol.
    pub(crate) fn error(self, status: u16, code: &str, message: &str) -> Reply {
        self.fail(&Error { status, code: code.to_owned(), message: message.to_owned(), members: Map::new() })
    }

    pub(crate) fn fail(self, error: &Error) -> Reply {
        let mut body = error.members.clone();
        // Some services write the member with a capital; clients must take both. Here the model decides.
        let message = if body.contains_key("Message") { "Message" } else { "message" };
        if !error.message.is_empty() {
            body.insert(message.to_owned(), error.message.clone().into());
        }
        match self {
            Self::Json => {
                body.insert("__type".to_owned(), error.code.clone().into());
                self.reply(error.status, Value::Object(body).to_string().into_bytes())
            }
            Self::Cbor => {
                let shape = format!("com.amazonaws.resourcegroupstaggingapi#{}", error.code);
                body.insert("__type".to_owned(), shape.into());
                self.reply(error.status, cbor::encode(&Value::Object(body)))
            }
            Self::Rest => {
                let mut reply = self.reply(error.status, Value::Object(body).to_string().into_bytes());
                reply.header("x-amzn-errortype", &error.code);
                reply
            }
            Self::Query => self.reply(error.status, query::error(error).into_bytes()),
        }
    }

    /// A good answer. `model` and `operation` say how XML is to be wrapped.
    pub(crate) fn answer(self, model: &Model, operation: &str, value: &Value) -> Reply {
        match self {
            Self::Json | Self::Rest => self.reply(200, value.to_string().into_bytes()),
            Self::Cbor => self.reply(200, cbor::encode(value)),
            Self::Query => self.reply(200, query::answer(model, operation, value).into_bytes()),
        }
    }
}

/// What a request asks for, before anything was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) service: Service,
    pub(crate) protocol: Protocol,
    /// As the client wrote it; it need not exist.
    pub(crate) operation: String,
}

const SSM_TARGET: &str = "AmazonSSM";
const TAGGING_TARGET: &str = "ResourceGroupsTaggingAPI_20170126";

/// Where a request goes. `None` when no service is meant in any way that can be seen.
pub(crate) fn route(request: &Request, models: &Models) -> Option<Route> {
    let route = |service, protocol, operation: &str| {
        Some(Route { service, protocol, operation: operation.to_owned() })
    };
    if let Some(target) = request.header("x-amz-target") {
        let (prefix, operation) = target.split_once('.')?;
        return match prefix {
            SSM_TARGET => route(Service::Ssm, Protocol::Json, operation),
            TAGGING_TARGET => route(Service::Tagging, Protocol::Json, operation),
            _ => None,
        };
    }
    if let Some(rest) = request.path.strip_prefix("/service/") {
        let (service, operation) = rest.split_once("/operation/")?;
        return match service {
            TAGGING_TARGET => route(Service::Tagging, Protocol::Cbor, operation),
            _ => None,
        };
    }
    if request.path != "/" {
        let found = [Service::SecurityHub, Service::Groups].into_iter().find_map(|service| {
            let mut operations = models.of(service).operations.iter();
            let (name, _) = operations.find(|(_, operation)| {
                operation.http.method == request.method && label(&operation.http.uri, &request.path).is_some()
            })?;
            Some((service, name.clone()))
        });
        let (service, name) =
            found.unwrap_or_else(|| (Service::SecurityHub, format!("{} {}", request.method, request.path)));
        return route(service, Protocol::Rest, &name);
    }
    let form = std::str::from_utf8(&request.body).ok()?;
    let action = Request::parameters(form).find(|(name, _)| name == "Action").map(|(_, value)| value)?;
    route(Service::Sts, Protocol::Query, &action)
}

/// The input of a call as a JSON value; what cannot be read is the error that the service would send.
pub(crate) fn input(route: &Route, request: &Request, model: &Model) -> Result<Value, Error> {
    let unreadable = |text: &str| Error::new(400, "SerializationException", text);
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let posted = request.method == "POST" && request.query.is_empty();
    let value = match route.protocol {
        Protocol::Json => {
            if kind != route.protocol.content_type() || !posted || request.path != "/" {
                return Err(Error::new(404, "UnknownOperationException", ""));
            }
            json_body(&request.body).ok_or_else(|| unreadable("the body is not JSON"))?
        }
        Protocol::Cbor => {
            if request.header("smithy-protocol") != Some("rpc-v2-cbor") || !posted {
                return Err(Error::new(404, "UnknownOperationException", ""));
            }
            if request.body.is_empty() {
                json!({})
            } else {
                cbor::decode(&request.body).ok_or_else(|| unreadable("the body is not CBOR"))?
            }
        }
        Protocol::Query => {
            if kind != "application/x-www-form-urlencoded" || !posted {
                return Err(Error::new(400, "MalformedQueryString", "the body is no form"));
            }
            let form = std::str::from_utf8(&request.body)
                .map_err(|_| Error::new(400, "MalformedQueryString", "the body is no text"))?;
            return query::input(model, &route.operation, form);
        }
        Protocol::Rest if request.method == "GET" => {
            let operation = model.operations.get(&route.operation);
            let shape = operation.and_then(|operation| model.shapes.get(operation.input.as_ref()?));
            let mut members: Map<String, Value> = Request::parameters(&request.query)
                .map(|(name, value)| {
                    let value = typed(model, shape, &name, value);
                    (name, value)
                })
                .collect();
            let label = operation.and_then(|operation| label(&operation.http.uri, &request.path)).flatten();
            members.extend(label.map(|(name, value)| (name.to_owned(), Value::String(value))));
            Value::Object(members)
        }
        Protocol::Rest => {
            if kind != "application/json" {
                return Err(Error::new(415, "UnsupportedMediaTypeException", "the body is not JSON"));
            }
            json_body(&request.body).ok_or_else(|| unreadable("the body is not JSON"))?
        }
    };
    if value.is_object() { Ok(value) } else { Err(unreadable("the body is not a structure")) }
}

/// What the label of an address such as `/get/{Name+}` is in a path, with its name; `None`: the path is another one.
fn label<'a>(uri: &'a str, path: &str) -> Option<Option<(&'a str, String)>> {
    let Some((before, name)) = uri.split_once('{') else { return (uri == path).then_some(None) };
    let rest = path.strip_prefix(before).filter(|rest| !rest.is_empty())?;
    let value = percent_encoding::percent_decode_str(rest).decode_utf8().ok()?;
    Some(Some((name.trim_end_matches(['}', '+']), value.into_owned())))
}

/// A parameter of an address as a value of the type that the model has for it.
fn typed(model: &Model, shape: Option<&Shape>, name: &str, value: String) -> Value {
    let member = shape.and_then(|shape| model.shapes.get(&shape.members.get(name)?.shape));
    match member.map(|member| member.kind) {
        Some(Kind::Integer | Kind::Long) => value.parse::<i64>().map_or(Value::String(value), Value::from),
        _ => Value::String(value),
    }
}

fn json_body(body: &[u8]) -> Option<Value> {
    if body.is_empty() { Some(json!({})) } else { serde_json::from_slice(body).ok() }
}
