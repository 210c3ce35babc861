//! Fleets from a seed: datacenters, clusters, hosts, datastores, networks and folders here, machines in [`machines`].

mod catalog;
mod machines;

use jiff::{SignedDuration, Timestamp};

use crate::config::{FleetConfig, VcenterConfig};
use crate::dice::Dice;
use crate::world::entity::{Compute, DatacenterFolders, Datastore, Host};
use crate::world::tags::Cardinality;
use crate::world::{Body, CustomField, Entity, Kind, ObjId, World, escape_name};

/// The moment that generated times are counted back from; fixed, so that fleets are the same on every day.
const EPOCH_SECONDS: i64 = 1_750_000_000;

/// How many VMs a host carries on average.
const VMS_PER_HOST: usize = 28;

/// A time up to `days` days before the epoch.
pub(crate) fn some_time(dice: &mut Dice, days: u32) -> Timestamp {
    let back = i64::from(dice.between(60, days.max(1) * 86_400));
    let base = Timestamp::from_second(EPOCH_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
    base.checked_sub(SignedDuration::from_secs(back)).unwrap_or(base)
}

/// A datacenter and what machines may be placed on.
struct Site {
    vm_folders: Vec<ObjId>,
    computes: Vec<Place>,
}

/// A compute resource.
struct Place {
    hosts: Vec<ObjId>,
    pools: Vec<ObjId>,
    vapps: Vec<ObjId>,
    datastores: Vec<ObjId>,
    networks: Vec<ObjId>,
    is_cluster: bool,
}

/// A number that is the same for the same name.
pub(crate) fn hash_name(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Makes the whole inventory of a vCenter.
pub(crate) fn generate(config: &VcenterConfig) -> World {
    let fleet = &config.fleet;
    let uuid_seed = fleet.uuid_seed.unwrap_or_else(|| hash_name(&config.name) ^ fleet.seed);
    let mut uuids = Dice::new(uuid_seed, 1);
    let instance_uuid =
        config.instance_uuid.unwrap_or_else(|| Dice::new(hash_name(&config.name) ^ fleet.seed, 9).uuid());
    let mut maker = Maker {
        world: World::new(instance_uuid, fleet.first_number, config.clock_skew_seconds, config.change_log),
        dice: Dice::new(fleet.seed, 0),
    };
    for (at, name) in catalog::FIELDS.iter().enumerate() {
        let managed_type = (at == 3).then_some("VirtualMachine");
        let key = i32::try_from(at).unwrap_or(0) + 101;
        maker.world.fields.push(CustomField { key, name: (*name).into(), managed_type });
    }
    let sites = maker.sites(fleet, &mut uuids);
    machines::fill(&mut maker.world, &mut maker.dice, &mut uuids, &sites, fleet.vms);
    if fleet.tags {
        maker.tags(&mut Dice::new(uuid_seed, 2));
    }
    maker.world
}

struct Maker {
    world: World,
    dice: Dice,
}

impl Maker {
    fn add(&mut self, kind: Kind, name: &str, parent: ObjId, body: Body) -> ObjId {
        let id = ObjId::new(kind, self.world.fresh());
        let name = escape_name(name).into();
        self.world.insert(Entity { id, name, parent: Some(parent), custom: Vec::new(), body });
        id
    }

    fn sites(&mut self, fleet: &FleetConfig, uuids: &mut Dice) -> Vec<Site> {
        let hosts = (fleet.vms / VMS_PER_HOST).clamp(4, 2500);
        let count = match fleet.vms {
            0..=50 => 1,
            51..=5000 => 2,
            _ => 4,
        };
        let root = self.world.root;
        let europe = self.add(Kind::RootFolder, "Europe", root, Body::Folder);
        (0..count)
            .map(|at| {
                let name = ["Frankfurt", "Zürich", "Tokyo/東京", "Virginia"][at % 4];
                let parent = if at % 4 < 2 { europe } else { root };
                self.site(name, parent, hosts / count, uuids)
            })
            .collect()
    }

    fn site(&mut self, name: &str, parent: ObjId, hosts: usize, uuids: &mut Dice) -> Site {
        let id = ObjId::new(Kind::Datacenter, self.world.fresh());
        let mut folder = |kind| ObjId::new(kind, self.world.fresh());
        let folders = DatacenterFolders {
            vm: folder(Kind::VmFolder),
            host: folder(Kind::HostFolder),
            datastore: folder(Kind::DatastoreFolder),
            network: folder(Kind::NetworkFolder),
        };
        let body = Body::Datacenter(folders);
        self.world.insert(Entity {
            id,
            name: escape_name(name).into(),
            parent: Some(parent),
            custom: Vec::new(),
            body,
        });
        for (folder, name) in [
            (folders.vm, "vm"),
            (folders.host, "host"),
            (folders.datastore, "datastore"),
            (folders.network, "network"),
        ] {
            let body = Body::Folder;
            self.world.insert(Entity {
                id: folder,
                name: name.into(),
                parent: Some(id),
                custom: Vec::new(),
                body,
            });
        }
        let mut vm_folders = vec![folders.vm];
        for top in catalog::TOP_FOLDERS {
            let top = self.add(Kind::VmFolder, top, folders.vm, Body::Folder);
            vm_folders.push(top);
            let mut parent = top;
            for _ in 0..self.dice.below(4) {
                let name = *self.dice.pick(catalog::SUB_FOLDERS);
                parent = self.add(Kind::VmFolder, name, parent, Body::Folder);
                vm_folders.push(parent);
                if self.dice.chance(50) {
                    parent = top;
                }
            }
        }
        let host_folder = self.add(Kind::HostFolder, "Rack A", folders.host, Body::Folder);
        let pod = self.add(Kind::StoragePod, "Gold-Pod", folders.datastore, Body::Folder);
        let mut computes = Vec::new();
        let mut left = hosts.max(3);
        while left > 1 {
            let size = left.min(16).min(self.dice.between(2, 16) as usize).max(1);
            left -= size;
            let at = computes.len() + 1;
            let parent = if at % 2 == 0 { host_folder } else { folders.host };
            computes.push(self.cluster(
                &format!("{name}-Cluster-{at:02}"),
                parent,
                size,
                &folders,
                pod,
                uuids,
            ));
        }
        computes.push(self.standalone(&format!("esx-edge-{}.example.net", computes.len()), &folders, uuids));
        Site { vm_folders, computes }
    }

    fn cluster(
        &mut self,
        name: &str,
        parent: ObjId,
        size: usize,
        folders: &DatacenterFolders,
        pod: ObjId,
        uuids: &mut Dice,
    ) -> Place {
        let id = ObjId::new(Kind::Cluster, self.world.fresh());
        let root_pool = ObjId::new(Kind::Pool, self.world.fresh());
        let datastores: Vec<_> = (0..3)
            .map(|at| {
                self.datastore(&format!("{name}-ds-{at}"), if at == 0 { pod } else { folders.datastore }, at)
            })
            .collect();
        let mut networks = vec![self.add(Kind::Network, "VM Network", folders.network, Body::Network)];
        for at in 0..3 {
            let name = format!("{name}/VLAN {}", 100 + at * 10);
            networks.push(self.add(Kind::Portgroup, &name, folders.network, Body::Network));
        }
        let hosts: Vec<_> = (0..size)
            .map(|at| self.host(&format!("{id}-esx{at:02}.example.net"), id, &datastores, &networks, uuids))
            .collect();
        for datastore in &datastores {
            if let Some(Body::Datastore(body)) = self.world.get_mut(*datastore).map(|e| &mut e.body) {
                body.hosts.clone_from(&hosts);
            }
        }
        let body = Body::Compute(Compute {
            hosts: hosts.clone(),
            root_pool,
            datastores: datastores.clone(),
            networks: networks.clone(),
        });
        self.world.insert(Entity {
            id,
            name: escape_name(name).into(),
            parent: Some(parent),
            custom: Vec::new(),
            body,
        });
        let body = Body::Pool { owner: id };
        self.world.insert(Entity {
            id: root_pool,
            name: "Resources".into(),
            parent: Some(id),
            custom: Vec::new(),
            body,
        });
        let gold = self.add(Kind::Pool, "Gold", root_pool, Body::Pool { owner: id });
        let silver = self.add(Kind::Pool, "Silver", root_pool, Body::Pool { owner: id });
        let outer_body = Body::VApp { owner: id, parent_folder: Some(folders.vm) };
        let outer = self.add(Kind::VApp, "Shop vApp", root_pool, outer_body);
        let inner =
            self.add(Kind::VApp, "Shop backend", outer, Body::VApp { owner: id, parent_folder: None });
        Place {
            hosts,
            pools: vec![root_pool, gold, silver],
            vapps: vec![outer, inner],
            datastores,
            networks,
            is_cluster: true,
        }
    }

    fn standalone(&mut self, name: &str, folders: &DatacenterFolders, uuids: &mut Dice) -> Place {
        let id = ObjId::new(Kind::StandaloneHost, self.world.fresh());
        let root_pool = ObjId::new(Kind::Pool, self.world.fresh());
        let datastores = vec![self.datastore("datastore1", folders.datastore, 3)];
        let networks = vec![self.add(Kind::Network, "VM Network", folders.network, Body::Network)];
        let host = self.host(name, id, &datastores, &networks, uuids);
        if let Some(Body::Datastore(body)) = self.world.get_mut(datastores[0]).map(|e| &mut e.body) {
            body.hosts.push(host);
        }
        let body = Body::Compute(Compute {
            hosts: vec![host],
            root_pool,
            datastores: datastores.clone(),
            networks: networks.clone(),
        });
        self.world.insert(Entity {
            id,
            name: name.into(),
            parent: Some(folders.host),
            custom: Vec::new(),
            body,
        });
        let body = Body::Pool { owner: id };
        self.world.insert(Entity {
            id: root_pool,
            name: "Resources".into(),
            parent: Some(id),
            custom: Vec::new(),
            body,
        });
        Place {
            hosts: vec![host],
            pools: vec![root_pool],
            vapps: Vec::new(),
            datastores,
            networks,
            is_cluster: false,
        }
    }

    fn datastore(&mut self, name: &str, parent: ObjId, at: usize) -> ObjId {
        let capacity = u64::from(self.dice.between(2, 40)) << 40;
        let body = Body::Datastore(Box::new(Datastore {
            kind: ["vsan", "VMFS", "NFS41", "VMFS", "NFS"][at % 5],
            capacity,
            free: capacity / 100 * u64::from(self.dice.between(3, 70)),
            accessible: true,
            maintenance: "normal",
            hosts: Vec::new(),
        }));
        self.add(Kind::Datastore, name, parent, body)
    }

    fn host(
        &mut self,
        name: &str,
        parent: ObjId,
        datastores: &[ObjId],
        networks: &[ObjId],
        uuids: &mut Dice,
    ) -> ObjId {
        let (vendor, model, cores, memory) = *self.dice.pick(catalog::HARDWARE);
        let down = self.dice.rare(10);
        let boot_time = some_time(&mut self.dice, 300);
        let body = Body::Host(Box::new(Host {
            vendor,
            model,
            uuid: uuids.uuid(),
            cores,
            memory,
            version: "8.0.3",
            build: "24859861",
            connection: if down { "notResponding" } else { "connected" },
            power: if down { "unknown" } else { "poweredOn" },
            maintenance: !down && self.dice.rare(20),
            boot_time: (!down).then_some(boot_time),
            datastores: datastores.to_vec(),
            networks: networks.to_vec(),
        }));
        self.add(Kind::Host, name, parent, body)
    }

    fn tags(&mut self, uuids: &mut Dice) {
        let mut made: Vec<Vec<String>> = Vec::new();
        for (name, single, tags) in catalog::CATEGORIES {
            let cardinality = if *single { Cardinality::Single } else { Cardinality::Multiple };
            let types = if *name == "Compliance" { Vec::new() } else { vec!["VirtualMachine".to_owned()] };
            let description = format!("{name} of a machine");
            let Ok(category) =
                self.world.tags.create_category(uuids.uuid(), name, &description, cardinality, types)
            else {
                continue;
            };
            let ids = tags
                .iter()
                .filter_map(|tag| self.world.tags.create_tag(uuids.uuid(), &category, tag, "").ok());
            made.push(ids.collect());
        }
        let vms: Vec<ObjId> = self.world.vms().map(|(e, _)| e.id).collect();
        for vm in vms {
            for tags in &made {
                if self.dice.chance(60) {
                    let tag = self.dice.pick(tags);
                    // Types and cardinality fit by construction.
                    let _ = self.world.tags.attach(tag, vm);
                }
            }
        }
    }
}
