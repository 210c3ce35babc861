//! Guests: what guest operations meet inside a VM. Accounts, files, processes, and a model of what the installer of an SSM
//! Agent does when it is started there.
//!
//! A guest exists as soon as somebody works in it. What it is like is decided by its VM (Linux or Windows, Tools, power), and
//! by [`GuestSetting`]s that tests give it. Bytes of files go over listeners of their own, the "ESXi hosts", whose
//! certificates no authority signed: they are trusted because vCenter tells them.

mod account;
mod doors;
mod installer;
mod outcome;
mod setting;
pub(crate) mod soap;
mod transfer;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::account::{Accounts, Who};
use crate::aws::Aws;
use crate::clock::uptime;
use crate::vcenter::lock;
use crate::world::ObjId;

pub(crate) use self::doors::Doors;
pub use self::setting::{GuestAccount, GuestRegistration, GuestSetting, GuestTruth};

/// The user that every guest has unless it is told otherwise, on Linux. On Windows it is `Administrator`.
pub const ROOT: &str = "root";
/// The password of that user.
pub const PASSWORD: &str = "Guest-Passw0rd!";
/// Exit codes are told for so long.
const REMEMBERED: Duration = Duration::from_secs(300);
/// The address of a transfer can be used for so long.
const TICKET: Duration = Duration::from_secs(120);
/// Room on the disk of a guest.
const DISK: u64 = 4 << 30;

#[derive(Debug, Clone)]
struct File {
    bytes: Vec<u8>,
    mode: u32,
    owner: String,
}

#[derive(Debug, Clone)]
struct Process {
    pid: i64,
    name: String,
    owner: String,
    command_line: String,
    started: Timestamp,
    ended: Option<(Timestamp, i32)>,
}

#[derive(Debug, Clone)]
struct Guest {
    windows: bool,
    accounts: Accounts,
    work: Option<Duration>,
    online_after: Duration,
    ticket: Duration,
    disk: u64,
    exits: VecDeque<i32>,
    outcomes: BTreeMap<String, VecDeque<String>>,
    files: BTreeMap<String, File>,
    /// Directories that were made, and whose they are.
    directories: BTreeMap<String, String>,
    processes: Vec<Process>,
    started: Vec<String>,
    registered: Option<GuestRegistration>,
    /// The activation by which it was registered.
    activation: Option<String>,
    agent: Option<String>,
    last: i64,
}

impl Guest {
    fn new(windows: bool) -> Self {
        Self {
            windows,
            accounts: Accounts::usual(windows),
            work: None,
            online_after: Duration::ZERO,
            ticket: TICKET,
            disk: DISK,
            exits: VecDeque::new(),
            outcomes: BTreeMap::new(),
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
            processes: Vec::new(),
            started: Vec::new(),
            registered: None,
            activation: None,
            agent: None,
            last: 0,
        }
    }

    /// Where everybody may write.
    fn temporary(&self) -> &'static str {
        if self.windows { r"C:\Users\ADMINI~1\AppData\Local\Temp" } else { "/tmp" }
    }

    /// Whose the directory is that a path is in; nothing when there is none. Where everybody may write it is anybody's.
    fn parent_of(&self, path: &str, who: &Who) -> Option<String> {
        let parent = path.rsplit_once(if self.windows { '\\' } else { '/' })?.0;
        if parent == self.temporary() {
            return Some(who.username.clone());
        }
        self.directories.get(parent).cloned()
    }

    /// Bytes that a file at this path may have.
    fn room_for(&self, path: &str) -> u64 {
        let others = self.files.iter().filter(|(known, _)| *known != path);
        let used: u64 = others.map(|(_, file)| file.bytes.len() as u64).sum();
        self.disk.saturating_sub(used)
    }

    fn set(&mut self, setting: &GuestSetting) {
        let GuestSetting {
            username,
            password,
            accounts,
            lock_after,
            work_ms,
            exits,
            outcomes,
            online_after_ms,
            registered,
            agent,
            disk_bytes,
            ticket_ms,
            reboot,
        } = setting;
        if let Some(accounts) = accounts {
            self.accounts.replace(accounts);
        }
        if let Some(username) = username {
            self.accounts.rename(username);
        }
        if let Some(password) = password {
            self.accounts.set_password(password);
        }
        if let Some(times) = lock_after {
            self.accounts.set_lock_after(*times);
        }
        self.work = work_ms.map(Duration::from_millis).or(self.work);
        if let Some(exits) = exits {
            self.exits = exits.iter().copied().collect();
        }
        for (step, reasons) in outcomes.iter().flatten() {
            self.outcomes.insert(step.clone(), reasons.iter().cloned().collect());
        }
        self.online_after = online_after_ms.map_or(self.online_after, Duration::from_millis);
        if let Some(registered) = registered {
            self.registered = Some(registered.clone());
            self.activation = None;
            self.agent.get_or_insert_with(|| installer::VERSION.to_owned());
        }
        if let Some(version) = agent {
            self.agent = Some(version.clone()).filter(|version| !version.is_empty());
        }
        self.disk = disk_bytes.unwrap_or(self.disk);
        self.ticket = ticket_ms.map_or(self.ticket, Duration::from_millis);
        if *reboot {
            self.processes.clear();
        }
    }
}

/// What a ticket is for.
#[derive(Debug, Clone)]
enum What {
    Put { path: String, mode: u32, size: u64, owner: String },
    Get { path: String },
}

/// A transfer that may be made.
#[derive(Debug, Clone)]
struct Ticket {
    vm: ObjId,
    host: ObjId,
    /// As [`uptime`] counts.
    until: Duration,
    what: What,
}

