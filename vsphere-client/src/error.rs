//! What can go wrong when speaking to a vCenter.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use crate::retry::{Classify, Verdict};
use crate::soap::{Fault, FaultKind};
use crate::tls::UntrustedCertificate;
use crate::xml::XmlError;

/// A failed call: which one, at which server, and why (the [`source`](StdError::source), see [`ErrorKind`]).
///
/// Cheap to clone, because one failure is often reported to several waiting callers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} at {server}")]
pub struct Error {
    operation: &'static str,
    server: Arc<str>,
    #[source]
    kind: Arc<ErrorKind>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server's certificate is not trusted. Says which one was seen and how to trust it.
    #[error(transparent)]
    Untrusted(UntrustedCertificate),
    /// The server could not be reached, or the connection broke.
    #[error("the connection failed")]
    Connection(#[source] reqwest::Error),
    /// The server did not answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The server, or something in front of it, answered with an HTTP error.
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
    /// The server refused the call.
    #[error(transparent)]
    Fault(Fault),
    /// The answer cannot be understood.
    #[error("the answer cannot be read")]
    Decode(#[source] XmlError),
    /// The session in which this was begun has ended; it must be begun anew.
    #[error("the session has ended")]
    SessionEnded,
    /// The answer lacks something that every server of this kind sends.
    #[error("the answer lacks {0}")]
    Missing(&'static str),
    /// The server is not one that this client can work with.
    #[error("{0}")]
    Unsupported(String),
    /// The client was closed.
    #[error("the client has been closed")]
    Closed,
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made: {0}")]
    Setup(String),
}

impl Error {
    pub(crate) fn new(operation: &'static str, server: &Arc<str>, kind: ErrorKind) -> Self {
        Self { operation, server: server.clone(), kind: Arc::new(kind) }
    }

    /// Name of the call that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// The fault, if the server refused the call.
    #[must_use]
    pub fn fault(&self) -> Option<&FaultKind> {
        match &*self.kind {
            ErrorKind::Fault(fault) => Some(&fault.kind),
            _ => None,
        }
    }

    /// Whether the server refused the user name or password. Trying again soon can lock the account.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        matches!(self.fault(), Some(FaultKind::InvalidLogin | FaultKind::NoPermission { .. }))
            && self.operation == "Login"
    }

    /// Whether the answer lacks something that it should have.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&*self.kind, ErrorKind::Missing(_))
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn line(&self) -> String {
        chain(self)
    }
}

impl Classify for Error {
    fn classify(&self) -> Verdict {
        let transient = match &*self.kind {
            ErrorKind::Connection(_) | ErrorKind::TimedOut(_) | ErrorKind::SessionEnded => true,
            ErrorKind::Status(status) => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            ErrorKind::Decode(error) => error.is_incomplete(),
            ErrorKind::Fault(fault) => fault.is_transient(),
            ErrorKind::Untrusted(_)
            | ErrorKind::Missing(_)
            | ErrorKind::Unsupported(_)
            | ErrorKind::Closed
            | ErrorKind::Setup(_) => false,
        };
        if transient { Verdict::Transient { retry_after: None } } else { Verdict::Permanent }
    }
}

/// An error and its causes in one line, each said once.
#[must_use]
pub fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        // Some libraries repeat their cause in their own message.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = next.source();
    }
    line
}
