//! The reversible way to write what tags cannot hold.
//!
//! Each character that AWS does not accept, and `=` itself, becomes `=` and two hexadecimal digits for each of its bytes in
//! UTF-8, as in quoted-printable: `Prod (DB)` is `Prod =28DB=29`. It fails only in reverse, on a text that was not
//! written by it.

use std::fmt::Write as _;

use super::chars;

/// Why a text cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// `=` without two hexadecimal digits after it.
    #[error("`=` at byte {at} is not followed by two hexadecimal digits")]
    Escape {
        /// Byte offset.
        at: usize,
    },
    /// The bytes that were written are no text.
    #[error("the bytes that were encoded are not UTF-8")]
    Utf8,
}

/// Writes a text with allowed characters only. The result does not begin with `aws:` either.
///
/// ```
/// use mappings::tags::{decode, encode};
/// assert_eq!(encode("Prod (DB)"), "Prod =28DB=29");
/// assert_eq!(decode("Prod =28DB=29").as_deref(), Ok("Prod (DB)"));
/// ```
#[must_use]
pub fn encode(text: &str) -> String {
    encode_at(text, true)
}

/// `at_start`: whether the result is the beginning of a key or value, where `aws:` is reserved.
pub(super) fn encode_at(text: &str, at_start: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let reserved = at_start && chars::is_reserved(text);
    for (at, c) in text.char_indices() {
        if c != '=' && chars::allowed(c) && !(reserved && at == 3) {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            // Writing to a string does not fail.
            let _ = write!(out, "={byte:02X}");
        }
    }
    out
}

/// Whether [`encode_at`] would change the text.
pub(super) fn is_plain(text: &str, at_start: bool) -> bool {
    text.chars().all(|c| c != '=' && chars::allowed(c)) && !(at_start && chars::is_reserved(text))
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When the text was not written by it, or was shortened.
pub fn decode(text: &str) -> Result<String, DecodeError> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'=' {
            out.push(*byte);
            at += 1;
            continue;
        }
        let digit = |offset: usize| bytes.get(at + offset).and_then(|digit| char::from(*digit).to_digit(16));
        let value = digit(1).zip(digit(2)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        out.push(value.ok_or(DecodeError::Escape { at })?);
        at += 3;
    }
    String::from_utf8(out).map_err(|_| DecodeError::Utf8)
}

/// The beginning of an encoded text that is at most `most` long and does not end within a character.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut cut = chars::beginning(text, most);
    // Back to before the escapes that the cut may have gone through: until what is left can be decoded. A character is
    // four bytes at most, so that this ends soon.
    while decode(cut).is_err() {
        cut = match cut.rfind('=') {
            Some(at) => &cut[..at],
            None => break,
        };
    }
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_texts() {
        for (plain, encoded) in [
            ("", ""),
            ("prod", "prod"),
            ("a=b", "a=3Db"),
            ("100 %", "100 =25"),
            ("aws:x", "aws=3Ax"),
            ("x aws:", "x aws:"),
            ("\u{a0}", "=C2=A0"),
            ("😀", "=F0=9F=98=80"),
        ] {
            assert_eq!(encode(plain), encoded);
            assert_eq!(decode(encoded).as_deref(), Ok(plain));
        }
        assert_eq!(decode("=4"), Err(DecodeError::Escape { at: 0 }));
        assert_eq!(decode("ab=zz"), Err(DecodeError::Escape { at: 2 }));
        assert_eq!(decode("=FF"), Err(DecodeError::Utf8));
        assert_eq!(beginning("a=F0=9F=98=80", 12), "a");
        assert_eq!(beginning("a=F0=9F=98=80", 13), "a=F0=9F=98=80");
        assert_eq!(beginning("a=28=29", 5), "a=28");
    }

    proptest! {
        #[test]
        fn everything_comes_back(text in any::<String>()) {
            let encoded = encode(&text);
            prop_assert!(encoded.chars().all(chars::allowed));
            prop_assert!(!chars::is_reserved(&encoded));
            prop_assert_eq!(decode(&encoded), Ok(text.clone()));
            prop_assert_eq!(is_plain(&text, true), encoded == text);
        }

        #[test]
        fn decoding_never_panics(text in any::<String>(), most in 0..40_usize) {
            let _ = decode(&text);
            let encoded = encode(&text);
            let cut = beginning(&encoded, most);
            prop_assert!(encoded.starts_with(cut) && chars::length(cut) <= most);
            prop_assert!(decode(cut).is_ok_and(|begun| text.starts_with(&begun)));
        }
    }
}
