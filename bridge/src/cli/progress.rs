//! Progress on standard error while a person waits: one line per source, gone when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::watch;

use crate::observe::{Progress, SourceProgress, SourceState};

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(100);
/// More sources than this are counted in one line.
const MOST_LINES: usize = 12;

/// The lines. They are wiped away when this is dropped.
pub(super) struct Bars {
    multi: MultiProgress,
    lines: std::sync::Mutex<BTreeMap<String, ProgressBar>>,
}

impl Bars {
    pub(super) fn new() -> Self {
        Self { multi: MultiProgress::new(), lines: std::sync::Mutex::default() }
    }

    /// What the log has to get out of the way of.
    pub(super) fn multi(&self) -> MultiProgress {
        self.multi.clone()
    }

    /// A line that turns until the end.
    pub(super) fn spinner(&self, message: &'static str) {
        let line = self.line(message);
        line.set_message(message);
    }

    fn line(&self, name: &str) -> ProgressBar {
        let mut lines = self.lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lines
            .entry(name.to_owned())
            .or_insert_with(|| {
                let style = ProgressStyle::with_template("{spinner} {wide_msg}");
                let line = self.multi.add(ProgressBar::new_spinner());
                // The template is constant and correct; if it were not, the default would do.
                line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
                line.enable_steady_tick(TURN);
                line
            })
            .clone()
    }

    fn show(&self, progress: &Progress) {
        if progress.0.len() > MOST_LINES {
            self.line("all").set_message(summary(progress));
            return;
        }
        for (name, source) in &progress.0 {
            self.line(name).set_message(format!("{name}: {}", words(source)));
        }
    }

    /// Shows how far the sources have got. Never returns.
    pub(super) async fn follow(&self, mut progress: watch::Receiver<Progress>) {
        loop {
            self.show(&progress.borrow_and_update().clone());
            // When the other end is gone nothing changes any more.
            if progress.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // Fails when the terminal is gone, and then there is nothing to wipe.
        let _ = self.multi.clear();
    }
}

/// One bar: how much of what is to be done is done. It is wiped away when this is dropped.
pub(super) struct Work {
    bar: Option<ProgressBar>,
}

impl Work {
    /// How often it is looked at.
    pub(super) const TURN: Duration = Duration::from_millis(200);

    /// A bar, where one can be shown.
    pub(super) fn new(shown: bool) -> Self {
        let bar = shown.then(|| {
            let style = ProgressStyle::with_template("{spinner} {bar:30} {pos}/{len} {wide_msg}");
            let bar = ProgressBar::new(0);
            // The template is constant and correct; if it were not, the default would do.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(TURN);
            bar
        });
        Self { bar }
    }

    /// Shows how far it has got since `before`.
    pub(super) fn show(&self, before: &crate::engine::Progress, now: &crate::engine::Progress) {
        let Some(bar) = &self.bar else { return };
        let (done, failed) = (now.done - before.done, now.failed - before.failed);
        let left = u64::try_from(now.waiting + now.running).unwrap_or(u64::MAX);
        bar.set_length(done + failed + left);
        bar.set_position(done + failed);
        bar.set_message(match (failed, now.open) {
            (0, 0) => String::new(),
            (failed, 0) => format!("{failed} failed"),
            (failed, open) => format!("{failed} failed, {open} being looked for"),
        });
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}

fn words(source: &SourceProgress) -> String {
    let SourceProgress { state, objects } = source;
    match state {
        SourceState::Connecting => "connecting".to_owned(),
        SourceState::Reading => format!("{objects} objects"),
        SourceState::ReadingTags => format!("{objects} objects, reading tags"),
        SourceState::Waiting(why) => format!("trying again: {why}"),
        SourceState::Ready => format!("{objects} objects, done"),
        SourceState::Failed(why) => format!("failed: {why}"),
    }
}

fn summary(progress: &Progress) -> String {
    let settled = progress.0.values().filter(|source| source.state.is_settled()).count();
    let objects: usize = progress.0.values().map(|source| source.objects).sum();
    format!("{settled} of {} sources, {objects} objects", progress.0.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(state: SourceState) -> SourceProgress {
        SourceProgress { state, objects: 1200 }
    }

    #[test]
    fn each_state_has_its_words() {
        assert_eq!(words(&source(SourceState::ReadingTags)), "1200 objects, reading tags");
        assert_eq!(words(&source(SourceState::Failed("no route".into()))), "failed: no route");
        let progress = Progress(
            [("a", SourceState::Ready), ("b", SourceState::Reading)]
                .map(|(name, state)| (name.to_owned(), source(state)))
                .into(),
        );
        assert_eq!(summary(&progress), "1 of 2 sources, 2400 objects");
    }
}
