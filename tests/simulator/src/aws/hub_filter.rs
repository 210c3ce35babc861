//! Filters of GetFindings, as many as a bridge could want. One that is not played is refused, never overlooked.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::error::Error;

/// The filter's name, and where its values are: members of a finding, `[]` for each of a list.
const TEXTS: &[(&str, &str)] = &[
    ("ProductArn", "ProductArn"),
    ("AwsAccountId", "AwsAccountId"),
    ("AwsAccountName", "AwsAccountName"),
    ("Id", "Id"),
    ("GeneratorId", "GeneratorId"),
    ("Region", "Region"),
    ("Type", "Types.[]"),
    ("SeverityLabel", "Severity.Label"),
    ("Title", "Title"),
    ("Description", "Description"),
    ("RecommendationText", "Remediation.Recommendation.Text"),
    ("SourceUrl", "SourceUrl"),
    ("ProductName", "ProductName"),
    ("CompanyName", "CompanyName"),
    ("ResourceType", "Resources.[].Type"),
    ("ResourceId", "Resources.[].Id"),
    ("ResourcePartition", "Resources.[].Partition"),
    ("ResourceRegion", "Resources.[].Region"),
    ("ComplianceStatus", "Compliance.Status"),
    ("ComplianceSecurityControlId", "Compliance.SecurityControlId"),
    ("VerificationState", "VerificationState"),
    ("WorkflowState", "WorkflowState"),
    ("WorkflowStatus", "Workflow.Status"),
    ("RecordState", "RecordState"),
    ("RelatedFindingsId", "RelatedFindings.[].Id"),
    ("RelatedFindingsProductArn", "RelatedFindings.[].ProductArn"),
    ("NoteText", "Note.Text"),
    ("NoteUpdatedBy", "Note.UpdatedBy"),
    ("FindingProviderFieldsSeverityLabel", "FindingProviderFields.Severity.Label"),
    ("FindingProviderFieldsSeverityOriginal", "FindingProviderFields.Severity.Original"),
    ("FindingProviderFieldsTypes", "FindingProviderFields.Types.[]"),
];
const NUMBERS: &[(&str, &str)] = &[
    ("SeverityNormalized", "Severity.Normalized"),
    ("SeverityProduct", "Severity.Product"),
    ("Confidence", "Confidence"),
    ("Criticality", "Criticality"),
    ("FindingProviderFieldsConfidence", "FindingProviderFields.Confidence"),
    ("FindingProviderFieldsCriticality", "FindingProviderFields.Criticality"),
];
const DATES: &[(&str, &str)] = &[
    ("CreatedAt", "CreatedAt"),
    ("UpdatedAt", "UpdatedAt"),
    ("FirstObservedAt", "FirstObservedAt"),
    ("LastObservedAt", "LastObservedAt"),
    ("NoteUpdatedAt", "Note.UpdatedAt"),
];
const MAPS: &[(&str, &str)] = &[
    ("ProductFields", "ProductFields"),
    ("UserDefinedFields", "UserDefinedFields"),
    ("ResourceTags", "Resources.[].Tags"),
    ("ResourceDetailsOther", "Resources.[].Details.Other"),
];
/// The most attributes of a request, and the most values of each.
const ATTRIBUTES: usize = 10;
const VALUES: usize = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Date,
    Map,
}

fn find(name: &str) -> Option<(Kind, &'static str)> {
    let all = [(Kind::Text, TEXTS), (Kind::Number, NUMBERS), (Kind::Date, DATES), (Kind::Map, MAPS)];
    all.into_iter().find_map(|(kind, list)| {
        let (_, path) = list.iter().find(|(known, _)| *known == name)?;
        Some((kind, *path))
    })
}

/// The filters of a request.
#[derive(Debug)]
pub(super) struct Filters<'a> {
    attributes: Vec<(Kind, &'static str, &'a [Value])>,
    now: Timestamp,
}

fn invalid(text: String) -> Error {
    Error::bad("InvalidInputException", text)
}

/// What may not stand beside each other on one field.
fn check_comparisons(name: &str, list: &[Value]) -> Result<(), Error> {
    let has = |comparison: &str| list.iter().any(|filter| filter["Comparison"] == comparison);
    if let Some(word) = ["CONTAINS", "NOT_CONTAINS", "CONTAINS_WORD"].into_iter().find(|word| has(word)) {
        return Err(invalid(format!("{name}: {word} is for automation rules, not for GetFindings")));
    }
    if has("EQUALS") && (has("NOT_EQUALS") || has("PREFIX_NOT_EQUALS")) {
        return Err(invalid(format!(
            "{name}: EQUALS can not be combined with NOT_EQUALS or PREFIX_NOT_EQUALS"
        )));
    }
    match list.iter().find(|filter| !filter["Value"].is_string() || !filter["Comparison"].is_string()) {
        Some(_) => Err(invalid(format!("{name}: every filter needs a value and a comparison"))),
        None => Ok(()),
    }
}

