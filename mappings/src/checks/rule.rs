//! A rule: what is read, what is expected, and what a person needs to know about it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::expect::Expect;
use super::kind::Kind;
use super::read::Read;
use super::version::{ApiVersion, Versions};

macro_rules! name {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Reads a name: 1 to 80 characters in groups of lower-case letters and digits with single `-` between.
            #[must_use]
            pub fn new(text: &str) -> Option<Self> {
                is_kebab(text).then(|| Self(text.into()))
            }

            /// The name as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a rule, which never changes: findings, suppressions and reports refer to it.
    RuleId
}
name! {
    /// The family that a rule belongs to, such as `devices`: what is switched on and off together.
    Family
}

fn is_kebab(text: &str) -> bool {
    let group = |group: &str| {
        !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    text.len() <= 80 && text.split('-').all(group)
}

/// How bad it is, in the words of Security Hub (`Severity.Label`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Informational,
    /// Defence in depth.
    Low,
    /// To be seen to with other work.
    Medium,
    /// To be seen to soon.
    High,
    /// To be seen to now.
    Critical,
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: &[Self] = &[Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];
    /// Every severity as it is written, the least first.
    pub const WORDS: &[&str] = &["informational", "low", "medium", "high", "critical"];

    /// The severity as it is written in rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a value that is not set means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The default is good.
    Pass,
    /// The default is bad.
    Fail,
    /// The rule has nothing to say of the object.
    NotApplicable,
}

impl Missing {
    /// Every meaning.
    pub const ALL: &[Self] = &[Self::Pass, Self::Fail, Self::NotApplicable];
    /// Every meaning as it is written.
    pub const WORDS: &[&str] = &["pass", "fail", "not-applicable"];

    /// The meaning as it is written in rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// What is expected of some versions of vSphere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The versions.
    pub versions: Versions,
    /// What is expected of them.
    pub expect: Expect,
}

/// Something that must hold for a rule to be about an object at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What is read.
    pub read: Read,
    /// What it must be. A missing value that is [`Missing::Pass`] fulfils the condition, any other does not.
    pub expect: Expect,
    /// Why the rule does not apply otherwise, as half a sentence: `the firmware is not EFI`.
    pub otherwise: Box<str>,
}

/// Where others say the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct References {
    /// Controls of the vendor's security configuration guides.
    pub scg: Vec<String>,
    /// Rules of the DISA STIGs for vSphere.
    pub stig: Vec<String>,
    /// Recommendations of the CIS benchmarks.
    pub cis: Vec<String>,
}

impl References {
    /// All of them, each with its source: `SCG vm-8.log-enable`, `STIG VMCH-80-000207`.
    pub fn iter(&self) -> impl Iterator<Item = String> {
        let of = |source: &'static str, list: &[String]| -> Vec<String> {
            list.iter().map(|reference| format!("{source} {reference}")).collect()
        };
        [of("SCG", &self.scg), of("STIG", &self.stig), of("CIS", &self.cis)].into_iter().flatten()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.scg.is_empty() && self.stig.is_empty() && self.cis.is_empty()
    }
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub id: RuleId,
    /// What it is about.
    pub kind: Kind,
    /// What should be, in one sentence of at most 200 characters.
    pub title: Box<str>,
    /// How bad it is when it is not so.
    pub severity: Severity,
    /// What it belongs to.
    pub family: Family,
    /// Why it should be so.
    pub rationale: Box<str>,
    /// What to do.
    pub remediation: Box<str>,
    /// Where to read more (`https://…`).
    pub link: Option<Box<str>>,
    /// Where others say the same.
    pub references: References,
    /// The versions that it is about.
    pub applies: Versions,
    /// What else must hold.
    pub when: Vec<Condition>,
    /// What is read.
    pub read: Read,
    /// What is expected; the first that is about a version counts.
    pub cases: Vec<Case>,
}

impl Rule {
    /// Everything that it reads.
    pub fn reads(&self) -> impl Iterator<Item = &Read> {
        std::iter::once(&self.read).chain(self.when.iter().map(|condition| &condition.read))
    }

    /// What is expected of a version. Where the version is not known: what is expected of every version, if that is one
    /// thing.
    #[must_use]
    pub fn case(&self, version: Option<ApiVersion>) -> Option<&Case> {
        match version {
            Some(version) => self.cases.iter().find(|case| case.versions.contains(version)),
            None => self.cases.first().filter(|case| case.versions.is_everything()),
        }
    }
}
