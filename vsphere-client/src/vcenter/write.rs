//! Calls that change something: sent once, and what fails says whether it may have been done all the same.
//!
//! A lost answer is not repeated here, because only who asked for the change knows how to find out whether it took place.

use std::fmt;
use std::time::Duration;

use super::guest::GuestFault;
use super::{Session, Vcenter};
use crate::error::{Error, ErrorKind};
use crate::soap::{FaultKind, Operation};
use crate::xml::{Decoder, Element, XmlError};

/// A call that was to change something and failed.
#[derive(Debug, Clone)]
pub struct WriteError {
    error: Error,
    may_have_taken_place: bool,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // It says no more than the error itself, so it stands in its place.
        self.error.source()
    }
}

impl WriteError {
    /// One that certainly did not take place.
    pub(crate) fn refused(error: Error) -> Self {
        Self { error, may_have_taken_place: false }
    }

    /// One that was sent, judged by how it failed.
    pub(crate) fn sent(error: Error) -> Self {
        let may_have_taken_place = may_have_taken_place(error.operation(), error.kind());
        Self { error, may_have_taken_place }
    }

    /// Whether the change may have been made: the answer was lost, or does not say that it was refused.
    #[must_use]
    pub fn may_have_taken_place(&self) -> bool {
        self.may_have_taken_place
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// Whether the server has too much to do: it refused the call before it looked at it.
    #[must_use]
    pub fn is_overload(&self) -> bool {
        matches!(self.error.kind(), ErrorKind::Status(429 | 503))
    }
}

/// Whether a call that was sent may have had its effect, although it failed like this.
fn may_have_taken_place(operation: &str, kind: &ErrorKind) -> bool {
    match kind {
        // TLS or the connection could not be made, so nothing was sent.
        ErrorKind::Untrusted(_) | ErrorKind::Setup(_) | ErrorKind::Closed | ErrorKind::Unsupported(_) => {
            false
        }
        ErrorKind::Connection(error) => !error.is_connect(),
        // Without a session nothing is looked at.
        ErrorKind::SessionEnded => false,
        ErrorKind::Fault(fault) => !is_refusal(operation, &fault.kind),
        // A request that is refused as such; every other status may come from a proxy that lost the answer.
        ErrorKind::Status(status) => !matches!(status, 300..=399 | 400..=407 | 409..=499),
        ErrorKind::TimedOut(_) | ErrorKind::Decode(_) | ErrorKind::Missing(_) => true,
    }
}

/// Faults that are thrown before anything is changed. What else there is may come from the middle of the work.
fn is_refusal(operation: &str, fault: &FaultKind) -> bool {
    match fault {
        FaultKind::InvalidLogin
        | FaultKind::NotAuthenticated
        | FaultKind::NoPermission { .. }
        | FaultKind::ManagedObjectNotFound(_)
        | FaultKind::InvalidProperty(_)
        | FaultKind::InvalidArgument(_)
        | FaultKind::DuplicateName(_)
        | FaultKind::UnsupportedVersion => true,
        // Guest operations are refused before anything is done; a transfer or a program fails later, and elsewhere.
        FaultKind::Other(name) if operation.ends_with("Guest") && GuestFault::of_name(name).is_some() => true,
        FaultKind::Other(name) => matches!(
            name.as_str(),
            // The object is not in a state for it, or something else is under way on it: nothing is begun.
            "TaskInProgress"
                | "InvalidState"
                | "InvalidPowerState"
                | "ConcurrentAccess"
                // The VM does not allow for snapshots like this; looked at before a task is made.
                | "TooManySnapshotLevels"
                | "MultipleSnapshotsNotSupported"
                | "MemorySnapshotOnIndependentDisk"
                | "SnapshotIncompatibleDeviceInVm"
                | "SnapshotDisabled"
                | "SnapshotLocked"
                | "SnapshotNoChange"
                | "InvalidRequest"
                | "InvalidType"
                | "InvalidName"
                | "NotSupported"
                | "NotImplemented"
                | "MethodNotFound"
        ),
        FaultKind::InvalidCollectorVersion | FaultKind::RequestCanceled => false,
    }
}

impl Vcenter {
    /// Calls a method that changes something, once. It is sent again only when the server had ended the session, because
    /// then it certainly did not look at it.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        operation: &'static Operation,
        request: impl Fn(&Session) -> Result<Element, &'static str>,
        read: impl Fn(&mut Decoder) -> Result<T, XmlError> + Clone + Send + 'static,
    ) -> Result<T, WriteError> {
        let mut again = true;
        loop {
            let lease = self.lease().await.map_err(WriteError::refused)?;
            let element =
                request(&lease.session).map_err(|lacks| WriteError::refused(self.lacks(operation, lacks)))?;
            match self.call_in(&lease, operation, element, Duration::ZERO, read.clone()).await {
                Err(error) if again && matches!(error.kind(), ErrorKind::SessionEnded) => again = false,
                answer => return answer.map_err(WriteError::sent),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soap::Fault;

    #[test]
    fn only_what_was_certainly_not_done_is_said_not_to_have_been_done() {
        let fault = |kind| ErrorKind::Fault(Fault { kind, message: String::new() });
        let certain = [
            ErrorKind::SessionEnded,
            ErrorKind::Closed,
            ErrorKind::Status(403),
            ErrorKind::Status(429),
            fault(FaultKind::DuplicateName("x".into())),
            fault(FaultKind::NoPermission { object: None, privilege: "Global.SetCustomField".into() }),
            fault(FaultKind::Other("NotSupported".into())),
        ];
        assert!(certain.iter().all(|kind| !may_have_taken_place("SetField", kind)));
        let uncertain = [
            ErrorKind::TimedOut(Duration::from_secs(1)),
            ErrorKind::Missing("a value"),
            ErrorKind::Status(502),
            ErrorKind::Status(408),
            ErrorKind::Status(503),
            fault(FaultKind::Other("SystemError".into())),
            fault(FaultKind::RequestCanceled),
        ];
        assert!(uncertain.iter().all(|kind| may_have_taken_place("SetField", kind)));
    }

    #[test]
    fn a_fault_of_the_guest_says_nothing_of_what_was_done_to_the_vm() {
        let fault = |name: &str| {
            ErrorKind::Fault(Fault { kind: FaultKind::Other(name.into()), message: String::new() })
        };
        for name in ["FileFault", "NoDiskSpace", "FileLocked", "CannotAccessFile"] {
            assert!(!may_have_taken_place("StartProgramInGuest", &fault(name)), "{name}");
            assert!(may_have_taken_place("CreateSnapshot_Task", &fault(name)), "{name}");
        }
        for name in
            ["TaskInProgress", "InvalidState", "InvalidPowerState", "ConcurrentAccess", "SnapshotLocked"]
        {
            assert!(!may_have_taken_place("CreateSnapshot_Task", &fault(name)), "{name}");
        }
        for name in
            ["ApplicationQuiesceFault", "Timedout", "HostCommunication", "HostNotConnected", "VimFault"]
        {
            assert!(may_have_taken_place("CreateSnapshot_Task", &fault(name)), "{name}");
        }
    }
}
