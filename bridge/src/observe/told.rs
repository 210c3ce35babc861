//! Observes what one target shows of the inventory and compliance that it was told, seldom, so that what is lost is told again.
//!
//! | what | when | calls |
//! |---|---|---|
//! | inventory of a type of ours | 10 minutes after the start, then every hour | 1 for 50 managed nodes, of each of 5 types |
//! | compliance of types of ours | the same | 1 for 50 lists |
//!
//! The types are read one after the other, one page at a time. A target with more than [`NODES_AN_HOUR`] nodes is read more
//! rarely, so that no fleet costs more than about 300 reading calls an hour for it; but once a day at least. What failed is tried again
//! after 15 minutes. What is off is not read, and nobody else reads it: a command that is run once does not.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mappings::compliance::Kind;
use mappings::inventory::TYPES;
use tokio_util::sync::CancellationToken;

use super::aws::{Watcher, listing, said};
use crate::aws::{AwsErrorKind, ComplianceSummary, NodeId, TargetName};
use crate::cloud::TargetView;
use crate::cloud::hub::Known;
use crate::cloud::told::{OfNodes, Shown};
use crate::config::{Config, Mode};

/// So many nodes are read in an hour at most.
const NODES_AN_HOUR: usize = 2000;
/// The longest time between two readings, in units of the shortest one.
const MOST: u32 = 24;

/// How often it is read what a target was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToldPace {
    /// After the start.
    pub first: Duration,
    /// As long as there are few nodes.
    pub every: Duration,
    /// What failed.
    pub failed: Duration,
    /// Whether inventory is read.
    pub inventory: bool,
    /// Whether compliance is read.
    pub compliance: bool,
}

impl ToldPace {
    /// What the configuration needs; nothing if nothing is told.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let (inventory, compliance) =
            (config.inventory.mode != Mode::Off, config.compliance.mode != Mode::Off);
        (inventory || compliance).then_some(Self {
            first: Duration::from_secs(10 * 60),
            every: Duration::from_secs(3600),
            failed: Duration::from_secs(15 * 60),
            inventory,
            compliance,
        })
    }

    /// The time between two readings of so many nodes.
    fn between(&self, nodes: usize) -> Duration {
        let times = u32::try_from(nodes.div_ceil(NODES_AN_HOUR)).unwrap_or(MOST);
        self.every * times.clamp(1, MOST)
    }

    /// How long something that is read so often can wait.
    fn wait<T>(&self, known: Option<&Known<T>>, between: Duration, now: Timestamp) -> Duration {
        let Some((known, tried)) = known.and_then(|known| Some((known, known.tried?))) else {
            return Duration::ZERO;
        };
        let between = if known.error.is_some() { self.failed.min(between) } else { between };
        let age = now.duration_since(tried).max(SignedDuration::ZERO);
        between.saturating_sub(Duration::try_from(age).unwrap_or_default())
    }
}

