//! Command-line arguments.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use vmbridge_simulator::{
    AwsAccount, AwsConfig, FleetConfig, NodeSeeding, ReadDelay, Release, SimulatorConfig, User,
    VcenterConfig, VmcConfig,
};

/// The account of the vCenters that are not behind VMware Cloud.
pub(crate) const USER: &str = "vmbridge@vsphere.local";
/// The account of those that are.
const CLOUD_USER: &str = "cloudadmin@vmc.local";
/// The password of both.
pub(crate) const PASSWORD: &str = "VMware1!";

/// What enrolment and snapshots need beyond reading.
const PRIVILEGES: [&str; 8] = [
    "VirtualMachine.GuestOperations.Query",
    "VirtualMachine.GuestOperations.Execute",
    "VirtualMachine.GuestOperations.Modify",
    "VirtualMachine.State.CreateSnapshot",
    "VirtualMachine.State.RemoveSnapshot",
    "VirtualMachine.State.RevertToSnapshot",
    "VirtualMachine.Interact.PowerOn",
    "VirtualMachine.Interact.PowerOff",
];

/// Simulates vCenters and VMware Cloud on AWS for demonstrations, benchmarks and tests.
#[derive(Debug, clap::Parser)]
#[command(name = "vmbridge-simulator")]
pub(crate) struct Args {
    /// Folder for endpoints.json (written last), demo.env, ca.pem, password and token; removed again at the end
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Number of vCenters: dc1, dc2, …
    #[arg(long, default_value_t = 1)]
    vcenters: u16,
    /// Virtual machines in each vCenter
    #[arg(long, default_value_t = 100)]
    vms: usize,
    /// Number of SDDCs of VMware Cloud on AWS, each with one more vCenter: sddc1, sddc2, …
    #[arg(long, default_value_t = 0)]
    sddcs: u16,
    /// The same seed makes the same fleets and the same changes
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// About one random change every so many seconds; 0: none
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) churn: u32,
    /// About every so many seconds a VM moves to another tag of a category, often its patch group; 0: only by --churn
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) churn_tags: u32,
    /// The most objects in one page of an answer, for reading and for watching
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    page: Option<u32>,
    /// First port: vCenters take it and the following ones, then VMware Cloud; default: any free ports
    #[arg(long, value_name = "PORT")]
    port_base: Option<u16>,
    /// Address to listen on
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST), value_name = "ADDRESS")]
    listen: IpAddr,
    /// The name by which clients on other machines call it: in URLs and certificates; default: the address
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,
    /// Port of the control endpoint on 127.0.0.1; 0: any free one
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(crate) control_port: u16,
    /// Release of vCenter
    #[arg(long, default_value = "8.0", value_parser = PossibleValuesParser::new(["6.7", "7.0", "8.0", "9.0"]))]
    version: String,
    /// A session unused for so long is gone
    #[arg(long, default_value_t = 1800, value_name = "SECONDS")]
    idle_timeout: u64,
    /// Managed nodes for so many percent of the VMs that run with Tools; 0: no AWS
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    aws_nodes: u8,
    /// AWS with managed nodes for so many VMs, instead of a share of them
    #[arg(long, value_name = "N", conflicts_with = "aws_nodes")]
    aws_node_count: Option<usize>,
    /// Number of AWS accounts; nodes are in the first Region of each, by turns
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    aws_accounts: u16,
    /// Reads of AWS lag behind writes by so much
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    aws_read_delay: u32,
    /// The same UUIDs and MoRefs in all vCenters, as after cloning one
    #[arg(long)]
    colliding: bool,
}

impl Args {
    /// What to simulate.
    pub(crate) fn config(&self) -> SimulatorConfig {
        let own = (1..=self.vcenters).map(|n| self.vcenter(format!("dc{n}"), USER, n - 1));
        let cloud = (1..=self.sddcs)
            .map(|n| self.vcenter(format!("sddc{n}"), CLOUD_USER, self.vcenters.saturating_add(n - 1)));
        let sddcs = (1..=self.sddcs).map(|n| (format!("SDDC {n}"), format!("sddc{n}"))).collect();
        let vmc = (self.sddcs > 0).then(|| VmcConfig { sddcs, ..VmcConfig::default() });
        SimulatorConfig {
            vcenters: own.chain(cloud).collect(),
            vmc,
            aws: (self.aws_nodes > 0 || self.aws_node_count.is_some()).then(|| self.aws()),
            listen: self.listen,
            port_base: self.port_base,
            host_name: self.host_name.clone(),
        }
    }

    fn aws(&self) -> AwsConfig {
        let accounts: Vec<AwsAccount> = (1..=self.aws_accounts).map(AwsAccount::numbered).collect();
        let places = accounts
            .iter()
            .filter_map(|account| Some((account.id.clone(), account.regions.first()?.clone())))
            .collect();
        let nodes = NodeSeeding {
            share_percent: self.aws_nodes,
            count: self.aws_node_count,
            seed: self.seed,
            places,
            ..NodeSeeding::default()
        };
        AwsConfig {
            accounts,
            nodes: Some(nodes),
            read_delay: ReadDelay::all(Duration::from_secs(self.aws_read_delay.into())),
            throttle: None,
            documented_rates: false,
        }
    }

    fn vcenter(&self, name: String, user: &str, at: u16) -> VcenterConfig {
        let seed = if self.colliding { self.seed } else { self.seed.wrapping_add(u64::from(at)) };
        let defaults = VcenterConfig::default();
        VcenterConfig {
            name,
            version: match self.version.as_str() {
                "6.7" => Release::V6_7,
                "7.0" => Release::V7_0U3,
                "9.0" => Release::V9_0,
                _ => Release::V8_0U3,
            },
            fleet: FleetConfig {
                vms: self.vms,
                seed,
                uuid_seed: self.colliding.then_some(self.seed),
                ..FleetConfig::default()
            },
            users: vec![User::read_only(user, PASSWORD).with_privileges(&PRIVILEGES)],
            idle_timeout: Duration::from_secs(self.idle_timeout),
            retrieve_page: self.page.map_or(defaults.retrieve_page, |page| page as usize),
            update_page: self.page.map_or(defaults.update_page, |page| page as usize),
            ..defaults
        }
    }
}
