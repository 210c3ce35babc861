//! Integration tests of the client.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cloud;
mod custom_fields;
mod extra;
mod guest;
mod hostile;
mod live;
mod tagging;
mod tasks;
mod vcsim;
mod wire;
