//! Tasks, followed to their ends: any number of them with one call under way.
//!
//! A [`TaskWatch`] has one property collector with one filter on one list of tasks, and one wait of the server's for all of
//! them. It outlives sessions that end and servers that restart: it then tells [`TaskEvent::Interrupted`], makes everything
//! anew and goes on. How each task has ended is told exactly once, also when the task object is no more.
//!
//! ```no_run
//! # async fn example(vcenter: vsphere_client::vcenter::Vcenter, vm: vsphere_client::ids::MoRef) -> Result<(), Box<dyn std::error::Error>> {
//! use vsphere_client::vcenter::snapshot::{Quiesce, SnapshotFault, SnapshotSpec};
//! use vsphere_client::watch::{TaskEvent, TaskWatchOptions};
//!
//! let mut watch = vcenter.watch_tasks(TaskWatchOptions::default());
//! let spec = SnapshotSpec { name: "before/patches".into(), quiesce: Quiesce::On, ..SnapshotSpec::default() };
//! watch.add(vcenter.create_snapshot(&vm, &spec).await?);
//! while let Some(event) = watch.next().await {
//!     match event {
//!         TaskEvent::Progress { task, percent } => println!("{task}: {percent} %"),
//!         TaskEvent::Finished(info) => match info.outcome() {
//!             Some(Err(failure)) => println!("{}: {:?}", info.task, SnapshotFault::of_task(failure)),
//!             _ => println!("{}: {:?}", info.task, info.snapshot()),
//!         },
//!         // How it ended is told by the snapshots of the VM alone.
//!         TaskEvent::Gone(_) | TaskEvent::Unreadable(_) => println!("{:?}", vcenter.snapshots(&vm).await?),
//!         TaskEvent::Interrupted { .. } => continue,
//!     }
//!     break;
//! }
//! watch.close().await;
//! # Ok(())
//! # }
//! ```

mod pass;
mod wanted;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::pass::{Pass, PassEnd};
use self::wanted::Wanted;
use super::pace::Pace;
use crate::error::{Error, ErrorKind};
use crate::ids::TaskRef;
use crate::model::TaskInfo;
use crate::vcenter::Vcenter;

/// How to follow tasks.
#[derive(Debug, Clone)]
pub struct TaskWatchOptions {
    /// Most tasks in one page of an answer.
    pub page: u32,
    /// How long the server may hold back an answer while nothing changes. A server that then still keeps silent counts as
    /// lost.
    pub max_wait: Duration,
    /// How long what the watch holds on the server is kept while there is no task to follow.
    pub idle: Duration,
    /// First and longest delay before another try.
    pub retry: (Duration, Duration),
    /// Shortest delay after the server refused the log-in, so that a wrong password does not lock the account.
    pub refused_login_delay: Duration,
}

impl Default for TaskWatchOptions {
    fn default() -> Self {
        Self {
            page: 100,
            max_wait: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
            refused_login_delay: Duration::from_secs(300),
        }
    }
}

/// What a watch of tasks tells.
#[derive(Debug)]
pub enum TaskEvent {
    /// A task has got further, or was just added and is so far. Tasks that do not tell how far they are have none of these.
    Progress {
        /// The task.
        task: TaskRef,
        /// Percent done, 0 to 100.
        percent: u8,
    },
    /// A task has ended, in whatever way. It is not followed any more.
    Finished(Box<TaskInfo>),
    /// The task object is no more: it had ended more than about ten minutes ago, or the vCenter was restarted. How it ended,
    /// and whether it did, is told by the objects that it worked on. It is not followed any more.
    Gone(TaskRef),
    /// The account may not read the task, or what the server tells is not about it. It is not followed any more.
    Unreadable(TaskRef),
    /// The server was lost. The watch tries again by itself and then goes on with all tasks.
    Interrupted {
        /// Why.
        error: Error,
        /// When the next try is.
        retry_in: Duration,
    },
}

/// A running watch of tasks. Dropping it stops it; [`close`](Self::close) also frees at once what it holds on the server.
///
/// Its memory is bounded by the number of tasks that are followed: while nobody takes its events it asks for no more.
#[derive(Debug)]
pub struct TaskWatch {
    events: mpsc::Receiver<TaskEvent>,
    handle: TaskWatchHandle,
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
}

/// Adds tasks to a watch from elsewhere. One whose watch has ended does nothing.
#[derive(Debug, Clone)]
pub struct TaskWatchHandle(Arc<Wanted>);

/// Events on their way to the consumer.
const IN_FLIGHT: usize = 64;

impl TaskWatch {
    pub(crate) fn start(vcenter: Vcenter, options: TaskWatchOptions) -> Self {
        let (sender, events) = mpsc::channel(IN_FLIGHT);
        let stop = CancellationToken::new();
        let wanted = Arc::new(Wanted::default());
        let worker = tokio::spawn(run(vcenter, options, wanted.clone(), sender, stop.clone()));
        Self { events, handle: TaskWatchHandle(wanted), stop, worker: Some(worker) }
    }

    /// Follows this task too; it changes nothing when it is followed already. One that has ended meanwhile is told as such.
    pub fn add(&self, task: TaskRef) {
        self.handle.add(task);
    }

    /// Does not follow this task any more. An event that is on its way already is still told.
    pub fn forget(&self, task: &TaskRef) {
        self.handle.forget(task);
    }

    /// A handle to add tasks with from elsewhere.
    #[must_use]
    pub fn handle(&self) -> TaskWatchHandle {
        self.handle.clone()
    }

    /// The next thing to tell; waits as long as there is none. Nothing after the client was closed.
    pub async fn next(&mut self) -> Option<TaskEvent> {
        self.events.recv().await
    }

    /// Stops and removes the list, filter and collector from the server, as far as that can be done quickly.
    pub async fn close(mut self) {
        self.stop.cancel();
        self.events.close();
        if let Some(worker) = self.worker.take() {
            // It does not panic; if the runtime is ending there is nothing left to free.
            if worker.await.is_err() {
                tracing::debug!("the watch of tasks ended with the runtime");
            }
        }
    }
}

impl Drop for TaskWatch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl TaskWatchHandle {
    /// As [`TaskWatch::add`].
    pub fn add(&self, task: TaskRef) {
        self.0.add(task);
    }

    /// As [`TaskWatch::forget`].
    pub fn forget(&self, task: &TaskRef) {
        self.0.forget(task);
    }
}

async fn run(
    vcenter: Vcenter,
    options: TaskWatchOptions,
    wanted: Arc<Wanted>,
    out: mpsc::Sender<TaskEvent>,
    stop: CancellationToken,
) {
    let mut pace = Pace::new(options.retry, options.refused_login_delay);
    loop {
        tokio::select! {
            () = wanted.some() => {}
            () = stop.cancelled() => break,
        }
        let mut pass = Pass::new(&vcenter, &options, &wanted, &out, &stop);
        let error = match pass.run().await {
            PassEnd::Idle => continue,
            PassEnd::Abandoned => break,
            PassEnd::Failed { error, had_worked } => {
                if had_worked {
                    pace.reset();
                }
                error
            }
        };
        if matches!(error.kind(), ErrorKind::Closed) {
            break;
        }
        let retry_in = pace.after(&error);
        tokio::select! {
            told = out.send(TaskEvent::Interrupted { error, retry_in }) => if told.is_err() { break },
            () = stop.cancelled() => break,
        }
        tokio::select! {
            () = tokio::time::sleep(retry_in) => {}
            () = stop.cancelled() => break,
        }
    }
    wanted.end();
}
