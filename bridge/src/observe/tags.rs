//! Keeps the tags of one vCenter's VMs current.
//!
//! The property collector does not tell of tags. So they are read in full after every full reading of the objects and
//! every now and then, and in between events say where to look: their names are hints, what counts is what is read
//! thereupon. Where there are no events, everything is read more often instead. A failure leaves the tags as they were, marks them as old, and leads to another full reading.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use vsphere_client::error::chain;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::model::Event;
use vsphere_client::rest::{RestClient, RestError, TagId};
use vsphere_client::retry::Backoff;

use super::progress::SourceState;
use super::{Context, Mode};
use crate::clock;
use crate::fleet::{FleetUpdate, TagName, TagUpdate, VcenterName, VmTags};

/// Events after which tags are read again.
pub(super) const TAG_EVENTS: [&str; 2] = ["com.vmware.cis.tagging.attach", "com.vmware.cis.tagging.detach"];

/// Time to wait for more hints after the first: people tag many VMs at once.
const GATHER: Duration = Duration::from_millis(250);
/// Hints that wait at most. More than that are answered by one full reading.
const HINTS: usize = 256;
/// VMs whose tags are read together: as many batches as go at once.
const CHUNK: usize = 4_000;
/// VCenters end idle sessions after some minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(240);
/// Without events everything is read at this interval, from one beginning to the next: a change is on its node within a minute.
const WITHOUT_EVENTS: Duration = Duration::from_secs(40);
/// Without events, readings of everything take at most one part in so many of the time.
const READING_SHARE: u32 = 3;
/// How often names of tags and categories are read again, since nothing tells of their being renamed.
const FORGET_NAMES: Duration = Duration::from_secs(3600);

/// Something to look at.
enum Hint {
    /// Everything; the sender is told when it was read.
    Everything(Option<oneshot::Sender<()>>),
    /// VMs that appeared.
    Vms(Vec<MoRef>),
    /// A tag of this name was attached or detached.
    Tag(Box<str>),
}

