//! Versions of SSM Agent, such as `3.3.1611.0`.

use std::cmp::Ordering;

/// Numbers with dots between.
#[derive(Debug, Clone)]
pub struct Version(Vec<u64>);

impl Version {
    /// Reads a version: one to eight numbers.
    ///
    /// ```
    /// use mappings::guest::Version;
    /// assert!(Version::new("3.3.9") < Version::new("3.3.10.0"));
    /// assert!(Version::new("3.3.x").is_none());
    /// ```
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let numbers: Vec<u64> = text.split('.').take(9).map(number).collect::<Option<_>>()?;
        (numbers.len() <= 8).then_some(Self(numbers))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let at = |version: &Self, place: usize| version.0.get(place).copied().unwrap_or(0);
        let places = 0..self.0.len().max(other.0.len());
        places
            .map(|place| at(self, place).cmp(&at(other, place)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers_and_missing_ones_are_zero() {
        let version = |text| Version::new(text).unwrap();
        assert!(version("3.3.131.0") > version("3.3.40"));
        assert_eq!(version("3.3"), version("3.3.0.0"));
        for text in ["", "3.", ".3", "3..3", "v3", "-1", "1.2.3.4.5.6.7.8.9", "99999999999999999999999"] {
            assert!(Version::new(text).is_none(), "{text}");
        }
    }
}
