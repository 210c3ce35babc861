//! What people want to know of a certificate.

use std::fmt;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Thumbprint;

/// A certificate for people. Everything but the thumbprint is what the certificate claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Its SHA-256 thumbprint.
    pub thumbprint: Thumbprint,
    /// Whom it is for; empty if it cannot be read.
    pub subject: String,
    /// Who made it; empty if it cannot be read.
    pub issuer: String,
    /// When it ends.
    pub not_after: Option<Timestamp>,
}

impl CertificateSummary {
    /// Reads a certificate, as far as it can be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let thumbprint = Thumbprint::of(certificate);
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
            return Self { thumbprint, subject: String::new(), issuer: String::new(), not_after: None };
        };
        Self {
            thumbprint,
            subject: crate::xml::shorten_line(&parsed.subject().to_string()),
            issuer: crate::xml::shorten_line(&parsed.issuer().to_string()),
            not_after: Timestamp::from_second(parsed.validity().not_after.timestamp()).ok(),
        }
    }
}

impl fmt::Display for CertificateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "for {:?}, by {:?}", self.subject, self.issuer)?;
        if let Some(end) = self.not_after {
            write!(f, ", valid until {end}")?;
        }
        Ok(())
    }
}
