//! The ground truth: what a correct client must see, as JSON, written from the model and not from the XML.
//!
//! Names appear twice: `name` as vCenter sends it (escaped) and `displayName` as a person typed it. A fact that vCenter
//! leaves out is `null` or absent here. Lists of references are sorted.

use serde_json::{Map, Value, json};

use crate::props;
use crate::world::entity::Entity;
use crate::world::vm::{Backing, Config, Disk, Guest, Nic, Snapshot, Vm};
use crate::world::{Body, Kind, ObjId, World, unescape_name};

/// The whole inventory of a vCenter.
pub(crate) fn truth(world: &World) -> Value {
    let mut vms = Vec::new();
    let mut hosts = Vec::new();
    let mut computes = Vec::new();
    let mut datastores = Vec::new();
    let mut datacenters = Vec::new();
    let mut folders = Vec::new();
    let mut pools = Vec::new();
    let mut networks = Vec::new();
    for entity in world.all() {
        let base = base(world, entity);
        match &entity.body {
            Body::Vm(machine) => vms.push(vm(world, entity, machine, base)),
            Body::Host(host) => hosts.push(with(base, json!({
                "vendor": host.vendor, "model": host.model, "uuid": host.uuid, "cpuCores": host.cores,
                "memoryBytes": host.memory, "connectionState": host.connection, "powerState": host.power,
                "inMaintenanceMode": host.maintenance, "version": host.version, "build": host.build,
                "datastores": ids(&host.datastores),
            }))),
            Body::Compute(compute) => {
                let cluster = entity.id.kind == Kind::Cluster;
                computes.push(with(base, json!({ "isCluster": cluster, "hosts": ids(&compute.hosts) })));
            }
            Body::Datastore(store) => datastores.push(with(base, json!({
                "type": store.kind, "capacityBytes": store.capacity, "freeBytes": store.free,
                "accessible": store.accessible, "maintenanceMode": store.maintenance, "hosts": ids(&store.hosts),
            }))),
            Body::Datacenter(_) => datacenters.push(base),
            Body::Folder => folders.push(base),
            Body::Pool { owner } => pools.push(with(base, json!({ "owner": owner.to_string() }))),
            Body::VApp { owner, parent_folder } => pools.push(with(
                base,
                json!({ "owner": owner.to_string(), "parentFolder": parent_folder.map(|f| f.to_string()) }),
            )),
            Body::Network => networks.push(base),
        }
    }
    let fields: Vec<Value> = world
        .fields
        .iter()
        .map(|f| json!({ "key": f.key, "name": f.name, "managedObjectType": f.managed_type }))
        .collect();
    let categories: Vec<Value> = world
        .tags
        .categories
        .values()
        .map(|c| {
            json!({ "id": c.id, "name": c.name, "description": c.description, "cardinality": c.cardinality.wire(),
                "associableTypes": c.associable_types })
        })
        .collect();
    let tags: Vec<Value> = world
        .tags
        .tags
        .values()
        .map(
            |t| json!({ "id": t.id, "categoryId": t.category, "name": t.name, "description": t.description }),
        )
        .collect();
    json!({
        "instanceUuid": world.instance_uuid,
        "rootFolder": world.root.to_string(),
        "vms": vms, "hosts": hosts, "computeResources": computes, "datastores": datastores, "datacenters": datacenters,
        "folders": folders, "resourcePools": pools, "networks": networks,
        "tasks": world.tasks.truth(),
        "customFields": fields, "categories": categories, "tags": tags,
    })
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Value::Object(base), Value::Object(more)) = (&mut base, more) {
        base.extend(more);
    }
    base
}

fn ids(list: &[ObjId]) -> Vec<String> {
    let mut names: Vec<String> = list.iter().map(ToString::to_string).collect();
    names.sort();
    names
}

