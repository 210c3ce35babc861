//! Guests of a test: they do what the installer would do, count what was started, and go wrong as they are told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use super::*;
use crate::config::{EnrolSettings, Environment, GuestCredentials};
use crate::engine::{
    Content, GuestErrorKind, GuestFailure, GuestHands, GuestPort, GuestSettings, InGuest, Login, Process,
    Program,
};
use crate::secret::{SecretRef, SecretResolver, SecretSource};
use crate::store::VmId;

/// How long the installer works.
const WORK: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
struct Running {
    vm: Arc<str>,
    process: Process,
}

#[derive(Default)]
struct State {
    /// Files by VM and path.
    files: BTreeMap<(Arc<str>, String), Vec<u8>>,
    directories: Vec<(Arc<str>, String)>,
    processes: Vec<Running>,
    started: Vec<(Arc<str>, String)>,
    /// The registration that each guest has.
    registered: BTreeMap<Arc<str>, NodeId>,
    /// Exit codes of the next programs, other than that they do their work.
    exits: VecDeque<i32>,
    faults: VecDeque<Fault>,
    next: i64,
    calls: usize,
    refuses: bool,
    off: bool,
}

/// Clones share it.
#[derive(Clone)]
pub(super) struct FakeGuests {
    state: Arc<Mutex<State>>,
    vms: Arc<Vec<TestVm>>,
    aws: FakeAws,
}

impl FakeGuests {
    pub(super) fn new(vms: &[TestVm], aws: FakeAws, _clock: Clock) -> Self {
        Self { state: Arc::default(), vms: Arc::new(vms.to_vec()), aws }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Hands in these guests.
    pub(super) fn hands(&self) -> GuestHands {
        let text = "[[vcenter]]\nname = \"dc1\"\nurl = \"https://vc.example.com\"\nusername = \"u\"\npassword = { env = \"P\" }\n";
        let environment = Environment::from_iter([("GUEST", "correct")]);
        let config = crate::config::parse(text, std::path::Path::new("vmbridge.toml"), &environment).unwrap();
        let settings = GuestSettings {
            enrol: EnrolSettings { ..config.enrol },
            credentials: vec![GuestCredentials {
                name: "root".into(),
                vms: mappings::selector::Selector::default(),
                username: "root".into(),
                password: SecretRef::new("credentials.root.password", SecretSource::Env("GUEST".into())),
                sudo: false,
            }],
        };
        GuestHands::new(Arc::new(self.clone()), settings, SecretResolver::new(environment))
    }

    pub(super) fn refuse_logins(&self, refuses: bool) {
        self.lock().refuses = refuses;
    }

    pub(super) fn exit_with(&self, codes: impl IntoIterator<Item = i32>) {
        self.lock().exits.extend(codes);
    }

    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.lock().faults.extend(faults);
    }

    pub(super) fn heal(&self) {
        let mut state = self.lock();
        state.faults.clear();
        state.exits.clear();
        state.off = false;
    }

    /// Every process ends without a word.
    pub(super) fn reboot(&self) {
        self.lock().processes.clear();
    }

    pub(super) fn switch(&self, on: bool) {
        let mut state = self.lock();
        state.off = !on;
        if !on {
            state.processes.clear();
        }
    }

    pub(super) fn set_registration(&self, vm: &TestVm, node: &NodeId) {
        self.lock().registered.insert(vm.moref().shared_value(), node.clone());
    }

    /// What was started, by VM, with what it was started with.
    pub(super) fn started(&self) -> Vec<(Arc<str>, String)> {
        self.lock().started.clone()
    }

    pub(super) fn calls(&self) -> usize {
        self.lock().calls
    }

    /// What is left in guests.
    pub(super) fn left(&self) -> Vec<String> {
        let state = self.lock();
        let files = state.files.keys().map(|(vm, path)| format!("{vm}:{path}"));
        files.chain(state.directories.iter().map(|(vm, path)| format!("{vm}:{path}"))).collect()
    }

