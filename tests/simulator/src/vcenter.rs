//! One simulated vCenter: what its requests share, and how they are dispatched.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use tokio::sync::watch;

use crate::config::{User, VcenterConfig};
use crate::fault::{self, FaultBook, FaultEffect, Voice};
use crate::ledger::{Ledger, Place};
use crate::net::server::{Connections, Handler};
use crate::net::tls::{Authority, Identity};
use crate::net::{Reply, Request};
use crate::rest::Dialect;
use crate::soap;
use crate::soap::session::Sessions;
use crate::world::World;

/// Locks, also after a panic elsewhere: a test that failed must not take the others with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was asked of a server so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallCounts {
    /// Calls by operation: the SOAP method, or `REST GET /api/…`.
    pub calls: BTreeMap<String, u64>,
    /// All of them.
    pub total: u64,
    /// Under way at this moment, long polls included.
    pub in_flight: usize,
    /// The most that were ever under way at one time.
    pub peak_in_flight: usize,
    /// Bytes of answer bodies.
    pub bytes_sent: u64,
}

/// Counts the calls of a server.
#[derive(Debug, Default)]
pub(crate) struct Counter(Mutex<CallCounts>);

impl Counter {
    pub(crate) fn begin(&self, operation: &str) {
        let mut counts = lock(&self.0);
        match counts.calls.get_mut(operation) {
            Some(count) => *count += 1,
            None => {
                counts.calls.insert(operation.to_owned(), 1);
            }
        }
        counts.total += 1;
        counts.in_flight += 1;
        counts.peak_in_flight = counts.peak_in_flight.max(counts.in_flight);
    }

    fn end(&self, bytes: usize) {
        let mut counts = lock(&self.0);
        counts.in_flight = counts.in_flight.saturating_sub(1);
        counts.bytes_sent += bytes as u64;
    }

    pub(crate) fn snapshot(&self) -> CallCounts {
        lock(&self.0).clone()
    }

    pub(crate) fn reset(&self) {
        let mut counts = lock(&self.0);
        *counts = CallCounts { in_flight: counts.in_flight, ..CallCounts::default() };
    }
}

/// Counts a call as ended, also when the client hung up before the answer.
pub(crate) struct Ongoing<'a> {
    counter: &'a Counter,
    pub(crate) bytes: usize,
}

impl<'a> Ongoing<'a> {
    pub(crate) fn new(counter: &'a Counter, operation: &str) -> Self {
        counter.begin(operation);
        Self { counter, bytes: 0 }
    }
}

impl Drop for Ongoing<'_> {
    fn drop(&mut self) {
        self.counter.end(self.bytes);
    }
}

/// What all requests to one vCenter share.
pub(crate) struct Shared {
    pub(crate) config: VcenterConfig,
    pub(crate) faults: Arc<FaultBook>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) counter: Counter,
    pub(crate) connections: Arc<Connections>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) authority: Arc<Authority>,
    pub(crate) guests: crate::guest::Guests,
    world: RwLock<World>,
    sessions: Mutex<Sessions>,
    users: RwLock<Vec<Arc<User>>>,
    changed: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(
        config: VcenterConfig,
        world: World,
        faults: Arc<FaultBook>,
        ledger: Arc<Ledger>,
        authority: Arc<Authority>,
        identity: Arc<Identity>,
    ) -> Self {
        Self {
            world: RwLock::new(world),
            sessions: Mutex::new(Sessions::new(config.idle_timeout, config.max_sessions)),
            users: RwLock::new(config.users.iter().cloned().map(Arc::new).collect()),
            changed: watch::Sender::new(0),
            config,
            faults,
            ledger,
            counter: Counter::default(),
            connections: Arc::default(),
            identity,
            authority,
            guests: crate::guest::Guests::default(),
        }
    }

    // Locks are taken in this order: world, then a collector, then sessions or users.

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        lock(&self.sessions)
    }

    /// Changes the inventory and wakes everybody who waits for changes.
    pub(crate) fn change<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let done = act(&mut self.world_mut());
        self.wake();
        done
    }

    /// Writes a change that a caller made into the ledger, where tests count changes. Call it inside
    /// [`Self::change`], so that the order is the true one.
    pub(crate) fn record(&self, operation: &str, resource: &str, detail: serde_json::Value, effective: bool) {
        let place = Place { service: "vcenter", account: &self.config.name, region: "" };
        self.ledger.record(place, operation, resource, detail, effective);
    }

    pub(crate) fn wake(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Tells when something changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn user(&self, name: &str) -> Option<Arc<User>> {
        let users = self.users.read().unwrap_or_else(PoisonError::into_inner);
        users.iter().find(|u| u.name.eq_ignore_ascii_case(name)).cloned()
    }

    pub(crate) fn authenticate(&self, name: &str, password: &str) -> bool {
        self.user(name).is_some_and(|user| user.password() == password)
    }

    /// Adds a user or replaces the one of that name.
    pub(crate) fn set_user(&self, user: User) {
        let before = self.user(&user.name);
        {
            let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
            users.retain(|u| !u.name.eq_ignore_ascii_case(&user.name));
            users.push(Arc::new(user));
        }
        if let Some(before) = before {
            self.change(|world| world.log.push(crate::world::Change::Permissions(before)));
        }
    }

    /// What a restart of the service does: sessions and tasks are gone, every connection breaks. The inventory stays, and
    /// hosts go on with what they do.
    pub(crate) fn restart(&self) {
        self.sessions().terminate_all();
        self.change(World::forget_tasks);
        self.connections.break_all();
    }

    /// Ends the session that a request shows, as a fault rule demands.
    fn expire_session_of(&self, request: &Request) {
        let secret = soap::session_cookie(request).or_else(|| crate::rest::session::shown(request));
        if let Some(secret) = secret {
            self.sessions().terminate(&secret);
        }
    }

    async fn answer(self: Arc<Self>, request: Request) -> Reply {
        let is_soap = request.path == "/sdk" || request.path == "/sdk/";
        let parsed = (is_soap && request.method == "POST").then(|| soap::request::parse(&request.body));
        let operation = match &parsed {
            Some(parsed) => soap::operation(parsed),
            None if request.path.starts_with("/sdk") => format!("{} {}", request.method, request.path),
            None => format!("REST {}", crate::rest::operation(&request)),
        };
        let mut ongoing = Ongoing::new(&self.counter, &operation);
        let effect = self.faults.draw(&self.config.name, &operation);
        self.faults.hold_before(effect.as_ref(), &self.config.name, &operation).await;
        if let Some(effect) = &effect {
            if *effect == FaultEffect::ExpireSession {
                self.expire_session_of(&request);
            }
            let voice = match operation.starts_with("REST ") {
                true => Voice::Rest(Dialect::of(&request.path)),
                false => Voice::Soap,
            };
            if let Some(reply) = fault::before(effect, voice).await {
                return reply;
            }
        }
        let reply = match parsed {
            Some(parsed) => soap::handle(&self, &request, parsed).await,
            None if request.method == "GET" && request.path == "/sdk/vimServiceVersions.xml" => {
                soap::versions(&self)
            }
            None if is_soap => Reply::empty(405),
            None => crate::rest::handle(&self, &request),
        };
        self.faults.hold_after(effect.as_ref(), &self.config.name, &operation).await;
        if effect == Some(FaultEffect::Restart) {
            self.restart();
        }
        ongoing.bytes = reply.bytes().len();
        match &effect {
            Some(effect) => fault::after(effect, reply),
            None => reply,
        }
    }
}

impl Handler for Shared {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        Box::pin(self.answer(request))
    }
}
