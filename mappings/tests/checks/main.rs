//! The rules that come with the program: each is met, missed and unread as it says, and no two are the same.
//!
//! What objects look like is data: `vm.toml`, `host.toml`, `cluster.toml` and `portgroup.toml` beside this file.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod book;
mod catalogue;
mod fixtures;
mod object;
mod properties;
mod rules;
