//! One pass of a watch of tasks: in one session, from the first task to the failure that ends it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::free::freed;
use super::wanted::Wanted;
use super::{TaskEvent, TaskWatchOptions};
use crate::error::Error;
use crate::ids::TaskRef;
use crate::model::TaskInfo;
use crate::property::{Change, ObjectProperties, ObjectReport, ReportKind};
use crate::soap::FaultKind;
use crate::vcenter::{Collector, Lease, Vcenter, View, task_properties};
use crate::xml::{Decoder, Element, XmlError, XmlErrorKind};

/// Most news in one answer. A server sends pages of as many tasks as it was asked for.
const MOST_NEWS: usize = 10_000;

/// Shortest time between two waits that brought nothing.
const BREATH: Duration = Duration::from_secs(1);

/// How a pass ended.
pub(super) enum PassEnd {
    /// There has been no task for a while.
    Idle,
    /// Nobody listens any more.
    Abandoned,
    /// It failed; `had_worked` when it had got an answer to its first wait.
    Failed { error: Error, had_worked: bool },
}

/// Why a pass stopped short.
enum Stop {
    Abandoned,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

pub(super) struct Pass<'a> {
    vcenter: &'a Vcenter,
    options: &'a TaskWatchOptions,
    wanted: &'a Arc<Wanted>,
    out: &'a mpsc::Sender<TaskEvent>,
    stop: &'a CancellationToken,
    /// The tasks in the list on the server that are followed.
    listed: BTreeSet<TaskRef>,
    /// The tasks in it whose end was told.
    done: BTreeSet<TaskRef>,
    /// The tasks that left the list although they exist, and were listed again.
    relisted: BTreeSet<TaskRef>,
    version: String,
    had_worked: bool,
}

/// What a pass holds on the server.
struct Held {
    lease: Lease,
    view: Option<View>,
    collector: Option<Collector>,
    /// Whether a wait is under way.
    waiting: bool,
}