/// The running reader of one vCenter's tags.
pub(super) struct TagReader {
    hints: mpsc::Sender<Hint>,
    /// Whether events tell of changes.
    events: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl TagReader {
    pub(super) fn start(rest: RestClient, part: VcenterName, context: Context) -> Self {
        let (hints, receiver) = mpsc::channel(HINTS);
        let events = Arc::new(AtomicBool::new(false));
        let reader = Reader { rest, part, context, events: events.clone(), read_once: false };
        Self { hints, events, task: tokio::spawn(reader.run(receiver)) }
    }

    /// Whether events tell of changes from now on. To be said before everything is to be read.
    pub(super) fn events_come(&self, come: bool) {
        self.events.store(come, Ordering::Relaxed);
    }

    fn hint(&self, hint: Hint) {
        // When it is full, the reader is about to read; it then reads everything (see `gather`).
        if self.hints.try_send(hint).is_err() {
            tracing::debug!("too many hints on tags; the next reading takes everything");
        }
    }

    /// Everything is to be read.
    pub(super) fn everything(&self) {
        self.hint(Hint::Everything(None));
    }

    /// Reads everything and returns when that is over.
    pub(super) async fn read_everything(&self) {
        let (done, over) = oneshot::channel();
        if self.hints.send(Hint::Everything(Some(done))).await.is_ok() {
            // An error means that the reader has ended, so that it is over too.
            over.await.ok();
        }
    }

    /// These VMs are new; they may have come with tags.
    pub(super) fn appeared(&self, vms: impl Iterator<Item = MoRef>) {
        let vms: Vec<_> = vms.collect();
        if !vms.is_empty() {
            self.hint(Hint::Vms(vms));
        }
    }

    /// These events happened.
    pub(super) fn events(&self, events: &[Event], missed: bool) {
        if missed {
            self.everything();
        }
        for event in events.iter().filter(|event| TAG_EVENTS.contains(&&*event.type_id)) {
            match event.argument("Tag") {
                Some(tag) if !tag.is_empty() => self.hint(Hint::Tag(tag.into())),
                _ => self.everything(),
            }
        }
    }

    pub(super) async fn close(self) {
        self.task.abort();
        drop(self.hints);
        // Aborted is what it is meant to be.
        self.task.await.ok();
    }
}

struct Reader {
    rest: RestClient,
    part: VcenterName,
    context: Context,
    events: Arc<AtomicBool>,
    read_once: bool,
}

/// What to look at, gathered from hints.
#[derive(Default)]
struct Wanted {
    everything: bool,
    vms: BTreeSet<MoRef>,
    tags: BTreeSet<Box<str>>,
    done: Vec<oneshot::Sender<()>>,
}

/// What a reading found.
struct Readout {
    update: TagUpdate,
    /// Attached tags whose names could not be read.
    unnamed: usize,
}

impl Wanted {
    fn add(&mut self, hint: Hint) {
        match hint {
            Hint::Everything(done) => {
                self.everything = true;
                self.done.extend(done);
            }
            Hint::Vms(vms) => self.vms.extend(vms),
            Hint::Tag(name) => {
                self.tags.insert(name);
            }
        }
    }
}

impl Reader {
    async fn run(mut self, mut hints: mpsc::Receiver<Hint>) {
        let limits = &self.context.limits;
        let mut pace =
            Backoff::new(Duration::from_secs(2), limits.max_retry_delay.max(Duration::from_secs(60)));
        let refresh = limits.tags_full_refresh;
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        // Until the objects have been read there is nothing to read tags for.
        let mut next_full = far;
        let mut forget_at = Instant::now() + FORGET_NAMES;
        loop {
            let mut wanted = Wanted::default();
            tokio::select! {
                hint = hints.recv() => {
                    let Some(hint) = hint else { return };
                    wanted.add(hint);
                    self.gather(&mut wanted, &mut hints).await;
                }
                () = sleep_until(next_full) => wanted.everything = true,
                () = tokio::time::sleep(KEEP_ALIVE) => {
                    if let Err(error) = self.rest.keep_alive().await {
                        tracing::debug!(vcenter = %self.part, error = chain(&error), "the REST session was lost");
                    }
                    continue;
                }
            }
            // The first reading takes everything; hints that came before it say nothing more.
            if !self.read_once && !wanted.everything {
                continue;
            }
            if Instant::now() >= forget_at {
                self.rest.forget_names();
                forget_at = Instant::now() + FORGET_NAMES;
            }
            let everything = wanted.everything;
            let began = Instant::now();
            match self.read(&wanted).await {
                Ok(Readout { update, unnamed }) => {
                    self.read_once = true;
                    self.context.fleet.apply(&self.part, FleetUpdate::Tags(update), clock::now());
                    if unnamed == 0 {
                        pace.reset();
                        if everything {
                            next_full = self.next_full(began);
                        }
                    } else {
                        let error = format!(
                            "{unnamed} tags are attached whose names cannot be read; the tags of the VMs that have them are not known"
                        );
                        let delay = pace.next_delay();
                        tracing::warn!(vcenter = %self.part, error, retry_in = ?delay, "tags cannot be made out");
                        self.context.fleet.apply(&self.part, FleetUpdate::TagsFailed { error }, clock::now());
                        next_full = Instant::now() + delay;
                    }
                }
                Err(error) => {
                    let delay = if error.is_login_refused() || error.is_not_permitted() {
                        refresh
                    } else {
                        pace.next_delay()
                    };
                    let error = chain(&error);
                    tracing::warn!(vcenter = %self.part, error, retry_in = ?delay, "the tags cannot be read");
                    self.context.fleet.apply(&self.part, FleetUpdate::TagsFailed { error }, clock::now());
                    next_full = Instant::now() + delay;
                }
            }
            if everything && self.context.mode == Mode::Live {
                // With or without tags, the first picture is there.
                self.context.board.state(self.part.as_str(), SourceState::Ready);
            }
            for done in wanted.done {
                // Nobody waits any more when the program is stopping.
                done.send(()).ok();
            }
        }
    }