fn base(world: &World, entity: &Entity) -> Value {
    let names: Vec<String> = world.path_names(entity.id).iter().skip(1).map(|n| unescape_name(n)).collect();
    let custom: Map<String, Value> = entity
        .custom
        .iter()
        .filter_map(|(key, value)| {
            let field = world.fields.iter().find(|f| f.key == *key)?;
            Some((field.name.to_string(), json!(value)))
        })
        .collect();
    json!({
        "id": entity.id.to_string(),
        "type": entity.id.kind.type_name(),
        "name": entity.name,
        "displayName": unescape_name(&entity.name),
        "parent": entity.parent.map(|p| p.to_string()),
        "pathNames": names,
        "customAttributes": custom,
    })
}

fn vm(world: &World, entity: &Entity, vm: &Vm, base: Value) -> Value {
    let host = vm.host.and_then(|h| world.get(h));
    let compute = host.and_then(|h| h.parent).and_then(|c| world.get(c));
    let folder: Vec<String> = {
        // Between the datacenter's hidden `vm` folder and the machine.
        let chain = world.path_names(entity.id);
        let datacenters = {
            let mut depth = 0;
            let mut at = world.ancestor(entity.id, Kind::Datacenter);
            while let Some(e) = at {
                depth += 1;
                at = e.container().and_then(|p| world.get(p));
            }
            depth
        };
        if vm.parent_vapp.is_some() || entity.parent.is_none() {
            Vec::new()
        } else {
            chain[(datacenters + 1).min(chain.len() - 1)..chain.len() - 1]
                .iter()
                .map(|n| unescape_name(n))
                .collect()
        }
    };
    let mut tags: Vec<Value> = world
        .tags
        .tags_of(entity.id)
        .map(|t| {
            let category = world.tags.categories.get(&t.category).map(|c| c.name.as_str());
            json!({ "category": category, "name": t.name, "id": t.id })
        })
        .collect();
    tags.sort_by_key(ToString::to_string);
    let names = |list: &[ObjId]| {
        let mut names: Vec<String> =
            list.iter().filter_map(|id| world.get(*id)).map(|e| unescape_name(&e.name)).collect();
        names.sort();
        names
    };
    let snapshots = vm.snapshots.as_ref().map(|tree| {
        json!({
            "current": tree.current.map(|n| ObjId::new(Kind::Snapshot, n).to_string()),
            "roots": tree.roots.iter().map(|root| snapshot(world, root)).collect::<Vec<_>>(),
        })
    });
    with(
        base,
        json!({
            "parentVApp": vm.parent_vapp.map(|v| v.to_string()),
            "folderNames": folder,
            "datacenter": world.ancestor(entity.id, Kind::Datacenter).map(|d| unescape_name(&d.name)),
            "compute": compute.map(|c| unescape_name(&c.name)),
            "isInCluster": compute.is_some_and(|c| c.id.kind == Kind::Cluster),
            "host": vm.host.map(|h| h.to_string()),
            "hostName": host.map(|h| unescape_name(&h.name)),
            "resourcePool": vm.pool.map(|p| p.to_string()),
            "datastores": ids(&vm.datastores),
            "datastoreNames": names(&vm.datastores),
            "networks": ids(&vm.networks),
            "networkNames": names(&vm.networks),
            "powerState": vm.power.wire(),
            "connectionState": vm.connection.wire(),
            "consolidationNeeded": vm.consolidation_needed,
            "bootTime": vm.boot_time.map(|t| t.to_string()),
            "config": vm.config.as_deref().map(config),
            "guest": guest(&vm.guest),
            "snapshots": snapshots,
            "tags": tags,
        }),
    )
}

