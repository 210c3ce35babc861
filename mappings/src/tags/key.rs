//! The key that a rule writes.

use super::chars;
use super::encode;
use super::name::{Half, TagError, TagKey};
use super::policy::{Change, OnInvalid, Policy, Refused, SUFFIX};
use super::problem::ProblemKind;
use super::rule::CategoryPattern;
use super::spec::Long;

/// The key of a rule. Compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyMaker {
    /// Always the same.
    Fixed(TagKey),
    /// Made of the name of the category.
    Dynamic { prefix: Box<str>, suffix: Box<str> },
}

impl KeyMaker {
    pub(super) fn fixed(&self) -> Option<&TagKey> {
        match self {
            Self::Fixed(key) => Some(key),
            Self::Dynamic { .. } => None,
        }
    }

    /// The key for a category.
    pub(super) fn make(
        &self,
        policy: &Policy,
        category: &str,
    ) -> Result<(TagKey, Option<Change>), ProblemKind> {
        let (prefix, suffix) = match self {
            Self::Fixed(key) => return Ok((key.clone(), None)),
            Self::Dynamic { prefix, suffix } => (prefix, suffix),
        };
        if category.is_empty() {
            return Err(ProblemKind::EmptyKey);
        }
        let text = || category.to_owned();
        let (middle, change) = policy
            .shape(category, Half::Key, room(prefix, suffix), prefix.is_empty())
            .map_err(|refused| refusal(refused, Half::Key, category))?;
        let key = if prefix.is_empty() && suffix.is_empty() {
            TagKey::new(&middle)
        } else {
            TagKey::new(&format!("{prefix}{middle}{suffix}"))
        };
        let key = key.map_err(|error| match error {
            TagError::EmptyKey => ProblemKind::EmptyKey,
            TagError::Long { half, length } => ProblemKind::Long { half, text: text(), length },
            TagError::Character { half, character, .. } => {
                ProblemKind::Characters { half, text: text(), characters: character.to_string() }
            }
            TagError::Reserved { half } => ProblemKind::Reserved { half, text: text() },
        })?;
        Ok((key, change))
    }

    /// Whether `key` may have been made by this from a category that `pattern` takes. Where that cannot be told (another
    /// category may have become the same after replacing), it may.
    pub(super) fn could_make(
        &self,
        policy: &Policy,
        pattern: Option<&CategoryPattern>,
        key: &TagKey,
    ) -> bool {
        let (prefix, suffix) = match self {
            Self::Fixed(fixed) => return fixed == key,
            Self::Dynamic { prefix, suffix } => (prefix, suffix),
        };
        let Some(middle) = key.as_str().strip_prefix(&**prefix).and_then(|rest| rest.strip_suffix(&**suffix))
        else {
            return false;
        };
        let takes = |category: &str| pattern.is_none_or(|pattern| pattern.takes(category));
        if takes(middle) || looks_shortened(policy, middle) {
            return true;
        }
        match &policy.invalid {
            OnInvalid::Encode => encode::decode(middle).is_ok_and(|category| takes(&category)),
            OnInvalid::Replace(replacement) => middle.contains(&**replacement) || middle.contains('_'),
            OnInvalid::Error => false,
        }
    }
}

/// How long the part of a key that is made of a category may be.
pub(super) fn room(prefix: &str, suffix: &str) -> usize {
    chars::MAX_KEY.saturating_sub(chars::length(prefix) + chars::length(suffix))
}

fn looks_shortened(policy: &Policy, middle: &str) -> bool {
    policy.long == Long::HashSuffix
        && middle.len() >= SUFFIX
        && middle.rsplit_once('-').is_some_and(|(_, digits)| {
            digits.len() == SUFFIX - 1 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// A refusal as a problem.
pub(super) fn refusal(refused: Refused, half: Half, text: &str) -> ProblemKind {
    let text = text.to_owned();
    match refused {
        Refused::Characters(characters) => ProblemKind::Characters { half, text, characters },
        Refused::Reserved => ProblemKind::Reserved { half, text },
        Refused::Long(length) => ProblemKind::Long { half, text, length },
    }
}