    /// When everything is to be read again after a reading that began at `began` and has just ended.
    fn next_full(&self, began: Instant) -> Instant {
        if self.events.load(Ordering::Relaxed) {
            return Instant::now() + self.context.limits.tags_full_refresh;
        }
        began + WITHOUT_EVENTS.max(began.elapsed() * READING_SHARE)
    }

    async fn gather(&self, wanted: &mut Wanted, hints: &mut mpsc::Receiver<Hint>) {
        if !wanted.everything {
            tokio::time::sleep(GATHER).await;
        }
        let mut gathered = 1;
        while let Ok(hint) = hints.try_recv() {
            wanted.add(hint);
            gathered += 1;
        }
        // The queue was full, so some hints may not have fitted in.
        wanted.everything |= gathered >= HINTS;
    }

    async fn read(&self, wanted: &Wanted) -> Result<Readout, RestError> {
        if wanted.everything {
            let (tags, unnamed) = self.tags_of(&self.context.fleet.vm_refs(&self.part)).await?;
            return Ok(Readout { update: TagUpdate::Full(tags), unnamed });
        }
        let mut vms = wanted.vms.clone();
        let mut ids: Vec<TagId> = Vec::new();
        for name in &wanted.tags {
            ids.extend(self.rest.tags_named(name).await?);
            vms.extend(self.context.fleet.vms_with_tag(&self.part, name));
        }
        for (_, objects) in self.rest.attached_objects_on_tags(&ids).await? {
            vms.extend(objects.into_iter().filter(|object| *object.mo_kind() == MoKind::VirtualMachine));
        }
        let (tags, unnamed) = self.tags_of(&vms.into_iter().collect::<Vec<_>>()).await?;
        Ok(Readout { update: TagUpdate::ForObjects(tags), unnamed })
    }

    /// The tags of these VMs, and how many tags have no name.
    ///
    /// A tag that was deleted between the two calls has no name. When everything is read once more it is no longer attached
    /// either; if it still is, something is wrong, and the VMs that have it must not look as if they had not.
    async fn tags_of(&self, vms: &[MoRef]) -> Result<(Vec<VmTags>, usize), RestError> {
        let (mut tags, mut unnamed) = (Vec::with_capacity(vms.len()), 0);
        // Ids take more memory than names, so not all of a large fleet's are held at once.
        for some in vms.chunks(CHUNK) {
            let (named, without) = self.named(some).await?;
            tags.extend(named);
            unnamed += without;
        }
        if unnamed == 0 {
            return Ok((tags, 0));
        }
        let doubtful: Vec<MoRef> =
            tags.iter().filter(|(_, tags)| tags.is_none()).map(|(vm, _)| vm.clone()).collect();
        let (again, unnamed) = self.named(&doubtful).await?;
        tags.retain(|(_, tags)| tags.is_some());
        tags.extend(again);
        Ok((tags, unnamed))
    }

    async fn named(&self, vms: &[MoRef]) -> Result<(Vec<VmTags>, usize), RestError> {
        let mut attachments = self.rest.attached_tags_on_objects(vms).await?;
        // An object without tags may be left out of the answer.
        let answered: HashSet<MoRef> = attachments.iter().map(|(object, _)| object.clone()).collect();
        attachments.extend(vms.iter().filter(|vm| !answered.contains(vm)).map(|vm| (vm.clone(), Vec::new())));
        let ids: BTreeSet<TagId> = attachments.iter().flat_map(|(_, ids)| ids.iter().cloned()).collect();
        let ids: Vec<TagId> = ids.into_iter().collect();
        let names = self.rest.tag_names(&ids).await?;
        let name = |id: TagId| {
            let (category, name) = names.get(&id)?;
            Some(TagName { category: category.clone(), name: name.clone() })
        };
        let named = |(vm, ids): (MoRef, Vec<TagId>)| (vm, ids.into_iter().map(name).collect());
        let unnamed = ids.iter().filter(|id| !names.contains_key(*id)).count();
        Ok((attachments.into_iter().map(named).collect(), unnamed))
    }
}
