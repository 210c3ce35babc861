//! `[[credentials]]`: accounts inside guests.

use mappings::selector::Selector;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, Name, Scope, Secret, Text};
use crate::secret::SecretRef;

/// An account that guests have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestCredentials {
    /// The name of the entry.
    pub name: String,
    /// The guests that have it.
    pub vms: Selector,
    /// The user's name in the guest.
    pub username: String,
    /// The password, as a reference.
    pub password: SecretRef,
    /// Whether what needs root is started with `sudo -n`.
    pub sudo: bool,
}

static NAME: Key<Name> = Key {
    name: "name",
    kind: Name,
    need: Need::Required,
    doc: "The name used in output and the journal. Unique among all `[[credentials]]` entries.",
    example: "\"linux\"",
};

static VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs whose guests have this account. Where several entries select a VM they are tried in the order in which they are written.",
    example: "\"guest=linux\"",
};

static USERNAME: Key<Text> = Key {
    name: "username",
    kind: Text,
    need: Need::Required,
    doc: "The user's name in the guest: on Linux root, or a user that may use `sudo` without a password (see `sudo`); on Windows a local or domain administrator. [enrolment.md](enrolment.md) says what it needs.",
    example: "\"vmbridge\"",
};

static PASSWORD: Key<Secret> = Key {
    name: "password",
    kind: Secret,
    need: Need::Required,
    doc: "Where the password is. A guest that refused it is not asked again until the password or the guest is another.",
    example: "{ file = \"/etc/vmbridge/guest-linux\" }",
};

static SUDO: Key<Boolean> = Key {
    name: "sudo",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether the installer is started with `sudo -n`, for a user other than root. Of no meaning on Windows.",
    example: "true",
};

pub(super) static SECTION: Section = Section {
    name: "credentials",
    shape: Shape::Many,
    doc: "An account inside guests, with which SSM Agent is installed there.",
    keys: &[&NAME, &VMS, &USERNAME, &PASSWORD, &SUDO],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<GuestCredentials> {
    let name = table.get(&NAME);
    let vms = table.get(&VMS);
    let username = table.get(&USERNAME);
    let password = table.get(&PASSWORD);
    let sudo = table.get(&SUDO);
    Some(GuestCredentials { name: name?, vms: vms?, username: username?, password: password?, sudo: sudo? })
}
