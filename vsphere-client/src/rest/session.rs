//! Making and ending REST sessions.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret as _;
use serde::Deserialize;

use super::dialect::Dialect;
use super::{Credentials, RestError, RestErrorKind};
use crate::farewell::{Farewell, Farewells};
use crate::http::{Answer, Api, Expect};
use crate::retry::{self, Policy};

/// Name of the header, and of the cookie, that carries the session's id.
const SESSION_ID: &str = "vmware-api-session-id";

/// Longest answer to a log-in.
const MOST_OF_A_LOGIN: usize = 16 << 10;

/// Makes sessions, and remembers in which dialect that works.
pub(super) struct Entrance {
    api: Api,
    credentials: Credentials,
    known: Mutex<Option<Dialect>>,
    farewells: Farewells,
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance")
            .field("api", &self.api)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// What became of a log-in.
enum Attempt {
    /// There is a session.
    Session(Session),
    /// The server does not speak this dialect; it has not judged the credentials.
    NotSpoken(RestError),
}

/// An answer to a log-in, bare or in an envelope.
#[derive(Deserialize)]
#[serde(untagged)]
enum Token {
    Bare(String),
    Wrapped { value: String },
}

impl Entrance {
    pub(super) fn new(api: Api, credentials: Credentials) -> Self {
        Self { api, credentials, known: Mutex::default(), farewells: Farewells::default() }
    }

    /// Waits until abandoned sessions have been ended, but not for long.
    pub(super) async fn farewells_said(&self) {
        self.farewells.said().await;
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Option<Dialect>> {
        // What is guarded is one word, never half written.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs in, in the dialect that worked the last time, else in the other one.
    pub(super) async fn log_in(&self) -> Result<Session, RestError> {
        let first = self.known().unwrap_or(Dialect::Modern);
        let session = match self.log_in_with(first).await? {
            Attempt::Session(session) => session,
            Attempt::NotSpoken(error) => match self.log_in_with(first.other()).await? {
                Attempt::Session(session) => session,
                // Neither: what the modern one said is of more use.
                Attempt::NotSpoken(other) => {
                    return Err(if first == Dialect::Modern { error } else { other });
                }
            },
        };
        *self.known() = Some(session.made_in);
        tracing::debug!(dialect = ?session.made_in, "logged in");
        Ok(session)
    }

    async fn log_in_with(&self, dialect: Dialect) -> Result<Attempt, RestError> {
        let (operation, request) = dialect.session(&self.api, Method::POST)?;
        let Credentials { username, password } = &self.credentials;
        let request = request.basic_auth(username, Some(password.expose_secret()));
        let expect = Expect { most: MOST_OF_A_LOGIN, sent: &[password], secret: true };
        let answer = match self.api.exchange(&operation, request, expect).await {
            Ok(answer) => answer,
            Err((error, headers)) => {
                self.end_orphan(dialect, headers.as_ref()).await;
                return Err(error);
            }
        };
        match answer.status() {
            401 => Err(answer.error(RestErrorKind::LoginRefused(answer.message().clone()))),
            400 | 404 | 405 | 406 | 415 | 501 => Ok(Attempt::NotSpoken(answer.refusal())),
            _ => match self.token(&answer) {
                Ok(id) => Ok(Attempt::Session(self.session(dialect, id))),
                Err(error) => {
                    self.end_orphan(dialect, Some(answer.headers())).await;
                    // Before 7.0, `/api` was the address of another protocol, which answers anything with 200.
                    let unreadable =
                        matches!(error.kind(), RestErrorKind::Unreadable { incomplete: false, .. });
                    if unreadable && dialect == Dialect::Modern {
                        Ok(Attempt::NotSpoken(error))
                    } else {
                        Err(error)
                    }
                }
            },
        }
    }

    fn token(&self, answer: &Answer) -> Result<HeaderValue, RestError> {
        let (Token::Bare(token) | Token::Wrapped { value: token }) = answer.json::<Token>()?;
        session_id(&token).ok_or_else(|| {
            let reason = "the session id cannot be one".to_owned();
            answer.error(RestErrorKind::Unreadable { reason, incomplete: false })
        })
    }

    /// Ends a session that was made although the answer that names it cannot be read, if its headers name it too.
    async fn end_orphan(&self, dialect: Dialect, headers: Option<&HeaderMap>) {
        let Some(id) = headers.and_then(id_in_headers) else { return };
        if let Err(error) = log_out(&self.api, dialect, &id).await {
            tracing::debug!(error = error.line(), "could not end a session whose log-in failed");
        }
    }

    fn session(&self, made_in: Dialect, id: HeaderValue) -> Session {
        let (api, named) = (self.api.clone(), id.clone());
        let farewell = self.farewells.prepare(move || {
            Box::pin(async move {
                if let Err(error) = log_out(&api, made_in, &named).await {
                    tracing::debug!(error = error.line(), "could not end an abandoned session");
                }
            })
        });
        Session { id, made_in, fell_back: AtomicBool::new(false), farewell }
    }
}

fn session_id(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token.trim()).ok().filter(|value| !value.is_empty())?;
    value.set_sensitive(true);
    Some(value)
}

fn id_in_headers(headers: &HeaderMap) -> Option<HeaderValue> {
    if let Some(id) = headers.get(SESSION_ID) {
        return session_id(id.to_str().ok()?);
    }
    headers.get_all(SET_COOKIE).iter().find_map(|cookie| {
        let (name, value) = cookie.to_str().ok()?.split(';').next()?.split_once('=')?;
        if name.trim() == SESSION_ID { session_id(value) } else { None }
    })
}

/// A session. Dropped without having been ended, it is ended in the background.
pub(super) struct Session {
    id: HeaderValue,
    made_in: Dialect,
    /// Whether tags need the legacy dialect although the session could be made in the modern one.
    fell_back: AtomicBool,
    farewell: Farewell,
}

impl Session {
    /// The dialect to read in.
    pub(super) fn dialect(&self) -> Dialect {
        if self.fell_back.load(Ordering::Relaxed) { Dialect::Legacy } else { self.made_in }
    }

    pub(super) fn fall_back(&self) {
        self.fell_back.store(true, Ordering::Relaxed);
    }

    pub(super) fn authorise(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(SESSION_ID, self.id.clone())
    }

    /// Ends it.
    pub(super) async fn log_out(&self, api: &Api) -> Result<(), RestError> {
        self.farewell.call_off();
        log_out(api, self.made_in, &self.id).await
    }
}

async fn log_out(api: &Api, dialect: Dialect, id: &HeaderValue) -> Result<(), RestError> {
    retry::retry(&Policy::default(), || async {
        let (operation, request) = dialect.session(api, Method::DELETE)?;
        let request = request.header(SESSION_ID, id.clone());
        let answer = api.send(&operation, request, Expect::default()).await?;
        // Unauthenticated: it has ended already.
        if answer.status() == 401 { Ok(()) } else { answer.done() }
    })
    .await
}
