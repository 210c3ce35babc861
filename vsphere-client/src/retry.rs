//! When to try again. The one module that knows: what failed judges itself ([`Classify`]), this module sleeps.
//!
//! Short failures of one call are bridged by [`retry`], with few attempts; everything longer is left to whoever asked, who
//! paces itself with [`Backoff`].

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// Whether the same thing may succeed a little later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Transient {
        /// When the other side said so, how much later.
        retry_after: Option<Duration>,
    },
    /// It will not: somebody has to do something first.
    Permanent,
}

/// Failures that can be judged.
pub trait Classify {
    /// The judgement.
    fn classify(&self) -> Verdict;
}

/// How often and how soon one call is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// Delay before the second attempt, on average; the next ones double it.
    pub first_delay: Duration,
    /// Longest delay, also when the other side asks for more: longer pauses are not for one call.
    pub longest_delay: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { attempts: 3, first_delay: Duration::from_millis(200), longest_delay: Duration::from_secs(5) }
    }
}

/// Does `attempt` until it succeeds, fails for good, or the attempts are used up; then its last failure is returned.
///
/// # Errors
/// The failure of the last attempt.
pub async fn retry<T, E, F>(policy: &Policy, mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    E: Classify,
    F: Future<Output = Result<T, E>>,
{
    let mut pace = Backoff::new(policy.first_delay, policy.longest_delay);
    let mut attempts = 1;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let Verdict::Transient { retry_after } = error.classify() else { return Err(error) };
        if attempts >= policy.attempts {
            return Err(error);
        }
        attempts += 1;
        let delay = pace.next_delay().max(retry_after.unwrap_or_default()).min(policy.longest_delay);
        tokio::time::sleep(delay).await;
    }
}

/// Delays that grow with each failure up to a longest one, spread at random so that many clients do not return at once.
#[derive(Debug)]
pub struct Backoff(ExponentialBackoff);

impl Backoff {
    /// Delays from about `first` to about `longest`.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self(ExponentialBackoff {
            current_interval: first,
            initial_interval: first,
            max_interval: longest,
            multiplier: 2.0,
            randomization_factor: 0.3,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        // Without a longest time in all there always is a next one.
        self.0.next_backoff().unwrap_or(self.0.max_interval)
    }

    /// Begins again with the first delay.
    pub fn reset(&mut self) {
        self.0.reset();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Failure(Verdict);

    impl Classify for Failure {
        fn classify(&self) -> Verdict {
            self.0
        }
    }

    const PASSING: Verdict = Verdict::Transient { retry_after: None };

    async fn attempts(failures: u32, verdict: Verdict) -> (u32, Result<(), Failure>) {
        let made = Cell::new(0);
        let result = retry(&Policy::default(), || async {
            made.set(made.get() + 1);
            if made.get() > failures { Ok(()) } else { Err(Failure(verdict)) }
        })
        .await;
        (made.get(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn only_passing_failures_are_tried_again_and_not_for_ever() {
        assert_eq!(attempts(0, PASSING).await, (1, Ok(())));
        assert_eq!(attempts(2, PASSING).await, (3, Ok(())));
        assert_eq!(attempts(3, PASSING).await, (3, Err(Failure(PASSING))));
        assert_eq!(attempts(1, Verdict::Permanent).await, (1, Err(Failure(Verdict::Permanent))));
    }

    #[tokio::test(start_paused = true)]
    async fn the_other_side_may_ask_for_more_time_but_not_for_any_time() {
        let begin = tokio::time::Instant::now();
        attempts(1, Verdict::Transient { retry_after: Some(Duration::from_secs(2)) }).await.1.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 2);
        attempts(1, Verdict::Transient { retry_after: Some(Duration::from_secs(2000)) }).await.1.unwrap();
        assert_eq!(begin.elapsed().as_secs(), 7);
    }

    #[test]
    fn delays_grow_to_the_longest_and_begin_again_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        let delays: Vec<_> = (0..20).map(|_| backoff.next_delay().as_secs_f64()).collect();
        assert!(delays[0] <= 1.3 && delays[4] > 8.0, "{delays:?}");
        assert!(delays.iter().all(|&d| d <= 39.0) && delays[19] >= 21.0, "{delays:?}");
        backoff.reset();
        assert!(backoff.next_delay().as_secs_f64() <= 1.3);
    }
}
