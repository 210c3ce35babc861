//! When the certificate of a host ends. vCenter gives it as its bytes, PEM in practice.

use jiff::Timestamp;
use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_pem};

use super::read::Tree;
use super::reading::Reading;

/// The most bytes of a certificate. Real ones have about 2,000.
const LONGEST: usize = 64 * 1024;

/// The end of the validity of a certificate, as RFC 3339 writes times. `config.certificate` of a host is a list of bytes,
/// each an element of its own (`ArrayOfByte`); text is taken as it is.
pub(super) fn end<T: Tree>(tree: T) -> Reading {
    let mut bytes = Vec::new();
    let mut bad = false;
    if let Some(text) = tree.text() {
        bytes.extend_from_slice(text.as_bytes().get(..LONGEST).unwrap_or(text.as_bytes()));
    } else {
        tree.children(&mut |_, child| {
            // `xsd:byte` has a sign.
            let byte = child.text().and_then(|text| text.trim().parse::<i16>().ok());
            match byte {
                Some(byte @ -128..=255) if bytes.len() < LONGEST => bytes.push((byte & 0xff) as u8),
                _ => bad = true,
            }
        });
    }
    if !bad && bytes.is_empty() {
        return Reading::Missing;
    }
    match not_after(&bytes) {
        Some(time) if !bad => Reading::One(time.to_string().into()),
        _ => Reading::Unreadable,
    }
}

fn not_after(bytes: &[u8]) -> Option<Timestamp> {
    let pem = parse_x509_pem(bytes).ok().map(|(_, pem)| pem);
    let der = pem.as_ref().map_or(bytes, |pem| &pem.contents);
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}
