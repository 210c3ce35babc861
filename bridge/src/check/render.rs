//! The report as text for people and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::report::{Counts, Outcome, Report, SourceReport};

/// Names the form of the JSON; the number grows when a reader would have to change.
const SCHEMA: &str = "vmbridge.check/1";

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    ok: bool,
    counts: Counts,
    sources: &'a [SourceReport],
}

/// Writes the report as one JSON object.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let counts = report.counts();
    let json = Json { schema: SCHEMA, ok: counts.failed == 0, counts, sources: &report.sources };
    serde_json::to_writer_pretty(&mut *out, &json)?;
    writeln!(out)
}

/// Writes the report for people: a heading per source, a line per check, and below it what to do.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_text(out: &mut dyn Write, report: &Report, color: bool) -> io::Result<()> {
    let widest = report.sources.iter().flat_map(|source| &source.checks).map(|row| row.check.chars().count());
    let width = widest.max().unwrap_or(0);
    for source in &report.sources {
        let heading = format!("{} {}", source.kind.word(), source.name);
        writeln!(out, "{}  {}", paint(color, BOLD, heading.trim_end()), plain(&source.address))?;
        for row in &source.checks {
            let (word, style) = word(row.outcome);
            let check = &row.check;
            writeln!(out, "  {}  {check:width$}  {}", paint(color, style, word), plain(&row.detail))?;
            if let Some(fix) = &row.fix {
                let margin = 2 + 4 + 2 + width + 2;
                writeln!(out, "{:margin$}{} {}", "", paint(color, BOLD, "->"), plain(fix))?;
            }
        }
        writeln!(out)?;
    }
    let Counts { passed, warned, failed, not_run } = report.counts();
    write!(out, "{passed} passed, {warned} warned, {failed} failed")?;
    if not_run > 0 {
        write!(out, ", {not_run} not run")?;
    }
    writeln!(out)
}

const BOLD: &str = "1";

fn word(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Pass => ("ok  ", "32"),
        Outcome::Warn => ("warn", "33"),
        Outcome::Fail => ("FAIL", "1;31"),
        Outcome::NotRun => ("-   ", "2"),
    }
}

fn paint(color: bool, style: &str, text: &str) -> String {
    if color { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// One line without control characters: parts of it come from servers.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::{Row, SourceKind};

    fn row(check: &str, outcome: Outcome, detail: &str, fix: Option<&str>) -> Row {
        Row { check: check.into(), outcome, detail: detail.into(), fix: fix.map(str::to_owned), took_ms: 7 }
    }

    fn report() -> Report {
        let checks = vec![
            row("dns", Outcome::Pass, "vc.example.com is 10.0.0.1", None),
            row("clock", Outcome::Warn, "7 s ahead", Some("run NTP")),
            row("login", Outcome::Fail, "refused\u{1b}[2J\nby the server", Some("correct the password")),
            row("tags", Outcome::NotRun, "needs `login`, which failed", None),
        ];
        let source = |name: &str, checks| SourceReport {
            kind: SourceKind::Vcenter,
            name: name.into(),
            address: format!("https://{name}.example.com/"),
            checks,
        };
        Report {
            sources: vec![
                source("dc1", checks),
                source("dc2", vec![row("dns", Outcome::Pass, "fine", None)]),
            ],
        }
    }

    #[test]
    fn text() {
        let mut out = Vec::new();
        write_text(&mut out, &report(), false).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"
        vcenter dc1  https://dc1.example.com/
          ok    dns    vc.example.com is 10.0.0.1
          warn  clock  7 s ahead
                       -> run NTP
          FAIL  login  refused [2J by the server
                       -> correct the password
          -     tags   needs `login`, which failed

        vcenter dc2  https://dc2.example.com/
          ok    dns    fine

        2 passed, 1 warned, 1 failed, 1 not run
        ");
    }

    #[test]
    fn colours_only_when_asked_for() {
        let mut out = Vec::new();
        write_text(&mut out, &report(), true).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("\u{1b}[1;31mFAIL\u{1b}[0m"));
        assert!(!text.contains("\u{1b}[2J"), "what a server sends does not control the terminal");
    }

    #[test]
    fn json() {
        let mut out = Vec::new();
        write_json(&mut out, &report()).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["schema"], "vmbridge.check/1");
        assert_eq!(value["ok"], false);
        assert_eq!(value["counts"]["failed"], 1);
        let login = &value["sources"][0]["checks"][2];
        assert_eq!((&login["outcome"], &login["fix"]), (&"fail".into(), &"correct the password".into()));
        assert_eq!(value["sources"][0]["checks"][3]["outcome"], "not_run");
    }
}
