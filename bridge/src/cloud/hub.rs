//! What Security Hub and Systems Manager tell beside nodes and windows, as findings need it: whether findings can be sent, what
//! is there of ours, what Patch Manager told by itself, and which patches nodes lack.
//!
//! Each of these is read by itself, seldom. What cannot be read has an error, and what was known is kept with its age.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mappings::compliance::table::Patches;
use mappings::findings::life::Listed;
use mappings::findings::patches::PatchFinding;

use crate::aws::{Aggregation, HubState, NodeId, Place};

/// Something that is read now and then.
#[derive(Debug, Clone, PartialEq)]
pub struct Known<T> {
    /// What was read last. None: it was never read, or is used up.
    pub value: Option<Arc<T>>,
    /// When that reading began.
    pub as_of: Option<Timestamp>,
    /// When it was last tried, however that went.
    pub tried: Option<Timestamp>,
    /// Why it could not be read last time.
    pub error: Option<String>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { value: None, as_of: None, tried: None, error: None }
    }
}

impl<T> Known<T> {
    /// What is known, if its reading is not older than that.
    #[must_use]
    pub fn fresh(&self, now: Timestamp, oldest: Duration) -> Option<&T> {
        let oldest = SignedDuration::try_from(oldest).unwrap_or(SignedDuration::MAX);
        let as_of = self.as_of.filter(|as_of| now.duration_since(*as_of) <= oldest);
        as_of.and(self.value.as_deref())
    }

    /// Takes over what came of a reading that began then. Says whether it tells anything new.
    pub fn put(&mut self, read: Result<T, String>, began: Timestamp) -> bool
    where
        T: PartialEq,
    {
        self.tried = Some(began);
        match read {
            Ok(value) => {
                let same = self.error.is_none() && self.value.as_deref() == Some(&value);
                if !same {
                    self.value = Some(Arc::new(value));
                }
                (self.as_of, self.error) = (Some(began), None);
                !same
            }
            Err(error) => {
                let same = self.error.as_ref() == Some(&error);
                self.error = Some(error);
                !same
            }
        }
    }
}

/// Patch states of nodes. Those that were never scanned or patched are not in it.
pub type PatchesOfNodes = BTreeMap<NodeId, Patches>;

/// What is known for the findings of one target.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HubView {
    /// The account and Region that findings go to, once the account is known.
    pub place: Option<Place>,
    /// Whether Security Hub is enabled there.
    pub state: Known<HubState>,
    /// How findings are copied from Region to Region; nothing: they are not.
    pub aggregation: Known<Option<Aggregation>>,
    /// The findings that are there under our names. They are many, and are let go once they are compared with what is remembered.
    pub ours: Known<Vec<Listed>>,
    /// The findings of Patch Manager that somebody still has to look at.
    pub patch_manager: Known<Vec<PatchFinding>>,
    /// The patches of all nodes, as far as somebody needs to know.
    pub patches: Known<PatchesOfNodes>,
}

impl HubView {
    /// Why nothing can be sent, if nothing can.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let Some(state) = self.state.value.as_deref() else {
            let why = self.state.error.clone();
            return Some(why.unwrap_or_else(|| "Security Hub is being asked for the first time".to_owned()));
        };
        if *state == HubState::NotEnabled {
            let region = self.place.as_ref().map_or("its Region", Place::region);
            let fix = crate::aws::AwsErrorKind::NotEnabled.fix().unwrap_or_default();
            return Some(format!("Security Hub is not enabled in {region}; {fix}"));
        }
        if self.ours.as_of.is_none() {
            let why = self.ours.error.clone();
            return Some(why.unwrap_or_else(|| {
                "the findings that are there are being read for the first time".to_owned()
            }));
        }
        None
    }
}
