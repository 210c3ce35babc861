//! AWS: SSM, STS, the Resource Groups Tagging API, Resource Groups and Security Hub, for several accounts and Regions, behind one
//! address.
//!
//! Service and Region come from the scope of a request's signature, the account from its access key. Every request is
//! checked against the service model of botocore, and so is every answer; a mistake of the simulator itself is an answer
//! with status 500 and is listed in the truth. Nothing here knows the client under test or an AWS SDK.

mod access;
mod activations;
mod agent;
mod aggregation;
mod associations;
mod caller;
mod cbor;
mod change;
mod compliance;
mod config;
mod error;
mod finding_format;
mod findings;
mod hub;
mod hub_filter;
mod iam;
mod inventory;
mod model;
mod nodes;
mod paging;
mod parameters;
mod patch_findings;
mod patches;
mod pattern;
mod protocol;
mod query;
mod registration;
mod report_changes;
mod seed;
mod service;
mod sigv4;
mod state;
mod sts;
mod tagging;
mod tags;
mod throttle;
mod timeline;
mod token;
mod truth;
mod validate;
mod windows;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::fault::FaultBook;
use crate::handle::Vcenter;
use crate::ledger::{Effect, Ledger};
use crate::vcenter::{CallCounts, Counter, lock};
use crate::{HeldCall, MutateError};

pub use self::aggregation::AwsAggregation;
pub use self::associations::AwsAssociationStatus;
pub use self::change::AwsMutation;
pub use self::config::{AwsAccount, AwsConfig, AwsParameter, AwsRole, NodeSeeding, ReadDelay, Throttle};
pub use self::finding_format::finding_faults;
pub(crate) use self::protocol::Protocol;
pub(crate) use self::seed::seed;
pub(crate) use self::service::Shared;
pub use self::state::{AwsActivation, AwsNode, AwsVm};
pub use self::validate::request_faults;
pub use self::windows::{AwsPatchOutcome, AwsPatchRun, AwsWindow};

use self::iam::Policy;
use self::state::State;
use self::token::Tokens;

impl Shared {
    /// The state of accounts without nodes.
    pub(crate) fn new(config: &AwsConfig, faults: Arc<FaultBook>, ledger: Arc<Ledger>) -> Self {
        Self {
            state: Mutex::new(State::new(config)),
            tokens: Tokens::new(),
            faults,
            ledger,
            counter: Counter::default(),
            connections: Arc::default(),
        }
    }
}

/// Calls of one operation, in one account and Region.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AwsCalls {
    /// As in fault rules: `ssm:AddTagsToResource`.
    pub operation: String,
    /// The account of the caller.
    pub account: String,
    /// The Region of the call.
    pub region: String,
    /// How many.
    pub calls: u64,
}

