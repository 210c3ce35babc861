//! Hands in guests: the installer is put there, started, watched and removed.
//!
//! What is done in a guest is done through a port ([`GuestPort`]); behind it are the guest operations of vCenter, in the
//! session that observes it. Passwords are read from where they are each time they are used. What a guest sends back is
//! hostile: it is limited in size and checked before anything is believed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_lc_rs::digest::{SHA256, digest};
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use secrecy::{ExposeSecret as _, SecretString};

use super::hands::{EffectError, Gain, Trace};
use crate::aws::ActivationId;
use crate::config::{Config, EnrolSettings, GuestCredentials, Source};
use crate::enrol::{Enrolment, Problem, Purpose, Report, Stage, System};
use crate::secret::SecretResolver;
use crate::store::VmId;

/// The installer for Linux.
const SCRIPT_LINUX: &str = include_str!("../../../scripts/guest/install-ssm-agent.sh");
/// The installer for Windows.
const SCRIPT_WINDOWS: &str = include_str!("../../../scripts/guest/install-ssm-agent.ps1");
/// The beginning of the name of our directory in a guest.
const PREFIX: &str = "vmbridge-";
/// The largest report that is read, in bytes.
const LONGEST_REPORT: u64 = crate::enrol::LONGEST_REPORT;

/// Who works in a guest.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// What is put into a guest.
#[derive(Debug, Clone)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of this machine.
    File(PathBuf),
}

/// A program to start in a guest.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its path.
    pub path: String,
    /// Its arguments, as one text.
    pub arguments: String,
    /// Variables, as `NAME=value`.
    pub environment: Vec<String>,
}

/// A process in a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: i64,
    /// What it was started with.
    pub command_line: String,
    /// Whether it has ended.
    pub ended: bool,
    /// Its exit code. vCenter keeps it for five minutes.
    pub exit: Option<i32>,
    /// How long it ran, by the guest's own clock. Known when it has ended.
    pub ran: Option<SignedDuration>,
}

/// Why something cannot be done in a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestErrorKind {
    /// The guest refuses the user or the password.
    LoginRefused,
    /// The guest cannot be worked in now: it is off, or Tools do not run.
    Unavailable,
    /// The VM is gone.
    Gone,
    /// There is no such file or directory.
    NotFound,
    /// It may go well a little later.
    Transient,
    /// Somebody has to see to it.
    Refused,
}

/// Something that could not be done in a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestFailure {
    /// What can be done about it.
    pub kind: GuestErrorKind,
    /// What was said.
    pub reason: String,
    /// What to do.
    pub fix: Option<String>,
    /// It may have had its effect all the same.
    pub may_have_taken_place: bool,
}

/// What a call gives, later.
pub type InGuest<'a, T> = BoxFuture<'a, Result<T, GuestFailure>>;

/// What can be done in guests.
pub trait GuestPort: Send + Sync {
    /// Makes a directory that is for its maker only. Gives its path.
    fn make_directory<'a>(&'a self, vm: &'a VmId, login: &'a Login, prefix: &'a str) -> InGuest<'a, String>;
    /// Puts a file there, for its owner only.
    fn upload<'a>(
        &'a self,
        vm: &'a VmId,
        login: &'a Login,
        path: &'a str,
        content: &'a Content,
    ) -> InGuest<'a, ()>;
    /// Reads a file of at most `limit` bytes.
    fn download<'a>(
        &'a self,
        vm: &'a VmId,
        login: &'a Login,
        path: &'a str,
        limit: u64,
    ) -> InGuest<'a, Vec<u8>>;
    /// Starts a program.
    fn start<'a>(&'a self, vm: &'a VmId, login: &'a Login, program: &'a Program) -> InGuest<'a, i64>;
    /// One process, or all of them.
    fn processes<'a>(&'a self, vm: &'a VmId, login: &'a Login, id: Option<i64>) -> InGuest<'a, Vec<Process>>;
    /// Deletes a directory and all in it.
    fn delete_directory<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str) -> InGuest<'a, ()>;
    /// Whether there is such a file or directory.
    fn exists<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str) -> InGuest<'a, bool>;
}

