//! One HTTP call to something that listens on loopback: control endpoints, health pages.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Status and body of an answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: String,
}

/// Calls `method path` at `authority` (`127.0.0.1:1234`), with a body if there is one.
///
/// # Errors
/// When there is no answer within ten seconds.
pub async fn call(authority: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
    let exchange = async {
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(authority).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8(answer)?)
    };
    let answer = tokio::time::timeout(Duration::from_secs(10), exchange)
        .await
        .with_context(|| format!("{method} {path} at {authority} was not answered"))??;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without headers")?;
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an answer without status")?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body)? } else { body.to_owned() };
    Ok(Answer { status, body })
}

fn unchunked(mut body: &str) -> Result<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n").context("a chunk without size")?;
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(whole);
        }
        whole.push_str(rest.get(..size).context("a chunk that is cut off")?);
        body = rest.get(size..).and_then(|rest| rest.strip_prefix("\r\n")).context("a chunk without end")?;
    }
}

/// The same, for a call that has to succeed and answers JSON.
///
/// # Errors
/// When it does not.
pub async fn json(url: &str, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let answer = call(authority, method, path, body).await?;
    if !(200..300).contains(&answer.status) {
        bail!("{method} {path} at {url}: status {}: {}", answer.status, answer.body);
    }
    serde_json::from_str(&answer.body).with_context(|| format!("{method} {path}: {}", answer.body))
}
