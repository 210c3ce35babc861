//! What a report says of one property.

use crate::xml::{Decoder, XmlError};

/// What one report says of one property.
///
/// vCenter leaves out a property that has no value, so what [`NotMentioned`](Self::NotMentioned) means depends on the
/// report: in the first report on an object it has no value, in a later one it is as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Change<T> {
    /// The report does not mention it.
    #[default]
    NotMentioned,
    /// It has this value now.
    Set(T),
    /// It has no value any more.
    Unset,
    /// It cannot be read; most often a privilege is missing.
    Unreadable,
}

impl<T> Change<T> {
    /// The value, if the report sets one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Set(value) => Some(value),
            Self::NotMentioned | Self::Unset | Self::Unreadable => None,
        }
    }

    /// A view of the value, if the report sets one.
    pub fn as_value(&self) -> Option<&T> {
        match self {
            Self::Set(value) => Some(value),
            Self::NotMentioned | Self::Unset | Self::Unreadable => None,
        }
    }

    /// Whether the report mentions the property at all.
    #[must_use]
    pub fn is_mentioned(&self) -> bool {
        !matches!(self, Self::NotMentioned)
    }

    /// Applies the report to what was known: a set value replaces it, an unset or unreadable one clears it.
    pub fn apply(self, known: &mut Option<T>) {
        match self {
            Self::NotMentioned => {}
            Self::Set(value) => *known = Some(value),
            Self::Unset | Self::Unreadable => *known = None,
        }
    }

    /// The same report of something made from the value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Change<U> {
        match self {
            Self::NotMentioned => Change::NotMentioned,
            Self::Set(value) => Change::Set(f(value)),
            Self::Unset => Change::Unset,
            Self::Unreadable => Change::Unreadable,
        }
    }
}

/// A set of properties of one type of managed object, read together.
///
/// Implemented by [`properties!`](crate::properties); a field of type [`Change`] for each property path.
pub trait Properties: Default + Send + 'static {
    /// The managed object type as the API names it; it covers its subtypes.
    const TYPE: &'static str;
    /// The paths to read, in the order of the fields.
    const PATHS: &'static [&'static str];

    /// Reads the current element as the value of the property `path`; passes over what is not in [`PATHS`](Self::PATHS).
    ///
    /// # Errors
    /// When the value is malformed or of another type.
    fn set(&mut self, path: &str, d: &mut Decoder) -> Result<(), XmlError>;

    /// Notes that the property at `path` has no value.
    fn unset(&mut self, path: &str);

    /// Notes that the property at `path` cannot be read.
    fn unreadable(&mut self, path: &str);

    /// Calls `visit` with the path of every property that the report mentions, and whether it could be read.
    fn mentioned(&self, visit: &mut dyn FnMut(&'static str, bool));
}

/// Declares a struct of properties of one managed object type.
///
/// ```
/// vsphere_client::properties! {
///     /// What is to be known of a datastore.
///     pub struct Space of "Datastore" {
///         /// Bytes in all.
///         capacity: i64 = "summary.capacity",
///         /// Bytes free.
///         free: i64 = "summary.freeSpace",
///     }
/// }
/// # use vsphere_client::property::Properties;
/// assert_eq!(Space::PATHS, ["summary.capacity", "summary.freeSpace"]);
/// ```
#[macro_export]
macro_rules! properties {
    ($(#[$doc:meta])* $vis:vis struct $name:ident of $type:literal {
        $($(#[$fdoc:meta])* $field:ident: $value:ty = $path:literal),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name { $($(#[$fdoc])* pub $field: $crate::property::Change<$value>),* }

        impl $crate::property::Properties for $name {
            const TYPE: &'static str = $type;
            const PATHS: &'static [&'static str] = &[$($path),*];

            fn set(&mut self, path: &str, d: &mut $crate::xml::Decoder) -> ::std::result::Result<(), $crate::xml::XmlError> {
                match path {
                    $($path => self.$field = $crate::property::Change::Set(d.read()?),)*
                    _ => d.skip()?,
                }
                Ok(())
            }

            fn unset(&mut self, path: &str) {
                match path {
                    $($path => self.$field = $crate::property::Change::Unset,)*
                    _ => {}
                }
            }

            fn unreadable(&mut self, path: &str) {
                match path {
                    $($path => self.$field = $crate::property::Change::Unreadable,)*
                    _ => {}
                }
            }

            fn mentioned(&self, visit: &mut dyn FnMut(&'static str, bool)) {
                $(match self.$field {
                    $crate::property::Change::NotMentioned => {}
                    $crate::property::Change::Unreadable => visit($path, false),
                    _ => visit($path, true),
                })*
            }
        }
    };
}
