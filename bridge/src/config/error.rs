//! All mistakes of a configuration, each with its place, what is allowed, and what was probably meant.

use std::fmt;
use std::path::{Path, PathBuf};

use super::node::Origin;
use super::source::{Place, SourceText};

/// More mistakes than this are counted, not listed.
const MOST_LISTED: usize = 50;

/// One mistake.
#[derive(Debug, Clone)]
pub struct Problem {
    pub(super) origin: Option<Origin>,
    /// The setting it is about, such as `vcenter.dc1.url`; empty for the file as a whole.
    pub(super) setting: String,
    pub(super) message: String,
    pub(super) help: Option<String>,
    /// Whether this says only that something is not there.
    pub(super) missing: bool,
}

impl Problem {
    pub(super) fn new(origin: Option<Origin>, setting: &str, message: impl Into<String>) -> Self {
        Self { origin, setting: setting.to_owned(), message: message.into(), help: None, missing: false }
    }

    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The setting it is about, such as `vcenter.dc1.url`; empty for the file as a whole.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The environment variable in which the mistake is, if it is in one.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match &self.origin {
            Some(Origin::Variable(name)) => Some(name),
            Some(Origin::File(_)) | None => None,
        }
    }
}

/// Everything that is wrong with a configuration.
///
/// `Display` lists all of it in the manner of a compiler, in plain text, and never shows a value that could be secret.
#[derive(Clone)]
pub struct ConfigErrors {
    pub(super) path: PathBuf,
    pub(super) source: SourceText,
    pub(super) problems: Vec<Problem>,
}

impl ConfigErrors {
    /// An error about the file as a whole.
    pub(super) fn whole(path: &Path, message: String, help: Option<String>) -> Self {
        let problem = Problem { help, ..Problem::new(None, "", message) };
        Self { path: path.to_owned(), source: SourceText::default(), problems: vec![problem] }
    }

    /// The mistakes in the order of their places.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether all mistakes are about this section.
    #[must_use]
    pub fn are_about(&self, section: &str) -> bool {
        let is = |problem: &Problem| {
            problem
                .setting
                .strip_prefix(section)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.problems.iter().all(is)
    }

    /// Line and column of a mistake, both counted from 1, or `None` when it is not at a place in the file.
    #[must_use]
    pub fn place(&self, problem: &Problem) -> Option<(usize, usize)> {
        match &problem.origin {
            Some(Origin::File(span)) => {
                let Place { line, column } = self.source.place(span.start);
                Some((line, column))
            }
            Some(Origin::Variable(_)) | None => None,
        }
    }

    /// Adds mistakes of syntax. What the rest of the file seems to say is then less certain: what is missing may stand in
    /// the part that could not be read, and what is in the same line may have been misread.
    pub(super) fn add_syntax(&mut self, syntax: Vec<Problem>) {
        if syntax.is_empty() {
            return;
        }
        let line = |problem: &Problem| match &problem.origin {
            Some(Origin::File(span)) => Some(self.source.place(span.start).line),
            Some(Origin::Variable(_)) | None => None,
        };
        let misread: Vec<usize> = syntax.iter().filter_map(line).collect();
        let certain: Vec<bool> = self
            .problems
            .iter()
            .map(|problem| !problem.missing && line(problem).is_none_or(|line| !misread.contains(&line)))
            .collect();
        let mut certain = certain.into_iter();
        self.problems.retain(|_| certain.next().unwrap_or(true));
        self.problems.extend(syntax);
    }

    pub(super) fn sort(&mut self) {
        self.problems.sort_by_key(|problem| match &problem.origin {
            None => (0, 0, String::new()),
            Some(Origin::File(span)) => (1, span.start, String::new()),
            Some(Origin::Variable(name)) => (2, 0, name.clone()),
        });
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, problem: &Problem) -> fmt::Result {
        writeln!(f, "error: {}", problem.message)?;
        let about = |f: &mut fmt::Formatter<'_>| {
            if problem.setting.is_empty() { writeln!(f) } else { writeln!(f, " ({})", problem.setting) }
        };
        let path = self.path.display();
        match &problem.origin {
            None => {
                write!(f, "  --> {path}")?;
                about(f)?;
            }
            Some(Origin::Variable(name)) => {
                write!(f, "  --> environment variable {name}")?;
                about(f)?;
            }
            Some(Origin::File(span)) => {
                let Place { line, column } = self.source.place(span.start);
                write!(f, "  --> {path}:{line}:{column}")?;
                about(f)?;
                if let Some(excerpt) = self.source.excerpt(span) {
                    let number = line.to_string();
                    let gutter = " ".repeat(number.len());
                    writeln!(f, " {gutter} |\n {number} | {}\n {gutter} | {}", excerpt.line, excerpt.marker)?;
                }
            }
        }
        match &problem.help {
            Some(help) => writeln!(f, "   = {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(MOST_LISTED) {
            self.write(f, problem)?;
            writeln!(f)?;
        }
        let hidden = self.problems.len().saturating_sub(MOST_LISTED);
        if hidden > 0 {
            writeln!(f, "… and {hidden} more")?;
        }
        let count = self.problems.len();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        write!(f, "{count} {plural} in the configuration {}", self.path.display())
    }
}

impl fmt::Debug for ConfigErrors {
    /// The same as `Display`: the file's text must not get into a log by way of `{:?}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigErrors {}
