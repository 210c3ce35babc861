//! Why something could not be done with a snapshot.

use crate::error::Error;
use crate::ids::{MoKind, MoRef};
use crate::model::TaskFailure;
use crate::soap::FaultKind;

/// The causes of failures that decide what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// The guest could not bring its disks into a consistent state in time.
    QuiesceFailed,
    /// A datastore has too little room.
    InsufficientSpace,
    /// The chain is as long as it can be.
    TooManySnapshotLevels,
    /// Something else uses the snapshot, such as a backup.
    SnapshotLocked,
    /// The VM has a device that snapshots do not work with.
    IncompatibleDevice,
    /// The VM can have one snapshot only.
    MultipleSnapshotsNotSupported,
    /// Memory cannot be kept, because a disk is independent.
    MemoryOnIndependentDisk,
    /// Snapshots are switched off for this VM.
    SnapshotDisabled,
    /// Nothing has changed since the last snapshot.
    NoChange,
    /// The server does not support it for this VM: it is fault tolerant, a template, or of a kind without snapshots.
    NotSupported,
    /// Another task is under way on the VM.
    TaskInProgress,
    /// Somebody else was changing the VM at the same time.
    ConcurrentAccess,
    /// Something that it needs is used by something else.
    ResourceInUse,
    /// The VM's state does not allow it now.
    InvalidState,
    /// The VM's power state does not allow it.
    InvalidPowerState,
    /// A file of the VM is locked, most often by a backup or by another host.
    FileLocked,
    /// A file of the VM cannot be used.
    FileFault,
    /// vCenter does not reach the VM's host.
    HostNotConnected,
    /// A privilege is missing.
    NoPermission,
    /// Somebody cancelled it.
    RequestCanceled,
    /// It took too long; it may still be going on.
    Timedout,
    /// The VM is gone.
    VmGone,
    /// The snapshot is gone.
    SnapshotGone,
    /// Anything else.
    Other,
}

