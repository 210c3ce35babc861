//! The REST side of a vCenter: sessions and tagging, under `/api` and under the older `/rest`.

use crate::net::{Reply, Request};
use crate::vcenter::Shared;

/// What a call is named in counters and fault rules: method, path with ids replaced, and the action.
pub(crate) fn operation(request: &Request) -> String {
    let path = &request.path;
    format!("{} {path}", request.method)
}

/// Answers a REST call.
pub(crate) fn handle(_shared: &Shared, _request: &Request) -> Reply {
    Reply::empty(404)
}
