//! Thumbprints of certificates.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;

/// SHA-256 of a certificate in DER form, as vSphere and `openssl x509 -fingerprint -sha256` show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Thumbprint([u8; 32]);

/// Why a text is not a SHA-256 thumbprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThumbprintError {
    /// A SHA-1 thumbprint: forgeable, so it proves nothing.
    #[error("this is a SHA-1 thumbprint; the SHA-256 one is needed (64 hexadecimal digits)")]
    Sha1,
    /// Wrong length.
    #[error("a SHA-256 thumbprint has 64 hexadecimal digits, this has {0}")]
    Length(usize),
    /// Something else than hexadecimal digits and colons.
    #[error("{0:?} is not a hexadecimal digit")]
    Digit(char),
}

impl Thumbprint {
    /// The thumbprint of `certificate`.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let hash = digest::digest(&digest::SHA256, certificate);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.as_ref());
        Self(bytes)
    }
}

impl FromStr for Thumbprint {
    type Err = ThumbprintError;

    /// Reads `AA:BB:…` or plain hexadecimal digits, in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.trim().chars().filter(|&c| c != ':').collect();
        if let Some(other) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            return Err(ThumbprintError::Digit(other));
        }
        let mut bytes = [0; 32];
        match digits.len() {
            64 => hex::decode_to_slice(&digits, &mut bytes).map_err(|_| ThumbprintError::Length(64))?,
            40 => return Err(ThumbprintError::Sha1),
            other => return Err(ThumbprintError::Length(other)),
        }
        Ok(Self(bytes))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            let colon = if i == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
