//! The AWS Security Finding Format, as much of it as we send: plain values that serialize into exactly that JSON.
//!
//! Note, `UserDefinedFields`, `VerificationState` and `Workflow` belong to people, and are not here at all. Nor are `Severity`
//! and `Types` outside of `FindingProviderFields`: what stands there is taken over by Security Hub as long as nobody has
//! changed it, and what people have changed stays.

use std::collections::BTreeMap;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Serialize};

use super::fnv;
use super::ids::FindingId;
use super::problem::{Severity, Status};

/// The version of the format that there is.
pub const SCHEMA_VERSION: &str = "2018-10-08";

/// What the product is called in consoles and filters.
pub const PRODUCT_NAME: &str = "vmbridge";

/// A finding without its times: what is compared to know whether it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Content {
    /// Always [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// Which finding it is.
    pub id: FindingId,
    /// The product: that of custom findings of the account.
    pub product_arn: String,
    /// Always [`PRODUCT_NAME`]. Only custom products set it themselves; without it they are all called `Default`.
    #[serde(default)]
    pub product_name: String,
    /// `vmbridge/` and the rule or the family.
    pub generator_id: String,
    /// The account.
    pub aws_account_id: String,
    /// What is wrong. At most 256 characters.
    pub title: String,
    /// What is wrong, and why that matters. At most 1,024 characters.
    pub description: String,
    /// How it is dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<Remediation>,
    /// At most 50.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub product_fields: BTreeMap<String, String>,
    /// What has the problem: the object of vSphere, and the managed node where there is one.
    pub resources: Vec<Resource>,
    /// What the check came to.
    pub compliance: Compliance,
    /// Whether it is there still.
    pub record_state: RecordState,
    /// What Security Hub makes the severity and the types of.
    pub finding_provider_fields: ProviderFields,
}

/// A finding as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// When.
    #[serde(flatten)]
    pub times: Times,
}

/// The times of a finding, in milliseconds: Security Hub keeps no finer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Times {
    /// When the problem was first seen.
    #[serde(with = "millis")]
    pub first_observed_at: Timestamp,
    /// When it was last seen to change.
    #[serde(with = "millis")]
    pub last_observed_at: Timestamp,
    /// When the finding was first made.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// When it was last sent: what is not newer than what Security Hub has is ignored.
    #[serde(with = "millis")]
    pub updated_at: Timestamp,
}

/// How a problem is dealt with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Remediation {
    /// The one recommendation that there is.
    pub recommendation: Recommendation,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Recommendation {
    /// At most 512 characters.
    pub text: String,
    /// A page about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// Something that has a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Resource {
    /// Always `Other`: the format has no type for VMs of vSphere, nor for hybrid nodes.
    pub r#type: String,
    /// Which one it is.
    pub id: String,
    /// The partition of AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
    /// The Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// At most 50; by the rules for tags of AWS.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
}

/// What a resource is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Details {
    /// At most 50, with keys of fewer than 128 and values of fewer than 1,024 characters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, String>,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Compliance {
    /// How it ended.
    pub status: Status,
    /// At most 32. There is no `SecurityControlId`: that names controls of Security Hub itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related_requirements: Vec<String>,
}

/// Whether a finding is there still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordState {
    /// It is.
    Active,
    /// It is not; Security Hub forgets it after 30 days.
    Archived,
}

/// What a provider says of severity and types.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProviderFields {
    /// How bad it is.
    pub severity: ProviderSeverity,
    /// At most 50.
    pub types: Vec<String>,
}

/// How bad it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ProviderSeverity {
    /// By the labels of Security Hub.
    pub label: Severity,
    /// As the rule says. At most 64 characters.
    pub original: String,
}

/// Tells contents apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentHash(String);

impl ContentHash {
    /// As text: 32 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Content {
    /// The hash of all of it.
    pub(super) fn hash(&self) -> ContentHash {
        ContentHash(fnv::hex(self.json().as_bytes()))
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("all keys of its maps are texts")
    }
}

impl Finding {
    /// The JSON that is sent.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("all keys of its maps are texts")
    }
}

/// Cut to what Security Hub keeps.
pub(super) fn to_millis(time: Timestamp) -> Timestamp {
    let cut = jiff::TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Trunc);
    time.round(cut).unwrap_or(time)
}

mod millis {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}
