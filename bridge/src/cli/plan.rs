//! `vmbridge plan` and `vmbridge sync`

use std::time::Duration;

use clap::Args;

use super::select::Select;
use super::{Context, Exit, Failure, Hangup, Stop, output, picture};
use crate::clock;
use crate::cloud::SharedCloud;
use crate::config::Config;
use crate::engine::{Targets, assemble};
use crate::fleet::{Fleet, SharedFleet};
use crate::inventory::Filter;
use crate::memory::Memory;
use crate::observe::Mode;
use crate::plan::{Capability, Plan, PlanDocument, Policy, plan, write_plan};
use crate::store::{Reader, StoreProblem};

/// How long `sync` works before it gives up what is left to the next time.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object; see `vmbridge schema plan`.
    #[arg(long)]
    json: bool,
    /// Only this capability: `tags` or `writeback`. May be given several times.
    #[arg(long = "capability", value_name = "NAME", value_parser = capability)]
    capabilities: Vec<Capability>,
    #[command(flatten)]
    select: Select,
}

#[derive(Debug, Args)]
pub(super) struct SyncArguments {
    /// Print what is left to do, or cannot be done, as one JSON object.
    #[arg(long)]
    json: bool,
}

fn capability(word: &str) -> Result<Capability, String> {
    Capability::from_word(word).ok_or_else(|| {
        let words: Vec<&str> = Capability::ALL.iter().map(|capability| capability.word()).collect();
        format!("there are {}", words.join(", "))
    })
}

fn refuse_without_targets(config: &Config) -> Result<(), Failure> {
    if config.aws.is_empty() {
        return Err(Failure::Usage(
            "there is no [[aws]] target in the configuration, so there is nothing to plan".to_owned(),
        ));
    }
    Ok(())
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    refuse_without_targets(&config)?;
    let Arguments { json, capabilities, select } = arguments;
    // The whole fleet is read whatever is shown of it: which node is which VM depends on all of it.
    let (_, filter) = select.apply(config.clone())?;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
    let targets = Targets::connect(&config.aws, &config.limits, &cloud).await.map_err(Failure::Engine)?;
    let (observers, complete) = picture::first(context, &config, &fleet, Mode::Once, &stop).await?;
    observers.close().await;
    if !complete {
        return Ok(stop.or(Exit::Problem));
    }
    tokio::select! {
        () = targets.read_once() => {}
        () = stop.requested() => return Ok(stop.or(Exit::Problem)),
    }
    let memory = match Reader::open(&config.state.directory).await {
        Ok(reader) => {
            let contents = reader.contents().await.map_err(|error| Failure::Engine(error.into()))?;
            let installation = reader.installation().await.map_err(|error| Failure::Engine(error.into()))?;
            Memory::of(contents, &installation, false, clock::now())
        }
        // Nothing was ever done from here.
        Err(error) if matches!(error.problem, StoreProblem::Missing) => {
            // The id of the installation is made with the database.
            Memory { installation: "00000000".into(), ..Memory::default() }
        }
        Err(error) => return Err(Failure::Engine(error.into())),
    };
    let policy = Policy::of(&config);
    let now = clock::now();
    let fleet = fleet.read();
    let mut plan = plan(&fleet, &cloud.read(), &memory, &policy, now);
    if !capabilities.is_empty() {
        plan.actions.retain(|planned| capabilities.contains(&planned.action.capability()));
    }
    show(&plan, &policy, &fleet, &filter, json)
}

/// Prints a plan. It is a problem if anything is planned, and if there may be something that could not be seen.
fn show(plan: &Plan, policy: &Policy, fleet: &Fleet, filter: &Filter, json: bool) -> Result<Exit, Failure> {
    let selected: std::collections::HashSet<_> = fleet
        .parts()
        .filter(|part| filter.takes(part))
        .flat_map(crate::fleet::Part::vms)
        .filter(|vm| {
            filter.selectors.is_empty() || filter.selectors.iter().any(|selector| selector.selects(vm))
        })
        .map(|vm| (vm.vcenter_name().clone(), vm.moref().value().to_owned()))
        .collect();
    let document = PlanDocument::of(plan, policy, clock::now(), |vm| {
        selected.contains(&(vm.vcenter.clone(), vm.vm.vm.to_string()))
    });
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        } else {
            write_plan(out, &document)
        }
    })?;
    let idle = document.actions.is_empty() && document.held.is_empty();
    let reasons = plan.vms.iter().flat_map(|vm| &vm.verdicts).filter_map(|verdict| verdict.reason.as_ref());
    let blind = { reasons }.any(crate::plan::Reason::is_blind);
    Ok(if idle && !blind { Exit::Done } else { Exit::Problem })
}

pub(super) async fn sync(context: &Context, arguments: SyncArguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    refuse_without_targets(&config)?;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
    let targets = Targets::connect(&config.aws, &config.limits, &cloud).await.map_err(Failure::Engine)?;
    // First the lock: two that work on the same state would be one too many.
    let (engine, hands) = assemble(&config, &fleet, &cloud, &targets).await.map_err(Failure::Engine)?;
    let (observers, complete) = picture::first(context, &config, &fleet, Mode::Once, &stop).await?;
    if !complete {
        observers.close().await;
        return Ok(stop.or(Exit::Problem));
    }
    hands.vsphere().use_sessions(observers.connected());
    let work = async {
        targets.read_once().await;
        engine.settle(PATIENCE).await
    };
    tokio::select! {
        _ = work => {}
        () = stop.requested() => {}
    }
    observers.close().await;
    let policy = engine.policy();
    let left = engine.plan();
    let progress = engine.progress().borrow().clone();
    eprintln!("{} done, {} failed, {} of unknown end", progress.done, progress.failed, progress.open);
    let exit = show(&left, &policy, &fleet.read(), &Filter::default(), arguments.json)?;
    if let Some(store) = engine.into_store() {
        store.close().await;
    }
    Ok(stop.or(if progress.failed > 0 || progress.open > 0 { Exit::Problem } else { exit }))
}
