//! The one place where the program reads the wall clock.
//!
//! Everything else takes the time as an argument or measures durations with `tokio::time`, which tests can pause.
//! Nothing here fails: a clock that is wrong is found by `vmbridge check`, which compares it with each vCenter's.

use jiff::Timestamp;

/// The time now, by the clock of this machine.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock that the rest of the program uses")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
