//! Snapshots: what is remembered of the openings of maintenance windows.
//!
//! How far a snapshot is, is in the [records](mappings::protection::Record). What a window looked like when its snapshots
//! began is in a [`Scope`]: AWS tells of an opening only until it has come, and a node that is kept out of a window is no
//! target of it any more, so neither could be asked later.

use std::sync::Arc;

use jiff::Timestamp;
use mappings::protection::Run;
use serde::{Deserialize, Serialize};

use crate::aws::Place;
use crate::store::VmId;

/// One opening of a window, from the time at which its snapshots begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// The opening.
    pub run: Run,
    /// The account and Region of the window. None: AWS does not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Since when its VMs are fixed.
    pub frozen: Timestamp,
    /// Its VMs, in order.
    pub members: Vec<Member>,
}

/// A VM that a window reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The VM.
    pub vm: VmId,
    /// How it is kept out of the window.
    #[serde(default)]
    pub hold: HoldBy,
    /// Since when it has been one, if it was not from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joined: Option<Timestamp>,
    /// How it went into the window. None: that has not opened yet, or no policy asks for a snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entered: Option<Entered>,
}

/// How a VM went into a window: what is left to say when the records of its snapshots are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "as", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Entered {
    /// With a snapshot.
    Protected {
        /// When it was taken.
        taken: Timestamp,
    },
    /// Not at all: it had no snapshot, and was kept out.
    Held,
    /// Without a snapshot.
    Unprotected,
}

/// How a node is kept out of a window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum HoldBy {
    /// These tags of ours are taken from it: without them the window does not reach it.
    Tags {
        /// Their keys.
        keys: Vec<Arc<str>>,
        /// It gets the tag for the hook as well: the window reaches it in several ways, and some of them run the hook.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hook: bool,
    },
    /// It gets a tag that the hook of the window looks for before it installs anything.
    Hook,
    /// It cannot be.
    Cannot {
        /// Why not.
        why: Arc<str>,
    },
    /// Nobody asked.
    #[default]
    NotAsked,
}

impl Scope {
    /// A VM of it.
    #[must_use]
    pub fn member(&self, vm: &VmId) -> Option<&Member> {
        let at = self.members.binary_search_by(|member| member.vm.cmp(vm)).ok()?;
        Some(&self.members[at])
    }

    /// Whether a tag is taken from the node of a VM to keep it out of this.
    #[must_use]
    pub fn takes(&self, vm: &VmId, key: &str) -> bool {
        self.member(vm).is_some_and(|member| match &member.hold {
            HoldBy::Tags { keys, .. } => keys.iter().any(|taken| **taken == *key),
            HoldBy::Hook | HoldBy::Cannot { .. } | HoldBy::NotAsked => false,
        })
    }

    /// What tells it from others.
    #[must_use]
    pub fn key(&self) -> (Arc<str>, Timestamp) {
        (self.run.window.clone(), self.run.opens)
    }
}
