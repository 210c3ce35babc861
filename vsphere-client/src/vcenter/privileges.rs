//! Which privileges the session's user has on which objects.

use super::{Vcenter, returnvals};
use crate::error::Error;
use crate::ids::MoRef;
use crate::model::data_object;
use crate::soap::operation;
use crate::xml::Element;

data_object! {
    /// Privileges on one object (`EntityPrivilege`).
    pub struct EntityPrivileges {
        /// The object.
        "entity" => entity: opt MoRef,
        /// The privileges asked about.
        "privAvailability" => privileges: many PrivilegeGrant,
    }
}

data_object! {
    /// Whether a privilege is granted (`PrivilegeAvailability`).
    pub struct PrivilegeGrant {
        /// Its id, such as `VirtualMachine.State.CreateSnapshot`.
        "privId" => privilege: one String,
        /// Whether the user has it.
        "isGranted" => granted: one bool,
    }
}

impl Vcenter {
    /// Which of `privileges` the session's user has on each of `entities` (`HasPrivilegeOnEntities`).
    ///
    /// # Errors
    /// As every call; an unknown privilege id is refused as `InvalidArgument`.
    pub async fn has_privileges(
        &self,
        entities: &[MoRef],
        privileges: &[&str],
    ) -> Result<Vec<EntityPrivileges>, Error> {
        self.call(
            operation!("HasPrivilegeOnEntities"),
            |session| {
                let manager =
                    session.content.authorization_manager.as_ref().ok_or("an authorization manager")?;
                Ok(Element::new("HasPrivilegeOnEntities")
                    .moref("_this", manager)
                    .each(entities, |element, entity| element.moref("entity", entity))
                    .text("sessionId", &session.key)
                    .each(privileges, |element, privilege| element.text("privId", privilege)))
            },
            returnvals,
        )
        .await
    }
}
