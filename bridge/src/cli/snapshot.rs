//! `vmbridge snapshot`: looking at snapshots, and deciding about those of vmbridge.

mod decide;
mod list;
mod take;

use clap::{Args, Subcommand};

pub(super) use list::{age, minute};
pub(super) use take::length;

use super::desk::Counter;
use super::rollback::{self, Going};
use super::{Context, Exit, Failure};
use crate::control::RollbackQuery;

#[derive(Debug, Subcommand)]
pub(super) enum Subject {
    /// Print the snapshots that vmbridge takes and has, and those of others, which it never touches.
    List(list::Arguments),
    /// Take snapshots now of VMs that are fit for one.
    Create(take::Arguments),
    /// Remove snapshots of vmbridge's. Nothing else is ever removed.
    Remove(decide::RemoveArguments),
    /// Take a VM back to a snapshot of vmbridge's, after showing what will be lost.
    Revert(RevertArguments),
    /// Take over a snapshot that carries the mark of this vmbridge and that nothing is remembered of: it is removed in time.
    Adopt(decide::AdoptArguments),
}

#[derive(Debug, Args)]
pub(super) struct RevertArguments {
    /// The id of the record, as `vmbridge snapshot list` shows it.
    record: String,
    #[command(flatten)]
    going: Going,
}

pub(super) async fn run(context: &Context, subject: Subject) -> Result<Exit, Failure> {
    match subject {
        Subject::List(arguments) => list::run(context, arguments).await,
        Subject::Create(arguments) => take::run(context, arguments).await,
        Subject::Remove(arguments) => decide::remove(context, arguments).await,
        Subject::Revert(RevertArguments { record, going }) => {
            rollback::go(context, RollbackQuery::Record { record }, going).await
        }
        Subject::Adopt(arguments) => decide::adopt(context, arguments).await,
    }
}

/// What becomes of what was begun when nobody waits for it any more.
pub(super) fn goes_on(counter: &Counter) -> &'static str {
    if counter.is_daemon() {
        "the daemon goes on with it; `vmbridge snapshot list` shows how far it is"
    } else {
        "what was begun in vCenter goes on there; the next `vmbridge run` or `sync` goes on from there"
    }
}
