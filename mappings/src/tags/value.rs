//! From any text to a value that AWS accepts, and what was done to it on the way.

use std::borrow::Cow;
use std::fmt;

use super::rule::{Case, Invalid, Long};
use super::text::{LONGEST_VALUE, TagValue, TextError, is_allowed};

/// Characters of the hash behind a value that was cut.
const HASH: usize = 8;

/// What had to be done to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapped {
    /// Characters were replaced: the original cannot be told from the value.
    Replaced,
    /// Characters were encoded; [`decode`] gives the original.
    Encoded,
    /// It was cut, and a hash of the whole stands at its end.
    Shortened,
}

impl Mapped {
    /// The word for it, which does not change between versions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::Encoded => "encoded",
            Self::Shortened => "shortened",
        }
    }
}

impl fmt::Display for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "characters that AWS does not accept were replaced",
            Self::Encoded => "characters that AWS does not accept were encoded",
            Self::Shortened => {
                "it is longer than 256 characters, so it was cut and ends with a hash of the whole"
            }
        })
    }
}

/// How a rule treats values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Treatment {
    pub case: Case,
    pub invalid: Invalid,
    pub replacement: String,
    pub long: Long,
}

impl Treatment {
    pub(super) fn apply(&self, text: &str) -> Result<(TagValue, Option<Mapped>), TextError> {
        let mut mapped = None;
        let mut text: Cow<'_, str> = match self.case {
            Case::Keep => text.into(),
            Case::Lower => text.to_lowercase().into(),
            Case::Upper => text.to_uppercase().into(),
        };
        let bad = text.chars().any(|character| !is_allowed(character));
        match self.invalid {
            Invalid::Replace if bad => {
                let replaced: String = text
                    .chars()
                    .map(|c| {
                        if is_allowed(c) {
                            Cow::Owned(c.to_string())
                        } else {
                            Cow::Borrowed(&*self.replacement)
                        }
                    })
                    .collect();
                (text, mapped) = (replaced.into(), Some(Mapped::Replaced));
            }
            // `=` introduces a code, so it is one itself.
            Invalid::Encode if bad || text.contains('=') => {
                (text, mapped) = (encode(&text).into(), Some(Mapped::Encoded));
            }
            Invalid::Replace | Invalid::Encode | Invalid::Error => {}
        }
        if self.long == Long::HashSuffix && text.chars().count() > LONGEST_VALUE {
            let kept: String = text.chars().take(LONGEST_VALUE - HASH - 1).collect();
            text = format!("{kept}-{:08x}", fnv(&text)).into();
            mapped = Some(Mapped::Shortened);
        }
        Ok((TagValue::new(&text)?, mapped))
    }
}

/// FNV-1a, folded to 32 bits: it tells values apart, and protects nothing.
fn fnv(text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash >> 32) ^ (hash & 0xffff_ffff)) as u32
}

/// Writes every character that AWS does not accept, and `=`, as `=` and two hexadecimal digits for each of its bytes.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_allowed(character) && character != '=' {
            out.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("={byte:02X}"));
            }
        }
    }
    out
}

/// The original of an encoded text; nothing if it is none.
#[must_use]
pub fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first != b'=' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
