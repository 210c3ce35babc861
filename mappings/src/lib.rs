//! Pure functions from vSphere facts to AWS-shaped values.
//!
//! This crate decides *what* something means, never *when* or *whether it can be reached*: no I/O, no clock, no async.
//! That keeps the policies of vmbridge testable on a laptop without a vCenter or an AWS account. What goes wrong here
//! is a mistake in what a person wrote (a selector, a pattern), and every error says where it is and what is allowed.

pub mod backup;
pub mod checks;
pub mod compliance;
pub mod findings;
pub mod glob;
pub mod guest;
pub mod hostname;
pub mod hours;
mod ids;
pub mod inventory;
pub mod protection;
pub mod recurrence;
pub mod selector;
pub mod snapshot;
pub mod tags;
