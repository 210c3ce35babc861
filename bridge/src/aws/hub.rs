//! What Security Hub tells of findings, and what is told to it besides findings themselves.
//!
//! A finding that is sent is a [`Finding`](mappings::findings::Finding). What comes back may be anybody's: of other products,
//! changed by people, with anything in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::findings::{FindingId, RecordState};
use serde::{Deserialize, Serialize};

use super::{AwsErrorKind, Place, ProductArn, partition_of};

/// `BatchImportFindings` and `BatchUpdateFindings` take so many findings at once, `GetFindings` gives so many.
pub const FINDINGS_AT_ONCE: usize = 100;
/// A filter of `GetFindings` takes so many values of one attribute.
pub const FILTER_VALUES: usize = 20;

impl ProductArn {
    /// The product under which an account sends findings of its own.
    #[must_use]
    pub fn own(place: &Place) -> Self {
        let (account, region) = (place.account(), place.region());
        let partition = partition_of(region);
        format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default").into()
    }

    /// Patch Manager, in a Region.
    #[must_use]
    pub fn patch_manager(region: &str) -> Self {
        let partition = partition_of(region);
        format!("arn:{partition}:securityhub:{region}::product/aws/ssm-patch-manager").into()
    }
}

/// Whether Security Hub is enabled in an account and Region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubState {
    /// It is.
    Enabled,
    /// It is not, or the account is not subscribed to it.
    NotEnabled,
}

/// How findings are copied from Region to Region (`GetFindingAggregator`). Who sends a finding sends it to one Region only:
/// it is copied by Security Hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregation {
    /// The aggregation Region, to which findings are copied.
    pub home: String,
    /// From where.
    pub linked: Linked,
}

/// The Regions whose findings are copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Linked {
    /// All but these.
    AllBut(Vec<String>),
    /// These.
    Only(Vec<String>),
    /// Security Hub says nothing that we know.
    Unknown,
}

impl Aggregation {
    /// Whether findings of a Region are also in the aggregation Region. None: not known.
    #[must_use]
    pub fn covers(&self, region: &str) -> Option<bool> {
        let among = |regions: &[String]| regions.iter().any(|known| known == region);
        match &self.linked {
            _ if self.home == region => Some(true),
            Linked::AllBut(regions) => Some(!among(regions)),
            Linked::Only(regions) => Some(among(regions)),
            Linked::Unknown => None,
        }
    }
}

/// What names one finding for `BatchUpdateFindings`: ids are unique within their product only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FindingKey {
    /// Its id.
    pub id: FindingId,
    /// Its product.
    pub product: ProductArn,
}

/// What became of one finding of a batch.
pub type FindingOutcome = Result<(), FindingFault>;

/// Why one finding of a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingFault {
    /// What can be done about it.
    pub kind: AwsErrorKind,
    /// The code of the error, such as `ConcurrentUpdateError`. Empty where Security Hub does not mention the finding.
    pub code: Box<str>,
    /// What Security Hub said.
    pub message: Box<str>,
}

impl fmt::Display for FindingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.code, self.message) }
    }
}

impl std::error::Error for FindingFault {}

impl FindingFault {
    /// Sorts what Security Hub said of one finding. The codes are those of `BatchUpdateFindings`; those of
    /// `BatchImportFindings` are not published.
    pub(super) fn of(code: &str, message: &str) -> Self {
        let kind = match code {
            // Somebody else changes it just now. It did not take place, and is to be tried again a little later.
            "ConcurrentUpdateError" => AwsErrorKind::Throttled,
            "InternalFailure" | "InternalException" | "InternalError" => AwsErrorKind::Server,
            "FindingNotFound" => AwsErrorKind::NotFound,
            "AccessDenied" | "AccessDeniedException" => AwsErrorKind::Denied,
            "Throttling" | "ThrottlingException" | "LimitExceeded" | "LimitExceededException" => {
                AwsErrorKind::Throttled
            }
            _ => AwsErrorKind::Invalid,
        };
        let cut = |text: &str, most| text.chars().take(most).collect::<String>().into_boxed_str();
        Self { kind, code: cut(code, 100), message: cut(message, 1000) }
    }

    /// An answer that does not say what became of a finding.
    pub(super) fn unmentioned() -> Self {
        let message = "the answer does not say what became of it".into();
        Self { kind: AwsErrorKind::Lost, code: "".into(), message }
    }
}

/// How far people are with a finding (`Workflow.Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Workflow {
    /// Nobody has looked at it.
    New,
    /// The owner of the resource was told.
    Notified,
    /// It is dealt with.
    Resolved,
    /// It needs no action, says somebody.
    Suppressed,
    /// Security Hub says nothing that we know.
    Unknown,
}

