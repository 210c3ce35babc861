//! Virtual devices: the standard ones that every VM has, then controllers, disks and network adapters.

use crate::world::entity::Entity;
use crate::world::vm::{Backing, Config, Controller, ControllerKind, Disk, Nic};
use crate::world::{Kind, World};
use crate::xml::Xml;

use super::guest::mac;

/// Devices without anything of their own: type, key, label.
const PLAIN: &[(&str, i32, &str)] = &[
    ("VirtualIDEController", 200, "IDE 0"),
    ("VirtualIDEController", 201, "IDE 1"),
    ("VirtualPS2Controller", 300, "PS2 controller 0"),
    ("VirtualPCIController", 100, "PCI controller 0"),
    ("VirtualSIOController", 400, "SIO controller 0"),
];

/// Writes all devices, each as an element called `tag`.
pub(super) fn list(world: &World, entity: &Entity, config: &Config, tag: &str, xml: &mut Xml) {
    let weak = |setting: &str| world.hardening.is_weak(entity.id, setting);
    for (bus, (class, key, label)) in PLAIN.iter().enumerate() {
        xml.open_typed(tag, class);
        head(*key, label, label, xml);
        xml.val("busNumber", if bus == 1 { 1 } else { 0 });
        xml.close(tag);
    }
    xml.open_typed(tag, "VirtualKeyboard");
    head(600, "Keyboard ", "Keyboard", xml);
    xml.val("controllerKey", 300);
    xml.val("unitNumber", 0);
    xml.close(tag);
    xml.open_typed(tag, "VirtualMachineVideoCard");
    head(500, "Video card ", "Video card", xml);
    xml.val("controllerKey", 100);
    xml.val("unitNumber", 0);
    xml.val("videoRamSizeInKB", 4096);
    xml.val("numDisplays", 1);
    xml.val("useAutoDetect", false);
    xml.val("enable3DSupport", weak("3d"));
    xml.val("use3dRenderer", "automatic");
    xml.val("graphicsMemorySizeInKB", 262_144);
    xml.close(tag);
    xml.open_typed(tag, "VirtualMachineVMCIDevice");
    head(12000, "VMCI device", "Device on the virtual machine PCI bus", xml);
    xml.val("controllerKey", 100);
    xml.val("unitNumber", 17);
    xml.val("id", 1_190_510_052);
    xml.val("allowUnrestrictedCommunication", weak("vmci"));
    xml.val("filterEnable", true);
    xml.close(tag);
    if config.passthrough {
        xml.open_typed(tag, "VirtualPCIPassthrough");
        head(13000, "PCI device 0", "Grid P40-8q", xml);
        xml.open_typed("backing", "VirtualPCIPassthroughVmiopBackingInfo");
        xml.text("vgpu", "grid_p40-8q");
        xml.close("backing");
        xml.val("controllerKey", 100);
        xml.val("unitNumber", 18);
        xml.close(tag);
    }
    unneeded(&weak, tag, xml);
    for controller in &config.controllers {
        xml.open_typed(tag, controller_class(controller.kind));
        write_controller(controller, config, xml);
        xml.close(tag);
    }
    xml.open_typed(tag, "VirtualCdrom");
    head(3000, "CD/DVD drive 1", "Remote device", xml);
    xml.open_typed("backing", "VirtualCdromRemotePassthroughBackingInfo");
    xml.text("deviceName", "");
    xml.val("useAutoDetect", false);
    xml.val("exclusive", false);
    xml.close("backing");
    connectable(weak("cd"), xml);
    xml.val("controllerKey", 200);
    xml.val("unitNumber", 0);
    xml.close(tag);
    for (at, disk) in config.disks.iter().enumerate() {
        xml.open_typed(tag, "VirtualDisk");
        write_disk(world, entity, disk, at, xml);
        xml.close(tag);
    }
    for (at, nic) in config.nics.iter().enumerate() {
        xml.open_typed(tag, nic.model);
        write_nic(world, nic, at, xml);
        xml.close(tag);
    }
}

/// How a removable device is connected.
fn connectable(connected: bool, xml: &mut Xml) {
    xml.open("connectable");
    xml.val("startConnected", connected);
    xml.val("allowGuestControl", true);
    xml.val("connected", connected);
    xml.val("status", if connected { "ok" } else { "untried" });
    xml.close("connectable");
}