fn date(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn check_date(name: &str, filter: &Value) -> Result<(), Error> {
    let bounds: Vec<&Value> = ["Start", "End"]
        .iter()
        .filter_map(|bound| filter.get(*bound))
        .filter(|bound| !bound.is_null())
        .collect();
    if let Some(odd) = bounds.iter().find(|bound| date(bound).is_none()) {
        return Err(invalid(format!("{name}: {odd} is no date and time")));
    }
    let range = filter["DateRange"]["Value"].as_i64().is_some_and(|days| days > 0);
    if range == bounds.is_empty() {
        return Ok(());
    }
    Err(invalid(format!("{name}: either a start or an end is needed, or a range of days")))
}

impl<'a> Filters<'a> {
    pub(super) fn read(filters: Option<&'a Value>, now: Timestamp) -> Result<Self, Error> {
        let members = filters.and_then(Value::as_object).into_iter().flatten();
        let mut attributes = Vec::new();
        for (name, list) in members.filter(|(_, list)| !list.is_null()) {
            let Some((kind, path)) = find(name) else {
                let text = format!("the simulator does not play the filter {name}");
                return Err(Error::new(500, "InternalException", text));
            };
            let list = list.as_array().map_or(&[][..], Vec::as_slice);
            if list.len() > VALUES {
                return Err(invalid(format!("{name} has more than {VALUES} values")));
            }
            match kind {
                Kind::Text | Kind::Map => check_comparisons(name, list)?,
                Kind::Date => list.iter().try_for_each(|filter| check_date(name, filter))?,
                Kind::Number => {}
            }
            if kind == Kind::Map && list.iter().any(|filter| !filter["Key"].is_string()) {
                return Err(invalid(format!("{name}: every filter needs a key")));
            }
            if !list.is_empty() {
                attributes.push((kind, path, list));
            }
        }
        if attributes.len() > ATTRIBUTES {
            return Err(invalid(format!("There are filters on more than {ATTRIBUTES} attributes")));
        }
        Ok(Self { attributes, now })
    }

    pub(super) fn fit(&self, finding: &Value) -> bool {
        self.attributes.iter().all(|(kind, path, list)| {
            let mut values = Vec::new();
            collect(finding, path, &mut values);
            match kind {
                Kind::Text => texts_fit(list, |_, test| values.iter().filter_map(|v| v.as_str()).any(test)),
                Kind::Map => texts_fit(list, |filter, test| {
                    let key = filter["Key"].as_str().unwrap_or_default();
                    values.iter().filter_map(|map| map.get(key)?.as_str()).any(test)
                }),
                Kind::Number => {
                    let mut numbers = values.iter().filter_map(|value| value.as_f64());
                    numbers.any(|number| list.iter().any(|filter| number_fits(number, filter)))
                }
                Kind::Date => {
                    let mut dates = values.iter().filter_map(|value| date(value));
                    dates.any(|moment| list.iter().any(|filter| self.date_fits(moment, filter)))
                }
            }
        })
    }

    fn date_fits(&self, moment: Timestamp, filter: &Value) -> bool {
        if let Some(days) = filter["DateRange"]["Value"].as_i64() {
            let begin = self.now.checked_sub(SignedDuration::from_hours(24 * days)).unwrap_or(Timestamp::MIN);
            let within = moment >= begin;
            return within != (filter["DateRange"]["Comparison"] == "OLDER_THAN");
        }
        date(&filter["Start"]).is_none_or(|start| moment >= start)
            && date(&filter["End"]).is_none_or(|end| moment <= end)
    }
}

/// The order of two findings by a field, which is called as in filters. A field that is not known orders nothing.
pub(super) fn compare(one: &Value, other: &Value, field: &str) -> Ordering {
    let Some((kind, path)) = find(field) else { return Ordering::Equal };
    let first = |finding| {
        let mut values = Vec::new();
        collect(finding, path, &mut values);
        values.into_iter().next()
    };
    let (one, other) = (first(one), first(other));
    match kind {
        Kind::Number => {
            let number = |value: Option<&Value>| value.and_then(Value::as_f64).unwrap_or(f64::MIN);
            number(one).total_cmp(&number(other))
        }
        Kind::Date => one.and_then(date).cmp(&other.and_then(date)),
        Kind::Text | Kind::Map => one.and_then(Value::as_str).cmp(&other.and_then(Value::as_str)),
    }
}

fn number_fits(number: f64, filter: &Value) -> bool {
    let bound = |member: &str, test: &dyn Fn(f64) -> bool| filter[member].as_f64().is_none_or(test);
    bound("Eq", &|eq| (number - eq).abs() < f64::EPSILON)
        && bound("Gte", &|gte| number >= gte)
        && bound("Lte", &|lte| number <= lte)
        && bound("Gt", &|gt| number > gt)
        && bound("Lt", &|lt| number < lt)
}

fn collect<'a>(value: &'a Value, path: &str, out: &mut Vec<&'a Value>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let inner: Vec<&Value> = match first {
        "" => {
            out.push(value);
            return;
        }
        "[]" => value.as_array().into_iter().flatten().collect(),
        member => value.get(member).into_iter().collect(),
    };
    for value in inner {
        collect(value, rest, out);
    }
}

