//! Reporting: what AWS is told of VMs, their hosts, clusters and networks.
//!
//! Going through everything that is reported takes longer than all other planning together, and nothing of it is urgent: the
//! engine asks for it more rarely than for the rest ([`crate::engine`]).

use crate::config::{ComplianceSettings, Config, FindingsSettings, InventorySettings};

/// What the operator wants to be told to AWS.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportPolicy {
    /// Systems Manager's inventory.
    pub inventory: InventorySettings,
    /// Systems Manager's compliance.
    pub compliance: ComplianceSettings,
    /// Security Hub.
    pub findings: FindingsSettings,
}

impl ReportPolicy {
    /// That of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            inventory: config.inventory.clone(),
            compliance: config.compliance.clone(),
            findings: config.findings.clone(),
        }
    }
}
