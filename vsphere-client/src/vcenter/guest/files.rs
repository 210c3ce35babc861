//! Files and directories in a guest.

use tokio::io::AsyncWrite;

use super::super::{Session, Vcenter, WriteError, returnval};
use super::transfer::{self, Content, TransferError, Transferred};
use super::{GuestAuth, GuestFault};
use crate::error::{Error, ErrorKind};
use crate::ids::MoRef;
use crate::model::data_object;
use crate::soap::operation;
use crate::xml::{Decoder, Element};

/// What a file in a guest is to be like (`GuestFileAttributes`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAttributes {
    /// On Linux: the permissions, such as `0o600`.
    Posix(u32),
    /// On Windows: hidden or not, read-only or not.
    Windows {
        /// Hidden.
        hidden: bool,
        /// Read-only.
        read_only: bool,
    },
}

impl FileAttributes {
    fn element(self) -> Element {
        match self {
            Self::Posix(mode) => {
                Element::typed("fileAttributes", "GuestPosixFileAttributes").text("permissions", mode)
            }
            Self::Windows { hidden, read_only } => {
                Element::typed("fileAttributes", "GuestWindowsFileAttributes")
                    .text("hidden", hidden)
                    .text("readOnly", read_only)
            }
        }
    }
}

data_object! {
    /// Where a file of a guest is to be had (`FileTransferInformation`).
    pub(crate) struct FileTransfer {
        /// Its size in bytes.
        "size" => size: one i64,
        /// Where.
        "url" => url: one String,
    }
}

impl Vcenter {
    /// Makes a directory with a name that nobody can foresee, for its maker only, and gives its path
    /// (`CreateTemporaryDirectoryInGuest`). Needs `VirtualMachine.GuestOperations.Modify`.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; see [`GuestFault`].
    pub async fn temporary_directory_in_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        prefix: &str,
    ) -> Result<String, WriteError> {
        let operation = operation!("CreateTemporaryDirectoryInGuest");
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("CreateTemporaryDirectoryInGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("prefix", prefix)
                .text("suffix", ""))
        };
        let path = self.write(operation, request, returnval::<String>).await?;
        path.ok_or_else(|| {
            WriteError::sent(self.inner.soap.error(operation.name, ErrorKind::Missing("the directory")))
        })
    }

    /// Makes a directory (`MakeDirectoryInGuest`), with those that it is in where `parents` says so. Needs
    /// `VirtualMachine.GuestOperations.Modify`.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done; [`GuestFault::FileAlreadyExists`] when it is there.
    pub async fn make_directory_in_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        path: &str,
        parents: bool,
    ) -> Result<(), WriteError> {
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("MakeDirectoryInGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("directoryPath", path)
                .text("createParentDirectories", parents))
        };
        self.write(operation!("MakeDirectoryInGuest"), request, Decoder::skip_rest).await
    }

    /// Deletes a directory with all that is in it (`DeleteDirectoryInGuest`). Needs `VirtualMachine.GuestOperations.Modify`.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done.
    pub async fn delete_directory_in_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        path: &str,
    ) -> Result<(), WriteError> {
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("DeleteDirectoryInGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("directoryPath", path)
                .text("recursive", true))
        };
        self.write(operation!("DeleteDirectoryInGuest"), request, Decoder::skip_rest).await
    }

    /// Deletes a file (`DeleteFileInGuest`). Needs `VirtualMachine.GuestOperations.Modify`.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done.
    pub async fn delete_file_in_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        path: &str,
    ) -> Result<(), WriteError> {
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("DeleteFileInGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("filePath", path))
        };
        self.write(operation!("DeleteFileInGuest"), request, Decoder::skip_rest).await
    }

    /// Whether there is a file or directory at this path (`ListFilesInGuest`). Needs `VirtualMachine.GuestOperations.Query`.
    ///
    /// # Errors
    /// As every call; see [`GuestFault`].
    pub async fn exists_in_guest(&self, vm: &MoRef, auth: &GuestAuth, path: &str) -> Result<bool, Error> {
        let managers = self.guest_managers().await?;
        let request = |_: &Session| {
            Ok(Element::new("ListFilesInGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("filePath", path)
                .text("index", 0)
                .text("maxResults", 1))
        };
        match self.call(operation!("ListFilesInGuest"), request, Decoder::skip_rest).await {
            Ok(()) => Ok(true),
            Err(error) if GuestFault::of(&error) == Some(GuestFault::FileNotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts a file there, replacing one of the same name (`InitiateFileTransferToGuest`, then PUT to the host). `host` is the
    /// one that the VM is believed to be on; when the VM is elsewhere, or nobody knows, vCenter is asked. Needs `VirtualMachine.GuestOperations.Modify`, and HTTPS to the host.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn upload_to_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        host: Option<&MoRef>,
        path: &str,
        attributes: FileAttributes,
        content: &Content,
    ) -> Result<Transferred, TransferError> {
        let operation = operation!("InitiateFileTransferToGuest");
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let size = content.size().await.map_err(TransferError::Content)?;
        let request = |_: &Session| {
            Ok(Element::new("InitiateFileTransferToGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("guestFilePath", path)
                .child(attributes.element())
                .text("fileSize", size)
                .text("overwrite", true))
        };
        let url = self.write(operation, request, returnval::<String>).await?;
        let url = url.ok_or_else(|| {
            WriteError::sent(self.inner.soap.error(operation.name, ErrorKind::Missing("the address")))
        })?;
        let place = self.transfer_place(&url, vm, host).await?;
        match transfer::put(&place, content, size).await {
            Err(untrusted @ TransferError::Untrusted { .. }) => match self.moved_place(&place, vm).await? {
                Some(moved) => transfer::put(&moved, content, size).await,
                None => Err(untrusted),
            },
            outcome => outcome,
        }
    }

    /// Reads a file of at most `limit` bytes (`InitiateFileTransferFromGuest`, then GET from the host). Needs
    /// `VirtualMachine.GuestOperations.Query`, and HTTPS to the host.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn download_from_guest(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        host: Option<&MoRef>,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, TransferError> {
        let mut bytes = Vec::new();
        self.download_from_guest_into(vm, auth, host, path, limit, &mut bytes).await?;
        Ok(bytes)
    }

    /// As [`download_from_guest`](Self::download_from_guest), piece by piece into `into`; what is there after a failure is
    /// a part of the file.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn download_from_guest_into<W: AsyncWrite + Unpin + Send>(
        &self,
        vm: &MoRef,
        auth: &GuestAuth,
        host: Option<&MoRef>,
        path: &str,
        limit: u64,
        into: &mut W,
    ) -> Result<Transferred, TransferError> {
        let operation = operation!("InitiateFileTransferFromGuest");
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("InitiateFileTransferFromGuest")
                .moref("_this", &managers.files)
                .moref("vm", vm)
                .child(auth.element())
                .text("guestFilePath", path))
        };
        let found = self.write(operation, request, returnval::<FileTransfer>).await?;
        let found = found.ok_or_else(|| {
            WriteError::sent(self.inner.soap.error(operation.name, ErrorKind::Missing("the address")))
        })?;
        let size = u64::try_from(found.size).unwrap_or(u64::MAX);
        if size > limit {
            return Err(TransferError::TooLarge { size, limit });
        }
        let place = self.transfer_place(&found.url, vm, host).await?;
        match transfer::get(&place, size, into).await {
            Err(untrusted @ TransferError::Untrusted { .. }) => match self.moved_place(&place, vm).await? {
                Some(moved) => transfer::get(&moved, size, into).await,
                None => Err(untrusted),
            },
            outcome => outcome,
        }
    }
}
