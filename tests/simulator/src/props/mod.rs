//! Which properties exist, and how each is written as XML.
//!
//! A path that is in no list here is refused with `InvalidProperty`, as vCenter refuses a misspelt one. A path that
//! is listed but has no value on an object is left out of the answer, as vCenter does with unset optional properties.

mod devices;
mod guest;

mod layout;
mod other;
mod settings;
mod snapshot;
mod task;
mod value;
mod vm;

pub(crate) use self::guest::mac;
pub(crate) use self::other::field_definition;
pub(crate) use self::settings::has_service;
use crate::world::{Body, Kind, ObjId, World};
use crate::xml::Xml;

const ENTITY: &[&str] = &[
    "name",
    "parent",
    "overallStatus",
    "configStatus",
    "customValue",
    "value",
    "availableField",
    "recentTask",
];

/// The properties that a type adds to those of its bases.
fn own_paths(type_name: &str) -> &'static [&'static str] {
    match type_name {
        "ManagedEntity" => ENTITY,
        "VirtualMachine" => vm::PATHS,
        "HostSystem" => other::HOST,
        "ComputeResource" => &["host", "resourcePool", "datastore", "network"],
        "Datastore" => other::DATASTORE,
        "Datacenter" => {
            &["vmFolder", "hostFolder", "datastoreFolder", "networkFolder", "datastore", "network"]
        }
        "Folder" => &["childEntity", "childType"],
        "ResourcePool" => &["owner", "resourcePool", "vm"],
        "VirtualApp" => &["parentFolder", "parentVApp"],
        "DistributedVirtualPortgroup" => &["key"],
        "CustomFieldsManager" => &["field"],
        "Task" => &["info"],
        "TaskManager" => &["recentTask"],
        "VirtualMachineSnapshot" => &["vm", "childSnapshot"],
        _ => &[],
    }
}

/// The types that a property specification may name for inventory objects.
pub(crate) fn is_known_type(type_name: &str) -> bool {
    matches!(
        type_name,
        "ManagedEntity"
            | "VirtualMachine"
            | "HostSystem"
            | "ComputeResource"
            | "ClusterComputeResource"
            | "Datastore"
            | "Datacenter"
            | "Folder"
            | "StoragePod"
            | "ResourcePool"
            | "VirtualApp"
            | "Network"
            | "OpaqueNetwork"
            | "DistributedVirtualPortgroup"
            | "DistributedVirtualSwitch"
            | "CustomFieldsManager"
            | "VirtualMachineSnapshot"
            | "Task"
            | "TaskManager"
    )
}

/// The type of managed entity called so, which custom attributes can be defined for.
pub(crate) fn entity_type(type_name: &str) -> Option<&'static str> {
    let types = lineage(type_name);
    types.contains(&"ManagedEntity").then(|| types.iter().find(|name| **name == type_name).copied()).flatten()
}

/// The types that a type inherits from, itself first.
fn lineage(type_name: &str) -> &'static [&'static str] {
    match type_name {
        "VirtualMachine" => Kind::Vm.types(),
        "HostSystem" => Kind::Host.types(),
        "ComputeResource" => Kind::StandaloneHost.types(),
        "ClusterComputeResource" => Kind::Cluster.types(),
        "Datastore" => Kind::Datastore.types(),
        "Datacenter" => Kind::Datacenter.types(),
        "Folder" => Kind::VmFolder.types(),
        "StoragePod" => Kind::StoragePod.types(),
        "ResourcePool" => Kind::Pool.types(),
        "VirtualApp" => Kind::VApp.types(),
        "Network" | "OpaqueNetwork" => Kind::Network.types(),
        "DistributedVirtualPortgroup" => Kind::Portgroup.types(),
        "CustomFieldsManager" => Kind::CustomFieldsManager.types(),
        "VirtualMachineSnapshot" => Kind::Snapshot.types(),
        "Task" => Kind::Task.types(),
        "TaskManager" => Kind::TaskManager.types(),
        // There are none, but clients that look for a path ask for them.
        "DistributedVirtualSwitch" => &["DistributedVirtualSwitch", "ManagedEntity"],
        "ManagedEntity" => &["ManagedEntity"],
        _ => &[],
    }
}

/// All properties of a type, its bases included.
pub(crate) fn all_paths(type_name: &str) -> impl Iterator<Item = &'static str> {
    lineage(type_name).iter().flat_map(|t| own_paths(t).iter().chain(settings::paths(t)).copied())
}

/// The property called so, when the type (or a base of it) has it.
pub(crate) fn known_path(type_name: &str, path: &str) -> Option<&'static str> {
    let inside: &[&str] = if type_name == "Task" { task::INSIDE } else { &[] };
    all_paths(type_name).chain(inside.iter().copied()).find(|known| *known == path)
}

/// Whether a change of `changed` is a change of `asked`: the same, or one contains the other.
pub(crate) fn touches(changed: &str, asked: &str) -> bool {
    let (short, long) = if changed.len() <= asked.len() { (changed, asked) } else { (asked, changed) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Writes the value of a property as an element called `tag`; false (and nothing written) when it is unset.
pub(crate) fn write(world: &World, id: ObjId, path: &str, tag: &str, xml: &mut Xml) -> bool {
    if id == ObjId::CUSTOM_FIELDS {
        other::field_definitions(world, None, tag, xml);
        return true;
    }
    match id.kind {
        Kind::Task => return world.tasks.get(id).is_some_and(|known| task::write(id, known, path, tag, xml)),
        Kind::TaskManager => {
            xml.moref_array(tag, world.tasks.recent(None));
            return true;
        }
        Kind::Snapshot => return snapshot::write_own(world, id, path, tag, xml),
        _ => {}
    }
    let Some(entity) = world.get(id) else { return false };
    match path {
        "name" => xml.typed_text(tag, "xsd:string", &entity.name),
        "parent" => match entity.parent {
            Some(parent) => xml.moref_val(tag, parent),
            None => return false,
        },
        "overallStatus" | "configStatus" => xml.typed_val(tag, "ManagedEntityStatus", "green"),
        "customValue" | "value" => {
            xml.open_typed(tag, "ArrayOfCustomFieldValue");
            for (key, value) in &entity.custom {
                xml.open_typed("CustomFieldValue", "CustomFieldStringValue");
                xml.val("key", key);
                xml.text("value", value);
                xml.close("CustomFieldValue");
            }
            xml.close(tag);
        }
        "recentTask" => xml.moref_array(tag, world.tasks.recent(Some(id))),
        "availableField" => other::field_definitions(world, Some(id.kind), tag, xml),
        _ => {
            let written = match &entity.body {
                Body::Vm(machine) => vm::write(world, entity, machine, path, tag, xml),
                _ => other::write(world, entity, path, tag, xml),
            };
            return written || settings::write(world, entity, path, tag, xml);
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_contains_it_and_what_it_contains() {
        assert!(touches("config.annotation", "config.annotation"));
        assert!(touches("config", "config.annotation"));
        assert!(touches("guest.net", "guest"));
        assert!(!touches("guest.net", "guest.network"));
        assert!(!touches("name", "config.name"));
    }

    #[test]
    fn derived_types_have_the_properties_of_their_bases() {
        assert_eq!(known_path("ClusterComputeResource", "host"), Some("host"));
        assert_eq!(known_path("VirtualApp", "owner"), Some("owner"));
        assert_eq!(known_path("ResourcePool", "parentFolder"), None);
        assert_eq!(known_path("VirtualMachine", "nmae"), None);
    }
}
