//! What tests and the control endpoint do with a simulated vCenter.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::User;
use crate::guest::soap::is_windows;
use crate::soap::session::SessionCounts;
use crate::vcenter::{CallCounts, Shared};
use crate::{MutateError, StartError};

/// One running vCenter. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct Vcenter {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
}

impl std::fmt::Debug for Vcenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vcenter")
            .field("name", &self.name())
            .field("url", &self.url())
            .finish_non_exhaustive()
    }
}

impl Vcenter {
    /// What the configuration calls it.
    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// `https://host:port`, without a path.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.address.port())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first configured user.
    pub fn username(&self) -> &str {
        self.shared.config.users.first().map_or("", |u| &u.name)
    }

    /// The first configured user's password.
    pub fn password(&self) -> &str {
        self.shared.config.users.first().map_or("", User::password)
    }

    /// PEM of the authority that signed the server's certificate.
    pub fn ca_pem(&self) -> String {
        self.shared.authority.pem()
    }

    /// SHA-256 of the certificate shown now, `AA:BB:…`.
    pub fn thumbprint(&self) -> String {
        self.shared.identity.thumbprint()
    }

    /// `about.instanceUuid`.
    pub fn instance_uuid(&self) -> uuid::Uuid {
        self.shared.world().instance_uuid
    }

    /// Sessions open now, ever, at most.
    pub fn sessions(&self) -> SessionCounts {
        self.shared.sessions().counts()
    }

    /// Calls by operation, and how many at once.
    pub fn calls(&self) -> CallCounts {
        self.shared.counter.snapshot()
    }

    /// Starts counting calls anew.
    pub fn reset_calls(&self) {
        self.shared.counter.reset();
    }

    /// Ends every session, as an administrator would; returns how many there were.
    pub fn terminate_sessions(&self) -> usize {
        self.shared.sessions().terminate_all()
    }

    /// What a restart of the service does to clients: every connection breaks, every session and every task is
    /// gone, and what had not begun is forgotten. The inventory stays, and hosts go on with what they do.
    pub fn restart(&self) {
        self.shared.restart();
    }

    /// Breaks every connection; sessions live on.
    pub fn break_connections(&self) {
        self.shared.connections.break_all();
    }

    /// Shows a new certificate (same authority) from now on, and breaks the connections made under the old one.
    ///
    /// # Errors
    ///
    /// When no certificate can be made.
    pub fn rotate_certificate(&self) -> Result<(), StartError> {
        self.shared.identity.rotate(&self.shared.authority)?;
        self.shared.connections.break_all();
        Ok(())
    }

    /// Adds a user, or replaces one and so changes what it may see and do; open watches notice.
    pub fn set_user(&self, user: User) {
        self.shared.set_user(user);
    }

    /// Moves the server's clock: seconds ahead of this machine's.
    pub fn set_clock_skew(&self, seconds: i64) {
        self.shared.change(|world| world.set_clock_skew(jiff::SignedDuration::from_secs(seconds)));
    }

    /// Everything that a correct client must see, as JSON; see [`crate::truth`].
    pub fn truth(&self) -> serde_json::Value {
        crate::truth::truth(&self.shared.world())
    }

    /// What really happened to tasks and snapshots, whatever callers were told.
    pub fn tasks(&self) -> crate::TaskTruth {
        self.shared.world().tasks.truth()
    }

    /// What is known of the guests that somebody worked in.
    pub fn guests(&self) -> Vec<crate::GuestTruth> {
        self.shared.guests.truth()
    }

    /// MoRefs of all VMs, in order of creation.
    pub fn vm_ids(&self) -> Vec<String> {
        self.shared.world().vms().map(|(e, _)| e.id.to_string()).collect()
    }

    /// MoRefs of all objects of a WSDL type (or derived from it), in order of creation.
    pub fn ids_of(&self, type_name: &str) -> Vec<String> {
        self.shared.world().all().filter(|e| e.id.kind.is_a(type_name)).map(|e| e.id.to_string()).collect()
    }

    /// Does one change to the inventory; see [`crate::Mutation`] for what there is. Returns the MoRef or id of what was
    /// made, where something was.
    ///
    /// # Errors
    ///
    /// When an object does not exist or the change is not possible on it.
    pub fn mutate(&self, mutation: &crate::Mutation) -> Result<Option<String>, MutateError> {
        let made = self.shared.change(|world| mutation.apply(world))?;
        match mutation {
            crate::Mutation::SetGuest { id, guest } => {
                let vm = crate::mutation::object(id)?;
                let machine = self.shared.world().get(vm).and_then(crate::world::Entity::vm).map(is_windows);
                self.shared.guests.set(vm, machine.unwrap_or_default(), guest);
            }
            crate::Mutation::Clone { id, .. } => {
                if let Some(copy) = &made {
                    let (from, to) = (crate::mutation::object(id)?, crate::mutation::object(copy)?);
                    self.shared.guests.copy(from, to);
                }
            }
            crate::Mutation::CreateSnapshot { id, .. } => {
                if let Some(snapshot) = &made {
                    let (vm, snapshot) = (crate::mutation::object(id)?, crate::mutation::object(snapshot)?);
                    self.shared.guests.save(vm, snapshot.num);
                }
            }
            // What runs in a guest ends with it.
            crate::Mutation::PowerOff { id } => self.shared.guests.stop(crate::mutation::object(id)?),
            _ => {}
        }
        Ok(made)
    }
}
