//! The log of changes, from which every property collector works out what is new to it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::User;

use super::ObjId;

/// One thing that happened to one object.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Created(ObjId),
    /// The object is gone; the value is where it was.
    Removed(ObjId, Option<ObjId>),
    /// The values of these property paths are new.
    Modified(ObjId, &'static [&'static str]),
    /// The values of these property paths are new on every object.
    Everywhere(&'static [&'static str]),
    /// The object hangs elsewhere; the value is where it was.
    Moved(ObjId, Option<ObjId>),
    /// An event was posted: history collectors may have a new latest page.
    Event(i32),
    /// A list view has other members.
    Views,
    /// The permissions of a user changed; the value is what they were. Filters of that user look at everything again.
    Permissions(Arc<User>),
}

/// The latest changes, addressed by a position that only grows.
#[derive(Debug)]
pub(crate) struct ChangeLog {
    entries: VecDeque<Change>,
    first: u64,
    limit: usize,
}

impl ChangeLog {
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), first: 0, limit: limit.max(1) }
    }

    /// The position after the newest change.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(crate) fn push(&mut self, change: Change) {
        if self.entries.len() >= self.limit {
            self.entries.pop_front();
            self.first += 1;
        }
        self.entries.push_back(change);
    }

    /// What happened since `position`; `None` when that is no longer known.
    pub(crate) fn since(&self, position: u64) -> Option<impl Iterator<Item = &Change>> {
        let skip = usize::try_from(position.checked_sub(self.first)?).ok()?;
        (skip <= self.entries.len()).then(|| self.entries.range(skip..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Kind;

    #[test]
    fn a_reader_that_fell_behind_is_told_so() {
        let mut log = ChangeLog::new(2);
        let start = log.end();
        for num in 0..3 {
            log.push(Change::Created(ObjId::new(Kind::Vm, num)));
        }
        assert!(log.since(start).is_none());
        assert_eq!(log.since(log.end() - 2).map(Iterator::count), Some(2));
        assert_eq!(log.since(log.end()).map(Iterator::count), Some(0));
        assert!(log.since(log.end() + 1).is_none());
    }
}
