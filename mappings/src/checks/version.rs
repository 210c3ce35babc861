//! Versions of vSphere, and which of them something is about.

use std::fmt;
use std::str::FromStr;

/// A version of vCenter or ESXi, such as `8.0.3`. Parts that are not written are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion([u16; 4]);

impl ApiVersion {
    /// A version from its parts.
    #[must_use]
    pub const fn new(parts: [u16; 4]) -> Self {
        Self(parts)
    }

    /// The release that it belongs to: the first three numbers (`8.0.3`), without that of a patch.
    #[must_use]
    pub const fn release(self) -> Self {
        let [major, minor, update, _] = self.0;
        Self([major, minor, update, 0])
    }

    /// Reads one to four numbers with dots between.
    ///
    /// ```
    /// use mappings::checks::ApiVersion;
    /// assert!(ApiVersion::parse("8.0.3.0") > ApiVersion::parse("8.0.2"));
    /// assert!(ApiVersion::parse("8.x").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = [0; 4];
        for (at, part) in text.trim().split('.').enumerate() {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            *parts.get_mut(at)? = digits.then(|| part.parse().ok()).flatten()?;
        }
        Some(Self(parts))
    }
}

impl fmt::Display for ApiVersion {
    /// At least two parts, and no zeros after them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().rposition(|part| *part != 0).map_or(2, |last| (last + 1).max(2));
        self.0.iter().take(shown).enumerate().try_for_each(|(at, part)| {
            if at > 0 {
                f.write_str(".")?;
            }
            write!(f, "{part}")
        })
    }
}

/// A range of versions, written as `>=7.0, <8.0`. The default is every version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Versions {
    from: Option<ApiVersion>,
    before: Option<ApiVersion>,
}

/// A range that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of versions")]
pub struct VersionsError(String);

impl Versions {
    /// Whether the version is in the range.
    #[must_use]
    pub fn contains(self, version: ApiVersion) -> bool {
        self.from.is_none_or(|from| version >= from) && self.before.is_none_or(|before| version < before)
    }

    /// Whether every version is.
    #[must_use]
    pub fn is_everything(self) -> bool {
        self == Self::default()
    }
}

impl FromStr for Versions {
    type Err = VersionsError;

    fn from_str(text: &str) -> Result<Self, VersionsError> {
        let wrong = || VersionsError(text.to_owned());
        let mut range = Self::default();
        for part in text.split(',') {
            let part = part.trim();
            let (bound, version) = if let Some(version) = part.strip_prefix(">=") {
                (&mut range.from, version)
            } else if let Some(version) = part.strip_prefix('<') {
                (&mut range.before, version)
            } else {
                return Err(wrong());
            };
            let version = ApiVersion::parse(version).ok_or_else(wrong)?;
            if bound.replace(version).is_some() {
                return Err(wrong());
            }
        }
        match (range.from, range.before) {
            (Some(from), Some(before)) if from >= before => Err(wrong()),
            _ => Ok(range),
        }
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.before) {
            (None, None) => f.write_str("every version"),
            (Some(from), None) => write!(f, ">={from}"),
            (None, Some(before)) => write!(f, "<{before}"),
            (Some(from), Some(before)) => write!(f, ">={from}, <{before}"),
        }
    }
}

#[cfg(test)]
mod tests;
