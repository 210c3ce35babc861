//! Keys and values of tags that AWS accepts.

use std::fmt;
use std::sync::Arc;

use super::chars::{self, ALLOWED, MAX_KEY, MAX_VALUE};

/// Which half of a tag something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Half {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Half {
    /// The most characters that it can have.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            Self::Key => MAX_KEY,
            Self::Value => MAX_VALUE,
        }
    }
}

impl fmt::Display for Half {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "tag key",
            Self::Value => "tag value",
        })
    }
}

/// Why AWS would refuse a key or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// Nothing at all.
    #[error("a tag key cannot be empty")]
    EmptyKey,
    /// Too long.
    #[error("a {half} has at most {} characters, not {length}", half.limit())]
    Long {
        /// Key or value.
        half: Half,
        /// Its length, in UTF-16 code units.
        length: usize,
    },
    /// A character that tags cannot have.
    #[error("{} (character {position}) is not allowed in a {half}; allowed are {ALLOWED}", shown(*character))]
    Character {
        /// Key or value.
        half: Half,
        /// The first that is not allowed.
        character: char,
        /// Its position in characters, from 1.
        position: usize,
    },
    /// It begins with `aws:`.
    #[error("a {half} cannot begin with `aws:` in any case: AWS keeps that for itself")]
    Reserved {
        /// Key or value.
        half: Half,
    },
}

/// A character in a sentence: itself, or its number where it could not be seen.
pub(super) fn shown(c: char) -> String {
    if c.is_control() || (c.is_whitespace() && c != ' ') || c == '`' {
        format!("U+{:04X}", u32::from(c))
    } else {
        format!("`{c}`")
    }
}

fn check(half: Half, text: &str) -> Result<(), TagError> {
    if text.is_empty() && half == Half::Key {
        return Err(TagError::EmptyKey);
    }
    let length = chars::length(text);
    if length > half.limit() {
        return Err(TagError::Long { half, length });
    }
    if let Some((at, character)) = text.chars().enumerate().find(|(_, c)| !chars::allowed(*c)) {
        return Err(TagError::Character { half, character, position: at + 1 });
    }
    if chars::is_reserved(text) {
        return Err(TagError::Reserved { half });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $half:expr) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks a text. It is taken as it is, or refused.
            ///
            /// # Errors
            /// When AWS would not accept it.
            pub fn new(text: &str) -> Result<Self, TagError> {
                check($half, text)?;
                Ok(Self(Arc::from(text)))
            }

            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// As text that is shared.
            #[must_use]
            pub fn shared(&self) -> &Arc<str> {
                &self.0
            }
        }

        impl TryFrom<&Arc<str>> for $name {
            type Error = TagError;
            fn try_from(text: &Arc<str>) -> Result<Self, TagError> {
                check($half, text)?;
                Ok(Self(text.clone()))
            }
        }

        impl std::str::FromStr for $name {
            type Err = TagError;
            fn from_str(text: &str) -> Result<Self, TagError> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The key of a tag: 1-128 characters. Keys that differ in case are different keys.
    TagKey, Half::Key
}

name! {
    /// The value of a tag: 0-256 characters.
    TagValue, Half::Value
}

impl TagValue {
    /// A value that the caller has just made of allowed characters within the limit.
    pub(super) fn made(text: &str) -> Self {
        debug_assert!(check(Half::Value, text).is_ok(), "{text:?}");
        Self(Arc::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_accepts() {
        for key in
            ["a", "Patch Group", "vsphere:cluster", "Größe", &"x".repeat(128), "vmbridge:owner", "=+-@"]
        {
            assert_eq!(TagKey::new(key).map(|key| key.as_str().to_owned()), Ok(key.to_owned()));
        }
        for value in ["", "Friday 02:00", &"語".repeat(256), "a@b.c"] {
            assert!(TagValue::new(value).is_ok(), "{value}");
        }
    }

    #[test]
    fn what_it_refuses_and_why() {
        let said: Vec<String> = ["", "a?b", "x\ty", "AWS:x", &"x".repeat(129), &"𝒜".repeat(65)]
            .iter()
            .map(|key| TagKey::new(key).unwrap_err().to_string())
            .chain(
                ["cron(0 2 ? * SUN *)", "aws:y", &"x".repeat(257)]
                    .map(|value| TagValue::new(value).unwrap_err().to_string()),
            )
            .collect();
        insta::assert_snapshot!(said.join("\n"));
    }
}