    /// Whether anything left in a guest, or any command line, holds this.
    pub(super) fn holds(&self, text: &str) -> bool {
        let state = self.lock();
        let in_file = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).contains(text);
        state.files.values().any(in_file) || state.started.iter().any(|(_, line)| line.contains(text))
    }

    /// Whether the call takes place, and what is answered.
    fn fate(&self, login: &Login) -> (bool, Result<(), GuestFailure>) {
        use secrecy::ExposeSecret as _;
        let mut state = self.lock();
        state.calls += 1;
        let failure = |kind, may_have_taken_place| {
            Err(GuestFailure { kind, reason: "a fault of the test".into(), fix: None, may_have_taken_place })
        };
        if state.off {
            return (false, failure(GuestErrorKind::Unavailable, false));
        }
        if state.refuses || login.password.expose_secret() != "correct" {
            return (false, failure(GuestErrorKind::LoginRefused, false));
        }
        match state.faults.pop_front() {
            None | Some(Fault::Slow) => (true, Ok(())),
            Some(Fault::LostAfter) => (true, failure(GuestErrorKind::Transient, true)),
            Some(Fault::LostBefore) => (false, failure(GuestErrorKind::Transient, true)),
            Some(Fault::Denied) => (false, failure(GuestErrorKind::Refused, false)),
            Some(Fault::NotSent | Fault::Throttled) => (false, failure(GuestErrorKind::Transient, false)),
        }
    }

    /// What the installer does.
    async fn work(self, vm: Arc<str>, id: i64, arguments: String) {
        tokio::time::sleep(WORK).await;
        let words: Vec<&str> = arguments.split(' ').collect();
        let (step, directory) = (words[1], words[2]);
        let parameters = {
            let mut state = self.lock();
            if !state.processes.iter().any(|running| running.process.id == id) {
                return;
            }
            let path = (vm.clone(), format!("{directory}/parameters"));
            String::from_utf8(state.files.remove(&path).unwrap_or_default()).unwrap()
        };
        let value = |name: &str| {
            let line = parameters.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default().to_owned()
        };
        let scripted = self.lock().exits.pop_front();
        let mut code = scripted.unwrap_or(0);
        if code == 0 && step == "register" {
            let test = self.vms.iter().find(|test| *test.moref().shared_value() == *vm).unwrap();
            match self.aws.register_with(test, &value("ACTIVATION_ID"), &value("ACTIVATION_CODE")) {
                Some(node) => drop(self.lock().registered.insert(vm.clone(), node)),
                None => code = 30,
            }
        }
        let mut state = self.lock();
        let registration = state
            .registered
            .get(&vm)
            .map(|node| serde_json::json!({ "node": node.as_str(), "region": "eu-central-1" }));
        let mut report = serde_json::json!({
            "v": 1, "step": step, "code": code, "reason": "test", "detail": "a test",
            "os": { "id": "debian", "version": "12" }, "arch": "x86_64",
            "agent": { "installed": true, "version": "3.3.0.0", "running": true },
        });
        if let Some(registration) = registration {
            report["registration"] = registration;
        }
        state.files.insert((vm.clone(), format!("{directory}/result.json")), report.to_string().into_bytes());
        if let Some(running) = state.processes.iter_mut().find(|running| running.process.id == id) {
            running.process.ended = true;
            running.process.exit = Some(code);
        }
    }
}

fn not_found() -> GuestFailure {
    GuestFailure {
        kind: GuestErrorKind::NotFound,
        reason: "there is no such file".into(),
        fix: None,
        may_have_taken_place: false,
    }
}

impl GuestPort for FakeGuests {
    fn make_directory<'a>(&'a self, vm: &'a VmId, login: &'a Login, prefix: &'a str) -> InGuest<'a, String> {
        let (takes_place, answer) = self.fate(login);
        let mut state = self.lock();
        state.next += 1;
        let path = format!("/tmp/{prefix}{}", state.next);
        if takes_place {
            state.directories.push((vm.vm.clone(), path.clone()));
        }
        Box::pin(async move { answer.map(|()| path) })
    }

    fn upload<'a>(
        &'a self,
        vm: &'a VmId,
        login: &'a Login,
        path: &'a str,
        content: &'a Content,
    ) -> InGuest<'a, ()> {
        let (takes_place, answer) = self.fate(login);
        let Content::Bytes(bytes) = content else { unreachable!("the test has no files") };
        if takes_place {
            self.lock().files.insert((vm.vm.clone(), path.to_owned()), bytes.clone());
        }
        Box::pin(async move { answer })
    }

    fn download<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str, _: u64) -> InGuest<'a, Vec<u8>> {
        let (_, answer) = self.fate(login);
        let found = self.lock().files.get(&(vm.vm.clone(), path.to_owned())).cloned();
        Box::pin(async move { answer.and_then(|()| found.ok_or_else(not_found)) })
    }

    fn start<'a>(&'a self, vm: &'a VmId, login: &'a Login, program: &'a Program) -> InGuest<'a, i64> {
        let (takes_place, answer) = self.fate(login);
        let mut state = self.lock();
        state.next += 1;
        let id = state.next;
        if takes_place {
            let command_line = format!("{} {}", program.path, program.arguments);
            state.started.push((vm.vm.clone(), command_line.clone()));
            let process = Process { id, command_line, ended: false, exit: None, ran: None };
            state.processes.push(Running { vm: vm.vm.clone(), process });
            tokio::spawn(self.clone().work(vm.vm.clone(), id, program.arguments.clone()));
        }
        Box::pin(async move { answer.map(|()| id) })
    }

    fn processes<'a>(&'a self, vm: &'a VmId, login: &'a Login, id: Option<i64>) -> InGuest<'a, Vec<Process>> {
        let (_, answer) = self.fate(login);
        let state = self.lock();
        let of_vm = state.processes.iter().filter(|running| *running.vm == *vm.vm);
        let found = of_vm
            .map(|running| running.process.clone())
            .filter(|process| id.is_none_or(|id| process.id == id));
        let found: Vec<_> = found.collect();
        Box::pin(async move { answer.map(|()| found) })
    }

    fn delete_directory<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str) -> InGuest<'a, ()> {
        let (takes_place, answer) = self.fate(login);
        let mut state = self.lock();
        let there = state.directories.iter().any(|(at, known)| *at == vm.vm && known == path);
        if takes_place {
            state.directories.retain(|(at, known)| *at != vm.vm || known != path);
            let inside = format!("{path}/");
            state.files.retain(|(at, file), _| *at != vm.vm || !file.starts_with(&inside));
        }
        Box::pin(async move { answer.and_then(|()| if there { Ok(()) } else { Err(not_found()) }) })
    }

    fn exists<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str) -> InGuest<'a, bool> {
        let (_, answer) = self.fate(login);
        let there = self.lock().directories.iter().any(|(at, known)| *at == vm.vm && known == path);
        Box::pin(async move { answer.map(|()| there) })
    }
}
