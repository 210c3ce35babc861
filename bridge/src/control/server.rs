//! Serving the control socket.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answer, Desk, Refusal, Request, SOCKET};

/// Connections at the same time; more wait in the listener's queue.
const MOST_CONNECTIONS: usize = 16;
/// The longest request.
const LONGEST_REQUEST: u64 = 64 << 10;
/// Time for a request to arrive.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Time for an answer to be taken.
const ANSWER_TIME: Duration = Duration::from_secs(60);
/// Pause after a connection could not be accepted, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A served socket.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: CancellationToken,
    accepting: JoinHandle<()>,
    tracker: TaskTracker,
}

impl Server {
    /// Serves the socket of this state directory. The caller has the lock on it, so that what is there is left over.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(directory: &Path, desk: Desk) -> io::Result<Self> {
        let path = directory.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        // The directory is closed to others as well; and who connects is asked who they are.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let accepting = tokio::spawn(accept(listener, Arc::new(desk), tracker.clone(), stop.clone()));
        Ok(Self { path, stop, accepting, tracker })
    }

    /// Stops, and removes the socket. What was being answered is cut off.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        let _ = self.accepting.await;
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the control socket is left behind");
        }
    }
}

async fn accept(listener: UnixListener, desk: Arc<Desk>, tracker: TaskTracker, stop: CancellationToken) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let us = rustix::process::geteuid().as_raw();
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
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "a connection to the control socket could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let trusted = stream.peer_cred().is_ok_and(|peer| peer.uid() == us || peer.uid() == 0);
        if !trusted {
            tracing::warn!("another user tried the control socket");
            continue;
        }
        let (desk, stop) = (desk.clone(), stop.clone());
        tracker.spawn(async move {
            let _permit = permit;
            tokio::select! {
                served = serve(stream, &desk) => {
                    if let Err(error) = served {
                        tracing::debug!(%error, "a connection to the control socket broke");
                    }
                }
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn serve(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(LONGEST_REQUEST));
    tokio::time::timeout(REQUEST_TIME, read.read_until(b'\n', &mut line)).await??;
    if line.is_empty() {
        // Somebody only looked whether we are there.
        return Ok(());
    }
    let answer = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => {
            let mut gone = [0; 1];
            let mut rest = read.into_inner().into_inner();
            tokio::select! {
                answer = desk.answer(request) => answer,
                // Nobody waits for it any more. What a person decided is written down before it is answered.
                _ = rest.read(&mut gone) => return Ok(()),
            }
        }
        Err(error) => Err(Refusal(format!("the request cannot be understood: {error}"))),
    };
    let answer = match answer {
        Ok(value) => Answer::Done(value),
        Err(refusal) => Answer::Refused(refusal),
    };
    let text = serde_json::to_vec(&answer)?;
    tokio::time::timeout(ANSWER_TIME, async {
        write.write_all(&text).await?;
        write.shutdown().await
    })
    .await?
}
