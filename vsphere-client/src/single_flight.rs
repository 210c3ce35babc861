//! One session for all callers: made once however many want it, by whoever comes first.
//!
//! Three things go wrong with sessions when nobody looks, and this module exists so that they cannot. Each caller logs in by
//! itself, and the server runs out of sessions; or each retries a wrong password, and the account is locked; or a caller gives
//! up while its log-in is under way, and a session is made that nobody knows of and nobody ends.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

/// Which of the sessions made one after the other is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// Holds the session that all callers share.
#[derive(Debug)]
pub(crate) struct SessionCell<S, E> {
    state: Arc<Mutex<State<S, E>>>,
    /// Counts finished log-ins, so that a caller who waited for one knows that its outcome is meant for it too.
    finished: Arc<std::sync::atomic::AtomicU64>,
    expired: Arc<std::sync::atomic::AtomicU64>,
}

#[derive(Debug)]
struct State<S, E> {
    session: Option<S>,
    generation: u64,
    failure: Option<E>,
    closed: bool,
}

impl<S: Clone + Send + 'static, E: Clone + Send + 'static> SessionCell<S, E> {
    pub(crate) fn new() -> Self {
        let state = State { session: None, generation: 0, failure: None, closed: false };
        Self { state: Arc::new(Mutex::new(state)), finished: Arc::default(), expired: Arc::default() }
    }

    /// The session, made by `login` if there is none.
    ///
    /// Whoever comes while a log-in is under way gets its outcome, also when that is a failure. The log-in goes on when its
    /// caller gives up. Fails with nothing when the cell is closed.
    pub(crate) async fn get_or_login(
        &self,
        login: impl FnOnce() -> BoxFuture<'static, Result<S, E>>,
    ) -> Result<(Generation, S), Option<E>> {
        use std::sync::atomic::Ordering::SeqCst;
        let finished_before = self.finished.load(SeqCst);
        let mut state = self.state.clone().lock_owned().await;
        if state.closed {
            return Err(None);
        }
        if state.generation <= self.expired.load(SeqCst) {
            state.session = None;
        }
        if let Some(session) = &state.session {
            return Ok((Generation(state.generation), session.clone()));
        }
        if let (Some(failure), true) = (&state.failure, self.finished.load(SeqCst) != finished_before) {
            return Err(Some(failure.clone()));
        }
        let login = login();
        let finished = self.finished.clone();
        // In a task of its own, so that it ends and is remembered even when this caller is dropped.
        let task = tokio::spawn(async move {
            let outcome = login.await;
            state.generation += 1;
            state.session = outcome.as_ref().ok().cloned();
            state.failure = outcome.as_ref().err().cloned();
            finished.fetch_add(1, SeqCst);
            outcome.map(|session| (Generation(state.generation), session)).map_err(Some)
        });
        // A log-in does not panic; when the runtime ends, the cell is as good as closed.
        task.await.unwrap_or(Err(None))
    }

    /// The session of this generation, and none made later, has ended.
    pub(crate) fn expire(&self, generation: Generation) {
        self.expired.fetch_max(generation.0, std::sync::atomic::Ordering::SeqCst);
    }

    /// Lets nobody log in any more and hands over the session to be ended. Waits for a log-in that is under way.
    pub(crate) async fn close(&self) -> Option<S> {
        let mut state = self.state.lock().await;
        state.closed = true;
        let expired = state.generation <= self.expired.load(std::sync::atomic::Ordering::SeqCst);
        state.session.take().filter(|_| !expired)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    type Cell = SessionCell<u32, &'static str>;

    #[derive(Clone, Default)]
    struct Server(Arc<AtomicU32>);

    impl Server {
        fn login(
            &self,
            works: bool,
        ) -> impl FnOnce() -> BoxFuture<'static, Result<u32, &'static str>> + use<> {
            let logins = self.0.clone();
            move || {
                Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let count = logins.fetch_add(1, Ordering::SeqCst) + 1;
                    if works { Ok(count) } else { Err("refused") }
                })
            }
        }
        fn logins(&self) -> u32 {
            self.0.load(Ordering::SeqCst)
        }
    }

    async fn all_at_once(
        cell: &Arc<Cell>,
        server: &Server,
        works: bool,
    ) -> Vec<Result<u32, Option<&'static str>>> {
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (cell, login) = (cell.clone(), server.login(works));
                tokio::spawn(async move { cell.get_or_login(login).await.map(|(_, session)| session) })
            })
            .collect();
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        outcomes
    }

    #[tokio::test(start_paused = true)]
    async fn many_callers_make_one_session_and_share_one_failure() {
        let (cell, server) = (Arc::new(Cell::new()), Server::default());
        assert!(all_at_once(&cell, &server, false).await.iter().all(|o| *o == Err(Some("refused"))));
        assert_eq!(server.logins(), 1, "a wrong password is tried once, not fifty times");
        assert!(all_at_once(&cell, &server, true).await.iter().all(|o| *o == Ok(2)));
        assert_eq!(server.logins(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_session_is_replaced_once_and_a_late_report_changes_nothing() {
        let (cell, server) = (Arc::new(Cell::new()), Server::default());
        let (first, _) = cell.get_or_login(server.login(true)).await.unwrap();
        cell.expire(first);
        assert!(all_at_once(&cell, &server, true).await.iter().all(|o| *o == Ok(2)));
        cell.expire(first);
        assert_eq!(cell.get_or_login(server.login(true)).await.unwrap().1, 2);
        assert_eq!(server.logins(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_gives_up_leaves_no_unknown_session() {
        let (cell, server) = (Arc::new(Cell::new()), Server::default());
        let gave_up =
            tokio::time::timeout(Duration::from_millis(10), cell.get_or_login(server.login(true))).await;
        assert!(gave_up.is_err());
        assert_eq!(cell.close().await, Some(1), "the session that was being made is there to be ended");
        assert_eq!(cell.get_or_login(server.login(true)).await, Err(None));
        assert_eq!((server.logins(), cell.close().await), (1, None));
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_session_needs_no_end() {
        let (cell, server) = (Arc::new(Cell::new()), Server::default());
        let (generation, _) = cell.get_or_login(server.login(true)).await.unwrap();
        cell.expire(generation);
        assert_eq!(cell.close().await, None);
    }
}
