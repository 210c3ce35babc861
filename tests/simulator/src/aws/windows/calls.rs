//! SSM: making, changing and deleting windows, and registering targets and tasks with them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::soap::session::{random_hex, random_uuid};
use crate::vcenter::lock;

use super::super::error::Error;
use super::super::service::{Call, invalid};
use super::answers::gone;
use super::schedule::Schedule;
use super::{Window, Windows};

/// The most windows of an account in a Region, as AWS sets out with.
const MOST: usize = 50;

/// A change, once for each token: the same again gets the same answer.
fn once(
    call: &Call<'_>,
    change: impl FnOnce(&mut Windows, Timestamp) -> Result<Value, Error>,
) -> Result<Value, Error> {
    let mut state = lock(&call.shared.state);
    let now = state.window_time();
    let held = state.region_mut(&call.caller.account, &call.caller.region);
    let windows = &mut held.ok_or_else(|| gone("The Region"))?.windows;
    let key = call.text("ClientToken").map(|token| (call.operation.to_owned(), token.to_owned()));
    if let Some((before, answer)) = key.as_ref().and_then(|key| windows.answered.get(key)) {
        if before == call.input {
            return Ok(answer.clone());
        }
        return Err(Error::bad("IdempotentParameterMismatch", "The token was used for another request"));
    }
    let answer = change(windows, now)?;
    if let Some(key) = key {
        windows.answered.insert(key, (call.input.clone(), answer.clone()));
    }
    Ok(answer)
}

/// The members of the input that are given, out of these.
fn given(call: &Call<'_>, members: &[&str]) -> Map<String, Value> {
    let of = |member: &&str| {
        let value = call.input.get(*member).filter(|value| !value.is_null())?;
        Some(((*member).to_owned(), value.clone()))
    };
    members.iter().filter_map(of).collect()
}

const IDENTITY: &[&str] = &[
    "Name",
    "Description",
    "StartDate",
    "EndDate",
    "Schedule",
    "ScheduleTimezone",
    "ScheduleOffset",
    "Duration",
    "Cutoff",
];

fn date(told: &Value, member: &str) -> Result<Option<Timestamp>, String> {
    let Some(text) = told[member].as_str() else { return Ok(None) };
    text.parse().map(Some).map_err(|_| format!("{member} {text} is no date and time"))
}

impl Window {
    /// A window out of its members.
    pub(super) fn read(told: Value, unassociated: bool, now: Timestamp) -> Result<Self, String> {
        let offset = told["ScheduleOffset"].as_i64().and_then(|offset| i32::try_from(offset).ok());
        let schedule = told["Schedule"].as_str().unwrap_or_default();
        let schedule = Schedule::read(schedule, told["ScheduleTimezone"].as_str(), offset)?;
        if told["Cutoff"].as_i64() >= told["Duration"].as_i64() {
            return Err("The cutoff must be less than the duration".to_owned());
        }
        // Schedules know no parts of a second.
        let whole = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let begin = date(&told, "StartDate")?.unwrap_or(whole).max(whole);
        let end = date(&told, "EndDate")?;
        Ok(Self {
            told,
            schedule,
            begin,
            end,
            seen: now,
            unassociated,
            targets: std::collections::BTreeMap::new(),
            tasks: std::collections::BTreeMap::new(),
        })
    }
}

/// An id of a window.
pub(super) fn window_id() -> String {
    format!("mw-{}", &random_hex()[..17])
}

/// CreateMaintenanceWindow.
pub(in super::super) fn create(call: &Call<'_>) -> Result<Value, Error> {
    once(call, |windows, now| {
        let id = window_id();
        let mut told = given(call, IDENTITY);
        told.insert("WindowId".to_owned(), id.clone().into());
        told.insert("Enabled".to_owned(), true.into());
        let unassociated = call.input["AllowUnassociatedTargets"] == true;
        let window = Window::read(Value::Object(told), unassociated, now)
            .map_err(|wrong| invalid(call.service, wrong))?;
        if windows.windows.len() >= MOST {
            return Err(Error::bad(
                "ResourceLimitExceededException",
                "There are 50 maintenance windows already",
            ));
        }
        call.record(&id, window.told.clone(), true);
        windows.windows.insert(id.clone(), window);
        Ok(json!({ "WindowId": id }))
    })
}

fn window<'a>(windows: &'a mut Windows, call: &Call<'_>) -> Result<&'a mut Window, Error> {
    let id = call.text("WindowId").unwrap_or_default();
    windows.windows.get_mut(id).ok_or_else(|| gone(&format!("Maintenance window {id}")))
}

