//! Which guests SSM Agent is made for, as far as vSphere can tell.
//!
//! Only what certainly cannot work is refused here: the guest itself is asked next, and the configured id of a guest is
//! often older than what is installed in it.
//!
//! Source: "Supported operating systems and machine types" in the AWS Systems Manager User Guide, and the enumeration
//! `VirtualMachineGuestOsIdentifier` of the vSphere API.

use std::sync::LazyLock;

use serde::Deserialize;

use super::family_of_id;
use crate::selector::GuestFamily;

/// The table, as it is shipped.
const TABLE: &str = include_str!("../../defaults/ssm-agent.toml");

/// The operating systems that SSM Agent is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Os {
    /// Linux
    Linux,
    /// Windows
    Windows,
}

/// Whether SSM Agent is made for a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// As far as can be told.
    Supported {
        /// The operating system.
        os: Os,
    },
    /// It is not.
    Unsupported {
        /// Why.
        reason: &'static str,
    },
    /// The id says nothing.
    Unknown,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    unsupported: Vec<Unsupported>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsupported {
    /// Beginnings of ids, in lower case.
    ids: Vec<String>,
    reason: String,
}

// The table is part of the program, and a test reads it.
static UNSUPPORTED: LazyLock<Vec<Unsupported>> =
    LazyLock::new(|| toml::from_str::<Table>(TABLE).map(|table| table.unsupported).unwrap_or_default());

/// Whether SSM Agent is made for a guest with this id.
///
/// ```
/// use mappings::guest::platform::{Os, Support, by_guest_id};
/// assert_eq!(by_guest_id("ubuntu64Guest"), Support::Supported { os: Os::Linux });
/// assert!(matches!(by_guest_id("rhel5_64Guest"), Support::Unsupported { .. }));
/// assert_eq!(by_guest_id("otherGuest64"), Support::Unknown);
/// ```
#[must_use]
pub fn by_guest_id(id: &str) -> Support {
    let lower = id.to_ascii_lowercase();
    let listed = UNSUPPORTED
        .iter()
        .find(|entry| entry.ids.iter().any(|beginning| lower.starts_with(beginning.as_str())));
    if let Some(entry) = listed {
        return Support::Unsupported { reason: &entry.reason };
    }
    match family_of_id(id) {
        GuestFamily::Linux => Support::Supported { os: Os::Linux },
        GuestFamily::Windows => Support::Supported { os: Os::Windows },
        GuestFamily::Other => Support::Unknown,
        GuestFamily::Netware | GuestFamily::Solaris | GuestFamily::Darwin => {
            Support::Unsupported { reason: "it is neither Linux nor Windows" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_refuses_only_what_is_old() {
        let table: Table = toml::from_str(TABLE).unwrap();
        assert!(table.unsupported.iter().all(|entry| !entry.reason.is_empty() && !entry.ids.is_empty()));
        assert!(
            table.unsupported.iter().flat_map(|entry| &entry.ids).all(|id| *id == id.to_ascii_lowercase())
        );
        for id in [
            "rhel9_64Guest",
            "rhel8_64Guest",
            "centos7_64Guest",
            "windows2019srv_64Guest",
            "windows9Server64Guest",
            "debian12_64Guest",
            "sles15_64Guest",
            "amazonlinux2_64Guest",
            "rockylinux_64Guest",
            "oracleLinux8_64Guest",
            "windows2019srvNext_64Guest",
        ] {
            assert!(matches!(by_guest_id(id), Support::Supported { .. }), "{id}");
        }
        for id in [
            "winXPProGuest",
            "win2000ServGuest",
            "winNetStandardGuest",
            "rhel4Guest",
            "solaris11_64Guest",
            "darwin20_64Guest",
            "vmkernel7Guest",
        ] {
            assert!(matches!(by_guest_id(id), Support::Unsupported { .. }), "{id}");
        }
    }
}
