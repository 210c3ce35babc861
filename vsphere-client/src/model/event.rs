//! Events of a vCenter.

use jiff::Timestamp;

use crate::ids::MoRef;
use crate::xml::{Decoder, FromXml, XmlError};

/// One event: what all types of them have in common, and the arguments of `EventEx`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    /// Number, growing in one vCenter.
    pub key: i32,
    /// Type id: of an `EventEx` or `ExtendedEvent` its `eventTypeId`, of all others the type name (`VmRenamedEvent`).
    pub type_id: Box<str>,
    /// When it happened.
    pub created: Option<Timestamp>,
    /// Who did it.
    pub user: Box<str>,
    /// The VM it is about, if it is about one.
    pub vm: Option<MoRef>,
    /// Id of the object it is about, as `EventEx` gives it; may be empty.
    pub object_id: Option<Box<str>>,
    /// Name of the object it is about, as `EventEx` gives it.
    pub object_name: Option<Box<str>>,
    /// Arguments of an `EventEx`.
    pub arguments: Vec<EventArgument>,
    /// The line people see.
    pub message: Box<str>,
}

/// A named argument of an event (`KeyAnyValue`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventArgument {
    /// Its name.
    pub key: Box<str>,
    /// Its value, as text.
    pub value: Box<str>,
}

impl Event {
    /// The argument named `key`.
    #[must_use]
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.arguments.iter().find(|a| &*a.key == key).map(|a| &*a.value)
    }
}

impl FromXml for Event {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut event = Self { type_id: d.xsi_type().into(), ..Self::default() };
        while d.child()? {
            match d.name() {
                "key" => event.key = d.read()?,
                "createdTime" => event.created = Some(d.read()?),
                "userName" => event.user = d.read()?,
                "vm" => {
                    while d.child()? {
                        if d.name() == "vm" { event.vm = Some(d.read()?) } else { d.skip()? }
                    }
                }
                "eventTypeId" => event.type_id = d.read()?,
                "objectId" => event.object_id = Some(d.read()?),
                "objectName" => event.object_name = Some(d.read()?),
                "arguments" => event.arguments.push(d.read()?),
                "fullFormattedMessage" => event.message = d.read()?,
                _ => d.skip()?,
            }
        }
        Ok(event)
    }
}

impl FromXml for EventArgument {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut argument = Self::default();
        while d.child()? {
            match d.name() {
                "key" => argument.key = d.read()?,
                "value" => argument.value = d.read()?,
                _ => d.skip()?,
            }
        }
        Ok(argument)
    }
}
