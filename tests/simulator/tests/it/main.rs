//! The simulator, seen from outside.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod client;
mod reading;
mod watching;
