//! `vmbridge snapshot list`

use std::io::{self, Write};

use clap::Args;

use super::super::select::Select;
use super::super::{Context, Exit, Failure, desk, output};
use crate::control::{
    ForeignDocument, Request, SnapshotDocument, SnapshotQuery, SnapshotsDocument, snapshots,
};
use crate::inventory::Filter;
use crate::inventory::text::{for_terminal, shortened};

/// Longer names of snapshots are cut in the table.
const LONGEST_NAME: usize = 40;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Print one JSON object; see `vmbridge schema snapshots`.
    #[arg(long)]
    json: bool,
    /// Print those that are over too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { json, all, select } = arguments;
    let (_, config) = context.load()?;
    super::super::plan::refuse_without_targets(&config)?;
    let (_, Filter { selectors, vcenters }) = select.apply(config.clone())?;
    let selectors = selectors.iter().map(ToString::to_string).collect();
    let query = SnapshotQuery { all, selectors, vcenters };
    let request = Request::Snapshots(query.clone());
    let found = match desk::looked(context, &config, request, |view| snapshots(view, &query)).await? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            return writeln!(out);
        }
        write_snapshots(out, &found)
    })?;
    if found == SnapshotsDocument::default() && !json {
        eprintln!("no snapshots");
    }
    Ok(Exit::Done)
}

fn write_snapshots(out: &mut dyn Write, found: &SnapshotsDocument) -> io::Result<()> {
    let SnapshotsDocument { ours, orphans, foreign } = found;
    if !ours.is_empty() {
        const HEAD: [&str; 10] = [
            "RECORD",
            "VM",
            "FOR",
            "STAGE",
            "SNAPSHOT",
            "CREATED",
            "AGE",
            "KEPT UNTIL",
            "JUDGEMENT",
            "TROUBLE",
        ];
        let rows = ours.iter().map(row);
        output::table(out, HEAD, rows.collect())?;
    }
    if !orphans.is_empty() {
        if !ours.is_empty() {
            writeln!(out)?;
        }
        writeln!(
            out,
            "With our mark, and nothing is remembered of them; one that is adopted is removed in time:"
        )?;
        for orphan in orphans {
            writeln!(out, "  {}\n    {}", for_terminal(&line(orphan)), for_terminal(&orphan.adopt))?;
        }
    }
    if !foreign.is_empty() {
        if !ours.is_empty() || !orphans.is_empty() {
            writeln!(out)?;
        }
        writeln!(out, "Of others, which vmbridge never touches:")?;
        for one in foreign {
            let sign = if one.old { "!" } else { " " };
            writeln!(out, "{sign} {}", for_terminal(&line(one)))?;
        }
        let old = foreign.iter().filter(|one| one.old).count();
        if old > 0 {
            writeln!(
                out,
                "! {old} of them are older than 72 h: each slows its VM down and takes up more and more space"
            )?;
        }
    }
    Ok(())
}

fn row(one: &SnapshotDocument) -> [String; 10] {
    let dash = || "-".to_owned();
    let what = match (&one.window_name, &one.opens, &one.reason) {
        (Some(window), Some(opens), _) => format!("{window} {}", minute(opens)),
        (_, _, Some(reason)) => shortened(reason, LONGEST_NAME).into_owned(),
        _ => dash(),
    };
    let judgement = match (&one.judgement, &one.judgement_why) {
        (Some(judgement), Some(why)) => format!("{judgement}: {why}"),
        (Some(judgement), None) => judgement.clone(),
        (None, _) => dash(),
    };
    let mut trouble: Vec<&str> = Vec::new();
    trouble.extend(one.overdue.then_some("older than it may be"));
    trouble.extend((one.seen == Some(false) && one.stage == "kept").then_some("vCenter does not show it"));
    trouble.extend(one.trouble.as_deref());
    [
        one.record.clone(),
        one.name.clone(),
        what,
        one.stage.clone(),
        one.snapshot.clone().unwrap_or_else(dash),
        one.created.as_deref().map_or_else(dash, minute),
        one.age_seconds.map_or_else(dash, age),
        one.kept_until.as_deref().map_or_else(dash, minute),
        judgement,
        trouble.join("; "),
    ]
    .map(|cell| for_terminal(&cell).into_owned())
}

