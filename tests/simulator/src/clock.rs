//! The one place where the simulator reads the time of day, so that a skewed vCenter clock is a matter of one addition.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The time of day of this machine, moved by `skew` seconds, cut to microseconds as vCenter prints them.
pub(crate) fn now(skew_seconds: i64) -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the crate's one clock")]
    let now = Timestamp::now();
    let now = now.checked_add(SignedDuration::from_secs(skew_seconds)).unwrap_or(now);
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// Monotonic time since the first call: for idle sessions and token life times. Real time, whatever a test's runtime pauses.
pub(crate) fn uptime() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the crate's one clock; sessions must age in real time"
    )]
    let now = Instant::now();
    now.duration_since(*START.get_or_init(|| now))
}
