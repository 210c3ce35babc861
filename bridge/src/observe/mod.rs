//! Observe: turns remote state into the fleet.
//!
//! One task for each vCenter follows it for as long as it is configured, and one for each organisation of VMware Cloud on AWS
//! follows which vCenters there are. They share nothing but the fleet they write to, so that one that is down, slow or
//! wrong never holds up another. Nothing here fails upwards: what goes wrong with a source is told by its part of the fleet.

pub mod aws;
mod connected;
pub mod findings;
pub(crate) mod guests;
pub(crate) mod ports;
mod progress;
mod rules;
mod tags;
pub(crate) mod tasks;
pub mod told;
mod vcenter;
mod vmc;
pub mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mappings::checks::RuleSet;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::{Config, Environment, Limits};
use crate::fleet::{FleetUpdate, Reads, SharedFleet, VcenterName};
use crate::secret::SecretResolver;
use crate::source::Source;
pub use connected::Connected;
use progress::Board;
pub use progress::{Progress, SourceProgress, SourceState};
use rules::Rules;

/// How long the sources have to end their sessions when the program stops. What is not ended by then ends itself on the
/// server after a while.
const FAREWELL: Duration = Duration::from_secs(6);

/// How far to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Read everything once. Sessions stay open until the observers are closed, for whoever acts on what was read.
    Once,
    /// Read everything, then every change.
    Live,
}

/// What every task works with.
#[derive(Clone)]
struct Context {
    fleet: SharedFleet,
    secrets: Arc<SecretResolver>,
    limits: Limits,
    mode: Mode,
    board: Board,
    connected: Connected,
    rules: Rules,
}

/// The running observers of everything that is configured.
pub struct Observers {
    context: Context,
    sources: BTreeMap<String, Running>,
}

/// One task and what it was started for.
struct Running {
    what: What,
    limits: Limits,
    reads: Option<Arc<Reads>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// An entry of the configuration that is followed.
#[derive(Clone, PartialEq)]
enum What {
    Vcenter(Box<Source>),
    Vmc(Box<crate::config::Vmc>),
}

impl What {
    fn name(&self) -> &str {
        match self {
            Self::Vcenter(source) => &source.name,
            Self::Vmc(vmc) => &vmc.name,
        }
    }
}

impl Running {
    fn start(context: &Context, what: What) -> Self {
        // On the board before anything runs, so that whoever waits for all sources waits for this one too.
        context.board.state(what.name(), SourceState::Connecting);
        let stop = CancellationToken::new();
        let reads = context.rules.now();
        let (limits, task) = (context.limits.clone(), {
            let (context, stop) = (context.clone(), stop.clone());
            match what.clone() {
                What::Vcenter(source) => tokio::spawn(vcenter::follow(*source, context, stop)),
                What::Vmc(vmc) => tokio::spawn(vmc::follow(*vmc, context, stop)),
            }
        });
        Self { what, limits, reads, stop, task }
    }

    /// Stops it and waits until its sessions are ended, but not for ever.
    async fn end(self) {
        self.stop.cancel();
        let abort = self.task.abort_handle();
        match tokio::time::timeout(FAREWELL, self.task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "an observer failed"),
            Err(_) => {
                abort.abort();
                tracing::warn!("a source did not end its sessions in time; its server will");
            }
        }
    }
}

/// Starts to observe everything in `config`, and with it what the hardening `rules` read, if they are checked.
#[must_use]
pub fn start(
    config: &Config,
    environment: Environment,
    fleet: SharedFleet,
    mode: Mode,
    rules: Option<Arc<RuleSet>>,
) -> Observers {
    let context = Context {
        fleet,
        secrets: Arc::new(SecretResolver::new(environment)),
        limits: config.limits.clone(),
        mode,
        board: Board::new(),
        connected: Connected::default(),
        rules: Rules::new(rules.map(|rules| Arc::new(Reads::new(rules)))),
    };
    let sources =
        entries(config).into_iter().map(|(name, what)| (name, Running::start(&context, what))).collect();
    Observers { context, sources }
}

fn entries(config: &Config) -> BTreeMap<String, What> {
    let vcenters = config
        .vcenters
        .iter()
        .map(|vcenter| (vcenter.name.clone(), What::Vcenter(Box::new(Source::of_vcenter(vcenter)))));
    let vmc = config.vmc.iter().map(|vmc| (vmc.name.clone(), What::Vmc(Box::new(vmc.clone()))));
    vcenters.chain(vmc).collect()
}

impl Observers {
    /// Waits until every source has been read once in full, or has failed to be.
    pub async fn first_picture(&self) {
        let mut board = self.context.board.subscribe();
        // The board lives as long as the observers.
        if board.wait_for(Progress::is_settled).await.is_err() {
            tracing::debug!("the observers ended before the first picture");
        }
    }

    /// How far each source has got, as it changes.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.context.board.subscribe()
    }

    /// The vCenters whose sessions are open.
    #[must_use]
    pub fn connected(&self) -> Connected {
        self.context.connected.clone()
    }

    /// Follows a new configuration: what is no longer in it ends, what is new or changed starts, the rest goes on. With `rules` that
    /// read something else everything starts anew; those that read the same take the place of the old ones at once.
    pub async fn reload(&mut self, config: &Config, rules: Option<Arc<RuleSet>>) {
        self.context.limits = config.limits.clone();
        let reads = rules.map(|rules| Arc::new(Reads::new(rules)));
        self.context.rules.set(reads.clone());
        let wanted = entries(config);
        let ending: Vec<String> = self
            .sources
            .iter()
            .filter(|(name, running)| {
                wanted.get(*name) != Some(&running.what)
                    || running.limits != config.limits
                    || !rules::read_the_same(running.reads.as_ref(), reads.as_ref())
                    || running.task.is_finished()
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in ending {
            if let Some(running) = self.sources.remove(&name) {
                running.end().await;
            }
            if !wanted.contains_key(&name) {
                self.context.forget(&name);
            }
        }
        for (name, what) in wanted {
            let context = &self.context;
            self.sources.entry(name).or_insert_with(|| Running::start(context, what));
        }
        // Those who go on are told of other rules here; those who have just started ask for them.
        if let Some(reads) = reads {
            for part in self.context.fleet.parts() {
                self.context.fleet.apply(&part, FleetUpdate::Rules(Arc::clone(&reads)), clock::now());
            }
        }
    }

    /// Stops everything and ends all sessions, within a few seconds.
    pub async fn close(self) {
        let ending: Vec<_> = self.sources.into_values().map(|running| tokio::spawn(running.end())).collect();
        for end in ending {
            if let Err(error) = end.await {
                tracing::error!(%error, "an observer could not be ended");
            }
        }
    }
}

impl Context {
    /// Removes a source that is no longer followed, and the SDDCs that were followed through it.
    fn forget(&self, name: &str) {
        let below = format!("{name}/");
        for part in self.fleet.parts() {
            if part.as_str() == name || part.as_str().starts_with(&below) {
                self.fleet.remove(&part);
            }
        }
        self.fleet.remove_organisation(&part(name));
        self.board.remove(name);
    }
}

/// The name of a source in the fleet.
fn part(name: &str) -> VcenterName {
    VcenterName::from(name)
}

#[cfg(test)]
mod tests;
