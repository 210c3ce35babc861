//! The bytes of a file, between here and the host that the VM is on.
//!
//! vCenter gives an address with a ticket in it. It is on the ESXi host, whose certificate has to be the one that vCenter
//! knows; or on the vCenter itself, which is trusted as always. The ticket is a secret: it is never in an error.

use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::StreamExt as _;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::io::AsyncReadExt as _;
use url::Url;

use super::super::{Vcenter, WriteError};
use super::Uploaded;
use crate::error::Error;
use crate::http::{self, BodyError, read_limited};
use crate::ids::MoRef;
use crate::tls::{Thumbprint, TlsTrust};

/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;
/// The slowest transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 16 << 10;

/// What is put into a guest.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// A file of this machine, which is read as it is sent.
    File(PathBuf),
}

impl Content {
    pub(super) async fn size(&self) -> std::io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => Ok(tokio::fs::metadata(path).await?.len()),
        }
    }
}

/// Why a file could not be transferred.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// vCenter refused it, or could not be asked.
    #[error(transparent)]
    Vcenter(#[from] WriteError),
    /// The address that vCenter gave cannot be used.
    #[error("vCenter gave an address for the file that cannot be used: {0}")]
    Address(&'static str),
    /// The host cannot be reached or trusted.
    #[error("the file could not be sent over {host}")]
    Host {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The host refused it.
    #[error("{host} answered the transfer of the file with status {status}")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// It broke off, or was not as long as was said.
    #[error("the file from {host} is not whole")]
    Body {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It took too long.
    #[error("the transfer of the file over {host} took longer than {limit:?}")]
    TimedOut {
        /// The host.
        host: String,
        /// The time that it had.
        limit: Duration,
    },
    /// The file in the guest is larger than it may be.
    #[error("the file in the guest has {size} bytes; at most {limit} are read")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The file of this machine cannot be read.
    #[error("the file to be sent cannot be read")]
    Content(#[source] std::io::Error),
}

impl TransferError {
    /// What vCenter said, if it was vCenter.
    #[must_use]
    pub fn vcenter(&self) -> Option<&Error> {
        match self {
            Self::Vcenter(error) => Some(error.error()),
            _ => None,
        }
    }
}

impl From<Error> for TransferError {
    fn from(error: Error) -> Self {
        Self::Vcenter(WriteError::refused(error))
    }
}

/// Where bytes go, and how to get there.
pub(super) struct Place {
    client: reqwest::Client,
    url: Url,
    host: String,
    patience: Duration,
}

impl Vcenter {
    /// Where the bytes of a transfer go.
    pub(super) async fn transfer_place(
        &self,
        url: &str,
        host: Option<&MoRef>,
    ) -> Result<Place, TransferError> {
        let options = &self.inner.options;
        // A host that is called directly names itself by a star.
        let named = url.replacen("//*", &format!("//{}", options.url.host_str().unwrap_or_default()), 1);
        let url: Url = named.parse().map_err(|_| TransferError::Address("it is not a URL"))?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(TransferError::Address("it is not a plain https URL"));
        }
        let name = url.host_str().ok_or(TransferError::Address("it has no host"))?.to_owned();
        let own = (url.host_str(), url.port_or_known_default())
            == (options.url.host_str(), options.url.port_or_known_default());
        let trust = if own { options.trust.clone() } else { self.host_trust(host).await? };
        let client = http::client(&trust, &options.http)
            .map_err(|_| TransferError::Address("the certificate of its host cannot be used"))?;
        Ok(Place { client, url, host: name, patience: options.patience })
    }

    /// Trust in one host: its certificate as vCenter has it. Where that is not known, in the authorities by which the vCenter
    /// is trusted, who usually made it.
    async fn host_trust(&self, host: Option<&MoRef>) -> Result<TlsTrust, TransferError> {
        let options = &self.inner.options;
        let pem = match host {
            Some(host) => self.host_certificate(host).await?,
            None => None,
        };
        match pem {
            Some(pem) => {
                let certificate = CertificateDer::from_pem_slice(&pem)
                    .map_err(|_| TransferError::Address("the certificate of its host is not PEM"))?;
                Ok(TlsTrust { extra_ca_pem: None, pins: vec![Thumbprint::of(&certificate)] })
            }
            None => Ok(TlsTrust { extra_ca_pem: options.trust.extra_ca_pem.clone(), pins: Vec::new() }),
        }
    }
}

/// The time that so many bytes have.
fn limit(place: &Place, size: u64) -> Duration {
    place.patience + Duration::from_secs(size / SLOWEST)
}

/// Sends a file.
pub(super) async fn put(place: Place, content: &Content, size: u64) -> Result<Uploaded, TransferError> {
    let limit = limit(&place, size);
    let Place { client, url, host, .. } = place;
    let hash = std::sync::Arc::new(std::sync::Mutex::new(Context::new(&SHA256)));
    let noting = hash.clone();
    let note = move |piece: &Bytes| {
        noting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).update(piece);
    };
    let body = match content {
        Content::Bytes(bytes) => {
            note(bytes);
            reqwest::Body::from(bytes.clone())
        }
        Content::File(path) => {
            let file = tokio::fs::File::open(path).await.map_err(TransferError::Content)?;
            // No more than was announced, even if the file grows meanwhile.
            let reader = file.take(size);
            let pieces = futures_util::stream::try_unfold(reader, |mut reader| async move {
                let mut piece = vec![0; PIECE];
                let read = reader.read(&mut piece).await?;
                piece.truncate(read);
                Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), reader)))
            });
            reqwest::Body::wrap_stream(pieces.inspect(move |piece| {
                if let Ok(piece) = piece {
                    note(piece);
                }
            }))
        }
    };
    let request = client.put(url).header(reqwest::header::CONTENT_LENGTH, size).body(body);
    let answer = match tokio::time::timeout(limit, request.send()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(TransferError::Host { host, source: error.without_url() }),
        Err(_) => return Err(TransferError::TimedOut { host, limit }),
    };
    if !answer.status().is_success() {
        return Err(TransferError::Status { host, status: answer.status().as_u16() });
    }
    let digest = hash.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone().finish();
    Ok(Uploaded { size, sha256: hex::encode(digest) })
}

/// Reads a file of a size that was announced.
pub(super) async fn get(place: Place, size: u64) -> Result<Vec<u8>, TransferError> {
    let limit = limit(&place, size);
    let patience = place.patience;
    let Place { client, url, host, .. } = place;
    let answer = match tokio::time::timeout(limit, client.get(url).send()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(TransferError::Host { host, source: error.without_url() }),
        Err(_) => return Err(TransferError::TimedOut { host, limit }),
    };
    if !answer.status().is_success() {
        return Err(TransferError::Status { host, status: answer.status().as_u16() });
    }
    let most = usize::try_from(size).unwrap_or(usize::MAX);
    match tokio::time::timeout(limit, read_limited(answer, most, patience)).await {
        Ok(Ok(body)) if body.len() as u64 == size => Ok(body.into()),
        Ok(Ok(_)) => Err(TransferError::Address("the file is not as long as was said")),
        Ok(Err(source)) => Err(TransferError::Body { host, source }),
        Err(_) => Err(TransferError::TimedOut { host, limit }),
    }
}
