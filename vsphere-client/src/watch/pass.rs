//! One pass of a watch: in one session, from the first object to the failure that ends it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::free::freed;
use super::news::News;
use super::{WatchEvent, WatchOptions};
use crate::error::{Error, ErrorKind};
use crate::ids::MoRef;
use crate::property::{
    Extra, FleetSpec, ObjectProperties, ObjectReport, ReportSink, UpdatePage, VIEW_TYPES,
    decode_retrieve_result_with, is_known_path,
};
use crate::soap::{FaultKind, operation};
use crate::vcenter::{Collector, EventHistory, Lease, Vcenter, View};
use crate::xml::{Element, XmlErrorKind};

/// Events kept in the collector's page. More in one wait are noticed as missed.
const EVENT_PAGE: u32 = 200;

/// How a pass ended.
pub(super) enum PassEnd {
    /// Everything was read, and that was all that was wanted.
    Done,
    /// Nobody listens any more.
    Abandoned,
    /// It failed; `was_complete` when it had got as far as waiting for changes.
    Failed { error: Error, was_complete: bool },
}

pub(super) struct Pass {
    vcenter: Vcenter,
    options: WatchOptions,
    out: mpsc::Sender<WatchEvent>,
    stop: CancellationToken,
    /// Paths the server turned out not to know.
    without: BTreeSet<String>,
    /// What is read beside the built-in properties, as far as the server knows it.
    extra: Extra,
    news: News,
    complete: bool,
}

/// Why a pass stopped short.
enum Stop {
    Abandoned,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Decode(xml) if matches!(xml.kind, XmlErrorKind::Abandoned) => Self::Abandoned,
            _ => Self::Error(error),
        }
    }
}

/// What a pass holds on the server.
struct Held {
    lease: Lease,
    view: Option<View>,
    events: Option<EventHistory>,
    collector: Option<Collector>,
    token: Option<String>,
}

impl Pass {
    pub(super) fn new(
        vcenter: Vcenter,
        options: &WatchOptions,
        out: mpsc::Sender<WatchEvent>,
        stop: CancellationToken,
    ) -> Self {
        let (options, extra) = (options.clone(), options.extra.clone());
        let news = News::default();
        Self { vcenter, options, out, stop, without: BTreeSet::new(), extra, news, complete: false }
    }

    pub(super) async fn run(&mut self) -> PassEnd {
        self.complete = false;
        let stop = self.stop.clone();
        let lease = tokio::select! {
            lease = self.vcenter.lease() => lease,
            () = stop.cancelled() => return PassEnd::Abandoned,
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => return PassEnd::Failed { error, was_complete: false },
        };
        let mut held = Held { lease, view: None, events: None, collector: None, token: None };
        let end = tokio::select! {
            end = self.read(&mut held) => end,
            () = stop.cancelled() => Err(Stop::Abandoned),
        };
        self.free(held).await;
        match end {
            Ok(()) => PassEnd::Done,
            Err(Stop::Abandoned) => PassEnd::Abandoned,
            Err(Stop::Error(error)) => PassEnd::Failed { error, was_complete: self.complete },
        }
    }

    async fn read(&mut self, held: &mut Held) -> Result<(), Stop> {
        let view = self.vcenter.container_view_in(held.lease.clone(), None, &VIEW_TYPES).await?;
        let mut others: Vec<MoRef> =
            held.lease.session.content.custom_fields_manager.clone().into_iter().collect();
        let mut spec = FleetSpec {
            view: view.object.clone(),
            others: Vec::new(),
            without: self.without.clone(),
            extra: self.extra.clone(),
        };
        held.view = Some(view);
        if !self.options.once {
            held.events = self.event_history(&held.lease).await?;
            others.extend(held.events.iter().map(|history| history.object.clone()));
        }
        spec.others = others;
        self.news.restart();
        let about = held.lease.session.content.about.clone();
        self.tell(WatchEvent::Started { about, events: held.events.is_some() }).await?;
        loop {
            let end =
                if self.options.once { self.once(held, &spec).await } else { self.live(held, &spec).await };
            match end {
                // A server of another version may not know all paths. Each can be unknown only once, so this ends.
                Err(Stop::Error(error)) if self.forget_path(&error) => {
                    spec.without.clone_from(&self.without);
                    spec.extra.clone_from(&self.extra);
                }
                end => return end,
            }
        }
    }

    fn forget_path(&mut self, error: &Error) -> bool {
        let Some(FaultKind::InvalidProperty(path)) = error.fault() else { return false };
        let is_built_in = is_known_path(path) && self.without.insert(path.clone());
        let (extra, left_out) = self.extra.without(path, is_built_in);
        if !is_built_in && left_out.is_empty() {
            return false;
        }
        self.extra = extra;
        tracing::warn!(path, also = ?left_out, "the server does not know this property; going on without it");
        true
    }

