//! SSM Compliance: custom types are what callers put, `Patch` is made from the patch states of nodes, `Association` from their
//! associations. All three are read in the same way.

mod put;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) use self::put::put;
pub(super) use self::read::{items, resources, summaries};

use super::patches;
use super::state::{Region, seconds};
use super::timeline::Timeline;

/// The most custom types of an account in a Region.
const CUSTOM_TYPES: usize = 10;
/// The types of AWS.
const ASSOCIATION: &str = "Association";
const PATCH: &str = "Patch";
/// From the worst.
const SEVERITIES: [(&str, &str); 6] = [
    ("CRITICAL", "CriticalCount"),
    ("HIGH", "HighCount"),
    ("MEDIUM", "MediumCount"),
    ("LOW", "LowCount"),
    ("INFORMATIONAL", "InformationalCount"),
    ("UNSPECIFIED", "UnspecifiedCount"),
];

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Item {
    id: String,
    title: Option<String>,
    severity: String,
    compliant: bool,
    details: BTreeMap<String, String>,
}

/// Everything that was looked at on a node for one type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Report {
    hash: Option<String>,
    /// `ExecutionSummary`.
    summary: Value,
    items: Vec<Item>,
}

impl Report {
    fn status(&self) -> &'static str {
        status(self.items.iter().all(|item| item.compliant))
    }

    /// The worst severity of what is not compliant, or of all of it where all is.
    fn severity(&self) -> &str {
        let compliant = self.items.iter().all(|item| item.compliant);
        let counted = self.items.iter().filter(|item| item.compliant == compliant);
        counted
            .map(|item| item.severity.as_str())
            .min_by_key(|severity| rank(severity))
            .unwrap_or("UNSPECIFIED")
    }

    fn counts(&self, compliant: bool) -> Counts {
        let mut counts = Counts::default();
        self.items
            .iter()
            .filter(|item| item.compliant == compliant)
            .for_each(|item| counts.add(&item.severity));
        counts
    }
}

fn status(compliant: bool) -> &'static str {
    if compliant { "COMPLIANT" } else { "NON_COMPLIANT" }
}

fn rank(severity: &str) -> usize {
    SEVERITIES.iter().position(|(name, _)| *name == severity).unwrap_or(SEVERITIES.len())
}

/// How many there are of each severity.
#[derive(Debug, Default)]
struct Counts([u64; 6]);

impl Counts {
    fn add(&mut self, severity: &str) {
        if let Some(count) = self.0.get_mut(rank(severity)) {
            *count += 1;
        }
    }

    /// `CompliantSummary` or `NonCompliantSummary`.
    fn told(&self, member: &str) -> Value {
        let by_severity =
            SEVERITIES.iter().zip(self.0).map(|((_, name), count)| ((*name).to_owned(), count.into()));
        let by_severity: serde_json::Map<String, Value> = by_severity.collect();
        json!({ member: self.0.iter().sum::<u64>(), "SeveritySummary": by_severity })
    }
}

/// What callers put in a Region.
#[derive(Debug, Default)]
pub(crate) struct Compliance {
    /// Every custom type that was ever put.
    types: BTreeSet<String>,
    /// By node and type.
    reports: BTreeMap<String, BTreeMap<String, Timeline<Arc<Report>>>>,
}

impl Compliance {
    /// Everything that was put on nodes that are there, for tests.
    pub(crate) fn truth(&self, held: &Region) -> Value {
        let there = self.reports.iter().filter(|(node, _)| held.node(node).is_some());
        let nodes = there.map(|(node, reports)| {
            let reports = reports.iter().map(|(name, line)| {
                let report = line.now();
                let items: Vec<Value> = report
                    .items
                    .iter()
                    .map(|item| {
                        json!({ "id": item.id, "title": item.title, "severity": item.severity,
                        "status": status(item.compliant), "details": item.details })
                    })
                    .collect();
                (name.clone(), json!({ "hash": report.hash, "summary": report.summary, "items": items }))
            });
            (node.clone(), Value::Object(reports.collect()))
        });
        let nodes: serde_json::Map<String, Value> = nodes.collect();
        json!({ "types": self.types, "nodes": nodes })
    }
}

/// The types that a node has something of, in order.
fn types(held: &Region, node: &str) -> Vec<String> {
    let custom = held.compliance.reports.get(node).into_iter().flat_map(|reports| reports.keys());
    let mut types = vec![ASSOCIATION.to_owned()];
    types.extend(custom.cloned());
    types.push(PATCH.to_owned());
    types
}

/// What was known of a node at a moment of a type; of types of AWS, what is known now. Nothing for one that nothing was put
/// for, and for one whose list is empty.
fn report(held: &Region, node: &str, name: &str, moment: Duration, now: Timestamp) -> Option<Arc<Report>> {
    held.nodes.get(node)?.info.at(moment)?.as_ref()?;
    match name {
        PATCH => patch_report(held, node, now).map(Arc::new),
        ASSOCIATION => association_report(held, node).map(Arc::new),
        _ => {
            let report = held.compliance.reports.get(node)?.get(name)?.at(moment)?;
            (!report.items.is_empty()).then(|| Arc::clone(report))
        }
    }
}

fn details<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn patch_report(held: &Region, node: &str, now: Timestamp) -> Option<Report> {
    let known = patches::state_of(held, node, now)?;
    let (_, _, end) = known.operation?;
    let items = known.patches(patches::is_windows(held, node)).into_iter().map(|patch| Item {
        compliant: patch.is_compliant(),
        details: details([
            ("DocumentName", "AWS-RunPatchBaseline"),
            ("DocumentVersion", "1"),
            ("Classification", patch.classification),
            ("PatchBaselineId", "pb-0123456789abcdef0"),
            ("PatchGroup", &known.group),
            ("PatchSeverity", patch.severity),
            ("PatchState", patch.state),
        ]),
        id: patch.id,
        title: Some(patch.title),
        severity: patch.level.to_owned(),
    });
    Some(Report {
        hash: None,
        summary: json!({ "ExecutionTime": seconds(end), "ExecutionType": "Command" }),
        items: items.collect(),
    })
}

fn association_report(held: &Region, node: &str) -> Option<Report> {
    let all = held.associations.get(node).filter(|all| !all.is_empty())?;
    let last = all.values().map(|association| association.ran).max()?;
    let items = all.iter().map(|(document, association)| Item {
        id: association.id.clone(),
        title: None,
        severity: association.severity.clone(),
        compliant: association.status == super::associations::AwsAssociationStatus::Success,
        details: details([("DocumentName", document), ("DocumentVersion", "1")]),
    });
    Some(Report { hash: None, summary: json!({ "ExecutionTime": seconds(last) }), items: items.collect() })
}