/// The running services. Cheap to clone; all clones are the same services. In fault rules they are called `aws`.
#[derive(Clone)]
pub struct Aws {
    pub(crate) shared: Arc<Shared>,
    pub(crate) address: SocketAddr,
    pub(crate) host: String,
    pub(crate) ca_pem: String,
    pub(crate) vcenters: Vec<Vcenter>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aws").field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Aws {
    /// `https://host:port`: the endpoint of every service in every Region.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.address.port())
    }

    /// PEM of the authority that signed the certificate.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The accounts, with their keys.
    pub fn accounts(&self) -> Vec<AwsAccount> {
        lock(&self.shared.state).accounts.clone()
    }

    /// The nodes that are registered now, by id.
    pub fn nodes(&self, account: &str, region: &str) -> Vec<AwsNode> {
        let state = lock(&self.shared.state);
        let nodes = state.region(account, region).map(|held| held.nodes.values());
        nodes.into_iter().flatten().filter_map(|node| node.info.now().as_deref().cloned()).collect()
    }

    /// The tags of a node now, wherever it is; `None` when there is no such node.
    pub fn tags(&self, node: &str) -> Option<BTreeMap<String, String>> {
        let state = lock(&self.shared.state);
        state.regions.values().find_map(|held| held.node(node)).map(|(node, _)| node.tags_now())
    }

    /// The public key that the agent of a node made, in DER form; `None` for a node that no agent registered.
    pub fn public_key(&self, node: &str) -> Option<Vec<u8>> {
        let state = lock(&self.shared.state);
        let found = state.regions.values().find_map(|held| held.node(node));
        found.and_then(|(node, _)| node.key.as_ref().map(|key| key.public.clone()))
    }

    /// The activations there are, by id.
    pub fn activations(&self, account: &str, region: &str) -> Vec<AwsActivation> {
        let state = lock(&self.shared.state);
        let lines = state.region(account, region).map(|held| held.activations.values());
        lines.into_iter().flatten().filter_map(|line| line.now().as_deref().cloned()).collect()
    }

    /// Every patch run on a node that began by now, in order.
    pub fn patch_runs(&self, account: &str, region: &str) -> Vec<AwsPatchRun> {
        let mut state = lock(&self.shared.state);
        windows::advance(&mut state);
        state.region(account, region).map(|held| held.windows.runs.clone()).unwrap_or_default()
    }

    /// The findings that there are in a Region now, without those of linked Regions.
    pub fn findings(&self, account: &str, region: &str) -> Vec<Value> {
        let mut state = lock(&self.shared.state);
        windows::advance(&mut state);
        let held = state.region(account, region);
        held.into_iter().flat_map(|held| held.findings.all()).cloned().collect()
    }

    /// Every change that callers made, on AWS and on vCenters, in order.
    pub fn effects(&self) -> Vec<Effect> {
        self.shared.ledger.effects()
    }

    /// Forgets the changes so far.
    pub fn clear_effects(&self) {
        self.shared.ledger.clear();
    }

    /// Calls by operation (of all accounts and Regions), and how many at once.
    pub fn calls(&self) -> CallCounts {
        self.shared.counter.snapshot()
    }

    /// Calls whose caller was known, by operation, account and Region.
    pub fn calls_by_place(&self) -> Vec<AwsCalls> {
        let state = lock(&self.shared.state);
        let calls = state.calls.iter().map(|((operation, account, region), calls)| AwsCalls {
            operation: operation.clone(),
            account: account.clone(),
            region: region.clone(),
            calls: *calls,
        });
        calls.collect()
    }

    /// The actions that policies refused, in order.
    pub fn refused(&self) -> Vec<String> {
        lock(&self.shared.state).refused.clone()
    }

    /// Starts counting calls and refusals anew.
    pub fn reset_calls(&self) {
        self.shared.counter.reset();
        let mut state = lock(&self.shared.state);
        state.calls.clear();
        state.refused.clear();
    }

    /// Does one change to what AWS holds, as somebody else would: it is not in the effects. Returns the id of what was
    /// made, where something was.
    ///
    /// # Errors
    ///
    /// When something does not exist or the change is not possible.
    pub fn mutate(&self, mutation: &AwsMutation) -> Result<Option<String>, MutateError> {
        mutation.apply(self)
    }

    /// Replaces the policy of a user or role, given by its ARN; `None`: everything is allowed, as at the start.
    ///
    /// # Errors
    ///
    /// When the document is not understood, or there is no such user or role.
    pub fn set_policy(&self, principal: &str, document: Option<&Value>) -> Result<(), String> {
        let mut state = lock(&self.shared.state);
        let known = state.accounts.iter().any(|account| {
            account.user_arn() == principal
                || account.roles.iter().any(|role| account.role_arn(&role.name) == principal)
        });
        if !known {
            return Err(format!("there is no principal {principal}"));
        }
        match document {
            Some(document) => {
                let policy = Policy::read(document)?;
                state.policies.insert(principal.to_owned(), policy);
            }
            None => {
                state.policies.remove(principal);
            }
        }
        Ok(())
    }

    /// How long reads lag behind writes from now on.
    pub fn set_read_delay(&self, delay: ReadDelay) {
        lock(&self.shared.state).set_delay(delay);
    }

    /// How many calls pass from now on; `None`: any number. Buckets start full.
    pub fn set_throttle(&self, throttle: Option<Throttle>) {
        let mut state = lock(&self.shared.state);
        state.throttle = throttle;
        state.buckets.clear();
    }

    /// Whether calls of Security Hub are limited as its documentation says: 10 a second and 30 at once, GetFindings 3 and 6.
    /// Buckets start full.
    pub fn set_documented_rates(&self, on: bool) {
        let mut state = lock(&self.shared.state);
        state.documented_rates = on;
        state.buckets.clear();
    }

    /// The calls that are held, on vCenters too.
    pub fn holds(&self) -> Vec<HeldCall> {
        self.shared.faults.holds.held()
    }

    /// Lets all held calls go on; returns how many there were.
    pub fn release_holds(&self) -> usize {
        self.shared.faults.holds.release(None)
    }

    /// Everything that AWS holds, without delay, and which VMs the nodes run in.
    pub fn truth(&self) -> Value {
        let mut state = lock(&self.shared.state);
        windows::advance(&mut state);
        truth::truth(&state)
    }

    /// Answers that did not fit the service model: mistakes of the simulator, not of the client. Empty, or a test fails.
    pub fn mistakes(&self) -> Vec<String> {
        lock(&self.shared.state).mistakes.clone()
    }

    /// Breaks every connection.
    pub fn break_connections(&self) {
        self.shared.connections.break_all();
    }
}
