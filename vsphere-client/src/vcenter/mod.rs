//! One vCenter: log-in, and the calls of its API.

mod collector;
mod connect;
mod custom_fields;
mod events;
pub mod guest;
mod object;
mod privileges;
pub mod snapshot;
mod task;
mod views;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use collector::Collector;
pub use connect::ConnectOptions;
use connect::Identity;
pub use events::EventHistory;
pub use privileges::{EntityPrivileges, PrivilegeGrant};
pub(crate) use task::task_properties;
pub use views::View;
pub use write::WriteError;

use crate::error::{Error, ErrorKind};
use crate::farewell::{Farewell, Farewells};
use crate::ids::{MoRef, VcenterUuid};
use crate::model::ServiceContent;
use crate::retry::{self, Policy};
use crate::single_flight::{Generation, SessionCell};
use crate::soap::{ApiVersion, Operation, SoapClient, operation};
use crate::watch::{TaskWatch, TaskWatchOptions, Watch, WatchOptions};
use crate::xml::{Decoder, Element, XmlError};

/// A client for one vCenter.
///
/// Clones share one session. It is made at the first call, kept while it is used, made anew when the server has ended it,
/// and is to be ended by [`close`](Self::close): a vCenter has room for some thousand sessions of all its clients, and keeps
/// an abandoned one for half an hour or more. Dropping the last clone ends it too, as far as the runtime still gets to it.
#[derive(Clone)]
pub struct Vcenter {
    inner: Arc<Inner>,
}

struct Inner {
    soap: SoapClient,
    options: ConnectOptions,
    session: SessionCell<Arc<Session>, Error>,
    farewells: Farewells,
    hosts: guest::Hosts,
}

impl fmt::Debug for Vcenter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vcenter").field("server", self.inner.soap.server()).finish_non_exhaustive()
    }
}

