//! Patterns with wildcards over vSphere names.
//!
//! The pattern crates at hand match bytes and ignore case for ASCII only; vSphere compares names without regard to
//! case in every alphabet, and `?` has to stand for one character of `Größe`, not for half of one. So the matching is
//! written here: without allocation, and in time bounded by pattern length times text length whatever the pattern.
//!
//! | written  | matches                                                                     |
//! |----------|-----------------------------------------------------------------------------|
//! | `*`      | any number of characters (in a path: not `/`)                                |
//! | `?`      | exactly one character (in a path: not `/`)                                   |
//! | `[a-f0]` | one of the characters listed; `[!a-f]` one that is not                       |
//! | `**`     | in a path, as a whole component: any number of components, also none         |
//! | `\x`     | the character `x` itself                                                     |

use std::fmt;

/// The longest pattern that is accepted, in characters. vSphere names are at most 80 characters long.
pub const MAX_PATTERN_CHARS: usize = 1024;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatternError {
    /// Byte offset in the pattern at which the mistake is.
    pub offset: usize,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl PatternError {
    pub(crate) fn at(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

/// One piece of a component of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// One character, already folded.
    Char(char),
    /// `?`
    AnyChar,
    /// `*`
    AnyRun,
    /// `[…]`: inclusive ranges of characters.
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    /// Whether this token, which is not [`Token::AnyRun`], matches the single character `c`.
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == c || *wanted == fold(c),
            Self::AnyChar => true,
            Self::AnyRun => false,
            Self::Class { negated, ranges } => {
                let within = |c: char| ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                let lower = single(c.to_lowercase()).unwrap_or(c);
                let upper = single(c.to_uppercase()).unwrap_or(c);
                (within(c) || within(lower) || within(upper)) != *negated
            }
        }
    }
}

/// A pattern over a name. `*` matches any character, `/` too. Case is ignored.
///
/// ```
/// use mappings::glob::NamePattern;
/// let pattern: NamePattern = "web-[0-9]*".parse()?;
/// assert!(pattern.matches("WEB-07"));
/// assert!(!pattern.matches("web-db"));
/// # Ok::<(), mappings::glob::PatternError>(())
/// ```
#[derive(Clone)]
pub struct NamePattern {
    source: String,
    tokens: Vec<Token>,
}

impl NamePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When the pattern is empty, too long, or has an unfinished `[` or `\`.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        check_length(source)?;
        Ok(Self { source: source.to_owned(), tokens: compile(source, 0)? })
    }

    /// Whether `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        component_matches(&self.tokens, name)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The pattern that matches exactly `name` (in any case), however many special characters it contains.
    ///
    /// # Errors
    /// When `name` is empty or longer than a pattern may be.
    pub fn literal(name: &str) -> Result<Self, PatternError> {
        Self::new(&escape(name))
    }
}

/// A pattern over a folder path such as `/Prod/Web`. Case is ignored.
///
/// The path starts with `/` and has no trailing one; `/` alone is the root. A slash inside a folder's name is written
/// `%2f`, as vCenter itself writes it.
///
/// ```
/// use mappings::glob::PathPattern;
/// let pattern: PathPattern = "/Prod/**".parse()?;
/// assert!(pattern.matches("/prod") && pattern.matches("/Prod/Web/Blue"));
/// assert!(!pattern.matches("/Production"));
/// # Ok::<(), mappings::glob::PatternError>(())
/// ```
#[derive(Clone)]
pub struct PathPattern {
    source: String,
    components: Vec<Component>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Component {
    /// `**`
    AnyDepth,
    /// A component that one component of the path has to match.
    Name(Vec<Token>),
}

impl PathPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// When it does not begin with `/` or `**`, has an empty component, or has an unfinished `[` or `\`.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        check_length(source)?;
        let (mut offset, body) = match source.strip_prefix('/') {
            Some(body) => (1, body),
            None if source == "**" || source.starts_with("**/") => (0, source),
            None => {
                return Err(PatternError::at(
                    0,
                    format!(
                        "a folder pattern begins with `/` (from the top) or `**/` (anywhere): `/{source}` or `**/{source}`"
                    ),
                ));
            }
        };
        let mut components = Vec::new();
        if body.is_empty() {
            return Ok(Self { source: source.to_owned(), components });
        }
        for part in body.split('/') {
            if part.is_empty() {
                return Err(PatternError::at(offset, "empty folder name: no `//` and no `/` at the end"));
            }
            if part == "**" {
                // Two in a row mean the same as one.
                if components.last() != Some(&Component::AnyDepth) {
                    components.push(Component::AnyDepth);
                }
            } else if let Some(at) = part.find("**") {
                return Err(PatternError::at(
                    offset + at,
                    "`**` stands alone between slashes, as in `/Prod/**/web`; within a name write `*`",
                ));
            } else {
                components.push(Component::Name(compile(part, offset)?));
            }
            offset += part.len() + 1;
        }
        Ok(Self { source: source.to_owned(), components })
    }

    /// Whether the folder path matches.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let body = path.strip_prefix('/').unwrap_or(path);
        let mut rest = (!body.is_empty()).then_some(body);
        let mut wanted = 0;
        // Where to resume when a component does not match: after the last `**`, one component further on. Going back to
        // the last one is enough, since whatever an earlier `**` could swallow, the later one can as well.
        let mut resume: Option<(usize, Option<&str>)> = None;
        loop {
            match (self.components.get(wanted), rest) {
                (None, None) => return true,
                (Some(Component::AnyDepth), _) => {
                    wanted += 1;
                    if wanted == self.components.len() {
                        return true;
                    }
                    resume = Some((wanted, rest));
                    continue;
                }
                (Some(Component::Name(tokens)), Some(text)) => {
                    let (first, remaining) = split_first(text);
                    if component_matches(tokens, first) {
                        wanted += 1;
                        rest = remaining;
                        continue;
                    }
                }
                (Some(Component::Name(_)), None) | (None, Some(_)) => {}
            }
            match resume {
                Some((after, Some(text))) => {
                    let (_, remaining) = split_first(text);
                    resume = Some((after, remaining));
                    wanted = after;
                    rest = remaining;
                }
                Some((_, None)) | None => return false,
            }
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }
}

