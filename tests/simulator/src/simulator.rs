//! Starting and stopping a whole simulated world.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::aws::{self, Aws};
use crate::config::{SimulatorConfig, VmcConfig};
use crate::control::Control;
use crate::fault::{FaultBook, FaultRule, HeldCall, InjectedFault};
use crate::fleet;
use crate::handle::Vcenter;
use crate::ledger::{Effect, Ledger};
use crate::net::server;
use crate::net::tls::{Authority, Identity};
use crate::vcenter::Shared;
use crate::vmc::{self, Vmc};

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A port could not be had.
    #[error("listening on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate could not be made.
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
    /// A thread or runtime could not be made.
    #[error("starting a thread")]
    Thread(#[from] std::io::Error),
    /// The simulator's thread ended before it was ready.
    #[error("the simulator ended while it was starting")]
    Gone,
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(String),
}

/// A running world. Dropping it stops everything, without waiting; [`Simulator::shutdown`] waits.
#[derive(Debug)]
pub struct Simulator {
    vcenters: Vec<Vcenter>,
    vmc: Option<Vmc>,
    aws: Option<Aws>,
    faults: Arc<FaultBook>,
    ledger: Arc<Ledger>,
    ca_pem: String,
    runtime: tokio::runtime::Handle,
    stop: CancellationToken,
    stopped: Option<oneshot::Receiver<()>>,
}

struct Parts {
    vcenters: Vec<Vcenter>,
    vmc: Option<Vmc>,
    aws: Option<Aws>,
    runtime: tokio::runtime::Handle,
    faults: Arc<FaultBook>,
    ledger: Arc<Ledger>,
    ca_pem: String,
}

impl Simulator {
    /// Makes the fleets and starts to listen. When this returns, every server answers.
    ///
    /// # Errors
    ///
    /// When a port is taken, or a certificate or thread cannot be made.
    pub async fn start(config: SimulatorConfig) -> Result<Self, StartError> {
        let stop = CancellationToken::new();
        let (ready, started) = oneshot::channel();
        let (ended, stopped) = oneshot::channel();
        let inner_stop = stop.clone();
        std::thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("simulator-worker")
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(StartError::Thread(error)));
                    return;
                }
            };
            runtime.block_on(async {
                let parts = run(config, &inner_stop).await;
                let fine = parts.is_ok();
                if ready.send(parts).is_ok() && fine {
                    inner_stop.cancelled().await;
                }
            });
            // Connections see the stop token; give them a moment to close.
            runtime.shutdown_timeout(std::time::Duration::from_millis(200));
            let _ = ended.send(());
        })?;
        let parts = started.await.map_err(|_| StartError::Gone)??;
        Ok(Self {
            vcenters: parts.vcenters,
            vmc: parts.vmc,
            aws: parts.aws,
            runtime: parts.runtime,
            faults: parts.faults,
            ledger: parts.ledger,
            ca_pem: parts.ca_pem,
            stop,
            stopped: Some(stopped),
        })
    }

    /// The vCenters, in the order of the configuration.
    pub fn vcenters(&self) -> &[Vcenter] {
        &self.vcenters
    }

    /// The vCenter called so.
    pub fn vcenter(&self, name: &str) -> Option<&Vcenter> {
        self.vcenters.iter().find(|v| v.name() == name)
    }

    /// VMware Cloud on AWS, where the configuration asks for it.
    pub fn vmc(&self) -> Option<&Vmc> {
        self.vmc.as_ref()
    }

    /// AWS, where the configuration asks for it.
    pub fn aws(&self) -> Option<&Aws> {
        self.aws.as_ref()
    }

    /// Calls that fault rules hold, on all servers.
    pub fn holds(&self) -> Vec<HeldCall> {
        self.faults.holds.held()
    }

    /// Lets all held calls go on; returns how many there were.
    pub fn release_holds(&self) -> usize {
        self.faults.holds.release(None)
    }

    /// Starts the control endpoint on a loopback port (0: any free one) and returns its address, `http://…`. It is
    /// plain HTTP without authentication: for people and scripts on this machine. The README lists what it can do.
    ///
    /// # Errors
    ///
    /// When the port is taken.
    pub async fn serve_control(&self, port: u16) -> Result<String, StartError> {
        let control = Control {
            vcenters: self.vcenters.clone(),
            vmc: self.vmc.clone(),
            aws: self.aws.clone(),
            faults: Arc::clone(&self.faults),
            ledger: Arc::clone(&self.ledger),
        };
        let stop = self.stop.clone();
        let bound = self.runtime.spawn(async move {
            let mut ports = Ports { listen: IpAddr::V4(Ipv4Addr::LOCALHOST), next: Some(port) };
            let (listener, address) = ports.bind().await?;
            tokio::spawn(server::serve(listener, None, Arc::new(control), Arc::default(), stop));
            Ok(format!("http://{address}"))
        });
        bound.await.map_err(|_| StartError::Gone)?
    }

    /// PEM of the authority that signed all certificates of this world.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Adds fault rules to those that are set.
    pub fn add_faults(&self, rules: impl IntoIterator<Item = FaultRule>) {
        self.faults.add(rules);
    }

    /// Removes all fault rules; what they did stays in the log.
    pub fn clear_faults(&self) {
        self.faults.clear();
    }

    /// Every fault that was injected, in order.
    pub fn injected_faults(&self) -> Vec<InjectedFault> {
        self.faults.injected()
    }

    /// Every change that callers made, on vCenters and AWS, in order.
    pub fn effects(&self) -> Vec<Effect> {
        self.ledger.effects()
    }

    /// Forgets the changes so far.
    pub fn clear_effects(&self) {
        self.ledger.clear();
    }

    /// Stops everything and waits until ports and threads are free.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(stopped) = self.stopped.take() {
            // An error means that the thread is gone already.
            let _ = stopped.await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        for vcenter in &self.vcenters {
            vcenter.shared.guests.set_aws(None);
        }
        self.stop.cancel();
    }
}

