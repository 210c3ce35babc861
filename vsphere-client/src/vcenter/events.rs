//! Events: a collector that remembers the newest ones of some types and can be watched.

use std::time::Duration;

use super::{Lease, Vcenter, returnval, returnvals};
use crate::error::Error;
use crate::ids::MoRef;
use crate::model::Event;
use crate::soap::operation;
use crate::xml::Element;

/// An event collector (`EventHistoryCollector`).
#[derive(Debug, Clone)]
pub struct EventHistory {
    pub(crate) lease: Lease,
    pub(crate) object: MoRef,
}

impl Vcenter {
    /// A collector of the events of `types` (all types if empty), which keeps a page of the newest `page` (at most 1,000).
    ///
    /// # Errors
    /// As every call; reading events needs the privilege `System.View` on the objects they are about.
    pub async fn event_history(&self, types: &[String], page: u32) -> Result<EventHistory, Error> {
        let lease = self.lease().await?;
        self.event_history_in(lease, types, page).await
    }

    pub(crate) async fn event_history_in(
        &self,
        lease: Lease,
        types: &[String],
        page: u32,
    ) -> Result<EventHistory, Error> {
        let operation = operation!("CreateCollectorForEvents");
        let manager = lease.session.content.event_manager.as_ref();
        let manager = manager.ok_or_else(|| self.lacks(operation, "an event manager"))?;
        let filter = Element::new("filter").each(types, |filter, name| filter.text("eventTypeId", name));
        let request = Element::new("CreateCollectorForEvents").moref("_this", manager).child(filter);
        let object = self.call_in(&lease, operation, request, Duration::ZERO, returnval).await?;
        let object: MoRef = object.ok_or_else(|| self.lacks(operation, "a collector"))?;
        let history = EventHistory { lease, object };
        let request =
            Element::new("SetCollectorPageSize").moref("_this", &history.object).text("maxCount", page);
        let operation = operation!("SetCollectorPageSize");
        match self
            .call_in(&history.lease, operation, request, Duration::ZERO, crate::xml::Decoder::skip_rest)
            .await
        {
            Ok(()) => Ok(history),
            Err(error) => {
                self.destroy_event_history(&history).await?;
                Err(error)
            }
        }
    }

    /// The next events of the collector in the order in which they happened, at most `most`; from its beginning at first.
    ///
    /// # Errors
    /// As every call.
    pub async fn next_events(&self, history: &EventHistory, most: u32) -> Result<Vec<Event>, Error> {
        let request = Element::new("ReadNextEvents").moref("_this", &history.object).text("maxCount", most);
        let operation = operation!("ReadNextEvents");
        self.call_in(&history.lease, operation, request, Duration::ZERO, returnvals).await
    }

    /// Removes a collector; a session may have only a few dozen of them.
    ///
    /// # Errors
    /// As every call.
    pub async fn destroy_event_history(&self, history: &EventHistory) -> Result<(), Error> {
        let operation = operation!("DestroyCollector");
        self.destroy(&history.lease, operation, "DestroyCollector", &history.object).await
    }
}
