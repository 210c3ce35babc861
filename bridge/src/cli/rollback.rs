//! `vmbridge rollback`: the VMs of a window go back to what they were before it.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::consent::consent;
use super::desk::Counter;
use super::follow::{End, Ended, Goal, follow};
use super::snapshot::{age, goes_on, length, minute};
use super::{Context, Exit, Failure, Hangup, Stop, output};
use crate::control::{Begun, Request, RollbackDocument, RollbackQuery, RollbackVmDocument};
use crate::inventory::text::for_terminal;
use crate::plan::Capability;

/// Later snapshots of one VM that are named before the rest is only counted.
const MOST_LATER: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The window, by its id or name.
    window: String,
    /// Which opening of it, such as `2026-01-02T03:00:00Z`: any time at which it was open. Left out: the latest one.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Only this VM. May be given several times.
    #[arg(long = "vm", value_name = "VM")]
    vms: Vec<String>,
    #[command(flatten)]
    going: Going,
}

/// How it is gone about.
#[derive(Debug, Clone, Args)]
pub(super) struct Going {
    /// Do not ask; for scripts.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    /// Show what would be lost, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for the agents of VMs that are back; 0s waits for none.
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = length)]
    agents_within: Duration,
    /// Print one JSON object: what it means, and with --yes how it ended.
    #[arg(long)]
    json: bool,
}

/// How it ended.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome<'a> {
    rollback: &'a RollbackDocument,
    vms: Vec<VmOutcome>,
}

/// How it ended for one VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct VmOutcome {
    vm: String,
    name: String,
    record: Option<String>,
    /// Whether it is back at its snapshot, and runs if it ran before.
    back: bool,
    /// Whether its agent was heard of since. `null`: it has none, or nobody waited for it.
    agent: Option<bool>,
    why: Option<String>,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { window, at, vms, going } = arguments;
    go(context, RollbackQuery::Window { window, at, vms }, going).await
}

/// Shows what it means, asks, does it, and tells how it ended.
pub(super) async fn go(context: &Context, query: RollbackQuery, going: Going) -> Result<Exit, Failure> {
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(mut counter) = Counter::reach_live(context, &stop).await? else {
        return Ok(stop.or(Exit::Problem));
    };
    let meant = counter.ask::<RollbackDocument>(Request::Rollback(query)).await;
    let done = match meant {
        Ok(meant) => decided(context, &mut counter, &meant, &going, &stop).await,
        Err(failure) => Err(failure),
    };
    counter.close().await;
    done
}

async fn decided(
    context: &Context,
    counter: &mut Counter,
    meant: &RollbackDocument,
    going: &Going,
    stop: &Stop,
) -> Result<Exit, Failure> {
    let Going { yes, dry_run, agents_within, json } = going;
    // With --yes one object tells everything at the end.
    if !(*json && *yes) {
        output::write(|out| {
            if *json {
                serde_json::to_writer_pretty(&mut *out, meant)?;
                return writeln!(out);
            }
            write_meant(out, meant)
        })?;
    }
    if *dry_run {
        return Ok(if meant.without.is_empty() { Exit::Done } else { Exit::Problem });
    }
    if meant.vms.is_empty() {
        eprintln!("no VM can be taken back");
        return Ok(Exit::Problem);
    }
    if !*yes {
        let vms = meant.vms.len();
        let question = format!("Take {vms} VMs back? All that was written since their snapshots is lost.");
        match consent(question, "--yes takes the VMs back without asking", stop).await? {
            Some(true) => {}
            Some(false) => {
                eprintln!("nothing was changed");
                return Ok(Exit::Problem);
            }
            None => return Ok(stop.or(Exit::Problem)),
        }
    }
    let records: Vec<String> = meant.vms.iter().map(|vm| vm.record.clone()).collect();
    let Begun { records, not, .. } = counter.ask(Request::Revert { records }).await?;
    counter.act(Capability::Snapshots);
    let ended = if records.is_empty() {
        Vec::new()
    } else {
        let goal = Goal::Back { agents: *agents_within };
        let Some(ended) = follow(context, counter, &records, goal, stop).await? else {
            eprintln!("{}", goes_on(counter));
            return Ok(stop.or(Exit::Problem));
        };
        ended
    };
    let vms = outcomes(&ended, &not, !agents_within.is_zero());
    output::write(|out| {
        if *json {
            serde_json::to_writer_pretty(&mut *out, &Outcome { rollback: meant, vms: vms.clone() })?;
            return writeln!(out);
        }
        write_outcomes(out, &vms)
    })?;
    let is_well = meant.without.is_empty() && vms.iter().all(|vm| vm.back && vm.agent != Some(false));
    Ok(if is_well { Exit::Done } else { Exit::Problem })
}

fn outcomes(ended: &Ended, not: &[(String, String)], waited: bool) -> Vec<VmOutcome> {
    let of_ended = ended.iter().map(|(one, end)| {
        let agent = one.node.as_ref().filter(|_| waited && *end == End::Well).map(|node| node.is_back);
        let silent = one.node.as_ref().filter(|_| agent == Some(false));
        VmOutcome {
            vm: one.snapshot.vm.clone(),
            name: one.snapshot.name.clone(),
            record: Some(one.snapshot.record.clone()),
            back: *end == End::Well,
            agent,
            why: match end {
                End::Failed(why) => Some(why.clone()),
                End::Well => silent
                    .map(|node| format!("its agent was not heard of since: {} is {}", node.id, node.ping)),
            },
        }
    });
    let of_not = not.iter().map(|(name, why)| VmOutcome {
        vm: String::new(),
        name: name.clone(),
        record: None,
        back: false,
        agent: None,
        why: Some(why.clone()),
    });
    of_ended.chain(of_not).collect()
}

