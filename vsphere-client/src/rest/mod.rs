//! Tags and categories over vCenter's REST interface.
//!
//! Since 7.0 Update 2 that is `/api`; before, and in VMware's simulator, it is `/rest/com/vmware/cis`. The client finds out which
//! at the first log-in. Whole fleets are read in batches, never an object at a time; names are read once per tag and kept.
//!
//! Failures are [`RestError`]s. A session that has ended is not one of them: it is made anew, once for all callers.

mod batch;
mod dialect;
mod names;
mod session;
mod tagging;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::DeserializeOwned;
use url::Url;

pub use crate::http::{CallError as RestError, CallErrorKind as RestErrorKind};
pub use tagging::{Cardinality, Category, CategoryId, Tag, TagId, TagSnapshot};

use crate::http::{Answer, Api, Expect};
use crate::retry::{self, Policy};
use crate::single_flight::{Generation, SessionCell};
use dialect::{Dialect, Resource};
use names::Names;
use session::{Entrance, Session};

/// A user and the password.
#[derive(Clone)]
pub struct Credentials {
    /// User name, such as `vmbridge@vsphere.local`.
    pub username: String,
    /// Password.
    pub password: SecretString,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A client for the REST interface of one vCenter.
///
/// Clones share one session and one memory of names. The session is made at the first call, made anew when the server has
/// ended it, and ended by [`close`](Self::close). Dropping the last clone ends it too, as far as the runtime still gets to it.
#[derive(Clone)]
pub struct RestClient {
    inner: Arc<Inner>,
}

struct Inner {
    api: Api,
    at_once: usize,
    entrance: Arc<Entrance>,
    session: SessionCell<Arc<Session>, RestError>,
    names: Names,
}

impl fmt::Debug for RestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestClient").field("entrance", &self.inner.entrance).finish_non_exhaustive()
    }
}

/// How to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestOptions {
    /// Longest time without a byte from the server while it owes one.
    pub patience: Duration,
    /// Calls of one reading under way at once, at most.
    pub at_once: usize,
}

impl Default for RestOptions {
    fn default() -> Self {
        Self { patience: Duration::from_secs(60), at_once: 4 }
    }
}

impl RestClient {
    /// A client for the vCenter at `base_url` (`https://vcenter.example.com`). Nothing is sent yet.
    #[must_use]
    pub fn new(base_url: Url, http: reqwest::Client, credentials: Credentials, options: RestOptions) -> Self {
        let api = Api::new(base_url, http, options.patience);
        let entrance = Arc::new(Entrance::new(api.clone(), credentials));
        let at_once = options.at_once.max(1);
        let inner = Inner { api, at_once, entrance, session: SessionCell::new(), names: Names::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Keeps the session from expiring; makes one if there is none or it has ended.
    ///
    /// vCenters end a session that has been idle for some time, by default 30 minutes or less; call this every few minutes
    /// while nothing else is called.
    ///
    /// # Errors
    /// As every call.
    pub async fn keep_alive(&self) -> Result<(), RestError> {
        self.call::<serde::de::IgnoredAny>(&Resource::Session).await.map(|_| ())
    }

    /// Ends the session, also one that is just being made. Calls made later fail with [`RestErrorKind::Closed`].
    ///
    /// # Errors
    /// When the server could not be told; it will end the session when it has been idle for long enough.
    pub async fn close(&self) -> Result<(), RestError> {
        let end = match self.inner.session.close().await {
            Some(session) => session.log_out(&self.inner.api).await,
            None => Ok(()),
        };
        self.inner.entrance.farewells_said().await;
        end
    }

    /// Forgets the names of tags and categories, so that they are read again: nothing tells when they are changed.
    pub fn forget_names(&self) {
        self.inner.names.forget_names();
    }

    async fn session(&self) -> Result<(Generation, Arc<Session>), RestError> {
        let entrance = self.inner.entrance.clone();
        self.inner
            .session
            .get_or_login(move || Box::pin(async move { entrance.log_in().await.map(Arc::new) }))
            .await
            .map_err(|failure| {
                failure.unwrap_or_else(|| self.inner.api.error("log in", RestErrorKind::Closed))
            })
    }

    /// Reads `what`, which changes nothing and so is repeated when it fails in a passing way. Empty answers are `None`.
    async fn call<T: DeserializeOwned>(&self, what: &Resource<'_>) -> Result<Option<T>, RestError> {
        retry::retry(&Policy::default(), || self.attempt(what)).await
    }

    async fn attempt<T: DeserializeOwned>(&self, what: &Resource<'_>) -> Result<Option<T>, RestError> {
        let mut renewed = false;
        loop {
            let (generation, session) = self.session().await?;
            let dialect = session.dialect();
            let answer = self.ask(&session, dialect, what).await?;
            if answer.status() == 401 {
                self.inner.session.expire(generation);
                if renewed {
                    return Err(answer.error(RestErrorKind::SessionEnded));
                }
                renewed = true;
            } else if dialect == Dialect::Modern && what.must_exist() && dialect::is_unknown_path(&answer) {
                // Between 7.0 and its Update 2 the new interface knew sessions, but not yet tags.
                session.fall_back();
            } else {
                return dialect.read(&answer);
            }
        }
    }

    async fn ask(
        &self,
        session: &Session,
        dialect: Dialect,
        what: &Resource<'_>,
    ) -> Result<Answer, RestError> {
        let (operation, request) = dialect.request(&self.inner.api, what)?;
        self.inner.api.send(&operation, session.authorise(request), Expect::default()).await
    }
}
