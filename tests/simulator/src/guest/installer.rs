//! What the installer of an SSM Agent does in a guest: a model of `scripts/guest/install-ssm-agent.*`, after the description of
//! what it is told and what it reports (docs/enrolment.md), not after its text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::account::Who;
use super::outcome::{code, reason};
use super::{File, Guest, GuestRegistration};
use crate::aws::{AwsMutation, AwsVm};
use crate::clock::now;
use crate::vcenter::{Shared, lock};
use crate::world::{Entity, ObjId};

/// The version of the agent that is installed.
pub(super) const VERSION: &str = "3.3.1611.0";
/// How long the installer works, if nobody says otherwise.
const WORK: Duration = Duration::from_millis(300);
/// The room that an installation takes, in MiB, if it is not told.
const ROOM: u64 = 300;

/// The steps that it knows.
const STEPS: [&str; 5] = ["preflight", "prepare", "register", "restart", "cleanup"];

/// The names that it is told.
const PARAMETERS: [&str; 18] = [
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
    "REINSTALL",
    "MINIMUM_DISK_MIB",
];

type Parameters = BTreeMap<String, String>;

/// A program that was started.
pub(super) struct Started {
    pub(super) vm: ObjId,
    pub(super) windows: bool,
    pub(super) pid: i64,
    pub(super) who: Who,
    pub(super) path: String,
    pub(super) arguments: String,
    pub(super) variables: Vec<String>,
}

impl Started {
    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
    }

    fn in_directory(&self, directory: &str, name: &str) -> String {
        format!("{directory}{}{name}", if self.windows { '\\' } else { '/' })
    }

    /// The step and the directory, if this starts the installer: its file, or its text that came along.
    fn told(&self) -> Option<(String, String)> {
        let words: Vec<&str> =
            self.arguments.split_whitespace().map(|word| word.trim_matches(['"', '\''])).collect();
        if let Some(at) = words.iter().position(|word| word.contains("install-ssm-agent.")) {
            return Some(((*words.get(at + 1)?).to_owned(), (*words.get(at + 2)?).to_owned()));
        }
        self.variable("VMBRIDGE_SCRIPT").filter(|text| !text.is_empty())?;
        let at = words.iter().position(|word| STEPS.contains(word))?;
        Some(((*words.get(at)?).to_owned(), (*words.get(at + 1)?).to_owned()))
    }

    /// Whose the files are that it writes: also by sudo those of whoever the directory belongs to.
    fn writes_as(&self) -> String {
        self.who.username.clone()
    }

    /// Whether it runs with all rights, or why it does not even start.
    fn rights(&self) -> Result<bool, i32> {
        if self.path != "/usr/bin/sudo" {
            return Ok(self.who.privileged);
        }
        // `sudo -n` ends with 1 where it would have to ask for a password.
        if self.who.privileged || self.who.sudo { Ok(true) } else { Err(1) }
    }
}

/// What the installer knows before it works.
struct Begun {
    step: String,
    directory: String,
    privileged: bool,
    parameters: Result<Parameters, i32>,
}

/// Works for a while and ends.
pub(super) async fn run(shared: Arc<Shared>, started: Started) {
    let begun = begin(&shared, &started);
    let work = shared.guests.with(started.vm, |guest| guest.work).unwrap_or(WORK);
    tokio::time::sleep(work).await;
    let code = match begun {
        Ok(begun) => end(&shared, &started, &begun),
        Err(code) => Some(code),
    };
    // Nobody is told how a process ended that was lost when the guest was started again.
    let Some(code) = code else { return };
    shared.guests.with(started.vm, |guest| {
        if let Some(process) = guest.processes.iter_mut().find(|process| process.pid == started.pid) {
            process.ended.get_or_insert((now(0), code));
        }
    });
}

/// Reads what it is told, and deletes it.
fn begin(shared: &Shared, started: &Started) -> Result<Begun, i32> {
    let (step, directory) = started.told().ok_or(127)?;
    let privileged = started.rights()?;
    let script = if started.windows { "install-ssm-agent.ps1" } else { "install-ssm-agent.sh" };
    let script = started.in_directory(&directory, script);
    let parameters = started.in_directory(&directory, "parameters");
    let carried = started.variable("VMBRIDGE_SCRIPT").is_some();
    let text = shared.guests.with(started.vm, |guest| {
        if !carried && !guest.files.contains_key(&script) {
            return Err(127);
        }
        if carried {
            guest.directories.entry(directory.clone()).or_insert_with(|| started.who.username.clone());
        }
        note(guest, started, &directory, "checking");
        // Whoever may read the parameters may register as this VM.
        let file = guest.files.remove(&parameters).filter(|file| started.windows || file.mode & 0o077 == 0);
        Ok(file.map(|file| String::from_utf8(file.bytes).unwrap_or_default()))
    })?;
    let text = text.or_else(|| started.variable("VMBRIDGE_PARAMETERS").map(str::to_owned));
    // To delete a directory or to start a service, nothing has to be known.
    let text = text.or_else(|| matches!(step.as_str(), "cleanup" | "restart").then(String::new));
    Ok(Begun { step, directory, privileged, parameters: text.as_deref().map_or(Err(40), read) })
}

