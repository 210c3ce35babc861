//! Security Hub: importing, updating and reading findings.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::clock::uptime;
use crate::vcenter::lock;

use super::caller::Wish;
use super::error::Error;
use super::finding_format;
use super::findings::{self, FindingKey, Moment, Owner};
use super::hub_filter::{self, Filters};
use super::service::Call;
use super::state::State;

/// Bytes of a whole import.
const LARGEST: usize = 6 << 20;

fn hub_arn(call: &Call<'_>) -> String {
    format!("arn:aws:securityhub:{}:{}:hub/default", call.caller.region, call.caller.account)
}

pub(super) fn wishes(call: &Call<'_>) -> Vec<Wish> {
    let action = format!("securityhub:{}", call.operation);
    match call.operation {
        "BatchImportFindings" => {}
        "ListFindingAggregators" => return vec![Wish::new(action, "*".to_owned())],
        "GetFindingAggregator" => {
            let arn = call.text("FindingAggregatorArn").unwrap_or("*").to_owned();
            return vec![Wish::new(action, arn)];
        }
        _ => return vec![Wish::new(action, hub_arn(call))],
    }
    let mut wishes: Vec<Wish> = Vec::new();
    for finding in call.list("Findings") {
        let mut wish = Wish::new(action.clone(), finding["ProductArn"].as_str().unwrap_or("*").to_owned());
        if let Some(account) = finding["AwsAccountId"].as_str() {
            wish.context.insert("securityhub:targetaccount".to_owned(), vec![account.to_owned()]);
        }
        if !wishes.contains(&wish) {
            wishes.push(wish);
        }
    }
    wishes
}

fn moment(state: &State) -> Moment {
    Moment { date: state.window_time(), now: uptime(), keep: state.keep() }
}

/// Security Hub has to be switched on.
pub(super) fn subscribed(state: &State, call: &Call<'_>) -> Result<(), Error> {
    let account = &call.caller.account;
    if state.account(account).is_some_and(|account| account.security_hub) {
        return Ok(());
    }
    let text = format!("Account {account} is not subscribed to AWS Security Hub");
    Err(Error::new(401, "InvalidAccessException", text))
}

pub(super) fn import(call: &Call<'_>) -> Result<Value, Error> {
    let mut state = lock(&call.shared.state);
    subscribed(&state, call)?;
    if call.input.to_string().len() > LARGEST {
        return Err(Error::bad("InvalidInputException", "The request is larger than 6 MB"));
    }
    let (moment, owner) =
        (moment(&state), Owner { account: &call.caller.account, region: &call.caller.region });
    let mut failed = Vec::new();
    let all = call.list("Findings");
    let state = &mut *state;
    let place = (owner.account.to_owned(), owner.region.to_owned());
    if let Some(held) = state.regions.get_mut(&place) {
        for finding in all {
            let id = finding["Id"].as_str().unwrap_or_default();
            if let Some((code, text)) = findings::fails(&mut state.failing, call.operation, id) {
                failed.push(json!({ "Id": id, "ErrorCode": code, "ErrorMessage": text }));
                continue;
            }
            if let Some(problem) = finding_format::problem(finding, owner) {
                let text = format!("Finding does not adhere to Amazon Finding Format. {problem}.");
                failed.push(json!({ "Id": id, "ErrorCode": "InvalidInput", "ErrorMessage": text }));
                continue;
            }
            let effective = held.findings.import(finding.clone(), owner, moment);
            let detail = json!({ "updatedAt": finding["UpdatedAt"], "recordState": finding["RecordState"],
                "compliance": finding["Compliance"]["Status"] });
            call.record(id, detail, effective);
        }
    }
    Ok(json!({
        "FailedCount": failed.len(), "SuccessCount": all.len() - failed.len(), "FailedFindings": failed,
    }))
}

/// What a customer may change.
const CHANGEABLE: &[&str] = &[
    "Severity",
    "VerificationState",
    "Confidence",
    "Criticality",
    "Types",
    "UserDefinedFields",
    "Workflow",
    "RelatedFindings",
];

/// The most findings of an update.
const MOST: usize = 100;

pub(super) fn update(call: &Call<'_>) -> Result<Value, Error> {
    let mut state = lock(&call.shared.state);
    subscribed(&state, call)?;
    let identifiers = call.list("FindingIdentifiers");
    if identifiers.is_empty() || identifiers.len() > MOST {
        let text = format!("Between 1 and {MOST} finding identifiers are needed");
        return Err(Error::bad("InvalidInputException", text));
    }
    let moment = moment(&state);
    let regions = seen_regions(&state, call);
    let problem = finding_format::update_problem(call.input);
    let (mut processed, mut unprocessed) = (Vec::new(), Vec::new());
    for identifier in identifiers {
        let id = identifier["Id"].as_str().unwrap_or_default();
        let scripted = findings::fails(&mut state.failing, call.operation, id);
        let refused = if identifiers.iter().filter(|other| *other == identifier).count() > 1 {
            Some(("DuplicatedFindingIdentifier".to_owned(), "Finding Identifier is duplicated".to_owned()))
        } else if let Some(problem) = &problem {
            Some(("InvalidInput".to_owned(), format!("Invalid Input: {problem}")))
        } else {
            scripted
        };
        let changed = match refused {
            Some(refused) => Err(refused),
            None => update_one(call, &mut state, &regions, &findings::key(identifier), moment),
        };
        match changed {
            Ok(effective) => {
                let mut detail = call.input.clone();
                if let Value::Object(members) = &mut detail {
                    members.remove("FindingIdentifiers");
                }
                call.record(id, detail, effective);
                processed.push(identifier.clone());
            }
            Err((code, text)) => unprocessed.push(json!({
                "FindingIdentifier": identifier, "ErrorCode": code, "ErrorMessage": text,
            })),
        }
    }
    Ok(json!({ "ProcessedFindings": processed, "UnprocessedFindings": unprocessed }))
}