fn config(config: &Config) -> Value {
    json!({
        "uuid": config.uuid, "instanceUuid": config.instance_uuid, "template": config.template,
        "guestId": config.guest_id, "guestFullName": config.guest_full_name, "annotation": config.annotation,
        "version": config.version, "firmware": config.firmware,
        "createDate": config.create_date.map(|t| t.to_string()),
        "managedBy": config.managed_by.map(|(extension, kind)| json!({ "extensionKey": extension, "type": kind })),
        "faultTolerance": config.fault_tolerance.as_ref().map(|(role, uuids)| json!({ "role": role, "instanceUuids": uuids })),
        "cpus": config.cpus, "coresPerSocket": config.cores_per_socket, "memoryMb": config.memory_mb,
        "disks": config.disks.iter().map(|d| disk(config, d)).collect::<Vec<_>>(),
        "nics": config.nics.iter().map(nic).collect::<Vec<_>>(),
        "pciPassthrough": config.passthrough,
    })
}

fn disk(config: &Config, disk: &Disk) -> Value {
    let (backing, compatibility) = match disk.backing {
        Backing::FlatThin | Backing::FlatLazy | Backing::FlatEager => {
            ("VirtualDiskFlatVer2BackingInfo", None)
        }
        Backing::SeSparse => ("VirtualDiskSeSparseBackingInfo", None),
        Backing::RdmPhysical => ("VirtualDiskRawDiskMappingVer1BackingInfo", Some("physicalMode")),
        Backing::RdmVirtual => ("VirtualDiskRawDiskMappingVer1BackingInfo", Some("virtualMode")),
    };
    let thin = match disk.backing {
        Backing::FlatThin => Some(true),
        Backing::FlatLazy | Backing::FlatEager => Some(false),
        _ => None,
    };
    let mode = (disk.backing != Backing::RdmPhysical).then_some(disk.mode);
    let controller = config.controllers.iter().find(|c| c.key == disk.controller);
    let shared_bus = controller.map(|c| c.sharing).filter(|_| (1000..1004).contains(&disk.controller));
    let sharing = (disk.backing != Backing::SeSparse).then_some(disk.sharing);
    json!({
        "key": disk.key, "controllerKey": disk.controller, "unitNumber": disk.unit, "bytes": disk.bytes,
        "mode": mode, "backing": backing, "compatibilityMode": compatibility, "thin": thin,
        "datastore": disk.datastore.to_string(), "sharing": sharing, "sharedBus": shared_bus,
    })
}

fn nic(nic: &Nic) -> Value {
    json!({
        "key": nic.key, "type": nic.model, "mac": props::mac(nic.mac), "network": nic.network.to_string(),
        "connected": nic.connected,
    })
}

fn guest(guest: &Guest) -> Value {
    let nics: Vec<Value> = guest
        .nics
        .iter()
        .map(|nic| {
            let addresses: Vec<Value> = nic
                .addresses
                .iter()
                .map(|a| json!({ "ip": a.ip, "prefixLength": a.prefix, "state": a.state }))
                .collect();
            json!({ "network": nic.network, "mac": props::mac(nic.mac), "deviceKey": nic.device_key, "addresses": addresses })
        })
        .collect();
    json!({
        "toolsRunningStatus": guest.tools_running, "toolsVersionStatus2": guest.tools_version_status2,
        "toolsVersion": guest.tools_version.unwrap_or(0).to_string(),
        "family": guest.family, "id": guest.id, "fullName": guest.full_name, "state": guest.state,
        "operationsReady": guest.operations_ready, "hostName": guest.host_name, "ipAddress": guest.ip, "nics": nics,
    })
}

fn snapshot(world: &World, snapshot: &Snapshot) -> Value {
    json!({
        "id": ObjId::new(Kind::Snapshot, snapshot.num).to_string(),
        "name": snapshot.name, "description": snapshot.description, "createTime": snapshot.created.to_string(),
        "state": snapshot.state.wire(), "quiesced": snapshot.quiesced,
        "madeBy": world.tasks.maker(snapshot.num),
        "bytes": world.tasks.disks.delta(snapshot.num).map(|delta| delta.bytes + delta.memory),
        "children": snapshot.children.iter().map(|child| self::snapshot(world, child)).collect::<Vec<_>>(),
    })
}
