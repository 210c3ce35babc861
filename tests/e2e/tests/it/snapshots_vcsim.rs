//! Snapshots in VMware's own simulator: taken, found again after a lost answer, gone back to and removed by the real program, and
//! seen by VMware's own client.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::program::{Ended, Vmbridge};
use vmbridge_e2e::referee::{self, SnapshotSeen};
use vmbridge_e2e::vcsim::Vcsim;
use vmbridge_simulator::{AwsConfig, Simulator, SimulatorConfig};

/// VMware's vCenter, and an account at AWS in which nothing happens.
struct World {
    simulator: Simulator,
    estate: Estate,
    vcsim: Vcsim,
    /// VMs that are fit for a snapshot and have none, by their managed object ids.
    fit: Vec<String>,
}

impl World {
    /// Each task runs for so long before it does anything, such as `1s`.
    async fn new(task_delay: &str) -> Self {
        let config = SimulatorConfig { aws: Some(AwsConfig::default()), ..SimulatorConfig::single(1, 1) };
        let simulator = Simulator::start(config).await.unwrap();
        let mut estate = Estate::new().unwrap();
        let folder = estate.folder().join("vcsim");
        std::fs::create_dir(&folder).unwrap();
        // The third datastore is always in maintenance.
        let arguments = ["--vms", "40", "--dcs", "1", "--datastores", "2", "--task-delay", task_delay];
        let vcsim = Vcsim::start(&folder, &arguments).await.unwrap();
        estate.vcsim("dc1", &vcsim).unwrap();
        let aws = simulator.aws().unwrap();
        let ca = estate.secret("aws-ca.pem", aws.ca_pem()).unwrap();
        estate.add(&format!(
            "[[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\nca_file = \"{}\"\nsettle = \"1s\"\npoll_fast = \"5s\"\n\n\
             [tags]\nmode = \"off\"\n\n[state]\ndirectory = \"state\"\n\n\
             [snapshots]\nmode = \"enforce\"\nfloor_percent = 0\nfloor_gib = 0\njudge_within = \"10s\"\n\n\
             [[snapshots.policy]]\nname = \"all\"\nlead = \"40s\"\ndeadline = \"2s\"\nkeep_success = \"0s\"\nprobes = []\n",
            aws.url(),
            ca.display()
        ));
        let mut world = Self { simulator, estate, vcsim, fit: Vec::new() };
        let inventory = world.json(&["inventory", "--json"]).await;
        let fit = inventory["vms"].as_array().unwrap().iter().filter(|vm| is_fit(vm));
        world.fit = fit.map(|vm| vm["moref"].as_str().unwrap().to_owned()).collect();
        assert!(world.fit.len() >= 4, "{:?}", world.fit);
        world
    }

