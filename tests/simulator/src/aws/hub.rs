//! Security Hub: importing, updating and reading findings.

use serde_json::{Value, json};

use crate::clock::{now, uptime};
use crate::vcenter::lock;

use super::caller::Wish;
use super::error::Error;
use super::findings::{self, Moment, Owner};
use super::hub_filter::Filters;
use super::service::Call;
use super::state::State;

/// Bytes of a whole import.
const LARGEST: usize = 6 << 20;

fn hub_arn(call: &Call<'_>) -> String {
    format!("arn:aws:securityhub:{}:{}:hub/default", call.caller.region, call.caller.account)
}

pub(super) fn wishes(call: &Call<'_>) -> Vec<Wish> {
    let action = format!("securityhub:{}", call.operation);
    if call.operation != "BatchImportFindings" {
        return vec![Wish::new(action, hub_arn(call))];
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
    Moment { date: now(0), now: uptime(), keep: state.keep() }
}

/// Security Hub has to be switched on.
fn subscribed(state: &State, call: &Call<'_>) -> Result<(), Error> {
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
    if let Some(held) = state.region_mut(owner.account, owner.region) {
        for finding in all {
            let id = finding["Id"].as_str().unwrap_or_default();
            if let Some(problem) = findings::problem(finding, owner) {
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

pub(super) fn update(call: &Call<'_>) -> Result<Value, Error> {
    let mut state = lock(&call.shared.state);
    subscribed(&state, call)?;
    let moment = moment(&state);
    let (mut processed, mut unprocessed) = (Vec::new(), Vec::new());
    let Some(held) = state.region_mut(&call.caller.account, &call.caller.region) else {
        return Ok(json!({ "ProcessedFindings": [], "UnprocessedFindings": [] }));
    };
    for identifier in call.list("FindingIdentifiers") {
        let changed = held.findings.update(&findings::key(identifier), moment, |finding| {
            for member in CHANGEABLE {
                if let Some(value) = call.input.get(*member).filter(|value| !value.is_null()) {
                    finding[*member] = value.clone();
                }
            }
            // A note that says the same by the same person is the same note.
            if let Some(note) = call.input.get("Note")
                && (finding["Note"]["Text"] != note["Text"]
                    || finding["Note"]["UpdatedBy"] != note["UpdatedBy"])
            {
                finding["Note"] = note.clone();
                finding["Note"]["UpdatedAt"] = moment.date.to_string().into();
            }
        });
        match changed {
            Some(effective) => {
                let mut detail = call.input.clone();
                if let Value::Object(members) = &mut detail {
                    members.remove("FindingIdentifiers");
                }
                call.record(identifier["Id"].as_str().unwrap_or_default(), detail, effective);
                processed.push(identifier.clone());
            }
            None => unprocessed.push(json!({
                "FindingIdentifier": identifier, "ErrorCode": "FindingNotFound",
                "ErrorMessage": "Finding Not Found",
            })),
        }
    }
    Ok(json!({ "ProcessedFindings": processed, "UnprocessedFindings": unprocessed }))
}

pub(super) fn get(call: &Call<'_>) -> Result<Value, Error> {
    let filters = Filters::read(call.input.get("Filters"))?;
    let query = call.query(&["NextToken", "MaxResults"]);
    let most = call.number("MaxResults").unwrap_or(100);
    let start = match call.text("NextToken").filter(|token| !token.is_empty()) {
        Some(token) => {
            let taken = call.shared.tokens.take(&query, token).and_then(|at| at.parse::<usize>().ok());
            taken.ok_or_else(|| {
                Error::bad("InvalidInputException", "The token is not valid for this request")
            })?
        }
        None => 0,
    };
    let state = lock(&call.shared.state);
    subscribed(&state, call)?;
    let moment = state.seen(|delay| delay.securityhub);
    let held = state.region(&call.caller.account, &call.caller.region);
    let mut found: Vec<&Value> = held
        .into_iter()
        .flat_map(|held| held.findings.seen(moment))
        .filter(|finding| filters.fit(finding))
        .collect();
    for criterion in call.list("SortCriteria").iter().rev() {
        let field = criterion["Field"].as_str().unwrap_or_default();
        found.sort_by_key(|finding| finding[field].to_string());
        if criterion["SortOrder"] == "desc" {
            found.reverse();
        }
    }
    let page: Vec<&Value> = found.iter().skip(start).take(most).copied().collect();
    let mut answer = json!({ "Findings": page });
    if start + most < found.len() {
        answer["NextToken"] = call.shared.tokens.give(&query, &(start + most).to_string()).into();
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
