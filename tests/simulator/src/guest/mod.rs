//! Guests: what guest operations meet inside a VM. Accounts, files, processes, and a model of what the installer of an SSM
//! Agent does when it is started there.
//!
//! A guest exists as soon as somebody works in it. What it is like is decided by its VM (Linux or Windows, Tools, power), and
//! by [`GuestSetting`]s that tests give it. Bytes of files go over a listener of its own, the "ESXi host", whose certificate
//! no authority signed: it is trusted because vCenter tells it.

mod installer;
pub(crate) mod soap;
mod transfer;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::vcenter::lock;
use crate::world::ObjId;

pub(crate) use transfer::Host;

/// The user that every guest has unless it is told otherwise, on Linux. On Windows it is `Administrator`.
pub const ROOT: &str = "root";
/// The password of that user.
pub const PASSWORD: &str = "Guest-Passw0rd!";
/// Exit codes are told for so long.
const REMEMBERED: Duration = Duration::from_secs(300);

/// What is different about a guest. Absent parts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GuestSetting {
    /// Another user.
    pub username: Option<String>,
    /// Another password.
    pub password: Option<String>,
    /// How long the installer works, in milliseconds.
    pub work_ms: Option<u64>,
    /// Exit codes of the next programs, instead of what they would do.
    pub exits: Option<Vec<i32>>,
    /// The agent registers, and says nothing for so long, in milliseconds.
    pub online_after_ms: Option<u64>,
    /// A registration that the guest has, such as that of the VM that it was cloned from.
    pub registered: Option<GuestRegistration>,
    /// Every process ends without a word, as when the guest is started again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reboot: bool,
}

/// A registration that a guest has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestRegistration {
    /// The node.
    pub node: String,
    /// Its Region.
    pub region: String,
}

/// What is known of a guest, for tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestTruth {
    /// The VM.
    pub vm: String,
    /// The files that are there, with their contents as far as they are text.
    pub files: BTreeMap<String, String>,
    /// The directories that were made and are there.
    pub directories: Vec<String>,
    /// Every command line that was ever started, with its variables.
    pub started: Vec<String>,
    /// How often a password was refused.
    pub refused: u32,
    /// The registration.
    pub registered: Option<GuestRegistration>,
}

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    mode: u32,
}

#[derive(Debug, Clone)]
struct Process {
    pid: i64,
    name: String,
    command_line: String,
    started: Timestamp,
    ended: Option<(Timestamp, i32)>,
}

#[derive(Debug, Default)]
struct Guest {
    username: Option<String>,
    password: Option<String>,
    work: Option<Duration>,
    online_after: Duration,
    exits: VecDeque<i32>,
    files: BTreeMap<String, File>,
    directories: BTreeSet<String>,
    processes: Vec<Process>,
    started: Vec<String>,
    refused: u32,
    registered: Option<GuestRegistration>,
    last: i64,
}

/// What a ticket is for.
#[derive(Debug, Clone)]
enum Ticket {
    Put { vm: ObjId, path: String, mode: u32, size: u64 },
    Get { vm: ObjId, path: String },
}

/// The guests of one vCenter.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    guests: Mutex<HashMap<ObjId, Guest>>,
    tickets: Mutex<HashMap<String, Ticket>>,
    host: OnceLock<SocketAddr>,
    aws: Mutex<Option<Aws>>,
}

impl Guests {
    /// Where the bytes of files go.
    pub(crate) fn set_host(&self, address: SocketAddr) {
        let _ = self.host.set(address);
    }

    /// Where agents register.
    pub(crate) fn set_aws(&self, aws: Option<Aws>) {
        *lock(&self.aws) = aws;
    }

    fn with<T>(&self, vm: ObjId, act: impl FnOnce(&mut Guest) -> T) -> T {
        act(lock(&self.guests).entry(vm).or_default())
    }

    /// Makes a guest different.
    pub(crate) fn set(&self, vm: ObjId, setting: &GuestSetting) {
        self.with(vm, |guest| {
            let GuestSetting { username, password, work_ms, exits, online_after_ms, registered, reboot } =
                setting;
            if let Some(username) = username {
                guest.username = Some(username.clone());
            }
            if let Some(password) = password {
                guest.password = Some(password.clone());
            }
            if let Some(ms) = work_ms {
                guest.work = Some(Duration::from_millis(*ms));
            }
            if let Some(exits) = exits {
                guest.exits = exits.iter().copied().collect();
            }
            if let Some(ms) = online_after_ms {
                guest.online_after = Duration::from_millis(*ms);
            }
            if let Some(registered) = registered {
                guest.registered = Some(registered.clone());
            }
            if *reboot {
                guest.processes.clear();
            }
        });
    }

    /// Every process of a VM ends without a word.
    pub(crate) fn stop(&self, vm: ObjId) {
        if let Some(guest) = lock(&self.guests).get_mut(&vm) {
            guest.processes.clear();
        }
    }

    /// What is known of all guests that somebody worked in.
    pub(crate) fn truth(&self) -> Vec<GuestTruth> {
        let guests = lock(&self.guests);
        let mut all: Vec<GuestTruth> = guests
            .iter()
            .map(|(vm, guest)| GuestTruth {
                vm: vm.to_string(),
                files: guest
                    .files
                    .iter()
                    .map(|(path, file)| (path.clone(), String::from_utf8_lossy(&file.bytes).into_owned()))
                    .collect(),
                directories: guest.directories.iter().cloned().collect(),
                started: guest.started.clone(),
                refused: guest.refused,
                registered: guest.registered.clone(),
            })
            .collect();
        all.sort_by(|one, other| one.vm.cmp(&other.vm));
        all
    }
}
