//! Asking a daemon.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::{Answer, Refusal, Request, SOCKET};

/// The longest answer: a plan of tens of thousands of VMs has tens of megabytes.
const LONGEST_ANSWER: u64 = 1 << 30;

/// A daemon that can be asked.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The daemon says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The socket cannot be used.
    #[error("the daemon cannot be asked over {path}: {source}")]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It said something that this version does not understand.
    #[error("the daemon's answer cannot be understood ({0}); is it of another version? `vmbridge version`")]
    Answer(String),
}

impl Client {
    /// The daemon that uses this state directory, if one runs.
    ///
    /// # Errors
    /// When there is one and it cannot be asked, for example because it belongs to another user.
    pub async fn reach(directory: &Path) -> Result<Option<Self>, ClientError> {
        let path = directory.join(SOCKET);
        match UnixStream::connect(&path).await {
            Ok(_) => Ok(Some(Self { path })),
            // The second is what a daemon leaves behind that was killed.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(source) => Err(ClientError::Socket { path, source }),
        }
    }

    /// Asks, and waits for the answer for as long as it takes.
    ///
    /// # Errors
    /// When it is refused, or there is no answer.
    pub async fn ask<T: DeserializeOwned>(&self, request: &Request) -> Result<T, ClientError> {
        let text = self
            .exchange(request)
            .await
            .map_err(|source| ClientError::Socket { path: self.path.clone(), source })?;
        let not_understood = |error: serde_json::Error| ClientError::Answer(error.to_string());
        match serde_json::from_slice(&text).map_err(not_understood)? {
            Answer::Done(value) => serde_json::from_value(value).map_err(not_understood),
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn exchange(&self, request: &Request) -> io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.path).await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut text = Vec::new();
        stream.take(LONGEST_ANSWER).read_to_end(&mut text).await?;
        if text.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended without an answer"));
        }
        Ok(text)
    }
}
