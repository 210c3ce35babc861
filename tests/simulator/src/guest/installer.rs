//! What the installer of an SSM Agent does in a guest: a model of `scripts/guest/install-ssm-agent.*`, after the description of
//! what it is told and what it reports (docs/enrolment.md), not after its text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{File, GuestRegistration};
use crate::aws::{AwsMutation, AwsVm};
use crate::clock::now;
use crate::vcenter::{Shared, lock};
use crate::world::{Entity, ObjId};

/// How long the installer works, if nobody says otherwise.
const WORK: Duration = Duration::from_millis(300);

/// The names that the installer is told.
const PARAMETERS: [&str; 17] = [
    "REGION",
    "ACTIVATION_ID",
    "ACTIVATION_CODE",
    "SOURCE",
    "PACKAGE_URL",
    "PACKAGE_SHA256",
    "SIGNATURE_URL",
    "SIGNATURE_KEY",
    "PACKAGE_FILE",
    "PROXY",
    "NO_PROXY",
    "CA_FILE",
    "AGENT_CONFIG",
    "ENDPOINTS",
    "MINIMUM_VERSION",
    "REREGISTER",
    "MINIMUM_DISK_MIB",
];

/// Works for a while and ends.
pub(super) async fn run(shared: Arc<Shared>, vm: ObjId, windows: bool, pid: i64, arguments: String) {
    let work = shared.guests.with(vm, |guest| guest.work).unwrap_or(WORK);
    tokio::time::sleep(work).await;
    let code = match told(&arguments) {
        Some((step, directory)) => step_of(&shared, vm, windows, pid, &step, &directory),
        None => Some(127),
    };
    // Nobody is told how a process ended that was lost when the guest was started again.
    let Some(code) = code else { return };
    shared.guests.with(vm, |guest| {
        if let Some(process) = guest.processes.iter_mut().find(|process| process.pid == pid) {
            process.ended = Some((now(0), code));
        }
    });
}

/// The step and the directory, if this starts the installer.
fn told(arguments: &str) -> Option<(String, String)> {
    let words: Vec<&str> = arguments.split_whitespace().map(|word| word.trim_matches('"')).collect();
    let at = words.iter().position(|word| word.contains("install-ssm-agent."))?;
    Some(((*words.get(at + 1)?).to_owned(), (*words.get(at + 2)?).to_owned()))
}

fn step_of(
    shared: &Arc<Shared>,
    vm: ObjId,
    windows: bool,
    pid: i64,
    step: &str,
    directory: &str,
) -> Option<i32> {
    let separator = if windows { '\\' } else { '/' };
    let path = |name: &str| format!("{directory}{separator}{name}");
    let script = if windows { "install-ssm-agent.ps1" } else { "install-ssm-agent.sh" };
    let (parameters, scripted, there, registered) = shared.guests.with(vm, |guest| {
        if !guest.processes.iter().any(|process| process.pid == pid) {
            return None;
        }
        let there = guest.files.contains_key(&path(script));
        // Whoever may read the parameters may register as this VM.
        let parameters =
            guest.files.remove(&path("parameters")).filter(|file| windows || file.mode & 0o077 == 0);
        Some((parameters, guest.exits.pop_front(), there, guest.registered.clone()))
    })?;
    let told = parameters.and_then(|file| {
        let text = String::from_utf8(file.bytes).ok()?;
        let pairs = text
            .lines()
            .map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        pairs.collect::<Option<BTreeMap<String, String>>>()
    });
    let told = told.filter(|told| told.keys().all(|name| PARAMETERS.contains(&name.as_str())));
    let (code, registered) = match (&told, scripted) {
        _ if !there => return Some(127),
        (None, _) => (40, registered),
        (_, Some(code)) => (code, registered),
        (Some(told), None) if step == "register" => match register(shared, vm, told, registered.as_ref()) {
            Ok(registered) => (0, Some(registered)),
            Err(code) => (code, registered),
        },
        (Some(_), None) => (0, registered),
    };
    let mut report = json!({
        "v": 1, "step": step, "code": code, "reason": if code == 0 { "ok" } else { "scripted" },
        "detail": format!("{step} ended with {code}"),
        "os": { "id": if windows { "windows" } else { "debian" }, "version": "12", "name": "a guest of the simulator" },
        "arch": "x86_64", "family": if windows { "windows" } else { "deb" }, "diskFreeMiB": 4096,
        "clock": now(0).as_second(),
        "agent": { "installed": code == 0 || registered.is_some(), "version": "3.3.1611.0", "running": registered.is_some() },
    });
    if let Some(registered) = &registered {
        report["registration"] = json!(registered);
    }
    shared.guests.with(vm, |guest| {
        // What happened in the registration stays, whoever sees it.
        guest.registered = registered;
        guest.files.insert(path("result.json"), File { bytes: report.to_string().into_bytes(), mode: 0o600 });
    });
    Some(code)
}

/// The agent registers.
fn register(
    shared: &Arc<Shared>,
    vm: ObjId,
    told: &BTreeMap<String, String>,
    registered: Option<&GuestRegistration>,
) -> Result<GuestRegistration, i32> {
    let value = |name: &str| told.get(name).map(String::as_str).unwrap_or_default();
    let (id, code, region) = (value("ACTIVATION_ID"), value("ACTIVATION_CODE"), value("REGION"));
    if registered.is_some() && value("REREGISTER") != "true" {
        return Err(32);
    }
    let aws = lock(&shared.guests.aws).clone().ok_or(31)?;
    let known = aws.accounts().into_iter().find_map(|account| {
        let activations = aws.activations(&account.id, region);
        activations.into_iter().find(|known| known.activation_id == id).map(|known| (account.id, known))
    });
    let (account, activation) = known.ok_or(30)?;
    let used = activation.registrations_count >= activation.registration_limit;
    if activation.activation_code != code || used || activation.expiration_date <= now(0) {
        return Err(30);
    }
    let vcenter = shared.config.name.clone();
    let name = shared.world().get(vm).and_then(Entity::vm).and_then(|vm| vm.guest.host_name.clone());
    let add = AwsMutation::AddNode {
        account: Some(account),
        region: Some(region.to_owned()),
        vm: Some(AwsVm { vcenter, moref: vm.to_string() }),
        computer_name: name.map(Into::into),
        ip_address: None,
        platform_type: None,
        activation: Some(id.to_owned()),
        tags: BTreeMap::new(),
    };
    let node = aws.mutate(&add).ok().flatten().ok_or(31)?;
    shared.record(
        "RegisterManagedInstance",
        &vm.to_string(),
        json!({ "node": node, "activation": id }),
        true,
    );
    let silent = shared.guests.with(vm, |guest| guest.online_after);
    if !silent.is_zero() {
        let quiet = |status: &str| AwsMutation::SetNode {
            node: node.clone(),
            ping_status: Some(status.to_owned()),
            computer_name: None,
            ip_address: None,
            agent_version: None,
        };
        let _ = aws.mutate(&quiet("Inactive"));
        let online = quiet("Online");
        tokio::spawn(async move {
            tokio::time::sleep(silent).await;
            let _ = aws.mutate(&online);
        });
    }
    Ok(GuestRegistration { node, region: region.to_owned() })
}
