//! Why an XML answer could not be decoded.

use std::fmt;

/// An answer that could not be decoded, and where.
#[derive(Debug, Clone)]
pub struct XmlError {
    /// Offset in bytes from the start of the body at which the problem was noticed.
    pub offset: u64,
    /// What was wrong.
    pub kind: XmlErrorKind,
}

/// What was wrong with an XML answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum XmlErrorKind {
    /// The bytes are not well-formed XML, or the connection failed while they arrived.
    Syntax(quick_xml::Error),
    /// The connection broke before the body was complete.
    Incomplete(String),
    /// A limit was exceeded; the text names it.
    Limit(&'static str),
    /// The document declares an encoding other than UTF-8.
    Encoding(String),
    /// A document type declaration: vCenter never sends one, and it is how entity attacks begin.
    DocumentType,
    /// A reference to an entity that XML does not predefine.
    UnknownEntity(String),
    /// The document ended inside an element.
    UnexpectedEnd,
    /// An element that had to be there was not.
    Expected {
        /// The element that was due.
        expected: &'static str,
        /// What stood there.
        found: String,
    },
    /// Whoever wanted the answer has gone away, so the rest was not read.
    Abandoned,
    /// A value that is not of its type.
    Value {
        /// The type that was due.
        expected: &'static str,
        /// The text that stood there, shortened.
        found: String,
    },
}

impl fmt::Display for XmlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            XmlErrorKind::Syntax(_) => write!(f, "malformed XML")?,
            XmlErrorKind::Incomplete(why) => write!(f, "the answer broke off: {why}")?,
            XmlErrorKind::Limit(what) => write!(f, "the answer exceeds the limit on {what}")?,
            XmlErrorKind::Encoding(name) => write!(f, "the answer is in the encoding {name:?}, not UTF-8")?,
            XmlErrorKind::DocumentType => write!(f, "the answer contains a document type declaration")?,
            XmlErrorKind::UnknownEntity(name) => {
                write!(f, "the answer refers to the unknown entity {name:?}")?;
            }
            XmlErrorKind::UnexpectedEnd => write!(f, "the answer ends inside an element")?,
            XmlErrorKind::Expected { expected, found } => {
                write!(f, "expected the element {expected}, found {found}")?;
            }
            XmlErrorKind::Abandoned => write!(f, "nobody wants the answer any more")?,
            XmlErrorKind::Value { expected, found } => write!(f, "expected {expected}, found {found:?}")?,
        }
        write!(f, " at byte {}", self.offset)
    }
}

impl std::error::Error for XmlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.kind {
            XmlErrorKind::Syntax(error) => Some(error),
            _ => None,
        }
    }
}

impl XmlError {
    /// Whether the body arrived incomplete, so that asking again may help.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self.kind, XmlErrorKind::Incomplete(_) | XmlErrorKind::UnexpectedEnd)
            || matches!(
                &self.kind,
                XmlErrorKind::Syntax(quick_xml::Error::Io(_) | quick_xml::Error::Syntax(_))
            )
    }
}

/// Shortens text from outside so that an error stays one line and cannot flood a log.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 80;
    let mut end = MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut short = text[..end].to_owned();
    if end < text.len() {
        short.push('…');
    }
    short
}

/// The first line of a sentence from outside, shortened and without control characters.
pub(crate) fn shorten_line(text: &str) -> String {
    const MAX: usize = 300;
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX).collect();
    line.trim_end().to_owned()
}
