//! Categories, tags, and what they are attached to.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::batch::in_batches;
use super::dialect::{ObjectId, Resource};
use super::{RestClient, RestError, RestErrorKind};
use crate::ids::MoRef;

/// Objects in one call. A vCenter takes 2,000; half of that keeps an answer and a repetition small.
const OBJECTS: usize = 1_000;
/// Tags in one call. Each may be attached to every object there is.
const TAGS: usize = 100;
/// Remembered names that are younger need no second look when one is looked for in vain.
const YOUNG: Duration = Duration::from_secs(300);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as the server writes it.
            #[must_use]
            pub fn new(id: &str) -> Self {
                Self(id.into())
            }

            /// The id as the server writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// Id of a tag, such as `urn:vmomi:InventoryServiceTag:…:GLOBAL`. Stays when the tag is renamed.
    TagId
}
id! {
    /// Id of a category, such as `urn:vmomi:InventoryServiceCategory:…:GLOBAL`. Stays when the category is renamed.
    CategoryId
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Tag {
    /// Its id.
    pub id: TagId,
    /// The category that it belongs to.
    pub category_id: CategoryId,
    /// Its name; unique in its category only.
    pub name: Arc<str>,
    /// What people wrote about it.
    #[serde(default)]
    pub description: String,
}

/// How many tags of a category one object may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum Cardinality {
    /// One.
    Single,
    /// Any number.
    Multiple,
    /// The server says something else.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A category of tags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Category {
    /// Its id.
    pub id: CategoryId,
    /// Its name; unique.
    pub name: Arc<str>,
    /// What people wrote about it.
    #[serde(default)]
    pub description: String,
    /// How many of its tags one object may have.
    #[serde(default)]
    pub cardinality: Cardinality,
    /// Types of objects that its tags may be attached to; none means all.
    #[serde(default)]
    pub associable_types: Vec<String>,
}

/// The tags of many objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagSnapshot {
    /// The attached tags of each object that the server answered for.
    pub attachments: Vec<(MoRef, Vec<TagId>)>,
    /// The tags in [`attachments`](Self::attachments), but those that were deleted meanwhile.
    pub tags: HashMap<TagId, Arc<Tag>>,
    /// The categories of these tags, but those that were deleted meanwhile.
    pub categories: HashMap<CategoryId, Arc<Category>>,
}

impl TagSnapshot {
    /// Names of a tag's category and of the tag, if it still exists.
    #[must_use]
    pub fn names(&self, id: &TagId) -> Option<(&Arc<str>, &Arc<str>)> {
        let tag = self.tags.get(id)?;
        Some((&self.categories.get(&tag.category_id)?.name, &tag.name))
    }
}

#[derive(Deserialize)]
struct ObjectToTags {
    object_id: ObjectId,
    tag_ids: Option<Vec<TagId>>,
}

#[derive(Deserialize)]
struct TagToObjects {
    tag_id: TagId,
    object_ids: Option<Vec<ObjectId>>,
}

type TagsAndCategories = (HashMap<TagId, Arc<Tag>>, HashMap<CategoryId, Arc<Category>>);

impl RestClient {
    /// Ids of all tags that the user may see.
    ///
    /// # Errors
    /// As every call.
    pub async fn list_tags(&self) -> Result<Vec<TagId>, RestError> {
        self.list(&Resource::Tags).await
    }

    /// Ids of all categories that the user may see.
    ///
    /// # Errors
    /// As every call.
    pub async fn list_categories(&self) -> Result<Vec<CategoryId>, RestError> {
        self.list(&Resource::Categories).await
    }

    /// These tags, but those that do not exist. Each is read once and then remembered.
    ///
    /// # Errors
    /// As every call.
    pub async fn tags(&self, ids: &[TagId]) -> Result<HashMap<TagId, Arc<Tag>>, RestError> {
        self.tags_read_since(ids, None).await
    }

    /// These categories, but those that do not exist. Each is read once and then remembered.
    ///
    /// # Errors
    /// As every call.
    pub async fn categories(
        &self,
        ids: &[CategoryId],
    ) -> Result<HashMap<CategoryId, Arc<Category>>, RestError> {
        let read = |id: CategoryId| async move { self.one(&Resource::Category(&id)).await };
        self.inner.names.categories.details(ids, None, self.inner.at_once, read).await
    }

    async fn tags_read_since(
        &self,
        ids: &[TagId],
        oldest: Option<Duration>,
    ) -> Result<HashMap<TagId, Arc<Tag>>, RestError> {
        let read = |id: TagId| async move { self.one(&Resource::Tag(&id)).await };
        self.inner.names.tags.details(ids, oldest, self.inner.at_once, read).await
    }

    /// Forgets what is known of one tag, so that it is read again.
    pub fn forget_tag(&self, id: &TagId) {
        self.inner.names.tags.forget(id);
    }

    /// Forgets what is known of one category, so that it is read again.
    pub fn forget_category(&self, id: &CategoryId) {
        self.inner.names.categories.forget(id);
    }

    /// Names of the category and of the tag for each of these tags, but those that do not exist.
    ///
    /// # Errors
    /// As every call.
    pub async fn tag_names(&self, ids: &[TagId]) -> Result<HashMap<TagId, (Arc<str>, Arc<str>)>, RestError> {
        let (tags, categories) = self.with_categories(ids).await?;
        let named = |(id, tag): (TagId, Arc<Tag>)| {
            let category = categories.get(&tag.category_id)?;
            Some((id, (category.name.clone(), tag.name.clone())))
        };
        Ok(tags.into_iter().filter_map(named).collect())
    }

