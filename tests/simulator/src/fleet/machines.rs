//! Virtual machines of a generated fleet, with everything that is odd about real ones.

use uuid::Uuid;

use crate::dice::Dice;
use crate::world::vm::{
    Backing, Config, Connection, Controller, ControllerKind, Disk, Guest, GuestAddress, GuestNic, Nic, Power,
    Snapshot, Snapshots, Vm,
};
use crate::world::{Body, Entity, Kind, ObjId, World, escape_name};

use super::catalog::{HARDWARE_VERSIONS, ODD_NAMES, Os, ROLES, SYSTEMS};
use super::{Place, Site, some_time};

const GIB: u64 = 1 << 30;

/// Puts `count` machines onto the sites.
pub(super) fn fill(world: &mut World, dice: &mut Dice, uuids: &mut Dice, sites: &[Site], count: usize) {
    let mut agents: Vec<&Place> = sites.iter().flat_map(|s| &s.computes).filter(|p| p.is_cluster).collect();
    for at in 0..count {
        let site = &sites[at % sites.len()];
        // The first few machines are the cluster agents that every cluster brings along.
        let agent = if at >= 3 && at % 40 == 3 { agents.pop() } else { None };
        let place = agent.unwrap_or_else(|| dice.pick(&site.computes));
        let made = Machine { world, dice, uuids, place, folders: &site.vm_folders, number: at }
            .make(agent.is_some());
        world.insert(made);
    }
}

struct Machine<'a> {
    world: &'a mut World,
    dice: &'a mut Dice,
    uuids: &'a mut Dice,
    place: &'a Place,
    folders: &'a [ObjId],
    number: usize,
}

/// A system by its share of the fleet.
fn system(dice: &mut Dice) -> &'static Os {
    let mut at = dice.between(0, SYSTEMS.iter().map(|s| s.share).sum::<u32>() - 1);
    for system in SYSTEMS {
        match at.checked_sub(system.share) {
            Some(rest) => at = rest,
            None => return system,
        }
    }
    &SYSTEMS[0]
}