/// The first component of a path without its leading slash, and what follows it.
fn split_first(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        Some((first, rest)) => (first, Some(rest)),
        None => (text, None),
    }
}

/// Writes `text` so that a pattern matches exactly it.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// Folds a character so that two that differ only in case become equal. One character stays one: the rare letters
/// whose other case is two characters (`ß`, `İ`) are left as they are.
#[must_use]
pub(crate) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    // Upper case first: it unites letters with several lower-case forms (`σ` and `ς`).
    let upper = single(c.to_uppercase()).unwrap_or(c);
    single(upper.to_lowercase()).unwrap_or(upper)
}

/// Whether two names are the same without regard to case, as patterns compare them and as vSphere does.
#[must_use]
pub fn same_name(a: &str, b: &str) -> bool {
    a.chars().map(fold).eq(b.chars().map(fold))
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next()?;
    chars.next().is_none().then_some(first)
}

fn check_length(source: &str) -> Result<(), PatternError> {
    if source.is_empty() {
        return Err(PatternError::at(0, "an empty pattern matches nothing; `*` matches everything"));
    }
    match source.char_indices().nth(MAX_PATTERN_CHARS) {
        Some((offset, _)) => {
            Err(PatternError::at(offset, format!("longer than {MAX_PATTERN_CHARS} characters")))
        }
        None => Ok(()),
    }
}

/// Compiles one component; `base` is its offset in the whole pattern.
fn compile(source: &str, base: usize) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut chars = source.char_indices();
    while let Some((at, c)) = chars.next() {
        let token = match c {
            '*' => {
                if tokens.last() == Some(&Token::AnyRun) {
                    continue;
                }
                Token::AnyRun
            }
            '?' => Token::AnyChar,
            '[' => class(&mut chars, base + at)?,
            '\\' => match chars.next() {
                Some((_, escaped)) => Token::Char(fold(escaped)),
                None => {
                    return Err(PatternError::at(
                        base + at,
                        "`\\` at the end has nothing to escape; for a backslash write `\\\\`",
                    ));
                }
            },
            c => Token::Char(fold(c)),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// Reads the rest of a `[…]` whose bracket stood at `open`.
fn class(chars: &mut std::str::CharIndices<'_>, open: usize) -> Result<Token, PatternError> {
    let unfinished = || PatternError::at(open, "`[` without its `]`; for the bracket itself write `\\[`");
    let mut next = || -> Result<(char, bool), PatternError> {
        match chars.next().ok_or_else(unfinished)?.1 {
            '\\' => Ok((chars.next().ok_or_else(unfinished)?.1, true)),
            c => Ok((c, false)),
        }
    };
    let mut negated = false;
    let mut ranges: Vec<(char, char)> = Vec::new();
    let mut current = next()?;
    if current == ('!', false) {
        negated = true;
        current = next()?;
    }
    while current != (']', false) {
        let low = current.0;
        current = next()?;
        if current != ('-', false) {
            ranges.push((low, low));
            continue;
        }
        let high = next()?;
        if high == (']', false) {
            // A `-` at the end stands for itself.
            ranges.extend([(low, low), ('-', '-')]);
            break;
        }
        if high.0 < low {
            return Err(PatternError::at(
                open,
                format!("the range `{low}-{}` is the wrong way round", high.0),
            ));
        }
        ranges.push((low, high.0));
        current = next()?;
    }
    if ranges.is_empty() {
        return Err(PatternError::at(
            open,
            "`[]` lists no character; for the brackets themselves write `\\[\\]`",
        ));
    }
    Ok(Token::Class { negated, ranges })
}

/// Matches one component. On a mismatch it returns to the last `*` and lets that swallow one character more; no earlier
/// `*` needs to be tried again, which is what bounds the time.
fn component_matches(tokens: &[Token], text: &str) -> bool {
    let mut rest = text.chars();
    let mut wanted = 0;
    let mut resume: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let here = rest.clone();
        match (tokens.get(wanted), rest.next()) {
            (Some(Token::AnyRun), _) => {
                wanted += 1;
                if wanted == tokens.len() {
                    return true;
                }
                rest = here;
                resume = Some((wanted, rest.clone()));
                continue;
            }
            (Some(token), Some(c)) if token.matches(c) => {
                wanted += 1;
                continue;
            }
            (None, None) => return true,
            // The text is used up: a longer run for `*` cannot help.
            (Some(_), None) => return false,
            (Some(_) | None, Some(_)) => {}
        }
        let Some((after, from)) = &mut resume else { return false };
        if from.next().is_none() {
            return false;
        }
        wanted = *after;
        rest = from.clone();
    }
}

macro_rules! pattern_traits {
    ($type:ty, $compiled:ident) => {
        impl std::str::FromStr for $type {
            type Err = PatternError;
            fn from_str(source: &str) -> Result<Self, PatternError> {
                Self::new(source)
            }
        }
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.source)
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.source)
            }
        }
        /// Two patterns are equal when they mean the same, however they were written.
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.$compiled == other.$compiled
            }
        }
        impl Eq for $type {}
    };
}
pattern_traits!(NamePattern, tokens);
pattern_traits!(PathPattern, components);

#[cfg(test)]
mod tests;
