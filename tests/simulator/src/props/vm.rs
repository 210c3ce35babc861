//! Properties of virtual machines.

use crate::world::World;
use crate::world::entity::Entity;
use crate::world::vm::{Config, Vm};
use crate::xml::Xml;

use super::{devices, guest, layout, snapshot};

pub(super) const PATHS: &[&str] = &[
    "parentVApp",
    "config.name",
    "config.uuid",
    "config.instanceUuid",
    "config.template",
    "config.guestId",
    "config.guestFullName",
    "config.annotation",
    "config.version",
    "config.firmware",
    "config.createDate",
    "config.managedBy",
    "config.ftInfo",
    "config.hardware",
    "config.hardware.numCPU",
    "config.hardware.numCoresPerSocket",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "config.extraConfig",
    "runtime",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
    "runtime.consolidationNeeded",
    "runtime.bootTime",
    "guest",
    "guest.toolsRunningStatus",
    "guest.toolsVersionStatus2",
    "guest.toolsVersion",
    "guest.guestFamily",
    "guest.guestId",
    "guest.guestFullName",
    "guest.guestState",
    "guest.guestOperationsReady",
    "guest.hostName",
    "guest.ipAddress",
    "guest.net",
    "datastore",
    "network",
    "resourcePool",
    "snapshot",
    "layoutEx",
    "summary",
    "summary.config",
    "summary.runtime",
    "summary.guest",
];

/// Writes one property; false when it is unset.
pub(super) fn write(world: &World, entity: &Entity, vm: &Vm, path: &str, tag: &str, xml: &mut Xml) -> bool {
    if let Some(rest) = path.strip_prefix("config.") {
        return vm.config.as_ref().is_some_and(|config| write_config(world, entity, config, rest, tag, xml));
    }
    if path == "guest" {
        guest::whole(&vm.guest, tag, xml);
        return true;
    }
    if let Some(rest) = path.strip_prefix("guest.") {
        return guest::write(&vm.guest, rest, tag, xml);
    }
    match path {
        "parentVApp" => {
            return vm.parent_vapp.is_some_and(|vapp| {
                xml.moref_val(tag, vapp);
                true
            });
        }
        "runtime" | "summary.runtime" => {
            xml.open_typed(tag, "VirtualMachineRuntimeInfo");
            runtime(vm, xml);
            xml.close(tag);
        }
        "runtime.powerState" => xml.typed_val(tag, "VirtualMachinePowerState", vm.power.wire()),
        "runtime.connectionState" => {
            xml.typed_val(tag, "VirtualMachineConnectionState", vm.connection.wire());
        }
        "runtime.host" => {
            return vm.host.is_some_and(|host| {
                xml.moref_val(tag, host);
                true
            });
        }
        "runtime.consolidationNeeded" => xml.typed_val(tag, "xsd:boolean", vm.consolidation_needed),
        "runtime.bootTime" => {
            return vm.boot_time.is_some_and(|time| {
                xml.typed_val(tag, "xsd:dateTime", time);
                true
            });
        }
        "datastore" => xml.moref_array(tag, vm.datastores.iter().copied()),
        "network" => xml.moref_array(tag, vm.networks.iter().copied()),
        "resourcePool" => {
            return vm.pool.is_some_and(|pool| {
                xml.moref_val(tag, pool);
                true
            });
        }
        "snapshot" => {
            return vm.snapshots.as_ref().is_some_and(|tree| {
                snapshot::write(tree, entity.id, tag, xml);
                true
            });
        }
        "layoutEx" => layout::write(world, entity, vm, tag, xml),
        "summary.config" => {
            xml.open_typed(tag, "VirtualMachineConfigSummary");
            config_summary(entity, vm.config.as_deref(), xml);
            xml.close(tag);
        }
        "summary.guest" => {
            xml.open_typed(tag, "VirtualMachineGuestSummary");
            guest::summary(&vm.guest, xml);
            xml.close(tag);
        }
        "summary" => {
            xml.open_typed(tag, "VirtualMachineSummary");
            xml.moref("vm", entity.id);
            xml.open("runtime");
            runtime(vm, xml);
            xml.close("runtime");
            xml.open("guest");
            guest::summary(&vm.guest, xml);
            xml.close("guest");
            xml.open("config");
            config_summary(entity, vm.config.as_deref(), xml);
            xml.close("config");
            xml.open("quickStats");
            xml.val("guestHeartbeatStatus", "gray");
            xml.close("quickStats");
            xml.val("overallStatus", "green");
            xml.close(tag);
        }
        _ => return false,
    }
    true
}