    async fn event_history(&self, lease: &Lease) -> Result<Option<EventHistory>, Stop> {
        if self.options.event_types.is_empty() {
            return Ok(None);
        }
        match self.vcenter.event_history_in(lease.clone(), &self.options.event_types, EVENT_PAGE).await {
            Ok(history) => Ok(Some(history)),
            Err(error) if error.fault().is_some() || matches!(error.kind(), ErrorKind::Missing(_)) => {
                tracing::warn!(
                    error = error.line(),
                    "events cannot be read; tags will be noticed by slow reads only"
                );
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads everything once, page by page.
    async fn once(&mut self, held: &mut Held, spec: &FleetSpec) -> Result<(), Stop> {
        let operation = operation!("RetrievePropertiesEx");
        let collector = held.lease.session.content.property_collector.clone();
        let collector = collector.ok_or_else(|| self.vcenter.lacks(operation, "a property collector"))?;
        let options = Element::new("options").text("maxObjects", self.options.page);
        let request = Element::new("RetrievePropertiesEx")
            .moref("_this", &collector)
            .child(spec.filter("specSet"))
            .child(options);
        let (mut sink, extra) = (self.sink(), spec.extra.clone());
        let read = move |d: &mut crate::xml::Decoder| {
            let token = decode_retrieve_result_with(d, &extra, |d, report| sink.push(d, report))?;
            Ok((token, sink.rest()))
        };
        let (mut token, rest) =
            self.vcenter.call_in(&held.lease, operation, request, Duration::ZERO, read).await?;
        held.token.clone_from(&token);
        self.objects(rest).await?;
        while let Some(next) = token {
            let request =
                Element::new("ContinueRetrievePropertiesEx").moref("_this", &collector).text("token", &next);
            let (mut sink, extra) = (self.sink(), spec.extra.clone());
            let read = move |d: &mut crate::xml::Decoder| {
                let token = decode_retrieve_result_with(d, &extra, |d, report| sink.push(d, report))?;
                Ok((token, sink.rest()))
            };
            let operation = operation!("ContinueRetrievePropertiesEx");
            let (after, rest) =
                self.vcenter.call_in(&held.lease, operation, request, Duration::ZERO, read).await?;
            held.token.clone_from(&after);
            self.objects(rest).await?;
            token = after;
        }
        self.complete = true;
        self.tell(WatchEvent::Complete).await
    }

    /// Reads everything through a filter, then waits for changes until something fails.
    async fn live(&mut self, held: &mut Held, spec: &FleetSpec) -> Result<(), Stop> {
        let collector = match &held.collector {
            Some(collector) => collector.clone(),
            None => held.collector.insert(self.vcenter.create_collector(&held.lease).await?).clone(),
        };
        let collector = collector.with(spec.extra.clone());
        self.vcenter.create_filter(&collector, spec.filter("spec")).await?;
        let mut version = String::new();
        loop {
            let wait = if self.complete { self.options.max_wait } else { Duration::ZERO };
            let page = self.wait(&collector, &version, wait).await?;
            if let Some(next) = page.version {
                version = next;
            }
            if page.truncated {
                continue;
            }
            if self.complete {
                self.tell(WatchEvent::Current).await?;
            } else {
                self.complete = true;
                self.tell(WatchEvent::Complete).await?;
            }
        }
    }

    async fn wait(
        &mut self,
        collector: &Collector,
        version: &str,
        wait: Duration,
    ) -> Result<UpdatePage, Stop> {
        let limits = (wait, self.options.page);
        let (page, rest) = self
            .vcenter
            .wait_for_updates(collector, version, limits, self.sink(), ReportSink::push, ReportSink::rest)
            .await?;
        self.objects(rest).await?;
        Ok(page)
    }

    /// Passes full batches on from the decoder's thread.
    fn sink(&self) -> ReportSink {
        let out = self.out.clone();
        ReportSink::new(move |batch| out.blocking_send(WatchEvent::Objects(batch)).is_ok())
    }

    async fn objects(&mut self, mut reports: Vec<ObjectReport>) -> Result<(), Stop> {
        let mut fresh = Vec::new();
        reports.retain_mut(|report| match &mut report.properties {
            ObjectProperties::EventCollector(collector) => {
                let page = std::mem::take(&mut collector.latest).value().unwrap_or_default();
                fresh.extend(self.news.take(page, EVENT_PAGE));
                false
            }
            _ => true,
        });
        if !reports.is_empty() {
            self.tell(WatchEvent::Objects(reports)).await?;
        }
        for news in fresh {
            self.tell(WatchEvent::Events { events: news.events, missed: news.missed }).await?;
        }
        Ok(())
    }

    async fn tell(&self, event: WatchEvent) -> Result<(), Stop> {
        self.out.send(event).await.map_err(|_| Stop::Abandoned)
    }

    /// Frees what the pass holds on the server. What cannot be freed goes with the session.
    async fn free(&self, held: Held) {
        let freeing = async {
            let Held { lease, view, events, collector, token } = held;
            let mut results = Vec::new();
            if let Some(collector) = collector {
                // When the watch is stopped, a wait was given up.
                results.extend(self.vcenter.destroy_collector(&collector, self.stop.is_cancelled()).await);
            }
            if let (Some(token), Some(collector)) = (token, &lease.session.content.property_collector) {
                let operation = operation!("CancelRetrievePropertiesEx");
                let request =
                    Element::new("CancelRetrievePropertiesEx").moref("_this", collector).text("token", token);
                results.push(
                    self.vcenter
                        .call_in(&lease, operation, request, Duration::ZERO, crate::xml::Decoder::skip_rest)
                        .await,
                );
            }
            if let Some(history) = events {
                results.push(self.vcenter.destroy_event_history(&history).await);
            }
            if let Some(view) = view {
                results.push(self.vcenter.destroy_view(view).await);
            }
            results
        };
        freed(freeing).await;
    }
}
