//! The service: `vmbridge run`.
//!
//! It keeps the fleet current, and tells how that goes: on the health page, in metrics, in the log, and to systemd. Only what
//! makes the whole service impossible ends it: a configuration that is wrong at the start, or an address that cannot be
//! listened on. Whatever happens to a source later is told, and tried again.

mod heartbeat;
mod metrics;
mod overview;
mod process;
mod server;
mod systemd;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

pub use overview::{Overview, SourceOverview};

use crate::clock;
use crate::cloud::SharedCloud;
use crate::config::{self, Config, Environment};
use crate::engine::{Assembly, AssemblyError, Progress};
use crate::fleet::{Change, Changes, SharedFleet, What};
use crate::logging::Log;
use crate::observe::{self, Mode, Observers};
use heartbeat::Heartbeats;
use metrics::Metrics;
use server::{Answers, Server};

/// Where the configuration came from, so that it can be read again.
#[derive(Debug)]
pub struct Origin {
    /// The file.
    pub path: PathBuf,
    /// The environment.
    pub environment: Environment,
    /// The log, if its level follows the configuration.
    pub log: Option<Log>,
}

/// Why the service could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The address for health and metrics cannot be had.
    #[error(
        "health and metrics cannot be served on {address}: {source}\n  another process may be using it; set `listen` in [http]"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// What is to be remembered cannot be, or a target cannot be used.
    #[error(transparent)]
    Engine(#[from] AssemblyError),
    /// The operating system refuses to tell of signals.
    #[error("signals cannot be listened to: {0}")]
    Signals(#[source] std::io::Error),
}

/// Runs the service until `stop`, then ends all sessions.
///
/// # Errors
/// When it cannot be started.
pub async fn serve(origin: Origin, config: Config, stop: impl Future<Output = ()>) -> Result<(), RunError> {
    let mut hangups = signal(SignalKind::hangup()).map_err(RunError::Signals)?;
    let fleet = SharedFleet::new();
    let status = Arc::new(Status {
        fleet: fleet.clone(),
        metrics: Metrics::install(),
        hearts: Heartbeats::default(),
        stale_after: Mutex::new(config.limits.stale_after),
        first_picture: AtomicBool::new(false),
        engine: Mutex::default(),
    });
    let changes = tokio::spawn(follow_changes(fleet.changes(), status.hearts.clone()));
    // First what can fail, so that nothing has to be undone.
    let server = listen(&config, &status).await?;
    let assembly = match config.uses_state() {
        true => Some(Assembly::start(&config, &origin.environment, &fleet).await?),
        false => None,
    };
    let observers =
        observe::start(&config, origin.environment.clone(), fleet, Mode::Live, config.observed_rules());
    if let Some(assembly) = &assembly {
        status.follow_engine(assembly);
        assembly.use_sessions(&observers);
    }
    systemd::ready("reading the fleet");
    let mut service = Service { origin, config, observers, assembly, server, status, told: String::new() };
    let watchdog = tokio::spawn(systemd::watchdog(service.status.hearts.clone()));
    let heart = service.status.hearts.join("main");
    let mut ticks = tokio::time::interval(heartbeat::PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut stop = std::pin::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick() => {
                heart.beat();
                service.tell_status();
            }
            Some(()) = hangups.recv() => service.reload().await,
        }
    }
    tracing::info!("stopping: closing sessions");
    systemd::stopping();
    if let Some(assembly) = service.assembly {
        assembly.close().await;
    }
    service.observers.close().await;
    service.server.stop().await;
    watchdog.abort();
    changes.abort();
    tracing::info!("stopped");
    Ok(())
}

async fn listen(config: &Config, status: &Arc<Status>) -> Result<Server, RunError> {
    let address = config.http.listen;
    let server = Server::start(address, status.clone())
        .await
        .map_err(|source| RunError::Listen { address, source })?;
    tracing::info!(address = %server.address(), "serving /healthz, /readyz and /metrics");
    Ok(server)
}

struct Service {
    origin: Origin,
    config: Config,
    observers: Observers,
    /// There is none as long as nothing has to be remembered.
    assembly: Option<Assembly>,
    server: Server,
    status: Arc<Status>,
    /// The line that systemd was last told.
    told: String,
}

impl Service {
    /// Keeps systemd's status line true.
    fn tell_status(&mut self) {
        if self.observers.progress().borrow().is_settled()
            && !self.status.first_picture.swap(true, Ordering::Relaxed)
        {
            tracing::info!(fleet = self.status.overview().line(), "the first picture of the fleet is there");
        }
        let line = self.status.overview().line();
        if line != self.told {
            systemd::status(&line);
            self.told = line;
        }
    }

