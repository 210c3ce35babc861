//! Where a command takes what a person wants: to the daemon if one runs, and otherwise to a desk of its own.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::plan::{Known, refuse_without_targets};
use super::{Context, Failure, Hangup, Stop, picture};
use crate::cloud::SharedCloud;
use crate::config::Config;
use crate::control::{Client, ClientError, Desk, Refusal, Request};
use crate::engine::{Engine, RealHands, Targets, assemble};
use crate::fleet::SharedFleet;
use crate::observe::{self, Mode, Observers};
use crate::plan::{Capability, View};
use crate::report::ReadBack;

/// Where it is taken.
pub(super) enum Counter {
    /// A daemon runs.
    Daemon(Client),
    /// None does: this process has read everything itself and holds the lock.
    Here { desk: Box<Desk>, engine: Engine, observers: Observers, work: Box<Work> },
}

impl Counter {
    /// The daemon, or everything read once. Nothing is returned if a signal came first.
    pub(super) async fn reach(context: &Context, stop: &Stop) -> Result<Option<Self>, Failure> {
        Self::reach_in(context, Mode::Once, stop).await
    }

    /// The daemon, or everything read, and then every change of the fleet: for what is over only when the fleet shows it.
    pub(super) async fn reach_live(context: &Context, stop: &Stop) -> Result<Option<Self>, Failure> {
        Self::reach_in(context, Mode::Live, stop).await
    }

    async fn reach_in(context: &Context, mode: Mode, stop: &Stop) -> Result<Option<Self>, Failure> {
        let (_, config) = context.load()?;
        refuse_without_targets(&config)?;
        if let Some(client) = daemon(&config).await? {
            context.start_log(None)?;
            return Ok(Some(Self::Daemon(client)));
        }
        let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
        let targets = Targets::connect(&config, &cloud).await.map_err(Failure::Engine)?;
        // First the lock: two that work on the same state would be one too many.
        let (engine, hands) = assemble(&config, &context.environment, &fleet, &cloud, &targets)
            .await
            .map_err(Failure::Engine)?;
        let (observers, complete) =
            picture::first(context, &config, &fleet, mode, config.observed_rules(), stop).await?;
        let read = async {
            tokio::select! {
                () = targets.read_once() => true,
                () = stop.requested() => false,
            }
        };
        if !complete || !read.await {
            observers.close().await;
            return Ok(None);
        }
        // What is written to a vCenter is written in the session that has read it.
        hands.vsphere().use_sessions(observers.connected());
        let desk = Box::new(Desk::new(engine.clone(), fleet, cloud, None));
        let work = Box::new(Work::new(&engine, hands, targets));
        Ok(Some(Self::Here { desk, engine, observers, work }))
    }

    /// Sees to it that what needs time goes on: programs in guests are watched, and AWS is read again and again. A daemon does
    /// so anyway.
    pub(super) fn go_on(&mut self) {
        if let Self::Here { work, .. } = self {
            work.start();
        }
    }

    /// Sees to it that what is planned of this capability is done until everything is closed. A daemon does so anyway.
    pub(super) fn act(&mut self, capability: Capability) {
        self.go_on();
        if let Self::Here { work, .. } = self {
            work.act(capability);
        }
    }

    /// Whether a daemon does what is asked, whatever becomes of this process.
    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon(_))
    }

    /// Asks.
    pub(super) async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Failure> {
        match self {
            Self::Daemon(client) => client.ask(&request).await.map_err(Failure::Daemon),
            Self::Here { desk, .. } => {
                let answer = desk.answer(request).await.map_err(|refusal| Failure::Daemon(refusal.into()))?;
                serde_json::from_value(answer)
                    .map_err(|error| Failure::Daemon(ClientError::Answer(error.to_string())))
            }
        }
    }

    /// Closes what was opened.
    pub(super) async fn close(self) {
        if let Self::Here { desk, engine, observers, work } = self {
            work.stop().await;
            observers.close().await;
            drop(desk);
            if let Some(store) = engine.into_store() {
                store.close().await;
            }
        }
    }
}