impl SnapshotFault {
    /// What a failed call says; nothing when the server did not refuse it.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        Some(match error.fault()? {
            FaultKind::ManagedObjectNotFound(object) => Self::gone(object.as_ref()),
            FaultKind::NoPermission { .. } => Self::NoPermission,
            FaultKind::RequestCanceled => Self::RequestCanceled,
            FaultKind::Other(name) => Self::of_name(name).unwrap_or(Self::Other),
            _ => Self::Other,
        })
    }

    /// What a failed task says.
    ///
    /// vCenter likes to wrap what a host says into something general, so the causes and the keys of the messages are looked
    /// at too, and what says more wins.
    #[must_use]
    pub fn of_task(failure: &TaskFailure) -> Self {
        let names = || {
            std::iter::once(&failure.fault)
                .chain(failure.causes.iter().map(|cause| &cause.fault))
                .filter_map(|name| Self::of_name(name))
        };
        let said = || failure.messages.iter().filter_map(|message| Self::of_message(&message.key));
        let found = names().find(|fault| !fault.is_general()).or_else(|| said().next());
        match found.or_else(|| names().next()) {
            Some(Self::VmGone) => Self::gone(failure.object.as_ref()),
            found => found.unwrap_or(Self::Other),
        }
    }

    fn gone(object: Option<&MoRef>) -> Self {
        match object.map(MoRef::mo_kind) {
            Some(MoKind::VirtualMachineSnapshot) => Self::SnapshotGone,
            _ => Self::VmGone,
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "ApplicationQuiesceFault" | "FilesystemQuiesceFault" => Self::QuiesceFailed,
            "NoDiskSpace" | "InsufficientStorageSpace" => Self::InsufficientSpace,
            "TooManySnapshotLevels" => Self::TooManySnapshotLevels,
            "SnapshotLocked" => Self::SnapshotLocked,
            "SnapshotIncompatibleDeviceInVm" => Self::IncompatibleDevice,
            "MultipleSnapshotsNotSupported" => Self::MultipleSnapshotsNotSupported,
            "MemorySnapshotOnIndependentDisk" => Self::MemoryOnIndependentDisk,
            "SnapshotDisabled" => Self::SnapshotDisabled,
            "SnapshotNoChange" => Self::NoChange,
            "NotSupported"
            | "DeltaDiskFormatNotSupported"
            | "SnapshotCopyNotSupported"
            | "SnapshotCloneNotSupported"
            | "SnapshotMoveNotSupported"
            | "SnapshotMoveFromNonHomeNotSupported"
            | "SnapshotMoveToNonHomeNotSupported" => Self::NotSupported,
            "TaskInProgress" | "VAppTaskInProgress" => Self::TaskInProgress,
            "ConcurrentAccess" => Self::ConcurrentAccess,
            // Of the datastore's input and output for high availability, not of the guest.
            "ResourceInUse" | "QuiesceDatastoreIOForHAFailed" => Self::ResourceInUse,
            "InvalidState" | "InvalidVmState" | "InvalidHostState" | "QuestionPending" => Self::InvalidState,
            "InvalidPowerState" => Self::InvalidPowerState,
            "FileLocked" => Self::FileLocked,
            "FileFault"
            | "CannotAccessFile"
            | "FileNotFound"
            | "FileNotWritable"
            | "FileTooLarge"
            | "FileAlreadyExists"
            | "CannotCreateFile"
            | "CannotDeleteFile"
            | "InvalidDatastore"
            | "InaccessibleDatastore"
            | "InvalidDatastoreState"
            | "DatastoreNotWritableOnHost" => Self::FileFault,
            "HostNotConnected" | "HostNotReachable" | "HostCommunication" => Self::HostNotConnected,
            "NoPermission" => Self::NoPermission,
            "RequestCanceled" => Self::RequestCanceled,
            "Timedout" => Self::Timedout,
            "ManagedObjectNotFound" => Self::VmGone,
            _ => return None,
        })
    }

    /// What the key of a message says, where the fault says no more than that it failed (`GenericVmConfigFault`).
    fn of_message(key: &str) -> Option<Self> {
        Some(match key {
            key if key.ends_with("QUIESCINGERROR") => Self::QuiesceFailed,
            "msg.hbacommon.outofspace" => Self::InsufficientSpace,
            "msg.fileio.lock" => Self::FileLocked,
            _ => return None,
        })
    }

    /// Whether it says little, so that a cause or a message may say more.
    fn is_general(self) -> bool {
        matches!(
            self,
            Self::NotSupported
                | Self::InvalidState
                | Self::FileFault
                | Self::HostNotConnected
                | Self::ResourceInUse
                | Self::Timedout
                | Self::Other
        )
    }

    /// Whether it may pass without anybody doing anything, so that the same may succeed later.
    #[must_use]
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::QuiesceFailed
                | Self::SnapshotLocked
                | Self::TaskInProgress
                | Self::ConcurrentAccess
                | Self::ResourceInUse
                | Self::InvalidState
                | Self::FileLocked
                | Self::HostNotConnected
                | Self::Timedout
        )
    }

    /// Whether it is about bringing the guest's disks into a consistent state, so that the same may succeed without.
    #[must_use]
    pub fn is_quiescing(self) -> bool {
        self == Self::QuiesceFailed
    }

    /// What a person is to do, where there is something.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        Some(match self {
            Self::QuiesceFailed => {
                "see why the guest cannot be quiesced (VSS writers on Windows, freeze scripts on Linux), update VMware Tools, or allow snapshots without quiescing"
            }
            Self::InsufficientSpace => "make room on the VM's datastores",
            Self::TooManySnapshotLevels => "remove snapshots of the VM: its chain is as long as it can be",
            Self::SnapshotLocked => {
                "wait for the backup or the copy that uses the snapshot, or end it if it hangs"
            }
            Self::IncompatibleDevice => {
                "remove the device that snapshots do not work with (a raw disk in physical mode, a shared bus, a passed-through device)"
            }
            Self::MultipleSnapshotsNotSupported => "remove the VM's other snapshot",
            Self::MemoryOnIndependentDisk => "take the snapshot without memory",
            Self::SnapshotDisabled => "switch snapshots on in the VM's configuration",
            Self::NotSupported => "leave this VM out: vSphere does not support it for VMs of this kind",
            Self::InvalidState | Self::InvalidPowerState => {
                "see in vCenter which state the VM is in, and bring it into one that allows this"
            }
            Self::FileLocked => {
                "see what holds the VM's files: most often a backup that has left its disks attached to a proxy"
            }
            Self::FileFault => "see in vCenter whether the VM's datastores and files can be reached",
            Self::HostNotConnected => "reconnect the VM's host to vCenter",
            Self::NoPermission => "give the user of the bridge the privilege on this VM",
            Self::RequestCanceled => {
                "ask who cancelled it in vCenter; it can be done again when they have finished"
            }
            Self::Timedout => "see in vCenter whether it still goes on",
            Self::NoChange
            | Self::TaskInProgress
            | Self::ConcurrentAccess
            | Self::ResourceInUse
            | Self::VmGone
            | Self::SnapshotGone
            | Self::Other => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FaultCause, FaultMessage};

    fn failure(fault: &str, causes: &[&str], keys: &[&str]) -> TaskFailure {
        let cause = |name: &&str| FaultCause { fault: (*name).into(), ..FaultCause::default() };
        let message = |key: &&str| FaultMessage { key: (*key).into(), ..FaultMessage::default() };
        TaskFailure {
            fault: fault.into(),
            causes: causes.iter().map(cause).collect(),
            messages: keys.iter().map(message).collect(),
            ..TaskFailure::default()
        }
    }

    #[test]
    fn what_says_more_wins() {
        use SnapshotFault as F;
        for (fault, causes, keys, expected) in [
            ("ApplicationQuiesceFault", &[][..], &[][..], F::QuiesceFailed),
            ("ApplicationQuiesceFault", &["Timedout"], &[], F::QuiesceFailed),
            ("GenericVmConfigFault", &[], &["x", "msg.snapshot.error-QUIESCINGERROR"], F::QuiesceFailed),
            ("GenericVmConfigFault", &["FileFault", "NoDiskSpace"], &[], F::InsufficientSpace),
            ("FileFault", &[], &["msg.fileio.lock"], F::FileLocked),
            ("FileFault", &["SomethingNew"], &[], F::FileFault),
            ("SystemError", &["HostCommunication"], &[], F::HostNotConnected),
            ("SomethingNew", &[], &["msg.new"], F::Other),
            ("", &[], &[], F::Other),
        ] {
            assert_eq!(F::of_task(&failure(fault, causes, keys)), expected, "{fault} {causes:?} {keys:?}");
        }
    }

    #[test]
    fn a_snapshot_that_is_gone_is_told_from_a_vm_that_is() {
        let mut gone = failure("ManagedObjectNotFound", &[], &[]);
        for (kind, expected) in [
            ("VirtualMachineSnapshot", SnapshotFault::SnapshotGone),
            ("VirtualMachine", SnapshotFault::VmGone),
        ] {
            gone.object = Some(MoRef::new(kind, "x"));
            assert_eq!(SnapshotFault::of_task(&gone), expected);
        }
    }

    #[test]
    fn only_what_passes_is_tried_again_and_what_does_not_has_a_remedy() {
        use SnapshotFault as F;
        assert!([F::TaskInProgress, F::FileLocked, F::QuiesceFailed].into_iter().all(F::is_passing));
        let lasting =
            [F::InsufficientSpace, F::NoPermission, F::TooManySnapshotLevels, F::IncompatibleDevice];
        assert!(lasting.into_iter().all(|fault| !fault.is_passing() && fault.remedy().is_some()));
        assert!(F::QuiesceFailed.is_quiescing() && !F::ResourceInUse.is_quiescing());
    }
}
