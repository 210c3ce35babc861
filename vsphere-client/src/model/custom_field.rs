//! Custom attributes: definitions live in one manager, values on each object.

use super::data_object;

data_object! {
    /// Definition of a custom attribute (`CustomFieldDef`).
    pub struct CustomFieldDef {
        /// Number by which values refer to it.
        "key" => key: one i32,
        /// Name shown to people.
        "name" => name: one Box<str>,
        /// Type of object it is for, or nothing when it is for all.
        "managedObjectType" => managed_object_type: opt Box<str>,
    }
}

data_object! {
    /// Value of a custom attribute on one object (`CustomFieldStringValue`).
    pub struct CustomValue {
        /// Number of its definition.
        "key" => key: one i32,
        /// The value.
        "value" => value: one Box<str>,
    }
}

impl CustomFieldDef {
    /// Whether objects of a type can have it.
    #[must_use]
    pub fn is_for(&self, type_name: &str) -> bool {
        // Without a type it is for every object; `ManagedEntity` is what all of them derive from.
        self.managed_object_type
            .as_deref()
            .is_none_or(|of| of.is_empty() || of == type_name || of == "ManagedEntity")
    }
}
