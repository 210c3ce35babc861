//! Which vCenter privileges each capability needs.
//!
//! This table is what `vmbridge check` asks about and what `docs/privileges.md` explains; a test keeps them in step. A new
//! capability adds its rows here.

use crate::config::{Config, Mode};

/// Whether a capability works without a privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It does not.
    Required,
    /// It does, in some other way.
    Optional,
}

/// A privilege of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privilege {
    /// Its id, such as `System.Read`.
    pub id: &'static str,
    /// Whether it can be done without.
    pub need: Need,
    /// What it is for; of an optional one, also what happens without.
    pub purpose: &'static str,
}

/// Something that vmbridge does, and what it may therefore need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    /// The privileges, asked for on the root folder of the inventory.
    pub privileges: &'static [Privilege],
}

/// All capabilities.
pub static CAPABILITIES: &[Capability] = &[
    Capability {
        name: "discover",
        privileges: &[
            Privilege {
                id: "System.Anonymous",
                need: Need::Required,
                purpose: "to be asked who and what the vCenter is; part of every role",
            },
            Privilege {
                id: "System.View",
                need: Need::Required,
                purpose: "to see that objects and events exist; part of every role",
            },
            Privilege {
                id: "System.Read",
                need: Need::Required,
                purpose: "to read VMs, hosts, datastores, folders, tags; part of every role but `No access`",
            },
            Privilege {
                id: "Sessions.ValidateSession",
                need: Need::Optional,
                purpose: "to ask whether a session is alive; without it the clock is asked instead, which serves as well",
            },
        ],
    },
    Capability {
        name: WRITEBACK,
        privileges: &[
            Privilege {
                id: "Global.ManageCustomFields",
                need: Need::Required,
                purpose: "to define the custom attributes of vmbridge",
            },
            Privilege {
                id: "Global.SetCustomField",
                need: Need::Required,
                purpose: "to set the custom attributes of VMs",
            },
        ],
    },
    Capability {
        name: ENROL,
        privileges: &[
            Privilege {
                id: "VirtualMachine.GuestOperations.Query",
                need: Need::Required,
                purpose: "to see how the installer in a guest ended, and to read its report",
            },
            Privilege {
                id: "VirtualMachine.GuestOperations.Execute",
                need: Need::Required,
                purpose: "to start the installer in a guest",
            },
            Privilege {
                id: "VirtualMachine.GuestOperations.Modify",
                need: Need::Required,
                purpose: "to put the installer into a guest and to remove it",
            },
        ],
    },
];

/// The capabilities that are only asked about where the configuration has them.
const WRITEBACK: &str = "writeback";
const ENROL: &str = "enrol";

/// The capabilities of a configuration, and how far each may go.
pub fn wanted(config: &Config) -> impl Iterator<Item = (&'static Capability, Mode)> {
    let writeback = config.writeback.mode;
    // Nothing is done in guests without an account there.
    let enrol = if config.credentials.is_empty() { Mode::Off } else { config.enrol.mode };
    CAPABILITIES
        .iter()
        .map(move |capability| match capability.name {
            WRITEBACK => (capability, writeback),
            ENROL => (capability, enrol),
            _ => (capability, Mode::Enforce),
        })
        .filter(|(_, mode)| *mode != Mode::Off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_privilege() {
        let documentation = include_str!("../../../docs/privileges.md");
        for capability in CAPABILITIES {
            for privilege in capability.privileges {
                let need = match privilege.need {
                    Need::Required => "required",
                    Need::Optional => "optional",
                };
                let row = format!("| {} | `{}` | {need} |", capability.name, privilege.id);
                assert!(documentation.contains(&row), "docs/privileges.md lacks the row {row}");
            }
        }
    }
}
