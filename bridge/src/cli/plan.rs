//! `vmbridge plan` and `vmbridge sync`

use std::sync::Arc;

use clap::Args;
use mappings::checks::RuleSet;

use super::desk::{self, Counter};
use super::progress::Work;
use super::select::Select;
use super::{Context, Exit, Failure, Hangup, Stop, output, picture};
use crate::clock;
use crate::cloud::{Cloud, SharedCloud};
use crate::config::Config;
use crate::control::{PlanQuery, Request, plan_document};
use crate::engine::{Progress, Targets, credential_keys};
use crate::fleet::SharedFleet;
use crate::inventory::Filter;
use crate::memory::Memory;
use crate::observe::Mode;
use crate::plan::{Capability, PlanDocument, Policy, View, write_plan};
use crate::report::ReadBack;
use crate::secret::SecretResolver;
use crate::store::{Reader, StoreProblem};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object; see `vmbridge schema plan`.
    #[arg(long)]
    json: bool,
    /// Only this capability: `tags`, `writeback`, `enrol` or `snapshots`. May be given several times.
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

pub(super) fn refuse_without_targets(config: &Config) -> Result<(), Failure> {
    if config.aws.is_empty() {
        return Err(Failure::Usage(
            "there is no [[aws]] target in the configuration, so there is nothing to plan".to_owned(),
        ));
    }
    Ok(())
}

/// All that a plan is made of, read once and without changing anything.
pub(super) struct Known {
    fleet: SharedFleet,
    cloud: Cloud,
    memory: Memory,
    policy: Policy,
    /// The targets, of which more can be read.
    targets: Targets,
    /// The state, if there is one.
    pub(super) reader: Option<Reader>,
}

impl Known {
    /// Reads everything. Nothing is returned if a signal came first, or not everything could be read.
    pub(super) async fn read(
        context: &Context,
        config: &Config,
        stop: &Stop,
    ) -> Result<Option<Self>, Failure> {
        Self::read_for(context, config, config.observed_rules(), stop).await
    }

    /// The same with what these hardening rules ask, whether a capability needs it or not.
    pub(super) async fn read_for(
        context: &Context,
        config: &Config,
        rules: Option<Arc<RuleSet>>,
        stop: &Stop,
    ) -> Result<Option<Self>, Failure> {
        let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
        let targets = Targets::connect(config, &cloud).await.map_err(Failure::Engine)?;
        // The whole fleet is read whatever is shown of it: which node is which VM depends on all of it.
        let (observers, complete) = picture::first(context, config, &fleet, Mode::Once, rules, stop).await?;
        observers.close().await;
        if !complete {
            return Ok(None);
        }
        tokio::select! {
            () = targets.read_once() => {}
            () = stop.requested() => return Ok(None),
        }
        let secrets = SecretResolver::new(context.environment.clone());
        let keys = credential_keys(&config.credentials, &secrets).await;
        let (reader, memory) = match Reader::open(&config.state.directory).await {
            Ok(reader) => {
                let contents = reader.contents().await.map_err(|error| Failure::Engine(error.into()))?;
                let installation =
                    reader.installation().await.map_err(|error| Failure::Engine(error.into()))?;
                let memory = Memory::of(contents, &installation, false, clock::now());
                (Some(reader), memory)
            }
            // Nothing was ever done from here. The id of the installation is made with the database.
            Err(error) if matches!(error.problem, StoreProblem::Missing) => {
                (None, Memory { installation: "00000000".into(), ..Memory::default() })
            }
            Err(error) => return Err(Failure::Engine(error.into())),
        };
        let memory = Memory { keys, ..memory };
        Ok(Some(Self { fleet, cloud: cloud.read(), memory, policy: Policy::of(config), targets, reader }))
    }

    /// What Systems Manager says of every node, and of the windows of this name, if there is one.
    pub(super) async fn read_back(&self, window: Option<&str>) -> ReadBack {
        let read = ReadBack::read(self.targets.reports(), &self.cloud).await;
        read.with_window(self.targets.services(), window).await
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&View<'_>) -> T) -> T {
        let Self { fleet, cloud, memory, policy, .. } = self;
        look(&View { fleet: &fleet.read(), cloud, memory, policy, now: clock::now() })
    }
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    refuse_without_targets(&config)?;
    let Arguments { json, capabilities, select } = arguments;
    let (_, Filter { selectors, vcenters }) = select.apply(config.clone())?;
    let query = PlanQuery {
        capabilities,
        selectors: selectors.iter().map(ToString::to_string).collect(),
        vcenters: vcenters.clone(),
    };
    let document = match desk::daemon(&config).await? {
        Some(client) => client.ask(&Request::Plan(query)).await.map_err(Failure::Daemon)?,
        None => {
            let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
            let Some(known) = Known::read(context, &config, &stop).await? else {
                return Ok(stop.or(Exit::Problem));
            };
            let filter = Filter { selectors, vcenters };
            known.look(|view| plan_document(view, &query, &filter))
        }
    };
    show(&document, json)
}

/// Prints a plan. It is a problem if anything is planned, and if there may be something that could not be seen.
fn show(document: &PlanDocument, json: bool) -> Result<Exit, Failure> {
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)
        } else {
            write_plan(out, document)
        }
    })?;
    let idle = document.actions.is_empty() && document.held.is_empty() && document.waiting == 0;
    Ok(if idle && document.complete { Exit::Done } else { Exit::Problem })
}

pub(super) async fn sync(context: &Context, arguments: SyncArguments) -> Result<Exit, Failure> {
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(mut counter) = Counter::reach(context, &stop).await? else {
        return Ok(stop.or(Exit::Problem));
    };
    counter.go_on();
    let before: Progress = counter.ask(Request::Progress).await?;
    let shown = Work::new(super::can_show_progress(&context.environment));
    let work = async {
        let work = counter.ask::<Progress>(Request::Sync);
        let show = async {
            loop {
                let now = counter.ask(Request::Progress).await;
                match now {
                    Ok(now) => shown.show(&before, &now),
                    Err(error) => break error,
                }
                tokio::time::sleep(Work::TURN).await;
            }
        };
        tokio::select! {
            done = work => done.map(Some),
            error = show => Err(error),
            () = stop.requested() => Ok(None),
        }
    };
    let ended = work.await;
    drop(shown);
    // A daemon goes on by itself; what was begun here is looked for by the next one.
    let Ok(Some(ended)) = ended else {
        counter.close().await;
        return ended.map(|_| stop.or(Exit::Problem));
    };
    let (done, failed) = (ended.done - before.done, ended.failed - before.failed);
    eprintln!("{done} done, {failed} failed, {} of unknown end", ended.open);
    let left: PlanDocument = counter.ask(Request::Plan(PlanQuery::default())).await?;
    counter.close().await;
    let exit = show(&left, arguments.json)?;
    Ok(stop.or(if failed > 0 || ended.open > 0 { Exit::Problem } else { exit }))
}
