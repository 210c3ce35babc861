//! Token buckets: one for each operation of each account and Region.

use std::collections::HashMap;
use std::time::Duration;

use super::config::Throttle;

/// The buckets: how full each was, and when.
#[derive(Debug, Default)]
pub(crate) struct Buckets(HashMap<String, (f64, Duration)>);

/// The limits of Security Hub's documentation, for each account in a Region: calls per second, and at once.
pub(crate) fn documented(operation: &str) -> Throttle {
    let (rate, burst) = if operation == "securityhub:GetFindings" { (3.0, 6.0) } else { (10.0, 30.0) };
    Throttle { rate, burst, operation: operation.to_owned() }
}

impl Buckets {
    /// Whether a call passes.
    pub(crate) fn pass(&mut self, throttle: &Throttle, bucket: &str, now: Duration) -> bool {
        let (level, since) = self.0.get(bucket).copied().unwrap_or((throttle.burst, now));
        let refilled = level + throttle.rate * now.saturating_sub(since).as_secs_f64();
        let level = refilled.min(throttle.burst);
        let pass = level >= 1.0;
        self.0.insert(bucket.to_owned(), (if pass { level - 1.0 } else { level }, now));
        pass
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let throttle = Throttle { rate: 2.0, burst: 3.0, operation: "*".to_owned() };
        let mut buckets = Buckets::default();
        let mut at = |milliseconds| buckets.pass(&throttle, "a", Duration::from_millis(milliseconds));
        assert_eq!(
            [at(0), at(0), at(0), at(0), at(499), at(500), at(501)],
            [true, true, true, false, false, true, false]
        );
        assert_eq!([at(60_000), at(60_000), at(60_000), at(60_000)], [true, true, true, false]);
        assert!(buckets.pass(&throttle, "b", Duration::ZERO));
    }
}
