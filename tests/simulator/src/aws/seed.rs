//! Managed nodes made from the VMs of the simulated vCenters, as their agents would have registered them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::dice::Dice;
use crate::handle::Vcenter;
use crate::vcenter::lock;
use crate::world::vm::{Power, Vm};
use crate::{MutateError, Mutation};

use super::Aws;
use super::config::NodeSeeding;
use super::state::{AwsActivation, AwsNode, AwsVm, Node, Region, STANDARD_NODES};
use super::timeline::Timeline;

const ROLE: &str = "vmbridge-node";
const LATEST_AGENT: &str = "3.3.3050.0";

/// What an agent reports of the machine that it runs in.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    pub(super) vm: Option<AwsVm>,
    instance_uuid: String,
    pub(super) computer_name: String,
    pub(super) ip_address: String,
    pub(super) platform_type: String,
    platform_name: String,
    platform_version: String,
    agent_version: String,
}

impl Machine {
    /// A machine of which nothing is known.
    pub(super) fn plain() -> Self {
        Self::of_platform("Linux")
    }

    pub(super) fn of_platform(platform: &str) -> Self {
        let windows = platform == "Windows";
        let (name, version, host) = match windows {
            true => ("Microsoft Windows Server 2022 Standard", "10.0.20348", "STRAY.WORKGROUP"),
            false => ("Ubuntu", "24.04", "stray.example.com"),
        };
        Self {
            vm: None,
            instance_uuid: String::new(),
            computer_name: host.to_owned(),
            ip_address: "192.0.2.1".to_owned(),
            platform_type: if windows { "Windows" } else { "Linux" }.to_owned(),
            platform_name: name.to_owned(),
            platform_version: version.to_owned(),
            agent_version: LATEST_AGENT.to_owned(),
        }
    }

    /// `None` for a guest whose name or address is not known: no agent runs there.
    fn of_vm(vcenter: &str, moref: String, vm: &Vm) -> Option<Self> {
        let config = vm.config.as_ref()?;
        let host = vm.guest.host_name.as_deref().filter(|host| !host.is_empty())?;
        let (platform_type, platform_name, platform_version) = platform(config.guest_id)?;
        let computer_name = match platform_type {
            // The domain, or the workgroup that everybody is in who is in none.
            "Windows" => match host.split_once('.') {
                Some((short, domain)) => format!("{}.{domain}", short.to_ascii_uppercase()),
                None => format!("{}.WORKGROUP", host.to_ascii_uppercase()),
            },
            _ => host.to_owned(),
        };
        let addresses = vm.guest.nics.iter().flat_map(|nic| &nic.addresses).map(|address| &*address.ip);
        let all = vm.guest.ip.as_deref().into_iter().chain(addresses);
        let ip = all.clone().find(|ip| ip.parse::<Ipv4Addr>().is_ok()).or_else(|| all.clone().next())?;
        Some(Self {
            vm: Some(AwsVm { vcenter: vcenter.to_owned(), moref }),
            instance_uuid: config.instance_uuid.to_string(),
            computer_name,
            ip_address: ip.to_owned(),
            platform_type: platform_type.to_owned(),
            platform_name: platform_name.to_owned(),
            platform_version: platform_version.to_owned(),
            agent_version: LATEST_AGENT.to_owned(),
        })
    }

    /// The node that the agent registers.
    pub(super) fn node(&self, id: &str, now: Timestamp) -> AwsNode {
        AwsNode {
            instance_id: id.to_owned(),
            resource_type: "ManagedInstance".to_owned(),
            ping_status: "Online".to_owned(),
            last_ping: now,
            is_latest_version: self.agent_version == LATEST_AGENT,
            agent_version: self.agent_version.clone(),
            platform_type: self.platform_type.clone(),
            platform_name: self.platform_name.clone(),
            platform_version: self.platform_version.clone(),
            activation_id: None,
            iam_role: Some(ROLE.to_owned()),
            registration_date: Some(now),
            name: None,
            ip_address: self.ip_address.clone(),
            computer_name: self.computer_name.clone(),
            vm: self.vm.clone(),
        }
    }
}

/// What the agent calls an operating system; `None`: there is no agent for it.
fn platform(guest_id: &str) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match guest_id {
        "rhel7_64Guest" => ("Linux", "Red Hat Enterprise Linux", "7.9"),
        "rhel8_64Guest" => ("Linux", "Red Hat Enterprise Linux", "8.10"),
        "rhel9_64Guest" => ("Linux", "Red Hat Enterprise Linux", "9.4"),
        "ubuntu64Guest" => ("Linux", "Ubuntu", "24.04"),
        "sles15_64Guest" => ("Linux", "SLES", "15.6"),
        "debian12_64Guest" => ("Linux", "Debian GNU/Linux", "12"),
        "centos7_64Guest" => ("Linux", "CentOS Linux", "7"),
        "amazonlinux2_64Guest" => ("Linux", "Amazon Linux", "2"),
        "windows2022srvNext_64Guest" => ("Windows", "Microsoft Windows Server 2025 Standard", "10.0.26100"),
        "windows2019srvNext_64Guest" => ("Windows", "Microsoft Windows Server 2022 Standard", "10.0.20348"),
        "windows2019srv_64Guest" => ("Windows", "Microsoft Windows Server 2019 Standard", "10.0.17763"),
        "windows9Server64Guest" => ("Windows", "Microsoft Windows Server 2016 Standard", "10.0.14393"),
        "windows8Server64Guest" => ("Windows", "Microsoft Windows Server 2012 R2 Standard", "6.3.9600"),
        "windows9_64Guest" => ("Windows", "Microsoft Windows 10 Enterprise", "10.0.19045"),
        _ => return None,
    })
}

