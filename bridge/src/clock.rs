//! The one place where the program reads the wall clock.
//!
//! Everything else takes the time as an argument, or a [`Clock`], or measures durations with `tokio::time`, which tests can
//! pause. Nothing here fails: a clock that is wrong is found by `vmbridge check`, which compares it with each vCenter's.

use jiff::Timestamp;

/// The time now, by the clock of this machine.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that the rest of the program uses")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// A clock: that of the machine, or one that goes with `tokio::time` and so stands still or runs as a test wants.
#[derive(Debug, Clone, Copy, Default)]
pub enum Clock {
    /// The clock of this machine.
    #[default]
    Machine,
    /// It shows `begin` at the instant `at` of `tokio::time`.
    Virtual {
        /// What it shows.
        begin: Timestamp,
        /// When.
        at: tokio::time::Instant,
    },
}

impl Clock {
    /// A clock that shows `begin` now and goes with `tokio::time`.
    #[must_use]
    pub fn starting(begin: Timestamp) -> Self {
        Self::Virtual { begin, at: tokio::time::Instant::now() }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Machine => now(),
            Self::Virtual { begin, at } => {
                let passed =
                    jiff::SignedDuration::try_from(at.elapsed()).unwrap_or(jiff::SignedDuration::MAX);
                begin.checked_add(passed).unwrap_or(Timestamp::MAX)
            }
        }
    }
}
