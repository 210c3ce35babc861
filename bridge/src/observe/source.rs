//! One vCenter to follow, wherever its description comes from, and how to become its client.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mappings::selector::Selector;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use vsphere_client::error::chain;
use vsphere_client::http::{self, HttpOptions};
use vsphere_client::rest::{Credentials, RestClient};
use vsphere_client::tls::{Thumbprint, TlsTrust};
use vsphere_client::vcenter::{ConnectOptions, Vcenter};

use crate::config::{self, Limits, Vmc};
use crate::secret::{SecretRef, SecretResolver};

/// A vCenter to follow.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    /// Name in the fleet.
    pub name: String,
    /// Its address.
    pub url: Url,
    /// The account.
    pub username: String,
    /// Its password, or where it is.
    pub password: Password,
    /// PEM file with authorities to trust besides those of the system.
    pub ca_file: Option<PathBuf>,
    /// Certificates to trust.
    pub thumbprints: Vec<Thumbprint>,
    /// The VMs that count.
    pub scope: Selector,
    /// Whether tag events are used.
    pub events: bool,
}

/// A password, or where it is.
#[derive(Clone)]
pub(super) enum Password {
    /// It is read when it is needed.
    Stored(SecretRef),
    /// VMware Cloud on AWS told it.
    Told(SecretString),
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Stored(a), Self::Stored(b)) => a == b,
            (Self::Told(a), Self::Told(b)) => a.expose_secret() == b.expose_secret(),
            _ => false,
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stored(reference) => fmt::Debug::fmt(reference, f),
            Self::Told(_) => f.write_str("(told by VMware Cloud on AWS)"),
        }
    }
}

/// The clients of one vCenter.
#[derive(Debug, Clone)]
pub(super) struct Clients {
    /// SOAP.
    pub soap: Vcenter,
    /// REST.
    pub rest: RestClient,
}

impl Source {
    /// The vCenter of a `[[vcenter]]` entry.
    #[must_use]
    pub(super) fn of_vcenter(entry: &config::Vcenter) -> Self {
        Self {
            name: entry.name.clone(),
            url: entry.url.clone(),
            username: entry.username.clone(),
            password: Password::Stored(entry.password.clone()),
            ca_file: entry.ca_file.clone(),
            thumbprints: entry.thumbprints.clone(),
            scope: entry.scope.clone(),
            events: entry.events,
        }
    }

    /// The vCenter of an SDDC of a `[[vmc]]` entry, if there is enough to connect to it: its address, and an account from
    /// the configuration or the one that VMC tells.
    ///
    /// # Errors
    /// What is missing.
    pub(super) fn of_sddc(entry: &Vmc, sddc: &vsphere_client::vmc::Sddc) -> Result<Self, &'static str> {
        let url =
            sddc.vc_url.clone().ok_or("VMware Cloud on AWS does not tell the address of its vCenter")?;
        let (username, password) = match (&entry.vcenter.credentials, &sddc.cloudadmin) {
            (Some(own), _) => (own.username.clone(), Password::Stored(own.password.clone())),
            (None, Some(told)) => (told.username.clone(), Password::Told(told.password.clone())),
            (None, None) => {
                return Err(
                    "VMware Cloud on AWS tells no account for its vCenter: set vcenter.username and vcenter.password",
                );
            }
        };
        Ok(Self {
            name: format!("{}/{}", entry.name, sddc.name),
            url,
            username,
            password,
            ca_file: entry.vcenter.ca_file.clone(),
            thumbprints: entry.vcenter.thumbprints.clone(),
            scope: entry.scope.clone(),
            events: entry.events,
        })
    }

    /// Clients for it. Nothing is sent yet.
    ///
    /// # Errors
    /// When the password or the authorities cannot be read.
    pub(super) async fn clients(&self, secrets: &SecretResolver, limits: &Limits) -> Result<Clients, String> {
        let password = match &self.password {
            Password::Stored(reference) => secrets.resolve(reference).await.map_err(|error| chain(&error))?,
            Password::Told(password) => password.clone(),
        };
        let trust = trust(self.ca_file.as_ref(), &self.thumbprints).await?;
        let options = HttpOptions { connect_timeout: limits.connect_timeout, ..HttpOptions::default() };
        let http = http::client(&trust, &options).map_err(|error| chain(&error))?;
        let mut connect =
            ConnectOptions::new(self.url.clone(), self.username.clone(), password.clone(), trust);
        connect.http = options;
        connect.patience = limits.request_timeout;
        let soap = Vcenter::new(connect).map_err(|error| error.line())?;
        let credentials = Credentials { username: self.username.clone(), password };
        Ok(Clients { soap, rest: RestClient::new(self.url.clone(), http, credentials) })
    }
}

/// Reads whom to trust.
///
/// # Errors
/// When the file cannot be read.
pub(super) async fn trust(ca_file: Option<&PathBuf>, thumbprints: &[Thumbprint]) -> Result<TlsTrust, String> {
    let extra_ca_pem = match ca_file {
        Some(path) => {
            let read = tokio::fs::read(path).await;
            Some(read.map_err(|error| format!("the CA file {} cannot be read: {error}", path.display()))?)
        }
        None => None,
    };
    Ok(TlsTrust { extra_ca_pem, pins: thumbprints.to_vec() })
}

impl Clients {
    /// Ends the sessions, as far as the server can be told in a few seconds.
    pub(super) async fn close(&self) {
        const PATIENCE: Duration = Duration::from_secs(4);
        let soap = async {
            match tokio::time::timeout(PATIENCE, self.soap.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(error = error.line(), "a session could not be ended"),
                Err(_) => tracing::debug!("a session could not be ended in time"),
            }
        };
        let rest = async {
            match tokio::time::timeout(PATIENCE, self.rest.close()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(error = chain(&error), "a REST session could not be ended"),
                Err(_) => tracing::debug!("a REST session could not be ended in time"),
            }
        };
        tokio::join!(soap, rest);
    }
}
