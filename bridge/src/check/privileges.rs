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
    Capability {
        name: SNAPSHOTS,
        privileges: &[
            Privilege {
                id: "VirtualMachine.State.CreateSnapshot",
                need: Need::Required,
                purpose: "to take the snapshot of a VM before its window",
            },
            Privilege {
                id: "VirtualMachine.State.RemoveSnapshot",
                need: Need::Required,
                purpose: "to remove it again, and to consolidate disks that are left over",
            },
            Privilege {
                id: "VirtualMachine.State.RevertToSnapshot",
                need: Need::Required,
                purpose: "to take a VM back to its snapshot when a person asks for it",
            },
            Privilege {
                id: "VirtualMachine.Interact.PowerOn",
                need: Need::Required,
                purpose: "to power a VM on that was taken back, which leaves it off",
            },
        ],
    },
];

/// The capabilities that are only asked about where the configuration has them.
const WRITEBACK: &str = "writeback";
const ENROL: &str = "enrol";
pub(super) const SNAPSHOTS: &str = "snapshots";

/// The capabilities of a configuration, and how far each may go.
pub fn wanted(config: &Config) -> impl Iterator<Item = (&'static Capability, Mode)> {
    let writeback = config.writeback.mode;
    // Nothing is done in guests without an account there.
    let enrol = if config.credentials.is_empty() { Mode::Off } else { config.enrol.mode };
    // Nor is a snapshot taken that no policy asks for.
    let snapshots = if config.snapshots.policies.is_empty() { Mode::Off } else { config.snapshots.mode };
    CAPABILITIES
        .iter()
        .map(move |capability| match capability.name {
            WRITEBACK => (capability, writeback),
            ENROL => (capability, enrol),
            SNAPSHOTS => (capability, snapshots),
            _ => (capability, Mode::Enforce),
        })
        .filter(|(_, mode)| *mode != Mode::Off)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_with(more: &str) -> Vec<(&'static str, Mode)> {
        let text = format!(
            "[[vcenter]]\nname = 'a'\nurl = 'https://a'\nusername = 'u'\npassword = {{ file = '/x' }}\n{more}"
        );
        let path = std::path::Path::new("vmbridge.toml");
        let config = crate::config::parse(&text, path, &crate::config::Environment::default());
        let config = config.expect("it is correct");
        wanted(&config).map(|(capability, mode)| (capability.name, mode)).collect()
    }

    #[test]
    fn snapshots_are_asked_about_where_a_policy_wants_some() {
        let (policy, plain) = ("[[snapshots.policy]]\nname = 'all'\n", [("discover", Mode::Enforce)]);
        assert_eq!(wanted_with("[snapshots]\nmode = 'enforce'\n"), plain);
        assert_eq!(wanted_with(&format!("[snapshots]\nmode = 'off'\n{policy}")), plain);
        for (word, mode) in [("observe", Mode::Observe), ("enforce", Mode::Enforce)] {
            let found = wanted_with(&format!("[snapshots]\nmode = '{word}'\n{policy}"));
            assert_eq!(found, [plain[0], (SNAPSHOTS, mode)]);
        }
    }

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
