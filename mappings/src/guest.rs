//! What vSphere's names of guest operating systems mean.

pub mod platform;
mod reason;
mod version;

pub use reason::{Class, Reason, reason, reasons};
pub use version::Version;

use crate::selector::GuestFamily;

/// Beginnings of ids (`VirtualMachineGuestOsIdentifier`, lower case) of Linux systems that do not say "linux".
const LINUX: [&str; 24] = [
    "almalinux",
    "amazonlinux",
    "asianux",
    "centos",
    "coreos",
    "crxpod",
    "crxsys",
    "debian",
    "fedora",
    "flatcar",
    "fusionos",
    "kylin",
    "mandrake",
    "mandriva",
    "nld9",
    "oes",
    "opensuse",
    "redhat",
    "rhel",
    "sjds",
    "sles",
    "suse",
    "ubuntu",
    "vmwarephoton",
];

/// The family of an operating system by the id that a VM is configured with, such as `ubuntu64Guest`.
///
/// ```
/// use mappings::{guest::family_of_id, selector::GuestFamily};
/// assert_eq!(family_of_id("windows2019srvNext_64Guest"), GuestFamily::Windows);
/// assert_eq!(family_of_id("freebsd13_64Guest"), GuestFamily::Other);
/// ```
#[must_use]
pub fn family_of_id(id: &str) -> GuestFamily {
    let id = id.to_ascii_lowercase();
    let begins = |list: &[&str]| list.iter().any(|beginning| id.starts_with(beginning));
    if begins(&["win", "longhorn"]) {
        GuestFamily::Windows
    } else if id.contains("linux") || begins(&LINUX) {
        GuestFamily::Linux
    } else if begins(&["darwin"]) {
        GuestFamily::Darwin
    } else if begins(&["solaris"]) {
        GuestFamily::Solaris
    } else if begins(&["netware"]) {
        GuestFamily::Netware
    } else {
        GuestFamily::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_every_family() {
        for (family, ids) in [
            (
                GuestFamily::Linux,
                &[
                    "ubuntu64Guest",
                    "rhel9_64Guest",
                    "centos8_64Guest",
                    "debian12_64Guest",
                    "other5xLinux64Guest",
                    "otherLinuxGuest",
                    "sles15_64Guest",
                    "suse64Guest",
                    "oracleLinux9_64Guest",
                    "vmwarePhoton64Guest",
                    "amazonlinux3_64Guest",
                    "rockylinux_64Guest",
                    "genericLinuxGuest",
                    "redhatGuest",
                    "nld9Guest",
                    "crxPod1Guest",
                    "turboLinux64Guest",
                ][..],
            ),
            (
                GuestFamily::Windows,
                &[
                    "windows9Server64Guest",
                    "windows2022srvNext_64Guest",
                    "win2000ServGuest",
                    "winNetEnterpriseGuest",
                    "winLonghornGuest",
                ],
            ),
            (GuestFamily::Darwin, &["darwin20_64Guest", "darwinGuest"]),
            (GuestFamily::Solaris, &["solaris11_64Guest"]),
            (GuestFamily::Netware, &["netware6Guest"]),
            (
                GuestFamily::Other,
                &["freebsd13_64Guest", "dosGuest", "otherGuest64", "os2Guest", "", "vmkernel7Guest"],
            ),
        ] {
            for id in ids {
                assert_eq!(family_of_id(id), family, "{id}");
            }
        }
    }
}
