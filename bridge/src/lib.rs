//! The library behind the program `vmbridge`: what joins VMware vSphere to AWS Systems Manager and Security Hub.
//!
//! Data flows one way (see `ARCHITECTURE.md`): observers turn remote state into the [`fleet`], commands and planners read it.
//! Failures stay where they are: a source that cannot be read is told by its part of the fleet, a configuration that is wrong
//! is refused before anything starts.

/// A plan over a large fleet makes and drops hundreds of thousands of small things on several threads: glibc's allocator
/// takes longer for that, and keeps what each thread once used.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod aws;
pub mod check;
pub mod cli;
pub mod clock;
pub mod cloud;
pub mod config;
pub mod control;
pub mod engine;
pub mod enrol;
pub mod explain;
pub mod fleet;
pub mod inventory;
pub mod lane;
pub mod logging;
pub mod memory;
pub mod observe;
pub mod plan;
pub mod report;
pub mod run;
pub mod secret;
pub mod snapshot;
mod source;
pub mod store;
mod texts;
