//! Filters of GetFindings, as many as a bridge could want. One that is not played is refused, never overlooked.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::error::Error;

/// The filter's name, and where its values are: members of a finding, `[]` for each of a list.
const TEXTS: &[(&str, &str)] = &[
    ("ProductArn", "ProductArn"),
    ("AwsAccountId", "AwsAccountId"),
    ("Id", "Id"),
    ("GeneratorId", "GeneratorId"),
    ("Region", "Region"),
    ("Type", "Types.[]"),
    ("SeverityLabel", "Severity.Label"),
    ("Title", "Title"),
    ("Description", "Description"),
    ("ProductName", "ProductName"),
    ("CompanyName", "CompanyName"),
    ("ResourceType", "Resources.[].Type"),
    ("ResourceId", "Resources.[].Id"),
    ("ComplianceStatus", "Compliance.Status"),
    ("VerificationState", "VerificationState"),
    ("WorkflowState", "WorkflowState"),
    ("WorkflowStatus", "Workflow.Status"),
    ("RecordState", "RecordState"),
    ("NoteText", "Note.Text"),
    ("NoteUpdatedBy", "Note.UpdatedBy"),
];
const DATES: &[&str] = &["CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt"];
const MAPS: &[&str] = &["ProductFields", "UserDefinedFields"];

/// The filters of a request.
#[derive(Debug)]
pub(super) struct Filters<'a>(Vec<(&'a str, &'a [Value])>);

impl<'a> Filters<'a> {
    pub(super) fn read(filters: Option<&'a Value>) -> Result<Self, Error> {
        let members = filters.and_then(Value::as_object).into_iter().flatten();
        let mut read = Vec::new();
        for (name, list) in members {
            let known = TEXTS.iter().any(|(known, _)| known == name)
                || DATES.contains(&name.as_str())
                || MAPS.contains(&name.as_str());
            if !known {
                let text = format!("the simulator does not play the filter {name}");
                return Err(Error::new(500, "InternalException", text));
            }
            let list = list.as_array().map_or(&[][..], Vec::as_slice);
            if list.len() > 20 {
                return Err(Error::bad("InvalidInputException", format!("{name} has more than 20 values")));
            }
            read.push((name.as_str(), list));
        }
        Ok(Self(read))
    }

    pub(super) fn fit(&self, finding: &Value) -> bool {
        self.0.iter().all(|(name, list)| {
            if list.is_empty() {
                return true;
            }
            if let Some((_, path)) = TEXTS.iter().find(|(known, _)| known == name) {
                let mut values = Vec::new();
                collect(finding, path, &mut values);
                return texts_fit(&values, list.iter().map(|filter| (filter, "Value")));
            }
            if DATES.contains(name) {
                return list.iter().any(|filter| date_fits(&finding[*name], filter));
            }
            list.iter().all(|filter| {
                let value =
                    filter["Key"].as_str().and_then(|key| finding[*name].get(key)).and_then(Value::as_str);
                let values: Vec<&str> = value.into_iter().collect();
                texts_fit(&values, std::iter::once((filter, "Value")))
            })
        })
    }
}

fn collect<'a>(value: &'a Value, path: &str, out: &mut Vec<&'a str>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let inner: Vec<&Value> = match first {
        "" => {
            out.extend(value.as_str());
            return;
        }
        "[]" => value.as_array().into_iter().flatten().collect(),
        member => value.get(member).into_iter().collect(),
    };
    for value in inner {
        collect(value, rest, out);
    }
}

/// One of the positive comparisons must hold, and all of the negative ones.
fn texts_fit<'a>(values: &[&str], filters: impl Iterator<Item = (&'a Value, &'a str)>) -> bool {
    let (mut positive, mut hit) = (false, false);
    for (filter, member) in filters {
        let wanted = filter[member].as_str().unwrap_or_default();
        let any = |test: &dyn Fn(&str) -> bool| values.iter().any(|value| test(value));
        let equals = |value: &str| value == wanted;
        let prefix = |value: &str| value.starts_with(wanted);
        let contains = |value: &str| value.contains(wanted);
        match filter["Comparison"].as_str().unwrap_or("EQUALS") {
            "NOT_EQUALS" if any(&equals) => return false,
            "PREFIX_NOT_EQUALS" if any(&prefix) => return false,
            "NOT_CONTAINS" if any(&contains) => return false,
            "NOT_EQUALS" | "PREFIX_NOT_EQUALS" | "NOT_CONTAINS" => {}
            comparison => {
                positive = true;
                hit |= match comparison {
                    "PREFIX" => any(&prefix),
                    "CONTAINS" => any(&contains),
                    _ => any(&equals),
                };
            }
        }
    }
    hit || !positive
}

fn date_fits(value: &Value, filter: &Value) -> bool {
    let read = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let Some(moment) = read(value) else { return false };
    if let Some(days) = filter["DateRange"]["Value"].as_i64() {
        return moment >= crate::clock::now(0) - SignedDuration::from_hours(24 * days);
    }
    read(&filter["Start"]).is_none_or(|start| moment >= start)
        && read(&filter["End"]).is_none_or(|end| moment <= end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn filters_are_joined_as_aws_joins_them() {
        let finding = json!({ "Id": "a/1", "RecordState": "ACTIVE", "Workflow": { "Status": "NEW" },
            "Resources": [{ "Id": "mi-1" }, { "Id": "mi-2" }], "UpdatedAt": "2026-01-02T00:00:00Z",
            "ProductFields": { "owner": "x" } });
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
        ] {
            assert_eq!(Filters::read(Some(&filters)).unwrap().fit(&finding), fits, "{filters}");
        }
        assert!(Filters::read(Some(&json!({ "MalwareName": [] }))).is_err());
    }
}
