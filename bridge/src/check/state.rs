//! The state directory: whether it can be written, who uses it, and how old what it holds is.
//!
//! Nothing is made or changed: a directory that is not there yet is judged by the one that it will be made in.

use std::fs::{File, TryLockError};
use std::io::Read as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::Setting;
use super::course::{Course, Finding};
use super::report::{SourceKind, SourceReport};
use crate::clock;
use crate::config::StateSettings;
use crate::store::{Query, Reader, StoreProblem};

/// The checks in their order.
const PLAN: &[&str] = &["directory", "lock", "database"];

/// Checks the state directory.
pub(super) async fn check(state: &StateSettings, setting: &Setting<'_>) -> Vec<SourceReport> {
    let directory = &state.directory;
    let mut course = Course::new(SourceKind::State, "", directory.display(), setting.limits.request_timeout);
    if course.need("directory", async { writable(directory) }).await.is_ok() {
        course.try_it("lock", async { lock(directory) }).await;
        course.try_it("database", database(directory)).await;
    }
    vec![course.finish(PLAN)]
}

fn writable(directory: &Path) -> Finding {
    let fix = |path: &Path| {
        format!(
            "let the user that vmbridge runs as write to {}, or set `directory` in [state]",
            path.display()
        )
    };
    if directory.exists() {
        return match access(directory, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) if directory.is_dir() => Finding::pass((), "can be written"),
            Ok(()) => Finding::fail("is no directory", fix(directory)),
            Err(error) => Finding::fail(format!("cannot be written: {error}"), fix(directory)),
        };
    }
    let parent = directory.ancestors().find(|parent| parent.exists()).unwrap_or(Path::new("/"));
    match access(parent, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::pass((), format!("is not there yet and can be made in {}", parent.display())),
        Err(error) => Finding::fail(
            format!("is not there yet and cannot be made in {}: {error}", parent.display()),
            format!("make it: install -d -m 0700 -o <user of vmbridge> {}", directory.display()),
        ),
    }
}

fn lock(directory: &Path) -> Finding {
    let Ok(mut file) = File::open(directory.join("lock")) else {
        return Finding::pass((), "nobody uses it");
    };
    // Shared, so that two checks at the same time do not see each other.
    match file.try_lock_shared() {
        Ok(()) => Finding::pass((), "nobody uses it"),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            // Only told to people; that it cannot be read changes nothing.
            let _ = file.by_ref().take(20).read_to_string(&mut pid);
            Finding::pass((), format!("in use by process {}, as it is while the daemon runs", pid.trim()))
        }
        Err(TryLockError::Error(error)) => Finding::fail(
            format!("whether somebody uses it cannot be found out: {error}"),
            "put the state directory on a local disk: locks are needed",
        ),
    }
}

async fn database(directory: &Path) -> Finding {
    let reader = match Reader::open(directory).await {
        Ok(reader) => reader,
        Err(error) if matches!(error.problem, StoreProblem::Missing) => {
            return Finding::pass((), "none yet; `vmbridge run` or `vmbridge sync` makes one");
        }
        Err(error) => return Finding::fail(error.to_string(), "what to do is in the message"),
    };
    match reader.journal(&Query { limit: Some(1), ..Query::default() }).await {
        Ok(entries) => Finding::pass(
            (),
            match entries.last() {
                Some(entry) => {
                    let age = clock::now().duration_since(entry.intended);
                    format!("the last entry of the journal is {} old", rough(age.as_secs()))
                }
                None => "nothing was ever done".to_owned(),
            },
        ),
        Err(error) => Finding::fail(error.to_string(), "vmbridge state check tells more"),
    }
}

/// A length of time for people.
fn rough(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