    fn vmbridge(&self, arguments: &[&str]) -> Vmbridge {
        let account = self.simulator.aws().unwrap().accounts()[0].clone();
        let program = self.estate.vmbridge(arguments).unwrap();
        program
            .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", account.secret_access_key.expose_secret())
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    async fn ran(&self, arguments: &[&str]) -> Ended {
        self.vmbridge(arguments).run().await.unwrap()
    }

    /// What it prints, where it has to end well.
    async fn well(&self, arguments: &[&str]) -> String {
        let ended = self.ran(arguments).await;
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}\n{}", ended.stdout, ended.stderr);
        ended.stdout
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.well(arguments).await).unwrap()
    }

    /// Takes snapshots of the first fit VMs. Gives their records, in the order of the VMs.
    async fn take(&self, count: usize) -> Vec<String> {
        let vms = self.fit[..count].iter().map(|moref| format!("dc1/{moref}")).collect::<Vec<_>>();
        let mut arguments = vec!["snapshot", "create"];
        arguments.extend(vms.iter().map(String::as_str));
        arguments.extend(["--reason", "before the upgrade", "--keep", "2h", "--wait", "--json"]);
        let taken = self.json(&arguments).await;
        let record = |vm: &String| {
            let of = taken["taken"].as_array().unwrap().iter().find(|one| one["vm"] == **vm).unwrap();
            of["record"].as_str().unwrap().to_owned()
        };
        vms.iter().map(record).collect()
    }

    async fn seen(&self, vm: usize) -> Vec<SnapshotSeen> {
        referee::snapshots(&self.vcsim, &self.fit[vm]).await.unwrap()
    }

    async fn calls(&self, method: &str) -> u64 {
        self.vcsim.calls(method).await.unwrap()
    }

    /// What vmbridge lists is what VMware's client sees, of ours and of others. Gives ours.
    async fn assert_listed(&self) -> Vec<Value> {
        let listed = self.json(&["snapshot", "list", "--json"]).await;
        let of = |list: &Value| -> BTreeSet<(String, String, String)> {
            let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
            let one = |one: &Value| (text(one, "vm"), text(one, "snapshot"), text(one, "snapshotName"));
            list.as_array().unwrap().iter().map(one).collect()
        };
        let mut theirs = BTreeSet::new();
        let mut marked = BTreeSet::new();
        for path in referee::govc_says(&self.vcsim, &["find", "-type", "m", "-i"]).await.unwrap().lines() {
            let moref = path.strip_prefix("VirtualMachine:").unwrap();
            for one in referee::snapshots(&self.vcsim, moref).await.unwrap() {
                let is_ours = one.description.starts_with("vmbridge owner=");
                let list = if is_ours { &mut marked } else { &mut theirs };
                list.insert((format!("dc1/{moref}"), one.moref, unescaped(&one.name)));
            }
        }
        assert_eq!(of(&listed["ours"]), marked);
        assert_eq!(of(&listed["foreign"]), theirs);
        assert_eq!(listed["orphans"], serde_json::json!([]));
        listed["ours"].as_array().unwrap().clone()
    }

    async fn end(&self) {
        assert_eq!(self.vcsim.sessions().await.unwrap(), 0, "sessions were left behind");
        let stats = self.vcsim.control("GET", "/stats", None).await.unwrap();
        assert_eq!(stats["panics"], 0);
        let mistakes = self.simulator.aws().unwrap().mistakes();
        assert!(mistakes.is_empty(), "{mistakes:?}");
    }
}

/// As a person typed it. Written in another way than the client does it.
fn unescaped(name: &str) -> String {
    name.replace("%2f", "/").replace("%5c", "\\").replace("%25", "%")
}

/// On, with nothing that stands in the way of a snapshot.
fn is_fit(vm: &Value) -> bool {
    let plain_disk = |disk: &Value| disk["mode"] == "persistent" && disk["compatibilityMode"].is_null();
    vm["powerState"] == "poweredOn"
        && vm["connectionState"] == "connected"
        && vm["template"] == false
        && vm["vApp"].is_null()
        && vm["managedBy"].is_null()
        && vm["faultToleranceRole"].is_null()
        && vm["consolidationNeeded"] == false
        && vm["snapshots"]["tree"].as_array().is_none_or(Vec::is_empty)
        && vm["disks"].as_array().unwrap().iter().all(plain_disk)
}

fn ours(seen: &[SnapshotSeen]) -> Vec<&SnapshotSeen> {
    seen.iter().filter(|one| one.description.starts_with("vmbridge owner=")).collect()
}

