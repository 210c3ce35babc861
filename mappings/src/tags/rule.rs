//! A rule, checked and compiled.

use std::borrow::Cow;
use std::sync::Arc;

use super::key::KeyMaker;
use super::name::TagKey;
use super::policy::Policy;
use super::spec::{Case, Kind, Several};
use super::template::Template;
use crate::glob::{NamePattern, same_name};
use crate::selector::Selector;

/// Which rule of a [`RuleSet`](super::RuleSet): its position. It says nothing about another set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(super) u16);

impl RuleId {
    /// The position, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    pub(super) key: KeyMaker,
    pub(super) kind: Kind,
    pub(super) several: Several,
    pub(super) separator: Box<str>,
    pub(super) only: Vec<NamePattern>,
    pub(super) except: Vec<NamePattern>,
    pub(super) map: Vec<(NamePattern, Box<str>)>,
    pub(super) case: Case,
    pub(super) keep_empty: bool,
    pub(super) selector: Selector,
    pub(super) policy: Policy,
}

/// Where values come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Category(CategoryPattern),
    Attribute(Arc<str>),
    Value(Template),
}

/// Which categories of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CategoryPattern {
    /// The one with this name.
    Exact(Box<str>),
    /// Those with a name like this.
    Glob { pattern: NamePattern, except: Vec<NamePattern> },
}

impl CategoryPattern {
    /// Whether it takes the category.
    pub(super) fn takes(&self, category: &str) -> bool {
        match self {
            // Nearly every name is ASCII, and nearly every comparison ends at the length.
            Self::Exact(name) if name.is_ascii() && category.is_ascii() => {
                name.eq_ignore_ascii_case(category)
            }
            Self::Exact(name) => same_name(name, category),
            Self::Glob { pattern, except } => {
                pattern.matches(category) && !except.iter().any(|except| except.matches(category))
            }
        }
    }
}

impl Rule {
    /// The categories that it reads, if it reads any.
    pub(super) fn categories(&self) -> Option<&CategoryPattern> {
        match &self.source {
            Source::Category(pattern) => Some(pattern),
            Source::Attribute(_) | Source::Value(_) => None,
        }
    }

    /// What one value in vSphere becomes before several are put together, or `None` if it does not count.
    pub(super) fn prepare<'t>(&'t self, value: &'t str) -> Option<Cow<'t, str>> {
        if value.is_empty() && !self.keep_empty {
            return None;
        }
        let any = |patterns: &[NamePattern]| patterns.iter().any(|pattern| pattern.matches(value));
        if (!self.only.is_empty() && !any(&self.only)) || any(&self.except) {
            return None;
        }
        let renamed = self.map.iter().find(|(from, _)| from.matches(value)).map_or(value, |(_, to)| to);
        if renamed.is_empty() && !self.keep_empty {
            return None;
        }
        Some(match self.case {
            Case::Keep => Cow::Borrowed(renamed),
            Case::Lower => Cow::Owned(renamed.to_lowercase()),
            Case::Upper => Cow::Owned(renamed.to_uppercase()),
        })
    }

    /// Whether it may write the key, for some VM.
    pub(super) fn could_write(&self, key: &TagKey) -> bool {
        self.key.could_make(&self.policy, self.categories(), key)
    }
}
