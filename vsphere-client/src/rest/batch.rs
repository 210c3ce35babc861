//! Reading about many things in few calls, although some of them may have gone.
//!
//! A vCenter may refuse a whole batch because of one object that was deleted a moment ago or that the user may not see. In a
//! large fleet that is always so for some object. So a refused batch is halved until what is refused is found and left out.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::RestError;

/// Refusals without a single good answer after which everything is taken to be refused.
const HOPELESS: usize = 64;
/// Refusals in all after which looking for the culprits costs more than it gives.
const TOO_MANY: usize = 2_000;

/// What is known over all batches.
#[derive(Default)]
struct Progress {
    answered: AtomicBool,
    refused: AtomicUsize,
    /// The first refusal for lack of permission.
    not_permitted: OnceLock<RestError>,
}

/// Asks about `items`, `size` at a time and `at_once` times at once, and gathers the answers, in the order of the items.
pub(super) async fn in_batches<'a, I, O, F>(
    items: &'a [I],
    size: usize,
    at_once: usize,
    ask: impl Fn(&'a [I]) -> F,
) -> Result<Vec<O>, RestError>
where
    F: Future<Output = Result<Vec<O>, RestError>>,
{
    let progress = Progress::default();
    // Gathered first: the compiler cannot see that a closure inside of a stream may cross threads.
    let batches: Vec<_> = items.chunks(size.max(1)).map(|batch| halving(batch, &progress, &ask)).collect();
    let answers: Vec<Vec<O>> = stream::iter(batches).buffered(at_once).try_collect().await?;
    if !progress.answered.load(Ordering::Relaxed)
        && let Some(error) = progress.not_permitted.into_inner()
    {
        return Err(error);
    }
    Ok(answers.into_iter().flatten().collect())
}

async fn halving<'a, I, O, F>(
    batch: &'a [I],
    progress: &Progress,
    ask: &impl Fn(&'a [I]) -> F,
) -> Result<Vec<O>, RestError>
where
    F: Future<Output = Result<Vec<O>, RestError>>,
{
    let mut found = Vec::new();
    let mut open = vec![batch];
    while let Some(part) = open.pop() {
        let error = match ask(part).await {
            Ok(answer) => {
                progress.answered.store(true, Ordering::Relaxed);
                found.extend(answer);
                continue;
            }
            Err(error) => error,
        };
        if !(error.is_not_found() || error.is_not_permitted()) {
            return Err(error);
        }
        let refused = progress.refused.fetch_add(1, Ordering::Relaxed) + 1;
        let hopeless = refused > HOPELESS && !progress.answered.load(Ordering::Relaxed);
        if hopeless || refused > TOO_MANY {
            return Err(error);
        }
        if part.len() > 1 {
            let (first, second) = part.split_at(part.len() / 2);
            open.extend([second, first]);
            continue;
        }
        tracing::debug!(error = error.line(), "left out");
        if error.is_not_permitted() {
            // Only the first one is kept.
            progress.not_permitted.set(error).ok();
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;
    use crate::http::{CallErrorKind, ServerMessage};

    fn refusal(status: u16) -> RestError {
        let kind = CallErrorKind::Status { status, message: ServerMessage::default(), retry_after: None };
        RestError::new(&Arc::from("POST /x"), &Arc::from("vc"), kind)
    }

    /// Asks for `0..count` in batches of 1,000 at a server that refuses batches with any of `bad` in it.
    async fn ask(count: u32, bad: impl Fn(u32) -> bool, status: u16) -> (u32, Result<Vec<u32>, RestError>) {
        let calls = AtomicU32::new(0);
        let items: Vec<u32> = (0..count).collect();
        let (calls_made, is_bad) = (&calls, &bad);
        let answer = in_batches(&items, 1000, 4, |batch: &[u32]| async move {
            calls_made.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            if batch.iter().any(|&item| is_bad(item)) { Err(refusal(status)) } else { Ok(batch.to_vec()) }
        })
        .await;
        (calls.into_inner(), answer)
    }

    #[tokio::test]
    async fn what_is_not_refused_is_answered_in_order_and_in_few_calls() {
        let (calls, all) = ask(45_000, |_| false, 403).await;
        assert_eq!((calls, all.unwrap()), (45, (0..45_000).collect::<Vec<_>>()));
        let (calls, rest) = ask(10_000, |item| item == 0 || item == 7_777, 403).await;
        let expected: Vec<_> = (1..10_000).filter(|&item| item != 7_777).collect();
        assert_eq!(rest.unwrap(), expected);
        assert!(calls < 55, "{calls}");
        // One at the very begin of every batch is the worst case for telling a few from all.
        let (_, rest) = ask(8_000, |item| item % 1000 == 0, 404).await;
        assert_eq!(rest.unwrap().len(), 7_992);
    }

    #[tokio::test]
    async fn when_everything_is_refused_that_is_said_soon() {
        let (calls, refused) = ask(45_000, |_| true, 403).await;
        assert!(refused.unwrap_err().is_not_permitted());
        assert!(calls <= 70, "{calls}");
        let (calls, refused) = ask(3, |_| true, 403).await;
        assert!(refused.unwrap_err().is_not_permitted());
        assert_eq!(calls, 5);
        assert_eq!(ask(1, |_| true, 404).await.1.unwrap(), [0; 0], "one that is gone is no failure");
        let (calls, nothing) = ask(0, |_| true, 404).await;
        assert_eq!((calls, nothing.unwrap()), (0, vec![]));
    }

    #[tokio::test]
    async fn other_failures_are_not_divided() {
        let (calls, failed) = ask(900, |_| true, 503).await;
        assert_eq!((calls, failed.unwrap_err().status()), (1, Some(503)));
    }
}
