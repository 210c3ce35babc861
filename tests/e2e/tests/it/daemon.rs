//! `vmbridge run` as a service.

use std::time::Duration;

use serde_json::Value;
use tokio::net::UnixDatagram;
use vmbridge_e2e::control::{self, Answer};
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::program::Running;
use vmbridge_simulator::{FaultEffect, FaultRule, Mutation, Simulator, SimulatorConfig};

struct Service {
    running: Running,
    address: String,
}

impl Service {
    async fn start(estate: &Estate) -> Self {
        Self::take(estate.vmbridge(&["run"]).unwrap().start().unwrap()).await
    }

    async fn take(mut running: Running) -> Self {
        let line = running.says("serving /healthz").await.unwrap();
        let address = line.split("address=").nth(1).unwrap().trim().to_owned();
        Self { running, address }
    }

    async fn get(&self, path: &str) -> Answer {
        control::call(&self.address, "GET", path, None).await.unwrap()
    }

    async fn wait_until(&self, path: &str, what: impl Fn(&Answer) -> bool) -> Answer {
        let mut answer = self.get(path).await;
        for _ in 0..300 {
            if what(&answer) {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = self.get(path).await;
        }
        panic!("{path} was at last {answer:?}");
    }

    async fn ready(&self) -> Answer {
        self.wait_until("/readyz", |answer| answer.status == 200).await
    }
}

async fn world(vms: usize) -> (Simulator, Estate) {
    let simulator = Simulator::start(SimulatorConfig::several(2, vms, 5)).await.unwrap();
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    (simulator, estate)
}

#[tokio::test]
async fn it_tells_how_it_is_follows_changes_and_ends_cleanly() {
    let (simulator, estate) = world(40).await;
    let vcenter = &simulator.vcenters()[0];
    let service = Service::start(&estate).await;
    let state: Value = serde_json::from_str(&service.ready().await.body).unwrap();
    assert_eq!(
        (&state["sources"][0]["name"], &state["sources"][0]["state"]),
        (&"dc1".into(), &"current".into())
    );
    assert_eq!(service.get("/healthz").await.status, 200);
    let metrics = service.get("/metrics").await.body;
    assert!(metrics.contains("vmbridge_source_state{source=\"dc1\",state=\"current\"} 1"), "{metrics}");
    let vms: f64 = metrics
        .lines()
        .filter(|line| line.starts_with("vmbridge_vms{vcenter=\"dc1\""))
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum();
    assert_eq!(vms, 40.0, "{metrics}");
    vcenter.mutate(&Mutation::Rename { id: vcenter.vm_ids()[3].clone(), name: "new".into() }).unwrap();
    let counted = "vmbridge_changes_total{vcenter=\"dc1\",kind=\"changed\"}";
    service.wait_until("/metrics", |answer| answer.body.contains(counted)).await;
    assert_eq!(vcenter.sessions().open, 2, "one session of each interface");
    service.running.signal("TERM").await.unwrap();
    let ended = service.running.ended().await.unwrap();
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
    assert_eq!(vcenter.sessions().open, 0);
    assert!(!ended.stderr.contains(vcenter.password()), "the password is in the log");
}

#[tokio::test]
async fn a_restart_of_vcenter_is_survived_and_told() {
    let (simulator, estate) = world(40).await;
    let vcenter = &simulator.vcenters()[0];
    let service = Service::start(&estate).await;
    service.ready().await;
    simulator
        .add_faults([FaultRule { times: 6, ..FaultRule::once("Login", FaultEffect::Status { code: 503 }) }]);
    vcenter.restart();
    service.wait_until("/readyz", |answer| answer.body.contains("\"interrupted\"")).await;
    assert_eq!(
        service.get("/healthz").await.status,
        200,
        "a vCenter that is down is no reason to restart the service"
    );
    service.wait_until("/readyz", |answer| answer.body.contains("\"current\"")).await;
    let metrics = service.get("/metrics").await.body;
    assert!(metrics.contains("vmbridge_source_interruptions_total{source=\"dc1\"} 1"), "{metrics}");
    // Tags are read next, in a session of the other interface.
    assert!((1..=2).contains(&vcenter.sessions().open));
}

#[tokio::test]
async fn a_reload_connects_what_is_new_and_refuses_what_is_wrong() {
    let (simulator, mut estate) = world(40).await;
    let service = Service::start(&estate).await;
    service.ready().await;
    let sessions = simulator.vcenters()[0].sessions().opened;
    estate.simulated("dc2", &simulator.vcenters()[1], "").unwrap();
    estate.config().unwrap();
    service.running.signal("HUP").await.unwrap();
    service.wait_until("/readyz", |answer| answer.body.matches("\"current\"").count() == 2).await;
    assert_eq!(
        simulator.vcenters()[0].sessions().opened,
        sessions,
        "what did not change goes on without a gap"
    );
    estate.replace("name = \"dc2\"", "nome = \"dc2\"");
    estate.config().unwrap();
    service.running.signal("HUP").await.unwrap();
    let counted = "vmbridge_reloads_total{result=\"invalid\"} 1";
    service.wait_until("/metrics", |answer| answer.body.contains(counted)).await;
    assert!(service.get("/readyz").await.body.contains("dc2"), "the old configuration stays");
    estate.replace("nome = \"dc2\"", "name = \"dc3\"");
    estate.config().unwrap();
    service.running.signal("HUP").await.unwrap();
    service.wait_until("/readyz", |answer| answer.body.contains("dc3") && !answer.body.contains("dc2")).await;
    service.running.signal("TERM").await.unwrap();
    assert_eq!(service.running.ended().await.unwrap().code, Some(0));
    assert!(simulator.vcenters().iter().all(|vcenter| vcenter.sessions().open == 0));
}

#[tokio::test]
async fn systemd_is_told_and_the_watchdog_fed() {
    let (_simulator, estate) = world(10).await;
    let path = estate.folder().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let running = estate
        .vmbridge(&["run"])
        .unwrap()
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "400000")
        .start()
        .unwrap();
    let service = Service::take(running).await;
    let mut heard = String::new();
    let mut hear = async |what: &str, count: usize| {
        let mut buffer = [0; 4096];
        while heard.matches(what).count() < count {
            let size = tokio::time::timeout(Duration::from_secs(20), socket.recv(&mut buffer)).await;
            let size = size.unwrap_or_else(|_| panic!("no {what} in {heard}")).unwrap();
            heard.push_str(&String::from_utf8_lossy(&buffer[..size]));
            heard.push('\n');
        }
    };
    hear("READY=1", 1).await;
    hear("STATUS=10 VMs, 1 source current", 1).await;
    hear("WATCHDOG=1", 3).await;
    service.running.signal("HUP").await.unwrap();
    hear("RELOADING=1", 1).await;
    hear("READY=1", 2).await;
    service.running.signal("TERM").await.unwrap();
    hear("STOPPING=1", 1).await;
    assert_eq!(service.running.ended().await.unwrap().code, Some(0));
}

#[tokio::test]
async fn an_address_in_use_is_said_and_ends_it() {
    let (simulator, mut estate) = world(10).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    estate.replace("127.0.0.1:0", &address);
    let ended = estate.vmbridge(&["run"]).unwrap().run().await.unwrap();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("listen"), "{}", ended.stderr);
    assert_eq!(simulator.vcenters()[0].sessions().open, 0);
}
