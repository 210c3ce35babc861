//! Findings of Security Hub and the rules of their life: what a provider may change after the start, and when a finding
//! that was dealt with opens again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::timeline::Timeline;

/// What belongs to the customer: a provider sets it when the finding is new, and never again.
const CUSTOMERS: &[&str] = &["Note", "UserDefinedFields", "VerificationState", "Workflow"];
/// What a provider says in `FindingProviderFields`. It shows above as well, until a customer says something else there.
const PROVIDERS: &[&str] = &["Confidence", "Criticality", "RelatedFindings", "Severity", "Types"];
/// How long a finding is kept that nobody updates: while it is active, and when it was archived.
const KEPT: [SignedDuration; 2] = [SignedDuration::from_hours(90 * 24), SignedDuration::from_hours(30 * 24)];

/// What a finding is called: the product and its id.
pub(crate) type FindingKey = (String, String);

/// The findings of a Region.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    held: BTreeMap<FindingKey, Held>,
    /// No finding is too old before this moment.
    next: Option<Timestamp>,
}

/// A finding with its past.
#[derive(Debug)]
struct Held {
    line: Timeline<Arc<Value>>,
    /// When anybody updated it last.
    touched: Timestamp,
    /// Members of [`PROVIDERS`] that a customer has set.
    taken: BTreeSet<String>,
}

impl Held {
    /// When it is forgotten.
    fn until(&self) -> Timestamp {
        let [active, archived] = KEPT;
        let kept = if self.line.now()["RecordState"] == "ARCHIVED" { archived } else { active };
        self.touched.checked_add(kept).unwrap_or(Timestamp::MAX)
    }
}

/// The next writes of findings that are to fail.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    /// `BatchImportFindings` or `BatchUpdateFindings`.
    pub(crate) operation: String,
    /// Ids; with a `*` at the end all that begin so.
    pub(crate) id: String,
    pub(crate) times: u32,
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The failure that a write of a finding is to meet, used up by this.
pub(crate) fn fails(all: &mut Vec<Failing>, operation: &str, id: &str) -> Option<(String, String)> {
    let hit = all
        .iter_mut()
        .find(|failing| failing.operation == operation && crate::fault::matches(&failing.id, id))?;
    let told = (hit.code.clone(), hit.message.clone());
    hit.times = hit.times.saturating_sub(1);
    all.retain(|failing| failing.times > 0);
    Some(told)
}

/// Whose call it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) account: &'a str,
    pub(crate) region: &'a str,
}

/// The moment of a write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) date: Timestamp,
    pub(crate) now: Duration,
    pub(crate) keep: Duration,
}

pub(crate) fn key(finding: &Value) -> FindingKey {
    let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
    (text("ProductArn"), text("Id"))
}

fn date(finding: &Value, member: &str) -> Option<Timestamp> {
    finding[member].as_str()?.parse().ok()
}

/// Fills in the half of a severity that was not given.
pub(crate) fn whole_severity(finding: &mut Value) {
    let Some(severity) = finding.get_mut("Severity").filter(|severity| severity.is_object()) else { return };
    let label = severity["Label"].as_str().map(str::to_owned);
    let number = severity["Normalized"].as_i64();
    match (label, number) {
        (Some(label), _) => {
            severity["Normalized"] = match label.as_str() {
                "LOW" => 1,
                "MEDIUM" => 40,
                "HIGH" => 70,
                "CRITICAL" => 90,
                _ => 0,
            }
            .into();
        }
        (None, Some(number)) => {
            severity["Label"] = match number {
                ..=0 => "INFORMATIONAL",
                1..=39 => "LOW",
                40..=69 => "MEDIUM",
                70..=89 => "HIGH",
                _ => "CRITICAL",
            }
            .into();
        }
        (None, None) => {}
    }
}

/// Puts what a provider says where it belongs: among its own fields, and above.
fn provide(finding: &mut Value) {
    for member in PROVIDERS {
        let own = finding["FindingProviderFields"].get(*member).filter(|value| !value.is_null()).cloned();
        let above = finding.get(*member).filter(|value| !value.is_null()).cloned();
        match (own, above) {
            (Some(own), _) => {
                finding[*member] = own;
                if *member == "Severity" {
                    whole_severity(finding);
                }
            }
            (None, Some(above)) => {
                let mut own = above;
                if *member == "Severity"
                    && let Value::Object(parts) = &mut own
                {
                    parts.retain(|part, _| part == "Label" || part == "Original");
                }
                if !finding["FindingProviderFields"].is_object() {
                    finding["FindingProviderFields"] = json!({});
                }
                finding["FindingProviderFields"][*member] = own;
            }
            (None, None) => {}
        }
    }
}

