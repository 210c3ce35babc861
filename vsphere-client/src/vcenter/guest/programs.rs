//! Programs in a guest.

use std::fmt;

use super::super::{Session, Vcenter, WriteError, returnval, returnvals};
use super::GuestAuth;
use crate::error::{Error, ErrorKind};
use crate::ids::MoRef;
use crate::model::data_object;
use crate::soap::operation;
use crate::xml::Element;

/// A program to start (`GuestProgramSpec`). It has no standard input, and its output goes nowhere.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProgramSpec {
    /// Its path in the guest.
    pub path: String,
    /// Its arguments. On Linux Tools hand them to a shell, on Windows they are the rest of the command line.
    pub arguments: String,
    /// Where it starts; nothing: the home of the user.
    pub directory: Option<String>,
    /// Variables, as `NAME=value`; none: those of the user.
    pub environment: Vec<String>,
}

impl fmt::Debug for ProgramSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of variables may be secret, and there is no need for their names either.
        f.debug_struct("ProgramSpec")
            .field("path", &self.path)
            .field("arguments", &self.arguments)
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

data_object! {
    /// A process in a guest (`GuestProcessInfo`).
    pub struct GuestProcess {
        /// Name of the program.
        "name" => name: one String,
        /// Its number.
        "pid" => pid: one i64,
        /// Whom it runs as.
        "owner" => owner: one String,
        /// What it was started with.
        "cmdLine" => command_line: one String,
        /// When it was started.
        "startTime" => start_time: opt jiff::Timestamp,
        /// When it ended; only of processes that were started through guest operations, and for five minutes.
        "endTime" => end_time: opt jiff::Timestamp,
        /// How it ended; as `end_time`.
        "exitCode" => exit_code: opt i32,
    }
}

impl Vcenter {
    /// Starts a program in the guest and gives its process (`StartProgramInGuest`). Needs
    /// `VirtualMachine.GuestOperations.Execute`.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`GuestFault`](super::GuestFault).
    pub async fn start_in_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        program: &ProgramSpec,
    ) -> Result<i64, WriteError> {
        let operation = operation!("StartProgramInGuest");
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            let spec =
                Element::new("spec").text("programPath", &program.path).text("arguments", &program.arguments);
            let spec =
                spec.each(&program.directory, |spec, directory| spec.text("workingDirectory", directory));
            let spec = spec.each(&program.environment, |spec, variable| spec.text("envVariables", variable));
            Ok(Element::new("StartProgramInGuest")
                .moref("_this", &managers.processes)
                .moref("vm", vm)
                .child(auth.element())
                .child(spec))
        };
        let process = self.write(operation, request, returnval::<i64>).await?;
        process.ok_or_else(|| {
            WriteError::sent(self.inner.soap.error(operation.name, ErrorKind::Missing("the process")))
        })
    }

    /// Processes in the guest: these, or all (`ListProcessesInGuest`). Needs `VirtualMachine.GuestOperations.Query`.
    ///
    /// # Errors
    /// As every call; see [`GuestFault`](super::GuestFault).
    pub async fn processes_in_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        pids: &[i64],
    ) -> Result<Vec<GuestProcess>, Error> {
        let managers = self.guest_managers().await?;
        let request = |_: &Session| {
            Ok(Element::new("ListProcessesInGuest")
                .moref("_this", &managers.processes)
                .moref("vm", vm)
                .child(auth.element())
                .each(pids, |request, pid| request.text("pids", pid)))
        };
        self.call(operation!("ListProcessesInGuest"), request, returnvals::<GuestProcess>).await
    }

    /// Ends a process in the guest (`TerminateProcessInGuest`). Needs `VirtualMachine.GuestOperations.Execute`.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done.
    pub async fn terminate_in_guest(&self, vm: &MoRef, auth: &GuestAuth, pid: i64) -> Result<(), WriteError> {
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("TerminateProcessInGuest")
                .moref("_this", &managers.processes)
                .moref("vm", vm)
                .child(auth.element())
                .text("pid", pid))
        };
        self.write(operation!("TerminateProcessInGuest"), request, crate::xml::Decoder::skip_rest).await
    }
}
