//! An error of a service, before it is written in the form of a protocol.

use serde_json::{Map, Value};

/// What goes wrong for a caller.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Error {
    pub(crate) status: u16,
    /// `__type`, `X-Amzn-ErrorType` or `<Code>`.
    pub(crate) code: String,
    /// Left out of the answer when empty: some errors have no member for it.
    pub(crate) message: String,
    /// Other members of the error's shape. `Message`, when there, is where the message goes.
    pub(crate) members: Map<String, Value>,
}

impl Error {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), members: Map::new() }
    }

    /// An error of the caller's making, status 400.
    pub(crate) fn bad(code: &str, message: impl Into<String>) -> Self {
        Self::new(400, code, message)
    }
}
