//! Security Hub in small: what it keeps and for how long, what it ignores, when it makes a finding new again, and how late it
//! shows what it has.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::start;
use crate::findings::life::{Listed, Workflow, WorkflowStatus};
use crate::findings::{Finding, FindingId, RecordState, Severity, Status};

/// What belongs to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct People {
    pub(super) workflow: WorkflowStatus,
    pub(super) note: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) fields: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) finding: Finding,
    pub(super) people: People,
    /// When it was last updated, by the clock of Security Hub.
    updated: Timestamp,
}

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) held: BTreeMap<FindingId, Held>,
    pub(super) calls: usize,
    /// The time that it is.
    pub(super) now: Timestamp,
    /// Listings show nothing that is newer than this.
    lag: SignedDuration,
    /// What was there before each of the last changes.
    before: Vec<(Timestamp, FindingId, Option<Held>)>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { held: BTreeMap::new(), calls: 0, now: start(), lag: SignedDuration::ZERO, before: Vec::new() }
    }
}

/// What people may set, and an import of ours must never name.
const OF_PEOPLE: [&str; 8] = [
    "Note",
    "UserDefinedFields",
    "Workflow",
    "VerificationState",
    "Severity",
    "Types",
    "Confidence",
    "Criticality",
];

impl Hub {
    /// One that shows late what it has.
    pub(super) fn late(lag: SignedDuration) -> Self {
        Self { lag, ..Self::default() }
    }

    pub(super) fn import(&mut self, finding: &Finding) {
        self.calls += 1;
        // It goes over the wire.
        let sent: serde_json::Value = serde_json::from_str(&finding.json()).unwrap();
        assert!(OF_PEOPLE.iter().all(|key| sent.get(key).is_none()), "{sent:#}");
        let finding: Finding = serde_json::from_value(sent).unwrap();
        let id = finding.content.id.clone();
        let before = self.held.get(&id).cloned();
        let mut people =
            People { workflow: WorkflowStatus::New, note: None, severity: None, fields: BTreeMap::new() };
        if let Some(held) = &before {
            if finding.times.updated_at <= held.finding.times.updated_at {
                return;
            }
            people.clone_from(&held.people);
            let (was, is) = (&held.finding.content, &finding.content);
            let back = was.record_state == RecordState::Archived && is.record_state == RecordState::Active;
            let fails = was.compliance.status == Status::Passed && is.compliance.status != Status::Passed;
            if (back || fails) && people.workflow != WorkflowStatus::Suppressed {
                people.workflow = WorkflowStatus::New;
            }
        }
        self.before.push((self.now, id.clone(), before));
        self.held.insert(id, Held { finding, people, updated: self.now });
    }

    /// Time passes. Returns what is forgotten: 90 days after its last update, or 30 if it is archived.
    pub(super) fn pass(&mut self, time: SignedDuration) -> Vec<FindingId> {
        self.now += time;
        let is_old = |held: &Held| {
            let days = if held.finding.content.record_state == RecordState::Active { 90 } else { 30 };
            self.now.duration_since(held.updated) >= SignedDuration::from_hours(24 * days)
        };
        let old: Vec<FindingId> =
            self.held.iter().filter(|(_, held)| is_old(held)).map(|(id, _)| id.clone()).collect();
        old.iter().for_each(|id| drop(self.held.remove(id)));
        let shown = self.now - self.lag;
        self.before.retain(|(at, id, _)| *at > shown && !old.contains(id));
        old
    }

    pub(super) fn workflow(&self, id: &FindingId) -> Option<WorkflowStatus> {
        self.held.get(id).map(|held| held.people.workflow)
    }

    /// The one thing of people's that we set, and only where somebody still has to look at it.
    pub(super) fn resolve(&mut self, id: &FindingId) {
        self.calls += 1;
        let held = self.held.get_mut(id).expect("only what was read is closed");
        let workflow = &mut held.people.workflow;
        assert!(workflow.is_open(), "{id} is {workflow}, which is somebody's decision");
        *workflow = WorkflowStatus::Resolved;
    }

    pub(super) fn only(&self) -> &Held {
        assert_eq!(self.held.len(), 1, "{:?}", self.held.keys());
        self.held.values().next().unwrap()
    }

    /// What a listing shows.
    pub(super) fn listed(&self) -> Vec<Listed> {
        let mut shown = self.held.clone();
        for (at, id, before) in self.before.iter().rev() {
            if *at > self.now - self.lag {
                match before {
                    Some(before) => drop(shown.insert(id.clone(), before.clone())),
                    None => drop(shown.remove(id)),
                }
            }
        }
        let listed = shown.values().map(|held| {
            let mut value = serde_json::to_value(&held.finding).unwrap();
            value["Workflow"] = serde_json::to_value(Workflow { status: held.people.workflow }).unwrap();
            value["ProductFields"]["aws/securityhub/ProductName"] = "Default".into();
            value["Severity"] = serde_json::json!({ "Label": "HIGH", "Normalized": 70 });
            serde_json::from_value(value).unwrap()
        });
        listed.collect()
    }
}
