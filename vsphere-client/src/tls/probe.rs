//! Looking at a server's certificate without trusting it, to tell people what to configure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;

use super::verifier::{UntrustedCertificate, refusal};
use super::{CertificateSummary, TlsError, config, provider};

/// Why no certificate was seen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The name cannot be one of a server.
    #[error("{0:?} is not a server name")]
    Name(String),
    /// TLS cannot be set up here.
    #[error(transparent)]
    Setup(#[from] TlsError),
    /// The connection failed before the server showed a certificate.
    #[error("no TLS connection")]
    Connection(#[source] std::io::Error),
    /// The server took too long.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
}

/// Refuses every certificate and remembers the one it saw: the connection ends before a byte of ours is sent over it.
#[derive(Debug)]
struct Onlooker {
    seen: Mutex<Option<CertificateSummary>>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = CertificateSummary::of(end_entity);
        if let Ok(mut seen) = self.seen.lock() {
            *seen = Some(certificate.clone());
        }
        Err(refusal(UntrustedCertificate { certificate, reason: "it was only looked at".into() }))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only looked at".into()))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only looked at".into()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

/// The certificate that the server at `host` and `port` shows. Nothing is sent to it.
///
/// # Errors
/// When there is no such server, or it does not speak TLS.
pub async fn seen_certificate(
    host: &str,
    port: u16,
    patience: Duration,
) -> Result<CertificateSummary, ProbeError> {
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| ProbeError::Name(host.to_owned()))?;
    let provider = provider();
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let onlooker = Arc::new(Onlooker { seen: Mutex::default(), schemes });
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config(provider, onlooker.clone())?));
    let address = host.trim_matches(['[', ']']).to_owned();
    let shaking = async move {
        let stream = TcpStream::connect((address.as_str(), port)).await?;
        connector.connect(name, stream).await.map(|_| ())
    };
    let outcome =
        tokio::time::timeout(patience, shaking).await.map_err(|_| ProbeError::TimedOut(patience))?;
    let seen = onlooker.seen.lock().ok().and_then(|mut seen| seen.take());
    match (seen, outcome) {
        (Some(certificate), _) => Ok(certificate),
        (None, Err(error)) => Err(ProbeError::Connection(error)),
        (None, Ok(())) => {
            Err(ProbeError::Connection(std::io::Error::other("the server showed no certificate")))
        }
    }
}
