//! `vmbridge inventory`

use clap::Args;

use super::select::Select;
use super::{Context, Exit, Failure, Hangup, Stop, output, picture};
use crate::clock;
use crate::fleet::SharedFleet;
use crate::inventory::text::for_terminal;
use crate::inventory::{Picture, Printed, write_csv, write_json, write_table};
use crate::observe::Mode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object with everything that is known; see `vmbridge schema inventory`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, for spreadsheets.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    let Arguments { json, csv, select } = arguments;
    let (config, filter) = select.apply(config)?;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let fleet = SharedFleet::new();
    let (observers, complete) = picture::first(context, &config, &fleet, Mode::Once, None, &stop).await?;
    observers.close().await;
    if !complete {
        return Ok(stop.or(Exit::Problem));
    }
    let fleet = fleet.read();
    let picture =
        Picture { fleet: &fleet, filter: &filter, now: clock::now(), stale_after: config.limits.stale_after };
    let mut printed = Printed::default();
    output::write(|out| {
        printed = if json {
            write_json(out, &picture)?
        } else if csv {
            write_csv(out, &picture)?
        } else {
            write_table(out, &picture)?
        };
        Ok(())
    })?;
    let problems = picture.problems();
    for (source, why) in &problems {
        eprintln!("{source}: {}", for_terminal(why));
    }
    if printed.undecided > 0 {
        eprintln!(
            "{} more VMs may be selected or not: what the selector asks about is not known of them",
            printed.undecided
        );
    }
    let parts = fleet.parts().filter(|part| filter.takes(part)).count();
    if !json && !csv {
        eprintln!("{} VMs of {parts} vCenters", printed.vms);
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Problem })
}
