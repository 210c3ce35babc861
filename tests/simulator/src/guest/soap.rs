//! The methods of the managers of guest operations.

use std::sync::Arc;

use serde_json::json;

use super::{File, Guest, PASSWORD, Process, REMEMBERED, ROOT, Ticket, installer};
use crate::clock::now;
use crate::soap::fault::Fault;
use crate::soap::request::Node;
use crate::soap::select::{object, sees};
use crate::soap::session::{random_hex, random_uuid};
use crate::soap::{Answer, Caller};
use crate::vcenter::Shared;
use crate::world::vm::Power;
use crate::world::{Entity, ObjId};
use crate::xml::Xml;

const QUERY: &str = "VirtualMachine.GuestOperations.Query";
const EXECUTE: &str = "VirtualMachine.GuestOperations.Execute";
const MODIFY: &str = "VirtualMachine.GuestOperations.Modify";

/// A guest that may be worked in.
struct Entered {
    vm: ObjId,
    windows: bool,
}

/// Goes through what vCenter checks, in its order: the VM, the privilege, power, Tools, and last the log-in.
fn enter(shared: &Shared, caller: &Caller, call: &Node, privilege: &str) -> Result<Entered, Fault> {
    let node = call.child("vm").ok_or_else(|| Fault::invalid_argument("vm"))?;
    let (vm, windows) = {
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
        (id, vm.guest.family == Some("windowsGuest"))
    };
    let auth = call.child("auth").ok_or_else(|| Fault::invalid_argument("auth"))?;
    if auth.xsi_type.as_deref() != Some("NamePasswordAuthentication") {
        return Err(Fault::invalid_argument("auth"));
    }
    let (username, password) =
        (auth.str("username").unwrap_or_default(), auth.str("password").unwrap_or_default());
    shared.guests.with(vm, |guest| {
        let usual = if windows { "Administrator" } else { ROOT };
        let known = guest.username.as_deref().unwrap_or(usual);
        if username == known && password == guest.password.as_deref().unwrap_or(PASSWORD) {
            return Ok(());
        }
        guest.refused += 1;
        Err(Fault::new(
            "InvalidGuestLogin",
            "Failed to authenticate with the guest operating system using the supplied credentials.",
        ))
    })?;
    Ok(Entered { vm, windows })
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

/// StartProgramInGuest.
pub(crate) fn start(shared: &Arc<Shared>, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, windows } = enter(shared, caller, call, EXECUTE)?;
    let spec = call.child("spec").ok_or_else(|| Fault::invalid_argument("spec"))?;
    let path = spec.str("programPath").unwrap_or_default().to_owned();
    let arguments = spec.str("arguments").unwrap_or_default().to_owned();
    let variables: Vec<String> = spec.all("envVariables").map(|variable| variable.text.clone()).collect();
    let there = ["/bin/sh", "/usr/bin/sudo", r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe"];
    if !there.contains(&path.as_str()) || windows != path.starts_with("C:") {
        return Err(not_found(&path));
    }
    let command_line = format!("{path} {arguments}");
    let pid = shared.guests.with(vm, |guest| {
        guest.last += 1;
        let pid = 1000 + guest.last;
        guest.started.push(format!("{command_line} {}", variables.join(" ")).trim_end().to_owned());
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default().to_owned();
        let started = now(0);
        guest.processes.push(Process { pid, name, command_line: command_line.clone(), started, ended: None });
        pid
    });
    shared.record(
        "StartProgramInGuest",
        &vm.to_string(),
        json!({ "commandLine": command_line, "pid": pid }),
        true,
    );
    tokio::spawn(installer::run(Arc::clone(shared), vm, windows, pid, arguments));
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
            xml.text("owner", ROOT);
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
    let Entered { vm, .. } = enter(shared, caller, call, EXECUTE)?;
    let pid = call.int("pid").unwrap_or_default();
    shared.guests.with(vm, |guest| {
        let process =
            guest.processes.iter_mut().find(|process| process.pid == pid && process.ended.is_none());
        let process = process
            .ok_or_else(|| Fault::new("GuestProcessNotFound", &format!("Process {pid} was not found")))?;
        process.ended = Some((now(0), 137));
        Ok(())
    })?;
    shared.record("TerminateProcessInGuest", &vm.to_string(), json!({ "pid": pid }), true);
    Ok(String::new())
}

/// CreateTemporaryDirectoryInGuest.
pub(crate) fn make_directory(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, windows } = enter(shared, caller, call, MODIFY)?;
    let (prefix, suffix) = (call.str("prefix").unwrap_or_default(), call.str("suffix").unwrap_or_default());
    let name = format!("{prefix}{}{suffix}", &random_hex()[..8]);
    let path = match (call.str("directoryPath").filter(|parent| !parent.is_empty()), windows) {
        (Some(parent), false) => format!("{parent}/{name}"),
        (Some(parent), true) => format!("{parent}\\{name}"),
        (None, false) => format!("/tmp/{name}"),
        (None, true) => format!(r"C:\Users\ADMINI~1\AppData\Local\Temp\{name}"),
    };
    shared.guests.with(vm, |guest| guest.directories.insert(path.clone()));
    shared.record("CreateTemporaryDirectoryInGuest", &vm.to_string(), json!({ "path": path }), true);
    let mut xml = Xml::new();
    xml.text("returnval", &path);
    Ok(xml.into_string())
}

