//! Faults: how vCenter says no.

use crate::ids::MoRef;
use crate::xml::{Decoder, XmlError};

/// A refusal by the server.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{kind}{}{message}", if message.is_empty() { "" } else { ": " })]
pub struct Fault {
    /// What it is, by type.
    pub kind: FaultKind,
    /// The server's sentence for people, in the session's language.
    pub message: String,
}

/// The types of faults that decide what happens next. All others keep their type name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// Wrong user name or password, or a locked account.
    #[error("InvalidLogin")]
    InvalidLogin,
    /// There is no session, or it has ended.
    #[error("NotAuthenticated")]
    NotAuthenticated,
    /// A privilege is missing.
    #[error("NoPermission ({privilege} on {})", object.as_ref().map_or("?", |o| o.value()))]
    NoPermission {
        /// The object on which it is missing.
        object: Option<MoRef>,
        /// The privilege's id.
        privilege: String,
    },
    /// The object does not exist (any more).
    #[error("ManagedObjectNotFound ({})", .0.as_ref().map_or("?", |o| o.value()))]
    ManagedObjectNotFound(Option<MoRef>),
    /// The property path does not exist on this type in this version.
    #[error("InvalidProperty ({0})")]
    InvalidProperty(String),
    /// The version given to a wait is not one that the collector remembers.
    #[error("InvalidCollectorVersion")]
    InvalidCollectorVersion,
    /// The call was cancelled.
    #[error("RequestCanceled")]
    RequestCanceled,
    /// An argument is wrong.
    #[error("InvalidArgument ({0})")]
    InvalidArgument(String),
    /// The name is in use already.
    #[error("DuplicateName ({0})")]
    DuplicateName(String),
    /// The API version asked for is not spoken here.
    #[error("the API version is not supported")]
    UnsupportedVersion,
    /// Any other, by type name.
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.kind {
            FaultKind::NotAuthenticated | FaultKind::RequestCanceled | FaultKind::InvalidCollectorVersion => {
                true
            }
            FaultKind::Other(name) => matches!(
                name.as_str(),
                "HostCommunication"
                    | "HostNotReachable"
                    | "SystemError"
                    | "RuntimeFault"
                    | "Timedout"
                    | "TaskInProgress"
                    | "ConcurrentAccess"
                    | "OutOfBounds"
                    | "VimFault"
            ),
            _ => false,
        }
    }

    /// Reads the `Fault` element that the decoder stands in.
    pub(crate) fn decode(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut message = String::new();
        let mut detail = None;
        while d.child()? {
            match d.name() {
                "faultstring" => message = d.read()?,
                "detail" => {
                    while d.child()? {
                        detail = Some(Detail::decode(d)?);
                    }
                }
                _ => d.skip()?,
            }
        }
        let kind = match detail {
            Some(detail) => detail.kind(),
            // An unknown SOAPAction is refused before there is a typed fault.
            None if message.contains("Unsupported version") => FaultKind::UnsupportedVersion,
            None => FaultKind::Other("Fault".into()),
        };
        Ok(Self { kind, message: crate::xml::shorten_line(&message) })
    }
}

#[derive(Default)]
struct Detail {
    type_name: String,
    object: Option<MoRef>,
    name: String,
}

impl Detail {
    fn decode(d: &mut Decoder) -> Result<Self, XmlError> {
        let type_name = match d.xsi_type() {
            // Some servers leave the type to the element's name.
            "" => d.name().strip_suffix("Fault").unwrap_or(d.name()).to_owned(),
            name => name.to_owned(),
        };
        let mut detail = Self { type_name, ..Self::default() };
        while d.child()? {
            match d.name() {
                "object" | "obj" => detail.object = Some(d.read()?),
                "privilegeId" | "name" | "invalidProperty" => detail.name = d.read()?,
                _ => d.skip()?,
            }
        }
        Ok(detail)
    }

    fn kind(self) -> FaultKind {
        match self.type_name.as_str() {
            "InvalidLogin" => FaultKind::InvalidLogin,
            "NotAuthenticated" => FaultKind::NotAuthenticated,
            "NoPermission" => FaultKind::NoPermission { object: self.object, privilege: self.name },
            "ManagedObjectNotFound" => FaultKind::ManagedObjectNotFound(self.object),
            "InvalidProperty" => FaultKind::InvalidProperty(self.name),
            "InvalidCollectorVersion" => FaultKind::InvalidCollectorVersion,
            "RequestCanceled" => FaultKind::RequestCanceled,
            "InvalidArgument" => FaultKind::InvalidArgument(self.name),
            "DuplicateName" => FaultKind::DuplicateName(self.name),
            _ => FaultKind::Other(crate::xml::shorten_line(&self.type_name)),
        }
    }
}
