//! Keys and values that AWS accepts (Systems Manager, `Tag`: 1 to 128 and 0 to 256 characters; letters, digits, spaces and
//! `_.:/=+-@`; `aws:` is reserved).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// Characters other than letters and digits that AWS accepts.
const MARKS: &str = " _.:/=+-@";
/// The longest key, in characters.
pub const LONGEST_KEY: usize = 128;
/// The longest value, in characters.
pub const LONGEST_VALUE: usize = 256;

/// Whether AWS accepts a character in keys and values.
///
/// Its pattern says `\p{L}` and `\p{N}`. `char::is_alphanumeric` is more: the vowel signs of many scripts are alphabetic and
/// no letters, and AWS refuses them.
#[must_use]
pub fn is_allowed(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || MARKS.contains(character);
    }
    matches!(character.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
}

/// Why a text is no key or value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A key must not be empty.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it is {length} characters long, {longest} are allowed")]
    TooLong {
        /// How long it is.
        length: usize,
        /// How long it may be.
        longest: usize,
    },
    /// It holds a character that AWS does not accept.
    #[error("it holds {0:?}; allowed are letters, digits, spaces and `_.:/=+-@`")]
    Character(char),
    /// It begins with `aws:`.
    #[error("what begins with `aws:` is reserved for AWS")]
    Reserved,
}

fn check(text: &str, longest: usize) -> Result<(), TextError> {
    if let Some(character) = text.chars().find(|character| !is_allowed(*character)) {
        return Err(TextError::Character(character));
    }
    let length = text.chars().count();
    if length > longest {
        return Err(TextError::TooLong { length, longest });
    }
    Ok(())
}

macro_rules! texts {
    ($($(#[$meta:meta])* $name:ident,)+) => {
        $(
            $(#[$meta])*
            #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
            #[serde(try_from = "String", into = "String")]
            pub struct $name(Arc<str>);

            impl $name {
                /// The text.
                #[must_use]
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl TryFrom<String> for $name {
                type Error = TextError;

                fn try_from(text: String) -> Result<Self, TextError> {
                    Self::new(&text)
                }
            }

            impl From<$name> for String {
                fn from(text: $name) -> Self {
                    text.0.as_ref().to_owned()
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl fmt::Debug for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Debug::fmt(&*self.0, f)
                }
            }
        )+
    };
}

texts! {
    /// Key of a tag.
    TagKey,
    /// Value of a tag.
    TagValue,
}

impl TagKey {
    /// Checks a key.
    ///
    /// # Errors
    /// When AWS would not accept it.
    pub fn new(text: &str) -> Result<Self, TextError> {
        if text.is_empty() {
            return Err(TextError::Empty);
        }
        check(text, LONGEST_KEY)?;
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(TextError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl TagValue {
    /// Checks a value.
    ///
    /// # Errors
    /// When AWS would not accept it.
    pub fn new(text: &str) -> Result<Self, TextError> {
        check(text, LONGEST_VALUE)?;
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(TextError::Reserved);
        }
        Ok(Self(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_accepts() {
        for key in ["Patch Group", "vsphere:cluster", "größe", "a", &"x".repeat(128)] {
            assert!(TagKey::new(key).is_ok(), "{key}");
        }
        assert_eq!(TagKey::new(""), Err(TextError::Empty));
        assert_eq!(TagKey::new("AWS:x"), Err(TextError::Reserved));
        assert_eq!(TagKey::new("a,b"), Err(TextError::Character(',')));
        assert_eq!(TagKey::new(&"x".repeat(129)), Err(TextError::TooLong { length: 129, longest: 128 }));
        assert!(TagValue::new("").is_ok() && TagValue::new(&"ü".repeat(256)).is_ok());
        assert_eq!(TagValue::new("cron(0 2 ? * SUN *)"), Err(TextError::Character('(')));
    }
}
