//! Against a real TLS server, as each of the cases of the field.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::http::{self, HttpOptions};

struct Server {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
}

async fn serve(certificate: rcgen::Certificate, key: KeyPair) -> Server {
    let der = certificate.der().clone();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut tls) = acceptor.accept(stream).await {
                    let mut request = [0; 4096];
                    let read = tls.read(&mut request).await.unwrap_or(0);
                    assert!(read > 0);
                    tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                        .await
                        .ok();
                    tls.shutdown().await.ok();
                }
            });
        }
    });
    Server { address, certificate: der }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>()).unwrap()
}

async fn self_signed(names: &[&str]) -> Server {
    let key = KeyPair::generate().unwrap();
    serve(params(names).self_signed(&key).unwrap(), key).await
}

async fn fetch(server: &Server, trust: &TlsTrust) -> Result<(), UntrustedCertificate> {
    let client = http::client(trust, &HttpOptions::default()).unwrap();
    match client.get(format!("https://localhost:{}/", server.address.port())).send().await {
        Ok(response) => {
            assert_eq!(http::read_limited(response, 10, Duration::from_secs(5)).await.unwrap(), "ok");
            Ok(())
        }
        Err(error) => Err(untrusted_certificate(&error).unwrap_or_else(|| panic!("{error:?}")).clone()),
    }
}

fn pins(certificates: &[&Server]) -> TlsTrust {
    let pins = certificates.iter().map(|server| Thumbprint::of(&server.certificate)).collect();
    TlsTrust { pins, ..TlsTrust::default() }
}

#[tokio::test]
async fn a_self_signed_server_is_refused_with_what_to_write_and_accepted_once_written() {
    let server = self_signed(&["localhost"]).await;
    let refused = fetch(&server, &TlsTrust::default()).await.unwrap_err();
    assert_eq!(refused.certificate.thumbprint, Thumbprint::of(&server.certificate));
    let sentence = refused.to_string();
    let line = format!("thumbprints = [\"{}\"]", refused.certificate.thumbprint);
    assert!(sentence.contains(&line), "{sentence}");
    let written: Thumbprint = sentence.split("thumbprints = [\"").nth(1).unwrap()[..95].parse().unwrap();
    fetch(&server, &TlsTrust { pins: vec![written], ..TlsTrust::default() }).await.unwrap();
}

#[tokio::test]
async fn only_pins_count_when_there_are_pins_and_any_of_them_will_do() {
    let (old, new) = (self_signed(&["localhost"]).await, self_signed(&["elsewhere.example.com"]).await);
    let both = pins(&[&old, &new]);
    fetch(&old, &both).await.unwrap();
    fetch(&new, &both).await.unwrap();
    let refused = fetch(&new, &pins(&[&old])).await.unwrap_err();
    assert!(refused.reason.contains("configured thumbprints"), "{}", refused.reason);
}

#[tokio::test]
async fn an_extra_authority_is_trusted_for_its_names_and_times_only() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = params(&[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, ca_key).unwrap();
    let trust = TlsTrust { extra_ca_pem: Some(ca.pem().into_bytes()), ..TlsTrust::default() };
    let issue = async |params: CertificateParams| {
        let key = KeyPair::generate().unwrap();
        serve(params.signed_by(&key, &ca).unwrap(), key).await
    };
    fetch(&issue(params(&["localhost"])).await, &trust).await.unwrap();

    let other_name = issue(params(&["other.example.com"])).await;
    assert_eq!(fetch(&other_name, &trust).await.unwrap_err().reason, "it was made for another name");
    let mut expired = params(&["localhost"]);
    expired.not_before = rcgen::date_time_ymd(2020, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let expired = issue(expired).await;
    let refused = fetch(&expired, &trust).await.unwrap_err();
    assert_eq!(refused.reason, "it has expired");
    assert_eq!(refused.certificate.not_after.unwrap().to_string(), "2021-01-01T00:00:00Z");
    fetch(&expired, &pins(&[&expired])).await.unwrap();
    let stranger = self_signed(&["localhost"]).await;
    assert!(fetch(&stranger, &trust).await.unwrap_err().reason.contains("authority"));
}

#[tokio::test]
async fn a_pin_without_the_key_is_worth_nothing() {
    // The attacker shows the pinned certificate, but holds another key.
    let right = self_signed(&["localhost"]).await;
    let key = KeyPair::generate().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Impostor(Arc::new(rustls::sign::CertifiedKey::new(
            vec![right.certificate.clone()],
            provider()
                .key_provider
                .load_private_key(PrivateKeyDer::try_from(key.serialize_der()).unwrap())
                .unwrap(),
        )))));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            acceptor.accept(stream).await.ok();
        }
    });
    let client = http::client(&pins(&[&right]), &HttpOptions::default()).unwrap();
    let answer = client.get(format!("https://localhost:{}/", address.port())).send().await;
    assert!(answer.is_err(), "the impostor was believed");
}

#[derive(Debug)]
struct Impostor(Arc<rustls::sign::CertifiedKey>);

impl rustls::server::ResolvesServerCert for Impostor {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[tokio::test]
async fn a_certificate_can_be_looked_at_without_trust() {
    let server = self_signed(&["vcenter.example.com"]).await;
    let patience = Duration::from_secs(5);
    let seen = seen_certificate("localhost", server.address.port(), patience).await.unwrap();
    assert_eq!(seen.thumbprint, Thumbprint::of(&server.certificate));
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    drop(plain);
    let error = seen_certificate("127.0.0.1", address.port(), patience).await.unwrap_err();
    assert!(matches!(error, ProbeError::Connection(_)), "{error:?}");
}

#[test]
fn thumbprints_are_read_as_people_have_them() {
    let plain = "4e57ea50f290742682c3519dd58b6bfe6d5f0a665a25d0dac0584a9e1ebc0431";
    let colons =
        "4E:57:EA:50:F2:90:74:26:82:C3:51:9D:D5:8B:6B:FE:6D:5F:0A:66:5A:25:D0:DA:C0:58:4A:9E:1E:BC:04:31";
    let thumbprint: Thumbprint = plain.parse().unwrap();
    assert_eq!(thumbprint, format!(" {colons} ").parse().unwrap());
    assert_eq!(thumbprint.to_string(), colons);
    assert_eq!(plain[..40].parse::<Thumbprint>(), Err(ThumbprintError::Sha1));
    assert_eq!(plain[..62].parse::<Thumbprint>(), Err(ThumbprintError::Length(62)));
    assert_eq!("zz".parse::<Thumbprint>(), Err(ThumbprintError::Digit('z')));
}

#[test]
fn a_ca_file_that_holds_none_is_refused_as_such() {
    let config = |pem: &str| {
        let trust = TlsTrust { extra_ca_pem: Some(pem.as_bytes().to_vec()), ..TlsTrust::default() };
        client_config(&trust).map(|_| ())
    };
    assert!(matches!(config("hello"), Err(TlsError::NoCertificate)));
    assert!(matches!(
        config("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"),
        Err(TlsError::Pem(_))
    ));
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(config(empty), Err(TlsError::BadCertificate { number: 1, .. })));
}