/// Devices that old templates have and nobody needs.
fn unneeded(has: &dyn Fn(&str) -> bool, tag: &str, xml: &mut Xml) {
    const DEVICES: &[(&str, &str, i32, &str, &str)] = &[
        ("floppy", "VirtualFloppy", 8000, "Floppy drive 1", "VirtualFloppyRemoteDeviceBackingInfo"),
        ("serial", "VirtualSerialPort", 9000, "Serial port 1", "VirtualSerialPortDeviceBackingInfo"),
        ("parallel", "VirtualParallelPort", 10000, "Parallel port 1", "VirtualParallelPortDeviceBackingInfo"),
    ];
    for (setting, class, key, label, backing) in DEVICES.iter().filter(|(setting, ..)| has(setting)) {
        xml.open_typed(tag, class);
        head(*key, label, "Remote", xml);
        xml.open_typed("backing", backing);
        xml.text("deviceName", "");
        xml.val("useAutoDetect", false);
        xml.close("backing");
        connectable(true, xml);
        xml.val("controllerKey", 400);
        xml.val("unitNumber", 0);
        if *setting == "serial" {
            xml.val("yieldOnPoll", true);
        }
        xml.close(tag);
    }
    if has("usb") {
        xml.open_typed(tag, "VirtualUSBController");
        head(7000, "USB controller", "Auto connect Enabled", xml);
        xml.val("controllerKey", 100);
        xml.val("unitNumber", 22);
        xml.val("busNumber", 0);
        xml.val("autoConnectDevices", true);
        xml.val("ehciEnabled", true);
        xml.close(tag);
    }
}

fn head(key: i32, label: &str, summary: &str, xml: &mut Xml) {
    xml.val("key", key);
    xml.open("deviceInfo");
    xml.text("label", label);
    xml.text("summary", summary);
    xml.close("deviceInfo");
}

fn controller_class(kind: ControllerKind) -> &'static str {
    match kind {
        ControllerKind::ParaVirtual => "ParaVirtualSCSIController",
        ControllerKind::LsiSas => "VirtualLsiLogicSASController",
        ControllerKind::Ahci => "VirtualAHCIController",
        ControllerKind::Nvme => "VirtualNVMEController",
    }
}

fn write_controller(controller: &Controller, config: &Config, xml: &mut Xml) {
    let (name, summary) = match controller.kind {
        ControllerKind::ParaVirtual => ("SCSI controller", "VMware paravirtual SCSI"),
        ControllerKind::LsiSas => ("SCSI controller", "LSI Logic SAS"),
        ControllerKind::Ahci => ("SATA controller", "AHCI"),
        ControllerKind::Nvme => ("NVME controller", "NVME controller"),
    };
    head(controller.key, &format!("{name} {}", controller.bus), summary, xml);
    xml.val("controllerKey", 100);
    xml.val("unitNumber", u32::from(controller.bus) + 3);
    xml.val("busNumber", controller.bus);
    for disk in config.disks.iter().filter(|d| d.controller == controller.key) {
        xml.val("device", disk.key);
    }
    match controller.kind {
        ControllerKind::ParaVirtual | ControllerKind::LsiSas => {
            xml.val("hotAddRemove", true);
            xml.val("sharedBus", controller.sharing);
            xml.val("scsiCtlrUnitNumber", 7);
        }
        ControllerKind::Nvme if controller.sharing != "noSharing" => xml.val("sharedBus", controller.sharing),
        ControllerKind::Nvme | ControllerKind::Ahci => {}
    }
}

