//! What checking found: rows, the sources that they are about, and the whole.

use serde::Serialize;

/// What came of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is as it should be.
    Pass,
    /// It works, and something about it should be looked at.
    Warn,
    /// It does not work.
    Fail,
    /// It was not tried, since it needs something that failed.
    NotRun,
}

/// One check of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was checked: `dns`, `tls`, `privilege discover System.Read`, ….
    pub check: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was seen.
    pub detail: String,
    /// What to do about it, if there is something to do.
    pub fix: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// What kind of thing a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The configuration file.
    Configuration,
    /// A `[[vcenter]]`.
    Vcenter,
    /// A `[[vmc]]` organisation.
    Vmc,
    /// An SDDC of an organisation.
    Sddc,
    /// An `[[aws]]` target.
    Aws,
    /// The state directory.
    State,
}

impl SourceKind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Vcenter => "vcenter",
            Self::Vmc => "vmc",
            Self::Sddc => "sddc",
            Self::Aws => "aws",
            Self::State => "state",
        }
    }
}

/// All checks of one source, in the order in which they depend on each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// Its kind.
    pub kind: SourceKind,
    /// Its name in the configuration; for an SDDC that of its organisation and its own, `cloud/sddc-1`.
    pub name: String,
    /// Where it is: a path or an address.
    pub address: String,
    /// What was checked.
    pub checks: Vec<Row>,
}

/// All checks of all sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The sources, in the order of the configuration.
    pub sources: Vec<SourceReport>,
}

/// How many checks came out how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As they should be.
    pub passed: usize,
    /// Working, but to be looked at.
    pub warned: usize,
    /// Not working.
    pub failed: usize,
    /// Not tried.
    pub not_run: usize,
}

impl Report {
    /// How many checks came out how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in self.sources.iter().flat_map(|source| &source.checks) {
            match row.outcome {
                Outcome::Pass => counts.passed += 1,
                Outcome::Warn => counts.warned += 1,
                Outcome::Fail => counts.failed += 1,
                Outcome::NotRun => counts.not_run += 1,
            }
        }
        counts
    }
}
