//! What waits for a worker, and what is under way.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{Engine, Records, doubts, report};
use crate::plan::Planned;
use crate::store::Holder;

/// Holders worked on at the same time. Their lanes set the pace; more would only wait there with their intents written.
const WORKERS: usize = 16;

/// What waits and what is under way.
#[derive(Default)]
pub(super) struct Work {
    pub(super) queue: VecDeque<(Holder, Vec<Planned>)>,
    pub(super) running: HashSet<Holder>,
    pub(super) tasks: JoinSet<Holder>,
    /// When the last plan asks for another one.
    pub(super) next: Option<Timestamp>,
    pub(super) doubts: doubts::Doubts,
    /// What is to be reported, as of the last time that all of it was gone through.
    pub(super) reports: report::Turn,
}

impl Work {
    /// Puts what a new plan says in the place of what waited.
    pub(super) fn replace<'a>(&mut self, doable: impl Iterator<Item = &'a Planned>) {
        let mut order: Vec<Holder> = Vec::new();
        let mut by_holder: HashMap<Holder, Vec<Planned>> = HashMap::new();
        for planned in doable {
            let holder = planned.action.holder();
            if self.running.contains(&holder) {
                continue;
            }
            let actions = by_holder.entry(holder.clone()).or_default();
            if actions.is_empty() {
                order.push(holder);
            }
            actions.push(planned.clone());
        }
        // A plan goes through the fleet in no particular order; what is done has one, so that it can be done again for a test.
        order.sort_unstable();
        self.queue = order
            .into_iter()
            .filter_map(|holder| by_holder.remove(&holder).map(|actions| (holder, actions)))
            .collect();
    }

    /// Starts what there is room for.
    pub(super) fn start<S: Records>(&mut self, engine: &Engine<S>) {
        while self.tasks.len() < WORKERS
            && let Some((holder, actions)) = self.queue.pop_front()
        {
            self.running.insert(holder.clone());
            let engine = engine.clone();
            self.tasks.spawn(async move {
                for planned in actions {
                    // What follows builds on what came before.
                    if !engine.0.execute(planned).await {
                        break;
                    }
                }
                holder
            });
        }
        let (waiting, running) =
            (self.queue.iter().map(|(_, actions)| actions.len()).sum(), self.tasks.len());
        engine.0.progress.send_if_modified(|progress| {
            let changed = (progress.waiting, progress.running) != (waiting, running);
            (progress.waiting, progress.running) = (waiting, running);
            changed
        });
    }

    /// Goes on with the queue until `until`.
    pub(super) async fn drain<S: Records>(&mut self, engine: &Engine<S>, until: impl Future<Output = ()>) {
        let mut until = std::pin::pin!(until);
        loop {
            tokio::select! {
                biased;
                () = &mut until => return,
                Some(ended) = self.tasks.join_next() => {
                    self.ended(ended);
                    self.start(engine);
                    // The next plan may go on where this one was waiting for its own writes.
                    if self.queue.is_empty() && self.tasks.is_empty() {
                        engine.0.wake.notify_one();
                    }
                }
            }
        }
    }

    /// Works until the queue is empty and nothing is under way.
    pub(super) async fn finish<S: Records>(&mut self, engine: &Engine<S>) {
        self.start(engine);
        while let Some(ended) = self.tasks.join_next().await {
            self.ended(ended);
            self.start(engine);
        }
    }

    pub(super) fn ended(&mut self, ended: Result<Holder, tokio::task::JoinError>) {
        match ended {
            Ok(holder) => {
                self.running.remove(&holder);
            }
            // Its intent stays open, so its object stays reserved until it is found out what happened.
            Err(error) => tracing::error!(%error, "a worker failed"),
        }
    }
}
