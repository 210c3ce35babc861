//! `vmbridge check`: tries everything that is configured and says what to do about what does not work.
//!
//! Each source is a course of checks that build on each other; the first one that fails is the one to fix, and those
//! that need it are reported as not run. Sources are checked at the same time, and each check has a time limit, so that one
//! that is down holds up nothing but itself. Nothing is changed anywhere: the only traces are sessions, which are ended,
//! also when the check is cut short.

mod aws;
mod course;
mod login;
mod network;
pub mod privileges;
mod render;
mod report;
mod secret;
mod skew;
mod state;
mod tags;
mod vcenter;
mod vmc;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join_all};

pub use render::{write_json, write_text};
pub use report::{Counts, Outcome, Report, Row, SourceKind, SourceReport};

use crate::config::{Config, Environment, Limits, Mode};
use crate::secret::SecretResolver;
use crate::source::Clients;
use privileges::Capability;

/// How long ending the sessions may take when the check is cut short.
const FAREWELL: Duration = Duration::from_secs(5);

/// What every check works with.
pub(crate) struct Setting<'a> {
    secrets: &'a SecretResolver,
    limits: &'a Limits,
    /// The capabilities whose privileges are asked about, and how far each may go.
    capabilities: Vec<(&'static Capability, Mode)>,
    opened: Opened,
}

/// The clients whose sessions are to be ended, whatever happens.
#[derive(Debug, Clone, Default)]
struct Opened(Arc<Mutex<Vec<Clients>>>);

impl Opened {
    fn remember(&self, clients: &Clients) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(clients.clone());
    }

    async fn close(&self) {
        let clients = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let closing = join_all(clients.iter().map(async |clients| {
            // Those that ended in time are closed already, which is no error.
            clients.close().await
        }));
        // What cannot be told in time ends itself on the server after a while.
        let _ = tokio::time::timeout(FAREWELL, closing).await;
    }
}

/// Checks everything in `config`, which was read from `path`; nothing if `stopped` came first.
pub async fn run(
    path: &Path,
    config: &Config,
    environment: Environment,
    stopped: impl Future<Output = ()>,
) -> Option<Report> {
    let secrets = SecretResolver::new(environment);
    let setting = Setting {
        secrets: &secrets,
        limits: &config.limits,
        capabilities: privileges::wanted(config).collect(),
        opened: Opened::default(),
    };
    let sources = async {
        let vcenters = config.vcenters.iter().map(|entry| one(vcenter::Target::of_vcenter(entry), &setting));
        let vmc = config.vmc.iter().map(|entry| vmc::check(entry, &setting).boxed());
        let aws = config.aws.iter().map(|target| aws::check(target, config, &setting).boxed());
        // Without a target nothing is remembered.
        let used = (!config.aws.is_empty()).then(|| state::check(&config.state, &setting).boxed());
        join_all(vcenters.chain(vmc).chain(aws).chain(used)).await
    };
    let sources = tokio::select! {
        sources = sources => Some(sources),
        () = stopped => None,
    };
    setting.opened.close().await;
    let mut all = vec![configuration(path, config)];
    all.extend(sources?.into_iter().flatten());
    Some(Report { sources: all })
}

fn one<'a>(target: vcenter::Target, setting: &'a Setting<'a>) -> BoxFuture<'a, Vec<SourceReport>> {
    async move { vec![vcenter::check(target, setting).await] }.boxed()
}

/// The configuration is valid, or there would be nothing to check; this says which one it was.
fn configuration(path: &Path, config: &Config) -> SourceReport {
    let (vcenters, vmc, aws) = (config.vcenters.len(), config.vmc.len(), config.aws.len());
    let detail = format!("valid: [[vcenter]] {vcenters}, [[vmc]] {vmc}, [[aws]] {aws}");
    let row = Row { check: "configuration".into(), outcome: Outcome::Pass, detail, fix: None, took_ms: 0 };
    SourceReport {
        kind: SourceKind::Configuration,
        name: String::new(),
        address: path.display().to_string(),
        checks: vec![row],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    const CONFIG: &str = r#"
        [[vcenter]]
        name = "nowhere"
        url = "https://vcenter.invalid"
        username = "u"
        password = { env = "ABSENT" }

        [[vcenter]]
        name = "closed"
        url = "https://127.0.0.1:1"
        username = "u"
        password = { env = "PRESENT" }

        [[vmc]]
        name = "cloud"
        org_id = "o"
        refresh_token = { env = "ABSENT" }
        csp_url = "https://127.0.0.1:1"
        vmc_url = "https://127.0.0.1:1"
    "#;

    fn config(environment: &Environment) -> Config {
        parse(CONFIG, Path::new("/etc/vmbridge.toml"), environment).unwrap()
    }

    fn environment() -> Environment {
        [("PRESENT", "hunter2")].into_iter().collect()
    }

    #[tokio::test]
    async fn every_source_has_every_row_and_only_the_first_failure_of_each_counts() {
        let report = run(
            Path::new("/etc/vmbridge.toml"),
            &config(&environment()),
            environment(),
            std::future::pending(),
        )
        .await
        .unwrap();
        let names: Vec<_> =
            report.sources.iter().map(|source| (source.kind.word(), source.name.as_str())).collect();
        assert_eq!(
            names,
            [("configuration", ""), ("vcenter", "nowhere"), ("vcenter", "closed"), ("vmc", "cloud")]
        );
        let outcomes = |index: usize| -> Vec<(&str, Outcome)> {
            report.sources[index].checks.iter().map(|row| (row.check.as_str(), row.outcome)).collect()
        };
        use Outcome::{Fail, NotRun, Pass};
        assert_eq!(&outcomes(1)[..3], [("secret", Fail), ("dns", Fail), ("tcp", NotRun)]);
        assert_eq!(
            outcomes(2),
            [
                ("secret", Pass),
                ("dns", Pass),
                ("tcp", Fail),
                ("tls", NotRun),
                ("login", NotRun),
                ("version", NotRun),
                ("clock", NotRun),
                ("privilege", NotRun),
                ("tags", NotRun),
                ("events", NotRun),
            ]
        );
        assert!(outcomes(3).iter().any(|(_, outcome)| *outcome == Fail));
        assert!(report.counts().failed >= 4);
        let everything_failed_has_a_fix = report
            .sources
            .iter()
            .flat_map(|source| &source.checks)
            .all(|row| row.outcome != Fail || row.fix.is_some());
        assert!(everything_failed_has_a_fix, "{report:?}");
    }

    #[tokio::test]
    async fn it_can_be_cut_short() {
        let report =
            run(Path::new("x"), &config(&environment()), environment(), std::future::ready(())).await;
        assert_eq!(report, None);
    }
}
