//! Identifiers of the vSphere world as types, so that one kind of id can never be passed for another.
//!
//! A managed object reference is unique only inside one vCenter, and vCenters that were cloned hand out the same ones:
//! what identifies a VM to the outside is always the pair of the vCenter's instance UUID and the reference.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The type of a managed object, such as `VirtualMachine`.
///
/// The types this client works with are variants, so that a reference to one of 45,000 VMs needs no second string;
/// every other type is kept by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum MoKind {
    /// A virtual machine or a template.
    VirtualMachine,
    /// An ESXi host.
    HostSystem,
    /// A standalone host's compute resource.
    ComputeResource,
    /// A cluster of hosts.
    ClusterComputeResource,
    /// A datastore.
    Datastore,
    /// A datacenter.
    Datacenter,
    /// An inventory folder.
    Folder,
    /// A datastore cluster, which is a folder to the inventory.
    StoragePod,
    /// A resource pool.
    ResourcePool,
    /// A vApp, which is a resource pool to the inventory.
    VirtualApp,
    /// A standard network.
    Network,
    /// A port group of a distributed switch.
    DistributedVirtualPortgroup,
    /// A network managed outside vCenter, such as NSX.
    OpaqueNetwork,
    /// Any other type.
    Other(Arc<str>),
}

macro_rules! kinds {
    ($($variant:ident),* $(,)?) => {
        impl MoKind {
            /// The type's name in the API.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => stringify!($variant),)* Self::Other(name) => name }
            }
        }
        impl From<&str> for MoKind {
            fn from(name: &str) -> Self {
                match name { $(stringify!($variant) => Self::$variant,)* other => Self::Other(other.into()) }
            }
        }
    };
}
kinds!(
    VirtualMachine,
    HostSystem,
    ComputeResource,
    ClusterComputeResource,
    Datastore,
    Datacenter,
    Folder,
    StoragePod,
    ResourcePool,
    VirtualApp,
    Network,
    DistributedVirtualPortgroup,
    OpaqueNetwork,
);

impl MoKind {
    /// Whether an object of this type is also one of `base`, by the API's inheritance.
    #[must_use]
    pub fn is_a(&self, base: &MoKind) -> bool {
        self == base
            || matches!(
                (self, base),
                (Self::ClusterComputeResource, Self::ComputeResource)
                    | (Self::StoragePod, Self::Folder)
                    | (Self::VirtualApp, Self::ResourcePool)
                    | (Self::DistributedVirtualPortgroup | Self::OpaqueNetwork, Self::Network)
            )
    }
}

/// A managed object reference: type and value, for example `VirtualMachine` and `vm-19`.
///
/// Unique inside one vCenter only. Order is natural: `vm-9` comes before `vm-10`.
///
/// A pointer: cheap to clone, and small where tens of thousands of objects refer to the same few.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MoRef(Arc<Reference>);

#[derive(PartialEq, Eq, Hash)]
struct Reference {
    kind: MoKind,
    value: Arc<str>,
}

impl MoRef {
    /// A reference to the object `value` of type `kind`.
    pub fn new(kind: &str, value: &str) -> Self {
        Self::of(kind.into(), value)
    }

    /// The same from a kind that is already known.
    pub fn of(kind: MoKind, value: &str) -> Self {
        Self(Arc::new(Reference { kind, value: value.into() }))
    }

    /// The object's type name.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.kind.as_str()
    }

    /// The object's type.
    #[must_use]
    pub fn mo_kind(&self) -> &MoKind {
        &self.0.kind
    }

    /// The reference's value, such as `vm-19`.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.0.value
    }

    /// The same for whoever keeps it.
    #[must_use]
    pub fn shared_value(&self) -> Arc<str> {
        self.0.value.clone()
    }

    fn sort_key(&self) -> (&str, u64, &str, &MoKind) {
        let value = self.value();
        let digits = value.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (stem, number) = value.split_at(digits);
        (stem, number.parse().unwrap_or(u64::MAX), value, self.mo_kind())
    }
}

impl Ord for MoRef {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl PartialOrd for MoRef {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for MoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.value())
    }
}

impl fmt::Debug for MoRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    };
}

uuid_newtype! {
    /// `about.instanceUuid` of a vCenter: the same in every session, different between vCenters unless one was cloned.
    VcenterUuid
}
uuid_newtype! {
    /// `config.instanceUuid` of a VM: made by vCenter to be unique in it and kept when the VM moves between vCenters.
    InstanceUuid
}
uuid_newtype! {
    /// `config.uuid` of a VM: its SMBIOS product UUID, which the guest sees too (up to the byte order of the first three groups).
    /// Repeats after clones and restores, so it identifies nothing by itself.
    BiosUuid
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_natural_and_total() {
        let mut refs: Vec<_> = ["vm-10", "vm-9", "vm-9x", "vm-", "vm-100000000000000000000", "vm-09"]
            .map(|v| MoRef::new("VirtualMachine", v))
            .into();
        refs.sort();
        let values: Vec<_> = refs.iter().map(MoRef::value).collect();
        assert_eq!(values, ["vm-09", "vm-9", "vm-10", "vm-", "vm-100000000000000000000", "vm-9x"]);
    }

    #[test]
    fn subtypes_count_as_their_base() {
        assert!(MoKind::from("VirtualApp").is_a(&MoKind::ResourcePool));
        assert!(!MoKind::from("ResourcePool").is_a(&MoKind::VirtualApp));
        assert_eq!(MoKind::from("Nonsense").as_str(), "Nonsense");
    }
}
