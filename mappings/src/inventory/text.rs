//! From any text to a value of a row or of a compliance item.
//!
//! Lengths are counted in bytes of UTF-8: that is never less than characters or UTF-16 units, of which AWS may count either.

use std::fmt::Write as _;
use std::net::IpAddr;

use jiff::Timestamp;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

use super::LONGEST_VALUE;

/// What a text ends with that was cut.
pub(crate) const CUT: &str = "…(cut)";
/// Stands between the members of a list.
pub(crate) const BETWEEN: &str = "; ";

/// The longest name of something, in bytes. vCenter's names have 80 characters.
const LONGEST_NAME: usize = 512;
/// The longest path or description, in bytes.
const LONGEST_TEXT: usize = 1024;

/// A name or a word; nothing for none.
pub(crate) fn name(text: Option<&str>) -> String {
    text.map(|text| fit(text, LONGEST_NAME)).unwrap_or_default()
}

/// A path or a description; nothing for none.
pub(crate) fn long(text: Option<&str>) -> String {
    text.map(|text| fit(text, LONGEST_TEXT)).unwrap_or_default()
}

/// A number in plain digits; nothing for none.
pub(crate) fn number(number: Option<impl Into<i64>>) -> String {
    number.map(|number| number.into().to_string()).unwrap_or_default()
}

/// `true`, `false`, or nothing for what is not known.
pub(crate) fn truth(truth: Option<bool>) -> String {
    truth.map(|truth| truth.to_string()).unwrap_or_default()
}

/// A time in UTC to the second; nothing for none.
pub(crate) fn time(time: Option<Timestamp>) -> String {
    time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}

/// A list in the order of its texts, each once. A semicolon within a member is written `\u{3b}`; what does not fit is counted.
pub(crate) fn list<T: AsRef<str>>(members: impl IntoIterator<Item = T>) -> String {
    list_within(members, LONGEST_VALUE)
}

/// The same, of at most so many bytes.
pub(crate) fn list_within<T: AsRef<str>>(members: impl IntoIterator<Item = T>, longest: usize) -> String {
    let mut members: Vec<String> = members
        .into_iter()
        .map(|member| fit(&visible(member.as_ref(), LONGEST_NAME).replace(';', "\\u{3b}"), LONGEST_NAME))
        .filter(|member| !member.is_empty())
        .collect();
    members.sort_unstable();
    members.dedup();
    let whole = members.join(BETWEEN);
    if whole.len() <= longest {
        return whole;
    }
    let room = longest.saturating_sub(more(usize::MAX).len());
    let mut out = String::new();
    for (index, member) in members.iter().enumerate() {
        if out.len() + BETWEEN.len() + member.len() > room {
            out.push_str(&more(members.len() - index));
            break;
        }
        if index > 0 {
            out.push_str(BETWEEN);
        }
        out.push_str(member);
    }
    out
}

fn more(count: usize) -> String {
    format!("{BETWEEN}…({count} more)")
}

/// The addresses of an adapter that stay. IPv6 addresses stand for an adapter without one of IPv4 only: guests make themselves
/// new ones every day. Those of the link say nothing.
pub(crate) fn addresses(addresses: &[&str]) -> String {
    let parsed = |text: &&&str| text.parse::<IpAddr>();
    let of_the_link = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    let has_v4 = addresses
        .iter()
        .any(|text| parsed(&text).is_ok_and(|address| address.is_ipv4() && !of_the_link(&address)));
    list(addresses.iter().filter(|text| {
        // What is no address is what a guest says instead of one: shown as it is.
        parsed(text).map_or(true, |address| !of_the_link(&address) && (address.is_ipv4() || !has_v4))
    }))
}

/// The text with nothing in it that cannot be seen, of at most so many bytes.
pub(crate) fn fit(text: &str, longest: usize) -> String {
    let visible = visible(text, longest);
    if visible.len() <= longest {
        return visible;
    }
    let mut end = longest.saturating_sub(CUT.len());
    while !visible.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &visible[..end])
}

/// Writes what cannot be seen as an escape; ends once it is longer than that, since a hostile text may be very long.
fn visible(text: &str, longest: usize) -> String {
    let mut out = String::with_capacity(text.len().min(longest));
    for character in text.chars() {
        if out.len() > longest {
            break;
        }
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            unseen if is_unseen(unseen) => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(unseen));
            }
            seen => out.push(seen),
        }
    }
    out
}

fn is_unseen(character: char) -> bool {
    matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::PrivateUse
            | GeneralCategory::Unassigned
    )
}

/// How many bytes a text takes as a string of JSON, with its quotes. [`fit`] has left nothing else in it that is escaped.
pub(crate) fn json_size(text: &str) -> usize {
    2 + text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count()
}