/// What is to be started.
#[derive(Clone, Copy)]
pub(super) enum Launch<'a> {
    /// A look around, and the installation.
    Prepare,
    /// The registration.
    Register {
        /// The activation.
        activation: &'a ActivationId,
        /// Its code.
        code: &'a SecretString,
    },
}

/// How work in guests is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestSettings {
    /// How VMs become managed nodes.
    pub enrol: EnrolSettings,
    /// Accounts inside guests.
    pub credentials: Vec<GuestCredentials>,
}

impl GuestSettings {
    /// The settings of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self { enrol: config.enrol.clone(), credentials: config.credentials.clone() }
    }
}

/// What tells whether user and password of each entry of `[[credentials]]` are others now, or why they cannot be read.
pub type CredentialKeys = BTreeMap<Arc<str>, Result<Arc<str>, Arc<str>>>;

/// Reads the passwords of these entries, and keeps only what tells one from another.
pub async fn credential_keys(credentials: &[GuestCredentials], secrets: &SecretResolver) -> CredentialKeys {
    let mut keys = CredentialKeys::new();
    for credentials in credentials {
        let key = match secrets.resolve(&credentials.password).await {
            Ok(password) => Ok(fingerprint(&credentials.username, &password)),
            Err(error) => Err(vsphere_client::error::chain(&error).into()),
        };
        keys.insert(credentials.name.as_str().into(), key);
    }
    keys
}

/// Hands in guests. Clones share them.
#[derive(Clone)]
pub struct GuestHands(Arc<Inner>);

struct Inner {
    port: Arc<dyn GuestPort>,
    settings: RwLock<Arc<GuestSettings>>,
    secrets: SecretResolver,
    codes: Mutex<BTreeMap<ActivationId, SecretString>>,
}

impl GuestHands {
    /// Hands that work through this port.
    #[must_use]
    pub fn new(port: Arc<dyn GuestPort>, settings: GuestSettings, secrets: SecretResolver) -> Self {
        let settings = RwLock::new(Arc::new(settings));
        Self(Arc::new(Inner { port, settings, secrets, codes: Mutex::default() }))
    }

