//! How far a vCenter's clock is from ours.
//!
//! Certificates, events and, later, AWS signatures and maintenance windows are judged by the clock; a few minutes are
//! enough to break them in ways that do not look like a clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::course::Finding;

const WARN: SignedDuration = SignedDuration::from_secs(5);
const FAIL: SignedDuration = SignedDuration::from_mins(5);

/// Judges the time that the server told, given ours when the answer had come and how long that had taken.
pub(super) fn judge(theirs: Timestamp, ours: Timestamp, round_trip: Duration) -> Finding {
    let round_trip = SignedDuration::try_from(round_trip).unwrap_or(SignedDuration::MAX);
    let half = round_trip / 2;
    // The server looked at its clock somewhere between question and answer: half of that is the best guess.
    let skew = theirs.duration_since(ours).saturating_add(half);
    let size = skew.abs().saturating_sub(half);
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    let detail = format!("vCenter's clock is {} {direction} ours", seconds(skew.abs()));
    let fix = "synchronise both clocks with NTP: `timedatectl` here, the appliance management page (port 5480) there";
    if size > FAIL {
        Finding::fail(detail, fix)
    } else if size > WARN {
        Finding::warn((), detail, fix)
    } else {
        Finding::pass((), detail)
    }
}

fn seconds(length: SignedDuration) -> String {
    match length.as_secs() {
        0..10 => format!("{:.1} s", length.as_secs_f64()),
        10..120 => format!("{} s", length.as_secs()),
        seconds => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::course::Course;
    use crate::check::report::{Outcome, SourceKind};

    async fn judged(offset: f64, round_trip: u64) -> (Outcome, String) {
        let ours: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let theirs = ours + SignedDuration::from_secs_f64(offset);
        let mut course = Course::new(SourceKind::Vcenter, "dc1", "", Duration::from_secs(1));
        course.try_it("clock", async { judge(theirs, ours, Duration::from_millis(round_trip)) }).await;
        let row = course.finish(&[]).checks.remove(0);
        (row.outcome, row.detail)
    }

    #[tokio::test]
    async fn small_differences_pass_larger_ones_warn_and_minutes_fail() {
        use Outcome::{Fail, Pass, Warn};
        assert_eq!(judged(0.0, 0).await, (Pass, "vCenter's clock is 0.0 s ahead of ours".into()));
        assert_eq!(judged(-4.9, 0).await.0, Pass);
        assert_eq!(judged(6.0, 0).await, (Warn, "vCenter's clock is 6.0 s ahead of ours".into()));
        assert_eq!(judged(-42.0, 0).await, (Warn, "vCenter's clock is 42 s behind ours".into()));
        assert_eq!(judged(-301.0, 0).await, (Fail, "vCenter's clock is 5 min behind ours".into()));
    }

    #[tokio::test]
    async fn the_time_on_the_way_is_not_taken_for_skew() {
        // An answer that took ten seconds says "five seconds ago, give or take five".
        assert_eq!(
            judged(-5.0, 10_000).await,
            (Outcome::Pass, "vCenter's clock is 0.0 s ahead of ours".into())
        );
        assert_eq!(judged(-9.0, 10_000).await.0, Outcome::Pass);
        assert_eq!(judged(-16.0, 10_000).await.0, Outcome::Warn);
    }
}
