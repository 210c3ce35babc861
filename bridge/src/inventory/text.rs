//! Making names harmless: they come from whoever may name a VM.

use std::borrow::Cow;

/// Text for a terminal: control characters, which could move the cursor or change colours, and characters that change the
/// direction of writing are shown as what they are.
#[must_use]
pub fn for_terminal(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_dangerous) {
        return text.into();
    }
    text.chars()
        .fold(String::with_capacity(text.len() + 8), |mut safe, c| {
            if is_dangerous(c) {
                safe.extend(c.escape_unicode());
            } else {
                safe.push(c);
            }
            safe
        })
        .into()
}

fn is_dangerous(c: char) -> bool {
    // Marks, embeddings, overrides and isolates of the bidirectional algorithm, and separators of lines.
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// At most `most` characters of a text.
#[must_use]
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect::<String>().into(),
    }
}

/// Text for a cell of a spreadsheet. What begins like a formula would be run by the program that opens the file, so an
/// apostrophe goes before it (OWASP, "CSV injection").
#[must_use]
pub fn for_spreadsheet(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']) {
        format!("'{text}").into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_neither_move_the_cursor_nor_turn_the_text_around() {
        assert_eq!(for_terminal("büro 東京 مرحبا"), "büro 東京 مرحبا");
        assert_eq!(for_terminal("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(for_terminal("exe\u{202e}txt"), "exe\\u{202e}txt");
    }

    #[test]
    fn a_name_is_never_a_formula() {
        for formula in ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "＝1"] {
            assert_eq!(for_spreadsheet(formula), format!("'{formula}"));
        }
        assert_eq!(for_spreadsheet("web=1"), "web=1");
    }

    #[test]
    fn shortening_counts_characters() {
        assert_eq!(shortened("東京タワー", 5), "東京タワー");
        assert_eq!(shortened("東京タワー", 4), "東京タ…");
    }
}
