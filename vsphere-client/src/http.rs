//! The HTTP client that SOAP and REST share, and bodies of bounded size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::tls::{self, TlsError, TlsTrust};

/// Connection settings.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Longest time until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept for the next call. Shorter than the load balancers in front of a vCenter do,
    /// so that a call rarely meets one that the other side has just closed.
    pub idle_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), idle_timeout: Duration::from_secs(50) }
    }
}

/// Why no HTTP client could be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The trust settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The client's own set-up failed.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// An HTTP client that trusts as told, follows no redirects, keeps no cookies and uses no proxy.
///
/// A vCenter never redirects its API and is reached directly; a redirect or an environment variable that sends
/// credentials elsewhere would be an attack or a mistake.
///
/// # Errors
/// When the trust settings cannot be used.
pub fn client(trust: &TlsTrust, options: &HttpOptions) -> Result<reqwest::Client, HttpError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(trust)?)
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(options.idle_timeout)
        .tcp_keepalive(Duration::from_secs(30))
        .user_agent(concat!("vmbridge/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(HttpError::Client)
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Nothing arrived for too long.
    #[error("the answer stopped arriving for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The connection broke.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
}

/// The whole body of `response`, if it has at most `most` bytes and keeps arriving.
///
/// # Errors
/// When it is larger, stalls or breaks off.
pub async fn read_limited(
    mut response: reqwest::Response,
    most: usize,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    loop {
        match tokio::time::timeout(patience, response.chunk()).await {
            Ok(Ok(Some(piece))) if body.len() + piece.len() > most => return Err(BodyError::TooLarge(most)),
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
            Ok(Ok(None)) => return Ok(body.freeze()),
            Ok(Err(error)) => return Err(BodyError::Broken(error.without_url())),
            Err(_) => return Err(BodyError::Stalled(patience)),
        }
    }
}
