//! `[http]`: where health and metrics are served.

use std::net::SocketAddr;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, Listen};

/// Where health and metrics are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// The address; loopback unless that was allowed otherwise.
    pub listen: SocketAddr,
}

static LISTEN: Key<Listen> = Key {
    name: "listen",
    kind: Listen,
    need: Need::Default("127.0.0.1:9464"),
    doc: "The address of `/healthz`, `/readyz` and `/metrics`. Port 0 takes any free port.",
    example: "\"127.0.0.1:9464\"",
};

static ALLOW_REMOTE: Key<Boolean> = Key {
    name: "allow_remote",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Permits an address in `listen` that other machines can reach. What is served there has no login and no encryption: put something in front that has both.",
    example: "true",
};

pub(super) static SECTION: Section = Section {
    name: "http",
    shape: Shape::One,
    doc: "Where `vmbridge run` serves health and metrics.",
    keys: &[&LISTEN, &ALLOW_REMOTE],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Http> {
    let listen = table.get(&LISTEN);
    let allow_remote = table.get(&ALLOW_REMOTE);
    let (listen, allow_remote) = (listen?, allow_remote?);
    if !listen.ip().is_loopback() && !allow_remote {
        table.wrong(
            LISTEN.name,
            "other machines could reach this address, and what is served there has no login",
            "use 127.0.0.1 or [::1], or set allow_remote = true",
        );
        return None;
    }
    Some(Http { listen })
}
