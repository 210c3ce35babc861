//! The engine with everything that it needs, put together from a configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Arm, Engine, GuestHands, GuestSettings, RealHands, VsphereHands};
use crate::aws::{ConnectError, Reports, Services, TargetName};
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::{AwsTarget, Config, Environment, Mode};
use crate::control::{Desk, Server};
use crate::fleet::SharedFleet;
use crate::observe::Observers;
use crate::observe::aws::Watcher;
use crate::observe::findings::HubPace;
use crate::observe::told::ToldPace;
use crate::observe::windows::WindowPace;
use crate::observe::{guests, ports, tasks};
use crate::plan::Policy;
use crate::secret::SecretResolver;
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
    pub async fn connect(config: &Config, cloud: &SharedCloud) -> Result<Self, AssemblyError> {
        let (targets, limits) = (&config.aws, &config.limits);
        let needs_windows = needs_windows(config);
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
                windows: needs_windows.then(|| WindowPace::of(target)),
                hub: HubPace::of(&config.findings),
                told: ToldPace::of(config),
            });
        }
        Ok(Self { watchers, arms })
    }

    /// What is reported to each target, to be read back.
    pub(crate) fn reports(&self) -> Vec<(TargetName, Arc<dyn Reports>)> {
        self.arms.iter().map(|(name, arm)| (name.clone(), Arc::clone(&arm.services.reports))).collect()
    }

    /// The services of each target.
    pub(crate) fn services(&self) -> Vec<(TargetName, Services)> {
        self.arms.iter().map(|(name, arm)| (name.clone(), arm.services.clone())).collect()
    }

    /// Reads all targets until nothing more is learned.
    pub async fn read_once(&self) {
        let readings = self.watchers.iter().map(|watcher| async { while watcher.read_once().await {} });
        futures_util::future::join_all(readings).await;
    }

    /// Reads them again and again, until stopped.
    #[must_use]
    pub fn follow(self, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
        self.watchers.into_iter().map(|watcher| tokio::spawn(watcher.follow(stop.clone()))).collect()
    }
}

/// The running engine of a configuration.
pub struct Assembly {
    engine: Engine,
    cloud: SharedCloud,
    hands: RealHands,
    targets: Vec<AwsTarget>,
    /// Whether maintenance windows are read.
    needs_windows: bool,
    /// What is read for findings.
    hub: Option<HubPace>,
    /// What is read of what was told.
    told: Option<ToldPace>,
    stop: CancellationToken,
    watching: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    work: JoinHandle<()>,
    tidying: JoinHandle<()>,
    guests: JoinHandle<()>,
    snapshots: JoinHandle<()>,
    ports: JoinHandle<()>,
    keys: JoinHandle<()>,
    /// How long the journal keeps what has ended.
    journal: watch::Sender<SignedDuration>,
    control: Server,
}

/// The journal is looked through so often.
const TIDYING: Duration = Duration::from_secs(24 * 3600);

