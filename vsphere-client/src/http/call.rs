//! One call of a JSON API: request out, answer in, within bounds of time and size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{CallError, CallErrorKind, ServerMessage, read_limited};
use crate::xml::shorten_line;

/// Refusals carry a sentence, not a document.
const MOST_OF_A_REFUSAL: usize = 64 << 10;
/// Messages of a refusal that are looked at.
const MOST_MESSAGES: usize = 8;
/// An answer that trickles in may take this many times the patience in all.
const TRICKLE: u32 = 5;

/// One server of a JSON API.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    server: Arc<str>,
    patience: Duration,
}

/// What is known of an answer before it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expect<'a> {
    /// Most bytes of a good answer.
    pub(crate) most: usize,
    /// Secrets in the request, which a refusal might repeat.
    pub(crate) sent: &'a [&'a SecretString],
    /// Whether the answer holds secrets, so that nothing of it may be repeated in an error.
    pub(crate) secret: bool,
}

impl Default for Expect<'_> {
    fn default() -> Self {
        Self { most: 64 << 20, sent: &[], secret: false }
    }
}

/// An answer, good or not.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    message: ServerMessage,
    operation: Arc<str>,
    server: Arc<str>,
    secret: bool,
}

impl Api {
    /// The API at `base`; its path, if any, comes before the paths of the calls.
    pub(crate) fn new(base: Url, http: reqwest::Client, patience: Duration) -> Self {
        let server = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => base.to_string(),
        };
        Self { http, base, server: server.into(), patience }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn error(&self, operation: &str, kind: CallErrorKind) -> CallError {
        CallError::new(&operation.into(), &self.server, kind)
    }

    /// The address of `path`, each of whose segments is taken literally.
    pub(crate) fn url<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Result<Url, CallError> {
        let mut url = self.base.clone();
        url.set_query(None);
        url.set_fragment(None);
        let cannot = || self.error("request", CallErrorKind::Address(shorten_line(self.base.as_str())));
        url.path_segments_mut().map_err(|()| cannot())?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// Sends `request`, whose operation is called `operation` in errors, and reads the answer.
    pub(crate) async fn send(
        &self,
        operation: &str,
        request: RequestBuilder,
        expect: Expect<'_>,
    ) -> Result<Answer, CallError> {
        self.exchange(operation, request, expect).await.map_err(|(error, _)| error)
    }

    /// The same; a failure comes with the answer's headers, if these had arrived.
    pub(crate) async fn exchange(
        &self,
        operation: &str,
        request: RequestBuilder,
        expect: Expect<'_>,
    ) -> Result<Answer, (CallError, Option<HeaderMap>)> {
        let fail = |kind| self.error(operation, kind);
        let response = match tokio::time::timeout(self.patience, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err((fail(error.into()), None)),
            Err(_) => return Err((fail(CallErrorKind::TimedOut(self.patience)), None)),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let most = if status.is_success() { expect.most } else { MOST_OF_A_REFUSAL };
        let in_all = self.patience * TRICKLE;
        let body = match tokio::time::timeout(in_all, read_limited(response, most, self.patience)).await {
            Ok(Ok(body)) => body,
            // The status says enough; what should explain it is a bonus.
            _ if !status.is_success() => Bytes::new(),
            Ok(Err(error)) => return Err((fail(error.into()), Some(headers))),
            Err(_) => return Err((fail(CallErrorKind::TimedOut(in_all)), Some(headers))),
        };
        let message =
            if status.is_success() { ServerMessage::default() } else { explanation(&body, expect.sent) };
        Ok(Answer {
            status,
            headers,
            body,
            message,
            operation: operation.into(),
            server: self.server.clone(),
            secret: expect.secret,
        })
    }
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.status.as_u16()
    }

    pub(crate) fn is_success(&self) -> bool {
        self.status.is_success()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn message(&self) -> &ServerMessage {
        &self.message
    }

    pub(crate) fn error(&self, kind: CallErrorKind) -> CallError {
        CallError::new(&self.operation, &self.server, kind)
    }

    /// The failure that a bad status is.
    pub(crate) fn refusal(&self) -> CallError {
        self.error(CallErrorKind::Status {
            status: self.status(),
            message: self.message.clone(),
            retry_after: retry_after(&self.headers),
        })
    }

    /// Reads the body of a good answer.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        if !self.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            let reason = if self.secret {
                format!("no such JSON is expected at line {}, column {}", error.line(), error.column())
            } else {
                shorten_line(&error.to_string())
            };
            self.error(CallErrorKind::Unreadable { reason, incomplete: error.is_eof() })
        })
    }

    /// Whether a good answer came, whatever is in it.
    pub(crate) fn done(&self) -> Result<(), CallError> {
        if self.is_success() { Ok(()) } else { Err(self.refusal()) }
    }
}

