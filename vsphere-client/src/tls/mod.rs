//! Which servers are trusted.
//!
//! A server is trusted in one of two ways, and never without: its certificate comes from an authority, of the system or an
//! extra one; or the certificate itself is pinned by its SHA-256 thumbprint. When pins are given they alone count: a pinned
//! certificate may be self-signed, expired or made for another name (that is how vCenters come out of the box), any other
//! one is refused. Either way the server must prove in the handshake that it holds the certificate's key.
//!
//! A refusal says which certificate was seen and what to write to trust it ([`UntrustedCertificate`]).

mod certificate;
mod probe;
mod thumbprint;
mod verifier;

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

pub use certificate::CertificateSummary;
pub use probe::{ProbeError, seen_certificate};
pub use thumbprint::{Thumbprint, ThumbprintError};
pub use verifier::UntrustedCertificate;

/// Whom to trust. By default, the authorities of the system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsTrust {
    /// PEM text with certificates of authorities to trust besides those of the system.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Certificates to trust. If there are any, nothing else is trusted.
    pub pins: Vec<Thumbprint>,
}

/// Why trust settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The extra authorities are not PEM.
    #[error("the CA file is not valid PEM: {0}")]
    Pem(String),
    /// The PEM text holds no certificate.
    #[error("the CA file holds no certificate")]
    NoCertificate,
    /// One of the certificates cannot be an authority.
    #[error("certificate {number} of the CA file cannot be used")]
    BadCertificate {
        /// Which one, from 1.
        number: usize,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// There is nothing that could be trusted.
    #[error("the system has no certificate authorities and none is configured")]
    NoRoots,
    /// The TLS library refused the settings.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// The verifier could not be made.
    #[error("TLS cannot be set up")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A TLS configuration that trusts as told.
///
/// # Errors
/// When the settings cannot be used.
pub fn client_config(trust: &TlsTrust) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let verifier = if trust.pins.is_empty() {
        verifier::Verifier::by_authority(roots(trust)?, provider.clone())?
    } else {
        verifier::Verifier::by_pin(trust.pins.clone(), provider.clone())
    };
    config(provider, Arc::new(verifier))
}

fn config(
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn rustls::client::danger::ServerCertVerifier>,
) -> Result<ClientConfig, TlsError> {
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth())
}

fn roots(trust: &TlsTrust) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::debug!(%error, "some certificate authorities of the system cannot be read");
    }
    // The system's collection holds what it holds; single unusable entries are not our user's doing.
    roots.add_parsable_certificates(native.certs);
    if let Some(pem) = &trust.extra_ca_pem {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| TlsError::Pem(error.to_string()))?;
        if certificates.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        for (index, certificate) in certificates.into_iter().enumerate() {
            let number = index + 1;
            roots.add(certificate).map_err(|source| TlsError::BadCertificate { number, source })?;
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    Ok(roots)
}

/// Finds the refusal of a certificate in an error and its causes.
#[must_use]
pub fn untrusted_certificate<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a UntrustedCertificate> {
    let mut next = Some(error);
    // A chain of causes is short; the bound is against one that is not.
    for _ in 0..32 {
        let error = next?;
        if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) = error.downcast_ref()
        {
            return other.0.downcast_ref();
        }
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests;
