//! `vmbridge watch`

use std::collections::HashSet;

use clap::Args;

use super::select::Select;
use super::{Context, Exit, Failure, Hangup, Stop, output, picture};
use crate::clock;
use crate::config::Config;
use crate::fleet::{Change, Changes, ObjectType, SharedFleet, What};
use crate::inventory::text::for_terminal;
use crate::inventory::{Asked, Filter, Picture, write_change_json, write_change_text};
use crate::observe::Mode;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object a line; see `vmbridge schema change`.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    let (config, filter) = arguments.select.apply(config)?;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let fleet = SharedFleet::new();
    let (observers, complete) = picture::first(context, &config, &fleet, Mode::Live, None, &stop).await?;
    let printed = if complete {
        let changes = fleet.changes();
        let watching = Watching::new(fleet, &config, filter, arguments.json);
        watching.say_begin();
        tokio::select! {
            end = watching.print(changes) => end,
            () = stop.requested() => Ok(()),
            () = output::reader_gone() => Ok(()),
        }
    } else {
        Ok(())
    };
    observers.close().await;
    printed?;
    Ok(Exit::Done)
}

struct Watching {
    fleet: SharedFleet,
    filter: Filter,
    json: bool,
    stale_after: std::time::Duration,
    /// The VMs that were asked for when they were last looked at, so that one that leaves the selection is told of too.
    shown: HashSet<(String, String)>,
}

impl Watching {
    fn new(fleet: SharedFleet, config: &Config, filter: Filter, json: bool) -> Self {
        let mut watching =
            Self { fleet, filter, json, stale_after: config.limits.stale_after, shown: HashSet::new() };
        watching.look();
        watching
    }

    fn look(&mut self) {
        if self.filter.selectors.is_empty() {
            return;
        }
        let fleet = self.fleet.read();
        let picture =
            Picture { fleet: &fleet, filter: &self.filter, now: clock::now(), stale_after: self.stale_after };
        self.shown = picture.asked_for();
    }

    fn say_begin(&self) {
        let fleet = self.fleet.read();
        let picture =
            Picture { fleet: &fleet, filter: &self.filter, now: clock::now(), stale_after: self.stale_after };
        for (source, why) in picture.problems() {
            eprintln!("{source}: {}", for_terminal(&why));
        }
        let parts = fleet.parts().filter(|part| self.filter.takes(part));
        let (count, vms) = parts.fold((0, 0), |(count, vms), part| (count + 1, vms + part.counts().vms()));
        eprintln!("{vms} VMs of {count} vCenters; what changes from now on follows. Ctrl-C ends.");
    }

    async fn print(mut self, mut changes: Changes) -> Result<(), Failure> {
        let mut out = tokio::io::stdout();
        loop {
            let Some(batch) = changes.next().await else {
                eprintln!("some changes came faster than they could be printed and are missing here");
                self.look();
                continue;
            };
            for change in batch.iter() {
                if !self.is_asked_for(change) {
                    continue;
                }
                let line = if self.json {
                    write_change_json(change)
                } else {
                    write_change_text(change).into_bytes()
                };
                output::write_line(&mut out, line).await?;
            }
        }
    }

    fn is_asked_for(&mut self, change: &Change) -> bool {
        let fleet = self.fleet.read();
        let Some(part) = fleet.part(&change.vcenter) else { return true };
        if !self.filter.takes(part) {
            return false;
        }
        let What::Object(object) = &change.what else { return true };
        if self.filter.selectors.is_empty() {
            return true;
        }
        if object.kind != ObjectType::Vm {
            return false;
        }
        let key = (change.vcenter.as_str().to_owned(), object.moref.clone());
        let now = part.vm(&object.moref).is_some_and(|vm| self.filter.asks_for(&vm) == Asked::Yes);
        let before = if now { !self.shown.insert(key) } else { self.shown.remove(&key) };
        now || before
    }
}