/// What one report says of a task.
enum Said {
    Info(Box<TaskInfo>),
    /// Its state was not told.
    Nothing(TaskRef),
    /// It has left the list.
    Left(TaskRef),
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        vcenter: &'a Vcenter,
        options: &'a TaskWatchOptions,
        wanted: &'a Arc<Wanted>,
        out: &'a mpsc::Sender<TaskEvent>,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            vcenter,
            options,
            wanted,
            out,
            stop,
            listed: BTreeSet::new(),
            done: BTreeSet::new(),
            relisted: BTreeSet::new(),
            version: String::new(),
            had_worked: false,
        }
    }

    pub(super) async fn run(&mut self) -> PassEnd {
        let stop = self.stop;
        let lease = tokio::select! {
            lease = self.vcenter.lease() => lease,
            () = stop.cancelled() => return PassEnd::Abandoned,
        };
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => return PassEnd::Failed { error, had_worked: false },
        };
        let mut held = Held { lease, view: None, collector: None, waiting: false };
        let end = tokio::select! {
            end = self.follow(&mut held) => end,
            () = stop.cancelled() => Err(Stop::Abandoned),
        };
        self.free(held).await;
        match end {
            Ok(()) => PassEnd::Idle,
            Err(Stop::Abandoned) => PassEnd::Abandoned,
            Err(Stop::Error(error)) => PassEnd::Failed { error, had_worked: self.had_worked },
        }
    }

    /// Follows tasks until there are none for a while.
    async fn follow(&mut self, held: &mut Held) -> Result<(), Stop> {
        let view = held.view.insert(self.vcenter.list_view_in(held.lease.clone()).await?).clone();
        let collector = held.collector.insert(self.vcenter.create_collector(&held.lease).await?).clone();
        self.vcenter.create_filter(&collector, filter(&view)).await?;
        loop {
            self.list(&view).await?;
            if self.listed.is_empty() {
                let (wanted, idle) = (self.wanted, self.options.idle);
                if tokio::time::timeout(idle, wanted.some()).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            held.waiting = true;
            let said = self.wait(&view, &collector).await?;
            held.waiting = false;
            self.had_worked = true;
            self.tell_all(said).await?;
        }
    }

    /// Makes the list on the server that of the wanted tasks.
    async fn list(&mut self, view: &View) -> Result<(), Stop> {
        let all = self.wanted.all();
        // Of a task that was in the list before it was added, the collector may have told the last already.
        let is_known = |task: &TaskRef| self.listed.contains(task) || self.done.contains(task);
        let again: Vec<TaskRef> = all
            .iter()
            .filter(|(task, fresh)| *fresh && is_known(task))
            .map(|(task, _)| task.clone())
            .collect();
        let wanted: BTreeSet<TaskRef> =
            all.into_iter().map(|(task, _)| task).filter(|task| !self.done.contains(task)).collect();
        let add: Vec<_> = wanted.difference(&self.listed).cloned().collect();
        let mut remove: Vec<_> = self.listed.difference(&wanted).cloned().collect();
        remove.extend(std::mem::take(&mut self.done));
        self.listed = wanted;
        if !(add.is_empty() && remove.is_empty()) {
            self.modify(view, &add, &remove).await?;
        }
        for task in again {
            self.look(task).await?;
        }
        Ok(())
    }

    async fn modify(&mut self, view: &View, add: &[TaskRef], remove: &[TaskRef]) -> Result<(), Stop> {
        let unresolved = self
            .vcenter
            .modify_list_view(view, add.iter().map(TaskRef::as_moref), remove.iter().map(TaskRef::as_moref))
            .await?;
        let gone: Vec<TaskRef> = unresolved
            .into_iter()
            .filter_map(|object| TaskRef::try_from(object).ok())
            .filter(|task| add.contains(task))
            .collect();
        if !gone.is_empty() {
            // Not every server leaves out of the list what does not exist.
            self.vcenter.modify_list_view(view, [], gone.iter().map(TaskRef::as_moref)).await?;
        }
        for task in gone {
            self.listed.remove(&task);
            self.end(task.clone(), TaskEvent::Gone(task)).await?;
        }
        Ok(())
    }

    /// Waits for news of the listed tasks; tasks that are added meanwhile are listed at once.
    async fn wait(&mut self, view: &View, collector: &Collector) -> Result<Vec<Said>, Stop> {
        // The first one is answered at once: with how things are.
        let begin = Instant::now();
        let (vcenter, wanted, version) = (self.vcenter, self.wanted, self.version.clone());
        let waiting = vcenter.wait_for_updates(
            collector,
            &version,
            (self.options.max_wait, self.options.page),
            News { wanted: wanted.clone(), said: Vec::new() },
            News::push,
            |news| news.said,
        );
        tokio::pin!(waiting);
        let (page, said) = loop {
            tokio::select! {
                answer = &mut waiting => break answer?,
                () = wanted.changed() => self.list(view).await?,
            }
        };
        match page.version {
            Some(version) => self.version = version,
            // A server that does not wait as it was asked to must not be asked without end.
            None if begin.elapsed() < BREATH => tokio::time::sleep(BREATH).await,
            None => {}
        }
        Ok(said)
    }

    async fn tell_all(&mut self, said: Vec<Said>) -> Result<(), Stop> {
        for said in said {
            match said {
                Said::Info(info) => self.tell_info(info).await?,
                Said::Nothing(task) if self.wanted.has(&task) => self.look(task).await?,
                Said::Left(task) if self.listed.remove(&task) && self.wanted.has(&task) => {
                    self.look(task.clone()).await?;
                    // One that was forgotten and added again may leave although it exists; it is listed again, once.
                    if self.wanted.has(&task) && !self.relisted.insert(task) {
                        return Err(self.vcenter.no_info().into());
                    }
                }
                // What is not followed any more was taken out of the list, so it leaves.
                Said::Nothing(_) | Said::Left(_) => {}
            }
        }
        Ok(())
    }

    async fn tell_info(&mut self, info: Box<TaskInfo>) -> Result<(), Stop> {
        if info.is_finished() {
            return self.end(info.task.clone(), TaskEvent::Finished(info)).await;
        }
        match info.progress {
            Some(percent) if self.wanted.progress(&info.task, percent) => {
                self.tell(TaskEvent::Progress { task: info.task, percent }).await
            }
            _ => Ok(()),
        }
    }

    /// Looks at one task of which the collector has nothing more to tell.
    async fn look(&mut self, task: TaskRef) -> Result<(), Stop> {
        match self.vcenter.task_info(&task).await {
            Ok(info) => self.tell_info(Box::new(info)).await,
            Err(error) => match error.fault() {
                Some(FaultKind::ManagedObjectNotFound(_)) => {
                    self.end(task.clone(), TaskEvent::Gone(task)).await
                }
                Some(FaultKind::NoPermission { .. }) => {
                    self.end(task.clone(), TaskEvent::Unreadable(task)).await
                }
                _ if error.is_missing() => self.end(task.clone(), TaskEvent::Unreadable(task)).await,
                _ => Err(error.into()),
            },
        }
    }

    /// Tells how a task has ended, if nobody has done so yet, and follows it no more.
    async fn end(&mut self, task: TaskRef, event: TaskEvent) -> Result<(), Stop> {
        self.relisted.remove(&task);
        let told = self.wanted.take(&task);
        if self.listed.remove(&task) {
            self.done.insert(task);
        }
        if told { self.tell(event).await } else { Ok(()) }
    }

    async fn tell(&self, event: TaskEvent) -> Result<(), Stop> {
        self.out.send(event).await.map_err(|_| Stop::Abandoned)
    }

    /// Frees what the pass holds on the server. What cannot be freed goes with the session.
    async fn free(&self, held: Held) {
        let freeing = async {
            let mut results = Vec::new();
            if let Some(collector) = held.collector {
                results.extend(self.vcenter.destroy_collector(&collector, held.waiting).await);
            }
            if let Some(view) = held.view {
                results.push(self.vcenter.destroy_view(view).await);
            }
            results
        };
        freed(freeing).await;
    }
}