impl Watcher {
    /// Reads what was told until stopped, or not at all.
    pub(super) async fn follow_told(&self, stop: &CancellationToken) {
        let Some(pace) = self.told else { return };
        let mut pause = pace.first;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
            pause = tokio::select! {
                biased;
                pause = self.read_told() => pause.max(pace.failed),
                () = stop.cancelled() => return,
            };
        }
    }

    /// Reads what is due of what was told. Gives the time until something is due again.
    pub(crate) async fn read_told(&self) -> Duration {
        let Some(pace) = self.told else { return Duration::MAX };
        let name = TargetName::from(self.target.name.as_str());
        let Some(view) = self.cloud.read().target(&name).filter(|view| view.as_of.is_some()).cloned() else {
            // Which nodes there are is not known yet.
            return pace.failed;
        };
        let between = pace.between(view.nodes.len());
        if view.nodes.is_empty() {
            return between;
        }
        let now = self.clock.now();
        let is_due = |types: &[&str]| {
            types.iter().any(|name| pace.wait(view.told.types.get(name), between, now).is_zero())
        };
        if pace.inventory {
            for type_name in TYPES.into_iter().filter(|name| is_due(&[name])) {
                let read = self.read_inventory(&view, type_name).await;
                self.put_told(&name, [(type_name, read)], now);
            }
        }
        if pace.compliance && is_due(&KINDS) {
            let read = self.read_compliance(&view).await;
            self.put_told(&name, read, now);
        }
        let waits = self.cloud.read().target(&name).map(|view| {
            let types = view.told.types.iter().filter(|(name, _)| pace.reads(name));
            types.map(|(_, known)| pace.wait(Some(known), between, self.clock.now())).min()
        });
        waits.flatten().unwrap_or(between)
    }

    /// What nodes have of a type of inventory.
    async fn read_inventory(&self, view: &TargetView, type_name: &'static str) -> Result<OfNodes, String> {
        let read = listing("inventory", |next| self.services.reports.inventory(type_name, next)).await;
        let seen = match read {
            Ok(seen) => seen,
            // Systems Manager knows no such type: nobody put any, or somebody deleted all of it.
            Err(error) if error.kind == AwsErrorKind::Invalid => return Ok(OfNodes::default()),
            Err(error) => return Err(said(&error)),
        };
        let shown = seen.into_iter().filter_map(|seen| {
            let shown = Shown::new(seen.content_hash.as_deref(), seen.captured, seen.rows == 0);
            Some((known(view, seen.node.as_str())?, shown))
        });
        Ok(shown.collect())
    }

    /// What nodes have of each type of compliance.
    async fn read_compliance(
        &self,
        view: &TargetView,
    ) -> [(&'static str, Result<OfNodes, String>); KINDS.len()] {
        let read = listing("summaries of compliance", |next| self.services.reports.compliance(&KINDS, next));
        let read = read.await.map_err(|error| said(&error));
        KINDS.map(|kind| {
            let of_kind = |all: &Vec<ComplianceSummary>| {
                let of_kind = all.iter().filter(|summary| summary.kind.as_str() == kind);
                let shown = of_kind.filter_map(|summary| {
                    let is_empty = summary.compliant == 0 && summary.non_compliant == 0;
                    let shown = Shown::new(summary.run.as_deref(), summary.at, is_empty);
                    Some((known(view, summary.node.as_str())?, shown))
                });
                shown.collect()
            };
            (kind, read.as_ref().map(of_kind).map_err(Clone::clone))
        })
    }

    fn put_told(
        &self,
        target: &TargetName,
        read: impl IntoIterator<Item = (&'static str, Result<OfNodes, String>)>,
        began: Timestamp,
    ) {
        for (type_name, read) in read {
            self.cloud.update(target, |view| {
                let types = &mut Arc::make_mut(&mut view.told).types;
                let known = types.entry(type_name).or_default();
                if let (Err(error), true) = (&read, known.error.is_none()) {
                    tracing::warn!(%target, type_name, error, "what was told of nodes cannot be read back");
                }
                // One that is the same as before says something too, and is looked at by the next plan that is made.
                known.put(read, began)
            });
        }
    }
}

/// The types of compliance that are told.
const KINDS: [&str; 2] = [Kind::Hardening.as_str(), Kind::Protection.as_str()];

impl ToldPace {
    fn reads(&self, type_name: &str) -> bool {
        if KINDS.contains(&type_name) { self.compliance } else { self.inventory }
    }
}

/// The id as the target's view has it, so that it is in memory once; nothing for what is no hybrid node that is known.
fn known(view: &TargetView, node: &str) -> Option<NodeId> {
    view.nodes.get_key_value(&NodeId::from(node)).map(|(known, _)| known.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const PACE: ToldPace = ToldPace {
        first: Duration::from_secs(600),
        every: HOUR,
        failed: Duration::from_secs(900),
        inventory: true,
        compliance: true,
    };

    #[test]
    fn a_large_target_is_read_more_seldom_and_once_a_day_at_least() {
        let between = |nodes| PACE.between(nodes);
        assert_eq!([between(0), between(1), between(2000)], [HOUR; 3]);
        assert_eq!([between(2001), between(10_000), between(48_000)], [HOUR * 2, HOUR * 5, HOUR * 24]);
        assert_eq!([between(50_000), between(usize::MAX)], [HOUR * 24; 2]);
    }

    #[test]
    fn what_failed_is_tried_again_soon() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let mut known = Known::<OfNodes>::default();
        let wait = |known: &Known<OfNodes>, minutes: i64| {
            PACE.wait(Some(known), HOUR, now + SignedDuration::from_mins(minutes))
        };
        assert_eq!(wait(&known, 0), Duration::ZERO, "it was never read");
        assert_eq!(PACE.wait::<OfNodes>(None, HOUR, now), Duration::ZERO);
        known.put(Ok(OfNodes::default()), now);
        assert_eq!([wait(&known, 0), wait(&known, 59), wait(&known, 60)], [HOUR, HOUR / 60, Duration::ZERO]);
        // A clock that was put back makes no reading wait longer than any.
        assert_eq!(wait(&known, -600), HOUR);
        known.put(Err("no".to_owned()), now);
        assert_eq!([wait(&known, 0), wait(&known, 15)], [HOUR / 4, Duration::ZERO]);
    }
}