/// The guests of one vCenter.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    guests: Mutex<HashMap<ObjId, Guest>>,
    /// What guests were like when snapshots were made, by number of the snapshot, with the VM.
    saved: Mutex<HashMap<u32, (ObjId, Guest)>>,
    /// Nodes whose registration went away with a revert: no agent speaks for them any more.
    undone: Mutex<HashSet<String>>,
    tickets: Mutex<HashMap<String, Ticket>>,
    /// Where hosts listen, and until when.
    listen: OnceLock<(IpAddr, CancellationToken)>,
    aws: Mutex<Option<Aws>>,
}

impl Guests {
    /// Where hosts listen, until `stop`.
    pub(crate) fn listen(&self, address: IpAddr, stop: CancellationToken) {
        let _ = self.listen.set((address, stop));
    }

    /// Where agents register.
    pub(crate) fn set_aws(&self, aws: Option<Aws>) {
        *lock(&self.aws) = aws;
    }

    /// Works on the guest of a VM, which is there since somebody came [in](Self::enter).
    fn with<T>(&self, vm: ObjId, act: impl FnOnce(&mut Guest) -> T) -> T {
        self.enter(vm, false, act)
    }

    /// The guest of a VM is there from now on.
    fn enter<T>(&self, vm: ObjId, windows: bool, act: impl FnOnce(&mut Guest) -> T) -> T {
        act(lock(&self.guests).entry(vm).or_insert_with(|| Guest::new(windows)))
    }

    /// Makes a guest different.
    pub(crate) fn set(&self, vm: ObjId, windows: bool, setting: &GuestSetting) {
        self.enter(vm, windows, |guest| guest.set(setting));
    }

    /// Every process of a VM ends without a word.
    pub(crate) fn stop(&self, vm: ObjId) {
        if let Some(guest) = lock(&self.guests).get_mut(&vm) {
            guest.processes.clear();
        }
    }

    /// A copy of a VM has all that is on its disks, its registration too.
    pub(crate) fn copy(&self, from: ObjId, to: ObjId) {
        let mut guests = lock(&self.guests);
        if let Some(guest) = guests.get(&from) {
            let copy = Guest { processes: Vec::new(), started: Vec::new(), ..guest.clone() };
            guests.insert(to, copy);
        }
    }

    /// A snapshot was made: it has the files of the guest, and its registration.
    pub(crate) fn save(&self, vm: ObjId, snapshot: u32) {
        if let Some(guest) = lock(&self.guests).get(&vm) {
            lock(&self.saved).insert(snapshot, (vm, guest.clone()));
        }
    }

    /// The guest is as it was when a snapshot was made; what ran in it is gone. What tests decided about it stays.
    pub(crate) fn revert(&self, vm: ObjId, snapshot: u32) {
        let mut guests = lock(&self.guests);
        let Some(guest) = guests.get_mut(&vm) else { return };
        let saved = lock(&self.saved);
        // Nobody had worked in it, or somebody made the snapshot before anybody looked.
        let then = match saved.get(&snapshot).filter(|(of, _)| *of == vm) {
            Some((_, then)) => then.clone(),
            None => Guest::new(guest.windows),
        };
        let mut undone = lock(&self.undone);
        undone.extend(guest.registered.take().map(|registered| registered.node));
        if let Some(registered) = &then.registered {
            undone.remove(&registered.node);
        }
        guest.files = then.files;
        guest.directories = then.directories;
        guest.registered = then.registered;
        guest.activation = then.activation;
        guest.agent = then.agent;
        guest.processes.clear();
    }

    /// These snapshots are gone.
    pub(crate) fn forget(&self, snapshots: &[u32]) {
        lock(&self.saved).retain(|snapshot, _| !snapshots.contains(snapshot));
    }

    /// The agents that are in a VM report differently from now on: `Online` or `ConnectionLost`.
    pub(crate) fn agent_of(&self, vcenter: &str, vm: ObjId, status: &str) {
        let Some(aws) = lock(&self.aws).clone() else { return };
        let moref = vm.to_string();
        for account in aws.accounts() {
            for region in &account.regions {
                for node in aws.nodes(&account.id, region) {
                    let here = node.vm.as_ref().is_some_and(|at| at.vcenter == vcenter && at.moref == moref);
                    let undone = status == "Online" && lock(&self.undone).contains(&node.instance_id);
                    if here && !undone && node.ping_status != status {
                        // It may have been deregistered meanwhile.
                        let _ = aws.mutate(&installer::ping(&node.instance_id, status));
                    }
                }
            }
        }
    }

    /// A ticket that is good for a while; those that nobody used are thrown away.
    fn ticket(&self, id: String, vm: ObjId, host: ObjId, what: What) {
        let until = uptime() + lock(&self.guests).get(&vm).map_or(TICKET, |guest| guest.ticket);
        let mut tickets = lock(&self.tickets);
        tickets.retain(|_, ticket| ticket.until > uptime());
        tickets.insert(id, Ticket { vm, host, until, what });
    }

    /// What is known of all guests that somebody worked in.
    pub(crate) fn truth(&self) -> Vec<GuestTruth> {
        let guests = lock(&self.guests);
        let text = |(path, file): (&String, &File)| {
            (path.clone(), String::from_utf8_lossy(&file.bytes).into_owned())
        };
        let mut all: Vec<GuestTruth> = guests
            .iter()
            .map(|(vm, guest)| GuestTruth {
                vm: vm.to_string(),
                files: guest.files.iter().map(text).collect(),
                directories: guest.directories.keys().cloned().collect(),
                started: guest.started.clone(),
                refused: guest.accounts.refused,
                locked: guest.accounts.locked(),
                registered: guest.registered.clone(),
                agent: guest.agent.clone(),
            })
            .collect();
        all.sort_by(|one, other| one.vm.cmp(&other.vm));
        all
    }
}
