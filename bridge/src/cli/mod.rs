//! The command line: what can be asked of `vmbridge`, and how it answers.
//!
//! Data goes to standard output and everything else to standard error. The exit code is 0 when it was done, 1 when a
//! problem was found, 2 when it could not be tried at all (see [`Exit`]). What fails before that ends as one [`Failure`]:
//! what, where, and what to do. Each command is one module here; none of them does more than to connect the parts of
//! the library with a terminal.

mod audit;
mod check;
mod check_rules;
mod compliance;
mod config;
mod consent;
mod decide;
mod desk;
mod enroll;
mod explain;
mod failure;
mod find;
pub(crate) mod findings;
mod follow;
mod inventory;
mod nodes;
mod output;
mod picture;
mod plan;
mod progress;
mod report;
mod rollback;
mod run;
mod schema;
mod select;
mod snapshot;
mod state;
mod stop;
mod version;
mod watch;
mod windows;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use indicatif::MultiProgress;

pub use failure::{Exit, Failure};
pub use stop::{Hangup, Stop};

use crate::config::{Config, Environment, LogFormat};
use crate::logging::{Log, Settings};

const AFTER_HELP: &str = "\
Without --config the configuration is /etc/vmbridge/vmbridge.toml, or if there is none ./vmbridge.toml.
Exit codes: 0 done, 1 a problem was found, 2 could not run; 130 interrupted.";

/// Joins VMware vSphere to AWS Systems Manager and Security Hub.
#[derive(Debug, Parser)]
#[command(name = "vmbridge", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// The configuration file.
    #[arg(long, global = true, env = "VMBRIDGE_CONFIG", value_name = "PATH")]
    config: Option<PathBuf>,
    /// What is logged to standard error: error, warn, info, debug, trace, off, or a filter such as
    /// `info,vsphere_client=debug`. `run` takes it from the configuration otherwise; all other commands log warnings.
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    /// When to use colours. The environment variable NO_COLOR turns `auto` into `never`.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    color: Color,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything that is configured and say what to do about what does not work. Changes nothing.
    Check(check::Arguments),
    /// Print the fleet as it is now.
    Inventory(inventory::Arguments),
    /// Print every change of the fleet as it happens, until interrupted.
    Watch(watch::Arguments),
    /// Print what is to be done, and for every VM why not more. Changes nothing; the exit code is 1 if there is something to do.
    Plan(plan::Arguments),
    /// Do once what is to be done, and end.
    Sync(plan::SyncArguments),
    /// Print everything that is known of one VM, what would be done about it, and why not more.
    Explain(explain::Arguments),
    /// Allow changes that are held because they are too many at once.
    Approve(decide::ApproveArguments),
    /// Say that a node is this VM.
    Link(decide::LinkArguments),
    /// Say that a node is not the VM that it is taken for.
    Unlink(decide::UnlinkArguments),
    /// Try again at once what failed.
    Retry(decide::RetryArguments),
    /// Make VMs managed nodes, and show how far it is.
    Enroll(enroll::Arguments),
    /// Print the managed nodes and which VMs they are.
    Nodes(nodes::Arguments),
    /// Print the maintenance windows that come, whether their VMs have a snapshot in time, and what is in doubt.
    Windows(windows::Arguments),
    /// Print EC2 instances and VMs in one table: patches, hardening, protection, and what is not as it should be.
    Compliance(compliance::Arguments),
    /// Print the findings that Security Hub has of vmbridge, and which it refuses.
    Findings(findings::Arguments),
    /// Check files of rules, and print the rules that apply.
    CheckRules(check_rules::Arguments),
    /// Write a report for auditors.
    Report(report::Arguments),
    /// Look at snapshots, take them, remove them, go back to them.
    #[command(subcommand)]
    Snapshot(snapshot::Subject),
    /// Take the VMs of a window back to what they were before it, after showing what will be lost.
    Rollback(rollback::Arguments),
    /// Look after what is remembered.
    #[command(subcommand)]
    State(state::Subject),
    /// Print the journal: everything that was done, and how it ended.
    Audit(audit::Arguments),
    /// Run as a service: keep the fleet current, serve health and metrics.
    Run,
    /// Look at the configuration.
    #[command(subcommand)]
    Config(config::Subject),
    /// Print the JSON Schema of an output.
    Schema(schema::Arguments),
    /// Print the version.
    Version(version::Arguments),
}

/// What every command gets.
pub(crate) struct Context {
    config: Option<PathBuf>,
    log: Option<String>,
    color: Color,
    environment: Environment,
}

