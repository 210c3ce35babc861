//! The patches of a node one by one, made from how many there are: the same patch has the same number for ever, so that one
//! that was missing is the one that is installed later.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::vcenter::lock;

use super::error::Error;
use super::paging::page;
use super::service::Call;
use super::state::{Region, seconds};
use super::windows::PatchState;

/// A patch, as far as a baseline looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) classification: &'static str,
    /// In the words of who publishes it.
    pub(super) severity: &'static str,
    /// The compliance level that the baseline gives to patches of that severity.
    pub(super) level: &'static str,
    /// As in DescribeInstancePatches.
    pub(super) state: &'static str,
}

const SEVERITIES: [(&str, &str); 4] =
    [("Critical", "CRITICAL"), ("Important", "HIGH"), ("Moderate", "MEDIUM"), ("Low", "LOW")];

impl Patch {
    fn numbered(number: u32, windows: bool, state: &'static str) -> Self {
        let (severity, level) = SEVERITIES[number as usize % SEVERITIES.len()];
        // Every fifth is no security update.
        let other = number % 5 == 4;
        let (id, classification) = match (windows, other) {
            (true, false) => (format!("KB{}", 5_000_000 + number), "SecurityUpdates"),
            (true, true) => (format!("KB{}", 5_000_000 + number), "Updates"),
            (false, false) => (format!("package-{number}.x86_64"), "Security"),
            (false, true) => (format!("package-{number}.x86_64"), "Bugfix"),
        };
        let title = if windows {
            format!("2026-01 Cumulative Update {number} for Windows Server ({id})")
        } else {
            format!("package-{number}:1.{number}-1")
        };
        Self { id, title, classification, severity, level, state }
    }

    pub(super) fn is_compliant(&self) -> bool {
        self.state == "INSTALLED"
    }
}

impl PatchState {
    /// Every patch that was found: what is installed first.
    pub(super) fn patches(&self, windows: bool) -> Vec<Patch> {
        let mut number = 0;
        let mut patches = Vec::new();
        for (count, state) in [
            (self.installed, "INSTALLED"),
            (self.pending_reboot, "INSTALLED_PENDING_REBOOT"),
            (self.failed, "FAILED"),
            (self.missing, "MISSING"),
        ] {
            for _ in 0..count {
                patches.push(Patch::numbered(number, windows, state));
                number += 1;
            }
        }
        patches
    }

    /// How many patches make the node non-compliant: critical ones, other security patches, and the rest.
    pub(super) fn non_compliant(&self, windows: bool) -> [u32; 3] {
        let mut counts = [0; 3];
        for patch in self.patches(windows).iter().filter(|patch| !patch.is_compliant()) {
            counts[match (patch.level, patch.classification) {
                ("CRITICAL", _) => 0,
                (_, "Security" | "SecurityUpdates") => 1,
                _ => 2,
            }] += 1;
        }
        counts
    }

    /// Whether AWS calls a node with these patches compliant.
    pub(super) fn is_compliant(&self) -> bool {
        self.missing + self.failed + self.pending_reboot == 0
    }
}

/// Whether a node that is registered runs Windows.
pub(super) fn is_windows(held: &Region, node: &str) -> bool {
    held.node(node).is_some_and(|(_, info)| info.platform_type == "Windows")
}

/// What AWS knows of the patches of a node that is registered.
pub(super) fn state_of<'a>(held: &'a Region, node: &str, now: Timestamp) -> Option<&'a PatchState> {
    held.node(node)?;
    held.windows.patch_states.get(node)?.at(now)
}

/// DescribeInstancePatches.
pub(super) fn describe(call: &Call<'_>) -> Result<Value, Error> {
    let id = call.text("InstanceId").unwrap_or_default();
    let mut filters = Vec::new();
    for filter in call.list("Filters") {
        let key = filter["Key"].as_str().unwrap_or_default();
        if !["Classification", "KBId", "Severity", "State"].contains(&key) {
            return Err(Error::bad("InvalidFilter", format!("{key} is not a valid filter key")));
        }
        filters.push((key, filter["Values"].as_array().map(Vec::as_slice).unwrap_or_default()));
    }
    let state = lock(&call.shared.state);
    let now = state.window_time();
    let held = state.region(&call.caller.account, &call.caller.region);
    let Some(held) = held.filter(|held| held.node(id).is_some()) else {
        let text = format!("The instance ID {id} is not registered in this Region");
        return Err(Error::bad("InvalidInstanceId", text));
    };
    let windows = is_windows(held, id);
    let known = state_of(held, id, now);
    let patches = known.map(|known| known.patches(windows)).unwrap_or_default();
    let installed = known.and_then(|known| known.operation).map_or(0.into(), |(_, _, end)| seconds(end));
    let keys = (0..patches.len()).map(|at| format!("{at:09}"));
    page(
        call,
        "Patches",
        |_| keys,
        |key| {
            let patch = patches.get(key.parse::<usize>().ok()?)?;
            let mut told = json!({
                "Title": patch.title, "KBId": patch.id, "Classification": patch.classification,
                "Severity": patch.severity, "State": patch.state,
                // What is not installed has the beginning of time.
                "InstalledTime": if patch.state.starts_with("INSTALLED") { installed.clone() } else { 0.into() },
            });
            let wanted = filters.iter().all(|(key, values)| values.iter().any(|value| told[*key] == *value));
            if !patch.is_compliant() && patch.state != "INSTALLED_PENDING_REBOOT" {
                told["CVEIds"] = format!("CVE-2026-1{}", key.get(5..).unwrap_or(key)).into();
            }
            wanted.then_some(told)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_that_was_missing_is_the_one_that_is_installed() {
        let before = PatchState { installed: 2, missing: 3, ..PatchState::default() };
        let after = PatchState { installed: 5, ..PatchState::default() };
        let ids = |state: &PatchState| -> Vec<String> {
            state.patches(true).into_iter().map(|patch| patch.id).collect()
        };
        assert_eq!(ids(&before), ids(&after));
        assert!(!before.is_compliant() && after.is_compliant());
        assert_eq!(before.non_compliant(true).iter().sum::<u32>(), 3);
        assert_eq!(after.non_compliant(true), [0, 0, 0]);
        let pending = PatchState { pending_reboot: 1, ..PatchState::default() };
        assert!(!pending.is_compliant());
    }
}
