//! Security Hub in small: what it keeps, what it ignores, and when it makes a finding new again.

use std::collections::BTreeMap;

use crate::findings::life::{Listed, Workflow, WorkflowStatus};
use crate::findings::{Finding, FindingId, RecordState, Status};

#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) finding: Finding,
    pub(super) workflow: WorkflowStatus,
    pub(super) note: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Hub {
    pub(super) held: BTreeMap<FindingId, Held>,
    pub(super) calls: usize,
}

impl Hub {
    pub(super) fn import(&mut self, finding: &Finding) {
        self.calls += 1;
        // It goes over the wire.
        let finding: Finding = serde_json::from_str(&finding.json()).unwrap();
        let Some(held) = self.held.get_mut(&finding.content.id) else {
            let id = finding.content.id.clone();
            self.held.insert(id, Held { finding, workflow: WorkflowStatus::New, note: None });
            return;
        };
        if finding.times.updated_at <= held.finding.times.updated_at {
            return;
        }
        let (before, after) = (&held.finding.content, &finding.content);
        let back = before.record_state == RecordState::Archived && after.record_state == RecordState::Active;
        let fails = before.compliance.status == Status::Passed && after.compliance.status != Status::Passed;
        if (back || fails) && held.workflow != WorkflowStatus::Suppressed {
            held.workflow = WorkflowStatus::New;
        }
        held.finding = finding;
    }

    pub(super) fn workflow(&self, id: &FindingId) -> Option<WorkflowStatus> {
        self.held.get(id).map(|held| held.workflow)
    }

    /// The one thing of people's that we set, and only where somebody still has to look at it.
    pub(super) fn resolve(&mut self, id: &FindingId) {
        self.calls += 1;
        let held = self.held.get_mut(id).expect("only what was read is closed");
        assert!(held.workflow.is_open(), "{id} is {}, which is somebody's decision", held.workflow);
        held.workflow = WorkflowStatus::Resolved;
    }

    pub(super) fn listed(&self) -> Vec<Listed> {
        let listed = self.held.values().map(|held| {
            let mut value = serde_json::to_value(&held.finding).unwrap();
            value["Workflow"] = serde_json::to_value(Workflow { status: held.workflow }).unwrap();
            value["ProductFields"]["aws/securityhub/ProductName"] = "Default".into();
            value["Severity"] = serde_json::json!({ "Label": "HIGH", "Normalized": 70 });
            serde_json::from_value(value).unwrap()
        });
        listed.collect()
    }
}