/// Ports in order: given ones, or any.
struct Ports {
    listen: IpAddr,
    next: Option<u16>,
}

impl Ports {
    async fn bind(&mut self) -> Result<(TcpListener, SocketAddr), StartError> {
        let address = SocketAddr::new(self.listen, self.next.unwrap_or(0));
        self.next = self.next.and_then(|port| port.checked_add(1));
        let listener =
            TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
        let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
        Ok((listener, address))
    }
}

async fn run(config: SimulatorConfig, stop: &CancellationToken) -> Result<Parts, StartError> {
    if let Some(problem) = config.aws.as_ref().and_then(aws::AwsConfig::problem) {
        return Err(StartError::Config(problem));
    }
    let authority = Arc::new(Authority::new(config.listen, config.host_name.as_deref())?);
    let faults = Arc::new(FaultBook::default());
    let ledger = Arc::new(Ledger::default());
    let mut ports = Ports { listen: config.listen, next: config.port_base };
    let host = match &config.host_name {
        Some(name) => name.clone(),
        None if config.listen.is_unspecified() => "127.0.0.1".to_owned(),
        None if config.listen.is_ipv6() => format!("[{}]", config.listen),
        None => config.listen.to_string(),
    };
    // Fleets take seconds when they are large, so they are made side by side.
    let makers: Vec<_> = config
        .vcenters
        .into_iter()
        .map(|vcenter| {
            tokio::task::spawn_blocking(move || {
                let world = fleet::generate(&vcenter);
                (vcenter, world)
            })
        })
        .collect();
    let mut vcenters: Vec<Vcenter> = Vec::new();
    for maker in makers {
        let (vcenter, world) = maker.await.map_err(|_| StartError::Gone)?;
        if vcenters.iter().any(|v| v.name() == vcenter.name) {
            return Err(StartError::Config(format!("two vCenters are called {}", vcenter.name)));
        }
        let identity = Identity::new(&authority)?;
        let tls = identity.server_config()?;
        let shared = Arc::new(Shared::new(
            vcenter,
            world,
            Arc::clone(&faults),
            Arc::clone(&ledger),
            Arc::clone(&authority),
            identity,
        ));
        let (listener, address) = ports.bind().await?;
        let connections = Arc::clone(&shared.connections);
        tokio::spawn(server::serve(listener, Some(tls), Arc::clone(&shared), connections, stop.clone()));
        shared.guests.listen(config.listen, stop.clone());
        tokio::spawn(crate::tasks::drive(Arc::clone(&shared), stop.clone()));
        let sweeper = Arc::clone(&shared);
        let stop = stop.clone();
        tokio::spawn(async move {
            // Sessions expire also when nobody calls, so that their long polls end.
            while stop
                .run_until_cancelled(tokio::time::sleep(std::time::Duration::from_millis(500)))
                .await
                .is_some()
            {
                sweeper.sessions().expire();
            }
        });
        vcenters.push(Vcenter { shared, address, host: host.clone() });
    }
    let vmc = match config.vmc {
        Some(config) => {
            let (listener, address) = ports.bind().await?;
            let vmc = cloud(config, &vcenters, &faults, address, host.clone())?;
            let tls = Identity::new(&authority)?.server_config()?;
            let connections = Arc::clone(&vmc.shared.connections);
            let shared = Arc::clone(&vmc.shared);
            tokio::spawn(server::serve(listener, Some(tls), shared, connections, stop.clone()));
            Some(vmc)
        }
        None => None,
    };
    let aws = match config.aws {
        Some(config) => {
            let (listener, address) = ports.bind().await?;
            let shared = Arc::new(aws::Shared::new(&config, Arc::clone(&faults), Arc::clone(&ledger)));
            let tls = Identity::new(&authority)?.server_config()?;
            let connections = Arc::clone(&shared.connections);
            let aws = Aws {
                shared: Arc::clone(&shared),
                address,
                host,
                ca_pem: authority.pem(),
                vcenters: vcenters.clone(),
            };
            if let Some(seeding) = &config.nodes {
                aws::seed(&aws, seeding);
            }
            tokio::spawn(server::serve(listener, Some(tls), shared, connections, stop.clone()));
            for vcenter in &vcenters {
                vcenter.shared.guests.set_aws(Some(aws.clone()));
            }
            Some(aws)
        }
        None => None,
    };
    let runtime = tokio::runtime::Handle::current();
    Ok(Parts { vcenters, vmc, aws, faults, ledger, ca_pem: authority.pem(), runtime })
}

fn cloud(
    config: VmcConfig,
    vcenters: &[Vcenter],
    faults: &Arc<FaultBook>,
    address: SocketAddr,
    host: String,
) -> Result<Vmc, StartError> {
    let sddcs = config.sddcs.clone();
    let shared = Arc::new(vmc::Shared::new(config, Arc::clone(faults)));
    let vmc = Vmc { shared, address, host };
    for (name, vcenter) in sddcs {
        let behind = vcenters.iter().find(|v| v.name() == vcenter).ok_or_else(|| {
            StartError::Config(format!(
                "the SDDC {name} is to have the vCenter {vcenter}, which is not there"
            ))
        })?;
        vmc.add_sddc(&name, behind);
    }
    Ok(vmc)
}
