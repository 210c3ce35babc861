//! `vmbridge-simulator`: a simulated estate for demonstrations, benchmarks and tests from outside.
//!
//! It prints where things are, writes the same into a folder for programs, changes something now and then, and runs until
//! it is told to stop. Without a port or a writable folder it ends with the reason and exit code 1.

mod program;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use vmbridge_simulator::{Churn, Mutation, Simulator, Vcenter};

use crate::program::args::Args;
use crate::program::files::Files;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match run(&args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vmbridge-simulator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    // Asked for before anything is written, so that a signal never leaves something behind.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut files = Files::in_folder(&args.dir)?;
    let work = async {
        let simulator = Simulator::start(args.config()).await?;
        let control = simulator.serve_control(args.control_port).await?;
        files.write(&simulator, &control)?;
        for line in program::files::summary(&simulator, &control) {
            say(&line);
        }
        churn(args, &simulator).await
    };
    // Dropping the work stops the simulator.
    let result = tokio::select! {
        never = work => never,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    files.remove();
    result
}

/// Prints a line. Nobody has to listen: a closed pipe is no reason to end.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Changes something about every so many seconds, for ever.
async fn churn(args: &Args, simulator: &Simulator) -> anyhow::Result<()> {
    let anything = changes(args.churn, args.seed, simulator, |churn, vcenter| {
        churn.change(vcenter).into_iter().collect()
    });
    let tags = changes(args.churn_tags, args.seed.wrapping_add(1), simulator, Churn::retag);
    tokio::try_join!(anything, tags).map(drop)
}

/// One kind of changes, about every so many seconds.
async fn changes(
    seconds: u32,
    seed: u64,
    simulator: &Simulator,
    change: impl Fn(&mut Churn, &Vcenter) -> Vec<Mutation>,
) -> anyhow::Result<()> {
    let mut churn = Churn::new(seed);
    loop {
        if seconds == 0 {
            std::future::pending::<()>().await;
        }
        // Between half and one and a half of what was asked for.
        let pause = u64::from(seconds) * 500 + churn.below(seconds as usize * 1000) as u64;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let at = churn.below(simulator.vcenters().len());
        let vcenter = &simulator.vcenters()[at];
        for change in change(&mut churn, vcenter) {
            say(&format!("{} {}", vcenter.name(), serde_json::to_string(&change)?));
        }
    }
}
