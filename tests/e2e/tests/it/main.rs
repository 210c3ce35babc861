//! The real `vmbridge` binary, end to end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod aws_conformance;
mod both;
mod check;
mod commands;
mod containers;
mod crash;
mod crash_holds;
mod crash_snapshots;
mod daemon;
mod enrol;
mod faults;
mod guests;
mod iam;
mod inventory;
mod reports;
mod scripts;
mod several;
mod snapshots;
mod snapshots_vcsim;
mod tags;
mod vmc;
mod writeback;
