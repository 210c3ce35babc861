//! `vmbridge findings --withdraw`: all findings of this installation end, whatever became of their problems.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::desk::{Desk, json};
use super::{Refusal, findings};
use crate::config::Mode;
use crate::engine::Engine;
use crate::plan::reach::Reach;
use crate::plan::withdraw::left;

/// How long what fails is tried again.
const PATIENCE: Duration = Duration::from_secs(180);
/// What Security Hub does not show yet, and what failed, is tried again after some time.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a single round may take: 20,000 findings take six minutes at the rates that AWS permits.
const ROUND: Duration = Duration::from_secs(3600);

/// How the withdrawal of findings ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawnDocument {
    /// How many were closed, or their workflow status seen to.
    pub closed: usize,
    /// How many are left: Security Hub did not take it.
    pub left: usize,
    /// How many are open in accounts that no target has.
    pub out_of_reach: usize,
    /// Why some are left.
    pub problems: Vec<String>,
}

/// Findings are withdrawn for as long as this lives: whoever interrupts the command, whose answer is dropped then, must not find
/// them closed at some later time, when the capability is only observed for a while.
struct Withdrawing<'e>(&'e Engine);

impl<'e> Withdrawing<'e> {
    fn begin(engine: &'e Engine) -> Self {
        engine.withdraw_findings(true);
        Self(engine)
    }
}

impl Drop for Withdrawing<'_> {
    fn drop(&mut self) {
        self.0.withdraw_findings(false);
    }
}

impl Desk {
    /// Closes all findings that are open, as far as targets reach.
    pub(super) async fn withdraw(&self) -> Result<Value, Refusal> {
        if self.engine.policy().report.findings.mode == Mode::Enforce {
            return Err(Refusal(
                "findings are enforced, so that they would be told again at once; first set `mode` of `[findings]` to \"observe\" or \"off\""
                    .to_owned(),
            ));
        }
        // What a former installation told may not be known yet.
        self.engine.compare_findings().await?;
        let left =
            || self.engine.look(|view| left(&view.memory.findings, &Reach::of(view.policy, view.cloud)));
        let (before, _) = left();
        let withdrawing = Withdrawing::begin(&self.engine);
        let began = tokio::time::Instant::now();
        loop {
            match self.hands {
                Some(_) => self.engine.idle(ROUND).await,
                None => self.engine.settle(ROUND).await,
            };
            if left().0 == 0 || began.elapsed() >= PATIENCE {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        drop(withdrawing);
        let (after, out_of_reach) = left();
        let problems = self.engine.look(|view| {
            let mut problems = view.plan_without_reports().problems;
            problems.extend(findings::problems(&view.memory.findings));
            problems
        });
        json(&WithdrawnDocument {
            closed: before.saturating_sub(after),
            left: after,
            out_of_reach,
            problems: if after == 0 { Vec::new() } else { problems },
        })
    }
}