/// Whether a path is in a directory.
fn is_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(['/', '\\']))
}

/// DeleteDirectoryInGuest.
pub(crate) fn delete_directory(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, .. } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("directoryPath").unwrap_or_default().to_owned();
    let recursive = call.bool("recursive");
    shared.guests.with(vm, |guest| {
        if !guest.directories.contains(&path) {
            return Err(not_found(&path));
        }
        if !recursive && guest.files.keys().any(|file| is_in(file, &path)) {
            return Err(Fault::new("FileFault", "The directory is not empty."));
        }
        guest.directories.retain(|directory| *directory != path && !is_in(directory, &path));
        guest.files.retain(|file, _| !is_in(file, &path));
        Ok(())
    })?;
    shared.record("DeleteDirectoryInGuest", &vm.to_string(), json!({ "path": path }), true);
    Ok(String::new())
}

/// DeleteFileInGuest.
pub(crate) fn delete_file(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, .. } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("filePath").unwrap_or_default().to_owned();
    let gone = shared.guests.with(vm, |guest| guest.files.remove(&path));
    gone.ok_or_else(|| not_found(&path))?;
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
        if inside.is_empty() && !guest.directories.contains(&path) {
            return Err(not_found(&path));
        }
        xml.open("returnval");
        for (file, content) in inside {
            xml.open("files");
            xml.text("path", file);
            xml.val("type", "file");
            xml.val("size", content.bytes.len());
            xml.close("files");
        }
        xml.val("remaining", 0);
        xml.close("returnval");
        Ok(())
    })?;
    Ok(xml.into_string())
}

/// The address of a transfer.
fn address(shared: &Shared, ticket: Ticket) -> Result<String, Fault> {
    let host = shared.guests.host.get().ok_or_else(|| Fault::new("SystemError", "There are no hosts."))?;
    let id = random_uuid();
    crate::vcenter::lock(&shared.guests.tickets).insert(id.clone(), ticket);
    Ok(format!("https://127.0.0.1:{}/guestFile?id=1&token={id}", host.port()))
}

/// InitiateFileTransferToGuest.
pub(crate) fn upload(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, windows } = enter(shared, caller, call, MODIFY)?;
    let path = call.str("guestFilePath").unwrap_or_default().to_owned();
    let attributes = call.child("fileAttributes").ok_or_else(|| Fault::invalid_argument("fileAttributes"))?;
    let wanted = if windows { "GuestWindowsFileAttributes" } else { "GuestPosixFileAttributes" };
    if attributes.xsi_type.as_deref() != Some(wanted) {
        return Err(Fault::invalid_argument("fileAttributes"));
    }
    let mode = attributes.int("permissions").and_then(|mode| u32::try_from(mode).ok()).unwrap_or(0o644);
    let size = call.int("fileSize").and_then(|size| u64::try_from(size).ok());
    let size = size.ok_or_else(|| Fault::invalid_argument("fileSize"))?;
    let (exists, parent) = shared.guests.with(vm, |guest| {
        let parent = guest.directories.iter().any(|directory| is_in(&path, directory));
        (guest.files.contains_key(&path), parent)
    });
    if !parent {
        return Err(not_found(&path));
    }
    if exists && !call.bool("overwrite") {
        return Err(Fault::new("FileAlreadyExists", &format!("{path} exists already")));
    }
    let url = address(shared, Ticket::Put { vm, path, mode, size })?;
    let mut xml = Xml::new();
    xml.text("returnval", &url);
    Ok(xml.into_string())
}

/// InitiateFileTransferFromGuest.
pub(crate) fn download(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let Entered { vm, .. } = enter(shared, caller, call, QUERY)?;
    let path = call.str("guestFilePath").unwrap_or_default().to_owned();
    let size = shared.guests.with(vm, |guest| guest.files.get(&path).map(|file| file.bytes.len()));
    let size = size.ok_or_else(|| not_found(&path))?;
    let url = address(shared, Ticket::Get { vm, path })?;
    let mut xml = Xml::new();
    xml.open("returnval");
    xml.open_typed("attributes", "GuestFileAttributes");
    xml.close("attributes");
    xml.val("size", size);
    xml.text("url", &url);
    xml.close("returnval");
    Ok(xml.into_string())
}
