//! Seeded scripts against the real program: tags move, calls fail, answers are lost, readings lag behind, and the process is
//! killed; it ends with the right tags, nothing is done twice, and what others wrote is as they left it.
//!
//! A script is described by its seed. `scripts/test` runs a few, `scripts/soak sync` 300 (`VMBRIDGE_SYNC_SEEDS=0..300`), and
//! `VMBRIDGE_SYNC_SEEDS=17` one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use vmbridge_e2e::managed::{CATEGORIES, Managed, VALUES};
use vmbridge_simulator::{FaultEffect, FaultRule, ReadDelay};

/// Scripts at the same time.
const AT_ONCE: usize = 4;
/// Nodes in each.
const NODES: usize = 4;
/// A key that no rule writes.
const FOREIGN: &str = "CostCenter";

fn seeds() -> Vec<u64> {
    match std::env::var("VMBRIDGE_SYNC_SEEDS") {
        Ok(text) => match text.split_once("..") {
            Some((first, end)) => {
                Range { start: first.parse().unwrap(), end: end.parse().unwrap() }.collect()
            }
            None => vec![text.parse().unwrap()],
        },
        Err(_) => (0..16).collect(),
    }
}

/// The same seed gives the same script (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let sides = u64::try_from(sides).unwrap();
        usize::try_from((mixed ^ (mixed >> 31)) % sides).unwrap()
    }

    fn fault(&mut self) -> FaultRule {
        const OPERATIONS: [&str; 9] = [
            "ssm:AddTagsToResource",
            "ssm:RemoveTagsFromResource",
            "ssm:AddTagsToResource",
            "ssm:RemoveTagsFromResource",
            "ssm:ListTagsForResource",
            "ssm:DescribeInstanceInformation",
            "tagging:GetResources",
            "sts:GetCallerIdentity",
            "list-attached-tags-on-objects",
        ];
        let aws_error = |code: &str, status| FaultEffect::AwsError {
            code: code.to_owned(),
            status,
            message: "a script says so".to_owned(),
        };
        let effect = match self.roll(9) {
            0 => aws_error("ThrottlingException", 400),
            1 => aws_error("InternalServerError", 500),
            2 => FaultEffect::Status { code: 503 },
            3 => FaultEffect::ResetBefore,
            4 | 5 => FaultEffect::ResetAfter,
            6 => FaultEffect::ResetMiddle,
            7 => FaultEffect::Malformed,
            _ => FaultEffect::Delay { milliseconds: 300 },
        };
        let operation = OPERATIONS[self.roll(OPERATIONS.len())];
        let skip = u32::try_from(self.roll(3)).unwrap();
        let times = 1 + u32::try_from(self.roll(4)).unwrap();
        FaultRule { skip, times, ..FaultRule::once(operation, effect) }
    }
}

async fn script(seed: u64) -> Result<usize> {
    let mut dice = Dice(seed);
    let sections = "[tags]\nmode = \"enforce\"\ndefaults = false\n[guard]\nmax_change_percent = 100\n";
    let mut managed = Managed::new(NODES, sections).await?;
    let foreign = dice.roll(NODES);
    let node = managed.vms[foreign].node.clone();
    managed.mutate_aws(json!({ "op": "tag", "node": node, "key": FOREIGN, "value": "42" }))?;
    for _ in 0..(2 + dice.roll(3)) {
        for _ in 0..(1 + dice.roll(4)) {
            let value = [None, Some(VALUES[0]), Some(VALUES[1]), Some(VALUES[2])][dice.roll(4)];
            managed.tag(dice.roll(NODES), CATEGORIES[dice.roll(2)], value)?;
        }
        // Reads of SSM itself are soon current; the Tagging API lags.
        let lag = Duration::from_millis(u64::try_from(dice.roll(900)).unwrap());
        managed.aws().set_read_delay(ReadDelay { tagging: lag, ..ReadDelay::default() });
        for _ in 0..dice.roll(4) {
            managed.simulator.add_faults([dice.fault()]);
        }
        let command = if dice.roll(4) == 0 { "run" } else { "sync" };
        let moment = Duration::from_millis(200 + u64::try_from(dice.roll(2500)).unwrap());
        let running = managed.vmbridge(&[command])?.start()?;
        let dies = command == "run" || dice.roll(2) == 0;
        if dies {
            tokio::time::sleep(moment).await;
            // It may have ended by itself already.
            let _ = running.signal("KILL").await;
        }
        let ended = running.ended().await?;
        ensure!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        ensure!(dies || ended.code != Some(2) || !ended.stderr.is_empty(), "it says nothing: {ended:?}");
        managed.simulator.clear_faults();
    }
    managed.aws().set_read_delay(ReadDelay::default());
    let injected = managed.simulator.injected_faults().len();
    managed.ran(&["retry", "--all"]).await?;
    let mut last = String::new();
    for _ in 0..3 {
        let synced = managed.ran(&["sync"]).await?;
        last = format!("{}{}", synced.stdout, synced.stderr);
        if synced.code == Some(0) {
            break;
        }
    }
    for vm in 0..NODES {
        let mut wanted = managed.wanted(vm);
        if vm == foreign {
            wanted.insert(FOREIGN.to_owned(), "42".to_owned());
        }
        let found = managed.tags(vm);
        ensure!(found == wanted, "VM {vm}: {found:?} instead of {wanted:?}\n{last}");
    }
    let (code, plan) = managed.plan().await?;
    ensure!(code == Some(0), "something is left to do: {plan:#}");
    let journal = managed.journal().await?;
    ensure!(journal.iter().all(|entry| !entry["outcome"].is_null()), "open: {journal:#?}");
    never_twice(&managed)?;
    ensure!(managed.aws().mistakes().is_empty(), "{:?}", managed.aws().mistakes());
    Ok(injected)
}

/// The same change of the same node never follows itself: between two equal ones there is another one.
fn never_twice(managed: &Managed) -> Result<()> {
    let mut last = BTreeMap::new();
    for effect in managed.simulator.effects() {
        let change = (effect.operation.clone(), effect.detail.clone());
        if effect.detail.to_string().contains(FOREIGN) {
            bail!("what somebody else wrote was touched: {effect:?}");
        }
        if let Some(before) = last.insert(effect.resource.clone(), change.clone()) {
            ensure!(before != change, "done twice: {effect:?}");
        }
        ensure!(effect.effective, "done although it was there: {effect:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_and_whenever_it_is_killed_it_ends_with_the_right_tags() {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut scripts = JoinSet::new();
    for seed in seeds() {
        let room = room.clone();
        scripts.spawn(async move {
            let _permit = room.acquire_owned().await.unwrap();
            script(seed).await.with_context(|| format!("seed {seed}"))
        });
    }
    let (mut failures, mut total, mut injected) = (Vec::new(), 0, 0);
    while let Some(ended) = scripts.join_next().await {
        total += 1;
        match ended.unwrap() {
            Ok(faults) => injected += faults,
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    println!("{total} scripts, {injected} faults");
    assert!(failures.is_empty(), "{} of {total}:\n{}", failures.len(), failures.join("\n\n"));
    assert!(total < 10 || injected > total, "only {injected} faults in {total} scripts");
}
