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
    /// Something that vCenter does for a while.
    Task,
    /// A snapshot of a virtual machine.
    VirtualMachineSnapshot,
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
    Task,
    VirtualMachineSnapshot,
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

/// A reference that was taken for one to an object of another type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is not a {expected}")]
pub struct OtherKind {
    /// The type that was expected.
    pub expected: MoKind,
    /// The reference.
    pub found: MoRef,
}

impl fmt::Display for MoKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! moref_newtype {
    ($(#[$doc:meta])* $name:ident of $kind:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(into = "String", from = "String")]
        pub struct $name(MoRef);

        impl $name {
            /// The reference with this value, such as it is kept in a file.
            #[must_use]
            pub fn new(value: &str) -> Self {
                Self(MoRef::of(MoKind::$kind, value))
            }

            /// The reference's value.
            #[must_use]
            pub fn value(&self) -> &str {
                self.0.value()
            }

            /// The same as a reference to any managed object.
            #[must_use]
            pub fn as_moref(&self) -> &MoRef {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.value())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl TryFrom<MoRef> for $name {
            type Error = OtherKind;
            fn try_from(found: MoRef) -> Result<Self, OtherKind> {
                if *found.mo_kind() == MoKind::$kind {
                    return Ok(Self(found));
                }
                Err(OtherKind { expected: MoKind::$kind, found })
            }
        }

        impl From<$name> for MoRef {
            fn from(reference: $name) -> Self {
                reference.0
            }
        }

        impl From<$name> for String {
            fn from(reference: $name) -> Self {
                reference.value().to_owned()
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self::new(&value)
            }
        }
    };
}

moref_newtype! {
    /// A task of one vCenter, such as `task-4711`. The object is gone about ten minutes after the task has ended, and with a
    /// restart of the vCenter.
    TaskRef of Task
}
moref_newtype! {
    /// A snapshot of a VM of one vCenter, such as `snapshot-815`. Only this names a snapshot: its name may be that of others.
    SnapshotRef of VirtualMachineSnapshot
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

    #[test]
    fn a_reference_of_one_kind_is_not_taken_for_another_and_is_kept_as_its_value() {
        let task = TaskRef::try_from(MoRef::new("Task", "task-9")).unwrap();
        assert_eq!(
            (task.to_string().as_str(), MoRef::from(task.clone())),
            ("task-9", MoRef::new("Task", "task-9"))
        );
        let error = SnapshotRef::try_from(MoRef::new("Task", "task-9")).unwrap_err();
        assert_eq!(error.to_string(), "Task:task-9 is not a VirtualMachineSnapshot");
        let text = serde_json::to_string(&task).unwrap();
        assert_eq!((text.as_str(), serde_json::from_str::<TaskRef>(&text).unwrap()), ("\"task-9\"", task));
        assert!(TaskRef::new("task-9") < TaskRef::new("task-10"));
    }
}
