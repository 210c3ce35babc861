//! Room for answers of Security Hub.
//!
//! The SDK knows the details of more than a hundred types of resources, each a type of its own, and holds all of them in one value. To
//! read one finding with details of a resource takes more than 8 MiB of stack in a build that is not optimised, and the
//! threads of the program have 2 MiB. What overflows a stack ends the process; so this one call runs in a thread with enough of
//! it. It is made seldom: AWS permits three in a second.

use std::io;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The size of the stack, in bytes. Only what is used of it takes memory.
const STACK: usize = 64 << 20;

/// Runs `work` in a thread with a deep stack, as a part of the runtime that this is called in. Whoever stops waiting for it stops it.
///
/// # Errors
/// When there can be no such thread, or it died.
pub(super) async fn on_deep_stack<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let runtime = Handle::current();
    let (mut tell, told) = oneshot::channel();
    std::thread::Builder::new().name("security-hub".to_owned()).stack_size(STACK).spawn(move || {
        let done = runtime.block_on(async {
            tokio::select! {
                biased;
                () = tell.closed() => None,
                done = work => Some(done),
            }
        });
        if let Some(done) = done {
            // Nobody may be waiting any more.
            let _ = tell.send(done);
        }
    })?;
    told.await.map_err(|_| io::Error::other("the thread that made the call died"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at least a mebibyte of stack for each step.
    fn deep(steps: usize) -> usize {
        let room = std::hint::black_box([1_u8; 1 << 20]);
        if steps == 0 { usize::from(room[0]) } else { deep(steps - 1) + usize::from(room[steps]) }
    }

    #[tokio::test]
    async fn there_is_room_where_other_threads_have_none() {
        assert_eq!(on_deep_stack(async { deep(30) }).await.unwrap(), 31);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_stopped() {
        let (alive, gone) = oneshot::channel::<()>();
        let endless = async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        };
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(50), on_deep_stack(endless));
        assert!(waiting.await.is_err());
        assert!(gone.await.is_err(), "what it held was dropped");
    }
}
