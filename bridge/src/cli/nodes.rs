//! `vmbridge nodes`: the managed nodes of all targets.

use clap::Args;

use super::{Context, Exit, Failure, desk, output};
use crate::control::{NodeDocument, Request};
use crate::inventory::text::for_terminal;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON array; see `vmbridge schema nodes`.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Some(nodes) = desk::answered::<Vec<NodeDocument>>(context, Request::Nodes).await? else {
        return Ok(Exit::Problem);
    };
    output::write(|out| {
        if arguments.json {
            serde_json::to_writer_pretty(&mut *out, &nodes)?;
            return writeln!(out);
        }
        table(out, &nodes)
    })?;
    Ok(Exit::Done)
}

fn table(out: &mut dyn std::io::Write, nodes: &[NodeDocument]) -> std::io::Result<()> {
    const HEAD: [&str; 8] = ["TARGET", "NODE", "VM", "PING", "AGENT", "SINCE", "TAGS", "PROBLEM"];
    let rows: Vec<[String; 8]> = nodes
        .iter()
        .map(|node| {
            let day = node.registered.as_deref().and_then(|time| time.get(..10)).unwrap_or("-");
            [
                node.target.clone(),
                node.node.clone(),
                node.name.clone().unwrap_or_else(|| "-".to_owned()),
                node.ping.clone(),
                node.agent_version.clone().unwrap_or_else(|| "-".to_owned()),
                day.to_owned(),
                node.tags.len().to_string(),
                node.problem.clone().unwrap_or_default(),
            ]
            .map(|cell| for_terminal(&cell).into_owned())
        })
        .collect();
    super::output::table(out, HEAD, rows)
}