#[tokio::test]
async fn what_people_ask_for_is_what_govc_sees_and_what_others_made_stays() {
    let world = World::new("0s").await;
    let by_hand = |vm: usize| format!("VirtualMachine:{}", world.fit[vm]);
    let make = async |vm: usize, name: &str| {
        let arguments = ["snapshot.create", "-m=false", "-q=false", "-vm", &by_hand(vm), name];
        referee::govc_says(&world.vcsim, &arguments).await.unwrap();
    };
    make(0, "before us").await;
    let before = world.seen(0).await;
    let records = world.take(3).await;
    make(1, "after us").await;
    for (vm, moref) in world.fit[..3].iter().enumerate() {
        let seen = world.seen(vm).await;
        let [one] = ours(&seen)[..] else { panic!("{seen:?}") };
        assert!(unescaped(&one.name).starts_with("vmbridge/before the upgrade/"), "{one:?}");
        let uuid = world.vcsim.endpoint("instanceUuid").unwrap();
        assert!(one.description.contains(&format!(" vcenter={uuid} vm={moref} ")), "{one:?}");
        assert!(one.description.contains(&format!(" record={}\n", records[vm])), "{one:?}");
    }
    assert_eq!(world.seen(0).await[0].moref, before[0].moref);
    assert_eq!(world.seen(0).await[1].parent.as_ref(), Some(&before[0].moref), "it was made after theirs");
    assert_eq!(world.assert_listed().await.len(), 3);

    // What was asked for is not asked for again by a later run.
    assert_eq!(world.ran(&["sync"]).await.code, Some(0));
    assert_eq!(world.calls("CreateSnapshot_Task").await, 3 + 2);

    make(0, "a mistake").await;
    world.well(&["snapshot", "revert", &records[0], "--yes", "--agents-within", "0s"]).await;
    let current: Vec<bool> = world.seen(0).await.iter().map(|one| one.current).collect();
    assert_eq!(current, [false, true, false]);
    assert_eq!(world.calls("PowerOnVM_Task").await, 0, "it was on all the time");
    assert_eq!(world.assert_listed().await.len(), 3);

    let mut arguments = vec!["snapshot", "remove", "--wait"];
    arguments.extend(records.iter().map(String::as_str));
    world.well(&arguments).await;
    for (vm, left) in [(0, &["before us", "a mistake"][..]), (1, &["after us"]), (2, &[])] {
        let seen = world.seen(vm).await;
        assert_eq!(seen.iter().map(|one| &*one.name).collect::<Vec<_>>(), left, "{seen:?}");
    }
    assert_eq!(world.seen(0).await[0].moref, before[0].moref);
    assert!(world.assert_listed().await.is_empty());
    world.end().await;
}

/// Everything is done once, whether the task of a call whose answer was lost still runs or is over when it is looked for.
async fn lost_answers(task_delay: &str, reverts: bool) {
    let world = World::new(task_delay).await;
    world.vcsim.lose_answer("CreateSnapshot_Task").await.unwrap();
    let records = world.take(2).await;
    assert_eq!(world.calls("CreateSnapshot_Task").await, 2, "each was asked for once");
    for (vm, record) in records.iter().enumerate() {
        let seen = world.seen(vm).await;
        assert!(seen.len() == 1 && seen[0].description.contains(record), "{seen:?}");
    }
    assert_eq!(world.assert_listed().await.len(), 2);

    if reverts {
        world.vcsim.lose_answer("RevertToSnapshot_Task").await.unwrap();
        world.well(&["snapshot", "revert", &records[0], "--yes", "--agents-within", "0s"]).await;
        assert_eq!(world.calls("RevertToSnapshot_Task").await, 1);
        assert!(world.seen(0).await[0].current);
    }

    world.vcsim.lose_answer("RemoveSnapshot_Task").await.unwrap();
    world.well(&["snapshot", "remove", "--wait", &records[0], &records[1]]).await;
    assert_eq!(world.calls("RemoveSnapshot_Task").await, 2, "each was asked for once");
    assert_eq!(world.calls("ConsolidateVMDisks_Task").await, 0);
    assert!(world.seen(0).await.is_empty() && world.seen(1).await.is_empty());
    assert!(world.assert_listed().await.is_empty());
    world.end().await;
}

#[tokio::test]
async fn a_lost_answer_is_found_by_what_it_left() {
    // That a VM went back to a snapshot leaves nothing to be found by.
    lost_answers("0s", false).await;
}

#[tokio::test]
async fn a_lost_answer_is_found_while_its_task_runs() {
    lost_answers("4s", true).await;
}

