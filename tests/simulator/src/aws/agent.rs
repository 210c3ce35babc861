//! SSM as SSM Agent sees it: registration, the role token, and the sign of life that makes a node Online.
//!
//! These operations are in no public service model. What they take and give is as in the source of the agent
//! (aws/amazon-ssm-agent: `agent/ssm`, `agent/managedInstances`), and as it was seen on the wire. Registration is not
//! signed: whoever has the code may register. The token of a node's role is asked for with a signature of Version 4 whose
//! last step is RSA-PSS with the node's own key; everything else is signed with what the token gives.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::clock::{now, uptime};
use crate::ledger::Place;
use crate::net::Request;
use crate::soap::session::{random_hex, random_uuid};
use crate::vcenter::lock;

use super::caller::{self, Caller};
use super::error::Error;
use super::protocol::{Protocol, Route, Service};
use super::registration::{self, Newcomer, Refused};
use super::seed::{self, Machine};
use super::service::Shared;
use super::sigv4::{self, Refusal};
use super::state::{AgentKey, AwsNode, Session, State, seconds};

/// How long the credentials of a node are good for.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// A member of a request: its name, its shortest text, and whether it has to be there.
type Member = (&'static str, usize, bool);

const REGISTER: &[Member] = &[
    ("ActivationCode", 20, true),
    ("ActivationId", 36, true),
    ("Fingerprint", 1, true),
    ("PublicKey", 392, true),
    ("PublicKeyType", 1, false),
    ("IamRole", 1, false),
    ("Tags", 0, false),
];
const TOKEN: &[Member] = &[("Fingerprint", 1, true)];
const INFORM: &[Member] = &[
    ("InstanceId", 10, true),
    ("AgentName", 1, false),
    ("AgentStatus", 1, false),
    ("AgentVersion", 5, false),
    ("AvailabilityZone", 0, false),
    ("AvailabilityZoneId", 0, false),
    ("ComputerName", 1, false),
    ("IPAddress", 1, false),
    ("PlatformName", 0, false),
    ("PlatformType", 1, false),
    ("PlatformVersion", 0, false),
    ("SSMConnectionChannel", 0, false),
];
const ASSOCIATIONS: &[Member] =
    &[("InstanceId", 10, true), ("MaxResults", 0, false), ("NextToken", 0, false)];

/// The members of the operations that only agents call.
fn members(operation: &str) -> Option<&'static [Member]> {
    Some(match operation {
        "RegisterManagedInstance" => REGISTER,
        "RequestManagedInstanceRoleToken" => TOKEN,
        "UpdateInstanceInformation" => INFORM,
        "ListInstanceAssociations" => ASSOCIATIONS,
        _ => return None,
    })
}

/// Whether an operation is one of those.
pub(super) fn plays(route: &Route) -> bool {
    route.service == Service::Ssm && members(&route.operation).is_some()
}

/// Answers one of those.
pub(super) fn answer(shared: &Shared, route: &Route, request: &Request) -> Result<Value, Error> {
    let input = read(route, request)?;
    // Who comes now was not there before.
    super::windows::advance(&mut lock(&shared.state));
    match route.operation.as_str() {
        "RegisterManagedInstance" => register(shared, &input),
        "RequestManagedInstanceRoleToken" => role_token(shared, request, &input),
        operation => {
            let caller = caller::authenticate(&lock(&shared.state), Service::Ssm, request)
                .map_err(|refusal| caller::refused(Service::Ssm, &refusal))?;
            shared.admit(Service::Ssm, &format!("ssm:{operation}"), &caller)?;
            own(&caller, operation, &input)?;
            if operation == "UpdateInstanceInformation" {
                inform(&mut lock(&shared.state), &caller, &input)
            } else {
                Ok(json!({ "Associations": [] }))
            }
        }
    }
}

