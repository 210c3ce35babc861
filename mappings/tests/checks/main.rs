//! The rules that come with the program: each is met, missed and unread as it says, and no two are the same.
//!
//! What objects look like is data: `vm.toml`, `host.toml`, `cluster.toml` and `portgroup.toml` beside this file.

mod book;
mod catalogue;
mod fixtures;
mod object;
mod properties;
mod rules;
