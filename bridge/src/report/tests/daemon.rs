//! The commands as a running service answers them: a real store and socket, and an AWS of the test.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::{AuditDocument, AuditQuery, ComplianceDocument, ComplianceQuery};
use super::gather::{World, services, window};
use crate::aws::fake::FakeWindows;
use crate::aws::{ManagedNodeId, Place};
use crate::clock::Clock;
use crate::cloud::SharedCloud;
use crate::config::Environment;
use crate::control::{Client, ClientError, Desk, FindingQuery, FindingsDocument, Request, Server};
use crate::engine::{Arm, Engine, GuestHands, GuestSettings, RealHands, VsphereHands};
use crate::secret::SecretResolver;
use crate::store::Store;

const CONFIG: &str = "
[[vcenter]]
name = \"dc1\"
url = \"https://a\"
username = \"u\"
password = { file = \"/x\" }
[[aws]]
name = \"prod\"
region = \"eu-central-1\"
";

struct Daemon {
    directory: tempfile::TempDir,
    server: Server,
    windows: FakeWindows,
    engine: Engine,
}

impl Daemon {
    /// The world of the other tests, behind a socket. Nothing is linked: what is remembered is not theirs.
    async fn start(is_checked: bool) -> Self {
        let environment = Environment::default();
        let config = crate::config::parse(CONFIG, Path::new("vmbridge.toml"), &environment).unwrap();
        let world = World::of(CONFIG, is_checked);
        let clock = Clock::starting("2027-01-15T02:00:00Z".parse().unwrap());
        let cloud = SharedCloud::new();
        for (name, view) in world.cloud.targets() {
            cloud.put(name, view.clone());
        }
        let windows = FakeWindows::new(clock);
        let vsphere = VsphereHands::new(world.fleet.clone(), &config.writeback);
        let secrets = SecretResolver::new(environment);
        let guests = GuestHands::new(Arc::new(vsphere.clone()), GuestSettings::of(&config), secrets);
        let hands = RealHands::new(cloud.clone(), vsphere, guests);
        let arm = Arm {
            services: services(&world.reports, &windows),
            nudge: Arc::new(Notify::new()),
            settle: Duration::ZERO,
        };
        hands.set_arms(BTreeMap::from([("prod".into(), arm)]));
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).await.unwrap();
        let acting = Arc::new(hands.clone());
        let engine =
            Engine::new(world.fleet.clone(), cloud.clone(), store, acting, world.policy.clone(), clock)
                .await
                .unwrap();
        let desk = Desk::new(engine.clone(), world.fleet.clone(), cloud, Some(hands));
        let server = Server::start(directory.path(), desk).unwrap();
        Self { directory, server, windows, engine }
    }

    async fn client(&self) -> Client {
        Client::reach(self.directory.path()).await.unwrap().unwrap()
    }

    async fn stop(self) {
        self.server.stop().await;
        self.engine.into_store().unwrap().close().await;
    }
}

#[tokio::test]
async fn the_table_and_the_report_come_over_the_socket() {
    let daemon = Daemon::start(true).await;
    let client = daemon.client().await;
    let vm = "web-1".to_owned();
    let node = "mi-0123456789abcdef0".to_owned();
    client.ask::<serde_json::Value>(&Request::Link { vm, node }).await.unwrap();
    let table: ComplianceDocument =
        client.ask(&Request::Compliance(ComplianceQuery::default())).await.unwrap();
    let names: Vec<(&str, &str)> =
        table.machines.iter().map(|row| (row.name.as_deref().unwrap_or(""), row.machine.as_str())).collect();
    assert_eq!(names, [("web-1", "hybrid"), ("web-2", "unmanaged"), ("shop", "ec2")]);
    assert_eq!((table.schema.as_str(), table.not_read.len()), ("vmbridge.compliance/1", 0));
    let report: AuditDocument =
        client.ask(&Request::Audit(AuditQuery { all: true, ..AuditQuery::default() })).await.unwrap();
    assert_eq!(report.schema, "vmbridge.audit/1");
    assert!(report.results.len() > 40 && report.machines.len() == 3);
    let findings: FindingsDocument = client.ask(&Request::Findings(FindingQuery::default())).await.unwrap();
    assert!(findings.findings.is_empty());
    daemon.stop().await;
}

#[tokio::test]
async fn windows_are_read_for_a_report_although_the_service_needs_none() {
    let daemon = Daemon::start(true).await;
    let client = daemon.client().await;
    assert!(daemon.windows.calls().is_empty(), "snapshots are off");
    let instance = ManagedNodeId::parse("i-0123456789abcdef0").unwrap();
    daemon.windows.put(window("mw-0000000000000000a", "Sundays", &[("tag:Role", &["web"])]));
    daemon.windows.tag_instance(&instance, &[("Role", "web")]);
    let ask = async |window: &str| {
        let query = ComplianceQuery { window: Some(window.to_owned()), ..ComplianceQuery::default() };
        client.ask::<ComplianceDocument>(&Request::Compliance(query)).await
    };
    let table = ask("Sundays").await.unwrap();
    let nodes: Vec<&str> = table.machines.iter().filter_map(|row| row.node.as_deref()).collect();
    assert!(nodes.contains(&"i-0123456789abcdef0") && nodes.contains(&"mi-0123456789abcdef0"), "{nodes:?}");
    assert_eq!(nodes.len(), table.machines.len());
    match ask("Mondays").await {
        Err(ClientError::Refused(refusal)) => {
            assert!(refusal.to_string().contains("there are Sundays"), "{refusal}");
        }
        other => panic!("{other:?}"),
    }
    daemon.stop().await;
}

#[tokio::test]
async fn a_service_that_checks_nothing_says_so() {
    let daemon = Daemon::start(false).await;
    let report: AuditDocument =
        daemon.client().await.ask(&Request::Audit(AuditQuery::default())).await.unwrap();
    assert!(
        report.not_read.iter().any(|told| told.contains("hardening was not checked")),
        "{:?}",
        report.not_read
    );
    assert!(report.sources.iter().any(|source| source.what.as_deref() == Some(Place::new("111122223333", "eu-central-1").as_str())));
    daemon.stop().await;
}

#[tokio::test]
async fn a_withdrawal_of_findings_ends_with_the_command_that_asked_for_it() {
    let daemon = Daemon::start(false).await;
    let is_withdrawing = || daemon.engine.look(|view| view.memory.withdrawing);
    let becomes = async |wanted: bool| {
        let changed = async {
            while is_withdrawing() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), changed).await.unwrap();
    };
    // The engine of this test does not run, so that the command would wait for an hour.
    let client = daemon.client().await;
    tokio::select! {
        answer = client.ask::<serde_json::Value>(&Request::WithdrawFindings) => panic!("{answer:?}"),
        () = becomes(true) => {}
    }
    becomes(false).await;
}
