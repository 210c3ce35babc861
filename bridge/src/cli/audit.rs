//! `vmbridge audit`

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{Context, Exit, Failure, Hangup, Stop, output};
use crate::clock;
use crate::inventory::text::for_terminal;
use mappings::protection::Act;

use crate::plan::{Action, EnrolStep, Why};
use crate::store::{Entry, EntryId, Outcome, Query, Reader, StoreError, StoreProblem};

/// Pause between two looks at the journal that is followed.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Not before this: a length of time such as `2h`, or a time such as `2026-01-02T03:04:05Z`.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Only of this capability.
    #[arg(long, value_name = "NAME")]
    capability: Option<String>,
    /// Only of this VM (its name), node or managed object id.
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
    /// Only what ended so: `done`, `found-done`, `found-not-done`, `failed`.
    #[arg(long, value_name = "WORD", value_parser = outcome)]
    outcome: Option<Outcome>,
    /// Only what has not ended, or whose end is not known.
    #[arg(long)]
    open: bool,
    /// The latest so many.
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Then goes on with what ends from now on, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["open", "limit"])]
    follow: bool,
}

fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(length) = text.parse::<SignedDuration>() {
        return clock::now().checked_sub(length.abs()).map_err(|error| error.to_string());
    }
    text.parse()
        .map_err(|_| "a length of time such as `2h`, or a time such as `2026-01-02T03:04:05Z`".to_owned())
}

fn outcome(word: &str) -> Result<Outcome, String> {
    let words = || Outcome::ALL.iter().map(|outcome| outcome.word()).collect::<Vec<_>>().join(", ");
    Outcome::from_word(word).ok_or_else(|| format!("there are {}", words()))
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    let Arguments { json, since, capability, object, outcome, open, limit, follow } = arguments;
    let query = Query { since, capability, object, outcome, open, limit };
    if !follow {
        let entries = read(&config.state.directory, &query).await.map_err(failure)?;
        output::write(|out| entries.iter().try_for_each(|entry| write_entry(out, entry, json)))?;
        return Ok(Exit::Done);
    }
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let since = query.since.unwrap_or_else(clock::now);
    tokio::select! {
        end = follow_journal(&config.state.directory, Query { since: Some(since), ..query }, json) => end?,
        () = stop.requested() => {}
        () = output::reader_gone() => {}
    }
    Ok(Exit::Done)
}

fn failure(error: StoreError) -> Failure {
    Failure::Engine(error.into())
}

async fn read(directory: &Path, query: &Query) -> Result<Vec<Entry>, StoreError> {
    Reader::open(directory).await?.journal(query).await
}

/// Prints each entry when it has ended, in that order as far as can be seen.
async fn follow_journal(directory: &Path, query: Query, json: bool) -> Result<(), Failure> {
    let mut from = query.since;
    let mut printed: BTreeSet<EntryId> = BTreeSet::new();
    let mut out = tokio::io::stdout();
    loop {
        // Which entries have ended is decided here: one that has not is read again, whatever is asked for.
        let all = Query { since: from, outcome: None, ..query.clone() };
        let entries = match read(directory, &all).await {
            Ok(entries) => entries,
            // The daemon makes it with its start.
            Err(error) if matches!(error.problem, StoreProblem::Missing) => Vec::new(),
            Err(error) => return Err(failure(error)),
        };
        for entry in entries.iter().filter(|entry| entry.outcome.is_some()) {
            let asked_for = query.outcome.is_none() || query.outcome == entry.outcome;
            if printed.insert(entry.id) && asked_for {
                let mut line = Vec::new();
                write_entry(&mut line, entry, json)?;
                line.pop();
                output::write_line(&mut out, line).await?;
            }
        }
        // Nothing before the first one that is open has to be read again.
        let open = entries.iter().find(|entry| entry.outcome.is_none());
        if let Some(next) = open.or(entries.last()) {
            from = Some(next.intended);
            printed.retain(|id| *id >= next.id || entries.iter().any(|entry| entry.id == *id));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn write_entry(out: &mut dyn Write, entry: &Entry, json: bool) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, entry)?;
        return writeln!(out);
    }
    let outcome = entry.outcome.map_or("open", Outcome::word);
    write!(
        out,
        "{:.0}  {:<14} {:<12} {} ({} in {})",
        entry.intended,
        outcome,
        entry.kind,
        for_terminal(&entry.label),
        entry.object,
        entry.place
    )?;
    // An entry of another version says nothing more.
    let action = serde_json::from_value::<Action>(entry.intent.clone()).ok();
    match action.map(|action| changes(&action).join(", ")) {
        Some(changes) if changes.is_empty() => write!(out, "  the mark of what is ours")?,
        Some(changes) => write!(out, "  {}", for_terminal(&changes))?,
        None => {}
    }
    match &entry.error {
        Some(error) => writeln!(out, ": {}", for_terminal(error)),
        None => writeln!(out),
    }
}

/// What an action changes, in short. Our own mark is nobody's interest.
fn changes(action: &Action) -> Vec<String> {
    match action {
        Action::AddTags { tags, .. } => tags
            .iter()
            .filter(|tag| tag.why != Why::Mark)
            .map(|tag| match &tag.before {
                Some(before) => format!("{} = {before} → {}", tag.key, tag.value),
                None => format!("+ {} = {}", tag.key, tag.value),
            })
            .collect(),
        Action::RemoveTags { tags, .. } => tags
            .iter()
            .filter(|tag| tag.key.as_str() != crate::plan::tags::MARK)
            .map(|tag| format!("- {} = {}", tag.key, tag.before))
            .collect(),
        Action::DefineAttribute { name, .. } => vec![format!("+ {name}")],
        Action::SetAttribute { name, value, before, .. } => vec![match before {
            Some(before) => format!("{name} = {before} → {value}"),
            None => format!("+ {name} = {value}"),
        }],
        Action::Enrol { enrolment, step, .. } => match step {
            EnrolStep::Prepare => {
                vec![format!("to {}, with the account {}", enrolment.purpose.words(), enrolment.credentials)]
            }
            EnrolStep::Activate { tags, .. } => {
                tags.iter().map(|tag| format!("+ {} = {}", tag.key, tag.value)).collect()
            }
            EnrolStep::Register | EnrolStep::Withdraw => {
                enrolment.activation.iter().map(|activation| format!("activation {activation}")).collect()
            }
            EnrolStep::Clean => {
                enrolment.directory.iter().map(|directory| format!("- {directory}")).collect()
            }
        },
        Action::Snapshot { act, record, .. } => vec![match (act, &record.snapshot) {
            (Act::Create, _) | (_, None) => format!("+ {}", record.name),
            (Act::Remove, Some(snapshot)) => format!("- {} ({snapshot})", record.name),
            (_, Some(snapshot)) => format!("{} ({snapshot})", record.name),
        }],
        Action::DeregisterNode { node, .. } => vec![format!("- {node}")],
        Action::PutInventory { told, .. } => told.iter().map(|told| told.name.to_string()).collect(),
        Action::PutCompliance { told, .. } => vec![told.name.to_string()],
        Action::ImportFindings { findings, .. } | Action::CloseFindings { findings, .. } => {
            findings.iter().map(|sent| format!("{} {}", sent.why, sent.id)).collect()
        }
        Action::UpdatePatchFindings { findings, .. } => {
            findings.iter().map(|(id, _)| id.to_string()).collect()
        }
    }
}