fn write_outcomes(out: &mut dyn Write, vms: &[VmOutcome]) -> io::Result<()> {
    for vm in vms.iter().filter(|vm| vm.why.is_some()) {
        let why = vm.why.as_deref().unwrap_or_default();
        let sign = if vm.back { "?" } else { "!" };
        writeln!(out, "{sign} {}: {}", for_terminal(&vm.name), for_terminal(why))?;
    }
    let back = vms.iter().filter(|vm| vm.back).count();
    let silent = vms.iter().filter(|vm| vm.agent == Some(false)).count();
    write!(out, "{back} are back, {} failed", vms.len() - back)?;
    if silent > 0 {
        write!(out, ", {silent} with a silent agent")?;
    }
    writeln!(out)
}

fn write_meant(out: &mut dyn Write, meant: &RollbackDocument) -> io::Result<()> {
    if let (Some(name), Some(window), Some(opens)) = (&meant.window_name, &meant.window, &meant.opens) {
        writeln!(out, "{} ({}) of {} UTC", for_terminal(name), for_terminal(window), minute(opens))?;
    }
    for vm in &meant.vms {
        write_vm(out, vm)?;
    }
    for (vm, name, why) in &meant.without {
        writeln!(
            out,
            "! {} ({}) cannot be taken back: {}",
            for_terminal(name),
            for_terminal(vm),
            for_terminal(why)
        )?;
    }
    for warning in &meant.warnings {
        writeln!(out, "? {}", for_terminal(warning))?;
    }
    Ok(())
}

fn write_vm(out: &mut dyn Write, vm: &RollbackVmDocument) -> io::Result<()> {
    let since = match (&vm.created, vm.age_seconds) {
        (Some(created), Some(seconds)) => {
            format!("all that was written since {} UTC ({}) is lost", minute(created), age(seconds))
        }
        _ => "all that was written since its snapshot is lost".to_owned(),
    };
    let judged = vm.judgement.as_ref().map(|judgement| format!(", {judgement}")).unwrap_or_default();
    writeln!(out, "  {} ({}){judged}: {since}", for_terminal(&vm.name), for_terminal(&vm.vm))?;
    for later in vm.later.iter().take(MOST_LATER) {
        let whose = if later.ours { "" } else { ", of others" };
        let created = later.created.as_deref().map_or_else(|| "-".to_owned(), minute);
        writeln!(
            out,
            "      leaves the later snapshot `{}` ({} of {created}{whose})",
            for_terminal(&later.name),
            for_terminal(&later.snapshot)
        )?;
    }
    if vm.later.len() > MOST_LATER {
        writeln!(out, "      and {} more later snapshots", vm.later.len() - MOST_LATER)?;
    }
    for warning in &vm.warnings {
        writeln!(out, "      {}", for_terminal(warning))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::LaterDocument;

    #[test]
    fn what_will_be_lost_is_shown_vm_by_vm() {
        let vm = RollbackVmDocument {
            record: "9f86d081884c7d65".to_owned(),
            vm: "dc1/vm-1".to_owned(),
            name: "web-1".to_owned(),
            snapshot: "snapshot-7".to_owned(),
            created: Some("2026-11-29T01:00:00Z".to_owned()),
            age_seconds: Some(12_300),
            powered_on: true,
            judgement: Some("failed".to_owned()),
            node: Some("mi-0123456789abcdef0".to_owned()),
            later: vec![LaterDocument {
                snapshot: "snapshot-9".to_owned(),
                name: "by hand\u{1b}[2J".to_owned(),
                created: Some("2026-11-29T03:00:00Z".to_owned()),
                ours: false,
            }],
            warnings: vec!["its memory is not in the snapshot: it is powered on and boots".to_owned()],
        };
        let meant = RollbackDocument {
            window: Some("mw-0123456789abcdef0".to_owned()),
            window_name: Some("Sunday".to_owned()),
            opens: Some("2026-11-29T02:00:00Z".to_owned()),
            closes: Some("2026-11-29T06:00:00Z".to_owned()),
            vms: vec![vm],
            without: vec![(
                "dc1/vm-2".to_owned(),
                "db-1".to_owned(),
                "its snapshot is not there any more".to_owned(),
            )],
            warnings: vec!["SSM Agent goes back to the keys it had".to_owned()],
        };
        let mut out = Vec::new();
        write_meant(&mut out, &meant).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn how_it_ended_is_counted() {
        let one = |back, agent, why: Option<&str>| VmOutcome {
            vm: "dc1/vm-1".to_owned(),
            name: "web-1".to_owned(),
            record: None,
            back,
            agent,
            why: why.map(str::to_owned),
        };
        let vms = [
            one(true, Some(true), None),
            one(true, Some(false), Some("its agent was not heard of since")),
            one(false, None, Some("the datastore is full")),
        ];
        let mut out = Vec::new();
        write_outcomes(&mut out, &vms).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }
}
