//! One SOAP call at a time: request out, answer decoded while it arrives.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use url::Url;

use super::envelope;
use super::{ApiVersion, Fault, FaultKind, ServiceVersions, decode_envelope};
use crate::error::{Error, ErrorKind};
use crate::tls::untrusted_certificate;
use crate::xml::{Body, Decoder, Element, Limits, XmlError, XmlErrorKind};

/// Answers up to this size are decoded where they arrive; a longer one gets a thread, so that decoding it neither holds up the
/// runtime nor waits for the last byte.
const INLINE: usize = 64 << 10;

/// The session cookie's name.
const SESSION_COOKIE: &str = "vmware_soap_session";

/// A decoded answer, and the session cookie if the server set one with it.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) value: T,
    pub(crate) cookie: Option<Arc<str>>,
}

/// Sends SOAP requests to one server. Knows nothing of sessions but the cookie it is told to send.
#[derive(Debug, Clone)]
pub(crate) struct SoapClient {
    http: reqwest::Client,
    url: Url,
    server: Arc<str>,
    limits: Limits,
    /// Longest time without a byte from the server, beyond what it was asked to wait.
    patience: Duration,
}

impl SoapClient {
    /// A client for the server at `base` (`https://vcenter.example.com`).
    pub(crate) fn new(http: reqwest::Client, base: &Url, limits: Limits, patience: Duration) -> Self {
        let mut url = base.clone();
        url.set_path("/sdk");
        let server = match (base.host_str(), base.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => base.to_string(),
        };
        Self { http, url, server: server.into(), limits, patience }
    }

    pub(crate) fn server(&self) -> &Arc<str> {
        &self.server
    }

    pub(crate) fn error(&self, operation: &'static str, kind: ErrorKind) -> Error {
        Error::new(operation, &self.server, kind)
    }

    /// The client that requests are sent with. It keeps no cookies: whoever uses it shows no session.
    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Asks which versions of the API the server speaks.
    pub(crate) async fn versions(&self) -> Result<ServiceVersions, Error> {
        const OPERATION: &str = "GET /sdk/vimServiceVersions.xml";
        let fail = |kind| self.error(OPERATION, kind);
        let mut url = self.url.clone();
        url.set_path("/sdk/vimServiceVersions.xml");
        let response = self.in_time(self.http.get(url).send()).await.map_err(fail)?;
        if !response.status().is_success() {
            return Err(fail(ErrorKind::Status(response.status().as_u16())));
        }
        let mut pieces = Pieces { response, patience: self.patience };
        let (bytes, complete) = pieces.gather(1 << 20).await.map_err(fail)?;
        if !complete {
            let kind = XmlErrorKind::Limit("the size of one answer");
            return Err(fail(ErrorKind::Decode(XmlError { offset: bytes.len() as u64, kind })));
        }
        ServiceVersions::decode(bytes).map_err(|error| fail(ErrorKind::Decode(error)))
    }

