//! A value with its past, for reads that lag behind writes.

use std::time::Duration;

/// What something was, and since when (of [`crate::clock::uptime`]).
#[derive(Debug, Clone)]
pub(crate) struct Timeline<T> {
    /// Never empty, oldest first.
    versions: Vec<(Duration, T)>,
}

impl<T> Timeline<T> {
    pub(crate) fn new(since: Duration, value: T) -> Self {
        Self { versions: vec![(since, value)] }
    }

    /// What it is.
    pub(crate) fn now(&self) -> &T {
        // There is always one.
        &self.versions[self.versions.len() - 1].1
    }

    /// What it was at a moment; `None` before its beginning.
    pub(crate) fn at(&self, moment: Duration) -> Option<&T> {
        self.versions.iter().rev().find(|(since, _)| *since <= moment).map(|(_, value)| value)
    }

    /// Changes it. What was replaced longer ago than `keep` is forgotten.
    pub(crate) fn set(&mut self, now: Duration, keep: Duration, value: T) {
        self.versions.push((now, value));
        let horizon = now.saturating_sub(keep);
        let needed = self.versions.iter().rposition(|(since, _)| *since <= horizon).unwrap_or(0);
        self.versions.drain(..needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_past_is_kept_as_long_as_asked_for() {
        let second = Duration::from_secs;
        let mut line = Timeline::new(second(1), 'a');
        line.set(second(10), second(5), 'b');
        line.set(second(12), second(5), 'c');
        assert_eq!(
            (line.at(second(0)), line.at(second(1)), line.at(second(10))),
            (None, Some(&'a'), Some(&'b'))
        );
        line.set(second(20), second(5), 'd');
        assert_eq!((line.versions.len(), line.at(second(15)), *line.now()), (2, Some(&'c'), 'd'));
        line.set(second(30), Duration::ZERO, 'e');
        assert_eq!(line.versions.len(), 1);
    }
}
