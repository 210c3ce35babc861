//! One source's checks, one after another: each within its time, and none after one that it needs has failed.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use super::report::{Outcome, Row, SourceKind, SourceReport};

/// What one check found, and what it hands on to the next.
#[derive(Debug)]
pub(super) struct Finding<T = ()> {
    value: Option<T>,
    outcome: Outcome,
    detail: String,
    fix: Option<String>,
}

impl<T> Finding<T> {
    /// It is as it should be.
    pub(super) fn pass(value: T, detail: impl Into<String>) -> Self {
        Self { value: Some(value), outcome: Outcome::Pass, detail: detail.into(), fix: None }
    }

    /// The same with another value.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Finding<U> {
        let Self { value, outcome, detail, fix } = self;
        Finding { value: value.map(change), outcome, detail, fix }
    }

    /// It works, but something should be done.
    pub(super) fn warn(value: T, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { value: Some(value), outcome: Outcome::Warn, detail: detail.into(), fix: Some(fix.into()) }
    }

    /// It does not work.
    pub(super) fn fail(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { value: None, outcome: Outcome::Fail, detail: detail.into(), fix: Some(fix.into()) }
    }
}

/// Says that a check failed on which the following ones depend. It is in the report already.
#[derive(Debug)]
pub(super) struct Blocked;

/// The checks of one source so far.
#[derive(Debug)]
pub(super) struct Course {
    report: SourceReport,
    /// The longest that one check may take.
    limit: Duration,
}

impl Course {
    pub(super) fn new(kind: SourceKind, name: &str, address: impl Display, limit: Duration) -> Self {
        let report =
            SourceReport { kind, name: name.to_owned(), address: address.to_string(), checks: Vec::new() };
        Self { report, limit }
    }

    /// Makes one check that the following ones need.
    pub(super) async fn need<T>(
        &mut self,
        check: &str,
        work: impl Future<Output = Finding<T>>,
    ) -> Result<T, Blocked> {
        self.try_it(check, work).await.ok_or(Blocked)
    }

    /// Makes one check.
    pub(super) async fn try_it<T>(
        &mut self,
        check: &str,
        work: impl Future<Output = Finding<T>>,
    ) -> Option<T> {
        let start = Instant::now();
        let finding = tokio::time::timeout(self.limit, work).await.unwrap_or_else(|_| {
            let limit = self.limit.as_secs();
            Finding::fail(
                format!("not finished after {limit} s"),
                "find out what is slow between here and there; if it is meant to be, raise limits.request_timeout",
            )
        });
        let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let Finding { value, outcome, detail, fix } = finding;
        self.report.checks.push(Row { check: check.to_owned(), outcome, detail, fix, took_ms });
        value
    }

    /// Adds rows for what a check found beyond itself.
    pub(super) fn add(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.report.checks.extend(rows);
    }

    /// Ends the course. Those of `planned` that were not made are reported as such, with the reason.
    pub(super) fn finish(mut self, planned: &[&str]) -> SourceReport {
        let failed = self.report.checks.iter().rev().find(|row| row.outcome == Outcome::Fail);
        let reason = failed.map_or_else(String::new, |row| format!("needs `{}`, which failed", row.check));
        for check in planned {
            let made = |row: &Row| row.check == *check || row.check.starts_with(&format!("{check} "));
            if !self.report.checks.iter().any(made) {
                self.report.checks.push(Row {
                    check: (*check).to_owned(),
                    outcome: Outcome::NotRun,
                    detail: reason.clone(),
                    fix: None,
                    took_ms: 0,
                });
            }
        }
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn outcomes(report: &SourceReport) -> Vec<(&str, Outcome)> {
        report.checks.iter().map(|row| (row.check.as_str(), row.outcome)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_fails_in_time_and_what_needs_it_is_not_run() {
        let mut course = Course::new(SourceKind::Vcenter, "dc1", "https://dc1", LIMIT);
        course.need("dns", async { Finding::pass((), "fine") }).await.unwrap();
        let hangs = course.need("login", std::future::pending::<Finding>()).await;
        assert!(hangs.is_err());
        let report = course.finish(&["dns", "login", "clock", "privilege"]);
        use Outcome::{Fail, NotRun, Pass};
        assert_eq!(
            outcomes(&report),
            [("dns", Pass), ("login", Fail), ("clock", NotRun), ("privilege", NotRun)]
        );
        assert_eq!(report.checks[1].detail, "not finished after 5 s");
        assert_eq!(report.checks[1].took_ms, 5_000);
        assert_eq!(report.checks[2].detail, "needs `login`, which failed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_with_several_rows_counts_as_made() {
        let mut course = Course::new(SourceKind::Vcenter, "dc1", "https://dc1", LIMIT);
        course.try_it("privilege discover System.Read", async { Finding::<()>::fail("no", "yes") }).await;
        let report = course.finish(&["privilege"]);
        assert_eq!(outcomes(&report), [("privilege discover System.Read", Outcome::Fail)]);
    }
}
