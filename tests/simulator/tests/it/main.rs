//! The simulator, seen from outside.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod aws_agent;
mod aws_client;
mod aws_control;
mod aws_findings;
mod aws_holds;
mod aws_nodes;
mod aws_report;
mod aws_signing;
mod aws_tags;
mod aws_windows;
mod binary;
mod client;
mod control;
mod custom_fields;
mod faults;
mod guest;
mod json;
mod reading;
mod rest;
mod setup;
mod tasks;
mod vmc;
mod watching;
