//! What was found of one property of one object.

use std::sync::Arc;

/// A value, reduced to what rules ask. Small, comparable and cheap to share: most objects of a fleet have equal ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum Reading {
    /// It is not known: no permission, an unknown path, or more than is accepted of one value.
    #[default]
    Unreadable,
    /// vCenter says that there is none.
    Missing,
    /// One value, as vCenter writes it.
    One(Arc<str>),
    /// Several values, at least two, in vCenter's order.
    Many(Arc<[Arc<str>]>),
}

impl Reading {
    /// The values.
    pub fn values(&self) -> &[Arc<str>] {
        match self {
            Self::Unreadable | Self::Missing => &[],
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    /// A reading of so many values.
    #[must_use]
    pub fn of(mut values: Vec<Arc<str>>) -> Self {
        match values.len() {
            0 => Self::Missing,
            1 => values.pop().map_or(Self::Missing, Self::One),
            _ => Self::Many(values.into()),
        }
    }
}
