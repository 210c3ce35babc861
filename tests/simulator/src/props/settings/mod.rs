//! How objects are set up: what hardening rules ask. Each value is what the real thing would say, with its types; which objects
//! are set up badly is for [`crate::world::hardening`] to say.

mod cluster;
mod host;
mod host_hardware;
mod host_options;
mod portgroup;
mod vm;

use crate::world::{Body, Entity, Kind, ObjId, World};
use crate::xml::Xml;

/// Whether hosts have a service called so.
pub(crate) fn has_service(key: &str) -> bool {
    host::SERVICES.iter().any(|service| service.key == key)
}

/// The paths of settings that a type has of its own.
pub(super) fn paths(type_name: &str) -> &'static [&'static str] {
    match type_name {
        "VirtualMachine" => vm::PATHS,
        "HostSystem" => host::PATHS,
        "ComputeResource" => cluster::COMPUTE_PATHS,
        "ClusterComputeResource" => cluster::PATHS,
        "DistributedVirtualPortgroup" => portgroup::PATHS,
        _ => &[],
    }
}

/// Writes one setting; false when it is unset or no setting at all.
pub(super) fn write(world: &World, entity: &Entity, path: &str, tag: &str, xml: &mut Xml) -> bool {
    let value = match &entity.body {
        Body::Vm(machine) => {
            machine.config.as_deref().and_then(|config| vm::value(world, entity, config, path))
        }
        Body::Host(host) => host::value(world, entity, host, path),
        Body::Compute(_) if entity.id.kind == Kind::Cluster => cluster::value(world, entity.id, path),
        Body::Compute(_) => cluster::standalone(path),
        Body::Network if entity.id.kind == Kind::Portgroup => portgroup::value(world, entity, path),
        _ => None,
    };
    let Some(value) = value else { return false };
    value.write(tag, xml);
    true
}

/// What is asked, for one object: its settings are good ones unless told otherwise.
#[derive(Clone, Copy)]
struct Of<'a> {
    world: &'a World,
    id: ObjId,
}

impl Of<'_> {
    fn weak(self, setting: &str) -> bool {
        self.world.hardening.is_weak(self.id, setting)
    }

    /// One of two values: the good one, or the bad one.
    fn either<T>(self, setting: &str, good: T, bad: T) -> T {
        if self.weak(setting) { bad } else { good }
    }
}
