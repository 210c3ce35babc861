//! SSM: reading parameters, for secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::vcenter::lock;

use super::error::Error;
use super::service::{Call, invalid};
use super::state::seconds;

pub(super) fn get(call: &Call<'_>) -> Result<Value, Error> {
    let asked = call.text("Name").unwrap_or_default();
    let caller = call.caller;
    let prefix = format!("arn:aws:ssm:{}:{}:parameter", caller.region, caller.account);
    // An ARN of a parameter with a path has one slash, as has the name.
    let name = asked.strip_prefix(&prefix).unwrap_or(asked);
    let (name, selector) =
        name.split_once(':').map_or((name, None), |(name, selector)| (name, Some(selector)));
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c)) {
        return Err(invalid(
            call.service,
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive) and may only contain letters, numbers and the symbols . - _ /",
        ));
    }
    let state = lock(&call.shared.state);
    let held = state.region(&caller.account, &caller.region);
    let found = held.and_then(|held| {
        let bare = name.strip_prefix('/').filter(|_| asked.len() != name.len());
        held.parameters.get_key_value(name).or_else(|| held.parameters.get_key_value(bare?))
    });
    let (name, parameter) = found.ok_or_else(|| Error::bad("ParameterNotFound", ""))?;
    let version = match selector {
        Some(selector) => selector
            .parse::<usize>()
            .ok()
            .filter(|version| (1..=parameter.versions.len()).contains(version))
            .ok_or_else(|| {
                let text = format!("Systems Manager could not find version {selector} of {name}. Verify the version and try again.");
                Error::bad("ParameterVersionNotFound", text)
            })?,
        None => parameter.versions.len(),
    };
    let (modified, secret) = &parameter.versions[version - 1];
    let plain = secret.expose_secret();
    let decrypt = call.input.get("WithDecryption").and_then(Value::as_bool).unwrap_or(false);
    let value = if parameter.secure && !decrypt {
        STANDARD.encode(format!("encrypted {version} {name}"))
    } else {
        plain.to_owned()
    };
    let slash = if name.starts_with('/') { "" } else { "/" };
    let mut told = json!({
        "Name": name, "Type": if parameter.secure { "SecureString" } else { "String" }, "Value": value,
        "Version": version, "LastModifiedDate": seconds(*modified), "ARN": format!("{prefix}{slash}{name}"),
        "DataType": "text",
    });
    if let Some(selector) = selector {
        told["Selector"] = format!(":{selector}").into();
    }
    Ok(json!({ "Parameter": told }))
}