impl Assembly {
    /// Starts to observe the targets and to work.
    ///
    /// # Errors
    /// When the state or a target cannot be used.
    pub async fn start(
        config: &Config,
        environment: &Environment,
        fleet: &SharedFleet,
    ) -> Result<Self, AssemblyError> {
        let cloud = SharedCloud::new();
        let targets = Targets::connect(config, &cloud).await?;
        let (engine, hands) = engine(config, environment, fleet, &cloud, &targets).await?;
        let desk = Desk::new(engine.clone(), fleet.clone(), cloud.clone(), Some(hands.clone()));
        let directory = &config.state.directory;
        let control = Server::start(directory, desk)
            .map_err(|source| AssemblyError::Control { directory: directory.clone(), source })?;
        let stop = CancellationToken::new();
        let work = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        let (journal, age) = watch::channel(journal_age(config));
        let tidying = tokio::spawn(tidy(engine.clone(), age, stop.clone()));
        let guests = tokio::spawn(guests::watch(engine.clone(), hands.clone(), stop.clone()));
        let snapshots = tokio::spawn(tasks::watch(engine.clone(), hands.clone(), stop.clone()));
        let ports = tokio::spawn(ports::watch(engine.clone(), stop.clone()));
        let keys = tokio::spawn(keep_keys(engine.clone(), hands.clone(), stop.clone()));
        let watching = CancellationToken::new();
        let following = targets.follow(&watching);
        let targets = config.aws.clone();
        Ok(Self {
            engine,
            cloud,
            hands,
            targets,
            needs_windows: needs_windows(config),
            hub: HubPace::of(&config.findings),
            told: ToldPace::of(config),
            stop,
            watching,
            tasks: following,
            work,
            tidying,
            guests,
            snapshots,
            ports,
            keys,
            journal,
            control,
        })
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
        let needs_windows = needs_windows(config);
        let (hub, told) = (HubPace::of(&config.findings), ToldPace::of(config));
        let reads_the_same = needs_windows == self.needs_windows && hub == self.hub && told == self.told;
        if config.aws != self.targets || !reads_the_same {
            let targets = Targets::connect(config, &self.cloud).await?;
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
            self.tasks = targets.follow(&self.watching);
            self.targets.clone_from(&config.aws);
            self.needs_windows = needs_windows;
            (self.hub, self.told) = (hub, told);
        }
        self.hands.vsphere().set_pace(&config.writeback);
        self.hands.guests().set(GuestSettings::of(config));
        self.journal.send_replace(journal_age(config));
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
        for task in [self.work, self.tidying, self.guests, self.snapshots, self.ports, self.keys] {
            if let Err(error) = task.await {
                tracing::error!(%error, "the engine failed");
            }
        }
        if let Some(store) = self.engine.into_store() {
            store.close().await;
        }
    }
}

/// Whether maintenance windows are to be read. Without a policy no VM ever has a snapshot, whatever windows there are: nobody has to
/// permit their reading.
fn needs_windows(config: &Config) -> bool {
    config.snapshots.mode != Mode::Off && !config.snapshots.policies.is_empty()
}

fn journal_age(config: &Config) -> SignedDuration {
    let days = i64::try_from(config.state.journal_days).unwrap_or(i64::MAX / 24);
    SignedDuration::from_hours(days.saturating_mul(24))
}

/// Drops old entries of the journal, until stopped.
async fn tidy(engine: Engine, mut age: watch::Receiver<SignedDuration>, stop: CancellationToken) {
    loop {
        let kept = *age.borrow_and_update();
        match engine.store().prune(engine.now().checked_sub(kept).unwrap_or(Timestamp::MIN)).await {
            Ok(0) => {}
            Ok(entries) => tracing::info!(entries, "the journal no longer has what ended long ago"),
            // It is tried again tomorrow; that the disk is full is told by the engine.
            Err(error) => tracing::warn!(%error, "old entries stay in the journal"),
        }
        tokio::select! {
            () = tokio::time::sleep(TIDYING) => {}
            Ok(()) = age.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Passwords are looked at so often, for whether they are others now.
const KEYS: Duration = Duration::from_secs(60);

/// Keeps known whether passwords of guests changed, until stopped.
async fn keep_keys(engine: Engine, hands: RealHands, stop: CancellationToken) {
    loop {
        engine.set_keys(hands.guests().keys().await);
        tokio::select! {
            () = tokio::time::sleep(KEYS) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The engine of a configuration, at rest.
///
/// # Errors
/// When the state cannot be used.
pub async fn engine(
    config: &Config,
    environment: &Environment,
    fleet: &SharedFleet,
    cloud: &SharedCloud,
    targets: &Targets,
) -> Result<(Engine, RealHands), AssemblyError> {
    let vsphere = VsphereHands::new(fleet.clone(), &config.writeback);
    let guests = GuestHands::new(
        Arc::new(vsphere.clone()),
        GuestSettings::of(config),
        SecretResolver::new(environment.clone()),
    );
    let hands = RealHands::new(cloud.clone(), vsphere, guests);
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
    engine.set_keys(hands.guests().keys().await);
    Ok((engine, hands))
}