    /// Works like this from now on.
    pub fn set(&self, settings: GuestSettings) {
        *self.0.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn settings(&self) -> Arc<GuestSettings> {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps the code of an activation until it is used.
    pub(super) fn keep_code(&self, activation: &ActivationId, code: SecretString) {
        self.codes().insert(activation.clone(), code);
    }

    pub(super) fn code(&self, activation: &ActivationId) -> Option<SecretString> {
        self.codes().get(activation).cloned()
    }

    pub(super) fn forget_code(&self, activation: &ActivationId) {
        self.codes().remove(activation);
    }

    fn codes(&self) -> std::sync::MutexGuard<'_, BTreeMap<ActivationId, SecretString>> {
        self.0.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys of all entries: see [`credential_keys`].
    pub async fn keys(&self) -> CredentialKeys {
        credential_keys(&self.settings().credentials, &self.0.secrets).await
    }

    async fn login(&self, enrolment: &Enrolment) -> Result<(Login, bool), EffectError> {
        let settings = self.settings();
        let credentials = settings
            .credentials
            .iter()
            .find(|credentials| *credentials.name == *enrolment.credentials)
            .ok_or_else(|| {
                let sentence = format!("there are no [[credentials]] {} any more", enrolment.credentials);
                EffectError::of_problem(Problem::passing("no-credentials", sentence))
            })?;
        let password = self
            .0
            .secrets
            .resolve(&credentials.password)
            .await
            .map_err(|error| EffectError::not_now(vsphere_client::error::chain(&error)))?;
        let sudo = credentials.sudo && enrolment.system == System::Linux;
        Ok((Login { username: credentials.username.clone(), password }, sudo))
    }

    /// Puts the installer into the guest, if it is not there, and starts it.
    pub(super) async fn launch(
        &self,
        vm: &VmId,
        enrolment: &Enrolment,
        launch: Launch<'_>,
    ) -> Result<Gain, EffectError> {
        let (login, sudo) = self.login(enrolment).await?;
        let failed = |failure: GuestFailure| effect_error(failure, &login);
        let put = async |path: String, content: Content| {
            self.0.port.upload(vm, &login, &path, &content).await.map_err(not_lost).map_err(&failed)
        };
        let settings = self.settings();
        let port = &self.0.port;
        let system = enrolment.system;
        let directory = match &enrolment.directory {
            Some(directory) => directory.to_string(),
            None => {
                let prefix = format!("{PREFIX}{}-", enrolment.mark);
                let made =
                    port.make_directory(vm, &login, &prefix).await.map_err(not_lost).map_err(failed)?;
                checked_directory(&made, &prefix).map_err(EffectError::of_problem)?
            }
        };
        let in_directory = |name: &str| joined(system, &directory, name);
        let (name, script) = script(system);
        let mut parameters = Parameters::new(&enrolment.place, &settings.enrol);
        match launch {
            Launch::Prepare => {
                if let Some(key) = &settings.enrol.signature_key_file
                    && system == System::Linux
                {
                    put(in_directory("signature-key.gpg"), Content::File(key.clone())).await?;
                    parameters.add("SIGNATURE_KEY", &in_directory("signature-key.gpg"));
                }
                if let (Source::Push, Some(report)) = (settings.enrol.source, &enrolment.report) {
                    let (file, path) = package(&settings.enrol, report).map_err(EffectError::of_problem)?;
                    let to = in_directory(file);
                    put(to.clone(), Content::File(path)).await?;
                    parameters.add("PACKAGE_FILE", &to);
                }
                if enrolment.purpose == Purpose::Reinstall {
                    parameters.add("REINSTALL", "true");
                }
                put(in_directory(name), Content::Bytes(script.as_bytes().to_vec())).await?;
                if let Some(file) = &settings.enrol.mirror_ca_file {
                    put(in_directory("mirror-ca.pem"), Content::File(file.clone())).await?;
                    parameters.add("CA_FILE", &in_directory("mirror-ca.pem"));
                }
                if let Some(file) = &settings.enrol.agent_config {
                    put(in_directory("amazon-ssm-agent.json"), Content::File(file.clone())).await?;
                    parameters.add("AGENT_CONFIG", &in_directory("amazon-ssm-agent.json"));
                }
            }
            Launch::Register { activation, code } => {
                parameters.add("ACTIVATION_ID", activation.as_str());
                parameters.add("ACTIVATION_CODE", code.expose_secret());
                if enrolment.reregister {
                    parameters.add("REREGISTER", "true");
                }
            }
        }
        put(in_directory("parameters"), Content::Bytes(parameters.text.into_bytes())).await?;
        let step = match launch {
            Launch::Prepare => preparation(enrolment, &settings.enrol),
            Launch::Register { .. } => "register",
        };
        let program = program(system, sudo, &in_directory(name), step, &directory);
        let process = port.start(vm, &login, &program).await.map_err(failed)?;
        Ok(Gain::Started { directory: directory.into(), process })
    }

    /// Finds out whether the installer was started.
    pub(super) async fn trace_launch(
        &self,
        vm: &VmId,
        enrolment: &Enrolment,
        register: bool,
    ) -> Result<Trace, EffectError> {
        let (login, _) = self.login(enrolment).await?;
        let step = if register { "register" } else { preparation(enrolment, &self.settings().enrol) };
        let step = format!(" {step} ");
        let mark = format!("{PREFIX}{}-", enrolment.mark);
        match self.0.port.processes(vm, &login, None).await {
            Ok(processes) => {
                let found = processes.into_iter().find(|process| {
                    process.command_line.contains(&mark) && process.command_line.contains(&step)
                });
                if let Some(process) = found {
                    let directory = match &enrolment.directory {
                        Some(directory) => Some(directory.to_string()),
                        None => directory_of(&process.command_line, &mark),
                    };
                    if let Some(directory) = directory {
                        return Ok(Trace::There(Gain::Started {
                            directory: directory.into(),
                            process: process.id,
                        }));
                    }
                }
                // It may have ended so long ago that nobody remembers it; what it left behind tells.
                if let Some(directory) = enrolment.directory.as_deref().filter(|_| register)
                    && self.has_report_of(vm, &login, enrolment, directory, "register").await?
                {
                    return Ok(Trace::There(Gain::Started { directory: directory.into(), process: GONE }));
                }
                Ok(Trace::NotThere)
            }
            Err(failure) => match (failure.kind, &enrolment.directory) {
                // Whether a guest that cannot be asked has registered is seen at AWS.
                (GuestErrorKind::Unavailable | GuestErrorKind::Gone, Some(directory)) if register => {
                    Ok(Trace::There(Gain::Started { directory: directory.clone(), process: GONE }))
                }
                (GuestErrorKind::Unavailable, _) => Ok(Trace::NotThere),
                (GuestErrorKind::Gone, _) => Ok(Trace::Gone),
                _ => Err(effect_error(failure, &login)),
            },
        }
    }

    async fn has_report_of(
        &self,
        vm: &VmId,
        login: &Login,
        enrolment: &Enrolment,
        directory: &str,
        step: &str,
    ) -> Result<bool, EffectError> {
        let path = joined(enrolment.system, directory, "result.json");
        match self.0.port.download(vm, login, &path, LONGEST_REPORT).await {
            Ok(bytes) => Ok(Report::step_of(&bytes).as_deref() == Some(step)),
            Err(failure) if failure.kind == GuestErrorKind::NotFound => Ok(false),
            Err(failure) => Err(effect_error(failure, login)),
        }
    }

    /// Deletes our directory in the guest.
    pub(super) async fn clean(&self, vm: &VmId, enrolment: &Enrolment) -> Result<(), EffectError> {
        let Some(directory) = &enrolment.directory else { return Ok(()) };
        let (login, _) = self.login(enrolment).await?;
        match self.0.port.delete_directory(vm, &login, directory).await {
            Ok(()) => Ok(()),
            Err(failure) => match failure.kind {
                GuestErrorKind::NotFound | GuestErrorKind::Gone => Ok(()),
                _ => Err(effect_error(failure, &login)),
            },
        }
    }

    pub(super) async fn trace_clean(&self, vm: &VmId, enrolment: &Enrolment) -> Result<Trace, EffectError> {
        let Some(directory) = &enrolment.directory else { return Ok(Trace::There(Gain::Nothing)) };
        let (login, _) = self.login(enrolment).await?;
        match self.0.port.exists(vm, &login, directory).await {
            Ok(false) => Ok(Trace::There(Gain::Nothing)),
            Ok(true) => Ok(Trace::NotThere),
            Err(failure) => match failure.kind {
                GuestErrorKind::NotFound | GuestErrorKind::Gone => Ok(Trace::There(Gain::Nothing)),
                GuestErrorKind::Unavailable => Ok(Trace::NotThere),
                _ => Err(effect_error(failure, &login)),
            },
        }
    }

    /// How the program that an enrolment waits for is.
    pub(crate) async fn look(&self, vm: &VmId, enrolment: &Enrolment) -> Result<Seen, EffectError> {
        let (Some(id), Some(directory)) = (enrolment.stage.process(), &enrolment.directory) else {
            return Ok(Seen::Vanished);
        };
        let (login, _) = self.login(enrolment).await?;
        let (exit, ran) = if id == GONE {
            (None, None)
        } else {
            match self.0.port.processes(vm, &login, Some(id)).await {
                Ok(processes) => match processes.into_iter().find(|process| process.id == id) {
                    Some(process) if !process.ended => return Ok(Seen::Running),
                    Some(process) => (process.exit, process.ran),
                    None => (None, None),
                },
                Err(failure) => match failure.kind {
                    GuestErrorKind::Gone => return Ok(Seen::Vanished),
                    _ => return Err(effect_error(failure, &login)),
                },
            }
        };
        let path = joined(enrolment.system, directory, "result.json");
        let found = self.0.port.download(vm, &login, &path, LONGEST_REPORT).await;
        let wanted = match enrolment.stage {
            Stage::Registering { .. } => "register",
            _ => preparation(enrolment, &self.settings().enrol),
        };
        Ok(match (exit, found) {
            (exit, Ok(bytes)) => {
                let stale = Report::step_of(&bytes).as_deref() != Some(wanted);
                match exit.or_else(|| Report::code_of(&bytes)) {
                    Some(code) if !stale => Seen::Ended {
                        code,
                        ran,
                        report: Report::read(&bytes, code).map_err(|error| error.to_string().into()),
                    },
                    // It was killed before it could report anything.
                    Some(code) if exit.is_some() => {
                        Seen::Ended { code, ran, report: Err("it reported nothing".into()) }
                    }
                    _ => Seen::Vanished,
                }
            }
            (Some(code), Err(failure)) => Seen::Ended { code, ran, report: Err(failure.reason.into()) },
            (None, Err(failure)) if failure.kind == GuestErrorKind::NotFound => Seen::Vanished,
            (None, Err(failure)) => return Err(effect_error(failure, &login)),
        })
    }
}

/// A process that nobody remembers.
const GONE: i64 = -1;

/// How a program in a guest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It runs.
    Running,
    /// It ended.
    Ended {
        /// Its exit code.
        code: i32,
        /// How long it ran, if that is known.
        ran: Option<SignedDuration>,
        /// What it reported.
        report: Result<Report, Arc<str>>,
    },
    /// Nobody knows.
    Vanished,
}

/// The lines that the installer is told with.
struct Parameters {
    text: String,
}

impl Parameters {
    fn new(place: &crate::aws::Place, settings: &EnrolSettings) -> Self {
        let mut parameters = Self { text: String::new() };
        let region = place.region();
        parameters.add("REGION", region);
        parameters.add("SOURCE", settings.source.word());
        let mut optional = |name: &str, value: &Option<String>| {
            if let Some(value) = value {
                parameters.add(name, value);
            }
        };
        optional("PROXY", &settings.proxy);
        optional("NO_PROXY", &settings.no_proxy);
        optional("MINIMUM_VERSION", &settings.minimum_version);
        if settings.source == Source::Download
            && let Some(url) = &settings.package_url
        {
            parameters.add("PACKAGE_URL", &url.replace("{region}", region));
        }
        let endpoints = if settings.endpoints.is_empty() {
            let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            ["ssm", "ssmmessages", "ec2messages"]
                .map(|service| format!("https://{service}.{region}.{suffix}"))
                .to_vec()
        } else {
            settings.endpoints.clone()
        };
        parameters.add("ENDPOINTS", &endpoints.join(" "));
        if !settings.package_sha256.is_empty() {
            parameters.add("PACKAGE_SHA256", &settings.package_sha256.join(" "));
        }
        parameters
    }

