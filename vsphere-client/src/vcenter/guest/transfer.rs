//! The bytes of a file, between here and the host that the VM is on.
//!
//! vCenter gives an address with a ticket in it. It is on the ESXi host, which is trusted as [`host`](super::host) says, or on
//! the vCenter itself, which is trusted as always. The ticket is a secret: it is never in an error. The session of the vCenter
//! is not shown to a host.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use url::Url;

use super::super::{Vcenter, WriteError};
use super::host::HostIdentity;
use crate::error::Error;
use crate::http::{self, BodyError, HttpOptions};
use crate::ids::MoRef;
use crate::tls::{CertificateSummary, Thumbprint, TlsTrust, untrusted_certificate};

/// Bytes that are sent at a time.
const PIECE: usize = 64 << 10;
/// The slowest transfer that is waited for, in bytes per second.
const SLOWEST: u64 = 16 << 10;

/// What is put into a guest.
#[derive(Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// A file of this machine, which is read as it is sent.
    File(PathBuf),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in it may be secret.
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl Content {
    pub(super) async fn size(&self) -> std::io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::File(path) => Ok(tokio::fs::metadata(path).await?.len()),
        }
    }
}

/// A file that was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes that were sent or received, in lower-case hexadecimal digits.
    pub sha256: String,
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
    /// The host shows another certificate than vCenter has of it. Nothing was sent.
    #[error("{host} shows a certificate ({certificate}) that is not the one by which vCenter knows the host")]
    Untrusted {
        /// The host.
        host: String,
        /// What was seen.
        certificate: Box<CertificateSummary>,
    },
    /// The host cannot be reached, or the connection broke.
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
    /// It broke off.
    #[error("the file from {host} is not whole")]
    Body {
        /// The host.
        host: String,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It is not as long as was said.
    #[error("the file from {host} is not as long as was said: {size} bytes of {expected}")]
    Length {
        /// The host.
        host: String,
        /// Bytes that came.
        size: u64,
        /// Bytes that were to come.
        expected: u64,
    },
    /// It took too long.
    #[error("the transfer of the file over {host} took longer than {} s", limit.as_secs())]
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
    /// The file of this machine cannot be read or written.
    #[error("the file of this machine cannot be read or written")]
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

    /// Whether the guest may have the file, or a part of it, after an upload that failed like this.
    #[must_use]
    pub fn may_have_taken_place(&self) -> bool {
        match self {
            Self::Vcenter(error) => error.may_have_taken_place(),
            Self::Address(_) | Self::Untrusted { .. } | Self::TooLarge { .. } => false,
            Self::Host { source, .. } => !source.is_connect(),
            Self::Status { .. }
            | Self::Body { .. }
            | Self::Length { .. }
            | Self::TimedOut { .. }
            | Self::Content(_) => true,
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
    /// The certificate that has to be there, if it is a host that was pinned.
    pin: Option<Thumbprint>,
}

impl Vcenter {
    /// Where the bytes of a transfer go. `host` is where the VM is believed to be; vCenter is asked when nobody knows.
    pub(super) async fn transfer_place(
        &self,
        url: &str,
        vm: &MoRef,
        host: Option<&MoRef>,
    ) -> Result<Place, TransferError> {
        let options = &self.inner.options;
        let url = address(url, &options.url)?;
        if url.host() == options.url.host()
            && url.port_or_known_default() == options.url.port_or_known_default()
        {
            let host = url.host_str().unwrap_or_default().to_owned();
            let client = self.inner.soap.http().clone();
            return Ok(Place { client, url, host, patience: options.patience, pin: None });
        }
        let identity = match host {
            Some(host) => self.host_identity(host, false).await?,
            None => self.identity_of_place(vm).await?,
        };
        self.place_on(url, identity.as_deref())
    }

    /// The place after the host there was another one than expected, unless it is the same again: the VM may have moved since
    /// its place was read, or the host may have a new certificate. The ticket is still good, because nothing was sent.
    pub(super) async fn moved_place(
        &self,
        place: &Place,
        vm: &MoRef,
    ) -> Result<Option<Place>, TransferError> {
        if place.pin.is_none() {
            return Ok(None);
        }
        let identity = self.identity_of_place(vm).await?;
        let moved = self.place_on(place.url.clone(), identity.as_deref())?;
        Ok(Some(moved).filter(|moved| moved.pin != place.pin))
    }

    async fn identity_of_place(&self, vm: &MoRef) -> Result<Option<Arc<HostIdentity>>, TransferError> {
        Ok(match self.host_of_vm(vm).await? {
            Some(host) => self.host_identity(&host, true).await?,
            None => None,
        })
    }

    fn place_on(&self, url: Url, identity: Option<&HostIdentity>) -> Result<Place, TransferError> {
        let options = &self.inner.options;
        let host = url.host_str().unwrap_or_default().to_owned();
        let pin = identity.and_then(|identity| identity.certificate);
        let trust = match (pin, identity) {
            (Some(pin), _) => TlsTrust { extra_ca_pem: None, pins: vec![pin] },
            (None, Some(identity)) if identity.name.eq_ignore_ascii_case(&host) => {
                TlsTrust { extra_ca_pem: options.trust.extra_ca_pem.clone(), pins: Vec::new() }
            }
            _ => {
                return Err(TransferError::Address(
                    "vCenter tells no certificate of its host (HostSystem.config.certificate; System.Read on the host)",
                ));
            }
        };
        // Each ticket is good for one request: a connection that is kept would only be found closed.
        let http = HttpOptions { idle_connections: 0, ..options.http.clone() };
        let client = http::client(&trust, &http)
            .map_err(|_| TransferError::Address("its host cannot be spoken to by TLS"))?;
        Ok(Place { client, url, host, patience: options.patience, pin })
    }
}

/// The address of a transfer. A host that was called directly, and the vCenter itself, call themselves `*`.
fn address(url: &str, vcenter: &Url) -> Result<Url, TransferError> {
    let own = vcenter.host_str().unwrap_or_default();
    let url: Url = match url.strip_prefix("https://*") {
        Some(rest) if rest.is_empty() || rest.starts_with([':', '/', '?']) => {
            format!("https://{own}{rest}").parse()
        }
        _ => url.parse(),
    }
    .map_err(|_| TransferError::Address("it is not a URL"))?;
    if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
        return Err(TransferError::Address("it is not a plain https URL"));
    }
    // Any other star is no name of a host, though it can be written in a URL.
    if url.host_str().is_none_or(|host| host.is_empty() || host.contains('*')) {
        return Err(TransferError::Address("it has no host"));
    }
    Ok(url)
}

impl Place {
    /// The time that so many bytes have.
    fn limit(&self, size: u64) -> Duration {
        self.patience + Duration::from_secs(size / SLOWEST)
    }

    async fn send(
        &self,
        request: reqwest::RequestBuilder,
        limit: Duration,
    ) -> Result<reqwest::Response, TransferError> {
        let host = self.host.clone();
        let answer = match tokio::time::timeout(limit, request.send()).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                return Err(match untrusted_certificate(&error) {
                    Some(untrusted) => TransferError::Untrusted {
                        host,
                        certificate: Box::new(untrusted.certificate.clone()),
                    },
                    None => TransferError::Host { host, source: error.without_url() },
                });
            }
            Err(_) => return Err(TransferError::TimedOut { host, limit }),
        };
        if !answer.status().is_success() {
            return Err(TransferError::Status { host, status: answer.status().as_u16() });
        }
        Ok(answer)
    }
}

