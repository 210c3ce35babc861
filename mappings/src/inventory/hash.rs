//! A hash of what is told to AWS, the same for the same content on every machine and in every version.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// SHA-256 of an item's content, in 64 hexadecimal digits.
///
/// AWS takes any text of up to 256 characters and only compares it; its documentation speaks of MD5, which is what its own agent
/// once used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(Box<str>);

/// A text that is no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a content hash is 64 hexadecimal digits in lower case")]
pub struct HashError;

impl ContentHash {
    /// A hash that was written down.
    ///
    /// # Errors
    /// When it has another form, such as the hash that another program put.
    pub fn parse(text: &str) -> Result<Self, HashError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 64 && text.bytes().all(digit)).then(|| Self(text.into())).ok_or(HashError)
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A number from 0 to 255 that is the same for the same content, to spread what would else be done for all at once.
    pub(super) fn spread(&self) -> u8 {
        self.0.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Hashes texts one by one. Each has its length before it, so that no two sequences of texts look the same.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text.as_bytes());
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_be_bytes());
    }

    pub(crate) fn finish(self) -> ContentHash {
        let digits: String = self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        ContentHash(digits.into())
    }
}