    /// Adds a line. A value with an end of line in it would be another parameter: the configuration has none.
    fn add(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        self.text.push('=');
        self.text.extend(value.chars().filter(|character| !character.is_control()));
        self.text.push('\n');
    }
}

/// The step of the installer that prepares a guest: one to which the package is sent is only looked at first.
fn preparation(enrolment: &Enrolment, settings: &EnrolSettings) -> &'static str {
    if enrolment.purpose == Purpose::Restart {
        return "restart";
    }
    let only_look = settings.source == Source::Push && enrolment.report.is_none();
    if only_look { "preflight" } else { "prepare" }
}

/// The package for a guest: its name, and where it is here.
fn package(settings: &EnrolSettings, report: &Report) -> Result<(&'static str, PathBuf), Problem> {
    let fix = "put the package there, as `{platform}/{file}`";
    let Some((platform, file)) = report.package() else {
        let sentence = format!("there is no package for {} {} on {}", report.os, report.version, report.arch);
        return Err(Problem::lasting("no-package", sentence, "exclude the VM with `vms` of [enrol]"));
    };
    let directory = settings.package_dir.as_deref().unwrap_or(std::path::Path::new("."));
    let path = directory.join(&platform).join(file);
    if path.is_file() {
        return Ok((file, path));
    }
    Err(Problem::lasting("no-package", format!("there is no {}", path.display()), fix))
}