/// What goes on beside the asking, where there is no daemon.
pub(super) struct Work {
    engine: Engine,
    hands: RealHands,
    targets: Option<Targets>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Work {
    fn new(engine: &Engine, hands: RealHands, targets: Targets) -> Self {
        let stop = CancellationToken::new();
        Self { engine: engine.clone(), hands, targets: Some(targets), stop, tasks: Vec::new() }
    }

    fn start(&mut self) {
        if let Some(targets) = self.targets.take() {
            self.tasks.extend(targets.follow(&self.stop));
            let (engine, hands, stop) = (self.engine.clone(), self.hands.clone(), self.stop.clone());
            self.tasks.push(tokio::spawn(observe::tasks::watch(engine.clone(), hands.clone(), stop.clone())));
            self.tasks.push(tokio::spawn(observe::ports::watch(engine.clone(), stop.clone())));
            self.tasks.push(tokio::spawn(observe::guests::watch(engine, hands, stop)));
        }
    }

    fn act(&mut self, capability: Capability) {
        self.engine.only(capability);
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        self.tasks.push(tokio::spawn(async move { engine.run(stop).await }));
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// The daemon that uses the state directory of this configuration.
pub(super) async fn daemon(config: &Config) -> Result<Option<Client>, Failure> {
    if !config.uses_state() {
        return Ok(None);
    }
    Client::reach(&config.state.directory).await.map_err(Failure::Daemon)
}

/// Asks one thing. Nothing is returned if a signal came first, or not everything could be read.
pub(super) async fn answered<T: DeserializeOwned>(
    context: &Context,
    request: Request,
) -> Result<Option<T>, Failure> {
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(counter) = Counter::reach(context, &stop).await? else { return Ok(None) };
    let answer = counter.ask(request).await;
    counter.close().await;
    answer.map(Some)
}

/// Looks at what a daemon knows, or if there is none at what is read once, without changing anything. Otherwise gives how the
/// command ends: a signal came first, or not everything could be read.
pub(super) async fn looked<T: DeserializeOwned>(
    context: &Context,
    config: &Config,
    request: Request,
    here: impl FnOnce(&View<'_>) -> Result<T, Refusal>,
) -> Result<Result<T, super::Exit>, Failure> {
    if let Some(client) = daemon(config).await? {
        return client.ask(&request).await.map(Ok).map_err(Failure::Daemon);
    }
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(known) = Known::read(context, config, &stop).await? else {
        return Ok(Err(stop.or(super::Exit::Problem)));
    };
    known.look(here).map(Ok).map_err(|refusal| Failure::Daemon(refusal.into()))
}

/// The same as [`looked`], with what Systems Manager says of every node and of the windows of this name, and with what the
/// hardening rules ask: a report is about them, whether anything is told to AWS or not.
pub(super) async fn read_back<T: DeserializeOwned>(
    context: &Context,
    config: &Config,
    request: Request,
    window: Option<&str>,
    here: impl FnOnce(&View<'_>, &ReadBack) -> Result<T, Refusal>,
) -> Result<Result<T, super::Exit>, Failure> {
    let spinner = || {
        let bars = super::can_show_progress(&context.environment).then(super::progress::Bars::new);
        bars.inspect(|bars| bars.spinner("reading compliance from AWS"))
    };
    if let Some(client) = daemon(config).await? {
        let _spinner = spinner();
        return client.ask(&request).await.map(Ok).map_err(Failure::Daemon);
    }
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(known) = Known::read_for(context, config, Some(Arc::clone(&config.rules)), &stop).await? else {
        return Ok(Err(stop.or(super::Exit::Problem)));
    };
    let spinner = spinner();
    let read = tokio::select! {
        read = known.read_back(window) => read,
        () = stop.requested() => return Ok(Err(stop.or(super::Exit::Problem))),
    };
    drop(spinner);
    known.look(|view| here(view, &read)).map(Ok).map_err(|refusal| Failure::Daemon(refusal.into()))
}

/// Asks one thing and prints the sentence that is answered.
pub(super) async fn once<T: DeserializeOwned>(
    context: &Context,
    request: Request,
    told: impl FnOnce(T) -> String,
) -> Result<super::Exit, Failure> {
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    let Some(counter) = Counter::reach(context, &stop).await? else {
        return Ok(stop.or(super::Exit::Problem));
    };
    let answer = counter.ask(request).await;
    counter.close().await;
    let sentence = told(answer?);
    super::output::write(|out| writeln!(out, "{sentence}"))?;
    Ok(super::Exit::Done)
}
