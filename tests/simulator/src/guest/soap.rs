//! The methods of the managers of guest operations.

use std::sync::Arc;

use serde_json::json;

use super::account::Who;
use super::installer::{self, Started};
use super::{File, Guest, Process, REMEMBERED, What};
use crate::clock::now;
use crate::soap::fault::Fault;
use crate::soap::request::Node;
use crate::soap::select::{object, sees};
use crate::soap::session::{random_hex, random_uuid};
use crate::soap::{Answer, Caller};
use crate::vcenter::Shared;
use crate::world::vm::{Power, Vm};
use crate::world::{Entity, ObjId};
use crate::xml::Xml;

const QUERY: &str = "VirtualMachine.GuestOperations.Query";
const EXECUTE: &str = "VirtualMachine.GuestOperations.Execute";
const MODIFY: &str = "VirtualMachine.GuestOperations.Modify";

/// A guest that may be worked in.
struct Entered {
    vm: ObjId,
    host: Option<ObjId>,
    windows: bool,
    who: Who,
}

/// Goes through what vCenter checks, in its order: the VM, the privilege, power, Tools, and last the log-in.
fn enter(shared: &Shared, caller: &Caller, call: &Node, privilege: &str) -> Result<Entered, Fault> {
    let node = call.child("vm").ok_or_else(|| Fault::invalid_argument("vm"))?;
    let (vm, host, windows) = {
        let world = shared.world();
        let id = object(&world, node)?;
        let entity = world.get(id).ok_or_else(|| Fault::invalid_argument("vm"))?;
        let vm = entity.vm().ok_or_else(|| Fault::invalid_argument("vm"))?;
        if !caller.user.has(privilege)
            || !sees(&world, &caller.user, id, world.get(id).and_then(Entity::container))
        {
            return Err(Fault::no_permission(id, privilege));
        }
        if vm.power != Power::On {
            return Err(Fault::new(
                "InvalidPowerState",
                "The attempted operation cannot be performed in the current state.",
            ));
        }
        if vm.guest.tools_running != "guestToolsRunning" || vm.guest.operations_ready != Some(true) {
            return Err(Fault::new(
                "GuestOperationsUnavailable",
                "The guest operations agent could not be contacted.",
            ));
        }
        (id, vm.host, is_windows(vm))
    };
    let auth = call.child("auth").ok_or_else(|| Fault::invalid_argument("auth"))?;
    if auth.xsi_type.as_deref() != Some("NamePasswordAuthentication") {
        return Err(Fault::invalid_argument("auth"));
    }
    let (username, password) =
        (auth.str("username").unwrap_or_default(), auth.str("password").unwrap_or_default());
    let who = shared.guests.enter(vm, windows, |guest| guest.accounts.log_in(username, password));
    let who = who.ok_or_else(|| {
        Fault::new(
            "InvalidGuestLogin",
            "Failed to authenticate with the guest operating system using the supplied credentials.",
        )
    })?;
    Ok(Entered { vm, host, windows, who })
}

/// Whether Tools report, or the configuration says, that a VM runs Windows.
pub(crate) fn is_windows(vm: &Vm) -> bool {
    let configured = vm.config.as_ref().is_some_and(|config| config.guest_id.starts_with("win"));
    vm.guest.family.map_or(configured, |family| family == "windowsGuest")
}

fn denied() -> Fault {
    Fault::new("GuestPermissionDenied", "Insufficient permissions in the guest operating system.")
}

fn not_found(path: &str) -> Fault {
    let mut xml = Xml::new();
    xml.text("file", path);
    Fault { detail: xml.into_string(), ..Fault::new("FileNotFound", &format!("File {path} was not found")) }
}

/// ValidateCredentialsInGuest.
pub(crate) fn validate(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    enter(shared, caller, call, QUERY)?;
    Ok(String::new())
}

/// Programs that every guest has.
const PROGRAMS: [&str; 4] = [
    "/bin/sh",
    "/usr/bin/sudo",
    r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe",
    r"C:\Windows\System32\cmd.exe",
];

