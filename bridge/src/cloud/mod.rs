//! The AWS side as one model in memory: the managed nodes of every target, with their tags and activations, and its
//! maintenance windows where somebody needs them.
//!
//! It is what the [fleet](crate::fleet) is for vSphere. Each target is one [`TargetView`], replaced as a whole by its
//! observer after each reading, so that who looks at it always sees one reading and never half of two. What was known is
//! kept when a reading fails, and each view says how old it is.

pub mod hub;
pub mod told;
pub mod window;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::aws::{Activation, ActivationId, Node, NodeId, NodeTags, Place, TargetName};

use self::hub::HubView;
use self::told::ToldView;
use self::window::WindowsView;

/// What is known of one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TargetView {
    /// The account and Region, once the account is known.
    pub place: Option<Place>,
    /// Who we are there.
    pub arn: Option<String>,
    /// The hybrid nodes.
    pub nodes: BTreeMap<NodeId, Arc<Node>>,
    /// Their tags. A node that is not here has tags that are not known.
    pub tags: HashMap<NodeId, Arc<NodeTags>>,
    /// Why tags are not known, where something else than time is the reason.
    pub tags_error: Option<String>,
    /// The activations.
    pub activations: HashMap<ActivationId, Arc<Activation>>,
    /// The maintenance windows and the patch states, which have readings of their own.
    pub windows: Arc<WindowsView>,
    /// What findings need to know, which has readings of its own too.
    pub hub: Arc<HubView>,
    /// What it shows of what it was told, which is read by itself as well.
    pub told: Arc<ToldView>,
    /// When the last complete reading of nodes, tags and activations began. What was written later may not be in it.
    pub as_of: Option<Timestamp>,
    /// Why the last reading failed.
    pub error: Option<String>,
}

impl TargetView {
    /// Whether what is known is complete and new enough to work with.
    ///
    /// # Errors
    /// Why not.
    pub fn usable(&self, now: Timestamp, stale_after: Duration) -> Result<(), String> {
        let why = |default: &str| self.error.clone().unwrap_or_else(|| default.to_owned());
        let Some(as_of) = self.as_of else { return Err(why("it is being read for the first time")) };
        let age = now.duration_since(as_of);
        if age > jiff::SignedDuration::try_from(stale_after).unwrap_or(jiff::SignedDuration::MAX) {
            return Err(why("its last reading is too old"));
        }
        Ok(())
    }
}

/// All targets, by name.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    targets: BTreeMap<TargetName, Arc<TargetView>>,
}

impl Cloud {
    /// The targets.
    pub fn targets(&self) -> impl Iterator<Item = (&TargetName, &TargetView)> {
        self.targets.iter().map(|(name, view)| (name, &**view))
    }

    /// One target.
    #[must_use]
    pub fn target(&self, name: &TargetName) -> Option<&TargetView> {
        self.targets.get(name).map(|view| &**view)
    }

    /// Puts a view in the place of the one before.
    pub fn put(&mut self, name: TargetName, view: TargetView) {
        self.targets.insert(name, Arc::new(view));
    }
}

/// The cloud, shared. Clones share it.
#[derive(Debug, Clone)]
pub struct SharedCloud(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cloud: RwLock<Cloud>,
    revision: watch::Sender<u64>,
    wanted: watch::Sender<BTreeMap<TargetName, Arc<WantedPatchStates>>>,
}

/// The nodes whose patch states somebody needs. Each is read every minute until it tells of an installation that began at or
/// after the moment that stands here, or until it is wanted no longer.
pub type WantedPatchStates = BTreeMap<NodeId, Timestamp>;

impl Default for SharedCloud {
    fn default() -> Self {
        Self::new()
    }
}

impl SharedCloud {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        let (revision, wanted) = (watch::Sender::new(0), watch::Sender::new(BTreeMap::new()));
        Self(Arc::new(Shared { cloud: RwLock::default(), revision, wanted }))
    }

    /// Says whose patch states of a target are needed from now on, in the place of what was said before.
    pub fn want_patch_states(&self, name: &TargetName, wanted: WantedPatchStates) {
        self.0.wanted.send_if_modified(|known| {
            let before = known.get(name);
            if before.map_or(wanted.is_empty(), |before| **before == wanted) {
                return false;
            }
            known.insert(name.clone(), Arc::new(wanted));
            true
        });
    }

    /// Whose patch states of a target are needed.
    #[must_use]
    pub fn wanted_patch_states(&self, name: &TargetName) -> Arc<WantedPatchStates> {
        self.0.wanted.borrow().get(name).cloned().unwrap_or_default()
    }

    /// Told whenever other patch states are needed.
    pub(crate) fn wants(&self) -> watch::Receiver<BTreeMap<TargetName, Arc<WantedPatchStates>>> {
        self.0.wanted.subscribe()
    }

    /// All targets as they are now. This copies references only.
    #[must_use]
    pub fn read(&self) -> Cloud {
        self.0.cloud.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Told whenever a target changes.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.0.revision.subscribe()
    }

    /// Puts a view in the place of the one before.
    pub fn put(&self, name: &TargetName, view: TargetView) {
        self.0.cloud.write().unwrap_or_else(PoisonError::into_inner).put(name.clone(), view);
        self.0.revision.send_modify(|revision| *revision += 1);
    }

    /// Changes the view of a target in its place, so that readings of different things do not undo each other. `change` says
    /// whether it is worth telling.
    pub fn update(&self, name: &TargetName, change: impl FnOnce(&mut TargetView) -> bool) {
        let told = {
            let mut cloud = self.0.cloud.write().unwrap_or_else(PoisonError::into_inner);
            change(Arc::make_mut(cloud.targets.entry(name.clone()).or_default()))
        };
        if told {
            self.0.revision.send_modify(|revision| *revision += 1);
        }
    }

    /// Removes a target that is no longer followed.
    pub fn remove(&self, name: &TargetName) {
        self.0.cloud.write().unwrap_or_else(PoisonError::into_inner).targets.remove(name);
        self.0.revision.send_modify(|revision| *revision += 1);
    }
}
