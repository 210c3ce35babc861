//! The simulator, seen from outside.

mod client;
mod reading;
mod watching;
