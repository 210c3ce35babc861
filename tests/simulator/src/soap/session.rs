//! Sessions, SOAP and REST, and what lives and dies with them: views, collectors, filters, history collectors, pages.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::clock::uptime;
use crate::world::ObjId;
use crate::world::events::EventFilter;

use super::collector::{Collector, Page};

/// A container view.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) container: ObjId,
    /// Empty: all types.
    pub(crate) types: Vec<String>,
    pub(crate) recursive: bool,
}

/// A list view: just what somebody put into it.
#[derive(Debug, Default)]
pub(crate) struct ListView(Mutex<Vec<ObjId>>);

impl ListView {
    /// The members, in their order.
    pub(crate) fn members(&self) -> Vec<ObjId> {
        crate::vcenter::lock(&self.0).clone()
    }

    /// Changes the members.
    pub(crate) fn change(&self, act: impl FnOnce(&mut Vec<ObjId>)) {
        act(&mut crate::vcenter::lock(&self.0));
    }
}

/// A cursor over the events that match a filter.
#[derive(Debug, Clone)]
pub(crate) struct HistoryCollector {
    pub(crate) filter: Arc<EventFilter>,
    pub(crate) page: usize,
    /// Events with a greater key are next; those up to it are previous.
    pub(crate) position: i32,
}

/// Somebody who is logged in.
#[derive(Debug)]
pub(crate) struct Session {
    /// The id inside the API (`UserSession.key`).
    pub(crate) key: String,
    pub(crate) user: String,
    pub(crate) login: Timestamp,
    pub(crate) last: Timestamp,
    used: Duration,
    in_flight: usize,
    pub(crate) calls: u32,
    pub(crate) agent: String,
    rest: bool,
    pub(crate) views: HashMap<String, Arc<View>>,
    pub(crate) lists: HashMap<String, Arc<ListView>>,
    pub(crate) collectors: HashMap<String, Arc<Mutex<Collector>>>,
    pub(crate) histories: HashMap<String, HistoryCollector>,
    pub(crate) pages: HashMap<String, Page>,
    /// Cancelled when the session ends, so that pending calls end too.
    pub(crate) over: CancellationToken,
}

/// How many sessions there are and were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionCounts {
    /// Open now, SOAP and REST.
    pub open: usize,
    /// Of the open ones, those made by REST.
    pub open_rest: usize,
    /// Ever opened.
    pub opened: u64,
    /// Closed by their owner.
    pub logged_out: u64,
    /// Gone because nobody used them.
    pub expired: u64,
    /// Ended by an administrator, a restart or a fault rule.
    pub terminated: u64,
    /// The most that were open at one time.
    pub peak: usize,
    /// Log-ins refused for a wrong name or password.
    pub refused: u64,
}

/// All sessions of a vCenter, by the secret that the client shows (cookie or header).
#[derive(Debug)]
pub(crate) struct Sessions {
    open: BTreeMap<String, Session>,
    counts: SessionCounts,
    idle: Duration,
    max: usize,
}

impl Sessions {
    pub(crate) fn new(idle: Duration, max: usize) -> Self {
        Self { open: BTreeMap::new(), counts: SessionCounts::default(), idle, max }
    }

    /// Drops the sessions that nobody used for too long.
    pub(crate) fn expire(&mut self) {
        let now = uptime();
        let idle = self.idle;
        let stale = |s: &Session| s.in_flight == 0 && now.saturating_sub(s.used) > idle;
        let gone: Vec<String> =
            self.open.iter().filter(|(_, s)| stale(s)).map(|(id, _)| id.clone()).collect();
        for id in gone {
            self.close(&id);
            self.counts.expired += 1;
        }
    }

    fn close(&mut self, id: &str) -> bool {
        self.open.remove(id).is_some_and(|session| {
            session.over.cancel();
            true
        })
    }

    /// Opens a session and returns its secret; `None` when there are too many.
    pub(crate) fn open(&mut self, user: &str, agent: &str, rest: bool, now: Timestamp) -> Option<String> {
        self.expire();
        if self.open.len() >= self.max {
            return None;
        }
        let secret = random_hex();
        let session = Session {
            key: random_uuid(),
            user: user.to_owned(),
            login: now,
            last: now,
            used: uptime(),
            in_flight: 0,
            calls: 0,
            agent: agent.to_owned(),
            rest,
            views: HashMap::new(),
            lists: HashMap::new(),
            collectors: HashMap::new(),
            histories: HashMap::new(),
            pages: HashMap::new(),
            over: CancellationToken::new(),
        };
        self.open.insert(secret.clone(), session);
        self.counts.opened += 1;
        self.counts.peak = self.counts.peak.max(self.open.len());
        Some(secret)
    }

    /// The session of a call that begins, SOAP or REST as it was opened: it counts as used.
    pub(crate) fn begin(&mut self, secret: &str, rest: bool, now: Timestamp) -> Option<&mut Session> {
        self.expire();
        let session = self.open.get_mut(secret).filter(|session| session.rest == rest)?;
        session.used = uptime();
        session.last = now;
        session.calls += 1;
        session.in_flight += 1;
        Some(session)
    }

    /// A call of the session has ended.
    pub(crate) fn end(&mut self, secret: &str) {
        if let Some(session) = self.open.get_mut(secret) {
            session.in_flight = session.in_flight.saturating_sub(1);
            session.used = uptime();
        }
    }

    pub(crate) fn get_mut(&mut self, secret: &str) -> Option<&mut Session> {
        self.open.get_mut(secret)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Session> {
        self.open.values()
    }

    /// The owner logs out.
    pub(crate) fn logout(&mut self, secret: &str) {
        if self.close(secret) {
            self.counts.logged_out += 1;
        }
    }

    /// Ends the session with this secret, as an administrator would.
    pub(crate) fn terminate(&mut self, secret: &str) {
        if self.close(secret) {
            self.counts.terminated += 1;
        }
    }

    /// Ends the session with this key; false when there is none.
    pub(crate) fn terminate_key(&mut self, key: &str) -> bool {
        let secret = self.open.iter().find(|(_, s)| s.key == key).map(|(id, _)| id.clone());
        secret.is_some_and(|secret| {
            self.terminate(&secret);
            true
        })
    }

    /// Ends all sessions and returns how many there were.
    pub(crate) fn terminate_all(&mut self) -> usize {
        let all: Vec<String> = self.open.keys().cloned().collect();
        for secret in &all {
            self.terminate(secret);
        }
        all.len()
    }

    pub(crate) fn refused(&mut self) {
        self.counts.refused += 1;
    }

    pub(crate) fn counts(&mut self) -> SessionCounts {
        self.expire();
        let open_rest = self.open.values().filter(|s| s.rest).count();
        SessionCounts { open: self.open.len(), open_rest, ..self.counts }
    }
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    // Fails only where the machine has no randomness at all; then ids still differ by time.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        bytes = uptime().as_nanos().to_be_bytes();
    }
    bytes
}

/// A UUID nobody can guess.
pub(crate) fn random_uuid() -> String {
    Uuid::from_bytes(random_bytes()).to_string()
}

/// A secret nobody can guess.
pub(crate) fn random_hex() -> String {
    format!(
        "{}{}",
        Uuid::from_bytes(random_bytes()).simple(),
        &Uuid::from_bytes(random_bytes()).simple().to_string()[..8]
    )
}
