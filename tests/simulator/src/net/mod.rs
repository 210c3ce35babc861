//! HTTP over TLS, with control over every byte that leaves: faults need to cut answers anywhere.

mod reply;
pub(crate) mod server;
pub(crate) mod tls;

use hyper::HeaderMap;

pub(crate) use self::reply::{Body, Reply, Step};

/// A request that has arrived whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header that is readable text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// User and password of HTTP basic authentication.
    pub(crate) fn basic_auth(&self) -> Option<(String, String)> {
        use base64::Engine as _;
        let encoded = self.header("authorization")?.strip_prefix("Basic ")?;
        let plain = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
        let (user, password) =
            String::from_utf8(plain).ok()?.split_once(':').map(|(u, p)| (u.to_owned(), p.to_owned()))?;
        Some((user, password))
    }

    /// The parameters of the query, or of a form.
    pub(crate) fn parameters(text: &str) -> impl Iterator<Item = (String, String)> {
        text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
    }

    /// A parameter of the query.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        Self::parameters(&self.query).find(|(n, _)| n == name).map(|(_, v)| v)
    }
}

/// Undoes percent encoding.
pub(crate) fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