/// One of the positive comparisons must hold, and all of the negative ones. `any` tells whether a value of a filter's field
/// passes a test.
fn texts_fit(list: &[Value], any: impl Fn(&Value, &dyn Fn(&str) -> bool) -> bool) -> bool {
    let (mut positive, mut hit) = (false, false);
    for filter in list {
        let wanted = filter["Value"].as_str().unwrap_or_default();
        let equals = any(filter, &|value| value == wanted);
        let prefix = any(filter, &|value| value.starts_with(wanted));
        match filter["Comparison"].as_str().unwrap_or("EQUALS") {
            "NOT_EQUALS" if equals => return false,
            "PREFIX_NOT_EQUALS" if prefix => return false,
            "NOT_EQUALS" | "PREFIX_NOT_EQUALS" => {}
            "PREFIX" => {
                positive = true;
                hit |= prefix;
            }
            _ => {
                positive = true;
                hit |= equals;
            }
        }
    }
    hit || !positive
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_are_joined_as_aws_joins_them() {
        let finding = json!({ "Id": "a/1", "RecordState": "ACTIVE", "Workflow": { "Status": "NEW" },
            "Resources": [{ "Id": "mi-1" }, { "Id": "mi-2" }], "UpdatedAt": "2026-01-02T00:00:00Z",
            "ProductFields": { "owner": "x" }, "Severity": { "Normalized": 70 } });
        let now: Timestamp = "2026-01-09T00:00:00Z".parse().unwrap();
        let owner = |value: &str, comparison: &str| json!({ "Key": "owner", "Value": value, "Comparison": comparison });
        let eq = |value: &str| json!({ "Value": value, "Comparison": "EQUALS" });
        for (filters, fits) in [
            (json!({}), true),
            (json!({ "Id": [eq("b"), { "Value": "a/", "Comparison": "PREFIX" }] }), true),
            (json!({ "Id": [{ "Value": "a/", "Comparison": "PREFIX_NOT_EQUALS" }] }), false),
            (json!({ "ResourceId": [eq("mi-2")], "WorkflowStatus": [eq("NEW")] }), true),
            (json!({ "ResourceId": [eq("mi-3")] }), false),
            (json!({ "RecordState": [{ "Value": "ARCHIVED", "Comparison": "NOT_EQUALS" }] }), true),
            (
                json!({ "UpdatedAt": [{ "Start": "2026-01-01T00:00:00Z", "End": "2026-01-03T00:00:00Z" }] }),
                true,
            ),
            (json!({ "UpdatedAt": [{ "Start": "2026-01-03T00:00:00Z" }] }), false),
            (json!({ "ProductFields": [{ "Key": "owner", "Value": "x", "Comparison": "EQUALS" }] }), true),
            (json!({ "ProductFields": [{ "Key": "owner", "Value": "y", "Comparison": "EQUALS" }] }), false),
            (json!({ "ProductFields": [owner("y", "EQUALS"), owner("x", "EQUALS")] }), true),
            (json!({ "ProductFields": [owner("y", "NOT_EQUALS"), owner("x", "NOT_EQUALS")] }), false),
            (json!({ "UserDefinedFields": [owner("x", "NOT_EQUALS")] }), true),
            (json!({ "SeverityNormalized": [{ "Gte": 40.0, "Lt": 70.0 }, { "Eq": 70.0 }] }), true),
            (json!({ "SeverityNormalized": [{ "Gt": 70.0 }] }), false),
            (json!({ "UpdatedAt": [{ "DateRange": { "Value": 7, "Unit": "DAYS" } }] }), true),
            (json!({ "UpdatedAt": [{ "DateRange": { "Value": 6, "Unit": "DAYS" } }] }), false),
            (
                json!({ "UpdatedAt": [{ "DateRange": { "Value": 6, "Unit": "DAYS", "Comparison": "OLDER_THAN" } }] }),
                true,
            ),
        ] {
            assert_eq!(Filters::read(Some(&filters), now).unwrap().fit(&finding), fits, "{filters}");
        }
        let contains = json!({ "Title": [{ "Value": "a", "Comparison": "CONTAINS" }] });
        let both = json!({ "Id": [eq("a"), { "Value": "b", "Comparison": "NOT_EQUALS" }] });
        let no_date = json!({ "UpdatedAt": [{ "Start": "yesterday" }] });
        let empty = json!({ "UpdatedAt": [{}] });
        let many = TEXTS.iter().take(11).map(|(name, _)| ((*name).to_owned(), json!([eq("a")])));
        let many = Value::Object(many.collect());
        for wrong in [json!({ "MalwareName": [] }), contains, both, no_date, empty, many] {
            assert!(Filters::read(Some(&wrong), now).is_err(), "{wrong}");
        }
    }
}
