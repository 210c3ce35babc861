//! `vmbridge findings`: what Security Hub has of ours.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use schemars::JsonSchema;
use serde::Serialize;

use super::consent::consent;
use super::desk::Counter;
use super::select::Select;
use super::{Context, Exit, Failure, Hangup, Stop, desk, output};
use crate::control::{FindingDocument, FindingQuery, FindingsDocument, Request, WithdrawnDocument, findings};
use crate::inventory::Filter;
use crate::inventory::text::{for_spreadsheet, for_terminal, shortened};

/// The form of what is printed.
const SCHEMA: &str = "vmbridge.findings/1";

/// What `vmbridge findings --json` prints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Printed<'a> {
    /// `vmbridge.findings/1`.
    schema: String,
    /// What was asked for.
    #[serde(flatten)]
    findings: &'a FindingsDocument,
}

/// Longer titles are cut in the table.
const LONGEST_TITLE: usize = 60;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object; see `vmbridge schema findings`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, for spreadsheets.
    #[arg(long)]
    csv: bool,
    /// Only these: `open`, `resolved`, `refused` by Security Hub, or `outOfReach`: open in an account that no target has.
    #[arg(long, value_parser = ["open", "resolved", "refused", "outOfReach"], value_name = "STATE")]
    state: Option<String>,
    /// Only findings of this rule or family, or that name the rule.
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Close all findings of this installation, whatever became of their problems. Findings must not be enforced.
    #[arg(long, conflicts_with_all = ["csv", "state", "rule", "selectors", "vcenters"])]
    withdraw: bool,
    /// With --withdraw: do not ask; for scripts.
    #[arg(long, requires = "withdraw")]
    yes: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { json, csv, state, rule, withdraw, yes, select } = arguments;
    if withdraw {
        return withdrawn(context, json, yes).await;
    }
    let (_, config) = context.load()?;
    super::plan::refuse_without_targets(&config)?;
    let (_, Filter { selectors, vcenters }) = select.apply(config.clone())?;
    let selectors = selectors.iter().map(ToString::to_string).collect();
    let query = FindingQuery { selectors, vcenters, state, rule };
    let request = Request::Findings(query.clone());
    let found = match desk::looked(context, &config, request, |view| findings(view, &query)).await? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    output::write(|out| {
        if json {
            let printed = Printed { schema: SCHEMA.to_owned(), findings: &found };
            serde_json::to_writer_pretty(&mut *out, &printed)?;
            return writeln!(out);
        }
        if csv { write_csv(out, &found) } else { write_table(out, &found) }
    })?;
    let is_well =
        found.open == 0 && found.refused == 0 && found.foreign.is_empty() && found.unusable.is_empty();
    Ok(if is_well { Exit::Done } else { Exit::Problem })
}

/// Closes all findings, if a person wants that.
async fn withdrawn(context: &Context, json: bool, yes: bool) -> Result<Exit, Failure> {
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(counter) = Counter::reach(context, &stop).await? else {
        return Ok(stop.or(Exit::Problem));
    };
    let ended = decided(&counter, yes, &stop).await;
    counter.close().await;
    let ended = match ended? {
        Ok(ended) => ended,
        Err(exit) => return Ok(exit),
    };
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &ended)?;
            return writeln!(out);
        }
        let WithdrawnDocument { closed, left, out_of_reach, problems } = &ended;
        writeln!(out, "{closed} closed, {left} left, {out_of_reach} out of reach")?;
        problems.iter().try_for_each(|problem| writeln!(out, "! {}", for_terminal(problem)))?;
        if *left > 0 {
            writeln!(
                out,
                "    what is left is seen to when this is asked again: vmbridge findings --withdraw"
            )?;
        }
        Ok(())
    })?;
    Ok(if ended.left == 0 { Exit::Done } else { Exit::Problem })
}

/// How it ended, or how the command ends if nobody wants it.
async fn decided(
    counter: &Counter,
    yes: bool,
    stop: &Stop,
) -> Result<Result<WithdrawnDocument, Exit>, Failure> {
    if !yes {
        let query = FindingQuery { state: Some("open".to_owned()), ..FindingQuery::default() };
        let FindingsDocument { open, .. } = counter.ask(Request::Findings(query)).await?;
        let question =
            format!("Close {open} findings in Security Hub, although their problems may be there?");
        match consent(question, "--yes withdraws the findings without asking", stop).await? {
            Some(true) => {}
            Some(false) => {
                eprintln!("nothing was changed");
                return Ok(Err(Exit::Problem));
            }
            None => return Ok(Err(stop.or(Exit::Problem))),
        }
    }
    tokio::select! {
        ended = counter.ask(Request::WithdrawFindings) => ended.map(Ok),
        () = stop.requested() => Ok(Err(stop.or(Exit::Problem))),
    }
}

