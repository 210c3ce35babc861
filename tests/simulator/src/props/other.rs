//! Properties of everything but virtual machines.

use crate::world::entity::{Datastore, Entity, Host};
use crate::world::{Body, CustomField, Kind, World};
use crate::xml::Xml;

pub(super) const HOST: &[&str] = &[
    "summary.config.product",
    "config.certificate",
    "summary.hardware.vendor",
    "summary.hardware.model",
    "summary.hardware.uuid",
    "summary.hardware.numCpuCores",
    "summary.hardware.memorySize",
    "runtime.connectionState",
    "runtime.powerState",
    "runtime.inMaintenanceMode",
    "runtime.bootTime",
    "datastore",
    "network",
    "vm",
];

pub(super) const DATASTORE: &[&str] = &[
    "summary.name",
    "summary.type",
    "summary.capacity",
    "summary.freeSpace",
    "summary.accessible",
    "summary.maintenanceMode",
    "host",
    "vm",
];

/// One definition of a custom attribute.
pub(crate) fn field_definition(field: &CustomField, tag: &str, xml: &mut Xml) {
    xml.open_typed(tag, "CustomFieldDef");
    xml.val("key", field.key);
    xml.text("name", &field.name);
    xml.val("type", "string");
    xml.opt("managedObjectType", field.managed_type);
    xml.close(tag);
}

/// The definitions of custom attributes: all of them, or those that objects of a kind can have.
pub(super) fn field_definitions(world: &World, kind: Option<Kind>, tag: &str, xml: &mut Xml) {
    xml.open_typed(tag, "ArrayOfCustomFieldDef");
    for field in world.fields.iter().filter(|field| kind.is_none_or(|kind| field.is_for(kind))) {
        field_definition(field, "CustomFieldDef", xml);
    }
    xml.close(tag);
}

/// Writes one property; false when it is unset.
pub(super) fn write(world: &World, entity: &Entity, path: &str, tag: &str, xml: &mut Xml) -> bool {
    match (&entity.body, path) {
        (Body::Folder, "childEntity") => xml.moref_array(tag, world.children(entity.id)),
        (Body::Folder, "childType") => {
            xml.open_typed(tag, "ArrayOfString");
            for name in child_types(entity.id.kind) {
                xml.typed_text("string", "xsd:string", name);
            }
            xml.close(tag);
        }
        (Body::Datacenter(folders), _) => match path {
            "vmFolder" => xml.moref_val(tag, folders.vm),
            "hostFolder" => xml.moref_val(tag, folders.host),
            "datastoreFolder" => xml.moref_val(tag, folders.datastore),
            "networkFolder" => xml.moref_val(tag, folders.network),
            "datastore" => below(world, entity, Kind::Datastore, tag, xml),
            "network" => below(world, entity, Kind::Network, tag, xml),
            _ => return false,
        },
        (Body::Compute(compute), _) => match path {
            "host" => xml.moref_array(tag, compute.hosts.iter().copied()),
            "resourcePool" => xml.moref_val(tag, compute.root_pool),
            "datastore" => xml.moref_array(tag, compute.datastores.iter().copied()),
            "network" => xml.moref_array(tag, compute.networks.iter().copied()),
            _ => return false,
        },
        (Body::Host(host), "vm") => {
            let _ = host;
            let here = world.vms().filter(|(_, vm)| vm.host == Some(entity.id)).map(|(e, _)| e.id);
            xml.moref_array(tag, here);
        }
        (Body::Host(_), "config.certificate") => {
            let Some(certificate) = world.doors.told(entity.id) else { return false };
            xml.open_typed(tag, "ArrayOfByte");
            for byte in certificate.bytes() {
                xml.val("byte", byte.cast_signed());
            }
            xml.close(tag);
        }
        (Body::Host(host), _) => return write_host(host, path, tag, xml),
        (Body::Datastore(_), "vm") => {
            let here = world.vms().filter(|(_, vm)| vm.datastores.contains(&entity.id)).map(|(e, _)| e.id);
            xml.moref_array(tag, here);
        }
        (Body::Datastore(datastore), _) => return write_datastore(entity, datastore, path, tag, xml),
        (Body::Pool { owner } | Body::VApp { owner, .. }, "owner") => xml.moref_val(tag, *owner),
        (Body::Pool { .. } | Body::VApp { .. }, "resourcePool") => {
            let pools = world.children(entity.id).filter(|id| id.kind.is_a("ResourcePool"));
            xml.moref_array(tag, pools);
        }
        (Body::Pool { .. } | Body::VApp { .. }, "vm") => {
            let here = world.vms().filter(|(_, vm)| vm.pool == Some(entity.id)).map(|(e, _)| e.id);
            xml.moref_array(tag, here);
        }
        (Body::VApp { parent_folder: Some(folder), .. }, "parentFolder") => xml.moref_val(tag, *folder),
        (Body::VApp { .. }, "parentVApp") => match entity.parent.filter(|p| p.kind == Kind::VApp) {
            Some(parent) => xml.moref_val(tag, parent),
            None => return false,
        },
        (Body::Network, "key") => xml.typed_val(tag, "xsd:string", entity.id),
        _ => return false,
    }
    true
}