impl Machine<'_> {
    fn make(mut self, agent: bool) -> Entity {
        let id = ObjId::new(Kind::Vm, self.world.fresh());
        let os = system(self.dice);
        let name = if agent { format!("vCLS-{}", self.uuids.uuid()) } else { self.name(os) };
        let template = !agent && self.dice.rare(30);
        let lost = !agent && !template && self.dice.rare(4);
        let power = match self.dice.between(0, 99) {
            _ if template || lost => Power::Off,
            _ if agent => Power::On,
            0..=84 => Power::On,
            85..=97 => Power::Off,
            _ => Power::Suspended,
        };
        let connection = match (lost, self.dice.between(0, 2)) {
            (false, _) => Connection::Connected,
            (true, 0) => Connection::Orphaned,
            (true, 1) => Connection::Inaccessible,
            (true, _) => Connection::Invalid,
        };
        let vapp = if agent || template || lost || self.place.vapps.is_empty() || !self.dice.rare(20) {
            None
        } else {
            Some(*self.dice.pick(&self.place.vapps))
        };
        let parent = vapp.is_none().then(|| *self.dice.pick(self.folders));
        let mut config = self.config(os, &name, template, agent);
        let datastores = {
            let mut used: Vec<_> = config.disks.iter().map(|d| d.datastore).collect();
            used.sort_unstable();
            used.dedup();
            used
        };
        let mut networks: Vec<_> = config.nics.iter().map(|n| n.network).collect();
        networks.sort_unstable();
        networks.dedup();
        let guest = self.guest(os, &config, &name, power, agent);
        let snapshots = if agent || template { None } else { self.snapshots(power) };
        if agent {
            config.managed_by = Some(("com.vmware.vim.eam", "cluster-agent"));
            config.annotation = "vSphere Cluster Service VM is deployed from an OVA with a minimal installed profile of PhotonOS.\n\nDo not modify.".into();
        }
        let boot_time = some_time(self.dice, 200);
        let vm = Vm {
            parent_vapp: vapp,
            pool: if template {
                None
            } else {
                Some(vapp.unwrap_or_else(|| *self.dice.pick(&self.place.pools)))
            },
            host: Some(*self.dice.pick(&self.place.hosts)),
            power,
            connection,
            consolidation_needed: !template && self.dice.rare(5),
            boot_time: (power == Power::On).then_some(boot_time),
            config: (!lost).then(|| Box::new(config)),
            guest,
            datastores,
            networks,
            snapshots,
        };
        let mut custom = Vec::new();
        if self.dice.chance(30) {
            custom.push((101, format!("team-{}@example.net", self.dice.between(1, 40)).into()));
        }
        if self.dice.chance(20) {
            custom.push((102, format!("KST-{}", self.dice.between(1000, 9999)).into()));
        }
        if self.dice.chance(5) {
            custom.push((103, "Sonntag 02:00–06:00, außer Ferien".into()));
        }
        Entity { id, name: escape_name(&name).into(), parent, custom, body: Body::Vm(Box::new(vm)) }
    }

    fn name(&mut self, os: &Os) -> String {
        let number = self.number;
        match self.dice.between(0, 999) {
            0..=19 => format!("{} {number}", self.dice.pick(ODD_NAMES)),
            // The same name in different folders: restored copies, labs.
            20..=39 => format!("{}-{}-golden", os.prefix, self.dice.pick(ROLES)),
            _ => {
                let role = *self.dice.pick(ROLES);
                format!("{}-{role}-{number:05}", os.prefix)
            }
        }
    }

    fn config(&mut self, os: &Os, name: &str, template: bool, agent: bool) -> Config {
        let windows = os.family == "windowsGuest";
        let cpus = [1, 2, 2, 4, 4, 8, 16, 32][self.dice.below(8)];
        let cores_per_socket = if cpus > 2 && self.dice.chance(50) { cpus / 2 } else { 1 };
        let cluster_pair = self.dice.rare(5);
        let mut controllers = vec![Controller {
            key: 1000,
            kind: if windows && self.dice.chance(40) {
                ControllerKind::LsiSas
            } else {
                ControllerKind::ParaVirtual
            },
            bus: 0,
            sharing: "noSharing",
        }];
        if cluster_pair {
            let sharing = if self.dice.chance(50) { "physicalSharing" } else { "virtualSharing" };
            controllers.push(Controller { key: 1001, kind: ControllerKind::ParaVirtual, bus: 1, sharing });
        } else if self.dice.rare(30) {
            controllers.push(Controller {
                key: 31000,
                kind: ControllerKind::Nvme,
                bus: 0,
                sharing: "noSharing",
            });
        } else if self.dice.rare(15) {
            controllers.push(Controller {
                key: 15000,
                kind: ControllerKind::Ahci,
                bus: 0,
                sharing: "noSharing",
            });
        }
        let disks = self.disks(&controllers, cluster_pair);
        let nics = self.nics(agent);
        let uuid = self.uuids.uuid();
        let instance_uuid = self.uuids.uuid();
        let annotation = match self.dice.between(0, 9) {
            0..=6 => String::new(),
            7 => format!(
                "Owner: Team {}\nCreated for project \"Zürich\" & co <{name}>",
                self.dice.between(1, 9)
            ),
            8 => "Do not reboot without asking. Nicht ohne Rückfrage neu starten.".to_owned(),
            _ => format!("deployed from template on request REQ{:06}", self.dice.between(1, 999_999)),
        };
        let created = some_time(self.dice, 2500);
        Config {
            uuid,
            instance_uuid,
            template,
            guest_id: if agent { "other26xLinux64Guest" } else { os.id },
            guest_full_name: if agent { "Other 2.6.x Linux (64-bit)" } else { os.full_name },
            annotation: annotation.into(),
            version: if agent { "vmx-11" } else { self.dice.pick::<&str>(HARDWARE_VERSIONS) },
            firmware: if self.dice.chance(60) { "efi" } else { "bios" },
            create_date: self.dice.chance(95).then_some(created),
            managed_by: self.dice.rare(4).then_some(("com.vmware.vcDr", "placeholderVm")),
            fault_tolerance: self
                .dice
                .rare(2)
                .then(|| (1, vec![instance_uuid, Uuid::from_u128(instance_uuid.as_u128() ^ 1)])),
            cpus,
            cores_per_socket,
            memory_mb: [512, 1024, 2048, 4096, 8192, 16384, 65536, 262_144][self.dice.below(8)],
            controllers,
            disks,
            nics,
            passthrough: self.dice.rare(3),
        }
    }

    fn disks(&mut self, controllers: &[Controller], cluster_pair: bool) -> Vec<Disk> {
        let count = [1, 1, 1, 2, 2, 3, 4, 6][self.dice.below(8)].max(controllers.len());
        let home = *self.dice.pick(&self.place.datastores);
        let mut units = [0_u8; 4];
        (0..count)
            .map(|at| {
                let which = if at == 0 { 0 } else { at % controllers.len() };
                let controller = &controllers[which];
                let on_shared = cluster_pair && which == 1;
                let unit = units[which];
                // SCSI unit 7 is the controller itself.
                units[which] += if unit == 6 { 2 } else { 1 };
                let backing = match self.dice.between(0, 999) {
                    _ if on_shared => Backing::RdmPhysical,
                    _ if at == 0 => {
                        [Backing::FlatThin, Backing::FlatThin, Backing::FlatLazy][self.dice.below(3)]
                    }
                    0..=4 => Backing::RdmPhysical,
                    5..=9 => Backing::RdmVirtual,
                    10..=19 => Backing::SeSparse,
                    20..=599 => Backing::FlatThin,
                    600..=899 => Backing::FlatLazy,
                    _ => Backing::FlatEager,
                };
                Disk {
                    key: if controller.key == 31000 {
                        32000
                    } else if controller.key == 15000 {
                        16000
                    } else {
                        2000 + i32::from(controller.bus) * 16
                    } + i32::from(unit),
                    controller: controller.key,
                    unit,
                    bytes: u64::from(self.dice.between(1, 40)) * 10 * GIB,
                    mode: match self.dice.between(0, 99) {
                        _ if at == 0 => "persistent",
                        0..=1 => "independent_persistent",
                        2 => "independent_nonpersistent",
                        _ => "persistent",
                    },
                    backing,
                    datastore: if self.dice.chance(85) {
                        home
                    } else {
                        *self.dice.pick(&self.place.datastores)
                    },
                    uuid: self.uuids.uuid(),
                    sharing: if on_shared && self.dice.chance(50) {
                        "sharingMultiWriter"
                    } else {
                        "sharingNone"
                    },
                }
            })
            .collect()
    }

    fn nics(&mut self, agent: bool) -> Vec<Nic> {
        let count = if agent { 0 } else { [1, 1, 1, 1, 2, 2, 3, 0][self.dice.below(8)] };
        (0..count)
            .map(|at| {
                let serial = self.uuids.u64().to_be_bytes();
                Nic {
                    key: 4000 + at,
                    model: [
                        "VirtualVmxnet3",
                        "VirtualVmxnet3",
                        "VirtualVmxnet3",
                        "VirtualE1000e",
                        "VirtualE1000",
                    ][self.dice.below(5)],
                    mac: [0x00, 0x50, 0x56, 0x80 | (serial[0] & 0x3f), serial[1], serial[2]],
                    network: *self.dice.pick(&self.place.networks),
                    connected: !self.dice.rare(20),
                }
            })
            .collect()
    }

    fn guest(&mut self, os: &Os, config: &Config, name: &str, power: Power, agent: bool) -> Guest {
        let tools = agent || !self.dice.chance(8);
        if !tools {
            return Guest {
                tools_running: "guestToolsNotRunning",
                tools_version_status2: "guestToolsNotInstalled",
                tools_version: None,
                family: None,
                id: None,
                full_name: None,
                state: if power == Power::On { "running" } else { "notRunning" },
                operations_ready: Some(false),
                host_name: None,
                ip: None,
                nics: Vec::new(),
            };
        }
        let mut nics = Vec::new();
        for nic in &config.nics {
            let network = self.world.get(nic.network).map(|n| n.name.clone());
            nics.push(self.guest_nic(nic, network));
        }
        let ip =
            nics.iter().flat_map(|n| &n.addresses).find(|a| !a.ip.starts_with("fe80")).map(|a| a.ip.clone());
        let host_name: String = if name.is_ascii() && !name.contains(['/', '\\', '%', ' ', '"']) {
            format!("{name}.example.net")
        } else {
            format!("host-{}.example.net", self.number)
        };
        // What is configured and what runs differ now and then: an upgraded guest on an old VM.
        let (id, full_name) =
            if agent { ("vmwarePhoton64Guest", "VMware Photon OS (64-bit)") } else { (os.id, os.full_name) };
        let ready = !self.dice.rare(30);
        let running = Guest {
            tools_running: "guestToolsRunning",
            tools_version_status2: [
                "guestToolsCurrent",
                "guestToolsUnmanaged",
                "guestToolsUnmanaged",
                "guestToolsSupportedOld",
            ][self.dice.below(4)],
            tools_version: Some([12389, 12352, 11365, 10346][self.dice.below(4)]),
            family: Some(if agent { "linuxGuest" } else { os.family }),
            id: Some(id),
            full_name: Some(full_name),
            state: "running",
            operations_ready: Some(ready),
            host_name: Some(host_name.into()),
            ip,
            nics,
        };
        if power == Power::On && !self.dice.rare(25) {
            running
        } else {
            Guest { state: if power == Power::On { "running" } else { "notRunning" }, ..running.down() }
        }
    }

    fn guest_nic(&mut self, nic: &Nic, network: Option<Box<str>>) -> GuestNic {
        let state = self.dice.chance(70).then_some("preferred");
        let mut addresses = Vec::new();
        if !self.dice.rare(30) {
            let ip =
                format!("10.{}.{}.{}", self.dice.below(200), self.dice.below(256), self.dice.between(1, 254));
            addresses.push(GuestAddress { ip: ip.into(), prefix: 24, state });
        }
        if self.dice.chance(15) {
            let ip = format!(
                "2001:db8:{:x}:{:x}::{:x}",
                self.dice.below(65_536),
                self.dice.below(65_536),
                self.dice.between(1, 9999)
            );
            addresses.push(GuestAddress { ip: ip.into(), prefix: 64, state });
        }
        if self.dice.chance(50) {
            let [_, _, _, d, e, f] = nic.mac;
            addresses.push(GuestAddress {
                ip: format!("fe80::250:56ff:fe{d:02x}:{e:02x}{f:02x}").into(),
                prefix: 64,
                state: Some("unknown"),
            });
        }
        GuestNic { network, mac: nic.mac, device_key: nic.key, addresses }
    }

    fn snapshots(&mut self, power: Power) -> Option<Box<Snapshots>> {
        if !self.dice.chance(6) {
            return None;
        }
        let depth = self.dice.between(1, 4);
        let mut chain: Vec<Snapshot> = Vec::new();
        for at in 0..depth {
            let num = self.world.fresh();
            let name = match self.dice.below(4) {
                0 => "before patching".to_owned(),
                1 => "VEEAM BACKUP TEMPORARY SNAPSHOT".to_owned(),
                2 => format!("Snapshot {at} – Prüfung & Test"),
                _ => {
                    format!("VM Snapshot {}%2f{}%2f2025", self.dice.between(1, 12), self.dice.between(1, 28))
                }
            };
            chain.push(Snapshot {
                num,
                id: i32::try_from(at).unwrap_or(0) + 1,
                name: name.into(),
                description: if self.dice.chance(50) { "".into() } else { "made by hand".into() },
                created: some_time(self.dice, 400),
                state: if self.dice.chance(10) { power } else { Power::Off },
                quiesced: self.dice.chance(40),
                children: Vec::new(),
            });
        }
        let current = chain.last().map(|s| s.num);
        let mut tree: Option<Snapshot> = None;
        while let Some(mut snapshot) = chain.pop() {
            snapshot.children.extend(tree.take());
            tree = Some(snapshot);
        }
        let mut roots: Vec<Snapshot> = tree.into_iter().collect();
        if self.dice.chance(15) {
            // A second branch: somebody went back to the first snapshot and on from there.
            let num = self.world.fresh();
            let created = some_time(self.dice, 30);
            if let Some(root) = roots.first_mut() {
                root.children.push(Snapshot {
                    num,
                    id: 90,
                    name: "abzweig".into(),
                    description: "".into(),
                    created,
                    state: Power::Off,
                    quiesced: false,
                    children: Vec::new(),
                });
            }
        }
        Some(Box::new(Snapshots { current, roots }))
    }
}
