//! Records out of what Security Hub shows, for when the store is lost.
//!
//! Read back is everything whose `GeneratorId` begins with `vmbridge/`. A finding is ours when its owner mark names this
//! installation, or a former one that the operator says is ours; and when its id is one that its fields give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::book::{Others, Stranger, Unusable};
use super::close::WorkflowStatus;
use super::record::{Record, State, WorkflowDue};
use crate::findings::asff::{Content, RecordState, Times};
use crate::findings::build::limit;
use crate::findings::fold::Part;
use crate::findings::ids::{FindingId, Owner};
use crate::findings::name::{PREFIX, Scope, finding_id};
use crate::findings::problem::{Kind, Object, Target};

/// A finding as Security Hub shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
    /// When.
    #[serde(flatten)]
    pub times: Times,
    /// Its workflow.
    #[serde(default, rename = "Workflow")]
    pub workflow: Option<Workflow>,
}

/// The workflow of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Workflow {
    /// Its status.
    pub status: WorkflowStatus,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Adopted {
    /// The records of those that are ours.
    pub records: BTreeMap<FindingId, Record>,
    /// All others.
    pub others: Others,
}

/// Makes records of the findings of one account and Region. `owners`: this installation, and former ones whose findings are its own
/// now.
#[must_use]
pub fn adopt(listed: &[Listed], target: &Target, owners: &[Owner]) -> Adopted {
    let mut out = Adopted::default();
    for listed in listed {
        let (id, updated_at) = (&listed.content.id, listed.times.updated_at);
        let target = target.clone();
        let owner = listed.owner();
        if !owner.as_ref().is_some_and(|owner| owners.contains(owner)) {
            let vcenter = listed.field("vcenter").map(Into::into);
            let is_open = listed.content.record_state == RecordState::Active;
            out.others.foreign.insert(id.clone(), Stranger { target, owner, vcenter, is_open, updated_at });
            continue;
        }
        match record(listed, &target) {
            Ok(record) => {
                out.records.insert(id.clone(), record);
            }
            Err(why) => {
                let unusable = Unusable { id: id.clone(), target, why, updated_at };
                out.others.unusable.insert(id.clone(), unusable);
            }
        }
    }
    out
}

/// What one installation tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claim {
    /// How many of its findings are active.
    pub open: usize,
    /// How many are over, and not forgotten yet.
    pub over: usize,
    /// The vCenters that the active ones are about: the names that they had then, or else their ids.
    pub vcenters: BTreeSet<String>,
}

/// What each installation tells, by the marks on findings.
#[must_use]
pub fn claims<'l>(listed: impl IntoIterator<Item = &'l Listed>) -> BTreeMap<Owner, Claim> {
    let mut claims: BTreeMap<Owner, Claim> = BTreeMap::new();
    for listed in listed {
        let Some(owner) = listed.owner() else { continue };
        let claim = claims.entry(owner).or_default();
        if listed.content.record_state != RecordState::Active {
            claim.over += 1;
            continue;
        }
        claim.open += 1;
        let details = listed.content.resources.first().and_then(|resource| resource.details.as_ref());
        let name = details.and_then(|details| details.other.get("vCenter")).map(String::as_str);
        claim.vcenters.extend(name.or(listed.field("vcenter")).map(str::to_owned));
    }
    claims
}

impl Listed {
    fn field(&self, key: &str) -> Option<&str> {
        self.content.product_fields.get(&format!("{PREFIX}{key}")).map(String::as_str)
    }

    /// The installation that it belongs to, by its mark.
    fn owner(&self) -> Option<Owner> {
        self.field("owner").map(Into::into)
    }
}

fn record(listed: &Listed, target: &Target) -> Result<Record, &'static str> {
    let mut content = listed.content.clone();
    // What Security Hub adds is not ours to send.
    content.product_fields.retain(|key, _| !key.starts_with("aws/"));
    let field = |key: &str| content.product_fields.get(&format!("{PREFIX}{key}")).map(String::as_str);
    if content.product_arn != target.product_arn() {
        return Err("it belongs to another product");
    }
    let object = Object {
        kind: field("kind").and_then(Kind::from_word).ok_or("its kind is not known")?,
        vcenter: field("vcenter").ok_or("it names no vCenter")?.into(),
        moref: field("object").ok_or("it names no object")?.into(),
        instance: field("instance").map(Into::into),
    };
    let scope = match (field("rule"), field("family")) {
        (Some(rule), None) => Scope::Rule(rule.into()),
        (None, Some(family)) => Scope::Family(family.into()),
        _ => return Err("it names not one rule or family"),
    };
    // It keeps the id that it began with, also when the instance UUID could not be read then and can be read now.
    let nameless = Object { instance: None, ..object.clone() };
    if ![&object, &nameless].iter().any(|object| finding_id(target, object, &scope) == content.id) {
        return Err("its id is not that of what it names");
    }
    let mut parts = Vec::new();
    for at in 1..=limit::RULES {
        let list = if at == 1 { field("rules") } else { field(&format!("rules/{at}")) };
        let words = list.into_iter().flat_map(|list| list.split(','));
        parts.extend(words.map(Part::parse).collect::<Option<Vec<_>>>().ok_or("its rules cannot be read")?);
    }
    if parts.is_empty() {
        return Err("it names no rules");
    }
    let times = listed.times;
    // What carries no hash, or says something else than when it was sealed, is sent again.
    let seal = content.seal().map(str::to_owned);
    let hash = content.unsealed_hash();
    let in_doubt = seal.as_deref() != Some(hash.as_str());
    let is_open = listed.workflow.is_none_or(|workflow| workflow.status.is_open());
    let state = match content.record_state {
        RecordState::Active => State::Open,
        RecordState::Archived => State::Resolved {
            since: times.updated_at,
            workflow: if is_open { WorkflowDue::Look } else { WorkflowDue::Done },
        },
    };
    Ok(Record {
        id: content.id.clone(),
        target: target.clone(),
        object,
        scope,
        parts,
        content: Arc::new(content),
        hash,
        state,
        first_observed: times.first_observed_at,
        updated_at: times.updated_at,
        imported_at: Some(times.updated_at),
        in_doubt: in_doubt && state == State::Open,
        workflow_at: None,
        failure: None,
    })
}
