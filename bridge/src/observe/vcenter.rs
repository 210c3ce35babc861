//! Follows one vCenter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::property::{ObjectReport, ReportKind};
use vsphere_client::retry::Backoff;
use vsphere_client::watch::{WatchEvent, WatchOptions};

use super::progress::SourceState;
use super::tags::{TAG_EVENTS, TagReader};
use super::{Context, Mode, part};
use crate::clock;
use crate::fleet::{FleetUpdate, Reads, VcenterName};
use crate::source::{Clients, Source};

/// Shortest time between two reports that nothing changed: readers only need to know how old the picture is.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Follows the vCenter until told to stop; in [`Mode::Once`] it only waits for that once it has been read, and ends
/// by itself when it could not be.
pub(super) async fn follow(source: Source, context: Context, stop: CancellationToken) {
    let name = part(&source.name);
    context.fleet.add(&name, &source.scope);
    let is_provider_managed = source.is_provider_managed();
    let reads = context.rules.while_they_hold(|reads| {
        let setup = FleetUpdate::Setup { reads: reads.cloned(), is_provider_managed };
        context.fleet.apply(&name, setup, clock::now());
        reads.cloned()
    });
    let observer = Observer { part: name, source, context, reads, reading: AtomicBool::new(true) };
    tracing::info!(vcenter = %observer.part, url = %observer.source.url, "following");
    let mut pace = Backoff::new(FIRST_DELAY, observer.context.limits.max_retry_delay);
    loop {
        let end = match observer.source.clients(&observer.context.secrets, &observer.context.limits).await {
            Ok(clients) => {
                let end = observer.with(&clients, &stop).await;
                if let Err(error) = clients.close().await {
                    tracing::debug!(vcenter = %observer.part, error, "a session could not be ended");
                }
                end
            }
            Err(error) => {
                let delay = (observer.context.mode == Mode::Live).then(|| pace.next_delay());
                observer.interrupted(error, delay);
                delay.map_or(End::Over, End::AgainIn)
            }
        };
        match end {
            End::Over => break,
            End::AgainIn(delay) => {
                tokio::select! {
                    () = tokio::time::sleep(delay) => {}
                    () = stop.cancelled() => break,
                }
            }
        }
    }
    tracing::debug!(vcenter = %observer.part, "no longer following");
}

/// Why following with one pair of clients ended.
enum End {
    /// All is done, or told to stop.
    Over,
    /// The account was refused: read the password again after this time.
    AgainIn(Duration),
}

struct Observer {
    source: Source,
    part: VcenterName,
    context: Context,
    /// What is read for hardening rules, if they are checked. Other rules may have come since, but they read the same.
    reads: Option<Arc<Reads>>,
    /// Between the beginning of a reading and its end.
    reading: AtomicBool,
}

impl Observer {
    async fn with(&self, clients: &Clients, stop: &CancellationToken) -> End {
        let live = self.context.mode == Mode::Live;
        let events =
            if live && self.source.events { TAG_EVENTS.map(str::to_owned).to_vec() } else { Vec::new() };
        let mut watch = clients.soap.watch(WatchOptions {
            once: !live,
            page: u32::try_from(self.context.limits.page_size).unwrap_or(u32::MAX),
            event_types: events,
            extra: self.reads.as_ref().map(|reads| reads.properties()).unwrap_or_default(),
            retry: (FIRST_DELAY, self.context.limits.max_retry_delay),
            ..WatchOptions::default()
        });
        self.context.connected.put(&self.part, &clients.soap);
        let tags = TagReader::start(clients.rest.clone(), self.part.clone(), self.context.clone());
        let end = loop {
            let event = tokio::select! {
                event = watch.next() => event,
                () = stop.cancelled() => break End::Over,
            };
            let Some(event) = event else { break End::Over };
            if let Some(end) = self.take(event, &tags, stop).await {
                break end;
            }
        };
        tags.close().await;
        watch.close().await;
        if !live && matches!(end, End::Over) && !self.reading.load(Ordering::Relaxed) {
            // It was read. Whoever acts on that does so in the same session.
            stop.cancelled().await;
        }
        self.context.connected.remove(&self.part);
        end
    }

    async fn take(&self, event: WatchEvent, tags: &TagReader, stop: &CancellationToken) -> Option<End> {
        let (name, board) = (&self.source.name, &self.context.board);
        match event {
            WatchEvent::Started { about, events } => {
                self.reading.store(true, Ordering::Relaxed);
                tags.events_come(events);
                tracing::info!(vcenter = %self.part, version = about.version, events, "reading everything");
                board.change(name, |source| {
                    source.objects = 0;
                    if !source.state.is_settled() {
                        source.state = SourceState::Reading;
                    }
                });
                self.tell(FleetUpdate::Started { about });
            }
            WatchEvent::Objects(reports) => {
                board.change(name, |source| source.objects += reports.len());
                // While everything is being read anew, the tags are read when that is over.
                if !self.reading.load(Ordering::Relaxed) {
                    tags.appeared(new_vms(&reports));
                }
                self.tell(FleetUpdate::Objects(reports));
            }
            WatchEvent::Complete => {
                self.reading.store(false, Ordering::Relaxed);
                self.tell(FleetUpdate::Complete);
                board.change(name, |source| {
                    if !source.state.is_settled() {
                        source.state = SourceState::ReadingTags;
                    }
                });
                if self.context.mode == Mode::Once {
                    tokio::select! {
                        () = tags.read_everything() => {}
                        () = stop.cancelled() => return Some(End::Over),
                    }
                    board.state(name, SourceState::Ready);
                } else {
                    tags.everything();
                }
            }
            WatchEvent::Current => self.tell(FleetUpdate::Current),
            WatchEvent::Events { events, missed } => tags.events(&events, missed),
            WatchEvent::Interrupted { error, retry_in } => {
                self.interrupted(error.line(), retry_in);
                if let (true, Some(delay)) = (error.is_login_refused(), retry_in) {
                    return Some(End::AgainIn(delay));
                }
            }
        }
        None
    }

    fn interrupted(&self, error: String, retry_in: Option<Duration>) {
        tracing::warn!(vcenter = %self.part, error, retry_in = ?retry_in, "not current any more");
        let state = match retry_in {
            // A source that can only wait for something to be put right does not keep the others' picture waiting.
            Some(delay) if delay < Duration::from_secs(20) && self.context.mode == Mode::Once => {
                SourceState::Waiting(error.clone())
            }
            _ => SourceState::Failed(error.clone()),
        };
        self.context.board.change(&self.source.name, |source| {
            if source.state != SourceState::Ready {
                source.state = state;
            }
        });
        let retry_at = retry_in.and_then(|delay| clock::now().checked_add(delay).ok());
        self.tell(FleetUpdate::Interrupted { error, retry_at });
    }

    fn tell(&self, update: FleetUpdate) {
        let now: Timestamp = clock::now();
        self.context.fleet.apply(&self.part, update, now);
    }
}

fn new_vms(reports: &[ObjectReport]) -> impl Iterator<Item = MoRef> + '_ {
    let new = |report: &&ObjectReport| {
        report.kind == ReportKind::Entered && *report.object.mo_kind() == MoKind::VirtualMachine
    };
    reports.iter().filter(new).map(|report| report.object.clone())
}