fn write_table(out: &mut dyn Write, found: &FindingsDocument) -> io::Result<()> {
    const HEAD: [&str; 8] = ["STATE", "SEVERITY", "NAME", "OBJECT", "RULE", "SINCE", "SENT", "TITLE"];
    if !found.findings.is_empty() {
        let rows = found.findings.iter().map(|one| {
            let minute = |time: &str| time.get(..16).unwrap_or(time).replace('T', " ");
            [
                one.state.clone(),
                one.severity.to_lowercase(),
                one.name.clone().unwrap_or_else(|| "-".to_owned()),
                one.object.clone(),
                one.scope.clone(),
                minute(&one.since),
                one.last_sent.as_deref().map_or_else(|| "-".to_owned(), minute),
                shortened(&one.title, LONGEST_TITLE).into_owned(),
            ]
            .map(|cell| for_terminal(&cell).into_owned())
        });
        output::table(out, HEAD, rows.collect())?;
        writeln!(out)?;
    }
    for one in &found.findings {
        write_trouble(out, one)?;
    }
    for one in &found.foreign {
        writeln!(out, "! {}: {}", for_terminal(&one.place), for_terminal(&one.sentence))?;
    }
    for one in &found.unusable {
        let (id, why) = (for_terminal(&one.id), for_terminal(&one.why));
        writeln!(out, "! {id} cannot be taken over: {why}; it stays as it is until Security Hub forgets it")?;
    }
    let FindingsDocument { open, resolved, refused, folded, problems, out_of_reach, .. } = found;
    writeln!(out, "{open} open, {resolved} resolved, {refused} refused")?;
    if *out_of_reach > 0 {
        writeln!(out, "{out_of_reach} more are out of reach:")?;
        let ways: BTreeSet<(&str, &str)> = found
            .findings
            .iter()
            .filter(|one| one.state == "outOfReach")
            .map(|one| (&*one.place, one.fix.as_deref().unwrap_or_default()))
            .collect();
        for (place, way_out) in ways {
            writeln!(out, "! {place}: {way_out}")?;
        }
    }
    writeln!(out, "the open ones tell of {problems} problems; {folded} are folded")
}

/// What Security Hub did not take, and what to do.
fn write_trouble(out: &mut dyn Write, one: &FindingDocument) -> io::Result<()> {
    if one.in_doubt {
        writeln!(out, "? {}: the answer was lost, it is sent again", for_terminal(&one.id))?;
    }
    if let Some(problem) = &one.problem {
        writeln!(out, "! {}: {}", for_terminal(&one.id), for_terminal(problem))?;
        if let Some(fix) = &one.fix {
            writeln!(out, "    {fix}")?;
        }
    }
    Ok(())
}

fn write_csv(out: &mut dyn Write, found: &FindingsDocument) -> io::Result<()> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    csv.write_record([
        "state", "severity", "kind", "name", "object", "scope", "rules", "title", "place", "since",
        "lastSent", "inDoubt", "attempts", "retryAt", "problem", "fix", "id",
    ])
    .map_err(io::Error::other)?;
    for one in &found.findings {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let record = [
            one.state.clone(),
            one.severity.clone(),
            one.kind.clone(),
            text(&one.name),
            one.object.clone(),
            one.scope.clone(),
            one.rules.join("; "),
            one.title.clone(),
            one.place.clone(),
            one.since.clone(),
            text(&one.last_sent),
            one.in_doubt.to_string(),
            one.attempts.to_string(),
            text(&one.retry_at),
            text(&one.problem),
            text(&one.fix),
            one.id.clone(),
        ];
        let safe = record.iter().map(|cell| for_spreadsheet(cell).into_owned());
        csv.write_record(safe).map_err(io::Error::other)?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{ForeignFindings, UnusableFinding};

    #[test]
    fn what_is_refused_stands_below_with_its_remedy() {
        let one = FindingDocument {
            id: "vmbridge/1/vm-1".to_owned(),
            state: "refused".to_owned(),
            place: "111122223333/eu-central-1".to_owned(),
            scope: "family/devices".to_owned(),
            title: "Unneeded devices \u{1b}[31m".to_owned(),
            severity: "MEDIUM".to_owned(),
            kind: "vm".to_owned(),
            object: "dc1/vm-1".to_owned(),
            name: Some("=cmd|'/c calc'!A1".to_owned()),
            rules: vec!["vm-no-floppy".to_owned()],
            since: "2027-01-15T02:00:00Z".to_owned(),
            last_sent: None,
            in_doubt: true,
            problem: Some("InvalidInput: Title is too long".to_owned()),
            attempts: 1,
            retry_at: None,
            fix: Some("change the rule".to_owned()),
        };
        let found = FindingsDocument {
            refused: 1,
            folded: 1,
            problems: 1,
            findings: vec![one],
            foreign: vec![ForeignFindings {
                place: "111122223333/eu-central-1".to_owned(),
                installation: Some("0a1b2c3d".to_owned()),
                findings: 2,
                vcenters: vec!["dc1".to_owned()],
                sentence: "dc1: 2 findings are told by another installation".to_owned(),
            }],
            unusable: vec![UnusableFinding {
                id: "vmbridge/1/vm-2".to_owned(),
                place: "111122223333/eu-central-1".to_owned(),
                why: "it names no rules".to_owned(),
            }],
            ..FindingsDocument::default()
        };
        let mut out = Vec::new();
        write_table(&mut out, &found).unwrap();
        out.extend_from_slice(b"\n");
        write_csv(&mut out, &found).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap().replace('\r', ""));
    }
}
