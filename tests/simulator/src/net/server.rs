//! Accepting connections and speaking HTTP/1.1 on them.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::vcenter::lock;

use super::{Body, Reply, Request};

/// Requests larger than this are refused.
const MAX_BODY: usize = 8 << 20;
/// How long bytes get to leave before a connection is broken in the middle of an answer.
const BEFORE_BREAK: Duration = Duration::from_millis(50);

/// What answers requests.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>>;
}

/// All connections of a server, so that they can be broken at once.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    current: Mutex<CancellationToken>,
}

impl Connections {
    /// Breaks every connection that exists now.
    pub(crate) fn break_all(&self) {
        let mut current = lock(&self.current);
        current.cancel();
        *current = CancellationToken::new();
    }

    fn token(&self) -> CancellationToken {
        lock(&self.current).child_token()
    }
}

/// Something under HTTP that can be told to reset instead of saying goodbye.
trait Breakable {
    fn reset_on_drop(&self);
}

impl Breakable for TcpStream {
    fn reset_on_drop(&self) {
        // Fails only on a socket that is gone already.
        let _ = self.set_zero_linger();
    }
}

impl Breakable for TlsStream<TcpStream> {
    fn reset_on_drop(&self) {
        self.get_ref().0.reset_on_drop();
    }
}

/// Serves until `stop`: HTTPS with `tls`, else plain HTTP.
pub(crate) async fn serve<H: Handler>(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    handler: Arc<H>,
    connections: Arc<Connections>,
    stop: CancellationToken,
) {
    let acceptor = tls.map(TlsAcceptor::from);
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others may close some.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&handler);
        let acceptor = acceptor.clone();
        let broken = connections.token();
        let stop = stop.clone();
        tokio::spawn(async move {
            match acceptor {
                Some(acceptor) => {
                    let handshake = tokio::time::timeout(Duration::from_secs(10), acceptor.accept(stream));
                    match handshake.await {
                        Ok(Ok(stream)) => connection(stream, handler, broken, stop).await,
                        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                        Err(_) => tracing::debug!("TLS handshake took too long"),
                    }
                }
                None => connection(stream, handler, broken, stop).await,
            }
        });
    }
}

async fn connection<S, H>(stream: S, handler: Arc<H>, broken: CancellationToken, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Breakable + Unpin + Send + 'static,
    H: Handler,
{
    let abort = CancellationToken::new();
    let inner_abort = abort.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let handler = Arc::clone(&handler);
        let abort = inner_abort.clone();
        async move {
            let reply = match read(request).await {
                Ok(request) => handler.handle(request).await,
                Err(reply) => reply,
            };
            Ok::<_, Infallible>(respond(reply, abort).await)
        }
    });
    let mut http =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        result = &mut http => {
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended");
            }
            return;
        }
        () = abort.cancelled() => {
            // Let what was written leave; nothing else will.
            let _ = tokio::time::timeout(BEFORE_BREAK, &mut http).await;
        }
        () = broken.cancelled() => {}
        () = stop.cancelled() => {}
    }
    http.into_parts().io.into_inner().reset_on_drop();
}

async fn respond(mut reply: Reply, abort: CancellationToken) -> hyper::Response<Body> {
    if reply.reset {
        abort.cancel();
        std::future::pending::<()>().await;
    }
    let mut response = hyper::Response::builder().status(reply.status);
    for (name, value) in std::mem::take(&mut reply.headers) {
        response = response.header(name, value);
    }
    if let Some(declared) = reply.declared {
        response = response.header("content-length", declared);
    }
    response.body(Body::new(reply, abort.clone())).unwrap_or_else(|error| {
        tracing::error!(%error, "an answer could not be built");
        hyper::Response::new(Body::new(Reply::empty(500), abort))
    })
}

async fn read(request: hyper::Request<Incoming>) -> Result<Request, Reply> {
    let (head, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
        let Ok(frame) = frame else { return Err(Reply::empty(400)) };
        if let Ok(data) = frame.into_data() {
            if body.len() + data.len() > MAX_BODY {
                return Err(Reply::empty(413));
            }
            body.extend_from_slice(&data);
        }
    }
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
    })
}
