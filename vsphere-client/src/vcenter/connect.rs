//! Making a session: version, service content, log-in; and ending it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{Inner, Session, Vcenter, returnval, service_instance};
use crate::error::{Error, ErrorKind};
use crate::farewell::Farewells;
use crate::http::{self, HttpOptions};
use crate::ids::MoRef;
use crate::model::{ServiceContent, data_object};
use crate::single_flight::SessionCell;
use crate::soap::{ApiVersion, SoapClient, operation};
use crate::tls::TlsTrust;
use crate::xml::{Decoder, Element, Limits};

/// Where a vCenter is, whom to be there, and how far to trust it.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Base URL, `https://vcenter.example.com`.
    pub url: Url,
    /// User name, such as `vmbridge@vsphere.local`.
    pub username: String,
    /// Password.
    pub password: SecretString,
    /// How its certificate is judged.
    pub trust: TlsTrust,
    /// Connection settings.
    pub http: HttpOptions,
    /// Bounds on its answers.
    pub limits: Limits,
    /// Longest time without a byte from the server while it owes one, beyond the time that a wait was asked to take.
    pub patience: Duration,
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("url", &self.url.as_str())
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

impl ConnectOptions {
    /// Options with the usual bounds.
    #[must_use]
    pub fn new(url: Url, username: String, password: SecretString, trust: TlsTrust) -> Self {
        Self {
            url,
            username,
            password,
            trust,
            http: HttpOptions::default(),
            limits: Limits::default(),
            patience: Duration::from_secs(60),
        }
    }
}

impl Vcenter {
    /// A client for the vCenter described by `options`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the trust settings cannot be used.
    pub fn new(options: ConnectOptions) -> Result<Self, Error> {
        let setup = |message: String| {
            let server: Arc<str> = options.url.host_str().unwrap_or_default().into();
            Error::new("connect", &server, ErrorKind::Setup(message))
        };
        let http = http::client(&options.trust, &options.http)
            .map_err(|error| setup(crate::error::chain(&error)))?;
        let soap = SoapClient::new(http, &options.url, options.limits, options.patience);
        Ok(Self {
            inner: Arc::new(Inner {
                soap,
                options,
                session: SessionCell::new(),
                farewells: Farewells::default(),
                hosts: super::guest::Hosts::default(),
            }),
        })
    }
}

pub(super) async fn log_in(
    soap: &SoapClient,
    options: &ConnectOptions,
    farewells: &Farewells,
) -> Result<Session, Error> {
    let version = negotiate(soap).await?;
    let operation = operation!("RetrieveServiceContent");
    let request = service_instance("RetrieveServiceContent");
    let answer =
        soap.call(operation, version, None, request, Duration::ZERO, returnval::<ServiceContent>).await?;
    let content =
        answer.value.ok_or_else(|| soap.error(operation.name, ErrorKind::Missing("a service content")))?;
    if content.about.api_type != "VirtualCenter" {
        let what = format!("this is {}, not a vCenter", content.about.full_name);
        return Err(soap.error(operation.name, ErrorKind::Unsupported(what)));
    }
    let manager = content.session_manager.clone();
    let logged_in = log_in_to(soap, options, version, content, answer.cookie.clone(), farewells).await;
    // The server may have made the session although its answer was lost; the cookie it gave before names it.
    if let (Err(error), Some(cookie)) = (&logged_in, answer.cookie)
        && error.fault().is_none()
    {
        let orphan = Identity { version, manager, cookie };
        if let Err(error) = orphan.log_out(soap).await {
            tracing::debug!(error = error.line(), "could not end a session whose log-in failed");
        }
    }
    logged_in
}

async fn log_in_to(
    soap: &SoapClient,
    options: &ConnectOptions,
    version: ApiVersion,
    content: ServiceContent,
    cookie: Option<Arc<str>>,
    farewells: &Farewells,
) -> Result<Session, Error> {
    let operation = operation!("Login");
    let lacks = |what| soap.error(operation.name, ErrorKind::Missing(what));
    let manager = content.session_manager.as_ref().ok_or_else(|| lacks("a session manager"))?;
    let request = Element::new("Login")
        .moref("_this", manager)
        .text("userName", &options.username)
        .text("password", options.password.expose_secret())
        .text("locale", "en");
    let answer = soap
        .call(operation, version, cookie.as_deref(), request, Duration::ZERO, returnval::<UserSession>)
        .await?;
    let user = answer.value.ok_or_else(|| lacks("a user session"))?;
    let cookie = answer.cookie.or(cookie).ok_or_else(|| lacks("a session cookie"))?;
    tracing::debug!(server = %soap.server(), %version, "logged in");
    let identity = Identity { version, manager: Some(manager.clone()), cookie: cookie.clone() };
    let soap = soap.clone();
    let farewell = farewells.prepare(move || {
        Box::pin(async move {
            if let Err(error) = identity.log_out(&soap).await {
                tracing::debug!(error = error.line(), "could not end an abandoned session");
            }
        })
    });
    Ok(Session {
        version,
        key: user.key,
        user: user.user_name,
        cookie,
        farewell,
        content,
        guest_managers: tokio::sync::OnceCell::new(),
    })
}

data_object! {
    /// What a log-in answers (`UserSession`), as far as it is used.
    pub(super) struct UserSession {
        /// The session's key.
        "key" => key: one String,
        /// The user as the server knows it.
        "userName" => user_name: one String,
    }
}

async fn negotiate(soap: &SoapClient) -> Result<ApiVersion, Error> {
    let versions = soap.versions().await?;
    versions.newest_common().ok_or_else(|| {
        let offered = versions.vim25.first().map_or("no vSphere API", String::as_str);
        let what = format!("the server offers {offered}, this client needs {} or newer", ApiVersion::OLDEST);
        soap.error("GET /sdk/vimServiceVersions.xml", ErrorKind::Unsupported(what))
    })
}

/// What names a session to the server.
pub(super) struct Identity {
    pub(super) version: ApiVersion,
    pub(super) manager: Option<MoRef>,
    pub(super) cookie: Arc<str>,
}

impl Identity {
    /// Ends the session. One that has ended already is no failure.
    pub(super) async fn log_out(self, soap: &SoapClient) -> Result<(), Error> {
        let manager = self.manager.unwrap_or_else(|| MoRef::new("SessionManager", "SessionManager"));
        let request = Element::new("Logout").moref("_this", &manager);
        let read = Decoder::skip_rest;
        let answer = soap
            .call(operation!("Logout"), self.version, Some(&self.cookie), request, Duration::ZERO, read)
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind(), ErrorKind::SessionEnded) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