fn read(text: &str) -> Result<Parameters, i32> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let pairs = lines.map(|line| line.split_once('=').ok_or(40));
    let read: Parameters = pairs
        .map(|pair| pair.map(|(name, value)| (name.to_owned(), value.to_owned())))
        .collect::<Result<_, i32>>()?;
    let known = read.keys().all(|name| PARAMETERS.contains(&name.as_str()));
    let source =
        read.get("SOURCE").is_none_or(|source| ["download", "push", "present"].contains(&source.as_str()));
    if known && source { Ok(read) } else { Err(40) }
}

/// Writes down how far it is.
fn note(guest: &mut Guest, started: &Started, directory: &str, word: &str) {
    let fresh = File { bytes: Vec::new(), mode: 0o600, owner: started.writes_as() };
    let file = guest.files.entry(started.in_directory(directory, "progress")).or_insert(fresh);
    file.bytes.extend_from_slice(word.as_bytes());
    file.bytes.push(b'\n');
}

/// Does the step and reports. Gives nothing when the process is no more.
fn end(shared: &Arc<Shared>, started: &Started, begun: &Begun) -> Option<i32> {
    let Begun { step, directory, privileged, parameters } = begun;
    let vm = started.vm;
    let running = |guest: &mut Guest| {
        guest.processes.iter().any(|process| process.pid == started.pid && process.ended.is_none())
    };
    if !shared.guests.with(vm, running) {
        return None;
    }
    let scripted = shared.guests.with(vm, |guest| {
        let outcome = guest.outcomes.get_mut(step).and_then(std::collections::VecDeque::pop_front);
        outcome.map(|reason| code(&reason)).or_else(|| guest.exits.pop_front())
    });
    let done = match (parameters, scripted) {
        (Err(code), _) => Err(*code),
        (Ok(_), Some(code)) if code != 0 => Err(code),
        (Ok(_), _) if !privileged && step != "cleanup" => Err(code("not-privileged")),
        (Ok(told), _) => act(shared, started, step, told),
    };
    let code = done.err().unwrap_or(0);
    shared.guests.with(vm, |guest| {
        if step == "cleanup" && code == 0 {
            guest.directories.remove(directory);
            guest.files.retain(|path, _| !super::soap::is_in(path, directory));
            return;
        }
        let words: &[&str] = match (step.as_str(), code) {
            ("prepare", 0) => &["downloading", "verifying", "installing"],
            ("register", 0) => &["registering", "starting"],
            ("restart", 0) => &["starting"],
            _ => &[],
        };
        for word in words {
            note(guest, started, directory, word);
        }
        let report = report(guest, step, code);
        let file = File { bytes: report.into_bytes(), mode: 0o600, owner: started.writes_as() };
        guest.files.insert(started.in_directory(directory, "result.json"), file);
    });
    Some(code)
}

/// What `result.json` says.
fn report(guest: &Guest, step: &str, code: i32) -> String {
    let (id, family, version) =
        if guest.windows { ("windows", "windows", "10.0.20348") } else { ("debian", "deb", "12") };
    let mut agent = json!({ "installed": guest.agent.is_some(), "running": guest.registered.is_some() });
    if let Some(version) = &guest.agent {
        agent["version"] = json!(version);
    }
    let mut report = json!({
        "v": 1, "step": step, "code": code, "reason": reason(code),
        "detail": format!("{step} ended with {}", reason(code)),
        "os": { "id": id, "version": version, "name": "a guest of the simulator" },
        "arch": "x86_64", "family": family, "diskFreeMiB": guest.room_for("") >> 20, "clock": now(0).as_second(),
        "agent": agent,
    });
    if let Some(registered) = &guest.registered {
        report["registration"] = json!(registered);
    }
    report.to_string()
}

/// The numbers of a version.
fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map_while(|part| part.parse().ok()).collect()
}