type Hash = Arc<Mutex<Context>>;

fn note(hash: &Hash, piece: &[u8]) {
    hash.lock().unwrap_or_else(PoisonError::into_inner).update(piece);
}

fn hexadecimal(hash: &Hash) -> String {
    hex::encode(hash.lock().unwrap_or_else(PoisonError::into_inner).clone().finish())
}

/// Sends a file.
pub(super) async fn put(place: &Place, content: &Content, size: u64) -> Result<Transferred, TransferError> {
    let hash: Hash = Arc::new(Mutex::new(Context::new(&SHA256)));
    let body = match content {
        Content::Bytes(bytes) => {
            note(&hash, bytes);
            reqwest::Body::from(bytes.clone())
        }
        Content::File(path) => {
            let file = tokio::fs::File::open(path).await.map_err(TransferError::Content)?;
            // No more than was announced, even if the file grows meanwhile; if it shrinks, the request breaks off.
            let pieces = futures_util::stream::try_unfold(file.take(size), |mut reader| async move {
                let mut piece = vec![0; PIECE];
                let read = reader.read(&mut piece).await?;
                piece.truncate(read);
                Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), reader)))
            });
            let noting = hash.clone();
            reqwest::Body::wrap_stream(pieces.inspect(move |piece| {
                if let Ok(piece) = piece {
                    note(&noting, piece);
                }
            }))
        }
    };
    let request = place
        .client
        .put(place.url.clone())
        .header(reqwest::header::CONTENT_LENGTH, size)
        .header(reqwest::header::CONTENT_TYPE, "application/octet-stream")
        .body(body);
    place.send(request, place.limit(size)).await?;
    Ok(Transferred { size, sha256: hexadecimal(&hash) })
}

