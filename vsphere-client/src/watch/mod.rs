//! The fleet of one vCenter as a stream: first everything there is, then every change.
//!
//! A [`Watch`] hides sessions that end, pages, truncated answers, restarts of the server and connections that break. What it
//! cannot hide it tells: [`WatchEvent::Interrupted`] says that nothing is known to be current any more and when the next try
//! is. After each interruption everything is read again, and what is not reported between [`WatchEvent::Started`] and
//! [`WatchEvent::Complete`] no longer exists.
//!
//! A [`TaskWatch`] does the same for tasks: it follows each to its end.

mod free;
mod news;
mod pace;
mod pass;
mod tasks;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::model::{AboutInfo, Event};
use crate::property::{Extra, ObjectReport};
use crate::retry::{Classify as _, Verdict};
use crate::vcenter::Vcenter;
use pace::Pace;
use pass::{Pass, PassEnd};
pub use tasks::{TaskEvent, TaskWatch, TaskWatchHandle, TaskWatchOptions};

/// What to watch, and how.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Stop after everything was read once.
    pub once: bool,
    /// Most objects in one page of an answer.
    pub page: u32,
    /// How long the server may hold back an answer while nothing changes. A server that then still keeps silent counts as
    /// lost.
    pub max_wait: Duration,
    /// Types of events to report; none for no events.
    pub event_types: Vec<String>,
    /// Properties to read beside those that describe a fleet. One that the server does not know is reported as unreadable.
    pub extra: Extra,
    /// First and longest delay before another try.
    pub retry: (Duration, Duration),
    /// Shortest delay after the server refused the log-in, so that a wrong password does not lock the account.
    pub refused_login_delay: Duration,
    /// Tries of a read that is to be done once, before it fails for good.
    pub attempts: u32,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self {
            once: false,
            page: 500,
            max_wait: Duration::from_secs(30),
            event_types: Vec::new(),
            extra: Extra::default(),
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
            refused_login_delay: Duration::from_secs(300),
            attempts: 3,
        }
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum WatchEvent {
    /// Everything is about to be reported, from the beginning.
    Started {
        /// The server.
        about: AboutInfo,
        /// Whether events will be reported; not when none were asked for or the server does not permit it.
        events: bool,
    },
    /// Objects that are new, changed or gone.
    Objects(Vec<ObjectReport>),
    /// Everything there is has been reported since the last start; what was not does not exist.
    Complete,
    /// Nothing more has changed up to now.
    Current,
    /// Events, the oldest first.
    Events {
        /// The events.
        events: Vec<Event>,
        /// Whether some happened before these that were missed.
        missed: bool,
    },
    /// The connection to the server was lost: what was reported may be out of date. Ends with the next start.
    Interrupted {
        /// Why.
        error: Error,
        /// When the next try is; nothing when there will be none.
        retry_in: Option<Duration>,
    },
}

/// A running watch. Dropping it stops it; [`close`](Self::close) also frees at once what it holds on the server.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<WatchEvent>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

/// Batches on their way to the consumer: few, since they hold the memory that this bound bounds.
const IN_FLIGHT: usize = 4;

impl Watch {
    pub(crate) fn start(vcenter: Vcenter, options: WatchOptions) -> Self {
        let (sender, events) = mpsc::channel(IN_FLIGHT);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(vcenter, options, sender, stop.clone()));
        Self { events, stop, task: Some(task) }
    }

    /// The next thing to tell; nothing after the end of a watch that was to read once.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        self.events.recv().await
    }

    /// Stops and removes the view, filter and collectors from the server, as far as that can be done quickly.
    pub async fn close(mut self) {
        self.stop.cancel();
        self.events.close();
        if let Some(task) = self.task.take() {
            // It does not panic; if the runtime is ending there is nothing left to free.
            if task.await.is_err() {
                tracing::debug!("the watch ended with the runtime");
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(
    vcenter: Vcenter,
    options: WatchOptions,
    out: mpsc::Sender<WatchEvent>,
    stop: CancellationToken,
) {
    let mut pace = Pace::new(options.retry, options.refused_login_delay);
    let mut pass = Pass::new(vcenter, &options, out.clone(), stop.clone());
    let mut failures = 0;
    loop {
        let error = match pass.run().await {
            PassEnd::Done | PassEnd::Abandoned => return,
            PassEnd::Failed { error, was_complete } => {
                if was_complete {
                    pace.reset();
                    failures = 0;
                }
                error
            }
        };
        failures += 1;
        let delay = pace.after(&error);
        let hopeless = matches!(error.classify(), Verdict::Permanent) || failures >= options.attempts;
        let retry_in = (!(options.once && hopeless)).then_some(delay);
        if out.send(WatchEvent::Interrupted { error, retry_in }).await.is_err() || retry_in.is_none() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stop.cancelled() => return,
        }
    }
}