/// StartProgramInGuest.
pub(crate) fn start(shared: &Arc<Shared>, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, windows, who, .. } = enter(shared, caller, call, EXECUTE)?;
    let spec = call.child("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
    let path = spec.str("programPath").unwrap_or_default().to_owned();
    let arguments = spec.str("arguments").unwrap_or_default().to_owned();
    let variables: Vec<String> = spec.all("envVariables").map(|variable| variable.text.clone()).collect();
    if variables.iter().any(|variable| !variable.contains('=')) {
        return Err(Fault::invalid_argument("envVariables"));
    }
    if !PROGRAMS.contains(&path.as_str()) || windows != path.starts_with("C:") {
        return Err(not_found(&path));
    }
    let command_line = format!("{path} {arguments}");
    let pid = shared.guests.with(vm, |guest| {
        guest.last += 1;
        let pid = 1000 + guest.last;
        guest.started.push(format!("{command_line} {}", variables.join(" ")).trim_end().to_owned());
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let process = Process {
            pid,
            name,
            owner: who.username.clone(),
            command_line: command_line.clone(),
            started: now(0),
            ended: None,
        };
        guest.processes.push(process);
        pid
    });
    let detail = json!({ "commandLine": command_line, "pid": pid });
    shared.record("StartProgramInGuest", &vm.to_string(), detail, true);
    let started = Started { vm, windows, pid, who, path, arguments, variables };
    tokio::spawn(installer::run(Arc::clone(shared), started));
    let mut xml = Xml::new();
    xml.val("returnval", pid);
    Ok(xml.into_string())
}

/// ListProcessesInGuest.
pub(crate) fn list(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, .. } = enter(shared, caller, call, QUERY)?;
    let wanted: Vec<i64> = call.all("pids").filter_map(|pid| pid.text.trim().parse().ok()).collect();
    let mut xml = Xml::new();
    shared.guests.with(vm, |guest| {
        let moment = now(0);
        guest.processes.retain(|process| {
            let age = |(ended, _): (jiff::Timestamp, i32)| moment.duration_since(ended).unsigned_abs();
            process.ended.is_none_or(|ended| age(ended) < REMEMBERED)
        });
        for process in
            guest.processes.iter().filter(|process| wanted.is_empty() || wanted.contains(&process.pid))
        {
            xml.open("returnval");
            xml.text("name", &process.name);
            xml.val("pid", process.pid);
            xml.text("owner", &process.owner);
            xml.text("cmdLine", &process.command_line);
            xml.val("startTime", process.started);
            if let Some((ended, code)) = process.ended {
                xml.val("endTime", ended);
                xml.val("exitCode", code);
            }
            xml.close("returnval");
        }
    });
    Ok(xml.into_string())
}

/// TerminateProcessInGuest.
pub(crate) fn terminate(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, who, .. } = enter(shared, caller, call, EXECUTE)?;
    let pid = call.int("pid").unwrap_or_default();
    shared.guests.with(vm, |guest| {
        let process =
            guest.processes.iter_mut().find(|process| process.pid == pid && process.ended.is_none());
        let process = process
            .ok_or_else(|| Fault::new("GuestProcessNotFound", &format!("Process {pid} was not found")))?;
        if !who.owns(&process.owner) {
            return Err(denied());
        }
        process.ended = Some((now(0), 137));
        Ok(())
    })?;
    shared.record("TerminateProcessInGuest", &vm.to_string(), json!({ "pid": pid }), true);
    Ok(String::new())
}

