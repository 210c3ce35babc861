//! `vmbridge state`: looking after what is remembered.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::plan::refuse_without_targets;
use super::{Context, Exit, Failure, Hangup, Stop, desk, output};
use crate::cloud::SharedCloud;
use crate::control::Request;
use crate::engine::{AssemblyError, Targets};
use crate::plan::{Claimed, claimed};
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
    /// Take over what an earlier life of this installation owned, whose state is lost, from its marks on the nodes.
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
        Subject::Recover(arguments) => recover(context, arguments).await,
    }
}

async fn recover(context: &Context, arguments: RecoverArguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    refuse_without_targets(&config)?;
    let RecoverArguments { installation, yes } = arguments;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    context.start_log(None)?;
    let cloud = SharedCloud::new();
    let targets = Targets::connect(&config, &cloud).await.map_err(Failure::Engine)?;
    // First the lock: a daemon that runs would go on with what it remembers.
    let store = Store::open(&config.state.directory).await.map_err(engine)?;
    tokio::select! {
        () = targets.read_once() => {}
        () = stop.requested() => return Ok(stop.or(Exit::Problem)),
    }
    let cloud = cloud.read();
    for (name, view) in cloud.targets() {
        if let Err(why) = view.usable(crate::clock::now(), config.limits.stale_after) {
            let why = format!("{name} cannot be read, so its marks are not known: {why}");
            return Err(Failure::Engine(AssemblyError::Unreadable(why)));
        }
    }
    let mut lives: BTreeMap<String, Claimed> = claimed(&cloud, crate::clock::now());
    lives.remove(store.installation());
    let exit = match choose(lives, installation.as_deref()) {
        Err(told) => {
            eprintln!("{told}");
            store.close().await;
            return Ok(Exit::Problem);
        }
        Ok((id, Claimed { nodes, owned })) if !yes => {
            eprintln!(
                "installation {id} owns {} tags of {nodes} nodes; `vmbridge state recover --installation {id} --yes` makes them \
                 this one's, if {id} runs nowhere any more",
                owned.len()
            );
            store.close().await;
            Exit::Problem
        }
        Ok((id, Claimed { nodes, owned })) => {
            let store = store.take_over(&id, &owned).await.map_err(engine)?;
            store.close().await;
            output::write(|out| {
                writeln!(
                    out,
                    "this is installation {id} from now on, with {} tags of {nodes} nodes",
                    owned.len()
                )
            })?;
            Exit::Done
        }
    };
    Ok(exit)
}

/// The earlier life that is meant, or why none is.
fn choose(mut lives: BTreeMap<String, Claimed>, wanted: Option<&str>) -> Result<(String, Claimed), String> {
    if let Some(wanted) = wanted {
        return match lives.remove_entry(wanted) {
            Some(life) => Ok(life),
            None => Err(format!("no node has a mark of installation {wanted}")),
        };
    }
    let ids: Vec<String> =
        lives.iter().map(|(id, claimed)| format!("{id} ({} nodes)", claimed.nodes)).collect();
    match lives.len() {
        1 => lives.pop_first().ok_or_else(String::new),
        0 => Err("no node has a mark of another installation; there is nothing to recover".to_owned()),
        _ => Err(format!(
            "several other installations have marks: {}; choose with --installation",
            ids.join(", ")
        )),
    }
}
