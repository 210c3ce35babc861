//! `vmbridge check`

use clap::Args;

use super::{Context, Exit, Failure, Hangup, Stop, can_show_progress, output, progress};
use crate::check;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (path, config) = context.load()?;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let bars = can_show_progress(&context.environment).then(progress::Bars::new);
    context.start_log(bars.as_ref().map(progress::Bars::multi))?;
    if let Some(bars) = &bars {
        bars.spinner("trying everything that is configured");
    }
    let report = check::run(&path, &config, context.environment.clone(), stop.requested()).await;
    drop(bars);
    let Some(report) = report else { return Ok(stop.or(Exit::Problem)) };
    let color = context.colored(&std::io::stdout());
    output::write(|out| {
        if arguments.json { check::write_json(out, &report) } else { check::write_text(out, &report, color) }
    })?;
    Ok(if report.counts().failed == 0 { Exit::Done } else { Exit::Problem })
}
