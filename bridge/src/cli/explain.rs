//! `vmbridge explain`

use clap::Args;

use super::plan::{Known, refuse_without_targets};
use super::{Context, Exit, Failure, Hangup, Stop, desk, output};
use crate::control::Request;
use crate::explain::{Explanation, explain, has_problem, write_explanation};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The VM: its name, managed object id, UUID, host name, node, or <vCenter>/<managed object id>.
    vm: String,
    /// Print one JSON object; see `vmbridge schema explain`.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { vm, json } = arguments;
    let (_, config) = context.load()?;
    refuse_without_targets(&config)?;
    let explanation: Explanation = match desk::daemon(&config).await? {
        Some(client) => client.ask(&Request::Explain { vm }).await.map_err(Failure::Daemon)?,
        None => {
            let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
            let Some(known) = Known::read(context, &config, &stop).await? else {
                return Ok(stop.or(Exit::Problem));
            };
            let explained = known.look(|view| explain(view, &vm));
            let mut explanation = explained.map_err(|refusal| Failure::Daemon(refusal.into()))?;
            if let Some(reader) = &known.reader {
                let read = explanation.read_journal(reader).await;
                read.map_err(|error| Failure::Engine(error.into()))?;
            }
            explanation
        }
    };
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &explanation)?;
            writeln!(out)
        } else {
            write_explanation(out, &explanation)
        }
    })?;
    Ok(if has_problem(&explanation) { Exit::Problem } else { Exit::Done })
}
