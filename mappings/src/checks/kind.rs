//! The kinds of vSphere objects that rules are about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A kind of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A VM.
    Vm,
    /// An ESXi host.
    Host,
    /// A cluster of hosts.
    Cluster,
    /// A port group of a distributed switch.
    Portgroup,
}

impl Kind {
    /// Every kind.
    pub const ALL: &[Self] = &[Self::Vm, Self::Host, Self::Cluster, Self::Portgroup];
    /// Every kind as it is written.
    pub const WORDS: &[&str] = &["vm", "host", "cluster", "portgroup"];

    /// The type of managed object, as the property collector knows it.
    #[must_use]
    pub fn managed_type(self) -> &'static str {
        match self {
            Self::Vm => "VirtualMachine",
            Self::Host => "HostSystem",
            Self::Cluster => "ClusterComputeResource",
            Self::Portgroup => "DistributedVirtualPortgroup",
        }
    }

    /// The kind as it is written in rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    /// Whether the provider looks after objects of this kind where the provider runs the hosts (VMware Cloud on AWS): all
    /// but VMs.
    #[must_use]
    pub fn is_the_providers(self) -> bool {
        self != Self::Vm
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