fn below(world: &World, datacenter: &Entity, kind: Kind, tag: &str, xml: &mut Xml) {
    let all = world.all().filter(|e| e.id.kind.is_a(kind.type_name()) && world.is_below(e.id, datacenter.id));
    xml.moref_array(tag, all.map(|e| e.id));
}

fn child_types(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::RootFolder => &["Folder", "Datacenter"],
        Kind::HostFolder => &["Folder", "ComputeResource"],
        Kind::DatastoreFolder => &["Folder", "Datastore", "StoragePod"],
        Kind::NetworkFolder => &["Folder", "Network", "DistributedVirtualSwitch"],
        Kind::StoragePod => &["Datastore"],
        _ => &["Folder", "VirtualMachine", "VirtualApp"],
    }
}

fn write_host(host: &Host, path: &str, tag: &str, xml: &mut Xml) -> bool {
    match path {
        "summary.config.product" => {
            // A host that was never reached has no product information.
            if host.connection == "notResponding" && host.power == "unknown" {
                return false;
            }
            xml.open_typed(tag, "AboutInfo");
            xml.val("name", "VMware ESXi");
            xml.val("fullName", format_args!("VMware ESXi {} build-{}", host.version, host.build));
            xml.val("vendor", "VMware, Inc.");
            xml.val("version", host.version);
            xml.val("build", host.build);
            xml.val("localeVersion", "INTL");
            xml.val("localeBuild", "000");
            xml.val("osType", "vmnix-x86");
            xml.val("productLineId", "embeddedEsx");
            xml.val("apiType", "HostAgent");
            xml.val("apiVersion", host.version);
            xml.val("licenseProductName", "VMware ESX Server");
            xml.val("licenseProductVersion", "8.0");
            xml.close(tag);
        }
        "summary.hardware.vendor" => xml.typed_text(tag, "xsd:string", host.vendor),
        "summary.hardware.model" => xml.typed_text(tag, "xsd:string", host.model),
        "summary.hardware.uuid" => xml.typed_val(tag, "xsd:string", host.uuid),
        "summary.hardware.numCpuCores" => xml.typed_val(tag, "xsd:short", host.cores),
        "summary.hardware.memorySize" => xml.typed_val(tag, "xsd:long", host.memory),
        "runtime.connectionState" => xml.typed_val(tag, "HostSystemConnectionState", host.connection),
        "runtime.powerState" => xml.typed_val(tag, "HostSystemPowerState", host.power),
        "runtime.inMaintenanceMode" => xml.typed_val(tag, "xsd:boolean", host.maintenance),
        "runtime.bootTime" => {
            return host.boot_time.is_some_and(|time| {
                xml.typed_val(tag, "xsd:dateTime", time);
                true
            });
        }
        "datastore" => xml.moref_array(tag, host.datastores.iter().copied()),
        "network" => xml.moref_array(tag, host.networks.iter().copied()),
        _ => return false,
    }
    true
}

fn write_datastore(entity: &Entity, datastore: &Datastore, path: &str, tag: &str, xml: &mut Xml) -> bool {
    match path {
        "summary.name" => xml.typed_text(tag, "xsd:string", &entity.name),
        "summary.type" => xml.typed_val(tag, "xsd:string", datastore.kind),
        "summary.capacity" => xml.typed_val(tag, "xsd:long", datastore.capacity),
        "summary.freeSpace" => xml.typed_val(tag, "xsd:long", datastore.free),
        "summary.accessible" => xml.typed_val(tag, "xsd:boolean", datastore.accessible),
        "summary.maintenanceMode" => xml.typed_val(tag, "xsd:string", datastore.maintenance),
        "host" => {
            xml.open_typed(tag, "ArrayOfDatastoreHostMount");
            for host in &datastore.hosts {
                xml.open_typed("DatastoreHostMount", "DatastoreHostMount");
                xml.moref("key", *host);
                xml.open("mountInfo");
                xml.text("path", &format!("/vmfs/volumes/{}", entity.name));
                xml.val("accessMode", "readWrite");
                xml.val("mounted", true);
                xml.val("accessible", datastore.accessible);
                xml.close("mountInfo");
                xml.close("DatastoreHostMount");
            }
            xml.close(tag);
        }
        _ => return false,
    }
    true
}