fn status<'a>(finding: &'a Value, of: &str, member: &str) -> Option<&'a str> {
    finding.get(of)?.get(member)?.as_str()
}

/// Whether a finding that was dealt with has to be looked at again.
fn opens_again(before: &Value, after: &Value) -> bool {
    let dealt_with = matches!(status(before, "Workflow", "Status"), Some("NOTIFIED" | "RESOLVED"));
    let back = before["RecordState"] == "ARCHIVED" && after["RecordState"] == "ACTIVE";
    let fails = status(before, "Compliance", "Status") == Some("PASSED")
        && matches!(status(after, "Compliance", "Status"), Some("FAILED" | "WARNING" | "NOT_AVAILABLE"));
    dealt_with && (back || fails)
}

impl Findings {
    pub(crate) fn all(&self) -> Vec<&Value> {
        self.held.values().map(|held| &**held.line.now()).collect()
    }

    /// What readers of this moment see after a key, in the order of product and id.
    pub(crate) fn seen(
        &self,
        moment: Duration,
        after: Option<FindingKey>,
    ) -> impl Iterator<Item = (&FindingKey, &Value)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.held.range((after, Bound::Unbounded));
        range.filter_map(move |(key, held)| Some((key, &**held.line.at(moment)?)))
    }

    /// Forgets what was not updated for too long.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        self.held.retain(|_, held| held.until() > now);
        self.next = self.held.values().map(Held::until).min();
    }

    fn watch(&mut self, until: Timestamp) {
        self.next = Some(self.next.map_or(until, |next| next.min(until)));
    }

    /// Takes a finding of a provider; false when it changes nothing because it is no newer, or the same.
    pub(crate) fn import(&mut self, mut finding: Value, owner: Owner<'_>, moment: Moment) -> bool {
        whole_severity(&mut finding);
        provide(&mut finding);
        let key = key(&finding);
        for (member, value) in [
            ("RecordState", json!("ACTIVE")),
            ("Workflow", json!({ "Status": "NEW" })),
            ("ProductName", json!("Default")),
            ("CompanyName", json!("Personal")),
            ("Region", json!(owner.region)),
        ] {
            if finding.get(member).is_none_or(Value::is_null) {
                finding[member] = value;
            }
        }
        finding["WorkflowState"] = "NEW".into();
        let Some(held) = self.held.get_mut(&key) else {
            finding["ProcessedAt"] = moment.date.to_string().into();
            let line = Timeline::new(moment.now, Arc::new(finding));
            let held = Held { line, touched: moment.date, taken: BTreeSet::new() };
            let until = held.until();
            self.held.insert(key, held);
            self.watch(until);
            return true;
        };
        let before = Arc::clone(held.line.now());
        if date(&finding, "UpdatedAt") <= date(&before, "UpdatedAt") {
            return false;
        }
        let taken = held.taken.iter().map(String::as_str);
        for member in CUSTOMERS.iter().copied().chain(taken) {
            match before.get(member) {
                Some(value) => finding[member] = value.clone(),
                None => {
                    if let Value::Object(members) = &mut finding {
                        members.remove(member);
                    }
                }
            }
        }
        if opens_again(&before, &finding) {
            finding["Workflow"] = json!({ "Status": "NEW" });
        }
        finding["ProcessedAt"] = moment.date.to_string().into();
        held.line.set(moment.now, moment.keep, Arc::new(finding));
        held.touched = moment.date;
        let until = held.until();
        self.watch(until);
        true
    }

    /// Lets a customer change a finding; `None` when there is none, else whether anything is different.
    pub(crate) fn update(
        &mut self,
        key: &FindingKey,
        moment: Moment,
        change: impl FnOnce(&mut Value),
    ) -> Option<bool> {
        let held = self.held.get_mut(key)?;
        let before = Arc::clone(held.line.now());
        let mut after = Value::clone(&before);
        change(&mut after);
        let changed = after != *before;
        if changed {
            let set = PROVIDERS.iter().filter(|member| after.get(**member) != before.get(**member));
            held.taken.extend(set.map(|member| (*member).to_owned()));
            held.line.set(moment.now, moment.keep, Arc::new(after));
        }
        held.touched = moment.date;
        let until = held.until();
        self.watch(until);
        Some(changed)
    }

    /// The finding with this key as it is now.
    pub(crate) fn now(&self, key: &FindingKey) -> Option<&Value> {
        self.held.get(key).map(|held| &**held.line.now())
    }

    /// The finding with this id, of whatever product.
    pub(crate) fn find(&self, id: &str) -> Option<FindingKey> {
        self.held.keys().find(|(_, known)| known == id).cloned()
    }
}

#[cfg(test)]
mod tests;