#[tokio::test]
async fn sessions_that_end_while_snapshots_are_taken_and_removed_do_no_harm() {
    let world = World::new("4s").await;
    let vms: Vec<String> = world.fit[..2].iter().map(|moref| format!("dc1/{moref}")).collect();
    let arguments = ["snapshot", "create", &vms[0], &vms[1], "--reason", "cut", "--wait", "--json"];
    let running = world.vmbridge(&arguments).start().unwrap();
    terminate_sessions_after(&world, "CreateSnapshot_Task", 2).await;
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let taken: Value = serde_json::from_str(&ended.stdout).unwrap();
    let records: Vec<&str> =
        taken["taken"].as_array().unwrap().iter().map(|one| one["record"].as_str().unwrap()).collect();
    assert_eq!((world.seen(0).await.len(), world.seen(1).await.len()), (1, 1));
    assert_eq!(world.assert_listed().await.len(), 2);

    let running =
        world.vmbridge(&[&["snapshot", "remove", "--wait"][..], &records].concat()).start().unwrap();
    terminate_sessions_after(&world, "RemoveSnapshot_Task", 2).await;
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(world.seen(0).await.is_empty() && world.seen(1).await.is_empty());
    assert_eq!(
        (world.calls("CreateSnapshot_Task").await, world.calls("RemoveSnapshot_Task").await),
        (2, 2),
        "each was asked for once"
    );
    world.end().await;
}

/// Ends all sessions of others through VMware's client, as an administrator does, once a method was called so often.
async fn terminate_sessions_after(world: &World, method: &str, times: u64) {
    for _ in 0..600 {
        if world.calls(method).await == times {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.calls(method).await, times);
    let sessions = referee::govc(&world.vcsim, &["session.ls"]).await.unwrap();
    let own = &sessions["currentSession"]["key"];
    let others = sessions["sessionList"].as_array().unwrap().iter().filter(|one| one["key"] != *own);
    let keys: Vec<&str> = others.map(|one| one["key"].as_str().unwrap()).collect();
    assert!(!keys.is_empty(), "{sessions:#}");
    for key in keys {
        referee::govc_says(&world.vcsim, &["session.rm", key]).await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the window opens by the clock of the program that is tried")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// The first minute that begins this much later.
fn minute_after(seconds: i64) -> Timestamp {
    let at = now() + SignedDuration::from_secs(seconds);
    Timestamp::from_second((at.as_second() / 60 + 1) * 60).unwrap()
}

#[tokio::test]
async fn a_window_of_the_configuration() {
    let mut world = World::new("1s").await;
    let opens = minute_after(30);
    let schedule = opens.strftime("%Y-%m-%d %H:%M 1m");
    for (at, moref) in world.fit[..3].iter().enumerate() {
        let name = serde_json::json!({ "name": format!("tonight-{at}") });
        world.vcsim.mutate("rename", moref, &name).await.unwrap();
    }
    world.estate.add(&format!(
        "[[snapshots.window]]\nname = \"tonight\"\nvms = \"name=tonight-*\"\nschedule = \"{schedule}\"\n"
    ));
    world.vcsim.lose_answer("CreateSnapshot_Task").await.unwrap();
    world.vcsim.lose_answer("RemoveSnapshot_Task").await.unwrap();
    let mut running = world.vmbridge(&["run"]).start().unwrap();
    running.says("the first picture of the fleet is there").await.unwrap();
    let until = async |what: &str, deadline: Timestamp, wanted: usize| loop {
        let mut counts = Vec::new();
        for vm in 0..3 {
            counts.push(world.seen(vm).await.len());
        }
        if counts == [wanted; 3] {
            return;
        }
        assert!(now() < deadline, "{what}: {counts:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    until("they are there when the window opens", opens, 1).await;
    let time = opens.strftime("%Y%m%dT%H%MZ");
    for vm in 0..3 {
        let seen = world.seen(vm).await;
        assert_eq!(unescaped(&seen[0].name), format!("vmbridge/tonight/{time}"));
    }
    assert_eq!(world.assert_listed().await.len(), 3);
    let closes = opens + SignedDuration::from_secs(60);
    until("they are gone after it", closes + SignedDuration::from_secs(90), 0).await;
    assert!(now() >= closes, "none is removed while the window is open");
    assert_eq!(
        (world.calls("CreateSnapshot_Task").await, world.calls("RemoveSnapshot_Task").await),
        (3, 3),
        "each was asked for once"
    );
    // It is looked for disks that are left over, once what vCenter shows is certainly of after the removal.
    for _ in 0..60 {
        let listed = world.json(&["snapshot", "list", "--json"]).await;
        if listed["ours"].as_array().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(world.assert_listed().await.is_empty());
    running.signal("TERM").await.unwrap();
    let ended = running.ended().await.unwrap();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    world.end().await;
}
