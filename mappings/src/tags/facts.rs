//! What tag rules may ask about a VM, beyond what selectors ask.

use std::fmt;

use crate::selector::{Fact, VmFacts};

/// The view of one VM that tag rules read.
pub trait TagFacts: VmFacts {
    /// The name of the resource pool that the VM is in; [`Fact::Absent`] for templates, which are in none.
    fn resource_pool(&self) -> Fact<&str>;

    /// The full name of the guest operating system, such as `Ubuntu Linux (64-bit)`: as the VM is configured, not as Tools
    /// report it, since that changes whenever Tools come and go.
    fn guest_os(&self) -> Fact<&str>;

    /// What the guest calls itself, as Tools report it. [`Fact::Absent`] when Tools report nothing; a VM that is switched
    /// off should lend the last name that is known, or [`Fact::Unknown`], so that its tags stay.
    fn host_name(&self) -> Fact<&str>;
}

macro_rules! placeholders {
    ($($(#[$meta:meta])* $variant:ident = $word:literal, $doc:literal;)+) => {
        /// A fact that a template can name in braces.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Placeholder {
            $($(#[$meta])* $variant,)+
        }

        impl Placeholder {
            /// Every placeholder, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// Every placeholder as it is written, without braces.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// As it is written, without braces.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What it stands for, in a few words.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

placeholders! {
    /// The vCenter.
    Vcenter = "vcenter", "the vCenter's name in the configuration";
    /// The datacenter.
    Datacenter = "datacenter", "the datacenter's name";
    /// The cluster.
    Cluster = "cluster", "the cluster's name; a stand-alone host has none";
    /// The folder.
    Folder = "folder", "the path of the VM's folder, such as `/Prod/Web`";
    /// The resource pool.
    ResourcePool = "resource-pool", "the resource pool's name";
    /// The name.
    Name = "name", "the VM's name";
    /// The family.
    GuestFamily = "guest-family", "`linux`, `windows`, `darwin`, `solaris`, `netware` or `other`";
    /// The operating system.
    GuestOs = "guest-os", "the guest operating system that the VM is configured for";
    /// The host name.
    HostName = "host-name", "what the guest calls itself";
    /// The power state.
    PowerState = "power-state", "`on`, `off` or `suspended`";
    /// Template or not.
    Template = "template", "`yes` for a template, else `no`";
}

impl Placeholder {
    /// Reads a placeholder. Exactly as documented: they are lower case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|placeholder| placeholder.as_str() == word)
    }

    /// The fact that it stands for. An empty text is none.
    pub(super) fn of(self, facts: &dyn TagFacts) -> Fact<&str> {
        let fact = match self {
            Self::Vcenter => Fact::Known(facts.vcenter()),
            Self::Datacenter => facts.datacenter(),
            Self::Cluster => facts.cluster(),
            Self::Folder => facts.folder(),
            Self::ResourcePool => facts.resource_pool(),
            Self::Name => facts.name(),
            Self::GuestFamily => word(facts.guest_family(), |family| family.as_str()),
            Self::GuestOs => facts.guest_os(),
            Self::HostName => facts.host_name(),
            Self::PowerState => word(facts.power_state(), |state| state.as_str()),
            Self::Template => word(facts.is_template(), |is| if is { "yes" } else { "no" }),
        };
        match fact {
            Fact::Known("") => Fact::Absent,
            fact => fact,
        }
    }
}

fn word<T>(fact: Fact<T>, word: impl FnOnce(T) -> &'static str) -> Fact<&'static str> {
    match fact {
        Fact::Known(value) => Fact::Known(word(value)),
        Fact::Absent => Fact::Absent,
        Fact::Unknown => Fact::Unknown,
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.as_str())
    }
}