/// The Regions whose findings the caller sees and may update here.
fn seen_regions(state: &State, call: &Call<'_>) -> Vec<String> {
    let account = state.account(&call.caller.account);
    account.map(|account| account.seen_from(&call.caller.region)).unwrap_or_default()
}

/// Updates a finding wherever it is; whether anything is different, or why not.
fn update_one(
    call: &Call<'_>,
    state: &mut State,
    regions: &[String],
    key: &FindingKey,
    moment: Moment,
) -> Result<bool, (String, String)> {
    let account = &call.caller.account;
    let place = regions.iter().find_map(|region| {
        let known = state.region(account, region)?.findings.now(key)?.clone();
        Some((region, known))
    });
    let held = place.and_then(|(region, known)| Some((state.region_mut(account, region)?, known)));
    let Some((held, known)) = held else {
        return Err(("FindingNotFound".to_owned(), "Finding Not Found".to_owned()));
    };
    let mut after = known;
    change(call, &mut after, moment);
    if finding_format::is_too_large(&after) {
        return Err(("FindingSizeExceeded".to_owned(), "Finding size exceeded 240 KB".to_owned()));
    }
    Ok(held.findings.update(key, moment, |finding| *finding = after).unwrap_or_default())
}

/// What an update makes of a finding.
fn change(call: &Call<'_>, finding: &mut Value, moment: Moment) {
    for member in CHANGEABLE {
        if let Some(value) = call.input.get(*member).filter(|value| !value.is_null()) {
            finding[*member] = value.clone();
        }
    }
    findings::whole_severity(finding);
    // A note that says the same by the same person is the same note.
    if let Some(note) = call.input.get("Note").filter(|note| note.is_object())
        && (finding["Note"]["Text"] != note["Text"] || finding["Note"]["UpdatedBy"] != note["UpdatedBy"])
    {
        finding["Note"] = note.clone();
        finding["Note"]["UpdatedAt"] = moment.date.to_string().into();
    }
}

/// Divides the parts of a position in tokens; no ARN and no id has it.
const DIVIDER: char = '\u{0}';

/// Where the page begins: after a finding, or after so many of a sorted list.
fn position(call: &Call<'_>, query: &str) -> Result<Option<String>, Error> {
    let Some(token) = call.text("NextToken").filter(|token| !token.is_empty()) else { return Ok(None) };
    let taken = call.shared.tokens.take(query, token);
    taken
        .map(Some)
        .ok_or_else(|| Error::bad("InvalidInputException", "The token is not valid for this request"))
}

pub(super) fn get(call: &Call<'_>) -> Result<Value, Error> {
    let query = call.query(&["NextToken", "MaxResults"]);
    let most = call.number("MaxResults").unwrap_or(100);
    let start = position(call, &query)?;
    let state = lock(&call.shared.state);
    subscribed(&state, call)?;
    let filters = Filters::read(call.input.get("Filters"), state.window_time())?;
    let sorting = call.list("SortCriteria");
    let after = start.as_ref().filter(|_| sorting.is_empty()).and_then(|at| at.split_once(DIVIDER));
    let after = after.map(|(product, id)| (product.to_owned(), id.to_owned()));
    let moment = state.seen(|delay| delay.securityhub);
    let regions = seen_regions(&state, call);
    let held = regions.iter().filter_map(|region| state.region(&call.caller.account, region));
    let seen = held.flat_map(|held| {
        let seen = held.findings.seen(moment, after.clone()).filter(|(_, finding)| filters.fit(finding));
        // One more than there is room for tells that there is a next page.
        seen.take(if sorting.is_empty() { most + 1 } else { usize::MAX })
    });
    let mut found: Vec<(&FindingKey, &Value)> = seen.collect();
    found.sort_by(|one, other| {
        let criteria = sorting.iter().map(|criterion| {
            let field = criterion["Field"].as_str().unwrap_or_default();
            let order = hub_filter::compare(one.1, other.1, field);
            if criterion["SortOrder"] == "desc" { order.reverse() } else { order }
        });
        criteria.fold(Ordering::Equal, Ordering::then).then_with(|| one.0.cmp(other.0))
    });
    let skipped = if sorting.is_empty() { None } else { start.and_then(|at| at.parse::<usize>().ok()) };
    let skipped = skipped.unwrap_or_default();
    let page: Vec<_> = found.iter().skip(skipped).take(most).collect();
    let mut answer = json!({ "Findings": page.iter().map(|(_, finding)| *finding).collect::<Vec<_>>() });
    if let (true, Some((last, _))) = (found.len() > skipped + most, page.last()) {
        let next = match sorting {
            [] => format!("{}{DIVIDER}{}", last.0, last.1),
            _ => (skipped + most).to_string(),
        };
        answer["NextToken"] = call.shared.tokens.give(&query, &next).into();
    }
    Ok(answer)
}

pub(super) fn describe(call: &Call<'_>) -> Result<Value, Error> {
    let state = lock(&call.shared.state);
    subscribed(&state, call)?;
    let arn = hub_arn(call);
    if call.text("HubArn").is_some_and(|asked| asked != arn) {
        let text = "The resource that was specified in the request could not be found";
        return Err(Error::new(404, "ResourceNotFoundException", text));
    }
    Ok(json!({
        "HubArn": arn, "SubscribedAt": "2026-01-01T00:00:00.000Z", "AutoEnableControls": true,
        "ControlFindingGenerator": "SECURITY_CONTROL",
    }))
}
