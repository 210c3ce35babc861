//! How far the first reading of each source has got, for whoever waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// How far every source has got, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress(pub BTreeMap<String, SourceProgress>);

/// How far one source has got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// What it is doing.
    pub state: SourceState,
    /// Objects read up to now.
    pub objects: usize,
}

/// What a source is doing until its first reading is over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SourceState {
    /// Logging in.
    #[default]
    Connecting,
    /// Reading objects.
    Reading,
    /// Reading tags.
    ReadingTags,
    /// Trying again after a failure.
    Waiting(String),
    /// Read in full.
    Ready,
    /// Failed; a live source goes on trying.
    Failed(String),
}

impl SourceState {
    /// Whether the first reading is over, one way or the other.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Ready | Self::Failed(_))
    }
}

impl Progress {
    /// Whether the first reading of every source is over.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.0.values().all(|source| source.state.is_settled())
    }
}

/// Where the sources write how far they have got.
#[derive(Debug, Clone)]
pub(super) struct Board(Arc<watch::Sender<Progress>>);

impl Board {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Progress::default())))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.0.subscribe()
    }

    pub(super) fn change(&self, name: &str, change: impl FnOnce(&mut SourceProgress)) {
        self.0.send_if_modified(|progress| {
            let Some(source) = progress.0.get_mut(name) else {
                change(progress.0.entry(name.to_owned()).or_default());
                return true;
            };
            let before = source.clone();
            change(source);
            *source != before
        });
    }

    pub(super) fn state(&self, name: &str, state: SourceState) {
        self.change(name, |source| source.state = state);
    }

    /// Forgets a source and the ones below it.
    pub(super) fn remove(&self, name: &str) {
        let below = format!("{name}/");
        self.0.send_if_modified(|progress| {
            let before = progress.0.len();
            progress.0.retain(|source, _| source != name && !source.starts_with(&below));
            progress.0.len() != before
        });
    }
}
