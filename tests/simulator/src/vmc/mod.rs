//! VMware Cloud on AWS: the token service (CSP) and the list of SDDCs, on one port of their own.
//!
//! Access tokens expire in real time. An SDDC is a name in front of a simulated vCenter; it comes, goes, changes its name
//! and its state while clients look on.

mod service;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::config::VmcConfig;
use crate::dice::Dice;
use crate::fault::FaultBook;
use crate::handle::Vcenter;
use crate::net::Reply;
use crate::net::server::Connections;
use crate::vcenter::{CallCounts, Counter, lock};

/// An error as the VMC service writes it.
pub(crate) fn error(status: u16, message: &str) -> Reply {
    let code = match status {
        401 => "UNAUTHENTICATED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        _ => "INTERNAL_ERROR",
    };
    Reply::json(
        status,
        &serde_json::json!({ "status": status, "error_messages": [message], "error_code": code,
            "retryable": status >= 500, "path": "/vmc/api" }),
    )
}

#[derive(Debug, Clone)]
struct Sddc {
    id: String,
    name: String,
    state: String,
    created: Timestamp,
    vcenter: Vcenter,
}

/// An SDDC, as the simulator knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SddcInfo {
    /// Its id.
    pub id: String,
    /// Its name now.
    pub name: String,
    /// `READY`, `DEPLOYING`, …
    pub state: String,
    /// Name of the vCenter behind it.
    pub vcenter: String,
}

#[derive(Default)]
struct State {
    sddcs: Vec<Sddc>,
    gone: Vec<Sddc>,
    /// Access tokens and until when (of [`crate::clock::uptime`]) they are good.
    tokens: BTreeMap<String, Duration>,
    tokens_ever: u64,
    ids: u64,
}

pub(crate) struct Shared {
    config: VmcConfig,
    faults: Arc<FaultBook>,
    counter: Counter,
    pub(crate) connections: Arc<Connections>,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(config: VmcConfig, faults: Arc<FaultBook>) -> Self {
        let (counter, connections) = (Counter::default(), Arc::default());
        Self { config, faults, counter, connections, state: Mutex::default() }
    }
}

/// The running service. Cheap to clone; all clones are the same service. In fault rules it is called `vmc`.
#[derive(Clone)]
pub struct Vmc {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
}

impl std::fmt::Debug for Vmc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vmc").field("url", &self.url()).field("sddcs", &self.sddcs()).finish_non_exhaustive()
    }
}

impl Vmc {
    /// `https://host:port`, without a path: base address of both CSP and VMC.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.address.port())
    }

    /// Id of the organisation.
    pub fn org_id(&self) -> &str {
        &self.shared.config.org_id
    }

    /// The API (refresh) token that is accepted.
    pub fn refresh_token(&self) -> &str {
        self.shared.config.refresh_token.expose_secret()
    }

    /// Id and secret of the OAuth app that are accepted.
    pub fn client(&self) -> (&str, &str) {
        (&self.shared.config.client_id, self.shared.config.client_secret.expose_secret())
    }

    /// The SDDCs there are, in the order of their coming.
    pub fn sddcs(&self) -> Vec<SddcInfo> {
        let info = |sddc: &Sddc| SddcInfo {
            id: sddc.id.clone(),
            name: sddc.name.clone(),
            state: sddc.state.clone(),
            vcenter: sddc.vcenter.name().to_owned(),
        };
        lock(&self.shared.state).sddcs.iter().map(info).collect()
    }

    /// Puts a new SDDC in front of a vCenter and returns its id. It is ready at once. Names may repeat.
    pub fn add_sddc(&self, name: &str, vcenter: &Vcenter) -> String {
        let created = crate::clock::now(0);
        let mut state = lock(&self.shared.state);
        state.ids += 1;
        let id = Dice::new(crate::fleet::hash_name(&self.shared.config.org_id), state.ids).uuid().to_string();
        let sddc = Sddc {
            id: id.clone(),
            name: name.to_owned(),
            state: "READY".to_owned(),
            created,
            vcenter: vcenter.clone(),
        };
        state.sddcs.push(sddc);
        id
    }

    /// Deletes an SDDC, given by id or name; false when there is none. Its vCenter goes on.
    pub fn remove_sddc(&self, sddc: &str) -> bool {
        let mut state = lock(&self.shared.state);
        let Some(at) = position(&state.sddcs, sddc) else { return false };
        let mut gone = state.sddcs.remove(at);
        "DELETED".clone_into(&mut gone.state);
        state.gone.push(gone);
        true
    }

    /// Gives an SDDC, given by id or name, another name; false when there is none.
    pub fn rename_sddc(&self, sddc: &str, name: &str) -> bool {
        self.with(sddc, |sddc| name.clone_into(&mut sddc.name))
    }

    /// Sets the state of an SDDC, given by id or name; false when there is none. While it is `DEPLOYING` it has no
    /// vCenter to show.
    pub fn set_sddc_state(&self, sddc: &str, state: &str) -> bool {
        self.with(sddc, |sddc| state.clone_into(&mut sddc.state))
    }

    fn with(&self, sddc: &str, act: impl FnOnce(&mut Sddc)) -> bool {
        let mut state = lock(&self.shared.state);
        let at = position(&state.sddcs, sddc);
        at.and_then(|at| state.sddcs.get_mut(at)).map(act).is_some()
    }

    /// Ends all access tokens and returns how many were good.
    pub fn expire_tokens(&self) -> usize {
        let now = crate::clock::uptime();
        let tokens = std::mem::take(&mut lock(&self.shared.state).tokens);
        tokens.values().filter(|until| **until > now).count()
    }

    /// How many access tokens were ever given.
    pub fn tokens_given(&self) -> u64 {
        lock(&self.shared.state).tokens_ever
    }

    /// Calls by operation, and how many at once.
    pub fn calls(&self) -> CallCounts {
        self.shared.counter.snapshot()
    }

    /// Starts counting calls anew.
    pub fn reset_calls(&self) {
        self.shared.counter.reset();
    }

    /// Breaks every connection.
    pub fn break_connections(&self) {
        self.shared.connections.break_all();
    }
}

fn position(sddcs: &[Sddc], key: &str) -> Option<usize> {
    let by_id = sddcs.iter().position(|sddc| sddc.id == key);
    by_id.or_else(|| sddcs.iter().position(|sddc| sddc.name == key))
}
