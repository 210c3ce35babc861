//! The text form of selectors, for the command line.
//!
//! ```text
//! selector   = ( "all" | clauses ) [ "except" clauses ]
//! clauses    = clause { "or" clause }
//! clause     = condition { ( "and" | "," ) condition }
//! condition  = key "=" value { "|" value }
//! value      = bare | '"' text '"' | "'" text "'"
//! ```
//!
//! A bare value ends at white space, `,` or `|`. A backslash keeps the next character from ending a value and then means
//! in a pattern what it always means there: the character itself.

use std::fmt;

use super::condition::{Key, ValueError};
use super::{Clause, ClauseBuilder, MAX_CLAUSES, Selector};

/// A selector text that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// Byte offset in the text at which the mistake is.
    pub offset: usize,
    /// What is wrong, and what is allowed there.
    pub message: String,
    /// What was probably meant.
    pub suggestion: Option<&'static str>,
    text: String,
}

impl std::error::Error for SyntaxError {}

impl fmt::Display for SyntaxError {
    /// One sentence with the position, counted in characters from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = self.text.get(..self.offset).unwrap_or_default().chars().count() + 1;
        write!(f, "at character {column}: {}", self.message)?;
        if let Some(suggestion) = self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

const WORDS: &str = "`and`, `or`, `except`";

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// What joins two conditions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    And,
    Or,
    Except,
    End,
}

pub(super) fn selector(text: &str) -> Result<Selector, SyntaxError> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    if parser.at == text.len() {
        return Err(parser.error(0, "an empty selector; `all` selects every VM"));
    }
    let (mut include, mut exclude) = (Vec::new(), Vec::new());
    let mut excluding = false;
    if parser.take_word("all") {
        match parser.joint()? {
            Joint::End => return Ok(Selector::default()),
            Joint::Except => excluding = true,
            Joint::And | Joint::Or => {
                return Err(parser.error(parser.at, "after `all` only `except` may follow"));
            }
        }
    }
    loop {
        let (clause, joint) = parser.clause()?;
        let list = if excluding { &mut exclude } else { &mut include };
        if list.len() == MAX_CLAUSES {
            return Err(parser.error(parser.at, &format!("more than {MAX_CLAUSES} clauses")));
        }
        list.push(clause);
        match joint {
            Joint::End => return Ok(Selector::new(include, exclude)),
            Joint::Except if excluding => {
                return Err(parser.error(parser.at, "a second `except`; join what is excluded with `or`"));
            }
            Joint::Except => excluding = true,
            Joint::And | Joint::Or => {}
        }
    }
}

pub(super) fn clause(text: &str) -> Result<Clause, SyntaxError> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let (clause, joint) = parser.clause()?;
    match joint {
        Joint::End => Ok(clause),
        Joint::And | Joint::Or | Joint::Except => {
            Err(parser.error(parser.at, "one clause has neither `or` nor `except`"))
        }
    }
}