/// The header in its form of seconds. The form of a date is not used by these servers, and would need their clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// What a refusal says, in any of the forms that are around: vAPI with and without envelope, VMC, CSP, OAuth.
fn explanation(body: &[u8], sent: &[&SecretString]) -> ServerMessage {
    let Ok(value) = serde_json::from_slice::<Value>(body) else { return ServerMessage::default() };
    let inner = value.get("value").filter(|inner| inner.is_object()).unwrap_or(&value);
    let text_at =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(|text| clean(text, sent));
    let first_of = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| text_at(inner, key).or_else(|| text_at(&value, key)))
            .filter(|text| !text.is_empty())
    };
    let messages =
        || inner.get("messages").and_then(Value::as_array).into_iter().flatten().take(MOST_MESSAGES);
    let from_messages =
        messages().find_map(|m| text_at(m, "default_message")).filter(|text| !text.is_empty());
    let from_list = value
        .get("error_messages")
        .and_then(|list| list.get(0))
        .and_then(Value::as_str)
        .map(|text| clean(text, sent));
    ServerMessage {
        code: first_of(&["error_type", "type", "error_code", "error"]).map(short_code),
        text: from_messages.or(from_list).or_else(|| first_of(&["message", "error_description"])),
        ids: messages().filter_map(|m| text_at(m, "id")).collect(),
    }
}

/// `com.vmware.vapi.std.errors.unauthorized` says no more than its last word.
fn short_code(code: String) -> String {
    match code.strip_prefix("com.vmware.vapi.std.errors.") {
        Some(short) => short.to_ascii_uppercase(),
        None => code,
    }
}

fn clean(text: &str, sent: &[&SecretString]) -> String {
    let mut text = text.to_owned();
    for secret in sent.iter().map(|secret| secret.expose_secret()).filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "…");
    }
    shorten_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str, sent: &[&SecretString]) -> ServerMessage {
        explanation(body.as_bytes(), sent)
    }

    #[test]
    fn every_dialect_of_refusal_is_understood() {
        let modern = said(
            r#"{"error_type":"NOT_FOUND","messages":[{"id":"cis.tagging.objectNotFound.error","default_message":"Tagging object x not found","args":["x"]}]}"#,
            &[],
        );
        assert_eq!(modern.to_string(), ": Tagging object x not found (NOT_FOUND)");
        assert_eq!(modern.ids, ["cis.tagging.objectNotFound.error"]);
        let legacy = said(
            r#"{"type":"com.vmware.vapi.std.errors.unauthorized","value":{"messages":[{"default_message":"No permission.","id":"vapi.x"}]}}"#,
            &[],
        );
        assert_eq!(legacy.to_string(), ": No permission. (UNAUTHORIZED)");
        let vmc =
            said(r#"{"status":404,"error_code":"SddcNotFound","error_messages":["No such SDDC","x"]}"#, &[]);
        assert_eq!(vmc.to_string(), ": No such SDDC (SddcNotFound)");
        let csp = said(r#"{"message":"invalid_grant: Invalid refresh token","statusCode":400}"#, &[]);
        assert_eq!(csp.to_string(), ": invalid_grant: Invalid refresh token");
        for nothing in ["", "<html>502</html>", "[]", "null", "{\"messages\":[null,7,{}],\"value\":{}}"] {
            assert_eq!(said(nothing, &[]), ServerMessage::default(), "{nothing}");
        }
    }

    #[test]
    fn a_refusal_that_repeats_a_secret_does_not_get_it_into_an_error() {
        let secret = SecretString::from("tok-en/123");
        let csp = said(r#"{"message":"invalid_grant: Invalid refresh token: tok-en/123"}"#, &[&secret]);
        assert_eq!(csp.text.as_deref(), Some("invalid_grant: Invalid refresh token: …"));
    }

    #[test]
    fn paths_are_taken_literally() {
        let api = |base: &str| {
            let http =
                crate::http::client(&crate::tls::TlsTrust::default(), &crate::http::HttpOptions::default());
            Api::new(base.parse().unwrap(), http.unwrap(), Duration::from_secs(1))
        };
        let url = api("https://vc.example.com:8443/?x#y").url(["api", "tag", "a/../b?c#d%2f é"]).unwrap();
        assert_eq!(url.as_str(), "https://vc.example.com:8443/api/tag/a%2F..%2Fb%3Fc%23d%252f%20%C3%A9");
        let below = api("https://gateway.example.com/vc1/").url(["api"]).unwrap();
        assert_eq!(below.as_str(), "https://gateway.example.com/vc1/api");
        assert_eq!(&*api("https://vc.example.com:8443/").server, "vc.example.com:8443");
    }
}
