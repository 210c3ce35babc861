//! The judgement on a server's certificate.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{CertificateSummary, Thumbprint, TlsError};

/// A certificate that was refused: which one, why, and what to write to trust it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the server's certificate ({certificate}) is not trusted: {reason}. Its SHA-256 thumbprint is {}. \
     If this is the right server, give its authority with `ca_file = \"…\"`, \
     or trust this certificate with `thumbprints = [\"{}\"]`",
    certificate.thumbprint, certificate.thumbprint
)]
pub struct UntrustedCertificate {
    /// What was seen.
    pub certificate: CertificateSummary,
    /// Why it was refused.
    pub reason: String,
}

/// Judges by authorities or by pins.
pub(super) struct Verifier {
    judge: Judge,
    provider: Arc<CryptoProvider>,
}

enum Judge {
    Authorities(Arc<WebPkiServerVerifier>),
    Pins(Vec<Thumbprint>),
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").finish_non_exhaustive()
    }
}

impl Verifier {
    pub(super) fn by_authority(
        roots: RootCertStore,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(TlsError::Verifier)?;
        Ok(Self { judge: Judge::Authorities(webpki), provider })
    }

    pub(super) fn by_pin(pins: Vec<Thumbprint>, provider: Arc<CryptoProvider>) -> Self {
        Self { judge: Judge::Pins(pins), provider }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let reason = match &self.judge {
            Judge::Authorities(webpki) => {
                match webpki.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
                    Ok(verified) => return Ok(verified),
                    Err(error) => explain(&error),
                }
            }
            Judge::Pins(pins) if pins.contains(&Thumbprint::of(end_entity)) => {
                return Ok(ServerCertVerified::assertion());
            }
            Judge::Pins(pins) => {
                let configured: Vec<_> = pins.iter().map(Thumbprint::to_string).collect();
                format!("it is not one of the configured thumbprints ({})", configured.join(", "))
            }
        };
        Err(refusal(UntrustedCertificate { certificate: CertificateSummary::of(end_entity), reason }))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

pub(super) fn refusal(untrusted: UntrustedCertificate) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(untrusted))))
}

fn explain(error: &Error) -> String {
    match error {
        // Authorities of different vCenters often have the same name: then the signature is what does not fit.
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "it was not made by an authority that is trusted here".into()
        }
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "it has expired".into()
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => "it is not valid yet; is this machine's clock right?".into(),
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "it was made for another name".into(),
        other => other.to_string(),
    }
}
