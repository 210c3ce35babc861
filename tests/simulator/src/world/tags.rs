//! Categories, tags and what they are attached to.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::ObjId;

/// How many tags of a category one object may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cardinality {
    Single,
    Multiple,
}

impl Cardinality {
    pub(crate) fn wire(self) -> &'static str {
        match self {
            Self::Single => "SINGLE",
            Self::Multiple => "MULTIPLE",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Category {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) cardinality: Cardinality,
    /// Empty: any type.
    pub(crate) associable_types: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) id: String,
    pub(crate) category: String,
    pub(crate) name: String,
    pub(crate) description: String,
}

/// Why the tagging service refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TagError {
    NotFound,
    AlreadyExists,
    /// Cardinality or associable type does not allow it.
    InvalidArgument,
}

/// All of the tagging service's data.
#[derive(Debug, Default)]
pub(crate) struct TagStore {
    pub(crate) categories: BTreeMap<String, Category>,
    pub(crate) tags: BTreeMap<String, Tag>,
    by_tag: BTreeMap<String, BTreeSet<ObjId>>,
    by_object: BTreeMap<ObjId, BTreeSet<String>>,
}

impl TagStore {
    pub(crate) fn create_category(
        &mut self,
        uuid: Uuid,
        name: &str,
        description: &str,
        cardinality: Cardinality,
        associable_types: Vec<String>,
    ) -> Result<String, TagError> {
        if name.is_empty() {
            return Err(TagError::InvalidArgument);
        }
        if self.categories.values().any(|c| c.name.eq_ignore_ascii_case(name)) {
            return Err(TagError::AlreadyExists);
        }
        let id = format!("urn:vmomi:InventoryServiceCategory:{uuid}:GLOBAL");
        let category = Category {
            id: id.clone(),
            name: name.to_owned(),
            description: description.to_owned(),
            cardinality,
            associable_types,
        };
        self.categories.insert(id.clone(), category);
        Ok(id)
    }

    pub(crate) fn create_tag(
        &mut self,
        uuid: Uuid,
        category: &str,
        name: &str,
        description: &str,
    ) -> Result<String, TagError> {
        if name.is_empty() {
            return Err(TagError::InvalidArgument);
        }
        if !self.categories.contains_key(category) {
            return Err(TagError::NotFound);
        }
        if self.tags.values().any(|t| t.category == category && t.name.eq_ignore_ascii_case(name)) {
            return Err(TagError::AlreadyExists);
        }
        let id = format!("urn:vmomi:InventoryServiceTag:{uuid}:GLOBAL");
        let tag = Tag {
            id: id.clone(),
            category: category.to_owned(),
            name: name.to_owned(),
            description: description.to_owned(),
        };
        self.tags.insert(id.clone(), tag);
        Ok(id)
    }

    pub(crate) fn delete_tag(&mut self, id: &str) -> Result<(), TagError> {
        self.tags.remove(id).ok_or(TagError::NotFound)?;
        for object in self.by_tag.remove(id).unwrap_or_default() {
            if let Some(tags) = self.by_object.get_mut(&object) {
                tags.remove(id);
            }
        }
        Ok(())
    }

    pub(crate) fn delete_category(&mut self, id: &str) -> Result<(), TagError> {
        self.categories.remove(id).ok_or(TagError::NotFound)?;
        let gone: Vec<String> = self.tags_of_category(id).map(|t| t.id.clone()).collect();
        for tag in gone {
            self.delete_tag(&tag)?;
        }
        Ok(())
    }

    pub(crate) fn tags_of_category<'a>(&'a self, category: &'a str) -> impl Iterator<Item = &'a Tag> {
        self.tags.values().filter(move |t| t.category == category)
    }

    /// Attaches a tag; true when it was not attached before.
    pub(crate) fn attach(&mut self, tag: &str, object: ObjId) -> Result<bool, TagError> {
        let known = self.tags.get(tag).ok_or(TagError::NotFound)?;
        let category = self.categories.get(&known.category).ok_or(TagError::NotFound)?;
        let types = &category.associable_types;
        if !types.is_empty() && !types.iter().any(|t| object.kind.is_a(t)) {
            return Err(TagError::InvalidArgument);
        }
        let present = self.by_object.entry(object).or_default();
        if category.cardinality == Cardinality::Single
            && present.iter().any(|t| t != tag && self.tags.get(t).is_some_and(|t| t.category == category.id))
        {
            return Err(TagError::InvalidArgument);
        }
        present.insert(tag.to_owned());
        Ok(self.by_tag.entry(tag.to_owned()).or_default().insert(object))
    }

    /// Detaches a tag; true when it was attached.
    pub(crate) fn detach(&mut self, tag: &str, object: ObjId) -> Result<bool, TagError> {
        if !self.tags.contains_key(tag) {
            return Err(TagError::NotFound);
        }
        if let Some(tags) = self.by_object.get_mut(&object) {
            tags.remove(tag);
        }
        Ok(self.by_tag.get_mut(tag).is_some_and(|objects| objects.remove(&object)))
    }

    /// Forgets an object that left the inventory.
    pub(crate) fn forget(&mut self, object: ObjId) {
        for tag in self.by_object.remove(&object).unwrap_or_default() {
            if let Some(objects) = self.by_tag.get_mut(&tag) {
                objects.remove(&object);
            }
        }
    }

    pub(crate) fn objects_of(&self, tag: &str) -> impl Iterator<Item = ObjId> + '_ {
        self.by_tag.get(tag).into_iter().flatten().copied()
    }

    pub(crate) fn tags_of(&self, object: ObjId) -> impl Iterator<Item = &Tag> {
        self.by_object.get(&object).into_iter().flatten().filter_map(|id| self.tags.get(id))
    }

    /// The tag called so in the category called so.
    pub(crate) fn find(&self, category: &str, tag: &str) -> Option<&Tag> {
        let category = self.categories.values().find(|c| c.name == category)?;
        self.tags_of_category(&category.id).find(|t| t.name == tag)
    }
}
