//! Freeing what a watch holds on the server.

use std::time::Duration;

use crate::error::Error;

/// How long it may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// Waits until everything was freed, but not for long. What cannot be freed goes with the session.
pub(super) async fn freed(freeing: impl Future<Output = Vec<Result<(), Error>>>) {
    match tokio::time::timeout(FAREWELL, freeing).await {
        Ok(results) => {
            for error in results.into_iter().filter_map(Result::err) {
                tracing::debug!(error = error.line(), "could not free something on the server");
            }
        }
        Err(_) => tracing::debug!("could not free everything on the server in time"),
    }
}