/// UpdateMaintenanceWindow.
pub(in super::super) fn update(call: &Call<'_>) -> Result<Value, Error> {
    once(call, |windows, now| {
        let window = window(windows, call)?;
        let mut told = Map::new();
        if call.input["Replace"] != true
            && let Some(before) = window.told.as_object()
        {
            told.clone_from(before);
        }
        told.extend(given(call, IDENTITY));
        for member in ["WindowId", "Enabled"] {
            let value = call.input.get(member).filter(|value| !value.is_null());
            told.insert(member.to_owned(), value.unwrap_or(&window.told[member]).clone());
        }
        let needed = ["Name", "Schedule", "Duration", "Cutoff"];
        if let Some(absent) = needed.into_iter().find(|member| !told.contains_key(*member)) {
            return Err(invalid(
                call.service,
                format!("{absent} must not be null when everything is replaced"),
            ));
        }
        let unassociated = call.input["AllowUnassociatedTargets"].as_bool().unwrap_or(window.unassociated);
        let fresh = Window::read(Value::Object(told), unassociated, now)
            .map_err(|wrong| invalid(call.service, wrong))?;
        // What counts from the beginning goes on counting from there, unless the schedule is another.
        let begin = if fresh.schedule == window.schedule { window.begin } else { fresh.begin };
        let effective = fresh.told != window.told;
        let (targets, tasks) = (std::mem::take(&mut window.targets), std::mem::take(&mut window.tasks));
        *window = Window { begin, targets, tasks, ..fresh };
        let mut answer = window.told.clone();
        answer["AllowUnassociatedTargets"] = unassociated.into();
        call.record(call.text("WindowId").unwrap_or_default(), window.told.clone(), effective);
        Ok(answer)
    })
}

/// DeleteMaintenanceWindow. Deleting one that does not exist is no error.
pub(in super::super) fn delete(call: &Call<'_>) -> Result<Value, Error> {
    once(call, |windows, _| {
        let id = call.text("WindowId").unwrap_or_default();
        let was = windows.windows.remove(id).is_some();
        call.record(id, json!({}), was);
        Ok(json!({ "WindowId": id }))
    })
}

/// The keys of targets, if they all are among these.
fn check_targets(call: &Call<'_>, fits: impl Fn(&str) -> bool) -> Result<(), Error> {
    for target in call.list("Targets") {
        let key = target["Key"].as_str().unwrap_or_default();
        if !fits(key) {
            return Err(invalid(call.service, format!("The target key {key:?} is not valid here")));
        }
        if target["Values"].as_array().is_none_or(Vec::is_empty) {
            return Err(invalid(call.service, format!("The target key {key} has no values")));
        }
    }
    Ok(())
}

/// RegisterTargetWithMaintenanceWindow.
pub(in super::super) fn register_target(call: &Call<'_>) -> Result<Value, Error> {
    once(call, |windows, _| {
        let window = window(windows, call)?;
        let group = call.text("ResourceType") == Some("RESOURCE_GROUP");
        check_targets(call, |key| {
            if group {
                matches!(key, "resource-groups:Name" | "resource-groups:ResourceTypeFilters")
            } else {
                matches!(key, "InstanceIds" | "tag-key") || key.starts_with("tag:")
            }
        })?;
        if call.list("Targets").is_empty() {
            return Err(invalid(call.service, "There are no targets"));
        }
        let id = random_uuid();
        let mut told =
            given(call, &["WindowId", "ResourceType", "Targets", "OwnerInformation", "Name", "Description"]);
        told.insert("WindowTargetId".to_owned(), id.clone().into());
        call.record(&id, Value::Object(told.clone()), true);
        window.targets.insert(id.clone(), Value::Object(told));
        Ok(json!({ "WindowTargetId": id }))
    })
}

/// RegisterTaskWithMaintenanceWindow.
pub(in super::super) fn register_task(call: &Call<'_>) -> Result<Value, Error> {
    once(call, |windows, _| {
        let window = window(windows, call)?;
        check_targets(call, |key| matches!(key, "WindowTargetIds" | "InstanceIds"))?;
        if call.text("TaskType") == Some("RUN_COMMAND") && call.list("Targets").is_empty() {
            return Err(invalid(call.service, "A Run Command task needs targets"));
        }
        let registered = call.list("Targets").iter().filter(|target| target["Key"] == "WindowTargetIds");
        let mut ids = registered.flat_map(|target| target["Values"].as_array().into_iter().flatten());
        if let Some(unknown) = ids.find(|id| !id.as_str().is_some_and(|id| window.targets.contains_key(id))) {
            return Err(gone(&format!("Window target {unknown}")));
        }
        let id = random_uuid();
        let mut told = given(
            call,
            &[
                "WindowId",
                "Targets",
                "TaskArn",
                "ServiceRoleArn",
                "TaskType",
                "TaskParameters",
                "TaskInvocationParameters",
                "Priority",
                "MaxConcurrency",
                "MaxErrors",
                "LoggingInfo",
                "Name",
                "Description",
                "CutoffBehavior",
                "AlarmConfiguration",
            ],
        );
        told.insert("WindowTaskId".to_owned(), id.clone().into());
        told.entry("Priority").or_insert(0.into());
        call.record(&id, Value::Object(told.clone()), true);
        window.tasks.insert(id.clone(), Value::Object(told));
        Ok(json!({ "WindowTaskId": id }))
    })
}