/// An id of a node out of the digits of a UUID.
pub(super) fn node_id(uuid: &str) -> String {
    let digits: String = uuid.chars().filter(char::is_ascii_hexdigit).take(17).collect();
    format!("mi-{digits}")
}

/// What an agent in this VM would report.
pub(super) fn machine(vcenters: &[Vcenter], vm: &AwsVm) -> Result<Machine, MutateError> {
    let gone = || MutateError::NoSuchObject(format!("{}:{}", vm.vcenter, vm.moref));
    let vcenter = vcenters.iter().find(|vcenter| vcenter.name() == vm.vcenter).ok_or_else(gone)?;
    let world = vcenter.shared.world();
    let (_, found) = world.vms().find(|(entity, _)| entity.id.to_string() == vm.moref).ok_or_else(gone)?;
    Machine::of_vm(&vm.vcenter, vm.moref.clone(), found).ok_or(MutateError::NotPossible {
        what: "registering a guest without a name, an address or an agent for its system",
        object: vm.moref.clone(),
    })
}

/// The machines in which an agent could run.
fn machines(vcenter: &Vcenter) -> Vec<Machine> {
    let world = vcenter.shared.world();
    let runs = |vm: &Vm| {
        let ordinary =
            vm.config.as_ref().is_some_and(|config| !config.template && config.managed_by.is_none());
        ordinary && vm.power == Power::On && vm.guest.tools_running == "guestToolsRunning"
    };
    world
        .vms()
        .filter(|(_, vm)| runs(vm))
        .filter_map(|(entity, vm)| Machine::of_vm(vcenter.name(), entity.id.to_string(), vm))
        .collect()
}

/// Gives a second Linux machine the host name of the first, as a clone that was never renamed has it, and no agent.
fn clone_name(vcenter: &Vcenter, machines: &mut Vec<Machine>) -> Option<AwsVm> {
    let mut linux = machines.iter().enumerate().filter(|(_, machine)| machine.platform_type == "Linux");
    let (original, (at, _)) = (linux.next()?.1.clone(), linux.next()?);
    let copy = machines.remove(at);
    let mutation = Mutation::Guest {
        id: copy.vm?.moref,
        ip: None,
        host_name: Some(original.computer_name),
        tools_running: None,
    };
    vcenter.mutate(&mutation).ok()?;
    original.vm
}

struct Seeder {
    dice: Dice,
    now: Timestamp,
    /// The activation by which many nodes were registered, for each place.
    batch: BTreeMap<usize, String>,
}

/// Makes the nodes.
pub(crate) fn seed(aws: &Aws, seeding: &NodeSeeding) {
    let mut certain = BTreeSet::new();
    let mut all = Vec::new();
    for (at, vcenter) in aws.vcenters.iter().enumerate() {
        let mut machines = machines(vcenter);
        if seeding.oddities && at == 0 {
            certain.extend(clone_name(vcenter, &mut machines));
        }
        let uuid = vcenter.instance_uuid().to_string();
        all.extend(machines.into_iter().map(|machine| (uuid.clone(), machine)));
    }
    let mut state = lock(&aws.shared.state);
    let state = &mut *state;
    let mut places = seeding.places.clone();
    if places.is_empty()
        && let Some(first) = state.accounts.first()
        && let Some(region) = first.regions.first()
    {
        places.push((first.id.clone(), region.clone()));
    }
    let mut seeder =
        Seeder { dice: Dice::new(seeding.seed, 91), now: crate::clock::now(0), batch: BTreeMap::new() };
    let mut made = 0;
    for (number, (vcenter, machine)) in all.iter().enumerate() {
        let drawn = match seeding.count {
            // Where a line through the machines, `count` high at their end, takes a step.
            Some(count) => (number + 1) * count / all.len() > number * count / all.len(),
            None => seeder.dice.chance(u32::from(seeding.share_percent)),
        };
        let wanted = drawn || machine.vm.as_ref().is_some_and(|vm| certain.contains(vm));
        if !wanted || places.is_empty() {
            continue;
        }
        let at = made % places.len();
        let (account, region) = &places[at];
        if let Some(held) = state.region_mut(account, region) {
            seeder.register(at, held, vcenter, machine);
            made += 1;
        }
    }
    let Some((account, region)) = places.first() else { return };
    if let Some(held) = state.region_mut(account, region) {
        if seeding.oddities {
            // Hardware, or a machine of another cloud: no VM of these vCenters.
            let stray = Machine { ip_address: "198.51.100.7".to_owned(), ..Machine::plain() };
            seeder.register(0, held, "", &stray);
        }
        for number in 0..seeding.ec2_instances {
            seeder.ec2(held, number);
        }
    }
    for account in &mut state.accounts {
        let most =
            state.regions.iter().filter(|((id, _), _)| *id == account.id).map(|(_, held)| held.registered());
        account.advanced_tier |= most.max().unwrap_or(0) > STANDARD_NODES;
    }
}

