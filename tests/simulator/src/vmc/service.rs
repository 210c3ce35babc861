//! What the two services of VMware Cloud answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::clock::uptime;
use crate::fault::{self, FaultEffect, Voice};
use crate::net::server::Handler;
use crate::net::{Reply, Request};
use crate::soap::session::random_hex;
use crate::vcenter::{Ongoing, lock};

use super::{Sddc, Shared, error};

const AUTH: &str = "/csp/gateway/am/api/auth/";
const ORGS: &str = "/vmc/api/orgs";
const TOKEN: &str = "csp-auth-token";

/// An error as the token service writes it.
fn csp_error(status: u16, message: &str) -> Reply {
    Reply::json(
        status,
        &json!({ "metadata": null, "traceId": random_hex(), "requestId": random_hex(), "statusCode": status,
            "moduleCode": 540, "cspErrorCode": "csp.authn.error", "message": message }),
    )
}

/// What a call is named in counters and fault rules.
fn operation(request: &Request) -> String {
    let (method, path) = (&request.method, &request.path);
    if path.starts_with("/csp/") {
        return format!("CSP {method} {path}");
    }
    match path.strip_prefix(ORGS).and_then(|rest| rest.strip_prefix('/')) {
        Some(rest) => match rest.split_once('/') {
            Some((_, tail)) => format!("VMC {method} {ORGS}/{{id}}/{tail}"),
            None => format!("VMC {method} {ORGS}/{{id}}"),
        },
        None => format!("VMC {method} {path}"),
    }
}

impl Handler for Shared {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        Box::pin(async move { self.serve(&request).await })
    }
}

impl Shared {
    async fn serve(&self, request: &Request) -> Reply {
        let operation = operation(request);
        let mut ongoing = Ongoing::new(&self.counter, &operation);
        let effect = self.faults.draw("vmc", &operation);
        self.faults.hold_before(effect.as_ref(), "vmc", &operation).await;
        if let Some(effect) = &effect {
            if *effect == FaultEffect::ExpireSession
                && let Some(token) = request.header(TOKEN)
            {
                lock(&self.state).tokens.remove(token);
            }
            if let Some(reply) = fault::before(effect, Voice::Cloud).await {
                return reply;
            }
        }
        let reply = self.answer(request);
        self.faults.hold_after(effect.as_ref(), "vmc", &operation).await;
        ongoing.bytes = reply.bytes().len();
        match &effect {
            Some(effect) => fault::after(effect, reply),
            None => reply,
        }
    }