/// A session and what the server told when it was made.
pub struct Session {
    /// API version spoken in this session.
    pub version: ApiVersion,
    /// The server's identity and managers.
    pub content: ServiceContent,
    /// The session's key, by which privileges are asked for. Not a secret: it does not authenticate anybody.
    pub key: String,
    /// The user as the server knows it.
    pub user: String,
    cookie: Arc<str>,
    farewell: Farewell,
    guest_managers: tokio::sync::OnceCell<guest::Managers>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("user", &self.user)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Session {
    fn identity(&self) -> Identity {
        let manager = self.content.session_manager.clone();
        Identity { version: self.version, manager, cookie: self.cookie.clone() }
    }

    /// The vCenter's instance UUID.
    #[must_use]
    pub fn vcenter_uuid(&self) -> Option<VcenterUuid> {
        self.content.about.instance_uuid.as_deref()?.parse().ok()
    }
}

/// A session in use: calls about what lives in one session only (views, filters, collectors, pages) are made in its lease,
/// so that they never land in a later session.
#[derive(Debug, Clone)]
pub(crate) struct Lease {
    pub(crate) session: Arc<Session>,
    generation: Generation,
}

impl Vcenter {
    /// The session, made now if there is none.
    ///
    /// # Errors
    /// When the server cannot be reached or trusted, is not a vCenter of a supported version, or refuses the log-in.
    pub async fn session(&self) -> Result<Arc<Session>, Error> {
        Ok(self.lease().await?.session)
    }

    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        let Inner { soap, options, farewells, .. } = &*self.inner;
        let (soap, options, farewells) = (soap.clone(), options.clone(), farewells.clone());
        let login = move || -> futures_util::future::BoxFuture<'static, Result<Arc<Session>, Error>> {
            Box::pin(async move { connect::log_in(&soap, &options, &farewells).await.map(Arc::new) })
        };
        let (generation, session) = self
            .inner
            .session
            .get_or_login(login)
            .await
            .map_err(|closed| closed.unwrap_or_else(|| self.closed()))?;
        Ok(Lease { session, generation })
    }

    fn closed(&self) -> Error {
        self.inner.soap.error("Login", ErrorKind::Closed)
    }

    /// Calls in the session of `lease`, once.
    pub(crate) async fn call_in<T: Send + 'static>(
        &self,
        lease: &Lease,
        operation: &'static Operation,
        request: Element,
        wait: Duration,
        read: impl FnOnce(&mut Decoder) -> Result<T, XmlError> + Send + 'static,
    ) -> Result<T, Error> {
        let session = &lease.session;
        let soap = &self.inner.soap;
        let answer = soap.call(operation, session.version, Some(&session.cookie), request, wait, read).await;
        if let Err(error) = &answer
            && matches!(error.kind(), ErrorKind::SessionEnded)
        {
            self.inner.session.expire(lease.generation);
        }
        Ok(answer?.value)
    }

    /// Calls a method that changes nothing: repeated in a new session when the old one has ended, and after passing failures.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        operation: &'static Operation,
        request: impl Fn(&Session) -> Result<Element, &'static str>,
        read: impl Fn(&mut Decoder) -> Result<T, XmlError> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        retry::retry(&Policy::default(), || async {
            let lease = self.lease().await?;
            let element = request(&lease.session).map_err(|lacks| self.lacks(operation, lacks))?;
            self.call_in(&lease, operation, element, Duration::ZERO, read.clone()).await
        })
        .await
    }

    pub(crate) fn lacks(&self, operation: &'static Operation, manager: &'static str) -> Error {
        self.inner.soap.error(operation.name, ErrorKind::Missing(manager))
    }

    /// The server's clock.
    ///
    /// # Errors
    /// As every call.
    pub async fn current_time(&self) -> Result<Timestamp, Error> {
        let time =
            self.call(operation!("CurrentTime"), |_| Ok(service_instance("CurrentTime")), returnval).await?;
        time.ok_or_else(|| self.lacks(operation!("CurrentTime"), "the time"))
    }

    /// Whether the session is still alive on the server. Also keeps it so.
    ///
    /// # Errors
    /// As every call. The privilege `Sessions.ValidateSession` is needed for `SessionIsActive`; without it the server's
    /// clock is asked instead, which fails in a session that has ended.
    pub async fn session_is_active(&self) -> Result<bool, Error> {
        let lease = self.lease().await?;
        let operation = operation!("SessionIsActive");
        let manager = lease
            .session
            .content
            .session_manager
            .clone()
            .ok_or_else(|| self.lacks(operation, "a session manager"))?;
        let request = Element::new("SessionIsActive")
            .moref("_this", &manager)
            .text("sessionID", &lease.session.key)
            .text("userName", &lease.session.user);
        match self.call_in(&lease, operation, request, Duration::ZERO, returnval::<bool>).await {
            Ok(active) => Ok(active.unwrap_or(false)),
            Err(error) if matches!(error.kind(), ErrorKind::SessionEnded) => Ok(false),
            Err(error) if matches!(error.fault(), Some(crate::soap::FaultKind::NoPermission { .. })) => {
                let request = service_instance("CurrentTime");
                let time = self.call_in(
                    &lease,
                    operation!("CurrentTime"),
                    request,
                    Duration::ZERO,
                    crate::xml::Decoder::skip_rest,
                );
                match time.await {
                    Ok(()) => Ok(true),
                    Err(error) if matches!(error.kind(), ErrorKind::SessionEnded) => Ok(false),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Keeps the session from expiring; makes a new one if it has.
    ///
    /// vCenters end a session that has been idle for some time, by default 30 minutes; call this every few minutes
    /// while nothing else is called.
    ///
    /// # Errors
    /// As every call.
    pub async fn keep_alive(&self) -> Result<(), Error> {
        self.current_time().await.map(|_| ())
    }

    /// Reads the whole inventory, once or and then every change of it. See [`Watch`].
    #[must_use]
    pub fn watch(&self, options: WatchOptions) -> Watch {
        Watch::start(self.clone(), options)
    }

    /// Follows any number of tasks to their ends, with one call under way for all of them. See [`TaskWatch`].
    #[must_use]
    pub fn watch_tasks(&self, options: TaskWatchOptions) -> TaskWatch {
        TaskWatch::start(self.clone(), options)
    }

    /// Ends the session. Calls made later fail with [`ErrorKind::Closed`].
    ///
    /// # Errors
    /// When the server could not be told; it will end the session when it has been idle for long enough.
    pub async fn close(&self) -> Result<(), Error> {
        let end = match self.inner.session.close().await {
            Some(session) => {
                session.farewell.call_off();
                session.identity().log_out(&self.inner.soap).await
            }
            None => Ok(()),
        };
        self.inner.farewells.said().await;
        end
    }
}

pub(crate) fn service_instance(method: &'static str) -> Element {
    Element::new(method).moref("_this", &MoRef::new("ServiceInstance", "ServiceInstance"))
}

/// Reads the one `returnval` of a response, if it has one.
pub(crate) fn returnval<T: crate::xml::FromXml>(d: &mut Decoder) -> Result<Option<T>, XmlError> {
    let mut value = None;
    while d.child()? {
        if d.name() == "returnval" { value = Some(d.read()?) } else { d.skip()? }
    }
    Ok(value)
}

/// Reads all `returnval`s of a response.
pub(crate) fn returnvals<T: crate::xml::FromXml>(d: &mut Decoder) -> Result<Vec<T>, XmlError> {
    let mut values = Vec::new();
    while d.child()? {
        if d.name() == "returnval" { values.push(d.read()?) } else { d.skip()? }
    }
    Ok(values)
}
