//! `vmbridge state`: looking after what is remembered.

mod recover;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Context, Exit, Failure, desk, output};
use crate::control::Request;
use crate::store::{Reader, Store, StoreError};

#[derive(Debug, Subcommand)]
pub(super) enum Subject {
    /// Look at every page and row of the database. Changes nothing.
    Check,
    /// Copy the database to a new file, also while the daemon runs.
    Backup {
        /// The new file. There must be none of this name.
        file: PathBuf,
    },
    /// Print everything that is remembered, one JSON object a line.
    Export,
    /// Say that this machine is the one that the state belongs to, after it was moved or put back on another one.
    Claim,
    /// Take over what an earlier life of this installation owned, whose state is lost, from its marks on nodes and findings.
    Recover(RecoverArguments),
}

#[derive(Debug, Args)]
pub(super) struct RecoverArguments {
    /// The id in the marks of the earlier life, if there are several.
    #[arg(long, value_name = "ID")]
    installation: Option<String>,
    /// Do it. Without this it is only shown. The earlier life must not run anywhere any more.
    #[arg(long)]
    yes: bool,
}

fn engine(error: StoreError) -> Failure {
    Failure::Engine(error.into())
}

pub(super) async fn run(context: &Context, subject: Subject) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    let directory = &config.state.directory;
    match subject {
        Subject::Check => {
            let findings = Reader::open(directory).await.map_err(engine)?.check().await.map_err(engine)?;
            output::write(|out| match &findings[..] {
                [] => writeln!(out, "the database in {} is whole", directory.display()),
                found => found.iter().try_for_each(|finding| writeln!(out, "! {}", finding.problem)),
            })?;
            if findings.is_empty() {
                return Ok(Exit::Done);
            }
            eprintln!(
                "stop vmbridge and put back a backup, or move the file away and run `vmbridge state recover`"
            );
            Ok(Exit::Problem)
        }
        Subject::Backup { file } => {
            Reader::open(directory).await.map_err(engine)?.backup(&file).await.map_err(engine)?;
            output::write(|out| writeln!(out, "{}", file.display()))?;
            Ok(Exit::Done)
        }
        Subject::Export => {
            let reader = Reader::open(directory).await.map_err(engine)?;
            let mut out = std::io::BufWriter::new(std::io::stdout());
            match reader.export(&mut out).await {
                Ok(()) => {}
                Err(crate::store::ExportError::Store(error)) => return Err(engine(error)),
                Err(crate::store::ExportError::Output(error)) => return Err(error.into()),
            }
            std::io::Write::flush(&mut out)?;
            Ok(Exit::Done)
        }
        Subject::Claim => {
            match desk::daemon(&config).await? {
                Some(client) => client.ask::<()>(&Request::Claim).await.map_err(Failure::Daemon)?,
                None => {
                    let store = Store::open(directory).await.map_err(engine)?;
                    let claimed = store.claim().await.map_err(engine);
                    store.close().await;
                    claimed?;
                }
            }
            output::write(|out| {
                writeln!(out, "the state in {} belongs to this machine", directory.display())
            })?;
            Ok(Exit::Done)
        }
        Subject::Recover(arguments) => recover::run(context, arguments).await,
    }
}
