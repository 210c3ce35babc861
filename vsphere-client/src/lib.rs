//! A client for VMware vCenter and VMware Cloud on AWS.
//!
//! placeholder

pub mod http;
pub mod ids;
pub mod rest;
pub mod retry;
pub mod tls;
pub mod vmc;

mod clock;
mod single_flight;
