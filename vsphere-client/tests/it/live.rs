//! Sessions and watches, against a vCenter that behaves badly on demand.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use vmbridge_simulator::{FaultEffect, FaultRule, Mutation, Simulator, SimulatorConfig};
use vsphere_client::error::ErrorKind;
use vsphere_client::ids::MoKind;
use vsphere_client::property::{ObjectReport, ReportKind};
use vsphere_client::tls::TlsTrust;
use vsphere_client::vcenter::{ConnectOptions, Vcenter};
use vsphere_client::watch::{Watch, WatchEvent, WatchOptions};

pub(crate) fn trust(simulator: &Simulator) -> TlsTrust {
    TlsTrust { extra_ca_pem: Some(simulator.ca_pem().as_bytes().to_vec()), pins: Vec::new() }
}

pub(crate) fn client(simulator: &Simulator) -> Vcenter {
    let vcenter = &simulator.vcenters()[0];
    let password = SecretString::from(vcenter.password().to_owned());
    let url = vcenter.url().parse().unwrap();
    Vcenter::new(ConnectOptions::new(url, vcenter.username().to_owned(), password, trust(simulator))).unwrap()
}

pub(crate) async fn simulator(vms: usize) -> Simulator {
    Simulator::start(SimulatorConfig::single(vms, 3)).await.unwrap()
}

#[tokio::test]
async fn one_session_serves_all_callers_and_is_made_anew_once() {
    let simulator = simulator(5).await;
    let (vcenter, client) = (&simulator.vcenters()[0], client(&simulator));
    for logins in 1..=3 {
        let times = join_all((0..20).map(|_| client.current_time())).await;
        assert!(times.iter().all(Result::is_ok), "{times:?}");
        assert_eq!((vcenter.calls().calls["Login"], vcenter.sessions().open), (logins, 1));
        vcenter.terminate_sessions();
    }
    // One that only claims to have ended is ended all the same.
    client.current_time().await.unwrap();
    let lie = FaultEffect::SoapFault { name: "NotAuthenticated".into() };
    simulator.add_faults([FaultRule::once("CurrentTime", lie)]);
    client.current_time().await.unwrap();
    assert_eq!(vcenter.calls().calls["Login"], 5);
    client.close().await.unwrap();
    assert_eq!(vcenter.sessions().open, 0);
    assert!(matches!(client.current_time().await.unwrap_err().kind(), ErrorKind::Closed));
}

#[tokio::test]
async fn a_client_that_is_dropped_leaves_no_session() {
    let simulator = simulator(5).await;
    let vcenter = &simulator.vcenters()[0];
    client(&simulator).current_time().await.unwrap();
    // A log-in that is given up on half-way, too.
    simulator.add_faults([FaultRule::once("Login", FaultEffect::Delay { milliseconds: 300 })]);
    let second = client(&simulator);
    assert!(tokio::time::timeout(Duration::from_millis(100), second.current_time()).await.is_err());
    drop(second);
    for _ in 0..50 {
        if vcenter.sessions().open == 0 && vcenter.sessions().opened == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", vcenter.sessions());
}

/// What a watch tells until `end`, as reports of VMs.
async fn reports(watch: &mut Watch, end: impl Fn(&WatchEvent) -> bool) -> Vec<ObjectReport> {
    let mut all = Vec::new();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), watch.next()).await.unwrap().unwrap();
        let is_end = end(&event);
        if let WatchEvent::Objects(reports) = event {
            all.extend(
                reports.into_iter().filter(|report| *report.object.mo_kind() == MoKind::VirtualMachine),
            );
        }
        if is_end {
            return all;
        }
    }
}

fn ids(reports: &[ObjectReport]) -> BTreeSet<String> {
    reports.iter().map(|report| report.object.value().to_owned()).collect()
}

#[tokio::test]
async fn a_watch_tells_everything_then_changes_and_survives_its_session() {
    let simulator = simulator(250).await;
    let vcenter = &simulator.vcenters()[0];
    let client = client(&simulator);
    let options = WatchOptions {
        page: 40,
        retry: (Duration::from_millis(20), Duration::from_millis(50)),
        ..WatchOptions::default()
    };
    let mut watch = client.watch(options);
    let complete = |event: &WatchEvent| matches!(event, WatchEvent::Complete);
    let all = reports(&mut watch, complete).await;
    let expected: BTreeSet<_> = vcenter.vm_ids().into_iter().collect();
    assert_eq!(ids(&all), expected);
    assert!(all.iter().all(|report| report.kind == ReportKind::Entered));

    let vm = vcenter.vm_ids()[100].clone();
    vcenter.mutate(&Mutation::Rename { id: vm.clone(), name: "other".into() }).unwrap();
    let changed = reports(&mut watch, |event| matches!(event, WatchEvent::Objects(_))).await;
    assert_eq!(
        (changed.len(), changed[0].object.value(), changed[0].kind),
        (1, vm.as_str(), ReportKind::Modified)
    );
    assert_eq!(&**changed[0].properties.name().unwrap().as_value().unwrap(), "other");

    vcenter.mutate(&Mutation::Remove { id: vm.clone() }).unwrap();
    let gone = reports(&mut watch, |event| matches!(event, WatchEvent::Objects(_))).await;
    assert_eq!((gone.len(), gone[0].kind), (1, ReportKind::Left));

    vcenter.restart();
    let interrupted =
        reports(&mut watch, |event| matches!(event, WatchEvent::Interrupted { retry_in: Some(_), .. })).await;
    assert_eq!(interrupted, []);
    let again = reports(&mut watch, complete).await;
    assert_eq!(again.len(), 249, "read once more, each once");
    watch.close().await;
    client.close().await.unwrap();
    assert_eq!(vcenter.sessions().open, 0);
}

#[tokio::test]
async fn what_a_watch_holds_on_the_server_is_freed() {
    let simulator = simulator(20).await;
    let vcenter = &simulator.vcenters()[0];
    let client = client(&simulator);
    for _ in 0..3 {
        let mut watch = client.watch(WatchOptions::default());
        reports(&mut watch, |event| matches!(event, WatchEvent::Complete)).await;
        watch.close().await;
    }
    let calls = vcenter.calls().calls;
    assert_eq!(calls["CreateContainerView"], calls["DestroyView"]);
    assert_eq!(calls["Login"], 1, "watches share the client's session");
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_quiet_is_noticed() {
    let simulator = simulator(20).await;
    let vcenter = &simulator.vcenters()[0];
    let password = SecretString::from(vcenter.password().to_owned());
    let url = vcenter.url().parse().unwrap();
    let mut options = ConnectOptions::new(url, vcenter.username().to_owned(), password, trust(&simulator));
    options.patience = Duration::from_secs(2);
    let client = Vcenter::new(options).unwrap();
    let options = WatchOptions { max_wait: Duration::from_secs(1), ..WatchOptions::default() };
    let mut watch = client.watch(options);
    reports(&mut watch, |event| matches!(event, WatchEvent::Complete)).await;
    reports(&mut watch, |event| matches!(event, WatchEvent::Current)).await;
    // Longer than anybody waits; the connection itself stays.
    simulator.add_faults([FaultRule::once("WaitForUpdatesEx", FaultEffect::Hang { milliseconds: 600_000 })]);
    let patience = Duration::from_secs(20);
    let noticed = async {
        loop {
            match watch.next().await {
                Some(WatchEvent::Interrupted { .. }) => return,
                Some(_) => {}
                None => panic!("the watch has ended"),
            }
        }
    };
    tokio::time::timeout(patience, noticed).await.unwrap();
}
