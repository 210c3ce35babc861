//! `vmbridge snapshot`: looking at snapshots, and deciding about those of vmbridge.

mod list;

use clap::Subcommand;

use super::{Context, Exit, Failure};

#[derive(Debug, Subcommand)]
pub(super) enum Subject {
    /// Print the snapshots that vmbridge takes and has, and those of others, which it never touches.
    List(list::Arguments),
}

pub(super) async fn run(context: &Context, subject: Subject) -> Result<Exit, Failure> {
    match subject {
        Subject::List(arguments) => list::run(context, arguments).await,
    }
}
