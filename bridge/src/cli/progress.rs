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
