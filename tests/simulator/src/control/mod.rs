//! The control endpoint: what a test in Rust does with the handles, for people and scripts. Plain HTTP and JSON.
//!
//! Wrong requests are answered with 400, unknown names with 404, changes that are not possible with 409, each with
//! `{"error": "…"}`.

mod aws;
mod change;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::MutateError;
use crate::aws::Aws;
use crate::fault::{self, FaultBook, FaultRule};
use crate::handle::Vcenter;
use crate::ledger::Ledger;
use crate::net::server::Handler;
use crate::net::{Reply, Request, decode};
use crate::vmc::Vmc;

/// All that can be controlled.
pub(crate) struct Control {
    pub(crate) vcenters: Vec<Vcenter>,
    pub(crate) vmc: Option<Vmc>,
    pub(crate) aws: Option<Aws>,
    pub(crate) faults: Arc<FaultBook>,
    pub(crate) ledger: Arc<Ledger>,
}

/// Why a request was not done.
#[derive(Debug)]
struct Refused {
    status: u16,
    why: String,
}

impl Refused {
    fn new(status: u16, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }
}

impl From<MutateError> for Refused {
    fn from(error: MutateError) -> Self {
        let status = match error {
            MutateError::NoSuchObject(_) => 404,
            MutateError::NotPossible { .. } => 409,
        };
        Self::new(status, error.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Faults {
    /// Remove the rules that are set first.
    #[serde(default)]
    clear: bool,
    /// Add the rules of this seed.
    seed: Option<u64>,
    /// Add the rules of this seed for AWS.
    #[serde(rename = "awsSeed")]
    aws_seed: Option<u64>,
    /// Add the rules of this seed for guest operations.
    #[serde(rename = "guestSeed")]
    guest_seed: Option<u64>,
    /// Add the rules of this seed for calls about tasks.
    #[serde(rename = "taskSeed")]
    task_seed: Option<u64>,
    #[serde(default)]
    add: Vec<FaultRule>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Release {
    /// Only calls that match it, as in fault rules.
    operation: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "camelCase", deny_unknown_fields)]
enum SddcChange {
    Add {
        name: String,
        vcenter: String,
    },
    Remove {
        sddc: String,
    },
    Rename {
        sddc: String,
        name: String,
    },
    State {
        sddc: String,
        state: String,
    },
    /// Ends all access tokens.
    ExpireTokens,
}

impl Handler for Control {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        let reply = match self.answer(&request) {
            Ok(value) => Reply::json(200, &value),
            Err(refused) => Reply::json(refused.status, &json!({ "error": refused.why })),
        };
        Box::pin(std::future::ready(reply))
    }
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, Refused> {
    serde_json::from_slice(&request.body).map_err(|error| Refused::new(400, error.to_string()))
}

impl Control {
    fn answer(&self, request: &Request) -> Result<Value, Refused> {
        let path = decode(request.path.trim_start_matches('/'));
        let parts: Vec<&str> = path.split('/').collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["stats"]) => Ok(self.stats()),
            ("GET", ["truth", name]) => Ok(self.vcenter(name)?.truth()),
            ("GET", ["guests", name]) => Ok(json!(self.vcenter(name)?.guests())),
            ("GET", ["tasks", name]) => Ok(json!(self.vcenter(name)?.tasks())),
            ("GET", ["vms", name]) => Ok(json!(self.vcenter(name)?.vm_ids())),
            ("GET", ["faults"]) => Ok(json!({ "injected": self.faults.injected() })),
            (method, ["aws", what @ ("truth" | "stats" | "mutate" | "policy" | "settings")]) => {
                self.aws(method, what, request)
            }
            ("GET", ["effects"] | ["aws", "effects"]) => Ok(json!(self.ledger.effects())),
            ("POST", ["effects", "clear"] | ["aws", "effects", "clear"]) => {
                self.ledger.clear();
                Ok(json!({}))
            }
            ("POST", ["faults"]) => {
                let asked: Faults = read(request)?;
                if asked.clear {
                    self.faults.clear();
                }
                let seeded = asked.seed.map(fault::from_seed).unwrap_or_default();
                let for_aws = asked.aws_seed.map(fault::aws_from_seed).unwrap_or_default();
                let for_guests = asked.guest_seed.map(fault::guest_from_seed).unwrap_or_default();
                let for_tasks = asked.task_seed.map(fault::task_from_seed).unwrap_or_default();
                let generated = seeded.into_iter().chain(for_aws).chain(for_guests).chain(for_tasks);
                let rules: Vec<FaultRule> = generated.chain(asked.add).collect();
                let added = json!(rules);
                self.faults.add(rules);
                Ok(json!({ "added": added }))
            }
            ("GET", ["holds"]) => Ok(json!(self.faults.holds.held())),
            ("POST", ["holds", "release"]) => {
                let asked: Release =
                    if request.body.is_empty() { Release::default() } else { read(request)? };
                Ok(json!({ "released": self.faults.holds.release(asked.operation.as_deref()) }))
            }
            ("POST", ["mutate", name]) => {
                let vcenter = self.vcenter(name)?;
                match read::<Value>(request)? {
                    Value::Array(changes) => {
                        let made: Result<Vec<Value>, Refused> =
                            changes.into_iter().map(|change| change::apply(vcenter, change)).collect();
                        Ok(Value::Array(made?))
                    }
                    change => change::apply(vcenter, change),
                }
            }
            ("POST", ["sessions", "terminate", name]) => {
                Ok(json!({ "terminated": self.vcenter(name)?.terminate_sessions() }))
            }
            ("POST", ["restart", name]) => {
                self.vcenter(name)?.restart();
                Ok(json!({}))
            }
            ("POST", ["certificate", name]) => {
                let vcenter = self.vcenter(name)?;
                vcenter.rotate_certificate().map_err(|error| Refused::new(500, error.to_string()))?;
                Ok(json!({ "thumbprint": vcenter.thumbprint() }))
            }
            ("POST", ["clock", name]) => {
                #[derive(Deserialize)]
                #[serde(rename_all = "camelCase", deny_unknown_fields)]
                struct Clock {
                    skew_seconds: i64,
                }
                let clock: Clock = read(request)?;
                self.vcenter(name)?.set_clock_skew(clock.skew_seconds);
                Ok(json!({}))
            }
            ("GET", ["sddcs"]) => Ok(json!(self.vmc()?.sddcs())),
            ("POST", ["sddcs"]) => self.change_sddcs(&read(request)?),
            ("GET" | "POST", _) => Err(Refused::new(404, format!("there is no {} /{path}", request.method))),
            (method, _) => Err(Refused::new(405, format!("{method} is not used here"))),
        }
    }

    fn vcenter(&self, name: &str) -> Result<&Vcenter, Refused> {
        let found = self.vcenters.iter().find(|vcenter| vcenter.name() == name);
        found.ok_or_else(|| Refused::new(404, format!("there is no vCenter {name}")))
    }

    fn aws(&self, method: &str, what: &str, request: &Request) -> Result<Value, Refused> {
        let aws = self.aws.as_ref().ok_or_else(|| Refused::new(404, "there is no AWS"))?;
        aws::answer(aws, method, what, request)
    }

    fn vmc(&self) -> Result<&Vmc, Refused> {
        self.vmc.as_ref().ok_or_else(|| Refused::new(404, "there is no VMware Cloud service"))
    }

    fn stats(&self) -> Value {
        let of = |vcenter: &Vcenter| {
            let (sessions, calls) = (vcenter.sessions(), vcenter.calls());
            json!({
                "sessions": {
                    "open": sessions.open, "soap": sessions.open - sessions.open_rest, "rest": sessions.open_rest,
                    "ever": sessions.opened, "peak": sessions.peak, "loggedOut": sessions.logged_out,
                    "expired": sessions.expired, "terminated": sessions.terminated, "refused": sessions.refused,
                },
                "calls": calls.calls, "total": calls.total, "inFlight": calls.in_flight,
                "peakInFlight": calls.peak_in_flight, "bytesSent": calls.bytes_sent,
                "vms": vcenter.shared.world().vms().count(),
            })
        };
        let vcenters: Map<String, Value> =
            self.vcenters.iter().map(|vcenter| (vcenter.name().to_owned(), of(vcenter))).collect();
        let vmc = self.vmc.as_ref().map(|vmc| {
            let calls = vmc.calls();
            json!({ "calls": calls.calls, "total": calls.total, "inFlight": calls.in_flight,
                "tokensGiven": vmc.tokens_given(), "sddcs": vmc.sddcs() })
        });
        json!({ "vcenters": vcenters, "vmc": vmc, "injectedFaults": self.faults.injected().len() })
    }

    fn change_sddcs(&self, change: &SddcChange) -> Result<Value, Refused> {
        let vmc = self.vmc()?;
        let (done, sddc) = match change {
            SddcChange::Add { name, vcenter } => {
                let id = vmc.add_sddc(name, self.vcenter(vcenter)?);
                return Ok(json!({ "id": id }));
            }
            SddcChange::ExpireTokens => return Ok(json!({ "expired": vmc.expire_tokens() })),
            SddcChange::Remove { sddc } => (vmc.remove_sddc(sddc), sddc),
            SddcChange::Rename { sddc, name } => (vmc.rename_sddc(sddc, name), sddc),
            SddcChange::State { sddc, state } => (vmc.set_sddc_state(sddc, state), sddc),
        };
        if done { Ok(json!({})) } else { Err(Refused::new(404, format!("there is no SDDC {sddc}"))) }
    }
}
