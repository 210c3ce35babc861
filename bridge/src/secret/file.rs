//! Secrets in files.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use secrecy::SecretString;
use secrecy::zeroize::Zeroize;
use tokio::io::AsyncReadExt;

use super::{Failure, LARGEST};

/// Who may write to a file besides its owner: group and others.
const FOREIGN_WRITE: u32 = 0o022;
const WORLD_READ: u32 = 0o004;

/// Reads a secret from a file, without the newline that editors put at the end.
///
/// A file that others may write is refused: whoever can write it decides with which account vmbridge logs in. A file
/// that everybody may read is only warned about: in containers secrets are often mounted so, and refusing would not take
/// back what was already read.
pub(super) async fn read(setting: &str, path: &Path) -> Result<SecretString, Failure> {
    let unreadable = |error: std::io::Error| Failure::because("it cannot be opened", error);
    // Before it is opened: opening a pipe waits for somebody to write into it.
    if !tokio::fs::metadata(path).await.map_err(unreadable)?.is_file() {
        return Err(Failure::new("it is not a regular file"));
    }
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    // Asked of the open file, so that it cannot be exchanged in between.
    let metadata = file.metadata().await.map_err(unreadable)?;
    let mode = metadata.permissions().mode();
    if mode & FOREIGN_WRITE != 0 {
        return Err(Failure::new(format!(
            "others than its owner may write it (mode {:04o}); run: chmod go-w {}",
            mode & 0o7777,
            path.display()
        )));
    }
    if mode & WORLD_READ != 0 {
        tracing::warn!(setting, path = %path.display(), "every user of this machine can read this secret; chmod o-r takes that away");
    }
    let mut bytes = Vec::with_capacity(256);
    let limit = LARGEST as u64 + 2;
    if let Err(error) = file.take(limit).read_to_end(&mut bytes).await {
        bytes.zeroize();
        return Err(Failure::because("it cannot be read", error));
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(error) => {
            // The error would carry the bytes along.
            error.into_bytes().zeroize();
            Err(Failure::new("it is not UTF-8 text"))
        }
    }
}
