//! Details of tags and categories, read once and kept.
//!
//! The interface gives them one at a time only, and a vCenter may have 8,000 tags: so they are read when they are first needed,
//! several at once, and remembered. What was renamed or deleted since is noticed when they are read again.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::time::Instant;

use super::{Category, CategoryId, RestError, Tag, TagId};

/// Everything that is remembered.
#[derive(Default)]
pub(super) struct Names {
    pub(super) tags: Shelf<TagId, Tag>,
    pub(super) categories: Shelf<CategoryId, Category>,
}

impl Names {
    pub(super) fn forget_names(&self) {
        self.tags.known().clear();
        self.categories.known().clear();
    }
}

/// Details of one kind of thing.
pub(super) struct Shelf<K, V> {
    known: Mutex<HashMap<K, Known<V>>>,
    /// Held while details are read, so that two callers do not read the same ones.
    reading: tokio::sync::Mutex<()>,
}

struct Known<V> {
    details: Arc<V>,
    read_at: Instant,
}

impl<K, V> Default for Shelf<K, V> {
    fn default() -> Self {
        Self { known: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }
}

impl<K: Clone + Eq + Hash, V> Shelf<K, V> {
    fn known(&self) -> MutexGuard<'_, HashMap<K, Known<V>>> {
        // Entries are inserted and removed whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self, id: &K) {
        self.known().remove(id);
    }

    /// Forgets all that `exists` denies.
    pub(super) fn retain(&self, exists: impl Fn(&K) -> bool) {
        self.known().retain(|id, _| exists(id));
    }

    /// Details of all `ids` that there are, remembered or read now with `read`, `at_once` at once. `oldest` is how long ago remembered ones may
    /// have been read, if that matters.
    ///
    /// Those that are gone, or may not be seen, are left out; if none may be seen, that is a failure.
    pub(super) async fn details<F>(
        &self,
        ids: &[K],
        oldest: Option<Duration>,
        at_once: usize,
        read: impl Fn(K) -> F,
    ) -> Result<HashMap<K, Arc<V>>, RestError>
    where
        F: Future<Output = Result<V, RestError>>,
    {
        let _reading = self.reading.lock().await;
        let missing: Vec<K> = {
            let known = self.known();
            let fresh = |known: &Known<V>| oldest.is_none_or(|oldest| known.read_at.elapsed() <= oldest);
            ids.iter().filter(|id| !known.get(id).is_some_and(fresh)).cloned().collect()
        };
        let mut any = missing.len() < ids.len();
        // Gathered first: the compiler cannot see that a closure inside of a stream may cross threads.
        let reads: Vec<_> = missing
            .into_iter()
            .map(|id| {
                let reading = read(id.clone());
                async move { (id, reading.await) }
            })
            .collect();
        let mut reads = stream::iter(reads).buffer_unordered(at_once);
        let mut refused = None;
        while let Some((id, outcome)) = reads.next().await {
            match outcome {
                Ok(details) => {
                    any = true;
                    let known = Known { details: Arc::new(details), read_at: Instant::now() };
                    self.known().insert(id, known);
                }
                Err(error) if error.is_not_found() => self.forget(&id),
                Err(error) if error.is_not_permitted() => {
                    self.forget(&id);
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let (Some(error), false) = (refused, any) {
            return Err(error);
        }
        let known = self.known();
        Ok(ids
            .iter()
            .filter_map(|id| known.get(id).map(|known| (id.clone(), known.details.clone())))
            .collect())
    }
}