/// What is changed in findings, for all of them alike. What is empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingUpdate {
    /// A note in the place of the one that is there: its text, at most 512 characters, and who writes it.
    pub note: Option<(String, String)>,
    /// `UserDefinedFields`, at most 50. They take the place of all that are there.
    pub fields: BTreeMap<String, String>,
    /// How far people are with it. [`Workflow::Unknown`] cannot be written.
    pub workflow: Option<Workflow>,
}

/// Which findings are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingFilter {
    /// Their product, which names the Region too: in an aggregation Region there are those of other Regions.
    pub product: ProductArn,
    /// Their account: an administrator's Security Hub has those of other accounts.
    pub account: String,
    /// How the id of their generator begins.
    pub generator_prefix: Option<String>,
    /// Whether they are there still.
    pub state: Option<RecordState>,
    /// How far people are with them, any of these. Empty: whatever it is.
    pub workflow: Vec<Workflow>,
    /// These only, at most [`FILTER_VALUES`]. Empty: all.
    pub ids: Vec<FindingId>,
}

impl FindingFilter {
    /// Our own findings in an account and Region, whatever their state.
    #[must_use]
    pub fn ours(hub: &Place) -> Self {
        Self {
            product: ProductArn::own(hub),
            account: hub.account().to_owned(),
            generator_prefix: Some("vmbridge/".to_owned()),
            state: None,
            workflow: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// The findings of Patch Manager about nodes of an account and Region that nobody has dealt with. Those that people
    /// suppressed are not among them.
    #[must_use]
    pub fn open_of_patch_manager(nodes: &Place) -> Self {
        Self {
            product: ProductArn::patch_manager(nodes.region()),
            account: nodes.account().to_owned(),
            generator_prefix: None,
            state: Some(RecordState::Active),
            workflow: vec![Workflow::New, Workflow::Notified],
            ids: Vec::new(),
        }
    }
}

/// A finding as Security Hub has it, as much of it as matters to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingSeen {
    /// Which finding it is.
    pub key: FindingKey,
    /// What made it.
    pub generator: Arc<str>,
    /// Its title.
    pub title: Box<str>,
    /// When its problem was first seen.
    pub first_observed: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// When its provider last sent it.
    pub updated: Timestamp,
    /// Whether it is there still. None: Security Hub says nothing that we know.
    pub state: Option<RecordState>,
    /// `Compliance.Status`, such as `FAILED`.
    pub compliance: Option<Box<str>>,
    /// How far people are with it.
    pub workflow: Workflow,
    /// The note on it.
    pub note: Option<NoteSeen>,
    /// What its provider says besides.
    pub product_fields: BTreeMap<String, String>,
    /// What people, or we, wrote to it.
    pub fields: BTreeMap<String, String>,
    /// What it is about: type and id of each resource.
    pub resources: Vec<(Box<str>, Box<str>)>,
}

/// A note on a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSeen {
    /// Its text.
    pub text: Box<str>,
    /// Who wrote it.
    pub by: Box<str>,
    /// When.
    pub at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_of_the_partition_of_their_region() {
        let place = |region| Place::new("111122223333", region);
        assert_eq!(
            ProductArn::own(&place("eu-central-1")).as_str(),
            "arn:aws:securityhub:eu-central-1:111122223333:product/111122223333/default"
        );
        assert_eq!(
            ProductArn::patch_manager("us-gov-west-1").as_str(),
            "arn:aws-us-gov:securityhub:us-gov-west-1::product/aws/ssm-patch-manager"
        );
    }

    #[test]
    fn an_aggregation_says_which_regions_it_covers() {
        let aggregation = |linked| Aggregation { home: "eu-west-1".to_owned(), linked };
        let far = || vec!["ap-south-1".to_owned()];
        let covers = |linked| ["eu-west-1", "ap-south-1", "eu-north-1"].map(|region| aggregation(Linked::clone(&linked)).covers(region));
        assert_eq!(covers(Linked::AllBut(far())), [Some(true), Some(false), Some(true)]);
        assert_eq!(covers(Linked::Only(far())), [Some(true), Some(true), Some(false)]);
        assert_eq!(covers(Linked::Unknown), [Some(true), None, None]);
    }

    #[test]
    fn what_was_said_of_one_finding_is_sorted() {
        let kind = |code| FindingFault::of(code, "because").kind;
        assert!(kind("ConcurrentUpdateError").is_transient());
        assert!(kind("InternalFailure").may_have_taken_place());
        assert!(FindingFault::unmentioned().kind.may_have_taken_place());
        for code in ["FindingNotFound", "FindingSizeExceeded", "InvalidInput", "DuplicatedFindingIdentifier", "New"] {
            assert!(!kind(code).is_transient() && !kind(code).may_have_taken_place(), "{code}");
        }
        let long = FindingFault::of("InvalidInput", &"ä".repeat(5000));
        assert_eq!(long.message.chars().count(), 1000);
        assert_eq!(FindingFault::of("InvalidInput", "bad").to_string(), "InvalidInput: bad");
    }
}
