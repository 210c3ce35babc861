//! What goes wrong with a call to AWS, sorted by what can be done about it.

use std::fmt;

use aws_sdk_ssm::config::http::HttpResponse;
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use vsphere_client::error::chain;

/// A call to AWS that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsError {
    /// The operation, such as `ssm:AddTagsToResource`.
    pub operation: &'static str,
    /// What it was about.
    pub object: Option<String>,
    /// What can be done about it.
    pub kind: AwsErrorKind,
    /// What AWS said, or why it said nothing.
    pub detail: String,
}

/// What can be done about a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwsErrorKind {
    /// Too many calls: slow down. It did not take place.
    Throttled,
    /// The role may not do this.
    Denied,
    /// The credentials are missing, wrong or expired.
    Credentials,
    /// The object does not exist (any more).
    NotFound,
    /// The node has as many tags as it can have.
    TooManyTags,
    /// The account has as many custom types of inventory or compliance as it can have.
    TooManyTypes,
    /// Systems Manager has something else than what was confirmed: all of it has to be put.
    OtherContent,
    /// Security Hub is not enabled in this account and Region.
    NotEnabled,
    /// AWS refuses the request as it is: repeating it is of no use.
    Invalid,
    /// It was not sent.
    NotSent,
    /// It was sent, and there is no answer that could be understood: it may have taken place.
    Lost,
    /// AWS failed while it worked on it: it may have taken place.
    Server,
}

impl AwsErrorKind {
    /// Whether the call may have had its effect although it failed.
    #[must_use]
    pub fn may_have_taken_place(self) -> bool {
        matches!(self, Self::Lost | Self::Server)
    }

    /// Whether the same call may go well a little later.
    #[must_use]
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::NotSent | Self::Lost | Self::Server)
    }

    /// The fix, where there is one that people can make.
    #[must_use]
    pub fn fix(self) -> Option<&'static str> {
        match self {
            Self::Denied => Some("grant the role this action; docs/iam.md has the policies"),
            Self::Credentials => Some("see to the credentials of this target; `vmbridge check` tells more"),
            Self::TooManyTags => Some("remove tags from the node, or rules from the configuration"),
            Self::NotSent => Some("see to the network and the endpoint; `vmbridge check` tells more"),
            Self::TooManyTypes => Some(
                "delete custom types that nobody needs (`aws ssm delete-inventory`, for the whole account and Region): 20 of inventory and 10 of compliance are allowed",
            ),
            Self::NotEnabled => Some(
                "enable Security Hub in the Region, or name one where it is in `findings_region`, or set `[findings] mode = \"off\"`",
            ),
            Self::Throttled
            | Self::NotFound
            | Self::OtherContent
            | Self::Invalid
            | Self::Lost
            | Self::Server => None,
        }
    }
}

impl fmt::Display for AwsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(object) = &self.object {
            write!(f, " of {object}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl std::error::Error for AwsError {}

impl AwsError {
    /// Sorts a failure of the SDK.
    pub(super) fn of<E>(
        operation: &'static str,
        object: Option<&str>,
        error: &SdkError<E, HttpResponse>,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let (kind, detail) = match error {
            // A request that cannot be built lacks credentials, a Region or an endpoint.
            SdkError::ConstructionFailure(_) => (AwsErrorKind::Credentials, chain(error)),
            SdkError::TimeoutError(_) => (AwsErrorKind::Lost, "no answer in time".to_owned()),
            SdkError::DispatchFailure(failure) => {
                let text = chain(error);
                let unsent = failure.is_user() || never_connected(error);
                let kind = if text.contains("credential") {
                    AwsErrorKind::Credentials
                } else if unsent {
                    AwsErrorKind::NotSent
                } else {
                    AwsErrorKind::Lost
                };
                (kind, text)
            }
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                match answer.err().code() {
                    Some(code) => {
                        let message = answer.err().message().unwrap_or("no reason given");
                        (by_code(code, status), format!("{code}: {message}"))
                    }
                    None => (by_status(status), format!("status {status} without a reason")),
                }
            }
            // An answer that cannot be read does not say what happened.
            _ => (AwsErrorKind::Lost, chain(error)),
        };
        let detail = detail.chars().take(1000).collect();
        Self { operation, object: object.map(str::to_owned), kind, detail }
    }

    /// A listing that does not end.
    pub(crate) fn endless(what: &'static str) -> Self {
        let detail = "its pages do not end".to_owned();
        Self { operation: "the listing", object: Some(what.to_owned()), kind: AwsErrorKind::Lost, detail }
    }

    /// A call that could not be made, or whose answer could not be read, for want of something in this machine.
    pub(super) fn unread(operation: &'static str, error: &std::io::Error) -> Self {
        let detail = format!("this machine: {error}");
        Self { operation, object: None, kind: AwsErrorKind::Lost, detail }
    }

    /// An answer that lacks what it has to hold.
    pub(super) fn incomplete(operation: &'static str, what: &str) -> Self {
        Self {
            operation,
            object: None,
            kind: AwsErrorKind::Lost,
            detail: format!("the answer holds no {what}"),
        }
    }
}

/// Whether there never was a connection. One that broke may have carried the request, whatever the text of the error says.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<hyper_util::client::legacy::Error>())
        .any(hyper_util::client::legacy::Error::is_connect)
}