/// `2,097,152 KB`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn write_disk(world: &World, entity: &Entity, disk: &Disk, at: usize, xml: &mut Xml) {
    let kilobytes = disk.bytes / 1024;
    head(disk.key, &format!("Hard disk {}", at + 1), &format!("{} KB", thousands(kilobytes)), xml);
    let (class, raw) = match disk.backing {
        Backing::FlatThin | Backing::FlatLazy | Backing::FlatEager => {
            ("VirtualDiskFlatVer2BackingInfo", None)
        }
        Backing::SeSparse => ("VirtualDiskSeSparseBackingInfo", None),
        Backing::RdmPhysical => ("VirtualDiskRawDiskMappingVer1BackingInfo", Some("physicalMode")),
        Backing::RdmVirtual => ("VirtualDiskRawDiskMappingVer1BackingInfo", Some("virtualMode")),
    };
    xml.open_typed("backing", class);
    let datastore = world.get(disk.datastore).map_or("datastore", |d| &*d.name);
    let suffix = if at == 0 { String::new() } else { format!("_{at}") };
    xml.text("fileName", &format!("[{datastore}] {0}/{0}{suffix}.vmdk", entity.name));
    xml.moref("datastore", disk.datastore);
    if let Some(mode) = raw {
        xml.val("lunUuid", format_args!("0200000000{}", disk.uuid.simple()));
        xml.val("deviceName", format_args!("vml.0200000000{}", disk.uuid.simple()));
        xml.val("compatibilityMode", mode);
        // Physical mode has no disk mode of its own: the guest talks to the LUN.
        if mode == "virtualMode" {
            xml.val("diskMode", disk.mode);
        }
        xml.val("uuid", disk.uuid);
        xml.val("sharing", disk.sharing);
    } else {
        xml.val("diskMode", disk.mode);
        if disk.backing != Backing::SeSparse {
            xml.val("split", false);
        }
        xml.val("writeThrough", false);
        if disk.backing != Backing::SeSparse {
            xml.val("thinProvisioned", disk.backing == Backing::FlatThin);
            if disk.backing != Backing::FlatThin {
                xml.val("eagerlyScrub", disk.backing == Backing::FlatEager);
            }
        }
        xml.val("uuid", format_args!("6000C29{}", &disk.uuid.to_string()[7..]));
        xml.val("digestEnabled", false);
        if disk.backing != Backing::SeSparse {
            xml.val("sharing", disk.sharing);
        }
    }
    xml.close("backing");
    xml.val("controllerKey", disk.controller);
    xml.val("unitNumber", disk.unit);
    xml.val("capacityInKB", kilobytes);
    xml.val("capacityInBytes", disk.bytes);
    xml.open("shares");
    xml.val("shares", 1000);
    xml.val("level", "normal");
    xml.close("shares");
}

fn write_nic(world: &World, nic: &Nic, at: usize, xml: &mut Xml) {
    let network = world.get(nic.network).map_or("", |n| &*n.name);
    let label = format!("Network adapter {}", at + 1);
    if nic.network.kind == Kind::Portgroup {
        let switch = "50 0a 1c 3e 5f 60 71 82-93 a4 b5 c6 d7 e8 f9 0a";
        head(nic.key, &label, &format!("DVSwitch: {switch}"), xml);
        xml.open_typed("backing", "VirtualEthernetCardDistributedVirtualPortBackingInfo");
        xml.open("port");
        xml.text("switchUuid", switch);
        xml.val("portgroupKey", nic.network);
        xml.val("portKey", nic.key - 3900);
        xml.val("connectionCookie", 1_190_510_052);
        xml.close("port");
        xml.close("backing");
    } else {
        head(nic.key, &label, network, xml);
        xml.open_typed("backing", "VirtualEthernetCardNetworkBackingInfo");
        xml.text("deviceName", network);
        xml.val("useAutoDetect", false);
        xml.moref("network", nic.network);
        xml.close("backing");
    }
    xml.open("connectable");
    xml.val("migrateConnect", "unset");
    xml.val("startConnected", true);
    xml.val("allowGuestControl", true);
    xml.val("connected", nic.connected);
    xml.val("status", if nic.connected { "ok" } else { "untried" });
    xml.close("connectable");
    xml.val("controllerKey", 100);
    xml.val("unitNumber", at + 7);
    xml.val("addressType", "assigned");
    xml.text("macAddress", &mac(nic.mac));
    xml.val("wakeOnLanEnabled", true);
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn sizes_are_grouped_by_thousands() {
        assert_eq!(thousands(2_097_152), "2,097,152");
        assert_eq!(thousands(100), "100");
        assert_eq!(thousands(1000), "1,000");
    }
}
