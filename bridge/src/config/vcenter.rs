//! `[[vcenter]]`: the vCenters to connect to.

use std::path::PathBuf;

use mappings::selector::Selector;
use url::Url;
use vsphere_client::tls::Thumbprint;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, FilePath, Name, Scope, Secret, Text, Thumbprints, VcenterUrl};
use crate::secret::SecretRef;

/// One vCenter to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vcenter {
    /// Its name here; unique among all `[[vcenter]]` and `[[vmc]]` entries.
    pub name: String,
    /// `https://host[:port]/`
    pub url: Url,
    /// The account.
    pub username: String,
    /// Where its password is.
    pub password: SecretRef,
    /// PEM file with certificate authorities to trust besides those of the system. Absolute.
    pub ca_file: Option<PathBuf>,
    /// Certificates to trust by thumbprint. If there are any, nothing else is trusted.
    pub thumbprints: Vec<Thumbprint>,
    /// The VMs that vmbridge is concerned with.
    pub scope: Selector,
    /// Whether tag events are used.
    pub events: bool,
}

pub(super) static NAME: Key<Name> = Key {
    name: "name",
    kind: Name,
    need: Need::Required,
    doc: "The name used in commands, output, selectors and environment variables. Unique among all `[[vcenter]]` and `[[vmc]]` entries.",
    example: "\"dc1\"",
};

static URL: Key<VcenterUrl> = Key {
    name: "url",
    kind: VcenterUrl,
    need: Need::Required,
    doc: "The vCenter's address.",
    example: "\"https://vcenter.dc1.example.com\"",
};

static USERNAME: Key<Text> = Key {
    name: "username",
    kind: Text,
    need: Need::Required,
    doc: "The account to log in with, with its domain.",
    example: "\"vmbridge@vsphere.local\"",
};

static PASSWORD: Key<Secret> = Key {
    name: "password",
    kind: Secret,
    need: Need::Required,
    doc: "Where the account's password is. A password itself is refused.",
    example: "{ file = \"/etc/vmbridge/dc1-password\" }",
};

pub(super) static CA_FILE: Key<FilePath> = Key {
    name: "ca_file",
    kind: FilePath,
    need: Need::Optional,
    doc: "PEM file with certificate authorities to trust besides those of the system.",
    example: "\"dc1-ca.pem\"",
};

pub(super) static THUMBPRINTS: Key<Thumbprints> = Key {
    name: "thumbprints",
    kind: Thumbprints,
    need: Need::Default(""),
    doc: "Server certificates to trust by their SHA-256 thumbprint, for a self-signed vCenter. If any is given, nothing else is trusted. List the next one before a certificate is replaced.",
    example: "[\"4E:57:EA:50:F2:90:74:26:82:C3:51:9D:D5:8B:6B:FE:6D:5F:0A:66:5A:25:D0:DA:C0:58:4A:9E:1E:BC:04:31\"]",
};

pub(super) static SCOPE: Key<Scope> = Key {
    name: "scope",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs that vmbridge is concerned with. Others are neither shown nor touched.",
    example: "\"folder=/Prod/** except tag=Patch:never\"",
};

pub(super) static EVENTS: Key<Boolean> = Key {
    name: "events",
    kind: Boolean,
    need: Need::Default("true"),
    doc: "Whether tag changes are noticed by vCenter's events. Without, all tags are read every 40 s to notice them.",
    example: "true",
};

pub(super) static SECTION: Section = Section {
    name: "vcenter",
    shape: Shape::Many,
    doc: "A vCenter to connect to. Any number.",
    keys: &[&NAME, &URL, &USERNAME, &PASSWORD, &CA_FILE, &THUMBPRINTS, &SCOPE, &EVENTS],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Vcenter> {
    let name = table.get(&NAME);
    let url = table.get(&URL);
    let username = table.get(&USERNAME);
    let password = table.get(&PASSWORD);
    let ca_file = table.get_optional(&CA_FILE);
    let thumbprints = table.get(&THUMBPRINTS);
    let scope = table.get(&SCOPE);
    let events = table.get(&EVENTS);
    Some(Vcenter {
        name: name?,
        url: url?,
        username: username?,
        password: password?,
        ca_file,
        thumbprints: thumbprints?,
        scope: scope?,
        events: events?,
    })
}