fn runtime(vm: &Vm, xml: &mut Xml) {
    if let Some(host) = vm.host {
        xml.moref("host", host);
    }
    xml.val("connectionState", vm.connection.wire());
    xml.val("powerState", vm.power.wire());
    let fault_tolerance = vm.config.as_ref().and_then(|c| c.fault_tolerance.as_ref());
    xml.val("faultToleranceState", if fault_tolerance.is_some() { "running" } else { "notConfigured" });
    xml.val("toolsInstallerMounted", false);
    if let Some(time) = vm.boot_time {
        xml.val("bootTime", time);
    }
    xml.val("numMksConnections", 0);
    xml.val("recordReplayState", "inactive");
    xml.val("onlineStandby", false);
    xml.val("consolidationNeeded", vm.consolidation_needed);
}

fn config_summary(entity: &Entity, config: Option<&Config>, xml: &mut Xml) {
    xml.text("name", &entity.name);
    xml.val("template", config.is_some_and(|c| c.template));
    xml.text("vmPathName", &format!("[datastore] {0}/{0}.vmx", entity.name));
    let Some(config) = config else { return };
    xml.val("memorySizeMB", config.memory_mb);
    xml.val("numCpu", config.cpus);
    xml.val("numEthernetCards", config.nics.len());
    xml.val("numVirtualDisks", config.disks.len());
    xml.val("uuid", config.uuid);
    xml.val("instanceUuid", config.instance_uuid);
    xml.val("guestId", config.guest_id);
    xml.text("guestFullName", config.guest_full_name);
    xml.text("annotation", &config.annotation);
}

fn write_config(
    world: &World,
    entity: &Entity,
    config: &Config,
    path: &str,
    tag: &str,
    xml: &mut Xml,
) -> bool {
    match path {
        "name" => xml.typed_text(tag, "xsd:string", &entity.name),
        "uuid" => xml.typed_val(tag, "xsd:string", config.uuid),
        "instanceUuid" => xml.typed_val(tag, "xsd:string", config.instance_uuid),
        "template" => xml.typed_val(tag, "xsd:boolean", config.template),
        "guestId" => xml.typed_val(tag, "xsd:string", config.guest_id),
        "guestFullName" => xml.typed_text(tag, "xsd:string", config.guest_full_name),
        "annotation" => xml.typed_text(tag, "xsd:string", &config.annotation),
        "version" => xml.typed_val(tag, "xsd:string", config.version),
        "firmware" => xml.typed_val(tag, "xsd:string", config.firmware),
        "createDate" => {
            return config.create_date.is_some_and(|time| {
                xml.typed_val(tag, "xsd:dateTime", time);
                true
            });
        }
        "managedBy" => {
            return config.managed_by.is_some_and(|(extension, kind)| {
                xml.open_typed(tag, "ManagedByInfo");
                xml.text("extensionKey", extension);
                xml.text("type", kind);
                xml.close(tag);
                true
            });
        }
        "ftInfo" => {
            let Some((role, members)) = &config.fault_tolerance else { return false };
            xml.open_typed(
                tag,
                if *role == 1 {
                    "FaultTolerancePrimaryConfigInfo"
                } else {
                    "FaultToleranceSecondaryConfigInfo"
                },
            );
            xml.val("role", role);
            for uuid in members {
                xml.val("instanceUuids", uuid);
            }
            for at in 0..members.len() {
                xml.text("configPaths", &format!("[datastore] {0}/{0}_{at}.vmx", entity.name));
            }
            xml.close(tag);
        }
        "hardware" => {
            xml.open_typed(tag, "VirtualHardware");
            xml.val("numCPU", config.cpus);
            xml.val("numCoresPerSocket", config.cores_per_socket);
            xml.val("memoryMB", config.memory_mb);
            devices::list(world, entity, config, "device", xml);
            xml.close(tag);
        }
        "hardware.numCPU" => xml.typed_val(tag, "xsd:int", config.cpus),
        "hardware.numCoresPerSocket" => xml.typed_val(tag, "xsd:int", config.cores_per_socket),
        "hardware.memoryMB" => xml.typed_val(tag, "xsd:int", config.memory_mb),
        "hardware.device" => {
            xml.open_typed(tag, "ArrayOfVirtualDevice");
            devices::list(world, entity, config, "VirtualDevice", xml);
            xml.close(tag);
        }
        _ => return false,
    }
    true
}
