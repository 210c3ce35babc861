//! Custom attributes: their definitions, which the whole vCenter shares, and their values on one object.

use super::{Vcenter, WriteError, returnval};
use crate::error::{Error, ErrorKind};
use crate::ids::MoRef;
use crate::model::{CustomFieldDef, CustomValue};
use crate::property::{Change, CustomFields, ObjectProperties};
use crate::soap::{FaultKind, operation};
use crate::xml::{Decoder, Element};

impl Vcenter {
    /// The definitions of all custom attributes.
    ///
    /// # Errors
    /// As every call; also when they may not be read.
    pub async fn custom_fields(&self) -> Result<Vec<CustomFieldDef>, Error> {
        let report = self.read_one(manager, &["field"]).await?;
        match report {
            Some(ObjectProperties::CustomFields(CustomFields { fields: Change::Set(fields) })) => Ok(fields),
            Some(ObjectProperties::CustomFields(CustomFields {
                fields: Change::NotMentioned | Change::Unset,
            })) => Ok(Vec::new()),
            _ => Err(self.lacks(
                operation!("RetrievePropertiesEx"),
                "the definitions of custom attributes, which this account may not read",
            )),
        }
    }

    /// The values of the custom attributes of a VM; nothing when there is no such VM (any more).
    ///
    /// # Errors
    /// As every call; also when they may not be read.
    pub async fn custom_values(&self, vm: &MoRef) -> Result<Option<Vec<CustomValue>>, Error> {
        let report = match self.read_one(|_| Ok(vm.clone()), &["customValue"]).await {
            Err(error) if matches!(error.fault(), Some(FaultKind::ManagedObjectNotFound(_))) => {
                return Ok(None);
            }
            report => report?,
        };
        let Some(ObjectProperties::VirtualMachine(report)) = report else { return Ok(None) };
        match report.custom_values {
            Change::Set(values) => Ok(Some(values)),
            Change::NotMentioned | Change::Unset => Ok(Some(Vec::new())),
            Change::Unreadable => Err(self.lacks(
                operation!("RetrievePropertiesEx"),
                "the custom attributes of the VM, which this account may not read",
            )),
        }
    }

    /// Defines a custom attribute for objects of a type (`VirtualMachine`) and gives its key (`AddCustomFieldDef`).
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done. A name that is in use is refused as
    /// [`FaultKind::DuplicateName`]. Needs `Global.ManageCustomFields` at the root.
    pub async fn add_custom_field(&self, name: &str, type_name: &str) -> Result<i32, WriteError> {
        let operation = operation!("AddCustomFieldDef");
        let request = |session: &super::Session| {
            Ok(Element::new("AddCustomFieldDef")
                .moref("_this", &manager(session)?)
                .text("name", name)
                .text("moType", type_name))
        };
        let made = self.write(operation, request, returnval::<CustomFieldDef>).await?;
        match made {
            Some(made) => Ok(made.key),
            None => Err(WriteError::sent(
                self.inner.soap.error(operation.name, ErrorKind::Missing("the definition that was made")),
            )),
        }
    }

    /// Sets the value of a custom attribute of an object (`SetField`); an empty value clears it.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done. A key that is not defined, or not for this type of object,
    /// is refused as [`FaultKind::InvalidArgument`]. Needs `Global.SetCustomField` on the object.
    pub async fn set_custom_field(&self, object: &MoRef, key: i32, value: &str) -> Result<(), WriteError> {
        let request = |session: &super::Session| {
            Ok(Element::new("SetField")
                .moref("_this", &manager(session)?)
                .moref("entity", object)
                .text("key", key)
                .text("value", value))
        };
        self.write(operation!("SetField"), request, Decoder::skip_rest).await
    }
}

fn manager(session: &super::Session) -> Result<MoRef, &'static str> {
    session.content.custom_fields_manager.clone().ok_or("a manager of custom attributes")
}
