//! What to simulate: how many vCenters, of which version, with which fleet, users and limits.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::aws::AwsConfig;

/// A whole simulated world: vCenters, and where asked the VMware Cloud service in front of some of them.
#[derive(Debug, Clone)]
pub struct SimulatorConfig {
    /// The vCenters, each with its own address and port.
    pub vcenters: Vec<VcenterConfig>,
    /// VMware Cloud on AWS: CSP tokens and the list of SDDCs. `None`: no such service is started.
    pub vmc: Option<VmcConfig>,
    /// AWS: SSM, STS, the Resource Groups Tagging API and Security Hub. `None`: no such service is started.
    pub aws: Option<AwsConfig>,
    /// Address to listen on. Loopback unless told otherwise.
    pub listen: IpAddr,
    /// A DNS name that goes into the certificates and URLs beside `localhost` and `127.0.0.1`.
    pub host_name: Option<String>,
    /// First TCP port: vCenters take it and the following ones, then the VMC service, then AWS. `None`: any free ports.
    pub port_base: Option<u16>,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            vcenters: vec![VcenterConfig::default()],
            vmc: None,
            aws: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host_name: None,
            port_base: None,
        }
    }
}

impl SimulatorConfig {
    /// One vCenter 8.0U3 with `vms` virtual machines made from `seed`.
    pub fn single(vms: usize, seed: u64) -> Self {
        let vcenter = VcenterConfig {
            fleet: FleetConfig { vms, seed, ..FleetConfig::default() },
            ..VcenterConfig::default()
        };
        Self { vcenters: vec![vcenter], ..Self::default() }
    }

    /// `count` vCenters with fleets of `vms` machines; each has different UUIDs, but MoRefs repeat, as they do in life.
    pub fn several(count: usize, vms: usize, seed: u64) -> Self {
        let vcenters = (0..count).map(|at| {
            let offset = u64::try_from(at).unwrap_or(0);
            VcenterConfig {
                name: format!("vc{}", at + 1),
                fleet: FleetConfig { vms, seed: seed.wrapping_add(offset), ..FleetConfig::default() },
                ..VcenterConfig::default()
            }
        });
        Self { vcenters: vcenters.collect(), ..Self::default() }
    }
}

/// One vCenter.
#[derive(Debug, Clone)]
pub struct VcenterConfig {
    /// What tests and people call it.
    pub name: String,
    /// Which release it plays.
    pub version: Release,
    /// The inventory.
    pub fleet: FleetConfig,
    /// `about.instanceUuid`; `None`: made from the name and the fleet's UUID seed.
    pub instance_uuid: Option<Uuid>,
    /// Who may log in. The first is the one that [`crate::Vcenter::username`] names.
    pub users: Vec<User>,
    /// A session unused for so long is gone (real time).
    pub idle_timeout: Duration,
    /// More sessions than this are refused with 503, as vCenter does.
    pub max_sessions: usize,
    /// Seconds by which the server's clock is ahead (negative: behind).
    pub clock_skew_seconds: i64,
    /// The most objects in one page of RetrievePropertiesEx, whatever the client asks for.
    pub retrieve_page: usize,
    /// The most object updates in one answer of WaitForUpdatesEx, whatever the client asks for.
    pub update_page: usize,
    /// How many changes are remembered for collectors that fall behind.
    pub change_log: usize,
}

impl Default for VcenterConfig {
    fn default() -> Self {
        Self {
            name: "vc1".to_owned(),
            version: Release::V8_0U3,
            fleet: FleetConfig::default(),
            instance_uuid: None,
            users: vec![User::administrator("administrator@vsphere.local", "VMware1!")],
            idle_timeout: Duration::from_secs(30 * 60),
            max_sessions: 3000,
            clock_skew_seconds: 0,
            retrieve_page: 1000,
            update_page: 100,
            change_log: 200_000,
        }
    }
}

/// The releases that differ in a way a client notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 6.7 U3: only `/rest`, API 6.7.3.
    V6_7,
    /// 7.0 U3: `/api` and `/rest`, API 7.0.3.0.
    V7_0U3,
    /// 8.0 U3: `/api` and `/rest`, API 8.0.3.0.
    V8_0U3,
    /// 9.0: `/api` and `/rest`, API 9.0.0.0.
    V9_0,
}

