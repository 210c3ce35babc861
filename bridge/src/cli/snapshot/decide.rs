//! `vmbridge snapshot remove` and `vmbridge snapshot adopt`

use std::time::Duration;

use clap::Args;

use super::super::desk::{self, Counter};
use super::super::follow::{End, Goal, follow};
use super::super::{Context, Exit, Failure, Hangup, Stop, output};
use super::take::length;
use crate::control::{Begun, Request};
use crate::inventory::text::for_terminal;
use crate::plan::Capability;

#[derive(Debug, Args)]
pub(in crate::cli) struct RemoveArguments {
    /// Ids of records, as `vmbridge snapshot list` shows them, or VMs that have one snapshot of vmbridge's.
    #[arg(value_name = "RECORD|VM", required = true)]
    what: Vec<String>,
    /// Wait until they are gone, which may take hours. Without a daemon that is done in any case.
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AdoptArguments {
    /// The VM: its name, managed object id, UUID, host name, node, or <vCenter>/<managed object id>.
    vm: String,
    /// The snapshot: its managed object id, as `vmbridge snapshot list` shows it, or its name.
    snapshot: String,
    /// How long it is kept from now on, at most 14 days; then it is removed.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = length)]
    keep: Duration,
    /// Although it does not carry the mark of this vmbridge, so that somebody else made it.
    #[arg(long)]
    foreign: bool,
}

pub(super) async fn remove(context: &Context, arguments: RemoveArguments) -> Result<Exit, Failure> {
    let RemoveArguments { what, wait } = arguments;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(mut counter) = Counter::reach_live(context, &stop).await? else {
        return Ok(stop.or(Exit::Problem));
    };
    let begun = counter.ask::<Begun>(Request::RemoveSnapshots { what }).await;
    let done = match begun {
        Ok(begun) => removed(context, &mut counter, &begun, wait, &stop).await,
        Err(failure) => Err(failure),
    };
    counter.close().await;
    done
}

async fn removed(
    context: &Context,
    counter: &mut Counter,
    begun: &Begun,
    wait: bool,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let Begun { records, not, notes } = begun;
    for note in notes {
        eprintln!("{}", for_terminal(note));
    }
    for (name, why) in not {
        eprintln!("{}: {}", for_terminal(name), for_terminal(why));
    }
    let of_not = if not.is_empty() { Exit::Done } else { Exit::Problem };
    if records.is_empty() {
        return Ok(of_not);
    }
    if counter.is_daemon() && !wait {
        output::write(|out| {
            writeln!(
                out,
                "{} are removed as soon as the limits allow it; `vmbridge snapshot list` shows how far it is",
                records.len()
            )
        })?;
        return Ok(of_not);
    }
    counter.act(Capability::Snapshots);
    let Some(ended) = follow(context, counter, records, Goal::Removed, stop).await? else {
        eprintln!("{}", super::goes_on(counter));
        return Ok(stop.or(Exit::Problem));
    };
    let mut failed = 0;
    for (one, end) in &ended {
        if let End::Failed(why) = end {
            failed += 1;
            eprintln!("{}: {}", for_terminal(&one.snapshot.name), for_terminal(why));
        }
    }
    output::write(|out| writeln!(out, "{} removed, {failed} failed", ended.len() - failed))?;
    Ok(if failed > 0 { Exit::Problem } else { of_not })
}

pub(super) async fn adopt(context: &Context, arguments: AdoptArguments) -> Result<Exit, Failure> {
    let AdoptArguments { vm, snapshot, keep, foreign } = arguments;
    let request = Request::AdoptSnapshot { vm, snapshot, keep, foreign };
    desk::once(context, request, |told: String| for_terminal(&told).into_owned()).await
}
