//! Where a command takes what a person wants: to the daemon if one runs, and otherwise to a desk of its own.

use serde::de::DeserializeOwned;

use super::plan::refuse_without_targets;
use super::{Context, Failure, Hangup, Stop, picture};
use crate::cloud::SharedCloud;
use crate::config::Config;
use crate::control::{Client, ClientError, Desk, Request};
use crate::engine::{Engine, Targets, assemble};
use crate::fleet::SharedFleet;
use crate::observe::{Mode, Observers};

/// Where it is taken.
pub(super) enum Counter {
    /// A daemon runs.
    Daemon(Client),
    /// None does: this process has read everything itself and holds the lock.
    Here { desk: Box<Desk>, engine: Engine, observers: Observers },
}

impl Counter {
    /// The daemon, or everything read once. Nothing is returned if a signal came first.
    pub(super) async fn reach(context: &Context, stop: &Stop) -> Result<Option<Self>, Failure> {
        let (_, config) = context.load()?;
        refuse_without_targets(&config)?;
        if let Some(client) = daemon(&config).await? {
            context.start_log(None)?;
            return Ok(Some(Self::Daemon(client)));
        }
        let (fleet, cloud) = (SharedFleet::new(), SharedCloud::new());
        let targets = Targets::connect(&config.aws, &config.limits, &cloud).await.map_err(Failure::Engine)?;
        // First the lock: two that work on the same state would be one too many.
        let (engine, hands) = assemble(&config, &context.environment, &fleet, &cloud, &targets)
            .await
            .map_err(Failure::Engine)?;
        let (observers, complete) = picture::first(context, &config, &fleet, Mode::Once, stop).await?;
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
        Ok(Some(Self::Here { desk, engine, observers }))
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
        if let Self::Here { desk, engine, observers } = self {
            observers.close().await;
            drop(desk);
            if let Some(store) = engine.into_store() {
                store.close().await;
            }
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
