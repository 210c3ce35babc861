//! Compliance, for whoever asks a daemon. What Systems Manager says is read when it is asked for: nothing else needs it, so an
//! idle daemon does not read it.

use serde_json::Value;

use super::desk::json;
use super::{Desk, Refusal};
use crate::engine::RealHands;
use crate::report::{self, AuditQuery, ComplianceQuery, ReadBack};

impl Desk {
    pub(super) async fn compliance(&self, query: &ComplianceQuery) -> Result<Value, Refusal> {
        let read = self.read_back(query).await;
        json(&self.engine.look(|view| report::compliance(view, &read, query))?)
    }

    pub(super) async fn audit(&self, query: &AuditQuery) -> Result<Value, Refusal> {
        let read = self.read_back(&query.scope).await;
        json(&self.engine.look(|view| report::audit(view, &read, query))?)
    }

    async fn read_back(&self, query: &ComplianceQuery) -> ReadBack {
        let reports = self.hands.as_ref().map(RealHands::reports).unwrap_or_default();
        let services = self.hands.as_ref().map(RealHands::services).unwrap_or_default();
        let read = ReadBack::read(reports, &self.cloud.read()).await;
        read.with_window(services, query.window.as_deref()).await
    }
}