/// The input, if it has the members that it is to have and no others.
fn read(route: &Route, request: &Request) -> Result<Value, Error> {
    let kind = request.header("content-type").unwrap_or_default();
    if kind != Protocol::Json.content_type() || request.method != "POST" || request.path != "/" {
        return Err(Error::new(404, "UnknownOperationException", ""));
    }
    let input: Value = serde_json::from_slice(&request.body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| Error::bad("SerializationException", "the body is not a structure"))?;
    let known = members(&route.operation).unwrap_or_default();
    let invalid =
        |text: String| Error::bad("ValidationException", format!("1 validation error detected: {text}"));
    for (member, shortest, required) in known {
        match input.get(*member) {
            None | Some(Value::Null) if *required => {
                return Err(invalid(format!("Value null at '{member}': Member must not be null")));
            }
            Some(Value::String(text)) if text.len() < *shortest => {
                return Err(invalid(format!(
                    "'{member}' must have length greater than or equal to {shortest}"
                )));
            }
            _ => {}
        }
    }
    let unknown = input.as_object().into_iter().flatten().map(|(name, _)| name);
    match unknown.into_iter().find(|name| !known.iter().any(|(member, ..)| member == name)) {
        Some(name) => Err(invalid(format!("'{name}' is not a member"))),
        None => Ok(input),
    }
}

fn text<'a>(input: &'a Value, member: &str) -> &'a str {
    input.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// RegisterManagedInstance.
fn register(shared: &Shared, input: &Value) -> Result<Value, Error> {
    let key = STANDARD.decode(text(input, "PublicKey")).ok().filter(|key| key.first() == Some(&0x30));
    let key = key.filter(|_| matches!(text(input, "PublicKeyType"), "" | "Rsa"));
    let public = key.ok_or_else(|| Error::bad("InvalidPublicKey", ""))?;
    let (id, code) = (text(input, "ActivationId"), text(input, "ActivationCode"));
    let mut state = lock(&shared.state);
    let found = state.regions.iter().find_map(|(place, held)| {
        let activation = held.activations.get(id)?.now().clone()?;
        (activation.activation_code == code).then(|| place.clone())
    });
    let (account, region) = found.ok_or_else(|| Error::bad("InvalidActivation", ""))?;
    // Until the agent tells it, nothing is known of the machine.
    let mut info = Machine::plain().node(&seed::node_id(&random_uuid()), now(0));
    info.ping_status = "Inactive".to_owned();
    for unknown in [
        &mut info.agent_version,
        &mut info.computer_name,
        &mut info.ip_address,
        &mut info.platform_name,
        &mut info.platform_type,
        &mut info.platform_version,
    ] {
        unknown.clear();
    }
    let key = AgentKey { public, fingerprint: text(input, "Fingerprint").to_owned() };
    let newcomer = Newcomer { info, tags: BTreeMap::new(), activation: Some(id.to_owned()), key: Some(key) };
    let node = registration::register(&mut state, &account, &region, newcomer).map_err(|refused| {
        let code = match refused {
            Refused::Unknown => "InvalidActivation",
            Refused::Expired => "ActivationExpired",
            Refused::UsedUp | Refused::Full => "RegistrationLimitExceeded",
        };
        Error::bad(code, "")
    })?;
    let place = Place { service: Service::Ssm.name(), account: &account, region: &region };
    shared.ledger.record(place, "RegisterManagedInstance", &node, json!({ "activation": id }), true);
    Ok(json!({ "InstanceId": node }))
}

