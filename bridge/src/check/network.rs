//! Whether a server can be reached: its name, its port, its certificate.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::{Host, Url};
use vsphere_client::error::chain;
use vsphere_client::tls::{self, CertificateSummary, TlsTrust, UntrustedCertificate};

use super::course::Finding;
use crate::clock;

/// A certificate that ends sooner than this is to be renewed.
const RENEW: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Looks up the host of `url`.
pub(super) async fn dns(url: &Url) -> Finding<Vec<SocketAddr>> {
    let port = url.port_or_known_default().unwrap_or(443);
    let name = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(ip)) => return literal(IpAddr::V4(ip), port),
        Some(Host::Ipv6(ip)) => return literal(IpAddr::V6(ip), port),
        None => return Finding::fail("the address has no host", "correct the url"),
    };
    let fix = || format!("correct the name in the url, or make it resolve here: getent ahosts {name}");
    match tokio::net::lookup_host((name.as_str(), port)).await {
        Ok(found) => {
            let mut addresses: Vec<SocketAddr> = found.collect();
            addresses.dedup();
            if addresses.is_empty() {
                return Finding::fail(format!("{name} has no address"), fix());
            }
            let list: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
            Finding::pass(addresses, format!("{name} is {}", list.join(", ")))
        }
        Err(error) => Finding::fail(format!("{name} cannot be resolved: {error}"), fix()),
    }
}

fn literal(ip: IpAddr, port: u16) -> Finding<Vec<SocketAddr>> {
    Finding::pass(vec![SocketAddr::new(ip, port)], "the url holds an address; nothing to look up")
}

/// Connects to each of `addresses`; one that answers is handed on.
pub(super) async fn tcp(addresses: &[SocketAddr], limit: Duration) -> Finding<SocketAddr> {
    let results = join_all(addresses.iter().map(|address| async move {
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(_)) => (address, None),
            Ok(Err(error)) => (address, Some(refusal(&error))),
            Err(_) => (address, Some(format!("no answer within {} s", limit.as_secs()))),
        }
    }))
    .await;
    let good: Vec<&SocketAddr> =
        results.iter().filter(|(_, bad)| bad.is_none()).map(|(address, _)| *address).collect();
    let bad: Vec<String> = results
        .iter()
        .filter_map(|(address, bad)| bad.as_ref().map(|reason| format!("{address}: {reason}")))
        .collect();
    match good.first() {
        None => Finding::fail(
            bad.join("; "),
            "is the server up, and does a firewall between here and there let this port through?",
        ),
        Some(first) if bad.is_empty() => {
            let list: Vec<String> = good.iter().map(ToString::to_string).collect();
            Finding::pass(**first, format!("connected to {}", list.join(", ")))
        }
        Some(first) => Finding::warn(
            **first,
            format!("connected to {first}, but {}", bad.join("; ")),
            "the name has addresses that do not answer, so connecting will now and then be slow or fail; remove them from DNS, or open the way to them",
        ),
    }
}

fn refusal(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused: nothing listens on this port".to_owned(),
        _ => error.to_string(),
    }
}

/// Makes a TLS connection to `address` as the client itself would, and looks at the certificate.
///
/// `section` is the part of the configuration where trust is configured, such as `[[vcenter]]` `dc1`.
pub(super) async fn tls(url: &Url, address: SocketAddr, trust: &TlsTrust, section: &str) -> Finding {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let config = match tls::client_config(trust) {
        Ok(config) => config,
        Err(error) => return Finding::fail(chain(&error), format!("correct `ca_file` in {section}")),
    };
    let name = match ServerName::try_from(host) {
        Ok(name) => name,
        Err(error) => return Finding::fail(format!("{error} in {url}"), "correct the url"),
    };
    let shake = async {
        let stream = TcpStream::connect(address).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    };
    match shake.await {
        Ok(stream) => {
            let (_, connection) = stream.get_ref();
            let certificate =
                connection.peer_certificates().and_then(<[_]>::first).map(CertificateSummary::of);
            let version = match connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
                _ => "TLS 1.2",
            };
            match certificate {
                Some(certificate) => trusted(&certificate, version, !trust.pins.is_empty(), clock::now()),
                None => Finding::fail("the server showed no certificate", "is this a vCenter?"),
            }
        }
        Err(error) => match tls::untrusted_certificate(&error) {
            Some(untrusted) => refused(untrusted, section),
            None => Finding::fail(
                format!("no TLS connection: {}", chain(&error)),
                "is this the HTTPS port? vmbridge speaks TLS 1.2 and 1.3 and accepts nothing older",
            ),
        },
    }
}