fn script(system: System) -> (&'static str, &'static str) {
    match system {
        System::Linux => ("install-ssm-agent.sh", SCRIPT_LINUX),
        System::Windows => ("install-ssm-agent.ps1", SCRIPT_WINDOWS),
    }
}

fn joined(system: System, directory: &str, name: &str) -> String {
    match system {
        System::Linux => format!("{directory}/{name}"),
        System::Windows => format!("{directory}\\{name}"),
    }
}

fn program(system: System, sudo: bool, script: &str, step: &str, directory: &str) -> Program {
    let (path, arguments) = match (system, sudo) {
        (System::Linux, false) => ("/bin/sh".to_owned(), format!("{script} {step} {directory}")),
        (System::Linux, true) => {
            ("/usr/bin/sudo".to_owned(), format!("-n /bin/sh {script} {step} {directory}"))
        }
        (System::Windows, _) => (
            r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe".to_owned(),
            format!(
                "-NoLogo -NoProfile -NonInteractive -ExecutionPolicy Bypass -File \"{script}\" {step} \"{directory}\""
            ),
        ),
    };
    Program { path, arguments, environment: Vec::new() }
}

/// The path comes from the guest and becomes part of a command line: it must not be anything else there.
fn checked_directory(path: &str, prefix: &str) -> Result<String, Problem> {
    let plain = |character: char| character.is_ascii_alphanumeric() || r"/\:._-~".contains(character);
    if path.len() <= 200 && path.contains(prefix) && path.chars().all(plain) {
        return Ok(path.to_owned());
    }
    let sentence = "the guest gave a directory with a name that cannot be used";
    Err(Problem::lasting(
        "strange-directory",
        sentence,
        "set the temporary directory of the account to a plain path",
    ))
}

