//! `vmbridge enroll`: VMs become managed nodes while a person watches.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::desk::Counter;
use super::{Context, Exit, Failure, Hangup, Stop, output};
use crate::config::Mode;
use crate::control::{Asked, EnrolmentDocument, PlanQuery, Request};
use crate::inventory::text::for_terminal;
use crate::plan::{Capability, PlanDocument, write_plan};

/// How often it is looked how far they are.
const TURN: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// VMs, by name, managed object id, UUID, host name or <vCenter>/<managed object id>. Left out: all that can be enrolled.
    #[arg(value_name = "VM")]
    vms: Vec<String>,
    /// Only VMs that this selects; see docs/selectors.md. May be given several times: any of them has to select a VM.
    #[arg(long = "selector", value_name = "EXPR")]
    selectors: Vec<String>,
    /// Show what would be enrolled and why others would not be, and change nothing.
    #[arg(long, conflicts_with = "retry")]
    dry_run: bool,
    /// Forget first that they failed, were refused or are in quarantine.
    #[arg(long)]
    retry: bool,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    if config.enrol.mode == Mode::Off {
        return Err(Failure::Usage("enrolment is off: write `mode = \"observe\"` in [enrol]".to_owned()));
    }
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(mut counter) = Counter::reach(context, &stop).await? else {
        return Ok(stop.or(Exit::Problem));
    };
    if arguments.dry_run {
        let shown = dry_run(&counter, arguments).await;
        counter.close().await;
        return shown;
    }
    let Arguments { vms, selectors, retry, .. } = arguments;
    let asked = counter.ask::<Asked>(Request::Enrol { vms, selectors, retry }).await;
    let Asked { vms, not } = match asked {
        Ok(asked) => asked,
        Err(failure) => {
            counter.close().await;
            return Err(failure);
        }
    };
    for (name, why) in &not {
        eprintln!("{}: {}", for_terminal(name), for_terminal(why));
    }
    counter.act(Capability::Enrol);
    let watched = tokio::select! {
        watched = watch(context, &counter, &vms) => watched,
        () = stop.requested() => Ok(None),
    };
    counter.close().await;
    let Some(ended) = watched? else { return Ok(stop.or(Exit::Problem)) };
    let enrolled = ended.iter().filter(|one| one.stage == "enrolled").count();
    let failed = ended.len() - enrolled;
    output::write(|out| writeln!(out, "{enrolled} enrolled, {failed} failed, {} not tried", not.len()))?;
    Ok(if failed == 0 && not.is_empty() { Exit::Done } else { Exit::Problem })
}

async fn dry_run(counter: &Counter, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { vms, selectors, .. } = arguments;
    let query = PlanQuery { capabilities: vec![Capability::Enrol], selectors, vcenters: Vec::new() };
    let mut plan: PlanDocument = counter.ask(Request::Plan(query)).await?;
    if !vms.is_empty() {
        for vm in &vms {
            // One that does not exist, or that is meant by several, is told as by all other commands.
            let _: serde_json::Value = counter.ask(Request::Explain { vm: vm.clone() }).await?;
        }
        let is_meant = |name: &str, moref: &str, vcenter: &str| {
            vms.iter().any(|vm| vm == name || vm == moref || *vm == format!("{vcenter}/{moref}"))
        };
        plan.vms.retain(|vm| is_meant(&vm.name, &vm.moref, &vm.vcenter));
        plan.actions
            .retain(|action| plan.vms.iter().any(|vm| vm.moref == action.object && vm.name == action.label));
    }
    output::write(|out| write_plan(out, &plan))?;
    Ok(if plan.actions.is_empty() { Exit::Done } else { Exit::Problem })
}

/// Shows how far they are until all are at rest.
async fn watch(
    context: &Context,
    counter: &Counter,
    vms: &[String],
) -> Result<Option<Vec<EnrolmentDocument>>, Failure> {
    let bar = super::can_show_progress(&context.environment).then(|| bar(vms.len()));
    let say = |line: String| match &bar {
        Some(bar) => bar.println(line),
        None => eprintln!("{line}"),
    };
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let all: Vec<EnrolmentDocument> = counter.ask(Request::Enrolments).await?;
        let ours: Vec<EnrolmentDocument> = all.into_iter().filter(|one| vms.contains(&one.vm)).collect();
        for one in &ours {
            if shown.insert(one.vm.clone(), one.stage.clone()).as_ref() != Some(&one.stage) {
                let more = one.problem.as_deref().or(one.node.as_deref()).unwrap_or_default();
                say(format!("{}  {}  {}", for_terminal(&one.name), one.stage, for_terminal(more))
                    .trim_end()
                    .to_owned());
            }
        }
        let at_rest = ours.iter().filter(|one| !one.active).count();
        if let Some(bar) = &bar {
            bar.set_position(u64::try_from(at_rest).unwrap_or(u64::MAX));
        }
        if at_rest == vms.len() {
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            return Ok(Some(ours));
        }
        tokio::time::sleep(TURN).await;
    }
}

fn bar(vms: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(vms).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} VMs, about {eta} left");
    // The template is constant and correct; if it were not, the default would do.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(TURN);
    bar
}
