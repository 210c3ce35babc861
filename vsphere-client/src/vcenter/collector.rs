//! A property collector of one's own: waits of other users of the session do not mix with those of this one.

use std::time::Duration;

use super::{Lease, Vcenter, returnval};
use crate::error::Error;
use crate::ids::MoRef;
use crate::property::{Extra, ObjectReport, UpdatePage, decode_update_set_with};
use crate::soap::operation;
use crate::xml::{Decoder, Element, XmlError};

/// A property collector that lives in the session of a lease. It is to be [destroyed](Vcenter::destroy_collector).
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    lease: Lease,
    object: MoRef,
    extra: Extra,
}

impl Collector {
    /// The same, when its filters ask for these properties beside the built-in ones.
    pub(crate) fn with(self, extra: Extra) -> Self {
        Self { extra, ..self }
    }
}

impl Vcenter {
    pub(crate) async fn create_collector(&self, lease: &Lease) -> Result<Collector, Error> {
        let operation = operation!("CreatePropertyCollector");
        let parent = lease.session.content.property_collector.as_ref();
        let parent = parent.ok_or_else(|| self.lacks(operation, "a property collector"))?;
        let request = Element::new("CreatePropertyCollector").moref("_this", parent);
        let made = self.call_in(lease, operation, request, Duration::ZERO, returnval).await?;
        let object = made.ok_or_else(|| self.lacks(operation, "a property collector"))?;
        Ok(Collector { lease: lease.clone(), object, extra: Extra::default() })
    }

    /// Adds a filter, given as an element called `spec`. Whole values are told, not parts of them.
    pub(crate) async fn create_filter(&self, collector: &Collector, spec: Element) -> Result<(), Error> {
        let request = Element::new("CreateFilter")
            .moref("_this", &collector.object)
            .child(spec)
            .text("partialUpdates", false);
        self.call_in(
            &collector.lease,
            operation!("CreateFilter"),
            request,
            Duration::ZERO,
            Decoder::skip_rest,
        )
        .await
    }

    /// Waits for changes since `version`, at most for `wait`; each object goes to `each`, in pages of at most `page`. What
    /// `each` has gathered in the end comes back through `rest`.
    pub(crate) async fn wait_for_updates<S: Send + 'static, T: Send + 'static>(
        &self,
        collector: &Collector,
        version: &str,
        (wait, page): (Duration, u32),
        mut gathered: S,
        each: impl Fn(&mut S, &Decoder, ObjectReport) -> Result<(), XmlError> + Send + 'static,
        rest: impl FnOnce(S) -> T + Send + 'static,
    ) -> Result<(UpdatePage, T), Error> {
        let options =
            Element::new("options").text("maxWaitSeconds", wait.as_secs()).text("maxObjectUpdates", page);
        let request = Element::new("WaitForUpdatesEx")
            .moref("_this", &collector.object)
            .text("version", version)
            .child(options);
        let extra = collector.extra.clone();
        let read = move |d: &mut Decoder| {
            let page = decode_update_set_with(d, &extra, |d, report| each(&mut gathered, d, report))?;
            Ok((page, rest(gathered)))
        };
        self.call_in(&collector.lease, operation!("WaitForUpdatesEx"), request, wait, read).await
    }

    /// Removes a collector with its filters. One whose session has ended is gone already.
    ///
    /// `waiting` says that a wait was given up, which still runs on the server.
    pub(crate) async fn destroy_collector(
        &self,
        collector: &Collector,
        waiting: bool,
    ) -> [Result<(), Error>; 2] {
        let Collector { lease, object, .. } = collector;
        let cancelled = if waiting {
            let operation = operation!("CancelWaitForUpdates");
            self.destroy(lease, operation, "CancelWaitForUpdates", object).await
        } else {
            Ok(())
        };
        let operation = operation!("DestroyPropertyCollector");
        [cancelled, self.destroy(lease, operation, "DestroyPropertyCollector", object).await]
    }
}
