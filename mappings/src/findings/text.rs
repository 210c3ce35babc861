//! Texts from outside, fit for a finding: nothing unseen in them, and never longer than the format allows.
//!
//! The documentation counts characters and does not say which. Counted here are units of UTF-16, which are never fewer than
//! code points, so that both readings hold.

use std::fmt::Write as _;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use super::fnv;
use crate::tags::is_allowed;

/// What stands at the end of a text that was cut.
const CUT: char = '…';

/// At most so many characters. What cannot be seen (control characters, marks that turn the direction of writing, line ends) is
/// written as an escape, so that nothing looks like something else in a console; what is cut ends with `…`.
pub(super) fn fit(text: &str, most: usize) -> String {
    let (mut out, mut length, mut kept) = (String::new(), 0, 0);
    let mut escape = String::new();
    for character in text.trim().chars() {
        escape.clear();
        if is_unseen(character) {
            let _ = write!(escape, "{}", character.escape_default());
        } else {
            escape.push(character);
        }
        length += units(&escape);
        if length > most {
            out.truncate(kept);
            if most > 0 {
                out.push(CUT);
            }
            return out;
        }
        out.push_str(&escape);
        if length < most {
            kept = out.len();
        }
    }
    out
}

/// The same, if there is anything to be seen.
pub(super) fn some(text: &str, most: usize) -> Option<String> {
    Some(fit(text, most)).filter(|text| text.chars().any(|character| !character.is_whitespace()))
}

/// Length as it is counted here.
pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

fn is_unseen(character: char) -> bool {
    !character.is_ascii_graphic()
        && character != ' '
        && matches!(
            character.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
        )
}

/// A part of an id: letters, digits, `.`, `_` and `-` as they are, all else as `%` and the digits of its bytes. Different texts
/// give different parts; what would be too long ends with `~` and a hash of the whole. At least 40 has to be allowed.
pub(super) fn part(text: &str, most: usize) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        if out.len() > most {
            out.truncate(most.saturating_sub(33));
            return format!("{out}~{}", fnv::hex(text.as_bytes()));
        }
    }
    if out.is_empty() { "~".to_owned() } else { out }
}

/// The text of a part; what ends with a hash stays as it is.
pub(super) fn unpart(part: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(part.len()), part.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match (first, code.and_then(|digits| u8::from_str_radix(digits, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| part.to_owned())
}

/// A key or value of a tag, by the rules of AWS: characters that it refuses become `_`.
pub(super) fn tag(text: &str, most: usize) -> Option<String> {
    let reserved = text.trim().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
    let mut out = if reserved { "_".to_owned() } else { String::new() };
    let mut length = out.len();
    for character in text.trim().chars() {
        let character = if is_allowed(character) { character } else { '_' };
        length += character.len_utf16();
        if length > most {
            break;
        }
        out.push(character);
    }
    Some(out).filter(|out| !out.trim().is_empty())
}

/// A link that can be followed, if it is one.
pub(super) fn url(text: &str) -> Option<String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let fits = !rest.is_empty() && text.len() <= 2048 && rest.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned())
}
