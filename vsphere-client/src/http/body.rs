//! Bodies of bounded size.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// It is larger than it may be.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Nothing arrived for too long.
    #[error("the answer stopped arriving for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The connection broke.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
}

/// The whole body of `response`, if it has at most `most` bytes and keeps arriving.
///
/// # Errors
/// When it is larger, stalls or breaks off.
pub async fn read_limited(
    mut response: reqwest::Response,
    most: usize,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    let mut body = BytesMut::new();
    loop {
        match tokio::time::timeout(patience, response.chunk()).await {
            Ok(Ok(Some(piece))) if body.len() + piece.len() > most => return Err(BodyError::TooLarge(most)),
            Ok(Ok(Some(piece))) => body.extend_from_slice(&piece),
            Ok(Ok(None)) => return Ok(body.freeze()),
            Ok(Err(error)) => return Err(BodyError::Broken(error.without_url())),
            Err(_) => return Err(BodyError::Stalled(patience)),
        }
    }
}
