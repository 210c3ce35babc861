//! What Security Hub has of our findings, as it is remembered.

mod others;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mappings::findings::life::{Book, Record, State};
use mappings::findings::{Kind, Scope, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::selection::Selection;
use super::{PlanQuery, Refusal};
use crate::plan::View;
use crate::plan::reach::{self, Reach};
use crate::store::VmId;

/// The state of an open finding in an account that no target has.
const OUT_OF_REACH: &str = "outOfReach";

/// Answers of Security Hub that are told; the others are in the table of findings.
const MOST_PROBLEMS: usize = 5;

/// Which findings are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FindingQuery {
    /// Findings of VMs that any of these selects; all if there are none.
    pub selectors: Vec<String>,
    /// Findings of VMs of these vCenters or organisations; all if there are none.
    pub vcenters: Vec<String>,
    /// `open`, `resolved`, `refused` or `outOfReach`; all if there is none.
    pub state: Option<String>,
    /// Findings that name this rule or family; all if there is none.
    pub rule: Option<String>,
}

/// What `vmbridge findings --json` prints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingsDocument {
    /// How many of those that are asked for are open.
    pub open: usize,
    /// How many are resolved.
    pub resolved: usize,
    /// How many Security Hub refuses.
    pub refused: usize,
    /// How many are open in accounts that no target has, so that nothing can be done about them.
    pub out_of_reach: usize,
    /// How many of the open ones tell of a whole family of rules.
    pub folded: usize,
    /// How many problems the open ones tell of: as many findings there would be if none were folded.
    pub problems: usize,
    /// Findings about vCenters of the configuration that another installation tells. All of them, whatever is asked for.
    #[serde(default)]
    pub foreign: Vec<ForeignFindings>,
    /// Findings that carry the mark of this installation and cannot be taken over.
    #[serde(default)]
    pub unusable: Vec<UnusableFinding>,
    /// The findings: refused ones, then open ones, then those out of reach, then resolved ones.
    pub findings: Vec<FindingDocument>,
}

/// Open findings that another installation tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForeignFindings {
    /// The account and Region.
    pub place: String,
    /// The id of the installation. `null`: they do not say.
    pub installation: Option<String>,
    /// How many.
    pub findings: usize,
    /// The vCenters that they are about.
    pub vcenters: Vec<String>,
    /// One sentence, with what to do.
    pub sentence: String,
}

/// A finding that carries our mark and cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnusableFinding {
    /// Its id in Security Hub.
    pub id: String,
    /// The account and Region.
    pub place: String,
    /// Why.
    pub why: String,
}

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingDocument {
    /// Its id in Security Hub.
    pub id: String,
    /// `open`, `resolved`, `refused` or `outOfReach`.
    pub state: String,
    /// The account and Region.
    pub place: String,
    /// The rule or `family/…`.
    pub scope: String,
    /// What is wrong.
    pub title: String,
    /// `INFORMATIONAL`, `LOW`, `MEDIUM`, `HIGH` or `CRITICAL`.
    pub severity: String,
    /// `vm`, `host`, `cluster` or `portgroup`.
    pub kind: String,
    /// The object: `<vCenter>/<managed object id>`, with the vCenter's own id where it is none of the configuration.
    pub object: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// The rules that it names as failed.
    pub rules: Vec<String>,
    /// Since when the problem is there.
    pub since: String,
    /// When Security Hub last took it. `null`: never yet.
    pub last_sent: Option<String>,
    /// Whether something was sent and its answer lost; it is sent again.
    pub in_doubt: bool,
    /// What Security Hub said last time, if it did not take it.
    pub problem: Option<String>,
    /// How often in a row it did not.
    pub attempts: u32,
    /// When it is tried again. `null`: nothing failed, or not before it says something else.
    pub retry_at: Option<String>,
    /// What to do.
    pub fix: Option<String>,
}

