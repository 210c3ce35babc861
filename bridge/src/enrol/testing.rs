//! Enrolments for the tests of others.

use jiff::Timestamp;

use super::{Enrolment, Purpose, Stage, System};
use crate::aws::Place;

/// One that has just begun.
pub(crate) fn enrolment(since: Timestamp) -> Enrolment {
    Enrolment {
        place: Place::new("111122223333", "eu-central-1"),
        label: "web-1".into(),
        instance: None,
        mark: "0123456789abcdef".into(),
        purpose: Purpose::Enrol,
        failures: 0,
        stage: Stage::Prepare,
        since,
        credentials: "root".into(),
        system: System::Linux,
        directory: None,
        report: None,
        activation: None,
        tags: Vec::new(),
        reregister: false,
        node: None,
        origin: None,
        former: None,
        gone: None,
        problem: None,
    }
}
