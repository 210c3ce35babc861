//! What end-to-end tests need: the real `vmbridge` binary, estates to run it against, and outside referees.
//!
//! A component that a test needs is started by the test, or the test fails and says how to get it; nothing is skipped.

pub mod contained;
pub mod control;
pub mod docker;
pub mod estate;
pub mod managed;
pub mod program;
pub mod referee;
pub mod truth;
pub mod vcsim;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The folder that the repository is in.
///
/// # Errors
/// When it cannot be found.
pub fn repository() -> Result<PathBuf> {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().context("finding the repository")
}
