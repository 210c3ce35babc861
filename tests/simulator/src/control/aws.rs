//! The part of the control endpoint that is about AWS.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::{Aws, AwsMutation, ReadDelay, Throttle};
use crate::net::Request;

use super::{Refused, read};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPolicy {
    /// ARN of a user or role.
    principal: String,
    /// `null`: everything is allowed.
    policy: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    /// Seconds by which reads lag behind writes.
    read_delay: Option<Delay>,
    /// `null`: nothing is throttled; absent: as before.
    #[serde(default, deserialize_with = "present")]
    throttle: Option<Option<Throttle>>,
    /// Whether Security Hub's documented limits hold; absent: as before.
    documented_rates: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Delay {
    All(f64),
    Each {
        #[serde(default)]
        ssm: f64,
        #[serde(default)]
        tagging: f64,
        #[serde(default)]
        securityhub: f64,
    },
}

/// Tells `null` from a member that is not there.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Throttle>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn seconds(number: f64) -> Result<Duration, Refused> {
    Duration::try_from_secs_f64(number)
        .map_err(|_| Refused::new(400, format!("{number} is no number of seconds")))
}

pub(super) fn answer(aws: &Aws, method: &str, what: &str, request: &Request) -> Result<Value, Refused> {
    match (method, what) {
        ("GET", "truth") => Ok(aws.truth()),
        ("GET", "stats") => Ok(json!({ "calls": aws.calls(), "byPlace": aws.calls_by_place() })),
        ("POST", "stats") => {
            aws.reset_calls();
            Ok(json!({}))
        }
        ("POST", "mutate") => match read::<Value>(request)? {
            Value::Array(changes) => {
                let made: Result<Vec<Value>, Refused> =
                    changes.into_iter().map(|change| mutate(aws, change)).collect();
                Ok(Value::Array(made?))
            }
            change => mutate(aws, change),
        },
        ("POST", "policy") => {
            let asked: SetPolicy = read(request)?;
            let document = (!asked.policy.is_null()).then_some(&asked.policy);
            aws.set_policy(&asked.principal, document).map_err(|why| Refused::new(400, why))?;
            Ok(json!({}))
        }
        ("POST", "settings") => {
            let asked: Settings = read(request)?;
            if let Some(delay) = asked.read_delay {
                aws.set_read_delay(match delay {
                    Delay::All(all) => ReadDelay::all(seconds(all)?),
                    Delay::Each { ssm, tagging, securityhub } => ReadDelay {
                        ssm: seconds(ssm)?,
                        tagging: seconds(tagging)?,
                        securityhub: seconds(securityhub)?,
                    },
                });
            }
            if let Some(throttle) = asked.throttle {
                aws.set_throttle(throttle);
            }
            if let Some(on) = asked.documented_rates {
                aws.set_documented_rates(on);
            }
            Ok(json!({}))
        }
        _ => Err(Refused::new(405, format!("{method} is not used here"))),
    }
}

fn mutate(aws: &Aws, change: Value) -> Result<Value, Refused> {
    let mutation: AwsMutation =
        serde_json::from_value(change).map_err(|error| Refused::new(400, error.to_string()))?;
    Ok(json!({ "made": aws.mutate(&mutation)? }))
}
