//! Who calls, and what they may do.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::clock::uptime;
use crate::net::Request;

use super::error::Error;
use super::iam::{Context, Policy, Verdict};
use super::protocol::Service;
use super::sigv4::{self, Refusal};
use super::state::{Session, State};

/// Somebody whose signature was good.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) arn: String,
    /// `UserId` of GetCallerIdentity.
    pub(crate) user_id: String,
    /// Whose policy counts: the user, or the role.
    principal: String,
    session_policy: Option<Policy>,
}

/// What a refused signature is called by a service.
pub(crate) fn refused(service: Service, refusal: &Refusal) -> Error {
    let sts = service == Service::Sts;
    // Only these services answer 403 where the others answer 400.
    let status = if matches!(service, Service::Sts | Service::SecurityHub) { 403 } else { 400 };
    let pick = |of_sts: &'static str, of_others: &'static str| if sts { of_sts } else { of_others };
    match refusal {
        Refusal::Missing => Error::new(
            status,
            pick("MissingAuthenticationToken", "MissingAuthenticationTokenException"),
            pick("Request is missing Authentication Token", "Missing Authentication Token"),
        ),
        Refusal::Incomplete(text) => {
            Error::new(400, pick("IncompleteSignature", "IncompleteSignatureException"), text)
        }
        Refusal::Unknown => Error::new(
            status,
            pick("InvalidClientTokenId", "UnrecognizedClientException"),
            "The security token included in the request is invalid.",
        ),
        Refusal::Signature(text) => {
            Error::new(status, pick("SignatureDoesNotMatch", "InvalidSignatureException"), text)
        }
        Refusal::Expired => Error::new(
            status,
            pick("ExpiredToken", "ExpiredTokenException"),
            "The security token included in the request is expired",
        ),
    }
}

/// Finds out who signed a request.
pub(crate) fn authenticate(state: &State, service: Service, request: &Request) -> Result<Caller, Refusal> {
    let claim = sigv4::claim(request)?;
    let (caller, secret, expired) = if let Some(session) = state.sessions.get(&claim.access_key) {
        let shown = claim.token.as_ref().map(SecretString::expose_secret);
        if shown != Some(session.token.expose_secret()) {
            return Err(Refusal::Unknown);
        }
        (of_session(session, &claim.region), session.secret.clone(), session.until <= uptime())
    } else {
        let account = state.accounts.iter().find(|account| account.access_key_id == claim.access_key);
        let account = account.filter(|_| claim.token.is_none()).ok_or(Refusal::Unknown)?;
        let caller = Caller {
            account: account.id.clone(),
            region: claim.region.clone(),
            arn: account.user_arn(),
            user_id: format!("AIDASIMULATED{}", &account.id[account.id.len().saturating_sub(8)..]),
            principal: account.user_arn(),
            session_policy: None,
        };
        (caller, account.secret_access_key.clone(), false)
    };
    claim.verify(request, secret.expose_secret(), crate::clock::now(0))?;
    if expired {
        return Err(Refusal::Expired);
    }
    if claim.service != service.name() {
        return Err(Refusal::Signature(format!(
            "Credential should be scoped to correct service: '{}'.",
            service.name()
        )));
    }
    let known = state.account(&caller.account).is_some_and(|account| account.regions.contains(&claim.region));
    match (known, service) {
        (true, _) => Ok(caller),
        // Tokens of STS are good everywhere.
        (false, Service::Sts) => Ok(caller),
        // A Region that the account has not switched on does not know its keys.
        (false, _) => Err(Refusal::Unknown),
    }
}

fn of_session(session: &Session, region: &str) -> Caller {
    Caller {
        account: session.account.clone(),
        region: region.to_owned(),
        arn: format!("arn:aws:sts::{}:assumed-role/{}/{}", session.account, session.role, session.name),
        user_id: format!("{}:{}", session.role_id, session.name),
        principal: format!("arn:aws:iam::{}:role/{}", session.account, session.role),
        session_policy: session.policy.clone(),
    }
}

/// What a call wants to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) context: Context,
}

impl Wish {
    pub(crate) fn new(action: String, resource: String) -> Self {
        Self { action, resource, context: Context::new() }
    }

    /// The tags that a request brings, under a name such as `Tags`.
    pub(crate) fn request_tags(&mut self, list: Option<&Value>) {
        let mut keys = Vec::new();
        for tag in list.and_then(Value::as_array).into_iter().flatten() {
            let (Some(key), Some(value)) = (tag["Key"].as_str(), tag["Value"].as_str()) else { continue };
            keys.push(key.to_owned());
            let name = format!("aws:requesttag/{}", key.to_ascii_lowercase());
            self.context.insert(name, vec![value.to_owned()]);
        }
        self.tag_keys(keys);
    }

    pub(crate) fn tag_keys(&mut self, keys: Vec<String>) {
        if !keys.is_empty() {
            self.context.insert("aws:tagkeys".to_owned(), keys);
        }
    }

    /// The tags that the resource has.
    pub(crate) fn resource_tags<'a>(&mut self, tags: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (key, value) in tags {
            for prefix in ["aws:resourcetag", "ssm:resourcetag"] {
                self.context.insert(format!("{prefix}/{}", key.to_ascii_lowercase()), vec![value.clone()]);
            }
        }
    }
}

impl Caller {
    /// The name of the role that somebody has assumed.
    pub(crate) fn role_name(&self) -> &str {
        self.principal.rsplit('/').next().unwrap_or_default()
    }

    /// Checks a wish against the policies.
    pub(crate) fn may(&self, state: &State, service: Service, wish: &Wish) -> Result<(), Error> {
        let mut context = wish.context.clone();
        for (key, value) in [
            ("aws:principalarn", &self.principal),
            ("aws:principalaccount", &self.account),
            ("aws:requestedregion", &self.region),
            ("aws:securetransport", &"true".to_owned()),
        ] {
            context.insert(key.to_owned(), vec![value.clone()]);
        }
        let (action, resource) = (&wish.action, &wish.resource);
        let kinds = [
            (state.policies.get(&self.principal), "identity-based"),
            (self.session_policy.as_ref(), "session"),
        ];
        for (policy, kind) in kinds {
            let Some(policy) = policy else { continue };
            let because = match policy.judge(action, resource, &context) {
                Verdict::Allowed => continue,
                Verdict::NotAllowed => format!("because no {kind} policy allows the {action} action"),
                Verdict::Denied => format!(
                    "with an explicit deny in {} {kind} policy",
                    if kind == "session" { "a" } else { "an" }
                ),
            };
            let text = format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} {because}",
                self.arn
            );
            return Err(match service {
                Service::Sts => Error::new(403, "AccessDenied", text),
                Service::SecurityHub | Service::Groups => Error::new(403, "AccessDeniedException", text),
                Service::Ssm | Service::Tagging => Error::bad("AccessDeniedException", text),
            });
        }
        Ok(())
    }
}
