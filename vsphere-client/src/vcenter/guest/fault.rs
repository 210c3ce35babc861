//! How a guest, or vCenter on its behalf, says no.

use crate::error::Error;
use crate::soap::FaultKind;

/// The faults of guest operations that decide what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestFault {
    /// The guest refuses the user or the password.
    InvalidGuestLogin,
    /// Tools do not run, or are not ready.
    GuestOperationsUnavailable,
    /// The user may not do this in the guest.
    GuestPermissionDenied,
    /// The guest's operating system does not support it.
    OperationNotSupportedByGuest,
    /// The guest's configuration of Tools forbids it.
    OperationDisabledByGuest,
    /// Tools are too old for it.
    GuestComponentsOutOfDate,
    /// The guest has too many log-ins of guest operations.
    TooManyGuestLogons,
    /// The guest wants to be asked more than a password.
    GuestAuthenticationChallenge,
    /// There is no such file or directory in the guest.
    FileNotFound,
    /// There is such a file already.
    FileAlreadyExists,
    /// The file cannot be used in this way: it is locked, too large, or there is no room for it.
    FileFault,
    /// The user cannot get at the file.
    CannotAccessFile,
    /// There is no such process.
    ProcessNotFound,
    /// The VM is not powered on.
    InvalidPowerState,
    /// Another operation is under way in the VM, or it is just changing its state.
    TaskInProgress,
    /// The VM is gone.
    VmNotFound,
}

impl GuestFault {
    /// What a failed call says of the guest, if it does.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        match error.fault()? {
            FaultKind::ManagedObjectNotFound(_) => Some(Self::VmNotFound),
            FaultKind::Other(name) => Self::of_name(name),
            _ => None,
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "InvalidGuestLogin" => Self::InvalidGuestLogin,
            "GuestOperationsUnavailable" | "ToolsUnavailable" => Self::GuestOperationsUnavailable,
            "GuestPermissionDenied" => Self::GuestPermissionDenied,
            "OperationNotSupportedByGuest" => Self::OperationNotSupportedByGuest,
            "OperationDisabledByGuest" => Self::OperationDisabledByGuest,
            "GuestComponentsOutOfDate" => Self::GuestComponentsOutOfDate,
            "TooManyGuestLogons" => Self::TooManyGuestLogons,
            "GuestAuthenticationChallenge" | "GuestMultipleMappings" => Self::GuestAuthenticationChallenge,
            "FileNotFound" => Self::FileNotFound,
            "FileAlreadyExists" => Self::FileAlreadyExists,
            "FileFault" | "NoDiskSpace" | "FileTooLarge" | "FileLocked" | "FileNotWritable" => {
                Self::FileFault
            }
            "CannotAccessFile" => Self::CannotAccessFile,
            "GuestProcessNotFound" => Self::ProcessNotFound,
            "InvalidPowerState" => Self::InvalidPowerState,
            "TaskInProgress" | "InvalidState" => Self::TaskInProgress,
            _ => return None,
        })
    }

    /// What to do, where there is something.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidGuestLogin => {
                "correct the user or the password, or see to the account in the guest (locked, expired, not allowed by PAM)"
            }
            Self::GuestOperationsUnavailable => "start or update VMware Tools (open-vm-tools) in the guest",
            Self::GuestPermissionDenied => "give the user of the guest the right to do this",
            Self::OperationNotSupportedByGuest => {
                "the guest's operating system cannot do this through VMware Tools"
            }
            Self::OperationDisabledByGuest => "allow guest operations in the guest's tools.conf",
            Self::GuestComponentsOutOfDate => "update VMware Tools in the guest",
            Self::TooManyGuestLogons => {
                "restart VMware Tools in the guest: another product does not release its log-ins"
            }
            Self::GuestAuthenticationChallenge => "use an account that needs a password only",
            Self::CannotAccessFile => "give the user of the guest the right to this file",
            Self::FileFault => "make room on the disk of the guest",
            Self::InvalidPowerState => "power the VM on",
            Self::FileNotFound
            | Self::FileAlreadyExists
            | Self::ProcessNotFound
            | Self::TaskInProgress
            | Self::VmNotFound => return None,
        })
    }
}