fn by_status(status: u16) -> AwsErrorKind {
    match status {
        429 => AwsErrorKind::Throttled,
        403 => AwsErrorKind::Denied,
        400..=499 => AwsErrorKind::Invalid,
        _ => AwsErrorKind::Server,
    }
}

/// Sorts by the code of the error; see "Common errors" of each service's API reference.
fn by_code(code: &str, status: u16) -> AwsErrorKind {
    match code {
        "ThrottlingException"
        | "ThrottledException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "TooManyUpdates"
        | "SlowDown" => AwsErrorKind::Throttled,
        "AccessDeniedException"
        | "AccessDenied"
        | "ForbiddenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "UnauthorizedException" => AwsErrorKind::Denied,
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature" => AwsErrorKind::Credentials,
        "DoesNotExistException"
        | "InvalidResourceId"
        | "InvalidInstanceId"
        | "NotFoundException"
        | "ResourceNotFoundException"
        | "InvalidActivation"
        | "InvalidActivationId" => AwsErrorKind::NotFound,
        "CustomSchemaCountLimitExceededException" | "ComplianceTypeCountLimitExceededException" => {
            AwsErrorKind::TooManyTypes
        }
        "ItemContentMismatchException" => AwsErrorKind::OtherContent,
        // Of Security Hub only.
        "InvalidAccessException" => AwsErrorKind::NotEnabled,
        "TooManyTagsError" => AwsErrorKind::TooManyTags,
        _ => by_status(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_can_be_done() {
        assert_eq!(by_code("ThrottlingException", 400), AwsErrorKind::Throttled);
        assert_eq!(by_code("InternalServerError", 500), AwsErrorKind::Server);
        assert_eq!(by_code("ValidationException", 400), AwsErrorKind::Invalid);
        assert_eq!(by_status(503), AwsErrorKind::Server);
        assert_eq!(by_code("LimitExceededException", 429), AwsErrorKind::Throttled);
        assert_eq!(by_code("InternalException", 500), AwsErrorKind::Server);
        assert_eq!(by_code("InvalidInputException", 400), AwsErrorKind::Invalid);
        assert_eq!(by_code("InvalidAccessException", 401), AwsErrorKind::NotEnabled);
        assert_eq!(by_code("CustomSchemaCountLimitExceededException", 400), AwsErrorKind::TooManyTypes);
        assert_eq!(by_code("ItemContentMismatchException", 400), AwsErrorKind::OtherContent);
        assert_eq!(by_code("ItemSizeLimitExceededException", 400), AwsErrorKind::Invalid);
        assert_eq!(by_code("InvalidInstanceId", 400), AwsErrorKind::NotFound);
        for kind in [
            AwsErrorKind::Throttled,
            AwsErrorKind::Denied,
            AwsErrorKind::NotSent,
            AwsErrorKind::TooManyTypes,
            AwsErrorKind::OtherContent,
            AwsErrorKind::NotEnabled,
        ] {
            assert!(!kind.may_have_taken_place());
        }
        for kind in [AwsErrorKind::TooManyTypes, AwsErrorKind::NotEnabled] {
            assert!(!kind.is_transient() && kind.fix().is_some());
        }
        assert!(AwsErrorKind::Server.may_have_taken_place() && AwsErrorKind::Lost.may_have_taken_place());
    }
}