/// Does what a step is for.
fn act(shared: &Arc<Shared>, started: &Started, step: &str, told: &Parameters) -> Result<(), i32> {
    let vm = started.vm;
    let value = |name: &str| told.get(name).map(String::as_str).unwrap_or_default();
    if !STEPS.contains(&step) {
        return Err(code("bad-parameters"));
    }
    if step == "cleanup" {
        return Ok(());
    }
    let needed = value("MINIMUM_DISK_MIB").parse().unwrap_or(ROOM);
    let present = value("SOURCE") == "present";
    let installed = shared.guests.with(vm, |guest| {
        let looks = matches!(step, "preflight" | "prepare");
        if looks && guest.agent.is_none() && guest.room_for("") >> 20 < needed {
            return Err(code("disk-full"));
        }
        match &guest.agent {
            Some(version)
                if present && step == "prepare" && numbers(version) < numbers(value("MINIMUM_VERSION")) =>
            {
                Err(code("agent-too-old"))
            }
            None if present && step == "prepare" || matches!(step, "register" | "restart") => {
                Err(code("agent-absent"))
            }
            _ => Ok(()),
        }
    });
    installed?;
    match step {
        "prepare" if !present => {
            shared.guests.with(vm, |guest| {
                // What is there and new enough stays.
                let old = |version: &String| numbers(version) < numbers(value("MINIMUM_VERSION"));
                if guest.agent.as_ref().is_none_or(old) {
                    guest.agent = Some(VERSION.to_owned());
                }
            });
            Ok(())
        }
        "register" => register(shared, vm, told),
        "restart" => {
            restart(shared, vm);
            Ok(())
        }
        _ => Ok(()),
    }
}

pub(super) fn ping(node: &str, status: &str) -> AwsMutation {
    AwsMutation::SetNode {
        node: node.to_owned(),
        ping_status: Some(status.to_owned()),
        computer_name: None,
        ip_address: None,
        agent_version: None,
    }
}

/// The agent is started again, and tells AWS that it is there.
fn restart(shared: &Shared, vm: ObjId) {
    let registered = shared.guests.with(vm, |guest| guest.registered.clone());
    let aws = lock(&shared.guests.aws).clone();
    if let (Some(registered), Some(aws)) = (registered, aws) {
        // A node that was deregistered meanwhile is told nothing.
        let _ = aws.mutate(&ping(&registered.node, "Online"));
    }
    shared.record("RestartAgent", &vm.to_string(), json!({}), true);
}

/// The agent registers, unless it is registered by this very activation already.
fn register(shared: &Arc<Shared>, vm: ObjId, told: &Parameters) -> Result<(), i32> {
    let value = |name: &str| told.get(name).map(String::as_str).unwrap_or_default();
    let (id, secret, region) = (value("ACTIVATION_ID"), value("ACTIVATION_CODE"), value("REGION"));
    if [id, secret, region].contains(&"") {
        return Err(code("bad-parameters"));
    }
    let (known, by) = shared.guests.with(vm, |guest| (guest.registered.clone(), guest.activation.clone()));
    if known.is_some() {
        if by.as_deref() == Some(id) {
            return Ok(());
        }
        if value("REREGISTER") != "true" {
            return Err(code("registered-elsewhere"));
        }
    }
    let failed = code("registration-failed");
    let aws = lock(&shared.guests.aws).clone().ok_or(failed)?;
    let found = aws.accounts().into_iter().find_map(|account| {
        let activations = aws.activations(&account.id, region);
        activations.into_iter().find(|known| known.activation_id == id).map(|known| (account.id, known))
    });
    let refused = code("activation-refused");
    let (account, activation) = found.ok_or(refused)?;
    let used = activation.registrations_count >= activation.registration_limit;
    if activation.activation_code != secret || used || activation.expiration_date <= now(0) {
        return Err(refused);
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
    // Tools may not have told a name or an address (yet); the agent has both all the same.
    let told_nothing = |add: &AwsMutation| match add.clone() {
        AwsMutation::AddNode { account, region, computer_name, activation, tags, .. } => {
            AwsMutation::AddNode {
                account,
                region,
                vm: None,
                computer_name: computer_name.or_else(|| Some(format!("guest-{vm}"))),
                ip_address: None,
                platform_type: None,
                activation,
                tags,
            }
        }
        other => other,
    };
    let made = aws.mutate(&add).or_else(|_| aws.mutate(&told_nothing(&add)));
    let node = made.ok().flatten().ok_or(failed)?;
    shared.record(
        "RegisterManagedInstance",
        &vm.to_string(),
        json!({ "node": node, "activation": id }),
        true,
    );
    let silent = shared.guests.with(vm, |guest| {
        guest.registered = Some(GuestRegistration { node: node.clone(), region: region.to_owned() });
        guest.activation = Some(id.to_owned());
        guest.online_after
    });
    if !silent.is_zero() {
        let _ = aws.mutate(&ping(&node, "Inactive"));
        tokio::spawn(async move {
            tokio::time::sleep(silent).await;
            let _ = aws.mutate(&ping(&node, "Online"));
        });
    }
    Ok(())
}