/// Our directory as it stands in a command line.
fn directory_of(command_line: &str, mark: &str) -> Option<String> {
    let mut words = command_line.split([' ', '"']).filter(|word| word.contains(mark));
    // The last word is the directory; those before it are files in it.
    words.next_back().and_then(|word| checked_directory(word, mark).ok())
}

fn fingerprint(username: &str, password: &SecretString) -> Arc<str> {
    let text = format!("vmbridge\n{username}\n{}", password.expose_secret());
    digest(&SHA256, text.as_bytes()).as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>()
        .into()
}

/// What was lost before anything was started is simply done again: a directory or a file that is there twice harms nobody.
fn not_lost(failure: GuestFailure) -> GuestFailure {
    GuestFailure {
        may_have_taken_place: false,
        kind: match failure.kind {
            GuestErrorKind::Refused if failure.may_have_taken_place => GuestErrorKind::Transient,
            kind => kind,
        },
        ..failure
    }
}

fn effect_error(failure: GuestFailure, login: &Login) -> EffectError {
    let GuestFailure { kind, reason, fix, may_have_taken_place } = failure;
    let text = match &fix {
        Some(fix) => format!("{reason}; {fix}"),
        None => reason.clone(),
    };
    let problem = |word: &str, passes| Problem {
        word: word.into(),
        sentence: reason.as_str().into(),
        fix: fix.as_deref().map(Into::into),
        passes,
    };
    let base = EffectError { may_have_taken_place, ..EffectError::not_now(text) };
    match kind {
        GuestErrorKind::Transient => base,
        GuestErrorKind::LoginRefused => EffectError {
            refused: Some(fingerprint(&login.username, &login.password)),
            transient: false,
            problem: Some(Box::new(problem("credentials-refused", true))),
            ..base
        },
        GuestErrorKind::Unavailable => EffectError {
            transient: false,
            problem: Some(Box::new(problem("guest-unavailable", true))),
            ..base
        },
        GuestErrorKind::Gone => {
            EffectError { transient: false, problem: Some(Box::new(problem("vm-gone", true))), ..base }
        }
        GuestErrorKind::NotFound | GuestErrorKind::Refused => {
            EffectError { transient: false, problem: Some(Box::new(problem("guest-refused", true))), ..base }
        }
    }
}