/// The findings that are asked for.
///
/// # Errors
/// When a selector is none, or the state is not one of the words.
pub(crate) fn findings(view: &View<'_>, query: &FindingQuery) -> Result<FindingsDocument, Refusal> {
    const STATES: [&str; 4] = ["open", "resolved", "refused", OUT_OF_REACH];
    let FindingQuery { selectors, vcenters, state, rule } = query;
    if let Some(state) = state
        && !STATES.contains(&state.as_str())
    {
        return Err(Refusal(format!("there is no state `{state}`; there are {}", STATES.join(", "))));
    }
    let selection = Selection::of(
        view.fleet,
        &PlanQuery { capabilities: Vec::new(), selectors: selectors.clone(), vcenters: vcenters.clone() },
    )?;
    let parts: HashMap<String, _> =
        view.fleet.parts().filter_map(|part| Some((part.uuid()?.to_string().to_lowercase(), part))).collect();
    let mut names: HashMap<String, HashMap<Arc<str>, Arc<str>>> = HashMap::new();
    let reach = Reach::of(view.policy, view.cloud);
    let (foreign, unusable) = others::told(view);
    let mut document = FindingsDocument { foreign, unusable, ..FindingsDocument::default() };
    for record in view.memory.findings.records.values() {
        let part = parts.get(&record.object.vcenter.as_str().to_lowercase());
        let moref = record.object.moref.as_str();
        let vm = part.and_then(|part| Some(VmId { vcenter: part.uuid()?, vm: moref.into() }));
        let is_vm = record.object.kind == Kind::Vm;
        if !selection.is_everything() && !vm.as_ref().is_some_and(|vm| is_vm && selection.has(vm)) {
            continue;
        }
        if rule.as_deref().is_some_and(|rule| !is_about(record, rule)) {
            continue;
        }
        let word = if reach.lacks(record) { OUT_OF_REACH } else { word(record) };
        if state.as_deref().is_some_and(|state| state != word) {
            continue;
        }
        let vcenter = part.map_or(record.object.vcenter.as_str(), |part| part.name().as_str());
        let name = match part {
            Some(part) if is_vm => part.vm(moref).map(|view| view.label().to_string()),
            Some(part) => {
                // They are built when they are asked for, so all of a vCenter are asked for once.
                let names = names.entry(part.name().as_str().to_owned()).or_insert_with(|| {
                    let setups = part.setups();
                    let named =
                        setups.iter().map(|setup| (setup.moref().shared_value(), setup.label().into()));
                    named.collect()
                });
                names.get(moref).map(ToString::to_string)
            }
            None => None,
        };
        match word {
            "resolved" => document.resolved += 1,
            "refused" => document.refused += 1,
            OUT_OF_REACH => document.out_of_reach += 1,
            _ => document.open += 1,
        }
        if word != OUT_OF_REACH && matches!(record.state, State::Open) {
            document.folded += usize::from(matches!(record.scope, Scope::Family(_)));
            document.problems += failed(record).count().max(1);
        }
        document.findings.push(one(record, word, format!("{vcenter}/{moref}"), name));
    }
    let rank = |one: &FindingDocument| match one.state.as_str() {
        "refused" => 0,
        "open" => 1,
        OUT_OF_REACH => 2,
        _ => 3,
    };
    document.findings.sort_by(|one, two| {
        (rank(one), &one.name, &one.object, &one.id).cmp(&(rank(two), &two.name, &two.object, &two.id))
    });
    Ok(document)
}

/// What Security Hub said of findings that it did not take, each once.
pub(super) fn problems(book: &Book) -> Vec<String> {
    let failures = book.records.values().filter_map(|record| record.failure.as_ref());
    let said: BTreeSet<String> =
        failures.map(|failure| format!("{}: {}", failure.code, failure.message)).collect();
    said.into_iter().take(MOST_PROBLEMS).collect()
}

fn word(record: &Record) -> &'static str {
    match (&record.state, &record.failure) {
        (_, Some(failure)) if failure.permanent => "refused",
        (State::Open, _) => "open",
        (State::Resolved { .. }, _) => "resolved",
    }
}

fn failed(record: &Record) -> impl Iterator<Item = &str> {
    record.parts.iter().filter(|part| part.status != Status::Passed).map(|part| part.rule.as_str())
}

/// Whether a finding is of this rule or family, or names the rule.
fn is_about(record: &Record, wanted: &str) -> bool {
    let of = match &record.scope {
        Scope::Rule(rule) => rule.as_str(),
        Scope::Family(family) => family.as_str(),
    };
    of == wanted || record.parts.iter().any(|part| part.rule.as_str() == wanted)
}

fn one(record: &Record, state: &str, object: String, name: Option<String>) -> FindingDocument {
    let failure = record.failure.as_ref();
    let generator = record.scope.generator();
    FindingDocument {
        id: record.id.to_string(),
        state: state.to_owned(),
        place: format!("{}/{}", record.target.account, record.target.region),
        scope: generator.strip_prefix("vmbridge/").unwrap_or(&generator).to_owned(),
        title: record.content.title.clone(),
        severity: record.content.finding_provider_fields.severity.label.label().to_owned(),
        kind: record.object.kind.word().to_owned(),
        object,
        name,
        rules: failed(record).map(str::to_owned).collect(),
        since: record.first_observed.to_string(),
        last_sent: record.imported_at.map(|time| time.to_string()),
        in_doubt: record.in_doubt,
        problem: failure.map(|failure| format!("{}: {}", failure.code, failure.message)),
        attempts: failure.map_or(0, |failure| failure.attempts),
        retry_at: failure.filter(|failure| !failure.permanent).map(|failure| failure.retry_at.to_string()),
        fix: match failure {
            _ if state == OUT_OF_REACH => Some(reach::way_out(&record.target)),
            failure => failure.map(|failure| fix(&failure.code, failure.permanent).to_owned()),
        },
    }
}

/// What a person can do about a finding that Security Hub does not take.
fn fix(code: &str, permanent: bool) -> &'static str {
    match code {
        "AccessDenied" | "AccessDeniedException" => {
            "let the role of the target call securityhub:BatchImportFindings, as docs/iam.md has it"
        }
        "InvalidAccess" | "InvalidAccessException" => "turn Security Hub on in the account and Region",
        _ if permanent => {
            "it is sent again as soon as it says something else; what Security Hub objects to stands in the message: change the rule, the name or the tag that it comes from"
        }
        _ => "nothing: it is tried again by itself",
    }
}

#[cfg(test)]
mod tests;