/// Receives a file of a size that was announced, piece by piece.
pub(super) async fn get<W: AsyncWrite + Unpin + Send>(
    place: &Place,
    size: u64,
    into: &mut W,
) -> Result<Transferred, TransferError> {
    let limit = place.limit(size);
    let receiving = async {
        let host = || place.host.clone();
        let mut answer = place.send(place.client.get(place.url.clone()), limit).await?;
        let hash: Hash = Arc::new(Mutex::new(Context::new(&SHA256)));
        let mut received = 0_u64;
        loop {
            let piece = match tokio::time::timeout(place.patience, answer.chunk()).await {
                Ok(Ok(Some(piece))) => piece,
                Ok(Ok(None)) => break,
                Ok(Err(error)) => {
                    let source = BodyError::Broken(error.without_url());
                    return Err(TransferError::Body { host: host(), source });
                }
                Err(_) => {
                    return Err(TransferError::Body {
                        host: host(),
                        source: BodyError::Stalled(place.patience),
                    });
                }
            };
            received += piece.len() as u64;
            if received > size {
                return Err(TransferError::Length { host: host(), size: received, expected: size });
            }
            note(&hash, &piece);
            into.write_all(&piece).await.map_err(TransferError::Content)?;
        }
        if received != size {
            return Err(TransferError::Length { host: host(), size: received, expected: size });
        }
        into.flush().await.map_err(TransferError::Content)?;
        Ok(Transferred { size, sha256: hexadecimal(&hash) })
    };
    match tokio::time::timeout(limit, receiving).await {
        Ok(outcome) => outcome,
        Err(_) => Err(TransferError::TimedOut { host: place.host.clone(), limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_addresses_are_used_and_a_star_is_the_vcenter() {
        let vcenter: Url = "https://vc.example.com".parse().unwrap();
        let good = |text: &str| address(text, &vcenter).unwrap().to_string();
        assert_eq!(good("https://*/guestFile?id=1&token=x"), "https://vc.example.com/guestFile?id=1&token=x");
        assert_eq!(good("https://*:8443/guestFile"), "https://vc.example.com:8443/guestFile");
        assert_eq!(good("https://esx01:443/guestFile?id=1"), "https://esx01/guestFile?id=1");
        assert_eq!(good("https://[fd00::1]/x"), "https://[fd00::1]/x");
        for bad in [
            "",
            "http://esx01/guestFile",
            "https://",
            "https://user:secret@esx01/",
            "https://*.example.com/x",
            "https://*@evil.example.com/",
            "//esx01/x",
            "file:///etc/passwd",
            "https://*evil.example.com/x",
        ] {
            let error = address(bad, &vcenter).unwrap_err();
            assert!(matches!(error, TransferError::Address(_)) && !error.may_have_taken_place(), "{bad}");
        }
    }

    #[test]
    fn what_is_sent_is_not_shown() {
        let content = Content::Bytes(Bytes::from_static(b"ACTIVATION_CODE=secret"));
        assert_eq!(format!("{content:?}"), "Bytes(22 bytes)");
    }
}
