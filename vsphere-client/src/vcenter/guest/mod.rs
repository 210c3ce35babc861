//! Guest operations: programs and files inside a VM, through VMware Tools.
//!
//! Everything but the bytes of files goes through vCenter; those go over HTTPS to the ESXi host, whose certificate is the one
//! that vCenter has of it. Each call logs in to the guest by itself, so nothing has to be released. What changes something
//! is sent once, and its failure says whether it may have been done; see [`WriteError`].

mod fault;
mod files;
mod host;
mod programs;
mod transfer;

use secrecy::{ExposeSecret as _, SecretString};

pub use fault::GuestFault;
pub use files::FileAttributes;
pub(super) use host::Hosts;
pub use programs::{GuestProcess, ProgramSpec};
pub use transfer::{Content, TransferError, Transferred};

use super::object::properties_of;
use super::{Session, Vcenter, WriteError};
use crate::error::Error;
use crate::ids::MoRef;
use crate::soap::operation;
use crate::xml::{Decoder, Element, XmlError};

/// Who works in a guest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum GuestAuth {
    /// A user of the guest and their password (`NamePasswordAuthentication`), without an interactive session: that is
    /// unreliable, and nobody watches.
    NamePassword {
        /// The user.
        username: String,
        /// The password.
        password: SecretString,
    },
}

impl GuestAuth {
    fn element(&self) -> Element {
        match self {
            Self::NamePassword { username, password } => Element::typed("auth", "NamePasswordAuthentication")
                .text("interactiveSession", false)
                .text("username", username)
                .text("password", password.expose_secret()),
        }
    }
}

/// The managers of guest operations, as the server calls them in one session.
#[derive(Debug, Clone)]
pub(super) struct Managers {
    auth: MoRef,
    files: MoRef,
    processes: MoRef,
}

impl Vcenter {
    /// Where guest operations are found. They are read from the server, once in each session, because nothing says that they
    /// are always called the same.
    async fn guest_managers(&self) -> Result<Managers, Error> {
        let session = self.session().await?;
        session.guest_managers.get_or_try_init(|| self.read_guest_managers()).await.cloned()
    }

    async fn read_guest_managers(&self) -> Result<Managers, Error> {
        let operation = operation!("RetrievePropertiesEx");
        let request = |session: &Session| {
            let manager = session.content.guest_operations_manager.as_ref().ok_or("guest operations")?;
            properties_of(session, manager, &["authManager", "fileManager", "processManager"])
        };
        match self.call(operation, request, managers).await? {
            (Some(auth), Some(files), Some(processes)) => Ok(Managers { auth, files, processes }),
            _ => {
                Err(self
                    .lacks(operation, "the managers of guest operations, which this account may not read"))
            }
        }
    }

    /// Whether the guest accepts these credentials (`ValidateCredentialsInGuest`).
    ///
    /// # Errors
    /// As every call; [`GuestFault::InvalidGuestLogin`] when it does not. A guest may lock an account that is refused often.
    pub async fn validate_in_guest(&self, vm: &MoRef, auth: &GuestAuth) -> Result<(), WriteError> {
        let managers = self.guest_managers().await.map_err(WriteError::refused)?;
        let request = |_: &Session| {
            Ok(Element::new("ValidateCredentialsInGuest")
                .moref("_this", &managers.auth)
                .moref("vm", vm)
                .child(auth.element()))
        };
        // It changes nothing, but a repeated wrong password may lock the account: it is sent once.
        self.write(operation!("ValidateCredentialsInGuest"), request, Decoder::skip_rest).await
    }
}

type Found = (Option<MoRef>, Option<MoRef>, Option<MoRef>);

/// Reads `RetrieveResult` with the three managers.
fn managers(d: &mut Decoder) -> Result<Found, XmlError> {
    let mut found = Found::default();
    each_property(d, &mut |d, name| {
        let slot = match name {
            "authManager" => &mut found.0,
            "fileManager" => &mut found.1,
            "processManager" => &mut found.2,
            _ => return d.skip(),
        };
        *slot = Some(d.read()?);
        Ok(())
    })?;
    Ok(found)
}

/// Goes through the properties of a `RetrieveResult`, whatever objects they are of.
fn each_property(
    d: &mut Decoder,
    read: &mut dyn FnMut(&mut Decoder, &str) -> Result<(), XmlError>,
) -> Result<(), XmlError> {
    while d.child()? {
        match d.name() {
            "returnval" | "objects" => each_property(d, read)?,
            "propSet" => {
                let mut path = String::new();
                while d.child()? {
                    match d.name() {
                        "name" => path = d.read()?,
                        "val" => read(d, &path)?,
                        _ => d.skip()?,
                    }
                }
            }
            _ => d.skip()?,
        }
    }
    Ok(())
}
