//! `vmbridge audit`

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::{Context, Exit, Failure, output};
use crate::clock;
use crate::inventory::text::for_terminal;
use crate::store::{Outcome, Query, Reader};

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
    let Arguments { json, since, capability, object, outcome, open, limit } = arguments;
    let query = Query { since, capability, object, outcome, open, limit };
    let engine = |error: crate::store::StoreError| Failure::Engine(error.into());
    let reader = Reader::open(&config.state.directory).await.map_err(engine)?;
    let entries = reader.journal(&query).await.map_err(engine)?;
    output::write(|out| {
        for entry in &entries {
            if json {
                serde_json::to_writer(&mut *out, entry)?;
                writeln!(out)?;
                continue;
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
            match &entry.error {
                Some(error) => writeln!(out, ": {}", for_terminal(error))?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    })?;
    Ok(Exit::Done)
}