/// RequestManagedInstanceRoleToken.
fn role_token(shared: &Shared, request: &Request, input: &Value) -> Result<Value, Error> {
    let refused = |refusal: &Refusal| caller::refused(Service::Ssm, refusal);
    let claim = sigv4::claim(request).map_err(|refusal| refused(&refusal))?;
    let wrong = |text: &str| refused(&Refusal::Signature(text.to_owned()));
    if claim.service != Service::Ssm.name() {
        return Err(wrong("Credential should be scoped to correct service: 'ssm'."));
    }
    let mut state = lock(&shared.state);
    let found = state.regions.iter().find_map(|((account, region), held)| {
        let (node, info) = held.node(&claim.access_key)?;
        Some((account.clone(), region.clone(), node.key.clone()?, info.iam_role.clone()?))
    });
    let (account, region, key, role) =
        found.filter(|(_, region, ..)| *region == claim.region).ok_or_else(|| refused(&Refusal::Unknown))?;
    let signed = claim.text_to_sign(request, now(0)).map_err(|refusal| refused(&refusal))?;
    let signature = STANDARD.decode(claim.signature()).map_err(|_| wrong("The signature is not base64."))?;
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, &key.public)
        .verify(signed.as_bytes(), &signature)
        .map_err(|_| wrong("The request signature does not match the public key of the node."))?;
    if text(input, "Fingerprint") != key.fingerprint {
        return Err(Error::bad("MachineFingerprintDoesNotMatch", ""));
    }
    let random = random_hex();
    let access_key = format!("ASIA{}", random[..16].to_ascii_uppercase());
    let session = Session {
        account: account.clone(),
        role: role.strip_prefix("service-role/").unwrap_or(&role).to_owned(),
        role_id: format!("AROASIMULATED{}", &account[account.len().saturating_sub(8)..]),
        name: claim.access_key.clone(),
        secret: random_hex().into(),
        token: format!("{}/{}==", random_hex(), random_hex()).into(),
        until: uptime() + TOKEN_LIFE,
        policy: None,
    };
    let until = now(0) + SignedDuration::try_from(TOKEN_LIFE).unwrap_or_default();
    let answer = json!({
        "AccessKeyId": access_key,
        "SecretAccessKey": session.secret.expose_secret(),
        "SessionToken": session.token.expose_secret(),
        "TokenExpirationDate": seconds(until),
        "UpdateKeyPair": false,
    });
    *state.calls.entry(("ssm:RequestManagedInstanceRoleToken".to_owned(), account, region)).or_default() += 1;
    state.sessions.insert(access_key, session);
    Ok(answer)
}

/// A node speaks for itself only.
fn own(caller: &Caller, operation: &str, input: &Value) -> Result<(), Error> {
    let node = text(input, "InstanceId");
    if caller.arn.ends_with(&format!(":assumed-role/{}/{node}", caller.role_name())) {
        return Ok(());
    }
    let arn = super::access::node_arn(&caller.account, &caller.region, node);
    Err(Error::bad(
        "AccessDeniedException",
        format!("User: {} is not authorized to perform: ssm:{operation} on resource: {arn}", caller.arn),
    ))
}

/// UpdateInstanceInformation.
fn inform(state: &mut State, caller: &Caller, input: &Value) -> Result<Value, Error> {
    let keep = state.keep();
    let id = text(input, "InstanceId");
    let gone = || Error::bad("InvalidInstanceId", format!("{id} is not registered"));
    let held = state.region_mut(&caller.account, &caller.region).ok_or_else(gone)?;
    let node = held.nodes.get_mut(id).ok_or_else(gone)?;
    let mut info = AwsNode::clone(node.info.now().as_ref().ok_or_else(gone)?);
    info.ping_status = "Online".to_owned();
    info.last_ping = now(0);
    for (field, member) in [
        (&mut info.agent_version, "AgentVersion"),
        (&mut info.computer_name, "ComputerName"),
        (&mut info.ip_address, "IPAddress"),
        (&mut info.platform_name, "PlatformName"),
        (&mut info.platform_type, "PlatformType"),
        (&mut info.platform_version, "PlatformVersion"),
    ] {
        if let Some(told) = input.get(member).and_then(Value::as_str) {
            told.clone_into(field);
        }
    }
    node.info.set(uptime(), keep, Some(std::sync::Arc::new(info)));
    Ok(json!({}))
}
