//! What became of a VM in its window.
//!
//! A VM is healthy only when that is known: what is not known keeps its snapshot for longer. So nothing is taken for well
//! because nobody looked.

use jiff::{SignedDuration, Timestamp};

use super::{Judgement, Run};

/// How the execution of a window is, as AWS tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// It goes on.
    UnderWay,
    /// It ended, well or not: the node itself is asked how it fared.
    Ended,
    /// It was not there when the window had closed: the window was disabled, or had nothing to do.
    None,
}

/// What Patch Manager says of a node (`DescribeInstancePatchStates`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchRun {
    /// When the operation began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Whether it installed; a scan changes nothing.
    pub installs: bool,
    /// Patches that could not be installed.
    pub failed: u32,
    /// Patches that are not there although they should be.
    pub missing: u32,
    /// Patches that wait for a restart.
    pub pending_reboot: u32,
}

/// All that is known of a VM after its window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct After {
    /// How the execution of its window is. None: it has none, or that could not be read.
    pub execution: Option<Execution>,
    /// What Patch Manager says. None: nothing, or it could not be read.
    pub patch: Option<PatchRun>,
    /// Whether the window is one of AWS, so that Patch Manager should know.
    pub managed: bool,
    /// Whether the VM runs; it is not expected to, if it was off before.
    pub powered_on: Option<bool>,
    /// Whether Tools run, where that is asked for.
    pub tools: Option<Probe>,
    /// Whether the agent is online, where that is asked for.
    pub agent: Option<Probe>,
    /// Whether a TCP port answers, where that is asked for.
    pub port: Option<Probe>,
}

/// What a probe says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// It is well.
    Well,
    /// It is not.
    NotWell,
    /// Nobody knows yet.
    NotKnown,
}

/// What became of the VM, once that can be said. Until `patience` after the window what is not known is waited for.
#[must_use]
pub fn judge(run: &Run, after: &After, patience: SignedDuration, now: Timestamp) -> Option<Judgement> {
    if now < run.closes {
        return None;
    }
    let waited = now.duration_since(run.closes) >= patience;
    let unknown = |why: &str| waited.then(|| Judgement::Unknown { why: why.into() });
    let failed = |why: String| Some(Judgement::Failed { why: why.into() });
    if after.execution == Some(Execution::UnderWay) && !waited {
        return None;
    }
    let patched = after.patch.as_ref().filter(|patch| patch.installs && patch.started >= run.opens);
    let mut touched = true;
    match patched {
        Some(patch) if patch.ended.is_none() => return unknown("patching has not ended"),
        Some(patch) if patch.failed > 0 => {
            return failed(format!("{} patches could not be installed", patch.failed));
        }
        Some(patch) if patch.missing > 0 => {
            return failed(format!("{} patches are missing after the run", patch.missing));
        }
        Some(patch) if patch.pending_reboot > 0 => {
            return failed(format!("{} patches wait for a restart", patch.pending_reboot));
        }
        Some(_) => {}
        None if !after.managed => {}
        None if after.execution == Some(Execution::None) => touched = false,
        // Where nothing is missing Patch Manager only looks, and says so.
        None if has_nothing_to_install(run, after) => touched = false,
        None => return unknown("Patch Manager tells of no installation since the window opened"),
    }
    let mut waiting = None;
    for (probe, what) in [
        (after.tools, "VMware Tools do not run"),
        (after.agent, "SSM Agent is not online"),
        (after.port, "its TCP port does not answer"),
    ] {
        match probe {
            None | Some(Probe::Well) => {}
            // A VM that restarts has its time to come back.
            Some(Probe::NotWell) if waited => return failed(format!("{what} after the window")),
            Some(Probe::NotWell | Probe::NotKnown) => waiting = Some(what),
        }
    }
    if let Some(what) = waiting {
        return unknown(&format!("it could not be found out in time: {what}"));
    }
    Some(if touched {
        Judgement::Healthy
    } else {
        let ran = after.execution == Some(Execution::Ended);
        let why = if ran { "no patch was missing" } else { "the window did not run" };
        Judgement::Untouched { why: why.into() }
    })
}

/// Whether the execution looked for patches, and found that none is missing.
fn has_nothing_to_install(run: &Run, after: &After) -> bool {
    let looked = after.patch.as_ref().filter(|patch| !patch.installs && patch.started >= run.opens);
    let is_clean = looked.is_some_and(|patch| {
        patch.ended.is_some() && patch.failed == 0 && patch.missing == 0 && patch.pending_reboot == 0
    });
    is_clean && after.execution == Some(Execution::Ended)
}