fn trusted(certificate: &CertificateSummary, version: &str, pinned: bool, now: Timestamp) -> Finding {
    let how = if pinned { "pinned" } else { "by a trusted authority" };
    let detail = format!("{version}, {how}: certificate {certificate}, SHA-256 {}", certificate.thumbprint);
    let Some(left) = certificate.not_after.map(|end| end.duration_since(now)) else {
        return Finding::pass((), detail);
    };
    let days = left.as_hours() / 24;
    if left.is_negative() {
        // Only a pinned certificate gets here; an authority's would have been refused.
        let detail = format!("{detail}; it has expired, which does not matter to a pinned one");
        return Finding::warn((), detail, "renew it when convenient, and list the new thumbprint before");
    }
    if left < RENEW {
        let fix = if pinned {
            "renew it; list the new thumbprint beside the old one before"
        } else {
            "renew it; nothing has to change here as long as the authority stays the same"
        };
        return Finding::warn((), format!("{detail}; it ends in {days} days"), fix);
    }
    Finding::pass((), detail)
}

fn refused(untrusted: &UntrustedCertificate, section: &str) -> Finding {
    let UntrustedCertificate { certificate, reason } = untrusted;
    let thumbprint = certificate.thumbprint;
    Finding::fail(
        format!("certificate {certificate}, SHA-256 {thumbprint}, is not trusted: {reason}"),
        format!(
            "compare this thumbprint with the one that the server's own console shows; if it is the same, write in {section}: \
             ca_file = \"<PEM file of its authority>\", or: thumbprints = [\"{thumbprint}\"]"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::course::Course;
    use crate::check::report::{Outcome, Row, SourceKind};

    async fn row<T>(work: impl Future<Output = Finding<T>>) -> (Row, Option<T>) {
        let mut course = Course::new(SourceKind::Vcenter, "dc1", "", Duration::from_secs(20));
        let value = course.try_it("it", work).await;
        (course.finish(&[]).checks.remove(0), value)
    }

    #[tokio::test]
    async fn an_address_needs_no_look_up() {
        let url: Url = "https://[::1]:8443/".parse().unwrap();
        let (row, addresses) = row(dns(&url)).await;
        assert_eq!(row.outcome, Outcome::Pass);
        assert_eq!(addresses.unwrap(), ["[::1]:8443".parse().unwrap()]);
    }

    #[tokio::test]
    async fn a_name_that_does_not_exist_fails_with_the_name() {
        let url: Url = "https://vcenter.invalid/".parse().unwrap();
        let (row, _) = row(dns(&url)).await;
        assert_eq!(row.outcome, Outcome::Fail);
        assert!(row.detail.starts_with("vcenter.invalid cannot be resolved"), "{row:?}");
    }

    #[tokio::test]
    async fn some_addresses_that_do_not_answer_are_a_warning_and_all_are_a_failure() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = listener.local_addr().unwrap();
        let closed = {
            let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            gone.local_addr().unwrap()
        };
        let limit = Duration::from_secs(5);
        assert_eq!(row(tcp(&[open], limit)).await.0.outcome, Outcome::Pass);
        let (both, address) = row(tcp(&[closed, open], limit)).await;
        assert_eq!((both.outcome, address), (Outcome::Warn, Some(open)));
        let (none, address) = row(tcp(&[closed], limit)).await;
        assert_eq!((none.outcome, address), (Outcome::Fail, None));
        assert!(none.detail.contains("refused: nothing listens"), "{none:?}");
    }

    #[tokio::test]
    async fn a_certificate_that_ends_soon_is_a_warning() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let certificate = |end: &str| CertificateSummary {
            thumbprint: "4E57EA50F290742682C3519DD58B6BFE6D5F0A665A25D0DAC0584A9E1EBC0431".parse().unwrap(),
            subject: "CN=dc1".into(),
            issuer: "CN=ca".into(),
            not_after: Some(end.parse().unwrap()),
        };
        let outcome =
            async |end, pinned| row(async { trusted(&certificate(end), "TLS 1.3", pinned, now) }).await.0;
        assert_eq!(outcome("2027-01-01T00:00:00Z", false).await.outcome, Outcome::Pass);
        let soon = outcome("2026-01-11T00:00:00Z", false).await;
        assert_eq!(soon.outcome, Outcome::Warn);
        assert!(soon.detail.ends_with("it ends in 10 days"), "{soon:?}");
        assert_eq!(outcome("2025-01-01T00:00:00Z", true).await.outcome, Outcome::Warn);
    }

    #[tokio::test]
    async fn a_refused_certificate_says_what_to_write() {
        let untrusted = UntrustedCertificate {
            certificate: CertificateSummary {
                thumbprint: "4E57EA50F290742682C3519DD58B6BFE6D5F0A665A25D0DAC0584A9E1EBC0431"
                    .parse()
                    .unwrap(),
                subject: "CN=dc1".into(),
                issuer: "CN=dc1".into(),
                not_after: None,
            },
            reason: "it was not made by an authority that is trusted here".into(),
        };
        let (row, _) = row(async { refused(&untrusted, "[[vcenter]] \"dc1\"") }).await;
        let fix = row.fix.unwrap();
        assert!(fix.contains("in [[vcenter]] \"dc1\""), "{fix}");
        assert!(fix.ends_with("thumbprints = [\"4E:57:EA:50:F2:90:74:26:82:C3:51:9D:D5:8B:6B:FE:6D:5F:0A:66:5A:25:D0:DA:C0:58:4A:9E:1E:BC:04:31\"]"), "{fix}");
    }
}
