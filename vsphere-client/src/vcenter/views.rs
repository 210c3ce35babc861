//! Views over the inventory and over lists of objects, and the objects that live and die with a session.

use std::time::Duration;

use super::{Lease, Vcenter, returnval, returnvals};
use crate::error::{Error, ErrorKind};
use crate::ids::MoRef;
use crate::soap::operation;
use crate::xml::Element;

/// A view. A container view has all objects of some types in a part of the inventory and is kept current by the server, a list
/// view has the objects that were put into it.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) lease: Lease,
    pub(crate) object: MoRef,
}

impl Vcenter {
    /// A view of all objects of `types` (subtypes with them) at and below `root`; the whole inventory without a root.
    ///
    /// # Errors
    /// As every call.
    pub async fn container_view(&self, root: Option<&MoRef>, types: &[&str]) -> Result<View, Error> {
        let lease = self.lease().await?;
        self.container_view_in(lease, root, types).await
    }

    pub(crate) async fn container_view_in(
        &self,
        lease: Lease,
        root: Option<&MoRef>,
        types: &[&str],
    ) -> Result<View, Error> {
        let operation = operation!("CreateContainerView");
        let content = &lease.session.content;
        let manager = content.view_manager.as_ref().ok_or_else(|| self.lacks(operation, "a view manager"))?;
        let root =
            root.or(content.root_folder.as_ref()).ok_or_else(|| self.lacks(operation, "a root folder"))?;
        let request = Element::new("CreateContainerView")
            .moref("_this", manager)
            .moref("container", root)
            .each(types, |element, name| element.text("type", name))
            .text("recursive", true);
        let view = self.call_in(&lease, operation, request, Duration::ZERO, returnval).await?;
        let object = view.ok_or_else(|| self.lacks(operation, "a view"))?;
        Ok(View { lease, object })
    }

    /// A list view without anything in it: the objects of any types that are [put](Self::modify_list_view) there.
    pub(crate) async fn list_view_in(&self, lease: Lease) -> Result<View, Error> {
        let operation = operation!("CreateListView");
        let manager = lease.session.content.view_manager.as_ref();
        let manager = manager.ok_or_else(|| self.lacks(operation, "a view manager"))?;
        let request = Element::new("CreateListView").moref("_this", manager);
        let view = self.call_in(&lease, operation, request, Duration::ZERO, returnval).await?;
        let object = view.ok_or_else(|| self.lacks(operation, "a view"))?;
        Ok(View { lease, object })
    }

    /// Puts objects into a list view and takes others out; those that do not exist come back.
    pub(crate) async fn modify_list_view<'a>(
        &self,
        view: &View,
        add: impl IntoIterator<Item = &'a MoRef>,
        remove: impl IntoIterator<Item = &'a MoRef>,
    ) -> Result<Vec<MoRef>, Error> {
        let request = Element::new("ModifyListView")
            .moref("_this", &view.object)
            .each(add, |element, object| element.moref("add", object))
            .each(remove, |element, object| element.moref("remove", object));
        self.call_in(&view.lease, operation!("ModifyListView"), request, Duration::ZERO, returnvals).await
    }

    /// Removes a view. One whose session has ended is gone already.
    ///
    /// # Errors
    /// As every call.
    pub async fn destroy_view(&self, view: View) -> Result<(), Error> {
        self.destroy(&view.lease, operation!("DestroyView"), "DestroyView", &view.object).await
    }

    /// Removes an object of a session by its own method; it is no error when it is gone already.
    pub(crate) async fn destroy(
        &self,
        lease: &Lease,
        operation: &'static crate::soap::Operation,
        element: &'static str,
        object: &MoRef,
    ) -> Result<(), Error> {
        let request = Element::new(element).moref("_this", object);
        match self.call_in(lease, operation, request, Duration::ZERO, crate::xml::Decoder::skip_rest).await {
            Err(error) if matches!(error.kind(), ErrorKind::SessionEnded) => Ok(()),
            Err(error) if matches!(error.fault(), Some(crate::soap::FaultKind::ManagedObjectNotFound(_))) => {
                Ok(())
            }
            other => other,
        }
    }
}
