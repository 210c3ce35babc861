//! SSM: activations.

use std::ops::Bound;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::{now, uptime};
use crate::soap::session::{random_hex, random_uuid};
use crate::vcenter::lock;

use super::error::Error;
use super::service::Call;
use super::state::AwsActivation;
use super::timeline::Timeline;

const LIFE: SignedDuration = SignedDuration::from_hours(24);
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

pub(super) fn create(call: &Call<'_>) -> Result<Value, Error> {
    let tags = super::tags::read(call, "Tags")?;
    let invalid = |text: &str| Error::bad("InvalidParameters", text);
    if tags.len() > super::tags::MOST {
        return Err(invalid("An activation can have at most 50 tags."));
    }
    let role = call.text("IamRole").unwrap_or_default();
    let now_date = now(0);
    let expiration_date = match call.input.get("ExpirationDate").and_then(Value::as_f64) {
        // Never outside of what fits: milliseconds of a double.
        Some(seconds) => Timestamp::from_millisecond((seconds * 1000.0) as i64)
            .map_err(|_| invalid("The expiration date is not valid."))?,
        None => now_date + LIFE,
    };
    let life = expiration_date.duration_since(now_date);
    if life <= SignedDuration::ZERO || life > LONGEST {
        return Err(invalid("The expiration date must be in the future and within 30 days."));
    }
    let mut state = lock(&call.shared.state);
    // Names may be written with the path of service roles.
    let name = role.strip_prefix("service-role/").unwrap_or(role);
    let account = state.account(&call.caller.account);
    if !account.is_some_and(|account| account.instance_roles.iter().any(|known| known == name)) {
        return Err(invalid(&format!(
            "Nonexistent role or missing ssm service principal in trust policy: {role}"
        )));
    }
    let activation = AwsActivation {
        activation_id: random_uuid(),
        activation_code: random_hex()[..20].to_owned(),
        description: call.text("Description").map(str::to_owned),
        default_instance_name: call.text("DefaultInstanceName").map(str::to_owned),
        iam_role: role.to_owned(),
        registration_limit: call.number("RegistrationLimit").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        registrations_count: 0,
        expiration_date,
        created_date: now_date,
        tags,
    };
    let (id, code) = (activation.activation_id.clone(), activation.activation_code.clone());
    let detail = json!({ "description": activation.description, "registrationLimit": activation.registration_limit,
        "tags": activation.tags });
    if let Some(held) = state.region_mut(&call.caller.account, &call.caller.region) {
        held.activations.insert(id.clone(), Timeline::new(uptime(), Some(Arc::new(activation))));
        call.record(&id, detail, true);
    }
    Ok(json!({ "ActivationId": id, "ActivationCode": code }))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Value, Error> {
    let id = call.text("ActivationId").unwrap_or_default();
    let mut state = lock(&call.shared.state);
    let keep = state.keep();
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let activation = held.and_then(|held| held.activations.get_mut(id)).filter(|line| line.now().is_some());
    let activation = activation
        .ok_or_else(|| Error::bad("InvalidActivationId", format!("Activation ID {id} does not exist.")))?;
    activation.set(uptime(), keep, None);
    call.record(id, json!({}), true);
    Ok(json!({}))
}

pub(super) fn describe(call: &Call<'_>) -> Result<Value, Error> {
    let mut filters = Vec::new();
    for filter in call.list("Filters") {
        let (Some(key), Some(values)) = (filter["FilterKey"].as_str(), filter["FilterValues"].as_array())
        else {
            return Err(Error::bad("InvalidFilter", "A filter needs a key and values."));
        };
        filters.push((key, values));
    }
    let fits = |activation: &AwsActivation| {
        filters.iter().all(|(key, values)| {
            let value = match *key {
                "ActivationIds" => Some(activation.activation_id.as_str()),
                "IamRole" => Some(activation.iam_role.as_str()),
                _ => activation.default_instance_name.as_deref(),
            };
            value.is_some_and(|value| values.iter().any(|wanted| wanted == value))
        })
    };
    let most = call.number("MaxResults").unwrap_or(50);
    let query = call.query(&["NextToken", "MaxResults"]);
    let after = match call.text("NextToken") {
        Some(token) => {
            let taken = call.shared.tokens.take(&query, token);
            Some(taken.ok_or_else(|| Error::bad("InvalidNextToken", "The specified token is not valid."))?)
        }
        None => None,
    };
    let (state, now) = (lock(&call.shared.state), now(0));
    let moment = state.seen(|delay| delay.ssm);
    let start = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut list = Vec::new();
    let mut next = None;
    if let Some(held) = state.region(&call.caller.account, &call.caller.region) {
        let mut last = None;
        for (id, line) in held.activations.range::<str, _>((start, Bound::Unbounded)) {
            if list.len() == most {
                next = last;
                break;
            }
            last = Some(id);
            if let Some(Some(activation)) = line.at(moment)
                && fits(activation)
            {
                list.push(activation.told(now));
            }
        }
    }
    let mut answer = json!({ "ActivationList": list });
    if let Some(last) = next {
        answer["NextToken"] = call.shared.tokens.give(&query, last).into();
    }
    Ok(answer)
}
