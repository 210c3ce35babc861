//! How soon a watch tries again after it has failed.

use std::time::Duration;

use crate::error::Error;
use crate::retry::Backoff;

/// The delays of one watch.
#[derive(Debug)]
pub(super) struct Pace {
    backoff: Backoff,
    refused_login_delay: Duration,
}

impl Pace {
    /// Delays from about the first to about the longest; at least `refused_login_delay` after a refused log-in.
    pub(super) fn new((first, longest): (Duration, Duration), refused_login_delay: Duration) -> Self {
        Self { backoff: Backoff::new(first, longest), refused_login_delay }
    }

    /// The delay after this failure.
    pub(super) fn after(&mut self, error: &Error) -> Duration {
        let delay = self.backoff.next_delay();
        if error.is_login_refused() { delay.max(self.refused_login_delay) } else { delay }
    }

    /// It had worked: the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.backoff.reset();
    }
}
