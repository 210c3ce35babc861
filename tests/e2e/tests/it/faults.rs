//! Every fault at every call: each run ends in the right picture or in a clear error; never in a hang, a leak or a panic.
//!
//! A run is described by its seed, and replays from it. `scripts/test` runs a fixed subset; `VMBRIDGE_FAULT_SEEDS=0..925` (which
//! `scripts/soak` sets) runs all, and `VMBRIDGE_FAULT_SEEDS=417` one.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::truth;
use vmbridge_simulator::{InjectedFault, Mutation, Simulator, SimulatorConfig, from_seed};

/// Runs at the same time.
const AT_ONCE: usize = 4;
/// Longest run that is no hang: a few attempts with time limits of two seconds each, and the pauses between them.
const LONGEST: Duration = Duration::from_secs(60);

fn seeds() -> Vec<u64> {
    match std::env::var("VMBRIDGE_FAULT_SEEDS") {
        Ok(text) => match text.split_once("..") {
            Some((first, end)) => {
                Range { start: first.parse().unwrap(), end: end.parse().unwrap() }.collect()
            }
            None => vec![text.parse().unwrap()],
        },
        // A stride that meets every call, and every effect at some call.
        Err(_) => (0..925).step_by(19).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_ends_in_the_right_picture_or_a_clear_error() {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let runs: Vec<_> = seeds()
        .into_iter()
        .map(|seed| {
            let room = room.clone();
            let run = tokio::spawn(async move {
                let _permit = room.acquire_owned().await.unwrap();
                one(seed).await
            });
            (seed, run)
        })
        .collect();
    let mut failures = Vec::new();
    let (mut hit, mut total) = (0, 0);
    for (seed, run) in runs {
        total += 1;
        match run.await {
            Ok(Ok(injected)) => hit += usize::from(injected > 0),
            Ok(Err(why)) => failures.push(format!("seed {seed} ({:?}): {why}", from_seed(seed))),
            Err(panic) => failures.push(format!("seed {seed} ({:?}): {panic}", from_seed(seed))),
        }
    }
    println!("{total} seeds, of which {hit} met their fault");
    assert!(failures.is_empty(), "{} of {total} failed:\n{}", failures.len(), failures.join("\n\n"));
    assert!(total < 20 || hit * 3 > total, "only {hit} of {total} met their fault");
}

/// What is run against the fault: that which makes the call.
#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Once,
    Live,
    Check,
}

impl Mode {
    fn of(seed: u64, operation: &str) -> Self {
        const LIVE: [&str; 8] = [
            "CreateFilter",
            "DestroyPropertyFilter",
            "WaitForUpdatesEx",
            "CancelWaitForUpdates",
            "CreateCollectorForEvents",
            "ReadNextEvents",
            "SetCollectorPageSize",
            "DestroyCollector",
        ];
        match operation {
            "HasPrivilegeOnEntities" | "SessionIsActive" | "CurrentTime" => Self::Check,
            list if list.ends_with("/tagging/tag") || list.ends_with("/tagging/category") => Self::Check,
            attached if attached.ends_with("list-attached-objects-on-tags") => Self::Live,
            "RetrievePropertiesEx" | "ContinueRetrievePropertiesEx" | "CancelRetrievePropertiesEx" => {
                Self::Once
            }
            live if LIVE.contains(&live) => Self::Live,
            _ => [Self::Once, Self::Live, Self::Once, Self::Check][usize::try_from(seed % 4).unwrap()],
        }
    }
}

async fn one(seed: u64) -> Result<usize, String> {
    let operation = from_seed(seed)[0].operation.clone();
    let mode = Mode::of(seed, &operation);
    let mut config = SimulatorConfig::several(2, 60, seed % 7);
    for vcenter in &mut config.vcenters {
        vcenter.retrieve_page = 23;
        vcenter.update_page = 23;
        if operation.contains("/rest/com/") {
            vcenter.version = vmbridge_simulator::Release::V6_7;
        }
    }
    config.vmc = Some(vmbridge_simulator::VmcConfig {
        sddcs: vec![("sddc1".to_owned(), config.vcenters[1].name.clone())],
        ..Default::default()
    });
    let simulator = Simulator::start(config).await.map_err(|error| error.to_string())?;
    let mut estate = Estate::new().unwrap();
    estate.replace("request_timeout = \"20s\"", "request_timeout = \"2s\"");
    estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
    super::vmc::organisation(&mut estate, &simulator, operation.ends_with("/auth/authorize")).unwrap();
    simulator.add_faults(from_seed(seed));
    match mode {
        Mode::Once => once(&simulator, &estate).await?,
        Mode::Live => live(&simulator, &estate).await?,
        Mode::Check => check(&simulator, &estate).await?,
    }
    let injected = simulator.injected_faults();
    no_leaks(&simulator, &injected)?;
    let count = injected.len();
    simulator.shutdown().await;
    Ok(count)
}

/// The inventory is complete and right, or says which part of it is not, and why; the other part is right all the same.
async fn once(simulator: &Simulator, estate: &Estate) -> Result<(), String> {
    let begin = Instant::now();
    let ended = estate
        .vmbridge(&["inventory", "--json"])
        .unwrap()
        .run()
        .await
        .map_err(|error| format!("{error:#}"))?;
    if begin.elapsed() > LONGEST {
        return Err(format!("it took {:?}: {}", begin.elapsed(), ended.stderr));
    }
    clean(&ended.stderr, simulator)?;
    let inventory: Value =
        serde_json::from_str(&ended.stdout).map_err(|error| format!("{error}: {ended:?}"))?;
    let complete = match ended.code {
        Some(0) => true,
        Some(1) => false,
        code => return Err(format!("exit code {code:?}: {}", ended.stderr)),
    };
    if inventory["complete"] != complete || (!complete && ended.stderr.trim().is_empty()) {
        return Err(format!(
            "complete {}, exit code {:?}, said {:?}",
            inventory["complete"], ended.code, ended.stderr
        ));
    }
    let vcenters = inventory["vcenters"].as_array().unwrap();
    let right = |name: &str| {
        vcenters.iter().any(|v| v["name"] == name && v["state"] == "current" && v["tagsError"].is_null())
    };
    let truths: Vec<_> = ["dc1", "cloud/sddc1"]
        .into_iter()
        .zip(simulator.vcenters())
        .filter(|(name, _)| right(name))
        .map(|(name, vcenter)| (name, vcenter.truth()))
        .collect();
    if complete && truths.len() != 2 {
        return Err(format!("it claims to be complete with {vcenters:?}"));
    }
    let differences = truth::differences(&inventory, &truths);
    if !differences.is_empty() {
        return Err(format!(
            "{} differences from the truth, such as {:?}",
            differences.len(),
            &differences[..differences.len().min(5)]
        ));
    }
    Ok(())
}

/// The check ends, and either all is well or something is said to be wrong, with a remedy.
async fn check(simulator: &Simulator, estate: &Estate) -> Result<(), String> {
    let begin = Instant::now();
    let ended =
        estate.vmbridge(&["check", "--json"]).unwrap().run().await.map_err(|error| format!("{error:#}"))?;
    if begin.elapsed() > LONGEST {
        return Err(format!("it took {:?}: {}", begin.elapsed(), ended.stderr));
    }
    clean(&ended.stderr, simulator)?;
    clean(&ended.stdout, simulator)?;
    let report: Value = serde_json::from_str(&ended.stdout).map_err(|error| format!("{error}: {ended:?}"))?;
    let rows =
        report["sources"].as_array().unwrap().iter().flat_map(|source| source["checks"].as_array().unwrap());
    let failed: Vec<_> = rows.filter(|row| row["outcome"] == "fail").collect();
    match (ended.code, failed.is_empty()) {
        (Some(0), true) => Ok(()),
        (Some(1), false) if failed.iter().all(|row| row["fix"].is_string()) => Ok(()),
        _ => Err(format!("exit code {:?} with {failed:?}", ended.code)),
    }
}

/// A watch gets over it: once the fault is over, changes are seen.
async fn live(simulator: &Simulator, estate: &Estate) -> Result<(), String> {
    let failed = |error: anyhow::Error| format!("{error:#}");
    let mut watch = estate.vmbridge(&["watch", "--json"]).unwrap().start().map_err(failed)?;
    watch.says("what changes from now on follows").await.map_err(failed)?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let vcenter = &simulator.vcenters()[0];
    let vm = vcenter.vm_ids()[7].clone();
    // A tag event, for the calls that follow one.
    let (category, name) = ("Fault".to_owned(), "met".to_owned());
    for change in [
        Mutation::CreateCategory { name: category.clone(), single: false },
        Mutation::CreateTag { category, name },
        Mutation::AttachTag { id: vm.clone(), tag: "Fault:met".to_owned() },
    ] {
        vcenter.mutate(&change).map_err(|error| error.to_string())?;
    }
    let begin = Instant::now();
    let mut number = 0;
    'seen: loop {
        if begin.elapsed() > LONGEST {
            return Err("changes are no longer seen".to_owned());
        }
        if begin.elapsed() > Duration::from_secs(4) {
            simulator.clear_faults();
        }
        number += 1;
        let name = format!("changed-{number}");
        vcenter.mutate(&Mutation::Rename { id: vm.clone(), name }).map_err(|error| error.to_string())?;
        let wait = Instant::now();
        while wait.elapsed() < Duration::from_secs(2) {
            if let Ok(line) = watch.line(Duration::from_secs(2)).await {
                let change: Value =
                    serde_json::from_str(&line).map_err(|error| format!("{error}: {line}"))?;
                if change["vcenter"] == "dc1"
                    && change["name"].as_str().is_some_and(|name| name.starts_with("changed-"))
                {
                    break 'seen;
                }
            }
        }
    }
    simulator.clear_faults();
    watch.signal("TERM").await.map_err(failed)?;
    let ended = watch.ended().await.map_err(failed)?;
    if ended.code != Some(0) {
        return Err(format!("exit code {:?}: {}", ended.code, ended.stderr));
    }
    clean(&ended.stderr, simulator)
}

fn clean(said: &str, simulator: &Simulator) -> Result<(), String> {
    if said.contains("panicked") {
        return Err(format!("it panicked: {said}"));
    }
    let secrets = simulator
        .vcenters()
        .iter()
        .map(vmbridge_simulator::Vcenter::password)
        .chain(["sim-refresh-token", "sim-app-secret"]);
    match secrets.into_iter().find(|secret| said.contains(secret)) {
        Some(_) => Err("it said a secret".to_owned()),
        None => Ok(()),
    }
}

/// A session may be left behind only where the fault hit the call that makes or ends it, so that nobody could end it.
fn no_leaks(simulator: &Simulator, injected: &[InjectedFault]) -> Result<(), String> {
    let excused = injected
        .iter()
        .filter(|fault| {
            let operation = fault.operation.as_str();
            operation == "Login" || operation == "Logout" || operation.ends_with("session")
        })
        .count();
    let open: usize = simulator.vcenters().iter().map(|vcenter| vcenter.sessions().open).sum();
    if open > excused {
        return Err(format!("{open} sessions are left, {excused} calls to make or end one were hit"));
    }
    Ok(())
}
