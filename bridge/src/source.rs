//! One vCenter to connect to, wherever its description comes from, and how to become its client.
//!
//! The observers and `vmbridge check` connect in the same way, so that what the one finds to work works for the other.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mappings::selector::Selector;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;
use vsphere_client::error::chain;
use vsphere_client::http::{self, HttpOptions};
use vsphere_client::rest::{Credentials, RestClient, RestOptions};
use vsphere_client::tls::{Thumbprint, TlsTrust};
use vsphere_client::vcenter::{ConnectOptions, Vcenter};
use vsphere_client::vmc::{CspAuth, Sddc, VmcClient, VmcOptions};

use crate::config::{self, Limits, Vmc, VmcAuth};
use crate::secret::{SecretRef, SecretResolver};

/// A vCenter to follow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
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
    /// Whether it is that of an SDDC of VMware Cloud on AWS.
    pub is_sddc: bool,
}

/// A password, or where it is.
#[derive(Clone)]
pub(crate) enum Password {
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

/// Where the vCenters of VMware Cloud on AWS are.
const PROVIDER_DOMAIN: &str = ".vmwarevmc.com";

impl Source {
    /// Whether a provider looks after the hosts: the vCenter of an SDDC, whether it was found there or configured by itself.
    #[must_use]
    pub(crate) fn is_provider_managed(&self) -> bool {
        let by_name = || self.url.host_str().is_some_and(|host| host.ends_with(PROVIDER_DOMAIN));
        self.is_sddc || by_name()
    }

    /// The vCenter of a `[[vcenter]]` entry.
    #[must_use]
    pub(crate) fn of_vcenter(entry: &config::Vcenter) -> Self {
        Self {
            name: entry.name.clone(),
            url: entry.url.clone(),
            username: entry.username.clone(),
            password: Password::Stored(entry.password.clone()),
            ca_file: entry.ca_file.clone(),
            thumbprints: entry.thumbprints.clone(),
            scope: entry.scope.clone(),
            events: entry.events,
            is_sddc: false,
        }
    }

    /// The vCenter of an SDDC of a `[[vmc]]` entry, if there is enough to connect to it: its address, and an account from
    /// the configuration or the one that VMC tells.
    ///
    /// # Errors
    /// What is missing.
    pub(crate) fn of_sddc(entry: &Vmc, sddc: &Sddc) -> Result<Self, Missing> {
        let url = sddc.vc_url.clone().ok_or(Missing::Address)?;
        let (username, password) = match (&entry.vcenter.credentials, &sddc.cloudadmin) {
            (Some(own), _) => (own.username.clone(), Password::Stored(own.password.clone())),
            (None, Some(told)) => (told.username.clone(), Password::Told(told.password.clone())),
            (None, None) => return Err(Missing::Account),
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
            is_sddc: true,
        })
    }

    /// Clients for it. Nothing is sent yet.
    ///
    /// # Errors
    /// When the password or the authorities cannot be read.
    pub(crate) async fn clients(&self, secrets: &SecretResolver, limits: &Limits) -> Result<Clients, String> {
        let password = match &self.password {
            Password::Stored(reference) => secrets.resolve(reference).await.map_err(|error| chain(&error))?,
            Password::Told(password) => password.clone(),
        };
        let trust = trust(self.ca_file.as_ref(), &self.thumbprints).await?;
        Clients::new(&self.url, &self.username, password, trust, limits)
    }
}

/// Why the vCenter of an SDDC cannot be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    /// It is being deployed, or the role may not see it.
    #[error("VMware Cloud on AWS does not tell the address of its vCenter")]
    Address,
    /// The role may not see it, and the configuration has none.
    #[error(
        "VMware Cloud on AWS tells no account for its vCenter: set `username` and `password` in [vmc.vcenter]"
    )]
    Account,
}

/// Reads whom to trust.
///
/// # Errors
/// When the file cannot be read.
pub(crate) async fn trust(ca_file: Option<&PathBuf>, thumbprints: &[Thumbprint]) -> Result<TlsTrust, String> {
    let extra_ca_pem = match ca_file {
        Some(path) => {
            let read = tokio::fs::read(path).await;
            Some(read.map_err(|error| format!("the CA file {} cannot be read: {error}", path.display()))?)
        }
        None => None,
    };
    Ok(TlsTrust { extra_ca_pem, pins: thumbprints.to_vec() })
}

/// The client of an organisation, given its token or its app's secret.
///
/// # Errors
/// When the trust settings cannot be used.
pub(crate) fn organisation(
    entry: &Vmc,
    secret: SecretString,
    trust: &TlsTrust,
    limits: &Limits,
) -> Result<VmcClient, String> {
    let auth = match &entry.auth {
        VmcAuth::RefreshToken(_) => CspAuth::RefreshToken(secret),
        VmcAuth::OauthApp { id, .. } => CspAuth::OAuthApp { id: id.clone(), secret },
    };
    Ok(VmcClient::new(VmcOptions {
        csp_url: entry.csp_url.clone(),
        vmc_url: entry.vmc_url.clone(),
        org_id: entry.org_id.clone(),
        auth,
        http: http::client(trust, &http_options(limits)).map_err(|error| chain(&error))?,
        patience: limits.request_timeout,
    }))
}

/// Where the token or the app's secret of an organisation is.
pub(crate) fn secret_of(entry: &Vmc) -> &SecretRef {
    match &entry.auth {
        VmcAuth::RefreshToken(secret) | VmcAuth::OauthApp { secret, .. } => secret,
    }
}

fn http_options(limits: &Limits) -> HttpOptions {
    HttpOptions { connect_timeout: limits.connect_timeout, ..HttpOptions::default() }
}

/// The clients of one vCenter.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    /// SOAP.
    pub soap: Vcenter,
    /// REST.
    pub rest: RestClient,
}

impl Clients {
    /// Clients for the vCenter at `url`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the authorities or the address cannot be used.
    pub(crate) fn new(
        url: &Url,
        username: &str,
        password: SecretString,
        trust: TlsTrust,
        limits: &Limits,
    ) -> Result<Self, String> {
        let options = http_options(limits);
        let http = http::client(&trust, &options).map_err(|error| chain(&error))?;
        let credentials = Credentials { username: username.to_owned(), password: password.clone() };
        let rest = RestOptions { patience: limits.request_timeout, at_once: limits.max_concurrent_reads };
        let rest = RestClient::new(url.clone(), http, credentials, rest);
        let mut connect = ConnectOptions::new(url.clone(), username.to_owned(), password, trust);
        connect.http = options;
        connect.patience = limits.request_timeout;
        Ok(Self { soap: Vcenter::new(connect).map_err(|error| error.line())?, rest })
    }

    /// Ends the sessions, as far as the server can be told in a few seconds. Gives why one could not be ended; the server
    /// then ends it itself after a while.
    pub(crate) async fn close(&self) -> Result<(), String> {
        const PATIENCE: Duration = Duration::from_secs(4);
        let late = |_| Err("no answer in time".to_owned());
        let soap = async {
            let end = tokio::time::timeout(PATIENCE, self.soap.close()).await;
            end.map_or_else(late, |end| end.map_err(|error| error.line()))
        };
        let rest = async {
            let end = tokio::time::timeout(PATIENCE, self.rest.close()).await;
            end.map_or_else(late, |end| end.map_err(|error| error.line()))
        };
        let (soap, rest) = tokio::join!(soap, rest);
        soap.and(rest)
    }
}
