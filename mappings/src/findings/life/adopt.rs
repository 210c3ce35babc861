//! Records out of what Security Hub shows, for when the store is lost.
//!
//! Read back is everything whose `GeneratorId` begins with `vmbridge/`. A finding is ours when its owner mark names this
//! installation, or a former one that the operator says is ours; and when its id is the one that its fields give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::close::WorkflowStatus;
use super::plan::Book;
use super::record::{Record, State, WorkflowDue, later};
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

/// A finding that looks like one of ours, and is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("finding {id} cannot be taken over: {why}; it stays as it is until Security Hub forgets it")]
pub struct Unusable {
    /// Which one.
    pub id: FindingId,
    /// Why.
    pub why: &'static str,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Adopted {
    /// The records of those that are ours.
    pub records: BTreeMap<FindingId, Record>,
    /// Those of other installations, which are never touched.
    pub foreign: BTreeSet<FindingId>,
    /// Those that say they are ours and cannot be.
    pub unusable: Vec<Unusable>,
}

/// Makes records of the findings of one account and Region.
#[must_use]
pub fn adopt(listed: &[Listed], target: &Target, owners: &[Owner]) -> Adopted {
    let mut out = Adopted::default();
    for listed in listed {
        let id = &listed.content.id;
        let field = |key: &str| listed.content.product_fields.get(&format!("{PREFIX}{key}"));
        if !field("owner").is_some_and(|mark| owners.iter().any(|owner| owner.as_str() == mark)) {
            out.foreign.insert(id.clone());
            continue;
        }
        match record(listed, target) {
            Ok(record) => {
                out.records.insert(id.clone(), record);
            }
            Err(why) => out.unusable.push(Unusable { id: id.clone(), why }),
        }
    }
    out
}

/// How long Security Hub may take to show what it has taken.
const LAG: SignedDuration = SignedDuration::from_hours(1);

impl Book {
    /// Corrects what is remembered of one account and Region by what Security Hub shows there: after a start, since the store may
    /// be lost or be an older copy, and now and then, since somebody may have switched Security Hub off and on. All of the
    /// findings have to have been read, and the reading to have begun at `read`.
    pub fn reconcile(&mut self, adopted: Adopted, target: &Target, read: Timestamp) {
        let Adopted { records, foreign, unusable } = adopted;
        let shown: BTreeSet<&FindingId> =
            records.keys().chain(&foreign).chain(unusable.iter().map(|unusable| &unusable.id)).collect();
        self.records.retain(|id, record| {
            let taken = record.imported_at.is_some_and(|at| later(at, LAG) < read);
            record.target != *target || shown.contains(id) || !taken || record.in_doubt
        });
        self.foreign.extend(foreign);
        self.foreign.retain(|id| !records.contains_key(id));
        for (id, record) in records {
            match self.records.get_mut(&id) {
                // It has not come to light yet.
                Some(known) if known.updated_at > record.updated_at => {}
                Some(known) if known.updated_at == record.updated_at && known.hash == record.hash => {}
                _ => {
                    self.records.insert(id, record);
                }
            }
        }
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
    if finding_id(target, &object, &scope) != content.id {
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
