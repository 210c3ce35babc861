//! SOAP: envelopes, faults, the API version, and one call at a time.

mod client;
mod envelope;
mod fault;
mod version;

pub(crate) use client::{Operation, SoapClient, operation};
pub use envelope::decode_envelope;
pub use fault::{Fault, FaultKind};
pub use version::{ApiVersion, ServiceVersions};
