//! The engine with everything that it needs, put together from a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Arm, Engine, RealHands, VsphereHands};
use crate::aws::{ConnectError, Services, TargetName};
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::{AwsTarget, Config, Limits};
use crate::control::{Desk, Server};
use crate::fleet::SharedFleet;
use crate::observe::Observers;
use crate::observe::aws::Watcher;
use crate::plan::Policy;
use crate::store::{Store, StoreError};

/// Why the engine could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssemblyError {
    /// What has to be remembered cannot be.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Commands could not reach the daemon.
    #[error("the control socket in {directory} cannot be made: {source}")]
    Control {
        /// The state directory.
        directory: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What has to be known first cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// A target cannot be used as it is configured.
    #[error("aws.{target}: {source}")]
    Target {
        /// The target.
        target: String,
        /// Why.
        source: ConnectError,
    },
}

/// The targets of a configuration, ready to be read and written.
#[derive(Clone)]
pub struct Targets {
    watchers: Vec<Watcher>,
    arms: BTreeMap<TargetName, Arm>,
}

impl Targets {
    /// Clients for all targets. Nothing is sent yet.
    ///
    /// # Errors
    /// When one of them cannot be used as it is configured.
    pub async fn connect(
        targets: &[AwsTarget],
        limits: &Limits,
        cloud: &SharedCloud,
    ) -> Result<Self, AssemblyError> {
        let (mut watchers, mut arms) = (Vec::new(), BTreeMap::new());
        for target in targets {
            let services = Services::connect(target, limits)
                .await
                .map_err(|source| AssemblyError::Target { target: target.name.clone(), source })?;
            let nudge = Arc::new(Notify::new());
            let arm = Arm { services: services.clone(), nudge: nudge.clone(), settle: target.settle };
            arms.insert(TargetName::from(target.name.as_str()), arm);
            watchers.push(Watcher {
                target: target.clone(),
                services,
                cloud: cloud.clone(),
                nudge,
                clock: Clock::Machine,
            });
        }
        Ok(Self { watchers, arms })
    }

    /// Reads all targets until nothing more is learned.
    pub async fn read_once(&self) {
        let readings = self.watchers.iter().map(|watcher| async { while watcher.read_once().await {} });
        futures_util::future::join_all(readings).await;
    }
}

/// The running engine of a configuration.
pub struct Assembly {
    engine: Engine,
    cloud: SharedCloud,
    hands: RealHands,
    targets: Vec<AwsTarget>,
    stop: CancellationToken,
    watching: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    work: JoinHandle<()>,
    control: Server,
}

impl Assembly {
    /// Starts to observe the targets and to work.
    ///
    /// # Errors
    /// When the state or a target cannot be used.
    pub async fn start(config: &Config, fleet: &SharedFleet) -> Result<Self, AssemblyError> {
        let cloud = SharedCloud::new();
        let targets = Targets::connect(&config.aws, &config.limits, &cloud).await?;
        let (engine, hands) = engine(config, fleet, &cloud, &targets).await?;
        let desk = Desk::new(engine.clone(), fleet.clone(), cloud.clone(), Some(hands.clone()));
        let directory = &config.state.directory;
        let control = Server::start(directory, desk)
            .map_err(|source| AssemblyError::Control { directory: directory.clone(), source })?;
        let stop = CancellationToken::new();
        let work = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        let watching = CancellationToken::new();
        let tasks = watch(targets, &watching);
        Ok(Self { engine, cloud, hands, targets: config.aws.clone(), stop, watching, tasks, work, control })
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Writes to vCenters in the sessions of these observers.
    pub fn use_sessions(&self, observers: &Observers) {
        self.hands.vsphere().use_sessions(observers.connected());
    }

    /// The nodes of all targets.
    #[must_use]
    pub fn cloud(&self) -> &SharedCloud {
        &self.cloud
    }

    /// Follows a new configuration. The state directory stays what it was.
    ///
    /// # Errors
    /// When a target cannot be used; then everything goes on as it was.
    pub async fn reload(&mut self, config: &Config) -> Result<(), AssemblyError> {
        if config.aws != self.targets {
            let targets = Targets::connect(&config.aws, &config.limits, &self.cloud).await?;
            self.watching.cancel();
            for task in self.tasks.drain(..) {
                // A reading that is under way ends with its task; the next one reads all of it again.
                let _ = task.await;
            }
            for target in &self.targets {
                if !config.aws.contains(target) {
                    self.cloud.remove(&TargetName::from(target.name.as_str()));
                }
            }
            self.hands.set_arms(targets.arms.clone());
            self.watching = CancellationToken::new();
            self.tasks = watch(targets, &self.watching);
            self.targets.clone_from(&config.aws);
        }
        self.hands.vsphere().set_pace(&config.writeback);
        self.engine.set_policy(Policy::of(config));
        Ok(())
    }

    /// Stops: what is under way ends, nothing new begins, and the database is closed.
    pub async fn close(self) {
        self.control.stop().await;
        self.stop.cancel();
        self.watching.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
        if let Err(error) = self.work.await {
            tracing::error!(%error, "the engine failed");
        }
        if let Some(store) = self.engine.into_store() {
            store.close().await;
        }
    }
}

fn watch(targets: Targets, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    targets.watchers.into_iter().map(|watcher| tokio::spawn(watcher.follow(stop.clone()))).collect()
}

/// The engine of a configuration, at rest.
///
/// # Errors
/// When the state cannot be used.
pub async fn engine(
    config: &Config,
    fleet: &SharedFleet,
    cloud: &SharedCloud,
    targets: &Targets,
) -> Result<(Engine, RealHands), AssemblyError> {
    let hands = RealHands::new(cloud.clone(), VsphereHands::new(fleet.clone(), &config.writeback));
    hands.set_arms(targets.arms.clone());
    let store = Store::open(&config.state.directory).await?;
    let engine = Engine::new(
        fleet.clone(),
        cloud.clone(),
        store,
        Arc::new(hands.clone()),
        Policy::of(config),
        Clock::Machine,
    )
    .await?;
    Ok((engine, hands))
}
