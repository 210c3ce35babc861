//! Write-back: custom attributes that show in the vSphere client what AWS sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::action::{Action, Why};
use super::reason::Note;
use crate::aws::{Node, NodeTags, Ping};
use crate::store::{Owned, VmId};

/// The node's id.
pub(super) const NODE: &str = "vmbridge.node";
/// The patch group that AWS sees.
pub(super) const PATCH_GROUP: &str = "vmbridge.patch-group";
/// How it is with the node.
pub(super) const STATUS: &str = "vmbridge.status";
/// Every attribute.
pub(super) const ATTRIBUTES: [&str; 3] = [NODE, PATCH_GROUP, STATUS];

/// What the attributes of a VM should be. An empty value is none.
pub(super) fn desired(node: Option<(&Node, &NodeTags)>) -> [(&'static str, Arc<str>); 3] {
    let Some((node, tags)) = node else {
        return [(NODE, "".into()), (PATCH_GROUP, "".into()), (STATUS, "".into())];
    };
    let group = tags.get("Patch Group").or_else(|| tags.get("PatchGroup")).cloned();
    let status = match node.ping {
        Ping::Online => "managed",
        Ping::ConnectionLost | Ping::Inactive | Ping::Unknown => "managed, agent not reporting",
    };
    [(NODE, node.id.as_str().into()), (PATCH_GROUP, group.unwrap_or_default()), (STATUS, status.into())]
}

/// One VM and what is known of its attributes.
pub(super) struct Subject<'a> {
    pub vm: VmId,
    pub label: Arc<str>,
    /// The values as vCenter tells them, by name.
    pub observed: BTreeMap<&'a str, &'a str>,
    /// As of when.
    pub as_of: Timestamp,
    pub settle: SignedDuration,
    pub owned: Option<&'a BTreeMap<Arc<str>, Owned>>,
    pub adopt: bool,
}

/// What is to be written.
pub(super) fn difference(
    subject: &Subject<'_>,
    desired: &[(&'static str, Arc<str>); 3],
) -> (Vec<Action>, Vec<Note>) {
    let (mut actions, mut notes) = (Vec::new(), Vec::new());
    for (name, value) in desired {
        let owned = subject.owned.and_then(|owned| owned.get(*name));
        let found = subject.observed.get(name).copied().unwrap_or_default();
        let settled = owned.is_none_or(|owned| subject.as_of.duration_since(owned.written) >= subject.settle);
        let written = owned.map(|owned| owned.value.clone().unwrap_or_default());
        let current: Arc<str> = match &written {
            Some(written) if !settled => written.clone(),
            _ => found.into(),
        };
        if *current == **value {
            continue;
        }
        let why = match &written {
            Some(written) if **written == *current => Why::Changed,
            Some(written) => {
                notes.push(Note::Drift {
                    name: (*name).into(),
                    written: written.clone(),
                    found: Some(current.clone()).filter(|found| !found.is_empty()),
                });
                Why::Drift
            }
            None if current.is_empty() => Why::New,
            // Nobody wants anything of us here.
            None if value.is_empty() => continue,
            None if subject.adopt => Why::Adopted,
            None => {
                notes.push(Note::Foreign { name: (*name).into(), value: current, wanted: value.clone() });
                continue;
            }
        };
        actions.push(Action::SetAttribute {
            vm: subject.vm.clone(),
            label: subject.label.clone(),
            name: (*name).into(),
            value: value.clone(),
            before: Some(current).filter(|current| !current.is_empty()),
            why,
        });
    }
    (actions, notes)
}
