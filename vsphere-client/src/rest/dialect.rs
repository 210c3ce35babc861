//! The two forms of the REST interface: how each writes a request and an answer.

use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{CategoryId, RestError, TagId};
use crate::http::{Answer, Api};
use crate::ids::MoRef;
use crate::xml::shorten_line;

/// A form of the REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `/api`: bare answers.
    Modern,
    /// `/rest/com/vmware/cis`: answers in an envelope.
    Legacy,
}

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Resource<'a> {
    /// The session itself.
    Session,
    /// Ids of all categories.
    Categories,
    /// One category.
    Category(&'a CategoryId),
    /// Ids of all tags.
    Tags,
    /// One tag.
    Tag(&'a TagId),
    /// Tags of each of these objects.
    TagsOnObjects(&'a [MoRef]),
    /// Objects that have each of these tags.
    ObjectsOnTags(&'a [TagId]),
}

impl Resource<'_> {
    /// Whether a server that speaks the dialect has it for sure.
    pub(super) fn must_exist(&self) -> bool {
        !matches!(self, Self::Category(_) | Self::Tag(_))
    }

    /// What it is, for errors that are not about one request.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Session => "read the session",
            Self::Categories => "list the categories",
            Self::Category(_) => "read a category",
            Self::Tags => "list the tags",
            Self::Tag(_) => "read a tag",
            Self::TagsOnObjects(_) => "read the tags of objects",
            Self::ObjectsOnTags(_) => "read the objects of tags",
        }
    }
}

/// A managed object reference as REST writes it.
#[derive(Debug, Deserialize)]
pub(super) struct ObjectId {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) id: String,
}

#[derive(Serialize)]
struct AskedObject<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct Objects<'a> {
    object_ids: Vec<AskedObject<'a>>,
}

#[derive(Serialize)]
struct Tags<'a> {
    tag_ids: &'a [TagId],
}

#[derive(Deserialize)]
struct Envelope<T> {
    value: Option<T>,
}

impl Dialect {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Modern => Self::Legacy,
            Self::Legacy => Self::Modern,
        }
    }

    fn base(self) -> &'static [&'static str] {
        match self {
            Self::Modern => &["api"],
            Self::Legacy => &["rest", "com", "vmware", "cis"],
        }
    }

    /// A request for the session: `POST` makes one, `DELETE` ends it.
    pub(super) fn session(self, api: &Api, method: Method) -> Result<(String, RequestBuilder), RestError> {
        self.build(api, method, &["session"], None)
    }

    /// The request that reads `what`, and its name in errors.
    pub(super) fn request(
        self,
        api: &Api,
        what: &Resource<'_>,
    ) -> Result<(String, RequestBuilder), RestError> {
        let tagging: &[&str] = match self {
            Self::Modern => &["cis", "tagging"],
            Self::Legacy => &["tagging"],
        };
        let path = |rest: &[&'static str]| [tagging, rest].concat();
        match what {
            Resource::Session => match self {
                Self::Modern => self.session(api, Method::GET),
                Self::Legacy => self.build(api, Method::POST, &["session"], Some("get")),
            },
            Resource::Categories => self.build(api, Method::GET, &path(&["category"]), None),
            Resource::Tags => self.build(api, Method::GET, &path(&["tag"]), None),
            Resource::Category(id) => self.one(api, &path(&["category"]), id.as_str()),
            Resource::Tag(id) => self.one(api, &path(&["tag"]), id.as_str()),
            Resource::TagsOnObjects(objects) => {
                let action = Some("list-attached-tags-on-objects");
                let (name, request) = self.build(api, Method::POST, &path(&["tag-association"]), action)?;
                let object_ids = objects
                    .iter()
                    .map(|object| AskedObject { kind: object.kind(), id: object.value() })
                    .collect();
                Ok((name, request.json(&Objects { object_ids })))
            }
            Resource::ObjectsOnTags(tag_ids) => {
                let action = Some("list-attached-objects-on-tags");
                let (name, request) = self.build(api, Method::POST, &path(&["tag-association"]), action)?;
                Ok((name, request.json(&Tags { tag_ids })))
            }
        }
    }

    fn one(self, api: &Api, path: &[&str], id: &str) -> Result<(String, RequestBuilder), RestError> {
        let id = match self {
            Self::Modern => id.to_owned(),
            Self::Legacy => format!("id:{id}"),
        };
        self.build(api, Method::GET, &[path, &[&id]].concat(), None)
    }

    fn build(
        self,
        api: &Api,
        method: Method,
        path: &[&str],
        action: Option<&str>,
    ) -> Result<(String, RequestBuilder), RestError> {
        let mut url = api.url(self.base().iter().chain(path).copied())?;
        let mut name = format!("{method} {}", shorten_line(url.path()));
        if let Some(action) = action {
            let key = match self {
                Self::Modern => "action",
                Self::Legacy => "~action",
            };
            url.set_query(Some(&format!("{key}={action}")));
            name = format!("{name}?{key}={action}");
        }
        let request = api.http().request(method, url).header("accept", "application/json");
        Ok((name, request))
    }

    /// Reads an answer. Empty ones are `None`: lists of nothing come as `null` from some servers.
    pub(super) fn read<T: DeserializeOwned>(self, answer: &Answer) -> Result<Option<T>, RestError> {
        match self {
            Self::Modern => answer.json::<Option<T>>(),
            Self::Legacy => Ok(answer.json::<Envelope<T>>()?.value),
        }
    }
}

/// Whether the server says that it does not know such a path, rather than that the thing asked for is not there.
pub(super) fn is_unknown_path(answer: &Answer) -> bool {
    const NO_SUCH_PATH: [&str; 3] = ["operationsForUrlNotFound", "httpNotFound", "input.invalid.interface"];
    let message = answer.message();
    let says_so = || message.ids.iter().any(|id| NO_SUCH_PATH.iter().any(|said| id.ends_with(said)));
    match answer.status() {
        404 => message.code.as_deref().is_none_or(|code| code == "OPERATION_NOT_FOUND") || says_so(),
        400 => message.code.as_deref() == Some("OPERATION_NOT_FOUND") || says_so(),
        405 | 501 => true,
        _ => false,
    }
}