fn line(one: &ForeignDocument) -> String {
    let age = one
        .age_seconds
        .map_or_else(|| "of unknown age".to_owned(), |seconds| format!("{} old", age(seconds)));
    let created = one.created.as_deref().map_or_else(|| "-".to_owned(), minute);
    let by = one.installation.as_ref().map(|by| format!(", made by the vmbridge {by}")).unwrap_or_default();
    let name = shortened(&one.snapshot_name, LONGEST_NAME);
    format!(
        "{} ({})  `{name}` ({})  {created}  {age}, chain of {}{by}",
        one.name, one.vm, one.snapshot, one.chain
    )
}

/// A time for people, in UTC to the minute.
pub(in crate::cli) fn minute(time: &str) -> String {
    let parsed = time.parse::<jiff::Timestamp>();
    parsed.map_or_else(|_| time.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// A length of time for people: the two largest parts of it.
pub(in crate::cli) fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60 % 60, seconds / 3600 % 24, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{} s", seconds.max(0)),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(name: &str, stage: &str) -> SnapshotDocument {
        SnapshotDocument {
            record: "9f86d081884c7d65".to_owned(),
            vm: format!("dc1/{name}"),
            name: name.to_owned(),
            window: Some("mw-0123456789abcdef0".to_owned()),
            window_name: Some("Sunday".to_owned()),
            opens: Some("2026-11-29T02:00:00Z".to_owned()),
            reason: None,
            stage: stage.to_owned(),
            since: "2026-11-29T01:00:00Z".to_owned(),
            snapshot: Some("snapshot-7".to_owned()),
            snapshot_name: "vmbridge/Sunday/20261129T0200Z".to_owned(),
            seen: Some(true),
            created: Some("2026-11-29T01:00:00Z".to_owned()),
            age_seconds: Some(3 * 3600 + 25 * 60),
            kept_until: Some("2026-12-01T19:00:00Z".to_owned()),
            overdue: false,
            memory: false,
            quiesced: true,
            judgement: None,
            judgement_why: None,
            trouble: None,
            fix: None,
            retry_at: None,
            problem: false,
        }
    }

    fn foreign(name: &str, age_hours: i64) -> ForeignDocument {
        ForeignDocument {
            vm: "dc1/vm-7".to_owned(),
            name: "web-7".to_owned(),
            snapshot: "snapshot-70".to_owned(),
            snapshot_name: name.to_owned(),
            installation: None,
            created: Some("2026-11-20T01:00:00Z".to_owned()),
            age_seconds: Some(age_hours * 3600),
            old: age_hours > 72,
            chain: 2,
            adopt: "vmbridge snapshot adopt dc1/vm-7 snapshot-70".to_owned(),
        }
    }

    #[test]
    fn ours_and_those_of_others_for_people() {
        let failed = SnapshotDocument {
            judgement: Some("failed".to_owned()),
            judgement_why: Some("2 patches could not be installed".to_owned()),
            overdue: true,
            trouble: Some("vCenter says \u{1b}[2Jno".to_owned()),
            ..ours("web-2", "remove")
        };
        let asked = SnapshotDocument {
            window: None,
            window_name: None,
            opens: None,
            reason: Some("before the upgrade".to_owned()),
            snapshot: None,
            created: None,
            age_seconds: None,
            kept_until: None,
            ..ours("web-3", "create")
        };
        let found = SnapshotsDocument {
            ours: vec![ours("web-1", "kept"), failed, asked],
            orphans: vec![foreign("vmbridge/Sunday/20261120T0200Z", 10)],
            foreign: vec![foreign("before\u{202e} the upgrade", 220), foreign("today", 5)],
        };
        let mut out = Vec::new();
        write_snapshots(&mut out, &found).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn lengths_of_time() {
        let told = [0, 59, 61, 3600, 3 * 3600 + 1500, 86_400 * 3 + 7300, -5].map(age);
        assert_eq!(told, ["0 s", "59 s", "1 min", "1 h 0 min", "3 h 25 min", "3 d 2 h", "0 s"]);
    }
}
