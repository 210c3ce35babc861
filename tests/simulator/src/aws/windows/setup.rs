//! Windows, groups and outcomes as tests want them, without calls.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::soap::session::random_uuid;

use super::calls::window_id;
use super::{Window, Windows};

fn patching() -> String {
    "AWS-RunPatchBaseline".to_owned()
}

fn install() -> String {
    "Install".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A window that is to be there, with one target and one task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AwsWindow {
    /// Its name.
    pub name: String,
    /// `cron(…)`, `rate(…)` or `at(…)`.
    pub schedule: String,
    /// The time zone of the schedule.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// Hours that it is open.
    pub duration: u8,
    /// Hours before its end in which nothing begins any more.
    #[serde(default)]
    pub cutoff: u8,
    /// Keys as in the API (`tag:Patch Group`, `InstanceIds`, `resource-groups:Name`, …) and their values.
    pub targets: BTreeMap<String, Vec<String>>,
    /// What it runs.
    #[serde(default = "patching")]
    pub document: String,
    /// `Install` or `Scan`.
    #[serde(default = "install")]
    pub operation: String,
    /// The pre-install hook.
    #[serde(default)]
    pub hook: Option<String>,
}

impl Windows {
    /// Makes a window; returns its id.
    pub(in super::super) fn make(&mut self, wanted: &AwsWindow, now: Timestamp) -> Result<String, String> {
        let id = window_id();
        let told = json!({
            "WindowId": id, "Name": wanted.name, "Enabled": true, "Schedule": wanted.schedule,
            "ScheduleTimezone": wanted.time_zone, "Duration": wanted.duration, "Cutoff": wanted.cutoff,
        });
        let mut window = Window::read(told, false, now)?;
        let (target, task) = (random_uuid(), random_uuid());
        let group = wanted.targets.contains_key("resource-groups:Name");
        let sets: Vec<Value> =
            wanted.targets.iter().map(|(key, values)| json!({ "Key": key, "Values": values })).collect();
        window.targets.insert(
            target.clone(),
            json!({
                "WindowId": id, "WindowTargetId": target, "Targets": sets,
                "ResourceType": if group { "RESOURCE_GROUP" } else { "INSTANCE" },
            }),
        );
        let mut parameters = json!({ "Operation": [wanted.operation] });
        if let Some(hook) = &wanted.hook {
            parameters["PreInstallHookDocName"] = json!([hook]);
        }
        window.tasks.insert(
            task.clone(),
            json!({
                "WindowId": id, "WindowTaskId": task, "TaskArn": wanted.document, "TaskType": "RUN_COMMAND",
                "Targets": [{ "Key": "WindowTargetIds", "Values": [target] }], "Priority": 1,
                "MaxConcurrency": "100%", "MaxErrors": "100%",
                "TaskInvocationParameters": { "RunCommand": { "Parameters": parameters } },
            }),
        );
        self.windows.insert(id.clone(), window);
        Ok(id)
    }
}
