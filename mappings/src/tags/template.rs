//! Texts with placeholders: reading them, and filling in the facts of a VM.

use std::borrow::Cow;

use super::facts::{Placeholder, TagFacts};
use crate::selector::{Fact, closest, listed};

/// A piece of a text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Text(String),
    /// What stands in braces.
    Name(&'a str),
}

/// What is wrong with a template, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TemplateError {
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// Takes a text apart. `{{` and `}}` are braces.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, TemplateError> {
    let error = |message: &str, help: &str| {
        Err(TemplateError { message: message.to_owned(), help: Some(help.to_owned()) })
    };
    let mut out = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let from = &rest[at..];
        if let Some(after) = from.strip_prefix("{{") {
            literal.push('{');
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            literal.push('}');
            rest = after;
        } else if from.starts_with('}') {
            return error("`}` without its `{`", "for the brace itself write `}}`");
        } else {
            let Some(end) = from[1..].find(['{', '}']).filter(|end| from[1 + end..].starts_with('}')) else {
                return error("`{` without its `}`", "for the brace itself write `{{`");
            };
            if !literal.is_empty() {
                out.push(Token::Text(std::mem::take(&mut literal)));
            }
            out.push(Token::Name(&from[1..=end]));
            rest = &from[end + 2..];
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        out.push(Token::Text(literal));
    }
    Ok(out)
}

/// A placeholder that is none of `words`.
pub(super) fn unknown(name: &str, words: &[&'static str]) -> TemplateError {
    let help = match closest(name.trim(), words) {
        Some(word) => format!("did you mean `{{{word}}}`?"),
        None if words.is_empty() => "for the brace itself write `{{`".to_owned(),
        None => format!("in braces may stand {}", listed(words)),
    };
    TemplateError { message: format!("there is no `{{{name}}}` here"), help: Some(help) }
}

/// A text with facts about a VM. Compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Fact(Placeholder),
}

/// What a template came out as.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rendered<'a> {
    Text(Cow<'a, str>),
    /// A fact that it needs is not there.
    Absent,
    /// A fact that it needs is not known.
    Unknown(Placeholder),
}

impl Template {
    pub(super) fn new(text: &str) -> Result<Self, TemplateError> {
        let piece = |token| match token {
            Token::Text(text) => Ok(Piece::Text(text.into())),
            Token::Name(name) => {
                Placeholder::from_word(name).map(Piece::Fact).ok_or_else(|| unknown(name, Placeholder::WORDS))
            }
        };
        Ok(Self(tokens(text)?.into_iter().map(piece).collect::<Result<_, _>>()?))
    }

    /// The texts between the placeholders.
    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(&**text),
            Piece::Fact(_) => None,
        })
    }

    /// The whole text, if there is no placeholder in it.
    pub(super) fn fixed(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Fills in the facts. Unless `keep_empty`, a fact that is not there makes the whole text absent, whatever else is
    /// unknown: `{datacenter}/{cluster}` is nothing for a VM outside clusters, rather than half a path.
    pub(super) fn render<'a>(&'a self, facts: &'a dyn TagFacts, keep_empty: bool) -> Rendered<'a> {
        match &self.0[..] {
            [] => return Rendered::Text(Cow::Borrowed("")),
            [Piece::Text(text)] => return Rendered::Text(Cow::Borrowed(text)),
            [Piece::Fact(placeholder)] => {
                return match placeholder.of(facts) {
                    Fact::Known(text) => Rendered::Text(Cow::Borrowed(text)),
                    Fact::Absent if keep_empty => Rendered::Text(Cow::Borrowed("")),
                    Fact::Absent => Rendered::Absent,
                    Fact::Unknown => Rendered::Unknown(*placeholder),
                };
            }
            _ => {}
        }
        let mut unknown = None;
        let mut out = String::with_capacity(64);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Fact(placeholder) => match placeholder.of(facts) {
                    Fact::Known(text) => out.push_str(text),
                    Fact::Absent if keep_empty => {}
                    Fact::Absent => return Rendered::Absent,
                    Fact::Unknown => unknown = unknown.or(Some(*placeholder)),
                },
            }
        }
        match unknown {
            Some(placeholder) => Rendered::Unknown(placeholder),
            None => Rendered::Text(Cow::Owned(out)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces() {
        let text = |text: &str| Token::Text(text.to_owned());
        for (source, wanted) in [
            ("", vec![]),
            ("a", vec![text("a")]),
            ("{a}", vec![Token::Name("a")]),
            ("x{a}{b}y", vec![text("x"), Token::Name("a"), Token::Name("b"), text("y")]),
            ("{{a}}", vec![text("{a}")]),
            ("{{{a}}}", vec![text("{"), Token::Name("a"), text("}")]),
            ("{}", vec![Token::Name("")]),
        ] {
            assert_eq!(tokens(source), Ok(wanted), "{source}");
        }
        for source in ["{", "}", "{a", "a}", "{a{b}", "{{a}", "{a}}"] {
            assert!(tokens(source).is_err(), "{source}");
        }
    }
}
