//! What a selector may ask about a VM.

use std::fmt;
use std::ops::ControlFlow;

/// One fact about a VM, which may be missing for two very different reasons.
///
/// The difference matters: a VM that is not in a cluster is simply not selected by `cluster=…`, but a VM whose
/// cluster *cannot be read* may or may not be, and nothing may be removed from it on a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<T> {
    /// vCenter says so.
    Known(T),
    /// vCenter says that there is none (a VM on a stand-alone host has no cluster).
    Absent,
    /// Not read yet, not permitted, or unreachable.
    Unknown,
}

/// The view of one VM that selectors match against.
///
/// Names are as people see them in the vSphere client. Implementations lend what they hold; nothing is allocated per
/// match.
pub trait VmFacts {
    /// The vCenter's name in the configuration.
    fn vcenter(&self) -> &str;

    /// The VM's name.
    fn name(&self) -> Fact<&str>;

    /// The folder that holds the VM, as a path from the datacenter's "VMs and Templates" view without the datacenter
    /// and without vCenter's hidden folder `vm`: `/` for a VM directly below the datacenter, else `/Prod/Web`. A slash
    /// within a folder's name is written `%2f`, as vCenter itself writes it. VMs in a vApp have the folder of the vApp.
    fn folder(&self) -> Fact<&str>;

    /// The datacenter's name.
    fn datacenter(&self) -> Fact<&str>;

    /// The cluster's name; [`Fact::Absent`] on a stand-alone host.
    fn cluster(&self) -> Fact<&str>;

    /// The guest family, reported by Tools or else derived from the configured guest id.
    fn guest_family(&self) -> Fact<GuestFamily>;

    /// The power state.
    fn power_state(&self) -> Fact<PowerState>;

    /// Whether this is a template.
    fn is_template(&self) -> Fact<bool>;

    /// Calls `visit(category, tag name)` for each tag of the VM until told to stop. Answers whether the tags are known
    /// at all; if not, `visit` may have been called for some of them.
    fn visit_tags<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown;

    /// The value of a custom attribute, found by its name without regard to case. An empty value counts as
    /// [`Fact::Absent`]: vSphere itself cannot tell the two apart.
    fn custom_attribute(&self, name: &str) -> Fact<&str>;
}

/// Whether all tags of a VM are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagsKnown {
    /// Every tag was visited, unless the visitor stopped it.
    Yes,
    /// Some may be missing.
    No,
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// Every value as it is written in a selector.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// The value as it is written in a selector.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads what a selector says, in any case.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(word))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// The families of guest operating systems that vSphere tells apart (`VirtualMachineGuestOsFamily`).
    GuestFamily {
        /// `linuxGuest`
        Linux = "linux",
        /// `windowsGuest`
        Windows = "windows",
        /// `darwinGuestFamily`: macOS
        Darwin = "darwin",
        /// `solarisGuest`
        Solaris = "solaris",
        /// `netwareGuest`
        Netware = "netware",
        /// `otherGuestFamily`, FreeBSD among them
        Other = "other",
    }
}

words! {
    /// The power states of a VM (`VirtualMachinePowerState`).
    PowerState {
        /// `poweredOn`
        On = "on",
        /// `poweredOff`
        Off = "off",
        /// `suspended`
        Suspended = "suspended",
    }
}
