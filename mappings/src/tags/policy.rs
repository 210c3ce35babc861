//! How a text from vSphere becomes one that AWS accepts, and what people are told about it.

use std::borrow::Cow;
use std::fmt;

use sha2::{Digest as _, Sha256};

use super::chars;
use super::encode;
use super::name::Half;
use super::spec::Long;

/// What to do with what AWS does not accept. Compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) invalid: OnInvalid,
    pub(super) long: Long,
}

/// [`Invalid`](super::Invalid) with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnInvalid {
    Replace(Box<str>),
    Encode,
    Error,
}

/// What was done to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct How {
    replaced: bool,
    encoded: bool,
    shortened: bool,
}

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// These characters.
    Characters(String),
    /// It begins with `aws:`.
    Reserved,
    /// So long, in UTF-16 code units.
    Long(usize),
}

/// Length of the suffix of what was shortened: `-` and eight digits.
pub(super) const SUFFIX: usize = 9;

impl Policy {
    /// Makes `text` acceptable within `room` characters. `at_start`: whether it is the beginning of a key or value.
    pub(super) fn shape<'t>(
        &self,
        text: &'t str,
        half: Half,
        room: usize,
        at_start: bool,
    ) -> Result<(Cow<'t, str>, Option<Change>), Refused> {
        let mut how = How::default();
        let mut shaped = self.characters(text, at_start, &mut how)?;
        let length = chars::length(&shaped);
        if length > room {
            if self.long == Long::Error {
                return Err(Refused::Long(length));
            }
            shaped = Cow::Owned(self.shortened(&shaped, text, room));
            how.shortened = true;
        }
        let change = (how != How::default()).then(|| Change { half, from: text.into(), how });
        Ok((shaped, change))
    }

    fn characters<'t>(&self, text: &'t str, at_start: bool, how: &mut How) -> Result<Cow<'t, str>, Refused> {
        let reserved = at_start && chars::is_reserved(text);
        match &self.invalid {
            OnInvalid::Encode if encode::is_plain(text, at_start) => Ok(Cow::Borrowed(text)),
            OnInvalid::Encode => {
                how.encoded = true;
                Ok(Cow::Owned(encode::encode_at(text, at_start)))
            }
            OnInvalid::Replace(_) | OnInvalid::Error if !reserved && text.chars().all(chars::allowed) => {
                Ok(Cow::Borrowed(text))
            }
            OnInvalid::Error => {
                let mut found = String::new();
                for c in text.chars().filter(|c| !chars::allowed(*c)) {
                    if !found.contains(c) {
                        found.push(c);
                    }
                }
                Err(if found.is_empty() { Refused::Reserved } else { Refused::Characters(found) })
            }
            OnInvalid::Replace(replacement) => {
                how.replaced = true;
                let mut out = String::with_capacity(text.len());
                for c in text.chars() {
                    if chars::allowed(c) {
                        out.push(c);
                    } else {
                        out.push_str(replacement);
                    }
                }
                // Also where replacing has made it so.
                if at_start && chars::is_reserved(&out) {
                    out.replace_range(3..4, "_");
                }
                Ok(Cow::Owned(out))
            }
        }
    }

    /// The beginning of `shaped`, and eight digits of the SHA-256 of `text`, which it was made of: two texts that differ
    /// anywhere stay different.
    fn shortened(&self, shaped: &str, text: &str, room: usize) -> String {
        let most = room.saturating_sub(SUFFIX);
        let begun = match self.invalid {
            OnInvalid::Encode => encode::beginning(shaped, most),
            OnInvalid::Replace(_) | OnInvalid::Error => chars::beginning(shaped, most),
        };
        let digest = Sha256::digest(text.as_bytes());
        let mut out = String::with_capacity(begun.len() + SUFFIX);
        out.push_str(begun);
        out.push('-');
        for byte in &digest[..4] {
            for nibble in [byte >> 4, byte & 15] {
                out.extend(char::from_digit(u32::from(nibble), 16));
            }
        }
        out
    }
}

/// What was done to a key or a value so that AWS accepts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    half: Half,
    from: Box<str>,
    how: How,
}

impl Change {
    /// Key or value.
    #[must_use]
    pub fn half(&self) -> Half {
        self.half
    }

    /// The text before.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Whether the text before can be had back with [`decode`](super::decode).
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        !self.how.replaced && !self.how.shortened
    }

    /// The word for it, which does not change between versions. What loses most comes first.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match (self.half, self.how) {
            (Half::Key, How { shortened: true, .. }) => "keyShortened",
            (Half::Key, How { replaced: true, .. }) => "keyReplaced",
            (Half::Key, _) => "keyEncoded",
            (Half::Value, How { shortened: true, .. }) => "valueShortened",
            (Half::Value, How { replaced: true, .. }) => "valueReplaced",
            (Half::Value, _) => "valueEncoded",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let How { replaced, encoded, shortened } = self.how;
        write!(f, "the {} `{}` ", self.half, clipped(&self.from))?;
        match (replaced, encoded) {
            (true, _) => f.write_str("has characters that AWS does not accept, which were replaced")?,
            (false, true) => f.write_str("has characters that AWS does not accept, which were encoded")?,
            (false, false) => {}
        }
        if shortened {
            let limit = self.half.limit();
            let also = if replaced || encoded { "; it is also" } else { "is" };
            write!(f, "{also} longer than {limit} characters, so that it was cut and ends in a checksum")?;
        }
        Ok(())
    }
}

/// What was done to a tag so that AWS accepts it: to its key, its value, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// What was done to the key.
    pub key: Option<Change>,
    /// What was done to the value.
    pub value: Option<Change>,
}

impl Changed {
    /// `None` when nothing was done.
    pub(super) fn new(key: Option<Change>, value: Option<Change>) -> Option<Box<Self>> {
        (key.is_some() || value.is_some()).then(|| Box::new(Self { key, value }))
    }

    /// The word for it, which does not change between versions; that of the value where both were changed.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.value.as_ref().or(self.key.as_ref()).map_or("unchanged", Change::as_str)
    }
}

impl fmt::Display for Changed {
    /// One sentence, with what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, change) in self.key.iter().chain(&self.value).enumerate() {
            write!(f, "{}{change}", if i == 0 { "" } else { "; " })?;
        }
        match (&self.key, &self.value) {
            (Some(_), None) => f.write_str(" (rename the category in vSphere if that matters)"),
            _ => f.write_str(" (rename it in vSphere, or give it another name with `map`, if that matters)"),
        }
    }
}

/// A text for a sentence: not longer than a line, and without what would disturb it.
pub(super) fn clipped(text: &str) -> Cow<'_, str> {
    const MOST: usize = 60;
    let clean = |c: char| !c.is_control() && c != '`';
    if text.len() <= MOST && text.chars().all(clean) {
        return Cow::Borrowed(text);
    }
    let mut out: String = text.chars().take(MOST).map(|c| if clean(c) { c } else { '\u{fffd}' }).collect();
    if text.chars().nth(MOST).is_some() {
        out.push('…');
    }
    Cow::Owned(out)
}