    async fn with_categories(&self, ids: &[TagId]) -> Result<TagsAndCategories, RestError> {
        let tags = self.tags(ids).await?;
        let categories: HashSet<_> = tags.values().map(|tag| tag.category_id.clone()).collect();
        let categories = self.categories(&categories.into_iter().collect::<Vec<_>>()).await?;
        Ok((tags, categories))
    }

    /// All tags of this name, in whatever category.
    ///
    /// Names are looked up in what is remembered. If none is found there, tags that were read some minutes ago are read again,
    /// because one of them may have been renamed.
    ///
    /// # Errors
    /// As every call.
    pub async fn tags_named(&self, name: &str) -> Result<Vec<TagId>, RestError> {
        let ids = self.list_tags().await?;
        let existing: HashSet<_> = ids.iter().collect();
        self.inner.names.tags.retain(|id| existing.contains(id));
        for oldest in [None, Some(YOUNG)] {
            let tags = self.tags_read_since(&ids, oldest).await?;
            let found = tags.into_values().filter(|tag| *tag.name == *name);
            let mut found: Vec<_> = found.map(|tag| tag.id.clone()).collect();
            if !found.is_empty() {
                found.sort();
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// The tags of each of these objects, in their order. Objects that the server does not answer for are left out: some servers
    /// do that with objects without tags, and all do with those that are gone or that the user may not see.
    ///
    /// # Errors
    /// As every call.
    pub async fn attached_tags_on_objects(
        &self,
        objects: &[MoRef],
    ) -> Result<Vec<(MoRef, Vec<TagId>)>, RestError> {
        // A few thousand tags are attached to tens of thousands of objects: each id is kept once.
        let known = &Mutex::new(HashSet::<TagId>::new());
        in_batches(objects, OBJECTS, self.inner.at_once, |batch| async move {
            let answer: Vec<ObjectToTags> = self.list(&Resource::TagsOnObjects(batch)).await?;
            let asked: HashMap<_, _> =
                batch.iter().enumerate().map(|(at, object)| ((object.kind(), object.value()), at)).collect();
            let mut tags: Vec<Option<Vec<TagId>>> = vec![None; batch.len()];
            // Ids are inserted whole.
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            for ObjectToTags { object_id, tag_ids } in answer {
                // An answer that was not asked for is of no use.
                if let Some(&at) = asked.get(&(object_id.kind.as_str(), object_id.id.as_str())) {
                    let ids = tag_ids.unwrap_or_default();
                    let place = tags[at].get_or_insert_with(|| Vec::with_capacity(ids.len()));
                    for id in ids {
                        let shared = known.get(&id).cloned();
                        place.push(shared.unwrap_or_else(|| {
                            known.insert(id.clone());
                            id
                        }));
                    }
                }
            }
            let tidy = |(object, tags): (&MoRef, Option<Vec<TagId>>)| {
                let mut tags = tags?;
                tags.sort();
                tags.dedup();
                Some((object.clone(), tags))
            };
            Ok(batch.iter().zip(tags).filter_map(tidy).collect())
        })
        .await
    }

    /// The objects that have each of these tags, in the order of the tags. Tags that are gone, and objects that the user may
    /// not see, are left out.
    ///
    /// # Errors
    /// As every call.
    pub async fn attached_objects_on_tags(
        &self,
        tags: &[TagId],
    ) -> Result<Vec<(TagId, Vec<MoRef>)>, RestError> {
        in_batches(tags, TAGS, self.inner.at_once, |batch| async move {
            let answer: Vec<TagToObjects> = self.list(&Resource::ObjectsOnTags(batch)).await?;
            let mut objects: HashMap<TagId, Vec<MoRef>> = HashMap::with_capacity(answer.len());
            for TagToObjects { tag_id, object_ids } in answer {
                let ids = object_ids.unwrap_or_default();
                objects.entry(tag_id).or_default().extend(ids.iter().map(|id| MoRef::new(&id.kind, &id.id)));
            }
            let tidy = |tag: &TagId| {
                let (tag, mut objects) = objects.remove_entry(tag)?;
                objects.sort();
                objects.dedup();
                Some((tag, objects))
            };
            Ok(batch.iter().filter_map(tidy).collect())
        })
        .await
    }

    /// The tags of all these objects, with their names and categories.
    ///
    /// # Errors
    /// As every call.
    pub async fn read_all(&self, objects: &[MoRef]) -> Result<TagSnapshot, RestError> {
        let attachments = self.attached_tags_on_objects(objects).await?;
        let ids: HashSet<_> = attachments.iter().flat_map(|(_, tags)| tags).cloned().collect();
        let (tags, categories) = self.with_categories(&ids.into_iter().collect::<Vec<_>>()).await?;
        Ok(TagSnapshot { attachments, tags, categories })
    }

    async fn list<T: DeserializeOwned>(&self, what: &Resource<'_>) -> Result<Vec<T>, RestError> {
        Ok(self.call(what).await?.unwrap_or_default())
    }

    async fn one<T: DeserializeOwned>(&self, what: &Resource<'_>) -> Result<T, RestError> {
        self.call(what).await?.ok_or_else(|| self.empty(what))
    }

    fn empty(&self, what: &Resource<'_>) -> RestError {
        let reason = "it is empty".to_owned();
        self.inner.api.error(what.name(), RestErrorKind::Unreadable { reason, incomplete: false })
    }
}
