//! Findings of Security Hub: what is told, in which form, and how each lives from its first day to its last.
//!
//! A [`Problem`] is what somebody found wrong with a subject.

mod asff;
mod build;
mod fnv;
mod fold;
mod ids;
pub mod life;
mod name;
pub mod patches;
mod problem;
#[cfg(test)]
mod tests;
mod text;

pub use asff::{
    Compliance, Content, ContentHash, Details, Finding, ProviderFields, ProviderSeverity, Recommendation,
    RecordState, Remediation, Resource, SCHEMA_VERSION, Times,
};
pub use build::Resolution;
pub use fold::{Folding, Part, count};
pub use ids::{AccountId, Family, FindingId, InstanceId, MoRef, NodeId, Owner, Region, RuleId, VcenterId};
pub use name::{PREFIX, Scope, finding_id, urn};
pub use problem::{Advice, Class, Kind, Node, Object, Problem, Severity, Status, Subject, Tag, Target};
