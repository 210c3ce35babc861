//! The parts of the program `vmbridge`.

pub mod config;
pub mod secret;
