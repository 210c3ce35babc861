//! How a call of a JSON API fails.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::BodyError;
use crate::retry::{Classify, Verdict};
use crate::tls::{UntrustedCertificate, untrusted_certificate};

/// A failed call of a JSON API: which one, at which server, and why (the [`source`](std::error::Error::source), see
/// [`CallErrorKind`]).
///
/// Cheap to clone, because one failure is often reported to several waiting callers. Holds no secrets: those that were sent
/// are struck out of what the server says, and values of the answer are never repeated.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{operation} at {server}")]
pub struct CallError {
    operation: Arc<str>,
    server: Arc<str>,
    #[source]
    kind: Arc<CallErrorKind>,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// The server's certificate is not trusted. Says which one was seen and how to trust it.
    #[error(transparent)]
    Untrusted(UntrustedCertificate),
    /// No connection could be made: wrong name or port, nothing listening, TLS failed, or not in time.
    #[error("no connection could be made")]
    Connect(#[source] reqwest::Error),
    /// The connection broke before the whole answer was there.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
    /// The server did not answer in time.
    #[error("no complete answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer is larger than such an answer can sensibly be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The answer is not what such a server sends.
    #[error("the answer cannot be understood: {reason}")]
    Unreadable {
        /// In what way.
        reason: String,
        /// Whether it looks as if the end were missing.
        incomplete: bool,
    },
    /// The server, or something in front of it, refused the call.
    #[error("the server answered with HTTP status {status}{message}")]
    Status {
        /// HTTP status.
        status: u16,
        /// What the server says about it.
        message: ServerMessage,
        /// When the server said so, how long to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The server refused the user, the password, the token or the app's secret. Trying again soon can lock the account.
    #[error("the server refused the credentials{0}")]
    LoginRefused(ServerMessage),
    /// The session in which the call was made has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The client was closed.
    #[error("the client has been closed")]
    Closed,
    /// The call could not even be put together.
    #[error("the request cannot be made")]
    Request(#[source] reqwest::Error),
    /// The address cannot be called.
    #[error("the address {0} cannot be called")]
    Address(String),
}

/// What a server says about a refusal, shortened and without the secrets that were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerMessage {
    /// The kind of error by the server's own name, such as `UNAUTHENTICATED`.
    pub code: Option<String>,
    /// The sentence for people.
    pub text: Option<String>,
    /// Ids of the messages, such as `com.vmware.vapi.rest.httpNotFound`.
    pub ids: Vec<String>,
}

impl fmt::Display for ServerMessage {
    /// Continues a sentence: empty, or begins with a colon.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.text) {
            (Some(code), Some(text)) => write!(f, ": {text} ({code})"),
            (Some(only), None) | (None, Some(only)) => write!(f, ": {only}"),
            (None, None) => Ok(()),
        }
    }
}

impl CallError {
    pub(crate) fn new(operation: &Arc<str>, server: &Arc<str>, kind: CallErrorKind) -> Self {
        Self { operation: operation.clone(), server: server.clone(), kind: Arc::new(kind) }
    }

    /// The call that failed, such as `GET /api/cis/tagging/tag`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The server, as host and port.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> &CallErrorKind {
        &self.kind
    }

    /// The HTTP status, if the server refused the call with one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match &*self.kind {
            CallErrorKind::Status { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Whether the server refused the credentials. Trying again soon can lock the account.
    #[must_use]
    pub fn is_login_refused(&self) -> bool {
        matches!(&*self.kind, CallErrorKind::LoginRefused(_))
    }

    /// Whether the server knows the caller and does not permit the call.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        match &*self.kind {
            CallErrorKind::Status { status, message, .. } => {
                *status == 403
                    || message.code.as_deref().is_some_and(|code| code.eq_ignore_ascii_case("unauthorized"))
            }
            _ => false,
        }
    }

    /// Whether the thing that was asked for is not there (any more).
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The certificate that was refused, if that is why.
    #[must_use]
    pub fn untrusted(&self) -> Option<&UntrustedCertificate> {
        match &*self.kind {
            CallErrorKind::Untrusted(untrusted) => Some(untrusted),
            _ => None,
        }
    }

    /// The error and its causes in one line.
    #[must_use]
    pub fn line(&self) -> String {
        crate::error::chain(self)
    }
}

impl From<reqwest::Error> for CallErrorKind {
    fn from(error: reqwest::Error) -> Self {
        if let Some(untrusted) = untrusted_certificate(&error) {
            return Self::Untrusted(untrusted.clone());
        }
        // The URL is told by the operation and the server.
        let error = error.without_url();
        if error.is_builder() {
            Self::Request(error)
        } else if error.is_connect() {
            Self::Connect(error)
        } else {
            Self::Broken(error)
        }
    }
}

impl From<BodyError> for CallErrorKind {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(most) => Self::TooLarge(most),
            BodyError::Stalled(patience) => Self::TimedOut(patience),
            BodyError::Broken(error) => Self::from(error),
        }
    }
}

impl Classify for CallError {
    fn classify(&self) -> Verdict {
        let passing = Verdict::Transient { retry_after: None };
        match &*self.kind {
            CallErrorKind::Connect(_)
            | CallErrorKind::Broken(_)
            | CallErrorKind::TimedOut(_)
            | CallErrorKind::SessionEnded
            | CallErrorKind::Unreadable { incomplete: true, .. } => passing,
            CallErrorKind::Status {
                status: 408 | 425 | 429 | 500 | 502 | 503 | 504, retry_after, ..
            } => Verdict::Transient { retry_after: *retry_after },
            CallErrorKind::Untrusted(_)
            | CallErrorKind::TooLarge(_)
            | CallErrorKind::Unreadable { .. }
            | CallErrorKind::Status { .. }
            | CallErrorKind::LoginRefused(_)
            | CallErrorKind::Closed
            | CallErrorKind::Request(_)
            | CallErrorKind::Address(_) => Verdict::Permanent,
        }
    }
}