/// The `PropertyFilterSpec`: the tasks in the list.
fn filter(view: &View) -> Element {
    let traversal = Element::typed("selectSet", "TraversalSpec")
        .text("name", "list")
        .text("type", "ListView")
        .text("path", "view")
        .text("skip", false);
    let objects = Element::new("objectSet").moref("obj", &view.object).text("skip", true).child(traversal);
    // A task may be gone at any time, which must not fail a wait for all the others.
    Element::new("spec").child(task_properties()).child(objects).text("reportMissingObjectsInResults", true)
}

/// What one answer says of the tasks that are followed.
struct News {
    wanted: Arc<Wanted>,
    said: Vec<Said>,
}

impl News {
    fn push(&mut self, d: &Decoder, report: ObjectReport) -> Result<(), XmlError> {
        let Ok(task) = TaskRef::try_from(report.object) else { return Ok(()) };
        // Whatever else a server may tell of needs no room.
        if !self.wanted.has(&task) {
            return Ok(());
        }
        if self.said.len() >= MOST_NEWS {
            return Err(d.error(XmlErrorKind::Limit("the tasks in one answer")));
        }
        let info = match report.properties {
            ObjectProperties::Task(read) => read.info,
            _ => Change::NotMentioned,
        };
        match info {
            _ if report.kind == ReportKind::Left => self.said.push(Said::Left(task)),
            Change::Set(info) if info.task == task => self.said.push(Said::Info(Box::new(info))),
            Change::NotMentioned if report.kind == ReportKind::Modified => {}
            _ => self.said.push(Said::Nothing(task)),
        }
        Ok(())
    }
}