    /// Reads the configuration again. One that is wrong changes nothing.
    async fn reload(&mut self) {
        systemd::reloading();
        let result = match config::load(&self.origin.path, &self.origin.environment) {
            Ok(config) => {
                self.follow(config).await;
                "ok"
            }
            Err(errors) => {
                tracing::error!(path = %self.origin.path.display(), %errors, "the new configuration is wrong; the old one stays");
                "invalid"
            }
        };
        metrics::count_reload(result);
        self.told = self.status.overview().line();
        systemd::ready(&self.told);
    }

    async fn follow(&mut self, config: Config) {
        if let Some(log) = &self.origin.log
            && let Err(error) = log.set_filter(&config.log.level)
        {
            tracing::error!(%error, "the log goes on as it was");
        }
        if config.http.listen != self.config.http.listen {
            match listen(&config, &self.status).await {
                Ok(server) => std::mem::replace(&mut self.server, server).stop().await,
                Err(error) => tracing::error!(%error, "served at the old address still"),
            }
        }
        *self.status.stale_after.lock().unwrap_or_else(PoisonError::into_inner) = config.limits.stale_after;
        self.observers.reload(&config, config.observed_rules()).await;
        let followed = match &mut self.assembly {
            Some(assembly) => assembly.reload(&config).await,
            None if config.uses_state() => {
                let started = Assembly::start(&config, &self.origin.environment, &self.status.fleet).await;
                started.map(|assembly| {
                    self.status.follow_engine(&assembly);
                    assembly.use_sessions(&self.observers);
                    self.assembly = Some(assembly);
                })
            }
            None => Ok(()),
        };
        if let Err(error) = followed {
            tracing::error!(%error, "the targets go on as they were");
        }
        self.config = config;
        tracing::info!("the configuration was read again");
    }
}

/// Counts changes, and proves by beating that the fleet can be read.
async fn follow_changes(mut changes: Changes, hearts: Heartbeats) {
    let heart = hearts.join("fleet");
    let mut ticks = tokio::time::interval(heartbeat::PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            batch = changes.next() => {
                // What came too fast to be followed is not counted; the counters are for rates, not for book-keeping.
                for change in batch.iter().flat_map(|batch| batch.iter()) {
                    count(change);
                }
            }
            _ = ticks.tick() => {}
        }
        heart.beat();
    }
}

fn count(change: &Change) {
    let vcenter = change.vcenter.as_str();
    match &change.what {
        What::Object(object) => metrics::count_changes(vcenter, object.event.word(), 1),
        What::Source(source) => {
            if source.error.is_some() {
                metrics::count_interruption(vcenter);
            }
            tracing::info!(
                vcenter,
                state = source.state.word(),
                vms = source.vms,
                "the state of a source changed"
            );
        }
    }
}

/// What the health page and the metrics tell.
struct Status {
    fleet: SharedFleet,
    metrics: Metrics,
    hearts: Heartbeats,
    stale_after: Mutex<Duration>,
    first_picture: AtomicBool,
    /// Where the engine's figures come from, while there is one.
    engine: Mutex<Option<(SharedCloud, watch::Receiver<Progress>)>>,
}

impl Status {
    fn overview(&self) -> Overview {
        let stale_after = *self.stale_after.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        let first_picture = self.first_picture.load(Ordering::Relaxed);
        let overview = Overview::of(&self.fleet.read(), now, stale_after, first_picture);
        match &*self.engine.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((cloud, progress)) => overview.with_engine(&cloud.read(), progress.borrow().clone(), now),
            None => overview,
        }
    }

    /// Tells of this engine from now on.
    fn follow_engine(&self, assembly: &Assembly) {
        let figures = (assembly.cloud().clone(), assembly.engine().progress());
        *self.engine.lock().unwrap_or_else(PoisonError::into_inner) = Some(figures);
    }
}

impl Answers for Status {
    fn health(&self) -> Result<(), String> {
        let hanging = self.hearts.hanging();
        if hanging.is_empty() {
            return Ok(());
        }
        let each = hanging
            .iter()
            .map(|(name, silence)| format!("the loop `{name}` hangs for {} s", silence.as_secs()));
        Err(each.collect::<Vec<_>>().join("; "))
    }

    fn readiness(&self) -> (bool, serde_json::Value) {
        let overview = self.overview();
        let ready = overview.ready();
        let json = serde_json::json!({
            "ready": ready.is_ok(),
            "reason": ready.err(),
            "sources": overview.sources,
            "targets": overview.targets,
            "engine": overview.engine,
        });
        (ready.is_ok(), json)
    }

    fn metrics(&self) -> String {
        self.metrics.render(&self.overview())
    }
}