impl Release {
    /// API versions, newest first, as `vimServiceVersions.xml` lists them.
    pub(crate) fn api_versions(self) -> &'static [&'static str] {
        const ALL: &[&str] = &[
            "9.0.0.0", "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.2", "8.0.0.1", "8.0.0.0", "7.0.3.2",
            "7.0.3.1", "7.0.3.0", "7.0.2.1", "7.0.2.0", "7.0.1.1", "7.0.1.0", "7.0.0.2", "7.0.0.0", "6.9.1",
            "6.8.7", "6.7.3", "6.7.2", "6.7.1", "6.7", "6.5", "6.0", "5.5", "5.1", "5.0", "4.1", "4.0",
        ];
        match self {
            Self::V9_0 => ALL,
            Self::V8_0U3 => &ALL[1..],
            Self::V7_0U3 => &ALL[9..],
            Self::V6_7 => &ALL[18..],
        }
    }

    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V6_7 => "6.7.0",
            Self::V7_0U3 => "7.0.3",
            Self::V8_0U3 => "8.0.3",
            Self::V9_0 => "9.0.0",
        }
    }

    pub(crate) fn build(self) -> &'static str {
        match self {
            Self::V6_7 => "19300125",
            Self::V7_0U3 => "24201990",
            Self::V8_0U3 => "24322831",
            Self::V9_0 => "24755230",
        }
    }

    /// Whether the newer REST paths under `/api` exist.
    pub(crate) fn has_api(self) -> bool {
        self != Self::V6_7
    }
}

/// A user of a vCenter.
#[derive(Clone)]
pub struct User {
    /// The login name.
    pub name: String,
    password: SecretString,
    /// Privileges on everything in scope; `None`: all of them.
    pub privileges: Option<BTreeSet<String>>,
    /// MoRefs of the objects that the user may see, with everything below them; `None`: all.
    pub scope: Option<Vec<String>>,
    /// Property paths that are answered with NoPermission on every object.
    pub denied_paths: Vec<String>,
    /// Whether the tagging service answers (else 403).
    pub tagging: bool,
}

impl User {
    /// Somebody who may do everything.
    pub fn administrator(name: &str, password: &str) -> Self {
        Self {
            name: name.to_owned(),
            password: SecretString::from(password.to_owned()),
            privileges: None,
            scope: None,
            denied_paths: Vec::new(),
            tagging: true,
        }
    }

    /// Somebody with the read-only role: System.Anonymous, System.View and System.Read, and nothing else.
    pub fn read_only(name: &str, password: &str) -> Self {
        let privileges = ["System.Anonymous", "System.View", "System.Read"].map(str::to_owned);
        Self { privileges: Some(privileges.into()), ..Self::administrator(name, password) }
    }

    /// The same with more privileges.
    #[must_use]
    pub fn with_privileges(mut self, privileges: &[&str]) -> Self {
        if let Some(set) = &mut self.privileges {
            set.extend(privileges.iter().map(|&privilege| privilege.to_owned()));
        }
        self
    }

    /// The password, for tests that log in.
    pub fn password(&self) -> &str {
        self.password.expose_secret()
    }

    pub(crate) fn has(&self, privilege: &str) -> bool {
        self.privileges.as_ref().is_none_or(|set| set.contains(privilege))
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("privileges", &self.privileges)
            .field("scope", &self.scope)
            .field("denied_paths", &self.denied_paths)
            .field("tagging", &self.tagging)
            .finish_non_exhaustive()
    }
}

/// The inventory of a vCenter, made from a seed.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// Number of virtual machines, templates and agents included.
    pub vms: usize,
    /// The same seed makes the same fleet.
    pub seed: u64,
    /// Where UUIDs come from; vCenters with the same value and fleet have the same VM UUIDs (a cloned vCenter).
    /// `None`: made from the vCenter's name, so that every vCenter has its own.
    pub uuid_seed: Option<u64>,
    /// Object numbers start here: equal values make MoRefs of several vCenters collide.
    pub first_number: u32,
    /// Whether tags are made and attached.
    pub tags: bool,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self { vms: 100, seed: 1, uuid_seed: None, first_number: 0, tags: true }
    }
}

/// The VMware Cloud on AWS service.
#[derive(Debug, Clone)]
pub struct VmcConfig {
    /// Id of the organisation.
    pub org_id: String,
    /// Its display name.
    pub org_name: String,
    /// API (refresh) token that the token service accepts.
    pub refresh_token: SecretString,
    /// OAuth app id that the token service accepts.
    pub client_id: String,
    /// OAuth app secret that the token service accepts.
    pub client_secret: SecretString,
    /// How long an access token lives.
    pub token_lifetime: Duration,
    /// The SDDCs at the start: name, and the name of the vCenter that belongs to it.
    pub sddcs: Vec<(String, String)>,
}

impl Default for VmcConfig {
    fn default() -> Self {
        Self {
            org_id: "5f1c6f3e-8a52-4c8e-9d5b-0c8f7b6a1e01".to_owned(),
            org_name: "Simulated Organisation".to_owned(),
            refresh_token: SecretString::from("sim-refresh-token".to_owned()),
            client_id: "sim-app-id".to_owned(),
            client_secret: SecretString::from("sim-app-secret".to_owned()),
            token_lifetime: Duration::from_secs(1799),
            sddcs: Vec::new(),
        }
    }
}