impl Seeder {
    fn ago(&mut self, most_minutes: u32) -> Timestamp {
        let minutes = self.dice.between(1, most_minutes);
        self.now - SignedDuration::from_mins(i64::from(minutes))
    }

    fn register(&mut self, place: usize, held: &mut Region, vcenter: &str, machine: &Machine) {
        let id = node_id(&self.dice.uuid().to_string());
        let mut machine = machine.clone();
        (*self.dice.pick(&[LATEST_AGENT, LATEST_AGENT, "3.3.2299.0", "3.2.2303.0"]))
            .clone_into(&mut machine.agent_version);
        let registered = self.ago(28 * 24 * 60);
        let mut node = machine.node(&id, registered);
        node.last_ping = self.ago(5);
        if self.dice.chance(8) {
            "ConnectionLost".clone_into(&mut node.ping_status);
            node.last_ping = self.ago(3 * 24 * 60).max(registered);
        }
        node.activation_id = Some(match &machine.vm {
            Some(vm) if self.dice.chance(30) => {
                let description =
                    format!("vmbridge vcenter={vcenter} vm={} instance={}", vm.moref, machine.instance_uuid);
                self.activate(held, description, 1, registered)
            }
            _ => self.batch(place, held),
        });
        let tags = self.tags(&machine.platform_type);
        held.nodes.insert(id, Node::new(Duration::ZERO, node, tags));
    }

    fn activate(&mut self, held: &mut Region, description: String, limit: u32, used: Timestamp) -> String {
        let created_date = used - SignedDuration::from_mins(10);
        let activation = AwsActivation {
            activation_id: self.dice.uuid().to_string(),
            activation_code: self.dice.uuid().simple().to_string()[..20].to_owned(),
            description: Some(description),
            default_instance_name: None,
            iam_role: ROLE.to_owned(),
            registration_limit: limit,
            registrations_count: 1,
            expiration_date: created_date + SignedDuration::from_hours(1),
            created_date,
            tags: BTreeMap::new(),
        };
        let id = activation.activation_id.clone();
        held.activations.insert(id.clone(), Timeline::new(Duration::ZERO, Some(Arc::new(activation))));
        id
    }

    /// The activation that is used by many, or the next one when it is used up.
    fn batch(&mut self, place: usize, held: &mut Region) -> String {
        if let Some(id) = self.batch.get(&place)
            && let Some(line) = held.activations.get_mut(id)
            && let Some(known) = line.now()
            && known.registrations_count < known.registration_limit
        {
            let mut used = AwsActivation::clone(known);
            used.registrations_count += 1;
            line.set(Duration::ZERO, Duration::ZERO, Some(Arc::new(used)));
            return id.clone();
        }
        let used = self.now - SignedDuration::from_hours(29 * 24);
        let id = self.activate(held, "Servers of the data centre".to_owned(), 1000, used);
        self.batch.insert(place, id.clone());
        id
    }

    /// Some nodes never had tags, some have tags that somebody set by hand, some had tags once.
    fn tags(&mut self, platform: &str) -> Option<Arc<BTreeMap<String, String>>> {
        let mut tags = BTreeMap::new();
        match self.dice.below(100) {
            0..=59 => return None,
            60..=64 => {}
            65..=89 => {
                tags.insert("CostCenter".to_owned(), format!("{}", 4000 + self.dice.below(40)));
            }
            _ => {
                tags.insert("Patch Group".to_owned(), format!("{}-by-hand", platform.to_ascii_lowercase()));
                tags.insert("CostCenter".to_owned(), "4711".to_owned());
            }
        }
        Some(Arc::new(tags))
    }

    fn ec2(&mut self, held: &mut Region, number: usize) {
        let id = node_id(&self.dice.uuid().to_string()).replacen("mi-", "i-", 1);
        let [third, fourth] = [number / 250 % 250, number % 250 + 4];
        let machine = Machine {
            computer_name: format!("ip-172-31-{third}-{fourth}.eu-central-1.compute.internal"),
            ip_address: format!("172.31.{third}.{fourth}"),
            platform_name: "Amazon Linux".to_owned(),
            platform_version: "2023".to_owned(),
            ..Machine::plain()
        };
        let mut node = machine.node(&id, self.now);
        "EC2Instance".clone_into(&mut node.resource_type);
        node.registration_date = None;
        node.iam_role = None;
        let tags = BTreeMap::from([("Name".to_owned(), format!("app-{number}"))]);
        held.nodes.insert(id, Node::new(Duration::ZERO, node, Some(Arc::new(tags))));
    }
}