    /// Calls `operation` with `request`, the element of that name, and decodes the answer with `read`.
    ///
    /// `wait` is how long the server may take on purpose before it answers. `read` gets the decoder inside the response
    /// element, and must use it up.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        operation: &'static Operation,
        version: ApiVersion,
        cookie: Option<&str>,
        request: Element,
        wait: Duration,
        read: impl FnOnce(&mut Decoder) -> Result<T, XmlError> + Send + 'static,
    ) -> Result<Answer<T>, Error> {
        let fail = |kind| self.error(operation.name, kind);
        let mut builder = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", format!("\"urn:vim25/{version}\""))
            .body(envelope::write(request));
        if let Some(cookie) = cookie {
            builder = builder.header(COOKIE, format!("{SESSION_COOKIE}={cookie}"));
        }
        let patience = self.patience + wait;
        let response = in_time(patience, builder.send()).await.map_err(fail)?;
        let status = response.status().as_u16();
        // A fault comes with status 500; everything else is not from the API but from something in front of it.
        if status != 200 && status != 500 {
            return Err(fail(ErrorKind::Status(status)));
        }
        let cookie = session_cookie(&response);
        let decoded = self.decode(response, operation.response, read).await.map_err(|kind| match kind {
            // A proxy's error page, not a broken answer of the API.
            ErrorKind::Decode(error) if status == 500 && !error.is_incomplete() => {
                fail(ErrorKind::Status(status))
            }
            kind => fail(kind),
        })?;
        match decoded {
            Ok(value) => Ok(Answer { value, cookie }),
            Err(Fault { kind: FaultKind::NotAuthenticated, .. }) => Err(fail(ErrorKind::SessionEnded)),
            Err(fault) => Err(fail(ErrorKind::Fault(fault))),
        }
    }

    async fn decode<T: Send + 'static>(
        &self,
        response: reqwest::Response,
        element: &'static str,
        read: impl FnOnce(&mut Decoder) -> Result<T, XmlError> + Send + 'static,
    ) -> Result<Result<T, Fault>, ErrorKind> {
        let mut pieces = Pieces { response, patience: self.patience };
        let (start, complete) = pieces.gather(INLINE).await?;
        if complete {
            let mut decoder = Decoder::new(Body::complete(start, self.limits));
            return decode_envelope(&mut decoder, element, read).map_err(ErrorKind::Decode);
        }
        let (body, feed) = Body::arriving(start, self.limits);
        let decoding =
            tokio::task::spawn_blocking(move || decode_envelope(&mut Decoder::new(body), element, read));
        let mut broken = None;
        loop {
            let piece = match pieces.next().await {
                Ok(Some(piece)) => Ok(piece),
                Ok(None) => break,
                Err(kind) => {
                    let message = crate::error::chain(&kind);
                    broken = Some(kind);
                    Err(io::Error::other(message))
                }
            };
            let last = piece.is_err();
            // When the decoder is gone it has failed, and says why below.
            if !feed.send(piece).await || last {
                break;
            }
        }
        drop(feed);
        match decoding.await {
            Ok(Ok(value)) => Ok(value),
            // The connection's own error says more than that the answer was incomplete.
            Ok(Err(error)) => {
                Err(broken.filter(|_| error.is_incomplete()).unwrap_or(ErrorKind::Decode(error)))
            }
            // The decoder does not panic, and nothing aborts it but the end of the runtime.
            Err(error) => Err(ErrorKind::Setup(error.to_string())),
        }
    }

    async fn in_time(
        &self,
        sending: impl Future<Output = reqwest::Result<reqwest::Response>>,
    ) -> Result<reqwest::Response, ErrorKind> {
        in_time(self.patience, sending).await
    }
}

/// A method's name, and the name of the element that answers it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) response: &'static str,
}

/// Names a method of the API.
macro_rules! operation {
    ($name:literal) => {{
        static OPERATION: $crate::soap::Operation =
            $crate::soap::Operation { name: $name, response: concat!($name, "Response") };
        &OPERATION
    }};
}
pub(crate) use operation;

async fn in_time<T>(
    patience: Duration,
    doing: impl Future<Output = reqwest::Result<T>>,
) -> Result<T, ErrorKind> {
    match tokio::time::timeout(patience, doing).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(connection_error(error)),
        Err(_) => Err(ErrorKind::TimedOut(patience)),
    }
}

fn connection_error(error: reqwest::Error) -> ErrorKind {
    match untrusted_certificate(&error) {
        Some(untrusted) => ErrorKind::Untrusted(untrusted.clone()),
        None => ErrorKind::Connection(error.without_url()),
    }
}

fn session_cookie(response: &reqwest::Response) -> Option<Arc<str>> {
    response.headers().get_all(SET_COOKIE).iter().find_map(|header| {
        let (name, value) = header.to_str().ok()?.split(';').next()?.split_once('=')?;
        (name.trim() == SESSION_COOKIE).then(|| value.trim().into())
    })
}

/// The pieces of a body, each within a time limit.
struct Pieces {
    response: reqwest::Response,
    patience: Duration,
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, ErrorKind> {
        in_time(self.patience, self.response.chunk()).await
    }

    /// The body up to about `most` bytes, and whether that was all.
    async fn gather(&mut self, most: usize) -> Result<(Bytes, bool), ErrorKind> {
        let mut gathered = BytesMut::new();
        while gathered.len() <= most {
            match self.next().await? {
                Some(piece) => gathered.extend_from_slice(&piece),
                None => return Ok((gathered.freeze(), true)),
            }
        }
        Ok((gathered.freeze(), false))
    }
}
