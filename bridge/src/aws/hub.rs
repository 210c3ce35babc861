//! What Security Hub tells of findings, and what is told to it besides findings themselves.
//!
//! A finding that is sent is a [`Finding`](mappings::findings::Finding). What comes back may be anybody's: of other products,
//! changed by people, with anything in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use mappings::findings::life::{Listed, Outcome, WorkflowStatus};
use mappings::findings::patches::{self, Note, PatchFinding, PatchUpdate};
use mappings::findings::{FindingId, PREFIX, RecordState};

use super::{AwsError, AwsErrorKind, Place, ProductArn, partition_of};

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
        if self.code.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.code, self.message)
        }
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

    /// What it means for the record of the finding.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let (code, message) = (Arc::from(&*self.code), Arc::from(&*self.message));
        match self.kind {
            kind if kind.may_have_taken_place() => Outcome::Lost,
            AwsErrorKind::Invalid => Outcome::Refused { code, message },
            _ => Outcome::Failed { code, message },
        }
    }

    /// A call that was about one finding and was refused.
    pub(crate) fn of_call(error: &AwsError) -> Self {
        let message = error.detail.chars().take(1000).collect::<String>().into_boxed_str();
        Self { kind: error.kind, code: "Call".into(), message }
    }

    /// An answer that does not say what became of a finding.
    pub(crate) fn unmentioned() -> Self {
        let message = "the answer does not say what became of it".into();
        Self { kind: AwsErrorKind::Lost, code: "".into(), message }
    }
}

/// What is changed in findings, for all of them alike. What is empty stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingUpdate {
    /// A note in the place of the one that is there: its text, at most 512 characters, and who writes it.
    pub note: Option<(String, String)>,
    /// `UserDefinedFields`, at most 50. They take the place of all that are there.
    pub fields: BTreeMap<String, String>,
    /// How far people are with it.
    pub workflow: Option<WorkflowStatus>,
}

impl FindingUpdate {
    /// Sets a workflow status and nothing else.
    #[must_use]
    pub fn workflow(status: WorkflowStatus) -> Self {
        Self { workflow: Some(status), ..Self::default() }
    }

    /// What is changed in findings of Patch Manager, and in which.
    #[must_use]
    pub fn of_patch_manager(update: &PatchUpdate) -> (Vec<FindingKey>, Self) {
        let PatchUpdate { findings, note, user_fields, resolve } = update;
        let key = |(id, product): &(FindingId, Arc<str>)| FindingKey {
            id: id.clone(),
            product: (**product).into(),
        };
        let update = Self {
            note: note.as_ref().map(|text| (text.clone(), patches::AUTHOR.to_owned())),
            fields: user_fields.clone().unwrap_or_default(),
            workflow: resolve.then_some(WorkflowStatus::Resolved),
        };
        (findings.iter().map(key).collect(), update)
    }
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
    pub workflow: Vec<WorkflowStatus>,
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
            generator_prefix: Some(PREFIX.to_owned()),
            state: None,
            workflow: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// The active findings of Patch Manager about nodes of an account and Region, but for those that are resolved: these stay active
    /// for months and are of no use. Those that people suppressed are among them, because they supersede older ones.
    #[must_use]
    pub fn of_patch_manager(nodes: &Place) -> Self {
        Self {
            product: ProductArn::patch_manager(nodes.region()),
            account: nodes.account().to_owned(),
            generator_prefix: None,
            state: Some(RecordState::Active),
            workflow: vec![WorkflowStatus::New, WorkflowStatus::Notified, WorkflowStatus::Suppressed],
            ids: Vec::new(),
        }
    }

    /// The same, but only these, at most [`FILTER_VALUES`].
    #[must_use]
    pub fn only(self, ids: Vec<FindingId>) -> Self {
        Self { ids, ..self }
    }
}

/// A finding as Security Hub has it, whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingSeen {
    /// Which finding it is.
    pub key: FindingKey,
    /// When its provider last sent it.
    pub updated: Timestamp,
    /// Whether it is there still. None: Security Hub says nothing that we know.
    pub state: Option<RecordState>,
    /// How far people are with it. None: Security Hub says nothing that we know.
    pub workflow: Option<WorkflowStatus>,
    /// The note on it.
    pub note: Option<Note>,
    /// What people, or we, wrote to it.
    pub fields: BTreeMap<String, String>,
    /// The ids of its resources.
    pub resources: Vec<Arc<str>>,
    /// All of it, if it has the form of the findings that we send.
    pub whole: Option<Box<Listed>>,
}

impl FindingSeen {
    /// The same for who sees to the findings of Patch Manager. None if it is none of them, or if what it says is not known well
    /// enough to change it.
    #[must_use]
    pub fn patch_finding(&self) -> Option<PatchFinding> {
        let product = self.key.product.as_str();
        if product.rsplit('/').next() != Some(patches::PRODUCT) {
            return None;
        }
        // It is about one node; one with several would be about none of them alone.
        let [resource] = &self.resources[..] else { return None };
        Some(PatchFinding {
            id: self.key.id.clone(),
            product_arn: product.into(),
            resource: resource.clone(),
            updated_at: self.updated,
            workflow: self.workflow?,
            record_state: self.state?,
            note: self.note.clone(),
            user_fields: self.fields.clone(),
        })
    }
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
        let covers = |linked| {
            ["eu-west-1", "ap-south-1", "eu-north-1"]
                .map(|region| aggregation(Linked::clone(&linked)).covers(region))
        };
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
        for code in
            ["FindingNotFound", "FindingSizeExceeded", "InvalidInput", "DuplicatedFindingIdentifier", "New"]
        {
            assert!(!kind(code).is_transient() && !kind(code).may_have_taken_place(), "{code}");
        }
        let outcome = |code| FindingFault::of(code, "because").outcome();
        assert!(matches!(outcome("InvalidInput"), Outcome::Refused { .. }));
        // It may appear yet: Security Hub takes its time.
        assert!(matches!(outcome("FindingNotFound"), Outcome::Failed { .. }));
        assert!(matches!(outcome("ConcurrentUpdateError"), Outcome::Failed { .. }));
        assert_eq!(outcome("InternalFailure"), Outcome::Lost);
        let long = FindingFault::of("InvalidInput", &"ä".repeat(5000));
        assert_eq!(long.message.chars().count(), 1000);
        assert_eq!(FindingFault::of("InvalidInput", "bad").to_string(), "InvalidInput: bad");
    }
}
