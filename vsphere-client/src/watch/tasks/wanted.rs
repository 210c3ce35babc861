//! The tasks that are to be followed, shared between those who add them and the watch.
//!
//! A set, not a queue: however fast tasks are added and forgotten, it holds each once, and the watch compares it with what it
//! follows when it gets to it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::ids::TaskRef;

/// What was told of a task since it was added.
#[derive(Debug, Default)]
struct Told {
    percent: Option<u8>,
    /// The watch knows that it was added.
    seen: bool,
}

#[derive(Debug, Default)]
pub(super) struct Wanted {
    tasks: Mutex<Tasks>,
    /// Wakes the watch when the set has changed. There is one watch, so one permit is enough.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Tasks {
    all: BTreeMap<TaskRef, Told>,
    ended: bool,
}

impl Wanted {
    fn lock(&self) -> MutexGuard<'_, Tasks> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, task: TaskRef) {
        let mut tasks = self.lock();
        if tasks.ended {
            return;
        }
        tasks.all.entry(task).or_default();
        self.changed.notify_one();
    }

    pub(super) fn forget(&self, task: &TaskRef) {
        self.lock().all.remove(task);
        self.changed.notify_one();
    }

    /// Nobody follows them any more.
    pub(super) fn end(&self) {
        *self.lock() = Tasks { all: BTreeMap::new(), ended: true };
    }

    /// Waits until there is a task to follow.
    pub(super) async fn some(&self) {
        while self.lock().all.is_empty() {
            self.changed.notified().await;
        }
    }

    /// Waits until the set has changed since this was waited for last.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// All of them, each with whether it was added since this was asked last.
    pub(super) fn all(&self) -> Vec<(TaskRef, bool)> {
        let mut tasks = self.lock();
        let seen =
            |(task, told): (&TaskRef, &mut Told)| (task.clone(), !std::mem::replace(&mut told.seen, true));
        tasks.all.iter_mut().map(seen).collect()
    }

    pub(super) fn has(&self, task: &TaskRef) -> bool {
        self.lock().all.contains_key(task)
    }

    /// Takes a task out whose end is to be told; `false` when it was forgotten, or told already.
    pub(super) fn take(&self, task: &TaskRef) -> bool {
        self.lock().all.remove(task).is_some()
    }

    /// Notes how far a task is; `true` when that is to be told.
    pub(super) fn progress(&self, task: &TaskRef, percent: u8) -> bool {
        match self.lock().all.get_mut(task) {
            Some(told) => told.percent.replace(percent) != Some(percent),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_told_once_and_of_a_forgotten_task_nothing() {
        let wanted = Wanted::default();
        let (a, b) = (TaskRef::new("task-1"), TaskRef::new("task-2"));
        wanted.add(a.clone());
        wanted.add(a.clone());
        wanted.add(b.clone());
        assert_eq!(wanted.all(), [(a.clone(), true), (b.clone(), true)]);
        wanted.forget(&b);
        wanted.add(b.clone());
        wanted.add(a.clone());
        assert_eq!(wanted.all(), [(a.clone(), false), (b.clone(), true)]);
        assert_eq!(
            [wanted.progress(&a, 5), wanted.progress(&a, 5), wanted.progress(&a, 6)],
            [true, false, true]
        );
        assert_eq!([wanted.take(&a), wanted.take(&a)], [true, false]);
        wanted.forget(&b);
        assert_eq!((wanted.progress(&b, 5), wanted.take(&b), wanted.has(&b)), (false, false, false));
        wanted.end();
        wanted.add(a);
        assert_eq!(wanted.all(), []);
    }
}