impl Context {
    /// The configuration and the path it was found at.
    fn load(&self) -> Result<(PathBuf, Config), Failure> {
        let path = find::config(self.config.as_deref())?;
        let config = crate::config::load(&path, &self.environment)
            .map_err(|errors| Failure::Config(Box::new(errors)))?;
        Ok((path, config))
    }

    /// Whether text for `stream` may be coloured.
    fn colored(&self, stream: &impl std::io::IsTerminal) -> bool {
        match self.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                let refused = |name: &str| self.environment.get(name).is_some_and(|value| !value.is_empty());
                let dumb = self.environment.get("TERM").is_some_and(|term| term == "dumb");
                stream.is_terminal() && !refused("NO_COLOR") && !dumb
            }
        }
    }

    /// Starts the log of a command that a person waits for.
    fn start_log(&self, progress: Option<MultiProgress>) -> Result<Log, Failure> {
        let filter = self.log.clone().unwrap_or_else(|| "warn".to_owned());
        let color = self.colored(&std::io::stderr());
        Ok(Log::start(&Settings { filter, format: LogFormat::Text, color, progress })?)
    }
}

/// Runs the command that the arguments of this process ask for.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    let Global { config, log, color } = global;
    let context = Context { config, log, color, environment: Environment::of_process() };
    let exit =
        dispatch(&context, command).unwrap_or_else(|failure| failure.report(&mut std::io::stderr().lock()));
    let _ = std::io::stdout().flush();
    exit.code()
}

fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    if let Some(filter) = &context.log {
        crate::logging::accepts(filter)?;
    }
    match command {
        Command::Config(subject) => config::run(context, &subject),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Version(arguments) => version::run(&arguments),
        Command::Check(arguments) => in_runtime(check::run(context, arguments)),
        Command::Inventory(arguments) => in_runtime(inventory::run(context, arguments)),
        Command::Watch(arguments) => in_runtime(watch::run(context, arguments)),
        Command::Plan(arguments) => in_runtime(plan::run(context, arguments)),
        Command::Sync(arguments) => in_runtime(plan::sync(context, arguments)),
        Command::Explain(arguments) => in_runtime(explain::run(context, arguments)),
        Command::Approve(arguments) => in_runtime(decide::approve(context, arguments)),
        Command::Link(arguments) => in_runtime(decide::link(context, arguments)),
        Command::Unlink(arguments) => in_runtime(decide::unlink(context, arguments)),
        Command::Retry(arguments) => in_runtime(decide::retry(context, arguments)),
        Command::Enroll(arguments) => in_runtime(enroll::run(context, arguments)),
        Command::Nodes(arguments) => in_runtime(nodes::run(context, arguments)),
        Command::Windows(arguments) => in_runtime(windows::run(context, arguments)),
        Command::Compliance(arguments) => in_runtime(compliance::run(context, arguments)),
        Command::Findings(arguments) => in_runtime(findings::run(context, arguments)),
        Command::CheckRules(arguments) => check_rules::run(context, &arguments),
        Command::Report(arguments) => in_runtime(report::run(context, arguments)),
        Command::Snapshot(subject) => in_runtime(snapshot::run(context, subject)),
        Command::Rollback(arguments) => in_runtime(rollback::run(context, arguments)),
        Command::State(subject) => in_runtime(state::run(context, subject)),
        Command::Audit(arguments) => in_runtime(audit::run(context, arguments)),
        Command::Run => in_runtime(run::run(context)),
    }
}

/// How long what still runs in the background may take when a command has ended.
const FAREWELL: Duration = Duration::from_millis(200);

fn in_runtime(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::Runtime)?;
    let exit = runtime.block_on(work);
    // A name look-up or a reader of our output that hangs must not keep the process.
    runtime.shutdown_timeout(FAREWELL);
    exit
}

/// Whether progress can be shown: standard error is a terminal that understands more than lines.
fn can_show_progress(environment: &Environment) -> bool {
    std::io::stderr().is_terminal() && environment.get("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_color_means_no_color_unless_it_is_empty_or_overruled() {
        let context = |color, value: &str| Context {
            config: None,
            log: None,
            color,
            environment: [("NO_COLOR", value)].into_iter().collect(),
        };
        assert!(context(Color::Always, "1").colored(&std::io::stdout()));
        assert!(!context(Color::Never, "").colored(&std::io::stdout()));
        assert!(!context(Color::Auto, "1").colored(&std::io::stdout()));
    }
}