/// CreateTemporaryDirectoryInGuest.
pub(crate) fn make_directory(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, windows, who, .. } = enter(shared, caller, call, MODIFY)?;
    let (prefix, suffix) = (call.str("prefix").unwrap_or_default(), call.str("suffix").unwrap_or_default());
    let name = format!("{prefix}{}{suffix}", &random_hex()[..8]);
    let parent = call.str("directoryPath").filter(|parent| !parent.is_empty());
    let path = shared.guests.with(vm, |guest| {
        let parent = parent.unwrap_or(guest.temporary());
        let path = format!("{parent}{}{name}", if windows { '\\' } else { '/' });
        create_directory(guest, &path, &who).map(|()| path)
    })?;
    shared.record("CreateTemporaryDirectoryInGuest", &vm.to_string(), json!({ "path": path }), true);
    let mut xml = Xml::new();
    xml.text("returnval", &path);
    Ok(xml.into_string())
}

fn create_directory(guest: &mut Guest, path: &str, who: &Who) -> Result<(), Fault> {
    if guest.directories.contains_key(path) {
        return Err(Fault::new("FileAlreadyExists", &format!("{path} exists already")));
    }
    let owner = guest.parent_of(path, who).ok_or_else(|| not_found(path))?;
    if !who.owns(&owner) {
        return Err(denied());
    }
    if guest.room_for(path) == 0 {
        return Err(Fault::new("FileFault", "No space left on device."));
    }
    guest.directories.insert(path.to_owned(), who.username.clone());
    Ok(())
}

/// MakeDirectoryInGuest.
pub(crate) fn make_named_directory(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, windows, who, .. } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("directoryPath").unwrap_or_default().to_owned();
    let separator = if windows { '\\' } else { '/' };
    shared.guests.with(vm, |guest| {
        let mut missing = Vec::new();
        let mut at = path.as_str();
        while call.bool("createParentDirectories") && guest.parent_of(at, &who).is_none() {
            let (parent, _) =
                at.rsplit_once(separator).filter(|(parent, _)| !parent.is_empty()).ok_or_else(denied)?;
            missing.push(parent.to_owned());
            at = parent;
        }
        for parent in missing.iter().rev() {
            create_directory(guest, parent, &who)?;
        }
        create_directory(guest, &path, &who)
    })?;
    shared.record("MakeDirectoryInGuest", &vm.to_string(), json!({ "path": path }), true);
    Ok(String::new())
}

/// Whether a path is in a directory.
pub(super) fn is_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(['/', '\\']))
}

/// DeleteDirectoryInGuest.
pub(crate) fn delete_directory(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, who, .. } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("directoryPath").unwrap_or_default().to_owned();
    let recursive = call.bool("recursive");
    shared.guests.with(vm, |guest| {
        let owner = guest.directories.get(&path).ok_or_else(|| not_found(&path))?;
        if !who.owns(owner) {
            return Err(denied());
        }
        let filled = guest.files.keys().chain(guest.directories.keys()).any(|inside| is_in(inside, &path));
        if !recursive && filled {
            return Err(Fault::new("FileFault", "The directory is not empty."));
        }
        guest.directories.retain(|directory, _| *directory != path && !is_in(directory, &path));
        guest.files.retain(|file, _| !is_in(file, &path));
        Ok(())
    })?;
    shared.record("DeleteDirectoryInGuest", &vm.to_string(), json!({ "path": path }), true);
    Ok(String::new())
}

/// DeleteFileInGuest.
pub(crate) fn delete_file(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, who, .. } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("filePath").unwrap_or_default().to_owned();
    shared.guests.with(vm, |guest| {
        let file = guest.files.get(&path).ok_or_else(|| not_found(&path))?;
        if !who.owns(&file.owner) {
            return Err(denied());
        }
        guest.files.remove(&path);
        Ok(())
    })?;
    shared.record("DeleteFileInGuest", &vm.to_string(), json!({ "path": path }), true);
    Ok(String::new())
}

