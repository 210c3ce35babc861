//! Which characters and how many of them AWS accepts in tags.
//!
//! The API model of Systems Manager gives keys and values the pattern `^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$`, 1-128 and 0-256
//! long. Two things are stricter here, so that nothing is sent that some validator on the way could refuse:
//!
//! - Of the separators (`\p{Z}`) only the space is used: a no-break space or a line separator looks like one and is not.
//! - The model speaks of characters without saying of which kind. Length is counted in UTF-16 code units, which is what
//!   services written in Java count; for letters outside the basic plane that is two each, and never less than characters.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory as _};

/// The longest key of a tag.
pub const MAX_KEY: usize = 128;
/// The longest value of a tag.
pub const MAX_VALUE: usize = 256;
/// What is allowed, for people.
pub(super) const ALLOWED: &str = "letters, digits, spaces and `_.:/=+-@`";

/// Whether AWS accepts the character in a tag.
pub(super) fn allowed(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '.' | ':' | '/' | '=' | '+' | '-' | '@');
    }
    // `char::is_alphabetic` is another property: it has marks and circled letters, which `\p{L}` has not.
    matches!(c.general_category_group(), GeneralCategoryGroup::Letter | GeneralCategoryGroup::Number)
}

/// Length as it is limited.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// The beginning of `text` that is at most `most` long.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += c.len_utf16();
        if taken > most {
            return &text[..at];
        }
    }
    text
}

/// Whether the text begins with `aws:` in any case.
pub(super) fn is_reserved(text: &str) -> bool {
    begins(text, "aws:")
}

/// Whether the text begins with an ASCII prefix in any case.
pub(super) fn begins(text: &str, prefix: &str) -> bool {
    text.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_every_script_and_no_look_alikes() {
        for c in "aZ09 _.:/=+-@äßЖ語あ٣½Ⅷ𝒜𠀀ªˇ".chars() {
            // U+02C7 and U+00AA are letters (Lm, Lo) to Unicode.
            assert!(allowed(c), "{c:?}");
        }
        for c in
            "\t\n\u{a0}\u{2028}\u{3000}?*#(),;!\"'%&<>[]{}|\\~^$`€Ⓐ\u{301}\u{93f}\u{200d}\u{0}😀–".chars()
        {
            assert!(!allowed(c), "{c:?}");
        }
    }

    #[test]
    fn length_counts_utf16() {
        assert_eq!(length("abc"), 3);
        assert_eq!(length("äöü"), 3);
        assert_eq!(length("𝒜"), 2);
        assert_eq!(beginning("a𝒜b", 2), "a");
        assert_eq!(beginning("a𝒜b", 3), "a𝒜");
        assert_eq!(beginning("ab", 9), "ab");
        assert!(is_reserved("AwS:x") && !is_reserved("aws") && !is_reserved("äws:"));
    }
}
