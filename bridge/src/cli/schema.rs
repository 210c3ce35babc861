//! `vmbridge schema`

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use vsphere_client::property::built_in_paths;

use super::{Exit, Failure, output};
use crate::inventory::schema;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Which one.
    #[arg(value_enum)]
    subject: Subject,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Subject {
    /// JSON Schema of `inventory --json`.
    Inventory,
    /// JSON Schema of one line of `watch --json`.
    Change,
    /// JSON Schema of `plan --json`.
    Plan,
    /// JSON Schema of `explain --json`.
    Explain,
    /// JSON Schema of `nodes --json`.
    Nodes,
    /// JSON Schema of `windows --json`.
    Windows,
    /// JSON Schema of `snapshot list --json`.
    Snapshots,
    /// JSON Schema of `compliance --json`.
    Compliance,
    /// JSON Schema of `findings --json`.
    Findings,
    /// JSON Schema of `report --format json`.
    Report,
    /// JSON Schema of `check-rules --json`.
    Rules,
    /// The vSphere properties that are read, by type of managed object.
    Paths,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    output::write(|out| {
        match arguments.subject {
            Subject::Inventory => serde_json::to_writer_pretty(&mut *out, &schema::inventory())?,
            Subject::Change => serde_json::to_writer_pretty(&mut *out, &schema::change())?,
            Subject::Plan => serde_json::to_writer_pretty(&mut *out, &schema::plan())?,
            Subject::Explain => serde_json::to_writer_pretty(&mut *out, &schema::explain())?,
            Subject::Nodes => serde_json::to_writer_pretty(&mut *out, &schema::nodes())?,
            Subject::Windows => serde_json::to_writer_pretty(&mut *out, &schema::windows())?,
            Subject::Snapshots => serde_json::to_writer_pretty(&mut *out, &schema::snapshots())?,
            Subject::Compliance => serde_json::to_writer_pretty(&mut *out, &schema::compliance())?,
            Subject::Findings => serde_json::to_writer_pretty(&mut *out, &schema::findings())?,
            Subject::Report => serde_json::to_writer_pretty(&mut *out, &schema::report())?,
            Subject::Rules => serde_json::to_writer_pretty(&mut *out, &schema::rules())?,
            Subject::Paths => {
                let paths: BTreeMap<_, _> = built_in_paths().collect();
                serde_json::to_writer_pretty(&mut *out, &paths)?;
            }
        }
        writeln!(out)
    })?;
    Ok(Exit::Done)
}