    fn answer(&self, request: &Request) -> Reply {
        let (method, path) = (request.method.as_str(), request.path.as_str());
        if let Some(what) = path.strip_prefix(AUTH) {
            return match (method, what) {
                ("POST", "api-tokens/authorize") => self.exchange_api_token(request),
                ("POST", "authorize") => self.authorize_app(request),
                (_, "api-tokens/authorize" | "authorize") => csp_error(405, "Method Not Allowed"),
                _ => csp_error(404, "Not Found"),
            };
        }
        let Some(rest) = path.strip_prefix(ORGS) else { return error(404, "Not Found") };
        if let Err(refused) = self.check_token(request) {
            return refused;
        }
        if method != "GET" {
            return error(405, "Method Not Allowed");
        }
        match rest.strip_prefix('/').map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
            None if rest.is_empty() => Reply::json(200, &json!([self.organisation()])),
            Some((org, "")) => self.of_organisation(org, super::Shared::organisation),
            Some((org, "sddcs")) => {
                let deleted = request.parameter("includeDeleted").is_some_and(|value| value == "true");
                self.of_organisation(org, |shared| shared.sddcs(deleted))
            }
            _ => error(404, "Not Found"),
        }
    }

    /// A form, when it is one.
    fn form(request: &Request) -> Result<Vec<(String, String)>, Reply> {
        let kind = request.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(csp_error(415, "Unsupported Media Type"));
        }
        let text = std::str::from_utf8(&request.body).map_err(|_| csp_error(400, "invalid_request"))?;
        Ok(Request::parameters(text).collect())
    }

    fn exchange_api_token(&self, request: &Request) -> Reply {
        let form = match Self::form(request) {
            Ok(form) => form,
            Err(refused) => return refused,
        };
        let field = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        if field("grant_type").is_some_and(|grant| grant != "refresh_token") {
            return csp_error(400, "unsupported_grant_type: the grant type must be refresh_token");
        }
        // The older name of the field is still accepted.
        let Some(token) = field("api_token").or_else(|| field("refresh_token")) else {
            return csp_error(400, "invalid_request: api_token is missing");
        };
        if token != self.config.refresh_token.expose_secret() {
            return csp_error(400, "invalid_grant: Invalid refresh token");
        }
        self.give_token(Some(token))
    }

    fn authorize_app(&self, request: &Request) -> Reply {
        let form = match Self::form(request) {
            Ok(form) => form,
            Err(refused) => return refused,
        };
        let grant = form.iter().find(|(name, _)| name == "grant_type").map(|(_, value)| value.as_str());
        if grant != Some("client_credentials") {
            return csp_error(400, "unsupported_grant_type: the grant type must be client_credentials");
        }
        let config = &self.config;
        match request.basic_auth() {
            Some((id, secret))
                if id == config.client_id && secret == config.client_secret.expose_secret() =>
            {
                self.give_token(None)
            }
            _ => csp_error(401, "invalid_client: Invalid client credentials"),
        }
    }

    fn give_token(&self, refresh_token: Option<&str>) -> Reply {
        let token = format!("{}.{}", random_hex(), random_hex());
        let now = uptime();
        let mut state = lock(&self.state);
        state.tokens.retain(|_, until| *until > now);
        state.tokens.insert(token.clone(), now + self.config.token_lifetime);
        state.tokens_ever += 1;
        let mut told = json!({ "access_token": token, "token_type": "bearer", "scope": "ALL_PERMISSIONS",
            "expires_in": self.config.token_lifetime.as_secs() });
        if let Some(refresh_token) = refresh_token {
            told["refresh_token"] = refresh_token.into();
        }
        Reply::json(200, &told)
    }

    fn check_token(&self, request: &Request) -> Result<(), Reply> {
        let token = request.header(TOKEN).unwrap_or_default();
        let good = lock(&self.state).tokens.get(token).is_some_and(|until| *until > uptime());
        if good { Ok(()) } else { Err(error(401, "Invalid or expired access token")) }
    }

    fn of_organisation(&self, org: &str, answer: impl FnOnce(&Self) -> Value) -> Reply {
        if org == self.config.org_id {
            return Reply::json(200, &answer(self));
        }
        match org.parse::<uuid::Uuid>() {
            Ok(_) => error(403, "The user is not a member of this organization"),
            Err(_) => error(404, "There is no such organization"),
        }
    }

    fn organisation(&self) -> Value {
        json!({ "id": self.config.org_id, "name": self.config.org_id, "display_name": self.config.org_name,
            "project_state": "CREATED" })
    }

    fn sddcs(&self, deleted: bool) -> Value {
        let state = lock(&self.state);
        let gone = state.gone.iter().filter(|_| deleted);
        state.sddcs.iter().chain(gone).map(|sddc| self.sddc(sddc)).collect()
    }

    fn sddc(&self, sddc: &Sddc) -> Value {
        let there = !matches!(sddc.state.as_str(), "DEPLOYING" | "DELETED");
        let host = sddc.vcenter.host.clone();
        let config = json!({
            "provider": "AWS",
            "region": "EU_CENTRAL_1",
            "deployment_type": "SingleAZ",
            // With a slash at the end, as VMC has it.
            "vc_url": there.then(|| format!("{}/", sddc.vcenter.url())),
            "vc_management_ip": there.then(|| host.clone()),
            "vc_public_ip": there.then_some(host),
            "cloud_username": there.then(|| sddc.vcenter.username()),
            "cloud_password": there.then(|| sddc.vcenter.password()),
        });
        json!({
            "id": sddc.id, "name": sddc.name, "sddc_state": sddc.state, "sddc_type": "DEFAULT", "provider": "AWS",
            "org_id": self.config.org_id, "created": sddc.created.to_string(), "updated": sddc.created.to_string(),
            "user_name": "simulator", "version": 1, "resource_config": config,
        })
    }
}