impl<'a> Parser<'a> {
    fn error(&self, offset: usize, message: &str) -> SyntaxError {
        SyntaxError { offset, message: message.to_owned(), suggestion: None, text: self.text.to_owned() }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes `word` if it stands here as a whole word.
    fn take_word(&mut self, word: &str) -> bool {
        let Some(found) = self.rest().get(..word.len()) else { return false };
        let after = self.rest()[word.len()..].chars().next();
        let whole = after.is_none_or(char::is_whitespace);
        if whole && found.eq_ignore_ascii_case(word) {
            self.at += word.len();
            self.space();
            true
        } else {
            false
        }
    }

    /// Reads what follows a condition.
    fn joint(&mut self) -> Result<Joint, SyntaxError> {
        self.space();
        if self.at == self.text.len() {
            return Ok(Joint::End);
        }
        if self.rest().starts_with(',') {
            self.at += 1;
            self.space();
            return Ok(Joint::And);
        }
        for (word, joint) in [("and", Joint::And), ("or", Joint::Or), ("except", Joint::Except)] {
            if self.take_word(word) {
                return Ok(joint);
            }
        }
        let message = format!(
            "expected {WORDS} or `,` between conditions (a value with spaces needs quotes: `folder=\"/My VMs/**\"`)"
        );
        Err(self.error(self.at, &message))
    }

    /// Reads one clause and what ends it.
    fn clause(&mut self) -> Result<(Clause, Joint), SyntaxError> {
        let mut builder = Clause::builder();
        loop {
            self.condition(&mut builder)?;
            let joint = self.joint()?;
            if joint == Joint::And {
                continue;
            }
            return match builder.build() {
                Some(clause) => Ok((clause, joint)),
                None => Err(self.error(self.at, "expected a condition")),
            };
        }
    }

    fn condition(&mut self, builder: &mut ClauseBuilder) -> Result<(), SyntaxError> {
        let start = self.at;
        let rest = self.rest();
        let length =
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).unwrap_or(rest.len());
        let word = &rest[..length];
        if word.is_empty() {
            let message = format!("expected a condition `key=value`; the keys are {}", listed(Key::WORDS));
            return Err(self.error(start, &message));
        }
        let Some(key) = Key::from_word(word) else {
            let message = format!("`{word}` is not a key; the keys are {}", listed(Key::WORDS));
            return Err(SyntaxError { suggestion: closest(word, Key::WORDS), ..self.error(start, &message) });
        };
        if builder.has(key) {
            let message = format!(
                "`{key}` is given twice in one clause; for several values write `{key}=a|b`, for another clause `or`"
            );
            return Err(self.error(start, &message));
        }
        self.at += length;
        self.space();
        if !self.rest().starts_with('=') {
            let message = format!("expected `=` after `{key}`");
            return Err(self.error(self.at, &message));
        }
        self.at += 1;
        self.space();
        loop {
            let (value, at) = self.value(key)?;
            builder.add(key, value).map_err(|error| self.refused(key, at, &error))?;
            self.space();
            if !self.rest().starts_with('|') {
                return Ok(());
            }
            self.at += 1;
            self.space();
        }
    }

    fn refused(&self, key: Key, at: usize, error: &ValueError) -> SyntaxError {
        SyntaxError {
            suggestion: error.suggestion,
            ..self.error(at + error.offset, &format!("{key}: {}", error.message))
        }
    }

    /// Reads a value: its text without quotes, and where that begins.
    fn value(&mut self, key: Key) -> Result<(&'a str, usize), SyntaxError> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let body = if quote.is_some() { &rest[1..] } else { rest };
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || c == ',' || c == '|',
        };
        let mut escaped = false;
        let mut end = None;
        for (at, c) in body.char_indices() {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if ends(c) {
                end = Some(at);
                break;
            }
        }
        let start = self.at + usize::from(quote.is_some());
        match (quote, end) {
            (Some(quote), None) => Err(self.error(self.at, &format!("the quote `{quote}` is not closed"))),
            (None, Some(0)) => Err(self.missing(key)),
            (None, None) if body.is_empty() => Err(self.missing(key)),
            (quote, end) => {
                let end = end.unwrap_or(body.len());
                self.at = start + end + usize::from(quote.is_some());
                Ok((&body[..end], start))
            }
        }
    }

    fn missing(&self, key: Key) -> SyntaxError {
        let message = format!("`{key}` needs a value: {}, e.g. `{key}={}`", key.takes(), key.example());
        self.error(self.at, &message)
    }
}

/// Writes a value so that it is read back as it is, with quotes where it needs them.
pub(super) fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let bare = !value.is_empty()
        && !value.starts_with(['"', '\''])
        && !value.contains(|c: char| c.is_whitespace() || c == ',' || c == '|');
    if bare {
        return f.write_str(value);
    }
    f.write_str("\"")?;
    let mut escaped = false;
    for c in value.chars() {
        if c == '"' && !escaped {
            f.write_str("\\")?;
        }
        escaped = c == '\\' && !escaped;
        fmt::Write::write_char(f, c)?;
    }
    f.write_str("\"")
}

/// `a`, `b` and `c`
pub(super) fn listed(words: &[&str]) -> String {
    let mut out = String::new();
    for (i, word) in words.iter().enumerate() {
        out.push_str(match i {
            0 => "",
            _ if i + 1 == words.len() => " and ",
            _ => ", ",
        });
        out.push('`');
        out.push_str(word);
        out.push('`');
    }
    out
}

/// The word that was probably meant.
pub(super) fn closest(word: &str, words: &[&'static str]) -> Option<&'static str> {
    let word = word.to_lowercase();
    let part_of = |candidate: &&&'static str| word.starts_with(**candidate) || word.ends_with(**candidate);
    let near = words
        .iter()
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), *candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(similarity, _)| *similarity >= 0.8);
    near.map(|(_, candidate)| candidate).or_else(|| words.iter().find(part_of).copied())
}
