//! What people are told of compliance: one table of EC2 instances and VMs, and the auditor's report.
//!
//! Both are made of the same reading: the fleet and its rules, the plan's links between VMs and nodes, and what Systems Manager
//! says of every node, read in bulk ([`ReadBack`]). What could not be read is a part of the answer, never a gap in it: a row
//! says `unknown`, and the whole says what is missing and why.
//!
//! The same input gives the same report, but for its date.

mod csv;
mod document;
mod gather;
mod html;
mod protection;
mod readback;
#[cfg(test)]
mod tests;
mod window;

pub use csv::{write_machines, write_results};
pub use document::{
    AUDIT_SCHEMA, AuditDocument, AuditQuery, COMPLIANCE_SCHEMA, ChecksDocument, ComplianceDocument,
    ComplianceQuery, CountDocument, ExceptionDocument, InventoryDocument, MachineDocument, PatchesDocument,
    RULES_SCHEMA, ReasonDocument, ResultDocument, RuleDocument, RulesDocument, ScopeDocument, SourceDocument,
};
pub use html::html;
pub use readback::ReadBack;

pub(crate) use document::rule_document;
#[cfg(test)]
pub(crate) use tests::sample;

pub(crate) use gather::{audit, compliance};