/// ListFilesInGuest.
pub(crate) fn list_files(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, .. } = enter(shared, caller, call, QUERY)?;
    let path = call.str("filePath").unwrap_or_default().to_owned();
    let mut xml = Xml::new();
    shared.guests.with(vm, |guest: &mut Guest| {
        let inside: Vec<(&String, &File)> =
            guest.files.iter().filter(|(file, _)| **file == path || is_in(file, &path)).collect();
        if inside.is_empty() && !guest.directories.contains_key(&path) {
            return Err(not_found(&path));
        }
        xml.open("returnval");
        for (file, content) in inside {
            xml.open("files");
            xml.text("path", file);
            xml.val("type", "file");
            xml.val("size", content.bytes.len());
            xml.open_typed("attributes", attributes_of(guest));
            xml.close("attributes");
            xml.close("files");
        }
        xml.val("remaining", 0);
        xml.close("returnval");
        Ok(())
    })?;
    Ok(xml.into_string())
}

/// The type of the attributes of files.
fn attributes_of(guest: &Guest) -> &'static str {
    if guest.windows { "GuestWindowsFileAttributes" } else { "GuestPosixFileAttributes" }
}

/// The address of a transfer, on the host that the VM is on.
fn address(shared: &Arc<Shared>, vm: ObjId, host: Option<ObjId>, what: What) -> Result<String, Fault> {
    let unreachable = || Fault::new("HostNotReachable", "The host of the virtual machine cannot be reached.");
    let host = host.ok_or_else(unreachable)?;
    let (listen, stop) = shared.guests.listen.get().ok_or_else(unreachable)?;
    let doors = Arc::clone(&shared.world().doors);
    let address = doors.open(host, *listen, shared, stop).ok_or_else(unreachable)?;
    let id = random_uuid();
    shared.guests.ticket(id.clone(), vm, host, what);
    Ok(format!("https://{address}/guestFile?id=1&token={id}"))
}

/// InitiateFileTransferToGuest.
pub(crate) fn upload(shared: &Arc<Shared>, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, host, who, .. } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("guestFilePath").unwrap_or_default().to_owned();
    let attributes = call.child("fileAttributes").ok_or_else(|| Fault::invalid_argument("fileAttributes"))?;
    let mode = attributes.int("permissions").and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644);
    let size = call.int("fileSize").and_then(|size| u64::try_from(size).ok());
    let size = size.ok_or_else(|| Fault::invalid_argument("fileSize"))?;
    shared.guests.with(vm, |guest| {
        if attributes.xsi_type.as_deref() != Some(attributes_of(guest)) {
            return Err(Fault::invalid_argument("fileAttributes"));
        }
        let parent = guest.parent_of(&path, &who).ok_or_else(|| not_found(&path))?;
        if !who.owns(&parent) {
            return Err(denied());
        }
        match guest.files.get(&path) {
            Some(_) if !call.bool("overwrite") => {
                Err(Fault::new("FileAlreadyExists", &format!("{path} exists already")))
            }
            Some(file) if !who.owns(&file.owner) => Err(denied()),
            _ => Ok(()),
        }
    })?;
    let url = address(shared, vm, host, What::Put { path, mode, size, owner: who.username })?;
    let mut xml = Xml::new();
    xml.text("returnval", &url);
    Ok(xml.into_string())
}

/// InitiateFileTransferFromGuest.
pub(crate) fn download(shared: &Arc<Shared>, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, host, who, .. } = enter(shared, caller, call, QUERY)?;
    let path = call.str("guestFilePath").unwrap_or_default().to_owned();
    let (size, attributes) = shared.guests.with(vm, |guest| {
        let file = guest.files.get(&path).ok_or_else(|| not_found(&path))?;
        if !who.may_read(&file.owner, file.mode) {
            return Err(Fault::new("CannotAccessFile", &format!("Unable to access file {path}")));
        }
        Ok((file.bytes.len(), attributes_of(guest)))
    })?;
    let url = address(shared, vm, host, What::Get { path })?;
    let mut xml = Xml::new();
    xml.open("returnval");
    xml.open_typed("attributes", attributes);
    xml.close("attributes");
    xml.val("size", size);
    xml.text("url", &url);
    xml.close("returnval");
    Ok(xml.into_string())
}
