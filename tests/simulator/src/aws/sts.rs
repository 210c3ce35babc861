//! STS: who am I, and becoming a role.

use std::time::Duration;

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::clock::{now, uptime};
use crate::soap::session::random_hex;
use crate::vcenter::lock;

use super::caller::Wish;
use super::error::Error;
use super::iam::Policy;
use super::service::Call;
use super::state::Session;

pub(super) fn wishes(call: &Call<'_>) -> Vec<Wish> {
    // Nobody needs a permission to ask who they are.
    if call.operation != "AssumeRole" {
        return Vec::new();
    }
    let mut wish = Wish::new("sts:AssumeRole".to_owned(), call.text("RoleArn").unwrap_or("*").to_owned());
    for (member, key) in [("ExternalId", "sts:externalid"), ("RoleSessionName", "sts:rolesessionname")] {
        if let Some(value) = call.text(member) {
            wish.context.insert(key.to_owned(), vec![value.to_owned()]);
        }
    }
    vec![wish]
}

pub(super) fn caller_identity(call: &Call<'_>) -> Value {
    json!({ "UserId": call.caller.user_id, "Account": call.caller.account, "Arn": call.caller.arn })
}

pub(super) fn assume_role(call: &Call<'_>) -> Result<Value, Error> {
    let arn = call.text("RoleArn").unwrap_or_default();
    let name = call.text("RoleSessionName").unwrap_or_default();
    let denied = || {
        let text = format!(
            "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            call.caller.arn
        );
        Error::new(403, "AccessDenied", text)
    };
    let policy = match call.text("Policy") {
        Some(text) => {
            let document = serde_json::from_str(text).map_err(|error| error.to_string());
            let policy = document.and_then(|document: Value| Policy::read(&document));
            Some(policy.map_err(|text| Error::bad("MalformedPolicyDocument", text))?)
        }
        None => None,
    };
    let mut state = lock(&call.shared.state);
    // A role that is not there and one that does not trust the caller look the same.
    let found = state.accounts.iter().find_map(|account| {
        let role = account.roles.iter().find(|role| account.role_arn(&role.name) == arn)?;
        Some((account.id.clone(), role.clone()))
    });
    let (account, role) = found.ok_or_else(denied)?;
    let root = format!("arn:aws:iam::{}:root", call.caller.account);
    let trusted = role.trusts.iter().any(|trusted| {
        trusted == "*" || *trusted == call.caller.account || *trusted == root || *trusted == call.caller.arn
    });
    if !trusted || (role.external_id.is_some() && role.external_id.as_deref() != call.text("ExternalId")) {
        return Err(denied());
    }
    let duration = call.number("DurationSeconds").unwrap_or(3600);
    // A role that was assumed by a role lives an hour at most.
    if call.caller.arn.contains(":assumed-role/") && duration > 3600 {
        let text = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining";
        return Err(Error::bad("ValidationError", text));
    }
    let secret = random_hex();
    let access_key = format!("ASIA{}", secret[..16].to_ascii_uppercase());
    let role_id = format!("AROASIMULATED{}", &account[account.len().saturating_sub(8)..]);
    let session = Session {
        account: account.clone(),
        role: role.name.clone(),
        role_id: role_id.clone(),
        name: name.to_owned(),
        secret: random_hex().into(),
        token: format!("{}/{}==", random_hex(), random_hex()).into(),
        until: uptime() + Duration::from_secs(duration as u64),
        policy,
    };
    let until = now(0) + SignedDuration::from_secs(i64::try_from(duration).unwrap_or(3600));
    let answer = json!({
        "Credentials": {
            "AccessKeyId": access_key, "SecretAccessKey": session.secret.expose_secret(),
            "SessionToken": session.token.expose_secret(),
            "Expiration": until.as_second(),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": format!("{role_id}:{name}"),
            "Arn": format!("arn:aws:sts::{account}:assumed-role/{}/{name}", role.name),
        },
    });
    state.sessions.insert(access_key, session);
    Ok(answer)
}
