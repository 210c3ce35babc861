//! A few properties of one object, read now.

use super::{Session, Vcenter};
use crate::error::Error;
use crate::ids::MoRef;
use crate::property::{ObjectProperties, ObjectReport, decode_retrieve_result};
use crate::soap::operation;
use crate::xml::{Decoder, Element, XmlError};

/// Asks for some properties of one object, without any traversal. The object's type is that of the properties.
pub(super) fn properties_of(
    session: &Session,
    object: &MoRef,
    paths: &[&str],
) -> Result<Element, &'static str> {
    let collector = session.content.property_collector.as_ref().ok_or("a property collector")?;
    let properties = Element::new("propSet").text("type", object.kind()).text("all", false);
    let properties = properties.each(paths, |set, path| set.text("pathSet", path));
    let objects = Element::new("objectSet").moref("obj", object).text("skip", false);
    Ok(Element::new("RetrievePropertiesEx")
        .moref("_this", collector)
        .child(Element::new("specSet").child(properties).child(objects))
        .child(Element::new("options")))
}

/// The properties of the one object that was asked about.
fn first_report(d: &mut Decoder) -> Result<Option<ObjectProperties>, XmlError> {
    let mut first = None;
    decode_retrieve_result(d, |_, ObjectReport { properties, .. }| {
        first.get_or_insert(properties);
        Ok(())
    })?;
    Ok(first)
}

impl Vcenter {
    /// What one call tells of one object; nothing when the server has nothing to tell of it. One that does not exist is
    /// refused.
    pub(super) async fn read_one(
        &self,
        object: impl Fn(&Session) -> Result<MoRef, &'static str>,
        paths: &[&str],
    ) -> Result<Option<ObjectProperties>, Error> {
        let request = |session: &Session| properties_of(session, &object(session)?, paths);
        self.call(operation!("RetrievePropertiesEx"), request, first_report).await
    }
}
