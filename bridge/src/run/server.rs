//! Health, readiness and metrics over HTTP.
//!
//! The server is for this machine, and is bounded all the same: so many connections, so long for a request's headers, no
//! bodies. A connection beyond the bound waits in the listener's queue; nothing here can make the fleet wait.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Connections at the same time.
const MOST_CONNECTIONS: usize = 64;
/// Time for the headers of a request.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// How long an answer in progress may still take when the server stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause after a connection could not be accepted, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the server tells.
pub(super) trait Answers: Send + Sync + 'static {
    /// Whether the process does its work. The text is for people.
    ///
    /// # Errors
    /// With the reason, if it does not.
    fn health(&self) -> Result<(), String>;
    /// Whether the service can be relied on, and the state of each source as JSON.
    fn readiness(&self) -> (bool, serde_json::Value);
    /// The metrics, as text.
    fn metrics(&self) -> String;
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    tracker: TaskTracker,
    stop: CancellationToken,
    _guard: DropGuard,
}

impl Server {
    /// Listens on `address` and answers from now on.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub(super) async fn start(address: SocketAddr, answers: Arc<dyn Answers>) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        tracker.spawn(accept(listener, routes(answers), tracker.clone(), stop.clone()));
        tracker.close();
        Ok(Self { address, tracker, _guard: stop.clone().drop_guard(), stop })
    }

    /// Where it listens; with the port that was chosen if port 0 was asked for.
    #[must_use]
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and waits a moment for answers in progress.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        // What takes longer is dropped with the runtime.
        let _ = tokio::time::timeout(FAREWELL, self.tracker.wait()).await;
    }
}

fn routes(answers: Arc<dyn Answers>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .with_state(answers)
}

async fn health(State(answers): State<Arc<dyn Answers>>) -> Response {
    match answers.health() {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn readiness(State(answers): State<Arc<dyn Answers>>) -> Response {
    let (ready, state) = answers.readiness();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(state)).into_response()
}

async fn metrics(State(answers): State<Arc<dyn Answers>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], answers.metrics()).into_response()
}

async fn accept(listener: TcpListener, routes: Router, tracker: TaskTracker, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let next = async {
            // Never closed.
            let permit = room.clone().acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            next = next => next,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let (routes, stop) = (routes.clone(), stop.clone());
                tracker.spawn(async move {
                    let _permit = permit;
                    serve(stream, routes, stop).await;
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection to the health page could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, routes: Router, stop: CancellationToken) {
    let service = TowerToHyperService::new(routes);
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_headers(64);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let end = tokio::select! {
        end = connection.as_mut() => end,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = end {
        tracing::trace!(%error, "a connection to the health page broke");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    struct Fixed {
        healthy: bool,
        ready: bool,
    }

    impl Answers for Fixed {
        fn health(&self) -> Result<(), String> {
            if self.healthy { Ok(()) } else { Err("the loop `fleet` hangs".into()) }
        }
        fn readiness(&self) -> (bool, serde_json::Value) {
            (self.ready, serde_json::json!({ "ready": self.ready }))
        }
        fn metrics(&self) -> String {
            "vmbridge_ready 1\n".into()
        }
    }

    async fn start(healthy: bool, ready: bool) -> Server {
        Server::start("127.0.0.1:0".parse().unwrap(), Arc::new(Fixed { healthy, ready })).await.unwrap()
    }

    async fn ask(server: &Server, request: &str) -> String {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        stream
            .write_all(format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn answers_by_status_and_body() {
        let good = start(true, true).await;
        let bad = start(false, false).await;
        let healthy = ask(&good, "GET /healthz").await;
        assert!(healthy.starts_with("HTTP/1.1 200 ") && healthy.ends_with("\r\n\r\nok\n"), "{healthy}");
        let hangs = ask(&bad, "GET /healthz").await;
        assert!(hangs.starts_with("HTTP/1.1 503 ") && hangs.ends_with("the loop `fleet` hangs\n"), "{hangs}");
        let ready = ask(&good, "GET /readyz").await;
        assert!(ready.starts_with("HTTP/1.1 200 ") && ready.ends_with(r#"{"ready":true}"#), "{ready}");
        assert!(ask(&bad, "GET /readyz").await.starts_with("HTTP/1.1 503 "));
        let metrics = ask(&good, "GET /metrics").await;
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.ends_with("vmbridge_ready 1\n"));
        assert!(ask(&good, "GET /other").await.starts_with("HTTP/1.1 404 "));
        assert!(ask(&good, "POST /healthz").await.starts_with("HTTP/1.1 405 "));
        good.stop().await;
        bad.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_neither_blocks_others_nor_the_end() {
        let server = start(true, true).await;
        let mut silent = Vec::new();
        for _ in 0..10 {
            silent.push(TcpStream::connect(server.address()).await.unwrap());
        }
        assert!(ask(&server, "GET /healthz").await.starts_with("HTTP/1.1 200 "));
        let address = server.address();
        tokio::time::timeout(FAREWELL * 3, server.stop()).await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_address_in_use_is_refused() {
        let server = start(true, true).await;
        let answers = Arc::new(Fixed { healthy: true, ready: true });
        let error = Server::start(server.address(), answers).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
