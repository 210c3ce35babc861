//! The ESXi hosts as far as files go over them: each has a listener and a certificate of its own, which no authority that
//! anybody trusts has signed. Both are made when somebody asks for them, because there may be thousands of hosts.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::transfer::Host;
use crate::net::server;
use crate::net::tls::{Authority, Identity};
use crate::vcenter::{Shared, lock};
use crate::world::ObjId;

struct Door {
    /// What the host shows.
    shown: Arc<Identity>,
    /// The certificate that vCenter tells.
    told: Arc<str>,
    address: Option<SocketAddr>,
}

impl Door {
    fn new() -> Option<Self> {
        let shown =
            Authority::new(IpAddr::V4(Ipv4Addr::LOCALHOST), None).and_then(|own| Identity::new(&own)).ok()?;
        let told = shown.pem().into();
        Some(Self { shown, told, address: None })
    }
}

/// The hosts of a vCenter.
#[derive(Default)]
pub(crate) struct Doors(Mutex<HashMap<ObjId, Door>>);

impl fmt::Debug for Doors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Doors({})", lock(&self.0).len())
    }
}

impl Doors {
    fn with<T>(&self, host: ObjId, act: impl FnOnce(&mut Door) -> Option<T>) -> Option<T> {
        let mut doors = lock(&self.0);
        let door = match doors.entry(host) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => free.insert(Door::new()?),
        };
        act(door)
    }

    /// The certificate that vCenter tells of a host, in PEM form.
    pub(crate) fn told(&self, host: ObjId) -> Option<Arc<str>> {
        self.with(host, |door| Some(Arc::clone(&door.told)))
    }

    /// Gives a host a new certificate; vCenter learns of it only where `told` says so.
    pub(crate) fn renew(&self, host: ObjId, told: bool) -> Option<()> {
        self.with(host, |door| {
            let own = Authority::new(IpAddr::V4(Ipv4Addr::LOCALHOST), None).ok()?;
            door.shown.rotate(&own).ok()?;
            if told {
                door.told = door.shown.pem().into();
            }
            Some(())
        })
    }

    /// Where a host listens. It does so from now on.
    pub(super) fn open(
        &self,
        host: ObjId,
        listen: IpAddr,
        shared: &Arc<Shared>,
        stop: &CancellationToken,
    ) -> Option<SocketAddr> {
        self.with(host, |door| {
            if let Some(address) = door.address {
                return Some(address);
            }
            let listener = std::net::TcpListener::bind((listen, 0)).ok()?;
            listener.set_nonblocking(true).ok()?;
            let listener = TcpListener::from_std(listener).ok()?;
            let bound = listener.local_addr().ok()?;
            let tls = door.shown.server_config().ok()?;
            let files = Arc::new(Host { shared: Arc::clone(shared), host });
            tokio::spawn(server::serve(listener, Some(tls), files, Arc::default(), stop.clone()));
            let ip = if listen.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { listen };
            door.address = Some(SocketAddr::new(ip, bound.port()));
            door.address
        })
    }
}
