//! The tagging service: categories, tags, and what tags are attached to.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config::User;
use crate::net::{Reply, Request};
use crate::soap::select::sees;
use crate::vcenter::Shared;
use crate::world::{Entity, ObjId, World};

use super::error::Error;
use super::session::caller;
use super::{Collection, Dialect};

/// The most objects in one call.
const MOST_OBJECTS: usize = 2000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectIds {
    object_ids: Vec<DynamicId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagIds {
    tag_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DynamicId {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

/// Who calls, when they may use the service at all.
fn user(shared: &Shared, request: &Request) -> Result<std::sync::Arc<User>, Error> {
    let user = caller(shared, request)?;
    if user.tagging { Ok(user) } else { Err(Error::unauthorized()) }
}

fn body<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Error::not_json());
    }
    serde_json::from_slice(&request.body).map_err(|error| Error::invalid_body(&error.to_string()))
}

pub(super) fn list(
    shared: &Shared,
    request: &Request,
    dialect: Dialect,
    collection: Collection,
) -> Result<Reply, Error> {
    user(shared, request)?;
    let world = shared.world();
    let ids: Vec<&String> = match collection {
        Collection::Tags => world.tags.tags.keys().collect(),
        Collection::Categories => world.tags.categories.keys().collect(),
    };
    Ok(dialect.answer(200, &json!(ids)))
}

pub(super) fn get(
    shared: &Shared,
    request: &Request,
    dialect: Dialect,
    collection: Collection,
    id: &str,
) -> Result<Reply, Error> {
    user(shared, request)?;
    let world = shared.world();
    let found = match collection {
        Collection::Tags => world.tags.tags.get(id).map(|tag| {
            json!({ "id": tag.id, "category_id": tag.category, "name": tag.name, "description": tag.description,
                "used_by": [] })
        }),
        Collection::Categories => world.tags.categories.get(id).map(|category| {
            json!({ "id": category.id, "name": category.name, "description": category.description,
                "cardinality": category.cardinality.wire(), "associable_types": category.associable_types,
                "used_by": [] })
        }),
    };
    found.map(|found| dialect.answer(200, &found)).ok_or_else(|| Error::no_such_object(id))
}

fn visible(world: &World, user: &User, id: ObjId) -> bool {
    world.get(id).is_some_and(|entity| sees(world, user, id, Entity::container(entity)))
}

/// Tags of each object that has some: objects without tags, gone ones, and those that the user may not see are left out.
pub(super) fn tags_on_objects(shared: &Shared, request: &Request, dialect: Dialect) -> Result<Reply, Error> {
    let user = user(shared, request)?;
    let asked: ObjectIds = body(request)?;
    if asked.object_ids.len() > MOST_OBJECTS {
        return Err(Error::too_many_objects(asked.object_ids.len(), MOST_OBJECTS));
    }
    let world = shared.world();
    let found = asked.object_ids.iter().filter_map(|object| {
        let id = ObjId::parse(&object.id).filter(|id| id.kind.type_name() == object.kind)?;
        let tags: Vec<&str> = world.tags.tags_of(id).map(|tag| tag.id.as_str()).collect();
        if tags.is_empty() || !visible(&world, &user, id) {
            return None;
        }
        Some(json!({ "object_id": { "id": object.id, "type": object.kind }, "tag_ids": tags }))
    });
    Ok(dialect.answer(200, &Value::Array(found.collect())))
}

/// Objects of each tag; tags that do not exist are left out.
pub(super) fn objects_on_tags(shared: &Shared, request: &Request, dialect: Dialect) -> Result<Reply, Error> {
    let user = user(shared, request)?;
    let asked: TagIds = body(request)?;
    let world = shared.world();
    let found = asked.tag_ids.iter().filter(|tag| world.tags.tags.contains_key(*tag)).map(|tag| {
        let objects = world.tags.objects_of(tag).filter(|id| visible(&world, &user, *id));
        let objects: Vec<Value> =
            objects.map(|id| json!({ "id": id.to_string(), "type": id.kind.type_name() })).collect();
        json!({ "tag_id": tag, "object_ids": objects })
    });
    Ok(dialect.answer(200, &Value::Array(found.collect())))
}
