//! The HTTP client that SOAP and REST share, bodies of bounded size, and one call of a JSON API.

mod body;
mod call;
mod failure;

use std::time::Duration;

use url::Url;

use crate::tls::{self, TlsError, TlsTrust};

pub use body::{BodyError, read_limited};
pub(crate) use call::{Answer, Api, Expect};
pub use failure::{CallError, CallErrorKind, ServerMessage};

/// Connection settings.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Longest time until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept for the next call. Shorter than the load balancers in front of a vCenter do,
    /// so that a call rarely meets one that the other side has just closed.
    pub idle_timeout: Duration,
    /// Most idle connections kept to one server.
    pub idle_connections: usize,
    /// The proxy to go through, `http://proxy.example.com:3128`. Variables of the environment are never heeded: a vCenter is
    /// inside, and whoever wants its traffic to take a detour has to say so.
    pub proxy: Option<Url>,
    /// What the client calls itself; servers keep it in their lists of sessions and in their logs.
    pub user_agent: String,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(50),
            idle_connections: 16,
            proxy: None,
            user_agent: concat!("vmbridge/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why no HTTP client could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The trust settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The proxy's address cannot be used.
    #[error("the proxy cannot be used")]
    Proxy(#[source] reqwest::Error),
    /// The client's own set-up failed.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// An HTTP client that trusts as told, follows no redirects, keeps no cookies and uses no proxy but the one it is told.
///
/// A vCenter never redirects its API; a redirect that sends credentials elsewhere would be an attack or a mistake.
///
/// # Errors
/// When the trust settings or the proxy cannot be used.
pub fn client(trust: &TlsTrust, options: &HttpOptions) -> Result<reqwest::Client, HttpError> {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(trust)?)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(options.idle_timeout)
        .pool_max_idle_per_host(options.idle_connections)
        .tcp_keepalive(Duration::from_secs(30))
        .user_agent(&options.user_agent);
    let builder = match &options.proxy {
        Some(proxy) => {
            builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(|e| HttpError::Proxy(e.without_url()))?)
        }
        None => builder,
    };
    builder.build().map_err(HttpError::Client)
}
