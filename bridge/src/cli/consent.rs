//! Asking a person before something is done that cannot be undone.

use std::io::{self, IsTerminal as _};

use super::{Failure, Stop};

/// Whether a person wants it: `question` is asked on the terminal, and only `yes` is a yes. Nothing if a signal came first.
///
/// # Errors
/// When there is no terminal; `without` says how to do without one.
pub(super) async fn consent(question: String, without: &str, stop: &Stop) -> Result<Option<bool>, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::Usage(format!("there is no terminal to ask on; {without}")));
    }
    let (told, answer) = tokio::sync::oneshot::channel();
    // A thread of its own, which ends with the process: reading a terminal cannot be called off.
    std::thread::spawn(move || {
        eprint!("{question} Type `yes`: ");
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        // Nobody listens when a signal came first.
        let _ = told.send(read.is_ok() && line.trim() == "yes");
    });
    tokio::select! {
        answer = answer => Ok(Some(answer.unwrap_or(false))),
        () = stop.requested() => Ok(None),
    }
}
