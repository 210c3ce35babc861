//! Virtual hardware: the devices that decide whether a VM can be snapshotted, moved or reached.
//!
//! vSphere has some eighty device types. Disks, controllers and network cards are decoded; of every other one only its type,
//! key and label are kept.

use super::{BusSharing, DiskMode};
use crate::ids::MoRef;
use crate::xml::{Decoder, FromXml, Named, XmlError};

/// A virtual device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Number, unique in the VM.
    pub key: i32,
    /// Name shown to people, such as `Hard disk 1`.
    pub label: Option<Box<str>>,
    /// Key of the controller it hangs on.
    pub controller_key: Option<i32>,
    /// Place on that controller.
    pub unit_number: Option<i32>,
    /// What it is.
    pub kind: DeviceKind,
}

/// What a device is.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum DeviceKind {
    /// `VirtualDisk`.
    Disk(Box<Disk>),
    /// A SCSI controller.
    Controller(Controller),
    /// A network card.
    Ethernet(Box<Ethernet>),
    /// A PCI device of the host passed through (`VirtualPCIPassthrough`, also vGPU).
    PciPassthrough,
    /// Any other, by its type name.
    Other(Box<str>),
}

/// A virtual disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Disk {
    /// Size in bytes.
    pub capacity_bytes: i64,
    /// Backing type without `VirtualDisk` and `BackingInfo`: `FlatVer2`, `RawDiskMappingVer1`, `SeSparse`, …
    pub backing: Option<Box<str>>,
    /// How writes and snapshots are treated.
    pub mode: Option<Named<DiskMode>>,
    /// Path of the file, `[datastore] folder/file.vmdk`.
    pub file_name: Option<Box<str>>,
    /// Datastore of the file.
    pub datastore: Option<MoRef>,
    /// Whether space is allocated only when written.
    pub thin: Option<bool>,
    /// For a raw device mapping, `physicalMode` or `virtualMode`.
    pub compatibility_mode: Option<Box<str>>,
    /// `sharingNone` or `sharingMultiWriter`.
    pub sharing: Option<Box<str>>,
}

/// A SCSI controller.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    /// Type name, such as `ParaVirtualSCSIController`.
    pub type_name: Box<str>,
    /// Whether its bus is shared with other VMs.
    pub shared_bus: Option<Named<BusSharing>>,
}

/// A network card.
#[derive(Debug, Clone, PartialEq)]
pub struct Ethernet {
    /// Type name, such as `VirtualVmxnet3`.
    pub type_name: Box<str>,
    /// MAC address.
    pub mac_address: Option<Box<str>>,
    /// Whether it is connected now.
    pub connected: Option<bool>,
    /// Standard network it is on.
    pub network: Option<MoRef>,
    /// Key of the distributed port group it is on.
    pub portgroup_key: Option<Box<str>>,
}

impl Device {
    /// The disk, if it is one.
    #[must_use]
    pub fn disk(&self) -> Option<&Disk> {
        match &self.kind {
            DeviceKind::Disk(disk) => Some(disk),
            _ => None,
        }
    }
}

/// Which decoder a type name asks for.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Disk,
    Scsi,
    Ethernet,
    Passthrough,
    Other,
}

impl Shape {
    fn of(type_name: &str) -> Self {
        match type_name {
            "VirtualDisk" => Self::Disk,
            "VirtualLsiLogicController"
            | "VirtualLsiLogicSASController"
            | "VirtualBusLogicController"
            | "ParaVirtualSCSIController"
            | "VirtualSCSIController" => Self::Scsi,
            "VirtualE1000"
            | "VirtualE1000e"
            | "VirtualVmxnet"
            | "VirtualVmxnet2"
            | "VirtualVmxnet3"
            | "VirtualVmxnet3Vrdma"
            | "VirtualPCNet32"
            | "VirtualSriovEthernetCard"
            | "VirtualEthernetCard" => Self::Ethernet,
            "VirtualPCIPassthrough" => Self::Passthrough,
            _ => Self::Other,
        }
    }
}

impl FromXml for Device {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let shape = Shape::of(d.xsi_type());
        let type_name = || Box::<str>::from(d.xsi_type());
        let kind = match shape {
            Shape::Disk => DeviceKind::Disk(Box::default()),
            Shape::Scsi => DeviceKind::Controller(Controller { type_name: type_name(), shared_bus: None }),
            Shape::Ethernet => DeviceKind::Ethernet(Box::new(Ethernet {
                type_name: type_name(),
                mac_address: None,
                connected: None,
                network: None,
                portgroup_key: None,
            })),
            Shape::Passthrough => DeviceKind::PciPassthrough,
            Shape::Other => DeviceKind::Other(type_name()),
        };
        let mut device = Self { key: 0, label: None, controller_key: None, unit_number: None, kind };
        while d.child()? {
            match d.name() {
                "key" => device.key = d.read()?,
                "deviceInfo" => {
                    while d.child()? {
                        if d.name() == "label" { device.label = Some(d.read()?) } else { d.skip()? }
                    }
                }
                "controllerKey" => device.controller_key = Some(d.read()?),
                "unitNumber" => device.unit_number = Some(d.read()?),
                _ => match &mut device.kind {
                    DeviceKind::Disk(disk) => disk.field(d)?,
                    DeviceKind::Controller(controller) if d.name() == "sharedBus" => {
                        controller.shared_bus = Some(d.read()?);
                    }
                    DeviceKind::Ethernet(card) => card.field(d)?,
                    _ => d.skip()?,
                },
            }
        }
        Ok(device)
    }
}

impl Disk {
    fn field(&mut self, d: &mut Decoder) -> Result<(), XmlError> {
        match d.name() {
            "capacityInBytes" => self.capacity_bytes = d.read()?,
            // Before API 5.5 only this was sent; it comes first, so the exact figure wins.
            "capacityInKB" => self.capacity_bytes = d.read::<i64>()?.saturating_mul(1024),
            "backing" => {
                let type_name = d.xsi_type();
                let type_name = type_name.strip_prefix("VirtualDisk").unwrap_or(type_name);
                self.backing = Some(type_name.strip_suffix("BackingInfo").unwrap_or(type_name).into());
                while d.child()? {
                    match d.name() {
                        "diskMode" => self.mode = Some(d.read()?),
                        "fileName" => self.file_name = Some(d.read()?),
                        "datastore" => self.datastore = Some(d.read()?),
                        "thinProvisioned" => self.thin = Some(d.read()?),
                        "compatibilityMode" => self.compatibility_mode = Some(d.read()?),
                        "sharing" => self.sharing = Some(d.read()?),
                        _ => d.skip()?,
                    }
                }
            }
            _ => d.skip()?,
        }
        Ok(())
    }
}

impl Ethernet {
    fn field(&mut self, d: &mut Decoder) -> Result<(), XmlError> {
        match d.name() {
            "macAddress" => self.mac_address = Some(d.read()?),
            "connectable" => {
                while d.child()? {
                    if d.name() == "connected" { self.connected = Some(d.read()?) } else { d.skip()? }
                }
            }
            "backing" => {
                while d.child()? {
                    match d.name() {
                        "network" => self.network = Some(d.read()?),
                        "port" => {
                            while d.child()? {
                                if d.name() == "portgroupKey" {
                                    self.portgroup_key = Some(d.read()?);
                                } else {
                                    d.skip()?;
                                }
                            }
                        }
                        _ => d.skip()?,
                    }
                }
            }
            _ => d.skip()?,
        }
        Ok(())
    }
}
