//! Certificates: one authority for a simulator, one certificate for each server, exchangeable while running.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::StartError;

/// What every certificate is for.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The simulator's certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    names: Vec<String>,
}

impl Authority {
    /// A new authority whose certificates are for `localhost`, the loopback addresses and what is given.
    pub(crate) fn new(listen: IpAddr, host_name: Option<&str>) -> Result<Self, StartError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.distinguished_name.push(DnType::OrganizationName, "vmbridge simulator");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let mut names: Vec<String> = LOOPBACK.iter().map(|name| (*name).to_owned()).collect();
        if !listen.is_unspecified() && !listen.is_loopback() {
            names.push(listen.to_string());
        }
        names.extend(host_name.map(str::to_owned));
        Ok(Self { issuer, names })
    }

    /// The authority's own certificate.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A new certificate and key.
    fn issue(&self) -> Result<(CertifiedKey, String), StartError> {
        let mut params = CertificateParams::new(self.names.clone())?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, self.names.get(LOOPBACK.len()).map_or("localhost", String::as_str));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let thumbprint = thumbprint(certificate.der());
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)?;
        Ok((CertifiedKey::new(vec![certificate.der().clone()], signing), thumbprint))
    }
}

/// SHA-256 of a certificate, as vCenter and browsers print it: upper-case hex with colons.
fn thumbprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// The certificate that a server shows, which can be changed at any time.
#[derive(Debug)]
pub(crate) struct Identity {
    current: RwLock<(Arc<CertifiedKey>, String)>,
}

impl Identity {
    pub(crate) fn new(authority: &Authority) -> Result<Arc<Self>, StartError> {
        let (key, thumbprint) = authority.issue()?;
        Ok(Arc::new(Self { current: RwLock::new((Arc::new(key), thumbprint)) }))
    }

    /// Shows a new certificate from now on; connections that exist go on.
    pub(crate) fn rotate(&self, authority: &Authority) -> Result<(), StartError> {
        let (key, thumbprint) = authority.issue()?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = (Arc::new(key), thumbprint);
        Ok(())
    }

    pub(crate) fn thumbprint(&self) -> String {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// The certificate, in PEM form.
    pub(crate) fn pem(&self) -> String {
        use base64::Engine as _;
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let der = current.0.cert.first().map(|der| base64::engine::general_purpose::STANDARD.encode(der));
        let text = der.unwrap_or_default();
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// The TLS settings of a server with this identity.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, StartError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}
