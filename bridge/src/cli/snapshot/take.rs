//! `vmbridge snapshot create`

use std::io::{self, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use super::super::desk::Counter;
use super::super::follow::{End, Goal, follow};
use super::super::{Context, Exit, Failure, Hangup, Stop, output};
use crate::control::{HazardDocument, Request, TakeQuery, TakenDocument};
use crate::inventory::text::for_terminal;
use crate::plan::Capability;

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["vms", "selectors"])]
pub(in crate::cli) struct Arguments {
    /// VMs, by name, managed object id, UUID, host name, node or <vCenter>/<managed object id>.
    #[arg(value_name = "VM")]
    vms: Vec<String>,
    /// VMs that this selects; see docs/selectors.md. May be given several times: any of them has to select a VM.
    #[arg(long = "selector", value_name = "EXPR")]
    selectors: Vec<String>,
    /// Why, in at most 200 characters: it is the name of the snapshots.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long the snapshots are kept, at most 14 days; then they are removed.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = length)]
    keep: Duration,
    /// Whether the guests are quiesced. Left out: as the policy of each VM says.
    #[arg(long, value_enum, value_name = "HOW")]
    quiesce: Option<Quiesce>,
    /// Put the memory of the VMs into the snapshots: slow, and rarely wanted.
    #[arg(long)]
    memory: bool,
    /// Wait until the snapshots are there. Without a daemon that is done in any case.
    #[arg(long)]
    wait: bool,
    /// Print one JSON object; with --wait, how far they are then is in the exit code and on standard error.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Quiesce {
    /// No snapshot without it.
    Required,
    /// Without it rather than none.
    Preferred,
    /// Never.
    Off,
}

impl Quiesce {
    fn word(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Preferred => "preferred",
            Self::Off => "off",
        }
    }
}

/// A length of time, such as `24h`.
pub(in crate::cli) fn length(text: &str) -> Result<Duration, String> {
    let length = text.parse::<SignedDuration>().ok().and_then(|length| Duration::try_from(length).ok());
    length.ok_or_else(|| "a length of time, such as `24h` or `90m`".to_owned())
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { vms, selectors, reason, keep, quiesce, memory, wait, json } = arguments;
    let quiesce = quiesce.map(|quiesce| quiesce.word().to_owned());
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(mut counter) = Counter::reach_live(context, &stop).await? else {
        return Ok(stop.or(Exit::Problem));
    };
    let query = TakeQuery { vms, selectors, reason, keep, quiesce, memory };
    let taken = counter.ask::<TakenDocument>(Request::TakeSnapshots(query)).await;
    let done = match taken {
        Ok(taken) => told(context, &mut counter, &taken, wait, json, &stop).await,
        Err(failure) => Err(failure),
    };
    counter.close().await;
    done
}

async fn told(
    context: &Context,
    counter: &mut Counter,
    taken: &TakenDocument,
    wait: bool,
    json: bool,
    stop: &Stop,
) -> Result<Exit, Failure> {
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &taken)?;
            return writeln!(out);
        }
        write_taken(out, taken)
    })?;
    if taken.taken.is_empty() && taken.refused.is_empty() {
        eprintln!("no VM is selected");
        return Ok(Exit::Problem);
    }
    let refused = !taken.refused.is_empty();
    let of_refused = if refused { Exit::Problem } else { Exit::Done };
    if taken.taken.is_empty() || (counter.is_daemon() && !wait) {
        return Ok(of_refused);
    }
    let records: Vec<String> = taken.taken.iter().map(|one| one.record.clone()).collect();
    counter.act(Capability::Snapshots);
    let Some(ended) = follow(context, counter, &records, Goal::Taken, stop).await? else {
        eprintln!("{}", super::goes_on(counter));
        return Ok(stop.or(Exit::Problem));
    };
    let failed = ended.iter().filter(|(_, end)| *end != End::Well).count();
    for (one, end) in &ended {
        if let End::Failed(why) = end {
            eprintln!("{}: {}", for_terminal(&one.snapshot.name), for_terminal(why));
        }
    }
    eprintln!("{} taken, {failed} failed, {} refused", ended.len() - failed, taken.refused.len());
    Ok(if failed > 0 { Exit::Problem } else { of_refused })
}

fn write_taken(out: &mut dyn Write, taken: &TakenDocument) -> io::Result<()> {
    for one in &taken.taken {
        writeln!(out, "{} ({})  {}", for_terminal(&one.name), for_terminal(&one.vm), one.record)?;
        hazards(out, "waits: ", &one.waits)?;
        hazards(out, "", &one.warnings)?;
    }
    for one in &taken.refused {
        writeln!(out, "! {} ({}): no snapshot", for_terminal(&one.name), for_terminal(&one.vm))?;
        hazards(out, "", &one.why)?;
    }
    Ok(())
}

fn hazards(out: &mut dyn Write, before: &str, hazards: &[HazardDocument]) -> io::Result<()> {
    for hazard in hazards {
        write!(out, "    {before}{}", for_terminal(&hazard.sentence))?;
        match &hazard.fix {
            Some(fix) => writeln!(out, "; {}", for_terminal(fix))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::{RefusedVmDocument, TakenVmDocument};

    #[test]
    fn who_gets_one_and_who_does_not() {
        let hazard = |word: &str, sentence: &str| HazardDocument {
            hazard: word.to_owned(),
            sentence: sentence.to_owned(),
            fix: Some("see to it".to_owned()),
        };
        let taken = TakenDocument {
            taken: vec![TakenVmDocument {
                record: "9f86d081884c7d65".to_owned(),
                vm: "dc1/vm-1".to_owned(),
                name: "web\u{1b}[0m-1".to_owned(),
                waits: vec![hazard("backupRunning", "a backup is under way")],
                warnings: vec![hazard("toolsOld", "Tools are old")],
            }],
            refused: vec![RefusedVmDocument {
                vm: "dc1/vm-2".to_owned(),
                name: "db-1".to_owned(),
                why: vec![hazard("busSharing", "disk `Hard disk 2` is shared")],
            }],
        };
        let mut out = Vec::new();
        write_taken(&mut out, &taken).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
    }

    #[test]
    fn lengths_of_time_are_read() {
        assert_eq!(length("24h"), Ok(Duration::from_secs(86_400)));
        assert_eq!(length("90m"), Ok(Duration::from_secs(5400)));
        assert!(length("-1h").is_err());
        assert!(length("soon").is_err());
    }
}
