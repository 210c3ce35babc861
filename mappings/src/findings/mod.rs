//! Findings of Security Hub: what is told, in which form, and how each lives from its first day to its last.
//!
//! A [`Problem`] is what somebody found wrong with a subject. Problems become findings in the AWS Security Finding Format (one
//! for each rule, or one for each family of rules: [`Folding`]), under ids that depend on nothing that people rename or move.
//! [`life`] keeps them as they should be in Security Hub with as few calls as possible; [`patches`] takes care of the findings
//! that Patch Manager sends about hybrid nodes.
//!
//! ```
//! use std::sync::Arc;
//! use mappings::findings::life::{Book, Outcome, Policy, Sight, plan, settle};
//! use mappings::findings::{Class, Kind, Object, Problem, Severity, Status, Subject, Target};
//!
//! let object = Object { kind: Kind::Vm, vcenter: "5d2a".into(), moref: "vm-7".into(), instance: Some("50ab".into()) };
//! let subject = Subject {
//!     object, name: "web-01".into(), vcenter_name: "onprem".into(), datacenter: None, cluster: None, host: None,
//!     folder: None, guest_os: None, tags: vec![], owner: None, node: None,
//! };
//! let target = Target { partition: "aws".into(), account: "111122223333".into(), region: "eu-central-1".into() };
//! let problem = Problem {
//!     rule: "vm-unmanaged".into(), family: "management".into(), class: Class::Management,
//!     subject: Arc::new(subject), target: Arc::new(target), title: "The VM is not managed".into(),
//!     description: "Nobody patches it.".into(), severity: Severity::High, status: Status::Failed, advice: None,
//!     requirements: vec![], evidence: Default::default(),
//! };
//! let now = "2026-11-28T10:00:00Z".parse()?;
//! let (owner, policy, mut book) = ("0a1b2c3d".into(), Policy::default(), Book::default());
//! let seen = |_: &_, _: &_| Sight::Seen;
//! let todo = plan(&[problem.clone()], &book, seen, &owner, &policy, now);
//! for change in &todo.changes {
//!     let finding = change.finding().ok_or("it is new")?;
//!     assert_eq!(finding.content.title, "1 check does not pass: management (VM web-01)");
//!     let record = settle(change, &Outcome::Accepted, now).ok_or("it was taken")?;
//!     book.records.insert(record.id.clone(), record);
//! }
//! assert!(plan(&[problem], &book, seen, &owner, &policy, now).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
    Compliance, Content, ContentHash, Details, Finding, PRODUCT_NAME, ProviderFields, ProviderSeverity,
    Recommendation, RecordState, Remediation, Resource, SCHEMA_VERSION, Times,
};
pub use build::Resolution;
pub use fold::{Folding, Part, count};
pub use ids::{AccountId, Family, FindingId, InstanceId, MoRef, NodeId, Owner, Region, RuleId, VcenterId};
pub use name::{PREFIX, Scope, finding_id, urn};
pub use problem::{Advice, Class, Kind, Node, Object, Problem, Severity, Status, Subject, Tag, Target};
