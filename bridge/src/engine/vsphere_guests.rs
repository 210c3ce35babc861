//! Work in guests through the guest operations of vCenter, in the session that observes it.

use vsphere_client::error::{Error, chain};
use vsphere_client::ids::MoRef;
use vsphere_client::retry::{Classify as _, Verdict};
use vsphere_client::soap::FaultKind;
use vsphere_client::vcenter::WriteError;
use vsphere_client::vcenter::guest::{
    self, FileAttributes, GuestAuth, GuestFault, ProgramSpec, TransferError,
};

use super::guest::{Content, GuestErrorKind, GuestFailure, GuestPort, InGuest, Login, Process, Program};
use super::hands::EffectError;
use super::vsphere::{Arm, VsphereHands, moref};
use crate::store::VmId;

impl VsphereHands {
    /// The vCenter of a VM, the VM there, and who works in it.
    async fn within(&self, vm: &VmId, login: &Login) -> Result<(Arm, MoRef, GuestAuth), GuestFailure> {
        let arm = self.arm(vm.vcenter).await.map_err(unreachable_vcenter)?;
        let auth =
            GuestAuth::NamePassword { username: login.username.clone(), password: login.password.clone() };
        Ok((arm, moref(vm), auth))
    }
}

impl GuestPort for VsphereHands {
    fn make_directory<'a>(&'a self, vm: &'a VmId, login: &'a Login, prefix: &'a str) -> InGuest<'a, String> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let made = arm.client.temporary_directory_in_guest(&object, &auth, prefix).await;
            made.map_err(|error| self.written(&arm, &error))
        })
    }

    fn upload<'a>(
        &'a self,
        vm: &'a VmId,
        login: &'a Login,
        path: &'a str,
        content: &'a Content,
    ) -> InGuest<'a, ()> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let attributes = if path.starts_with('/') {
                FileAttributes::Posix(0o600)
            } else {
                FileAttributes::Windows { hidden: false, read_only: false }
            };
            let content = match content {
                Content::Bytes(bytes) => guest::Content::Bytes(bytes.clone().into()),
                Content::File(file) => guest::Content::File(file.clone()),
            };
            let host = self.host_of(&arm.name, vm);
            let put =
                arm.client.upload_to_guest(&object, &auth, host.as_ref(), path, attributes, &content).await;
            put.map(drop).map_err(|error| self.transferred(&arm, &error))
        })
    }

    fn download<'a>(
        &'a self,
        vm: &'a VmId,
        login: &'a Login,
        path: &'a str,
        limit: u64,
    ) -> InGuest<'a, Vec<u8>> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let host = self.host_of(&arm.name, vm);
            let found = arm.client.download_from_guest(&object, &auth, host.as_ref(), path, limit).await;
            found.map_err(|error| self.transferred(&arm, &error))
        })
    }

    fn start<'a>(&'a self, vm: &'a VmId, login: &'a Login, program: &'a Program) -> InGuest<'a, i64> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let spec = ProgramSpec {
                path: program.path.clone(),
                arguments: program.arguments.clone(),
                directory: None,
                environment: program.environment.clone(),
            };
            let started = arm.client.start_in_guest(&object, &auth, &spec).await;
            started.map_err(|error| self.written(&arm, &error))
        })
    }

    fn processes<'a>(&'a self, vm: &'a VmId, login: &'a Login, id: Option<i64>) -> InGuest<'a, Vec<Process>> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let ids: Vec<i64> = id.into_iter().collect();
            let found = arm.client.processes_in_guest(&object, &auth, &ids).await;
            let found = found.map_err(|error| self.failed(&arm, &error, false))?;
            Ok(found
                .into_iter()
                .map(|process| Process {
                    id: process.pid,
                    command_line: process.command_line,
                    ended: process.end_time.is_some(),
                    exit: process.exit_code,
                    ran: process
                        .start_time
                        .zip(process.end_time)
                        .map(|(start, end)| end.duration_since(start)),
                })
                .collect())
        })
    }

    fn delete_directory<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str) -> InGuest<'a, ()> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let deleted = arm.client.delete_directory_in_guest(&object, &auth, path).await;
            deleted.map_err(|error| self.written(&arm, &error))
        })
    }

    fn exists<'a>(&'a self, vm: &'a VmId, login: &'a Login, path: &'a str) -> InGuest<'a, bool> {
        Box::pin(async move {
            let (arm, object, auth) = self.within(vm, login).await?;
            let found = arm.client.exists_in_guest(&object, &auth, path).await;
            found.map_err(|error| self.failed(&arm, &error, false))
        })
    }
}

impl VsphereHands {
    fn written(&self, arm: &Arm, error: &WriteError) -> GuestFailure {
        self.failed(arm, error.error(), error.may_have_taken_place())
    }

    fn transferred(&self, arm: &Arm, error: &TransferError) -> GuestFailure {
        if let TransferError::Vcenter(error) = error {
            return self.written(arm, error);
        }
        let (kind, fix) = match error {
            TransferError::Address(_) | TransferError::TooLarge { .. } | TransferError::Content(_) => {
                (GuestErrorKind::Refused, None)
            }
            TransferError::Untrusted { .. } => (
                GuestErrorKind::Refused,
                Some("reconnect the ESXi host in vCenter, so that vCenter has its certificate".to_owned()),
            ),
            // The VM may just have moved to another host.
            _ => (
                GuestErrorKind::Transient,
                Some("allow HTTPS from here to the ESXi hosts; docs/enrolment.md".to_owned()),
            ),
        };
        GuestFailure { kind, reason: chain(error), fix, may_have_taken_place: false }
    }

    fn failed(&self, arm: &Arm, error: &Error, may_have_taken_place: bool) -> GuestFailure {
        self.forget_refused(&arm.name, error);
        let fault = GuestFault::of(error);
        let kind = match fault {
            Some(GuestFault::InvalidGuestLogin | GuestFault::GuestAuthenticationChallenge) => {
                GuestErrorKind::LoginRefused
            }
            Some(GuestFault::GuestOperationsUnavailable | GuestFault::InvalidPowerState) => {
                GuestErrorKind::Unavailable
            }
            Some(GuestFault::VmNotFound) => GuestErrorKind::Gone,
            Some(GuestFault::FileNotFound) => GuestErrorKind::NotFound,
            Some(GuestFault::TaskInProgress | GuestFault::TooManyGuestLogons) => GuestErrorKind::Transient,
            Some(_) => GuestErrorKind::Refused,
            None if may_have_taken_place || matches!(error.classify(), Verdict::Transient { .. }) => {
                GuestErrorKind::Transient
            }
            None => GuestErrorKind::Refused,
        };
        let fix = match (fault, error.fault()) {
            (Some(fault), _) => fault.remedy().map(str::to_owned),
            (None, Some(FaultKind::NoPermission { privilege, .. })) if !error.is_login_refused() => {
                Some(format!("add {privilege} to the role of the account in vCenter; see docs/privileges.md"))
            }
            _ => None,
        };
        GuestFailure { kind, reason: error.line(), fix, may_have_taken_place }
    }
}

fn unreachable_vcenter(error: EffectError) -> GuestFailure {
    let kind = if error.transient { GuestErrorKind::Transient } else { GuestErrorKind::Refused };
    GuestFailure { kind, reason: error.reason, fix: None, may_have_taken_place: false }
}
