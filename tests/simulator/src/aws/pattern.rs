//! The regular expressions of service models. They are Java's and must fit the whole text; what Rust's engine does not
//! know, a negative look-ahead at the start, is taken apart.

use regex::Regex;

/// A pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    whole: Regex,
    /// What the text must not begin with.
    not: Option<Regex>,
}

impl Pattern {
    /// `None` for a pattern that cannot be read.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        // Java knows \uXXXX, Rust \u{XXXX}.
        let mut text = String::new();
        let mut rest = pattern;
        while let Some(at) = rest.find("\\u") {
            let code = rest.get(at + 2..at + 6)?;
            text.push_str(rest.get(..at)?);
            text.push_str(&format!("\\u{{{code}}}"));
            rest = rest.get(at + 6..)?;
        }
        text.push_str(rest);
        // Java's classes are those of ASCII.
        for (class, ascii) in [
            (r"\w", "[0-9A-Za-z_]"),
            (r"\d", "[0-9]"),
            (r"\s", r"[ \t\n\x0B\f\r]"),
            (r"\S", r"[^ \t\n\x0B\f\r]"),
        ] {
            text = text.replace(class, ascii);
        }
        let (not, whole) = match text.strip_prefix("^(?!") {
            Some(rest) => {
                let end = closing(rest)?;
                (
                    Some(Regex::new(&format!(r"\A(?:{})", rest.get(..end)?)).ok()?),
                    rest.get(end + 1..)?.to_owned(),
                )
            }
            None => (None, text),
        };
        Some(Self { whole: Regex::new(&format!(r"(?s)\A(?:{whole})\z")).ok()?, not })
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        self.whole.is_match(text) && !self.not.as_ref().is_some_and(|not| not.is_match(text))
    }
}

/// Where the group ends that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let (mut depth, mut escaped) = (0, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_texts() {
        for (pattern, good, bad) in [
            (r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$", "Bürö 東京 1_.:/=+-@", "a,b"),
            (r"[\w+=,.@-]*", "vmbridge", "ä"),
            (r".*\S.*", "two\nlines", "  \n"),
            (r"^(?!\s*$).+", " a", "  "),
            (r"(^i-(\w{8}|\w{17})$)|(^mi-\w{17}$)", "mi-0123456789abcdef0", "mi-0123456789abcdef0x"),
            (r"[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]+", "aé", "東"),
        ] {
            let read = Pattern::new(pattern).unwrap();
            assert!(read.fits(good), "{pattern} {good}");
            assert!(!read.fits(bad), "{pattern} {bad}");
        }
        assert!(Pattern::new("(").is_none());
    }
}
