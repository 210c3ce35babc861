//! What Systems Manager's Compliance is told of a VM, and one table of it all.
//!
//! Two custom types: [`Kind::Hardening`], one item for each rule that was checked, and [`Kind::Protection`], whether the VM can be
//! patched and undone ([`protection`]). `PutComplianceItems` replaces everything that a node has of a type, so there is only ever a whole
//! [`List`]: sorted, within the limits of the call, the worst first, and if something had to be left out, with an item that says so.
//!
//! Only what is known is told. A check whose facts cannot be read ([`NotRead`]) has no item of its own, neither a good nor a bad one:
//! all of them together are one more item, which says how many they are and why. A missing privilege makes no fleet non-compliant.
//!
//! [`table`] joins what AWS says of every managed node, EC2 and VMware alike, with what vSphere says of the VM.
//!
//! A check's texts must be the same as long as nothing happens: times, never ages. Else the list of an idle VM has another hash every
//! time, and is put every time.

mod list;
pub mod protection;
pub mod table;
#[cfg(test)]
mod tests;

use std::fmt;

pub use list::{ExecutionSummary, Item, List};

/// The most items of a list. The call takes 10,000; nobody reads them.
pub const MOST_ITEMS: usize = 1000;
/// The largest list, as JSON in UTF-8. Compliance is stored as inventory, with its quota of 200 KB for a type; text that is not
/// ASCII may count double there.
pub const LARGEST_LIST: usize = 100_000;
/// The longest id of an item, in bytes.
pub const LONGEST_ID: usize = 100;
/// The longest title, in bytes (`ComplianceItemTitle`).
pub const LONGEST_TITLE: usize = 500;
/// The most details of an item.
pub const MOST_DETAILS: usize = 20;
/// The longest key of a detail, in bytes (`AttributeName`).
pub const LONGEST_KEY: usize = 64;
/// The longest value of a detail, in bytes. `AttributeValue` allows 4,096 characters, which would fill the list with few items.
pub const LONGEST_DETAIL: usize = 1024;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
        }

        impl $name {
            /// Every value, the worst first.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value as AWS writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
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
    /// How bad it is when a check fails (`ComplianceSeverity`); the worst is the least.
    Severity {
        /// Critical.
        Critical = "CRITICAL",
        /// High.
        High = "HIGH",
        /// Medium.
        Medium = "MEDIUM",
        /// Low.
        Low = "LOW",
        /// Something to know.
        Informational = "INFORMATIONAL",
        /// Nobody has said.
        Unspecified = "UNSPECIFIED",
    }
}

words! {
    /// What came out of a check (`ComplianceStatus`); the worst is the least.
    Status {
        /// Not as it should be.
        NonCompliant = "NON_COMPLIANT",
        /// As it should be.
        Compliant = "COMPLIANT",
    }
}

words! {
    /// A type of compliance, which a node has a list of. One that is told no more stays here, so that nodes can lose theirs.
    Kind {
        /// The hardening rules.
        Hardening = "Custom:VSphereHardening",
        /// Whether the VM can be patched and undone.
        Protection = "Custom:VSphereProtection",
    }
}

/// One check of one VM and what came out of it. Neutral: whoever checks makes these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is checked, the same for all VMs and always. Of two with the same id the worse one is told.
    pub id: String,
    /// The same for people.
    pub title: String,
    /// How bad it is if it is not so.
    pub severity: Severity,
    /// What came out.
    pub status: Status,
    /// What was found, by short names; nothing that changes by itself, such as an age.
    pub details: Vec<(String, String)>,
}

/// A check of one VM that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotRead {
    /// What would have been checked, as [`Check::id`].
    pub id: String,
    /// Why not, in half a sentence; the same for all checks for which it is the same.
    pub why: String,
}
