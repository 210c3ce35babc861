//! Typed values out of elements.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Decoder, XmlError};
use crate::ids::{MoKind, MoRef, SnapshotRef, TaskRef};

/// A type that can be read from the element the decoder just stepped into, using it up.
pub trait FromXml: Sized {
    /// Reads the value.
    ///
    /// # Errors
    /// When the body is malformed or the text is not of this type.
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError>;
}

impl Decoder {
    /// Reads the current element as a `T`.
    ///
    /// # Errors
    /// As [`FromXml::from_xml`].
    #[inline]
    pub fn read<T: FromXml>(&mut self) -> Result<T, XmlError> {
        T::from_xml(self)
    }

    /// Reads the text of the current element by `parse`, which answers `None` for what is not `expected`.
    pub(crate) fn parse<T>(
        &mut self,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, XmlError> {
        let text = self.text()?;
        match parse(text) {
            Some(value) => Ok(value),
            None => {
                let text = text.to_owned();
                Err(self.bad_value(expected, &text))
            }
        }
    }
}

macro_rules! from_text {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl FromXml for $type {
            fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
                d.parse($expected, |text| text.trim().parse().ok())
            }
        }
    )*};
}
from_text!(i32: "a number", i64: "a number", u64: "a number", u32: "a number", Timestamp: "a time", IpAddr: "an IP address");

impl FromXml for bool {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        d.parse("true or false", |text| match text.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        })
    }
}

impl FromXml for String {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        d.text().map(str::to_owned)
    }
}

impl FromXml for Box<str> {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        d.text().map(Box::from)
    }
}

impl FromXml for Arc<str> {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        d.text().map(Arc::from)
    }
}

impl FromXml for MoRef {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let kind = MoKind::from(d.mo_type());
        d.text().map(|value| MoRef::of(kind, value))
    }
}

macro_rules! from_moref {
    ($($type:ty: $expected:literal),* $(,)?) => {$(
        impl FromXml for $type {
            fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
                let found: MoRef = d.read()?;
                if found.value().is_empty() {
                    return Err(d.bad_value($expected, ""));
                }
                Self::try_from(found).map_err(|other| d.bad_value($expected, &other.found.to_string()))
            }
        }
    )*};
}
from_moref!(TaskRef: "a reference to a task", SnapshotRef: "a reference to a snapshot");

/// Every element inside is one value, whatever it is called: the `ArrayOf…` types.
impl<T: FromXml> FromXml for Vec<T> {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut all = Vec::new();
        while d.child()? {
            all.push(d.read()?);
        }
        Ok(all)
    }
}

/// An enumeration of the API: the values this client knows, and the others by name.
///
/// vCenter grows new values with every release, so an unknown one is never an error. `N` is the enumeration itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Named<N> {
    /// A value this client knows.
    Known(N),
    /// One that it does not, as it was sent; empty where vCenter sent an empty element.
    Unknown(Box<str>),
}

impl<N: Copy> Named<N> {
    /// The value if it is known.
    #[must_use]
    pub fn known(&self) -> Option<N> {
        match self {
            Self::Known(value) => Some(*value),
            Self::Unknown(_) => None,
        }
    }
}

impl<N: AsRef<str>> Named<N> {
    /// The value's name in the API.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(value) => value.as_ref(),
            Self::Unknown(name) => name,
        }
    }
}

impl<N: FromStr> From<&str> for Named<N> {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Unknown(text.into()), Self::Known)
    }
}

impl<N: FromStr> FromXml for Named<N> {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        d.text().map(Self::from)
    }
}
